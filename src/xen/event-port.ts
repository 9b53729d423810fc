/**
 * The event-channel ports of a domain: what each is bound to, and which are free.
 *
 * Source: facts of Xen 4.17, struct evtchn (xen/include/xen/sched.h), get_free_port(), evtchn_allocate_port() (xen/common/event_channel.c).
 */
import type { Domain } from './domain.ts';
import type { FifoVcpu } from './event-fifo.ts';
import { XEN_EBUSY, XEN_EINVAL, XEN_ENOSPC } from './numbers.ts';

/** What a port is. Numbers of enum in xen/include/xen/sched.h. */
export const ECS_FREE = 0;
export const ECS_RESERVED = 1;
export const ECS_UNBOUND = 2;
export const ECS_INTERDOMAIN = 3;
export const ECS_PIRQ = 4;
export const ECS_VIRQ = 5;
export const ECS_IPI = 6;

export const FIFO_PORTS = 131072;
const PORTS_PER_BUCKET = 64;
const DEFAULT_PRIORITY = 7;

export class Port {
  readonly number: number;
  state = ECS_FREE;
  /** vCPU that is told of its events. */
  vcpu = 0;
  /** Domain that may bind an unbound port, or that an interdomain one is bound to; and the port there. */
  remoteDomid = 0;
  remotePort = 0;
  virq = 0;
  pirq = 0;
  /** FIFO: its queue, the one it was put in last, and whether an event came while its word had no page. Kept when the port is closed. */
  priority = DEFAULT_PRIORITY;
  lastVcpu = 0;
  lastPriority = 0;
  pending = false;

  constructor(number: number) {
    this.number = number;
  }

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

/** A domain's ports. */
export class EventPorts {
  readonly domain: Domain;
  /** Highest port that may be given out. */
  readonly highest: number;
  /** The FIFO format, if the domain switched to it: frames of its event array, -1 where there is none. */
  fifo: number[] | undefined;
  /** FIFO state of each vCPU. */
  fifoVcpus: FifoVcpu[] = [];
  /** Frame of each vCPU's vcpu_info and its byte offset in machine memory, where it was registered elsewhere than in the shared info. */
  readonly vcpuInfos = new Map<number, { readonly mfn: number; readonly at: number }>();
  /** Port that a VIRQ is bound to, by vCPU and number. */
  private readonly virqs = new Map<number, number>();
  /** ... and a PIRQ. */
  readonly pirqs = new Map<number, number>();
  /** Where a reset that was preempted goes on, 0: none is under way. */
  nextReset = 0;
  private readonly ports: Port[] = [];

  constructor(domain: Domain, highest: number) {
    this.domain = domain;
    this.highest = highest;
    this.take(0, () => false); // not allocate(): the first to ask for a domain's ports may be who destroys it
    this.port(0).state = ECS_RESERVED; // port 0 means none
  }

  /** Ports that the format in use can have. */
  get most(): number {
    return this.fifo ? FIFO_PORTS : this.domain.is32 ? 32 * 32 : 64 * 64;
  }

  /** Ports below this exist. */
  get valid(): number {
    return this.ports.length;
  }

  /** A port that exists. */
  port(number: number): Port {
    return this.ports[number];
  }

  /** A port by a guest's number, undefined if there is none. Those beyond what the format can have are there all the same, and free. */
  find(number: number): Port | undefined {
    return this.ports[number];
  }

  /** How many ports are given out. */
  active(): number {
    return this.ports.reduce((sum, { usable }) => sum + (usable ? 1 : 0), 0);
  }

  /** @param busy - is the port still in a queue of the guest's? @returns the lowest free port, or -XEN_E* */
  allocate(busy: (port: Port) => boolean = () => false): number {
    if (this.domain.dying) return -XEN_EINVAL;
    for (let number = 0; number <= this.highest; number++) {
      const rc = this.take(number, busy);
      if (rc === 0) return number;
      if (rc !== -XEN_EBUSY) return rc;
    }
    return -XEN_ENOSPC;
  }

  private take(number: number, busy: (port: Port) => boolean): number {
    if (number >= this.most) return -XEN_ENOSPC;
    const port = this.find(number);
    if (port) return port.state !== ECS_FREE || busy(port) ? -XEN_EBUSY : 0;
    for (let n = 0; n < PORTS_PER_BUCKET; n++) this.ports.push(new Port(this.ports.length));
    return 0;
  }

  virqPort(vcpu: number, virq: number): number {
    return this.virqs.get(vcpu * 256 + virq) ?? 0;
  }

  /** VIRQs that are bound. */
  boundVirqs(): { vcpu: number; virq: number; port: number }[] {
    return [...this.virqs].filter(([, port]) => port !== 0).map(([key, port]) => ({ vcpu: Math.floor(key / 256), virq: key % 256, port }));
  }

  setVirqPort(vcpu: number, virq: number, port: number): void {
    this.virqs.set(vcpu * 256 + virq, port);
  }
}
