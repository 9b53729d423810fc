/** Sweeps over how often page tables change: a line for each way, and for direct paging one for each way to batch. */
import type { CpuModel } from '../cost/cpu-model.ts';
import { BATCHINGS, crossing, subtract, type CycleAccount } from '../guest/index.ts';
import type { EngineChoice } from '../machine/options.ts';
import { share } from './cause.ts';
import type { Batching, LineTask, SweepLine, SweepPoint, SweepWorkload } from './sweep-line.ts';
import type { GroupPrices } from './standing.ts';
import type { PageSizeName, WayName } from './way.ts';

/** Lines of one workload on one processor. */
export interface Sweep {
  readonly cpu: string;
  readonly pages: PageSizeName;
  readonly workload: SweepWorkload;
  /** What its cycles are made of. */
  readonly prices: readonly GroupPrices[];
  readonly lines: readonly SweepLine[];
}

/** Half decades from a change in 10,000 accesses to one for each. */
const RATES = Array.from({ length: 9 }, (_, k) => Number((10 ** (k / 2 - 4)).toPrecision(2)));

const FORK = 100; // A fork changes thousands of entries, for little each.

/** Updates per access to aim at, for a kind of change. */
export const ratesOf = (change: SweepWorkload['change']): readonly number[] => (change === 'fork' ? RATES.map(rate => rate * FORK) : RATES);

export const SWEEP_DEFAULTS: SweepWorkload = { pattern: 'chase', change: 'protect', workingSet: 8192, batch: 16, accesses: 20_000, rates: RATES };

export interface SweepOptions {
  readonly ways: readonly WayName[];
  readonly cpu: CpuModel;
  readonly pages: PageSizeName;
  readonly workload: SweepWorkload;
  readonly engine: EngineChoice;
  readonly memory: string;
}

/** The lines of a sweep. Direct paging batches by multicall if not told otherwise. */
export function lineTasks({ ways, ...options }: SweepOptions): LineTask[] {
  const others = BATCHINGS.filter(batching => batching !== 'multicall');
  const task = (way: WayName, batching?: Batching): LineTask => ({ kind: 'line', way, batching, ...options });
  return ways.flatMap(way => [task(way), ...(way === 'direct' ? others.map(batching => task(way, batching)) : [])]);
}

/** How two lines lie to each other. */
export interface Crossing {
  /** Where page tables change least often. */
  readonly cheaper: SweepLine;
  readonly other: SweepLine;
  /** Updates per access from which on it is the other way round; undefined: there is no such rate up to the last point. */
  readonly at: number | undefined;
}

/** How two lines of a sweep lie to each other. Where they cost the same at first, what comes then decides. */
export function crossingOf(a: SweepLine, b: SweepLine): Crossing {
  const from = Math.max(0, a.points.findIndex((point, k) => point.cyclesPerAccess !== b.points[k]?.cyclesPerAccess));
  const [cheaper, other] = a.points[from].cyclesPerAccess <= b.points[from].cyclesPerAccess ? [a, b] : [b, a];
  return { cheaper, other, at: crossing(cheaper.points.slice(from), other.points.slice(from)) };
}

/** What is cheapest, of some lines of a sweep, as page tables change more and more often: each up to where the next one is. */
export function cheapest(lines: readonly SweepLine[]): { readonly line: SweepLine; readonly upTo: number | undefined }[] {
  const found: { line: SweepLine; upTo: number | undefined }[] = [];
  const first = (line: SweepLine): number => line.points[0].cyclesPerAccess;
  let line = lines.reduce((best, other) => (first(other) < first(best) ? other : best));
  for (let left = lines.filter(other => other !== line); ;) {
    const next = left.map(other => crossingOf(line, other)).filter(({ cheaper, at }) => at !== undefined && cheaper === line)
      .reduce<Crossing | undefined>((best, pair) => (best === undefined || pair.at! < best.at! ? pair : best), undefined);
    found.push({ line, upTo: next?.at });
    if (next === undefined) return found;
    line = next.other;
    left = left.filter(other => other !== line);
  }
}

/** What an update more costs, by cause: the mean from the first point of a line to the last. */
export function updateCost(line: SweepLine): CycleAccount {
  const [first, last] = ends(line);
  return share(subtract(last.cycles, first.cycles), last.updatesPerAccess - first.updatesPerAccess);
}

/** The first and the last point of a line. */
export const ends = ({ points }: SweepLine): readonly [SweepPoint, SweepPoint] => [points[0], points[points.length - 1]];

/** Lines of the ways as they are by default. */
export const wayLines = ({ lines }: Sweep): readonly SweepLine[] => lines.filter(({ batching }) => batching === undefined);

/** Lines of direct paging, by how they batch: dearest first. */
export function batchingLines({ lines }: Sweep): readonly SweepLine[] {
  const last = (line: SweepLine): number => ends(line)[1].cyclesPerAccess;
  return lines.filter(({ way }) => way === 'direct').sort((a, b) => last(b) - last(a));
}
