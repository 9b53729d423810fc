/** What results would be if all estimated prices were others: cycles are counts times prices, and nothing has to be run again. */
import { totalCycles, type CycleAccount } from '../guest/index.ts';
import type { CellResult } from './cell.ts';
import { crossingOf } from './sweep.ts';
import type { SweepLine } from './sweep-line.ts';

/** By how much estimates may be wrong: half and double. */
export const FACTORS = [0.5, 2] as const;

/** An account with its estimated part at another price. */
function scaled(cycles: CycleAccount, estimated: CycleAccount, factor: number): CycleAccount {
  return Object.fromEntries(Object.entries(cycles).map(([cause, all]) => [cause, all + (factor - 1) * estimated[cause as keyof CycleAccount]])) as unknown as CycleAccount;
}

/** A cell with all estimated prices times a factor. */
export function cellAt(cell: CellResult, factor: number): CellResult {
  const cycles = scaled(cell.cycles, cell.estimated, factor);
  return { ...cell, cycles, total: totalCycles(cycles), estimated: scaled(cell.estimated, cell.estimated, factor) };
}

/** A line with all estimated prices times a factor. */
export function lineAt(line: SweepLine, factor: number): SweepLine {
  return {
    ...line, points: line.points.map(point => {
      const cycles = scaled(point.cycles, point.estimated, factor);
      return { ...point, cycles, cyclesPerAccess: totalCycles(cycles), estimated: scaled(point.estimated, point.estimated, factor) };
    }),
  };
}

/** How much of all cycles rests on estimated prices, from 0 to 1. */
export function estimatedShare({ estimated, total }: Pick<CellResult, 'estimated' | 'total'>): number {
  return total > 0 ? totalCycles(estimated) / total : 0;
}

/** How two lines lie to each other, with estimated prices as they are and times each factor. */
export interface CrossingRange {
  /** Does the same line start as the cheaper one, and cross or not cross, each time? */
  readonly same: boolean;
  /** The crossing: with the prices as they are, and times each of `FACTORS`; undefined where there is none. */
  readonly at: readonly (number | undefined)[];
  /** Which of the two is cheaper where tables change least often, in the same order. */
  readonly cheaper: readonly string[];
}

/** How the crossing of two lines depends on estimates. */
export function crossingRange(a: SweepLine, b: SweepLine): CrossingRange {
  const crossings = [1, ...FACTORS].map(factor => crossingOf(lineAt(a, factor), lineAt(b, factor)));
  const at = crossings.map(crossing => crossing.at), cheaper = crossings.map(crossing => crossing.cheaper.name);
  return { at, cheaper, same: cheaper.every(name => name === cheaper[0]) && at.every(rate => (rate === undefined) === (at[0] === undefined)) };
}
