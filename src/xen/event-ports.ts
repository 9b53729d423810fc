/**
 * The event-channel ports of a domain: which there are, which are free, and what else is known of its events.
 *
 * Source: facts of Xen 4.17, struct domain (xen/include/xen/sched.h), get_free_port(), evtchn_allocate_port() (xen/common/event_channel.c).
 */
import {
  DOMAIN_DYING, DOMAIN_FIFO, DOMAIN_FIFO_FRAMES, DOMAIN_FIFO_LIST, DOMAIN_IS32, DOMAIN_MAX_EVENT_PORT, DOMAIN_NEXT_RESET, DOMAIN_PIRQ_TABLE, DOMAIN_PORTS,
  DOMAIN_PORTS_VALID,
} from '../layout/domain.ts';
import { GUEST_FIFO_CONTROL, GUEST_FIFO_FRAME, GUEST_FIFO_TAILS, GUEST_INFO, GUEST_INFO_FRAME, GUEST_VIRQS } from '../layout/guest-vcpu.ts';
import { PORT_BYTES, PORT_QUEUE } from '../layout/port.ts';
import type { Views } from '../memory/views.ts';
import { ECS_FREE, ECS_RESERVED, Port } from './event-port.ts';
import { FifoVcpu } from './fifo-vcpu.ts';
import { XEN_EBUSY, XEN_EINVAL, XEN_ENOMEM, XEN_ENOSPC } from './numbers.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';
import { Pirqs } from './pirqs.ts';

export const FIFO_PORTS = 131072;
const PORTS_PER_BUCKET = 64;
const DEFAULT_PRIORITY = 7;
const VIRQS = 32;
const NONE = -1;

export class EventPorts {
  /** Port that a PIRQ is bound to. */
  readonly pirqs: Pirqs;
  private readonly s: Views;
  private readonly domain: number;
  private readonly vcpus: PagedTable;
  private readonly rows: PagedTable;
  private readonly ports: Port[] = [];
  private readonly fifos: FifoVcpu[] = [];
  private readonly blocks: number[] = []; // word indices of vCPUs' blocks

  /** @param domain - word index of the domain's block @param vcpus - blocks of its vCPUs */
  constructor(own: OwnFrames, domain: number, vcpus: PagedTable) {
    this.s = own.s;
    this.domain = domain;
    this.vcpus = vcpus;
    this.rows = new PagedTable(own, domain + (DOMAIN_PORTS >>> 2), PORT_BYTES, FIFO_PORTS);
    this.pirqs = new Pirqs(own, domain + (DOMAIN_PIRQ_TABLE >>> 2));
  }

  private word(offset: number): number { return this.s.w[this.domain + (offset >>> 2)]; }
  private put(offset: number, value: number): void { this.s.w[this.domain + (offset >>> 2)] = value; }

  /** Let there be port 0, which means none. @returns false: there is no memory for it */
  start(): boolean {
    if (this.take(0, () => false) !== 0) return false;
    this.port(0).state = ECS_RESERVED;
    return true;
  }

  /** Highest port that may be given out. */
  get highest(): number { return this.word(DOMAIN_MAX_EVENT_PORT) >>> 0; }

  /** Ports that the format in use can have. */
  get most(): number {
    return this.isFifo ? FIFO_PORTS : this.word(DOMAIN_IS32) !== 0 ? 32 * 32 : 64 * 64;
  }

  /** Ports below this exist. */
  get valid(): number { return this.s.w[this.domain + (DOMAIN_PORTS_VALID >>> 2)]; }

  /** A port that exists. */
  port(number: number): Port {
    return this.ports[number] ?? this.lookAt(number);
  }

  private lookAt(number: number): Port {
    while (this.ports.length <= number) this.ports.push(new Port(this.s, this.ports.length, this.rows.row(this.ports.length)));
    return this.ports[number];
  }

  /** A port by a guest's number, undefined if there is none. Those beyond what the format can have are there all the same, and free. */
  find(number: number): Port | undefined {
    return number < this.valid ? this.port(number) : undefined;
  }

  /** How many ports are given out. */
  active(): number {
    let sum = 0;
    for (let number = 0; number < this.valid; number++) if (this.port(number).usable) sum++;
    return sum;
  }

  /** Where a reset that was preempted goes on, 0: none is under way. */
  get nextReset(): number { return this.word(DOMAIN_NEXT_RESET); }
  set nextReset(number: number) { this.put(DOMAIN_NEXT_RESET, number); }

  /** @param busy - is the port still in a queue of the guest's? @returns the lowest free port, or -XEN_E* */
  allocate(busy: (port: Port) => boolean = () => false): number {
    if (this.word(DOMAIN_DYING) !== 0) return -XEN_EINVAL;
    const { highest } = this;
    for (let number = 0; number <= highest; number++) {
      const rc = this.take(number, busy);
      if (rc === 0) return number;
      if (rc !== -XEN_EBUSY) return rc;
    }
    return -XEN_ENOSPC;
  }

