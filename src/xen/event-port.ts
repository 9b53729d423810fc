/**
 * An event-channel port: what it is bound to.
 *
 * Source: facts of Xen 4.17, struct evtchn (xen/include/xen/sched.h).
 */
import {
  PORT_LAST_VCPU, PORT_PIRQ, PORT_QUEUE, PORT_REMOTE_DOMID, PORT_REMOTE_PORT, PORT_STATE, PORT_VCPU, PORT_VIRQ, QUEUE_PENDING,
} from '../layout/port.ts';
import type { Views } from '../memory/views.ts';

/** What a port is. Numbers of enum in xen/include/xen/sched.h. */
export const ECS_FREE = 0;
export const ECS_RESERVED = 1;
export const ECS_UNBOUND = 2;
export const ECS_INTERDOMAIN = 3;
export const ECS_PIRQ = 4;
export const ECS_VIRQ = 5;
export const ECS_IPI = 6;

/** A port that exists: its row in machine memory, by name. */
export class Port {
  readonly number: number;
  /** Word index of its row. */
  readonly at: number;
  private readonly s: Views;

  constructor(s: Views, number: number, at: number) {
    this.s = s;
    this.number = number;
    this.at = at;
  }

  get state(): number { return this.s.w[this.at + (PORT_STATE >>> 2)]; }
  set state(state: number) { this.s.w[this.at + (PORT_STATE >>> 2)] = state; }
  /** vCPU that is told of its events. */
  get vcpu(): number { return this.s.w[this.at + (PORT_VCPU >>> 2)]; }
  set vcpu(vcpu: number) { this.s.w[this.at + (PORT_VCPU >>> 2)] = vcpu; }
  /** Domain that may bind an unbound port, or that an interdomain one is bound to; and the port there. */
  get remoteDomid(): number { return this.s.w[this.at + (PORT_REMOTE_DOMID >>> 2)]; }
  set remoteDomid(domid: number) { this.s.w[this.at + (PORT_REMOTE_DOMID >>> 2)] = domid; }
  get remotePort(): number { return this.s.w[this.at + (PORT_REMOTE_PORT >>> 2)]; }
  set remotePort(port: number) { this.s.w[this.at + (PORT_REMOTE_PORT >>> 2)] = port; }
  get virq(): number { return this.s.w[this.at + (PORT_VIRQ >>> 2)]; }
  set virq(virq: number) { this.s.w[this.at + (PORT_VIRQ >>> 2)] = virq; }
  get pirq(): number { return this.s.w[this.at + (PORT_PIRQ >>> 2)]; }
  set pirq(pirq: number) { this.s.w[this.at + (PORT_PIRQ >>> 2)] = pirq; }
  /** FIFO: its queue, the one it was put in last, and whether an event came while its word had no page. Kept when the port is closed. */
  get priority(): number { return this.s.w[this.at + (PORT_QUEUE >>> 2)] & 0xff; }
  set priority(priority: number) { this.s.w[this.at + (PORT_QUEUE >>> 2)] = (this.s.w[this.at + (PORT_QUEUE >>> 2)] & ~0xff) | priority; }
  get lastPriority(): number { return (this.s.w[this.at + (PORT_QUEUE >>> 2)] >>> 8) & 0xff; }
  set lastPriority(priority: number) { this.s.w[this.at + (PORT_QUEUE >>> 2)] = (this.s.w[this.at + (PORT_QUEUE >>> 2)] & ~0xff00) | (priority << 8); }
  get pending(): boolean { return (this.s.w[this.at + (PORT_QUEUE >>> 2)] & QUEUE_PENDING) !== 0; }
  set pending(pending: boolean) { this.s.w[this.at + (PORT_QUEUE >>> 2)] = pending ? this.s.w[this.at + (PORT_QUEUE >>> 2)] | QUEUE_PENDING : this.s.w[this.at + (PORT_QUEUE >>> 2)] & ~QUEUE_PENDING; }
  get lastVcpu(): number { return this.s.w[this.at + (PORT_LAST_VCPU >>> 2)]; }
  set lastVcpu(vcpu: number) { this.s.w[this.at + (PORT_LAST_VCPU >>> 2)] = vcpu; }

  /** Is it given out, bound or to be bound? Source: evtchn_usable() (xen/include/xen/event.h). */
  get usable(): boolean {
    return this.state > ECS_RESERVED;
  }

  /** Free it for the next to come. The caller clears its pending bit before. */
  free(): void {
    this.state = ECS_FREE;
    this.vcpu = 0;
  }
}
