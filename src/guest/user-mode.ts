/** Processes at work: accesses in user mode, and the kernel's doing where they fault. */
import { invariant } from '../errors.ts';
import type { AccessColumns } from '../machine/columns.ts';
import type { Contents } from './contents.ts';
import { handleFault } from './fault.ts';
import type { FaultReason } from './figures.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';

const MOST_FAULTS = 16; // that one access may take: two pages, each mapped, swapped and copied

/** Told of a fault. @param at - index of the access in its columns @param code - of the fault */
export type FaultSink = (at: number, address: number, code: number, reason: FaultReason) => void;

export class UserMode {
  private readonly k: Kernel;
  private inUser = false;

  constructor(k: Kernel) {
    this.k = k;
  }

  /** The process calls its kernel, having returned from what it did there before: what follows is the kernel's. */
  call(): void {
    this.enter();
    this.leave();
  }

  /** The process ends. @returns true: by a call that nobody recorded */
  stop(): boolean {
    if (!this.inUser) return false;
    this.leave();
    return true;
  }

  /** Make accesses `from` up to `to` in the address space that runs. One that is refused is passed over. */
  run(mm: Mm, columns: AccessColumns, from: number, to: number, contents: Contents | undefined, tell: FaultSink): void {
    const { k } = this, { p } = k;
    let again = 0;
    for (let at = from; at < to;) {
      this.enter();
      const done = p.run(columns, at, to);
      contents?.transfer(k, mm, columns, at, done);
      again = done > at ? 0 : again + 1;
      at = done;
      if (at === to) break;
      invariant(again < MOST_FAULTS, 'an access goes on after its faults');
      this.leave();
      const { faultAddress, faultCode } = p, reason = handleFault(k, mm, faultAddress, faultCode);
      tell(at, faultAddress, faultCode, reason);
      if (reason === 'refused') at++;
    }
    k.figures.accesses += to - from;
  }

  private enter(): void {
    if (this.inUser) return;
    this.inUser = true;
    this.k.p.leaveKernel();
  }

  private leave(): void {
    this.inUser = false;
    this.k.p.enterKernel();
  }
}