  private take(number: number, busy: (port: Port) => boolean): number {
    if (number >= this.most) return -XEN_ENOSPC;
    const port = this.find(number), { valid } = this;
    if (port) return port.state !== ECS_FREE || busy(port) ? -XEN_EBUSY : 0;
    if (!this.rows.reserve(valid + PORTS_PER_BUCKET)) return -XEN_ENOMEM;
    for (let n = valid; n < valid + PORTS_PER_BUCKET; n++) this.s.w[this.rows.row(n) + (PORT_QUEUE >>> 2)] = DEFAULT_PRIORITY;
    this.put(DOMAIN_PORTS_VALID, valid + PORTS_PER_BUCKET);
    return 0;
  }

  /** Port that a VIRQ is bound to, 0: none. */
  virqPort(vcpu: number, virq: number): number {
    return this.s.w[this.vcpus.row(vcpu) + (GUEST_VIRQS >>> 2) + virq];
  }

  setVirqPort(vcpu: number, virq: number, port: number): void {
    this.s.w[this.vcpus.row(vcpu) + (GUEST_VIRQS >>> 2) + virq] = port;
  }

  /** VIRQs that are bound. */
  boundVirqs(): { vcpu: number; virq: number; port: number }[] {
    const bound = [];
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) {
      for (let virq = 0; virq < VIRQS; virq++) {
        const port = this.virqPort(vcpu, virq);
        if (port !== 0) bound.push({ vcpu, virq, port });
      }
    }
    return bound;
  }

  /** Word index of a vCPU's vcpu_info where it was registered elsewhere than in the shared info; -1: it was not. */
  infoAt(vcpu: number): number {
    const { w } = this.s, at = this.blocks[vcpu] ?? this.lookAtBlock(vcpu);
    return w[at + (GUEST_INFO_FRAME >>> 2)] < 0 ? NONE : w[at + (GUEST_INFO >>> 2)] >>> 2;
  }

  private lookAtBlock(vcpu: number): number {
    while (this.blocks.length <= vcpu) this.blocks.push(this.vcpus.row(this.blocks.length));
    return this.blocks[vcpu];
  }

  /** @param mfn - the frame it is in @param info - word index */
  setInfo(vcpu: number, mfn: number, info: number): void {
    const at = this.vcpus.row(vcpu), { w } = this.s;
    w[at + (GUEST_INFO_FRAME >>> 2)] = mfn;
    w[at + (GUEST_INFO >>> 2)] = info << 2;
  }

  /** Frames of vcpu_infos that were registered, by vCPU. */
  infoFrames(): number[] {
    return Array.from({ length: this.vcpus.capacity }, (_, vcpu) => this.s.w[this.vcpus.row(vcpu) + (GUEST_INFO_FRAME >>> 2)]).filter(mfn => mfn >= 0);
  }

  /** None is registered any more. */
  clearInfos(): void {
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) this.setInfo(vcpu, NONE, 0);
  }

  /** Is the FIFO format in use? */
  get isFifo(): boolean { return this.s.w[this.domain + (DOMAIN_FIFO >>> 2)] !== 0; }

  /** The FIFO format, if the domain switched to it: frames of its event array, a view of the list of them. */
  get fifo(): Int32Array | undefined {
    if (!this.isFifo) return undefined;
    const at = this.domain + (DOMAIN_FIFO_LIST >>> 2);
    return this.s.w.subarray(at, at + this.word(DOMAIN_FIFO_FRAMES));
  }

  /** Frame of the event array that a port's word is in; -1: there is none. */
  fifoFrame(index: number): number {
    return index < this.word(DOMAIN_FIFO_FRAMES) ? this.s.w[this.domain + (DOMAIN_FIFO_LIST >>> 2) + index] : NONE;
  }

  addFifoFrame(mfn: number): void {
    const n = this.word(DOMAIN_FIFO_FRAMES);
    this.s.w[this.domain + (DOMAIN_FIFO_LIST >>> 2) + n] = mfn;
    this.put(DOMAIN_FIFO_FRAMES, n + 1);
  }

  /** FIFO state of a vCPU that the domain may have. */
  fifoVcpu(vcpu: number): FifoVcpu {
    while (this.fifos.length <= vcpu) this.fifos.push(new FifoVcpu(this.s, this.vcpus.row(this.fifos.length)));
    return this.fifos[vcpu];
  }

  /** ... of all those that may be. */
  fifoVcpus(): FifoVcpu[] {
    return Array.from({ length: this.vcpus.capacity }, (_, vcpu) => this.fifoVcpu(vcpu));
  }

  startFifo(): void {
    this.put(DOMAIN_FIFO, 1);
  }

  /** Back to two levels: nothing is known of queues and frames any more. */
  endFifo(): void {
    this.put(DOMAIN_FIFO, 0);
    this.put(DOMAIN_FIFO_FRAMES, 0);
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) {
      const at = this.vcpus.row(vcpu), { w } = this.s;
      w[at + (GUEST_FIFO_FRAME >>> 2)] = w[at + (GUEST_FIFO_CONTROL >>> 2)] = NONE;
      w.fill(0, at + (GUEST_FIFO_TAILS >>> 2), at + (GUEST_VIRQS >>> 2));
    }
  }

  /** Let go of everything, with the domain. */
  clear(): void {
    this.rows.clear();
    this.ports.length = 0;
    this.pirqs.clear();
    this.put(DOMAIN_PORTS_VALID, 0);
  }
}
