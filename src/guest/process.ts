/** A process of a replayed tree: what runs in an address space. */
import { FAULT_REASONS, type FaultReason } from './figures.ts';
import type { Contents } from './contents.ts';
import type { Mm } from './mm.ts';
import type { TracedProcess } from './process-tree.ts';

const GOLDEN = 0x9e3779b1 | 0;

export class Process {
  readonly traced: TracedProcess;
  mm: Mm;
  readonly contents: Contents | undefined;
  readonly faults = Object.fromEntries(FAULT_REASONS.map(reason => [reason, 0])) as Record<FaultReason, number>;
  /** Of every fault: which access, where, why. */
  faultHash = 0;
  /** Accesses made before the batch in progress. */
  accesses = 0;
  /** Not run yet, in the order of their forks. */
  readonly waiting: Process[] = [];

  constructor(traced: TracedProcess, mm: Mm, contents: Contents | undefined) {
    this.traced = traced;
    this.mm = mm;
    this.contents = contents;
  }

  /** Note a fault that the kernel was told of. */
  fault(access: number, address: number, code: number, reason: FaultReason): void {
    this.faults[reason]++;
    for (const value of [access, address / 4096, address, code]) this.faultHash = Math.imul(this.faultHash ^ value, GOLDEN) ^ (this.faultHash >>> 15);
  }

  /** The child that a wait is for, taken off the list. */
  awaited(pid: number | undefined): Process | undefined {
    const at = pid === undefined ? 0 : this.waiting.findIndex(child => child.traced.pid === pid);
    return at < 0 ? undefined : this.waiting.splice(at, 1)[0];
  }
}
