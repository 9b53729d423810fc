/** One line of a sweep: a workload by a way, with more and more changes of page tables between its accesses. Tasks and results are plain data. */
import { ConfigError, invariant } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { Workload, type BATCHINGS, type CHANGES, type CycleAccount, type PATTERNS, type RatePoint } from '../guest/index.ts';
import type { EngineChoice } from '../machine/options.ts';
import { share } from './cause.ts';
import { buildOf, type PageSizeName, type WayName } from './way.ts';

export type Batching = (typeof BATCHINGS)[number];

/** What is swept. */
export interface SweepWorkload {
  readonly pattern: (typeof PATTERNS)[number];
  readonly change: (typeof CHANGES)[number];
  /** Pages that the accesses go over. */
  readonly workingSet: number;
  /** Pages of a change. */
  readonly batch: number;
  /** Accesses of a point, and as many as a change comes after; fewer where that would be tens of thousands of updates. */
  readonly accesses: number;
  /** Updates per access that are aimed at, in rising order. */
  readonly rates: readonly number[];
}

export interface LineTask {
  readonly kind: 'line';
  readonly way: WayName;
  /** How `direct` batches, if not as it does by default. */
  readonly batching: Batching | undefined;
  readonly cpu: CpuModel;
  readonly pages: PageSizeName;
  readonly workload: SweepWorkload;
  readonly engine: EngineChoice;
  readonly memory: string;
}

/** What the workload cost at a rate of changes. */
export interface SweepPoint extends RatePoint {
  /** By cause, for an access. */
  readonly cycles: CycleAccount;
  /** Of them those that rest on estimated prices. */
  readonly estimated: CycleAccount;
}

export interface SweepLine {
  readonly kind: 'line';
  /** The way; of direct paging with another batching, with it: `direct unbatched`. */
  readonly name: string;
  readonly way: WayName;
  readonly batching: Batching | undefined;
  readonly points: readonly SweepPoint[];
}

const ENOUGH_UPDATES = 20_000; // of a point, where that is more than one change

const MOST_INTERVAL = 2 ** 25; //  accesses between two changes: some ten seconds of a point

/**
 * Run all points of a line, on one machine.
 *
 * @param onProgress - told how much is done, up to 1 @throws ConfigError - an option; a rate that would take too many accesses; or too little memory
 */
export function runLine(task: LineTask, onProgress: (share: number) => void): SweepLine {
  const { way, batching, cpu, pages, engine, memory, workload: { rates, accesses: least, ...what } } = task;
  const workload = new Workload({ ...buildOf(way, cpu, pages), ...(batching && { policy: { batching } }), ...what, engine, memory });
  workload.stretch(2, 1); // the first change is like no other: it splits large pages, and what was cached and shadowed of them is made anew
  workload.lap();
  const updates = 2 * workload.stretch(2, 1).updatesPerAccess; // of one change
  invariant(updates > 0, 'a change of a workload changes entries');
  checkRate(rates[0], updates);
  const points = rates.map((rate, k): SweepPoint => {
    const interval = Math.max(1, Math.round(updates / rate)), accesses = Math.min(Math.ceil(least / interval), Math.ceil(ENOUGH_UPDATES / updates)) * interval + 1;
    const { updatesPerAccess, cyclesPerAccess, measured, estimated } = workload.stretch(accesses, interval);
    onProgress((k + 1) / rates.length);
    return { updatesPerAccess, cyclesPerAccess, cycles: share(measured, accesses), estimated: share(estimated, accesses) };
  });
  const { complaints } = workload.end();
  invariant(complaints.length === 0, complaints.join('; '));
  return { kind: 'line', name: batching === undefined ? way : `${way} ${batching}`, way, batching, points };
}

/** @param rate - the lowest @param updates - of one change @throws ConfigError - that many accesses nobody waits for */
function checkRate(rate: number, updates: number): void {
  const least = updates / MOST_INTERVAL, shown = Number((least * 1.005).toPrecision(3)); // rounded up
  if (!(rate >= least)) throw new ConfigError('rates', `${shown} or more, where a change has ${updates} updates: it comes every ${MOST_INTERVAL} accesses at most`, rate);
}
