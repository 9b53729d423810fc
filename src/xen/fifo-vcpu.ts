/** What the hypervisor knows of a vCPU's queues of FIFO event channels: words of the vCPU's block, by name. */
import { GUEST_FIFO_CONTROL, GUEST_FIFO_FRAME, GUEST_FIFO_TAILS } from '../layout/guest-vcpu.ts';
import type { Views } from '../memory/views.ts';

export class FifoVcpu {
  /** Word index of the vCPU's block. */
  readonly at: number;
  private readonly s: Views;

  constructor(s: Views, at: number) {
    this.s = s;
    this.at = at;
  }

  /** Frame of the control block; -1: none. */
  get frame(): number { return this.s.w[this.at + (GUEST_FIFO_FRAME >>> 2)]; }

  /** Word index of the control block; -1: none. */
  get control(): number {
    return this.frame < 0 ? -1 : this.s.w[this.at + (GUEST_FIFO_CONTROL >>> 2)] >>> 2;
  }

  /** @param at - word index of the control block, in frame `mfn` */
  setControl(mfn: number, at: number): void {
    this.s.w[this.at + (GUEST_FIFO_FRAME >>> 2)] = mfn;
    this.s.w[this.at + (GUEST_FIFO_CONTROL >>> 2)] = at << 2;
  }

  /** Last port of a queue, 0 = none. */
  tail(priority: number): number { return this.s.w[this.at + (GUEST_FIFO_TAILS >>> 2) + priority]; }
  setTail(priority: number, port: number): void { this.s.w[this.at + (GUEST_FIFO_TAILS >>> 2) + priority] = port; }
}
