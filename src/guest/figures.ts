/** What a kernel did, counted. */

/** Why a fault was taken: what the kernel did about it. */
export const FAULT_REASONS = [
  'demandZero', //  a page of zeroes of its own
  'zeroPage', //    the page of zeroes that all share, for a load
  'file', //        a page of a file, as it is
  'fileCopy', //    a private copy of one, for a store
  'copy', //        copy on write
  'reuse', //       copy on write with nobody left to share with: made writable
  'swapIn',
  'spurious', //    the access is permitted by now
  'refused', //     no area, or none that permits it: the process gets a signal
] as const;
export type FaultReason = (typeof FAULT_REASONS)[number];

export class Figures {
  readonly faults = Object.fromEntries(FAULT_REASONS.map(reason => [reason, 0])) as Record<FaultReason, number>;
  readonly systemCalls: Record<string, number> = {};
  accesses = 0;
  contextSwitches = 0;
  forks = 0;
  execs = 0;
  exits = 0;
  /** Pages mapped besides the one that faulted. */
  mappedAround = 0;
  /** Pages that fork made both processes share. */
  shared = 0;
  promotions = 0;
  splits = 0;
  evictions = 0;
  /** Pages that came back after so many other evictions, by powers of two: [0] at once, [k] below 2^k. */
  readonly refaults: number[] = [];
  /** Level-1 entries changed by system calls and faults. */
  entries = 0;

  countCall(name: string): void {
    this.systemCalls[name] = (this.systemCalls[name] ?? 0) + 1;
  }

  countRefault(distance: number): void {
    const at = distance === 0 ? 0 : Math.floor(Math.log2(distance)) + 1;
    while (this.refaults.length <= at) this.refaults.push(0);
    this.refaults[at]++;
  }
}
