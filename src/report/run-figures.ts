/** What the reports derive from the counts of one run. A figure that does not exist is NaN and prints as a dash. */

import type { ReplayRun, TlbCounts } from '../trace/replay-result.ts';
import { printable } from './number-format.ts';

/** The name of a run in every table and chart: `skylake 4k`. */
export function runLabel(run: ReplayRun): string {
  return printable(`${run.cpu} ${run.pages}`);
}

/** The counts of one TLB level, if the processor has it. */
export function tlbLevel(run: ReplayRun, level: number): TlbCounts | undefined {
  return run.tlb.find((counts) => counts.level === level);
}

/** Misses of all kinds at a TLB level; NaN without that level. */
export function tlbMisses(run: ReplayRun, level: number): number {
  const counts = tlbLevel(run, level);
  return counts === undefined ? NaN : counts.loadMisses + counts.storeMisses + counts.fetchMisses;
}

/** Memory references that an average walk made. */
export function referencesPerWalk(run: ReplayRun): number {
  return run.walks === 0 ? NaN : run.references / run.walks;
}

/** Cycles spent on translation: everything but the data accesses. */
export function translationCycles(run: ReplayRun): number {
  return run.cycles.tlb + run.cycles.walkStart + run.cycles.walkLoads;
}

/** How many walk references hit at a cache level; NaN if the processor has none of that name. */
export function referenceHits(run: ReplayRun, where: string): number {
  return run.referenceHits.find((hits) => hits.where === where)?.count ?? NaN;
}

/** Cache levels of all runs, nearest first, `memory` last. */
export function cacheLevels(runs: readonly ReplayRun[]): readonly string[] {
  const names = new Set(runs.flatMap((run) => run.referenceHits.map((hits) => hits.where)));
  const hadMemory = names.delete('memory');
  return hadMemory ? [...names, 'memory'] : [...names];
}

/** TLB levels of the deepest processor. */
export function tlbLevels(runs: readonly ReplayRun[]): readonly number[] {
  return [...new Set(runs.flatMap((run) => run.tlb.map((counts) => counts.level)))].sort((a, b) => a - b);
}

/** Average over the accesses of the trace; NaN for an empty trace. */
export function perAccess(amount: number, accesses: number): number {
  return accesses > 0 ? amount / accesses : NaN;
}

/** Page sizes, and their places in `BySize`, that some run mapped or missed. */
export function sizesInUse(runs: readonly ReplayRun[]): readonly (readonly [name: string, index: 0 | 1 | 2])[] {
  return ([['4k', 0], ['2m', 1], ['1g', 2]] as const).filter(([, index]) => runs.some((run) =>
    run.mapped[index] > 0 || run.tlb.some((counts) => counts.missesBySize[index] > 0)));
}
