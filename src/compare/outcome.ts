/** Do processes see the same, whatever is below? */
import type { CellResult } from './cell.ts';
import { wayOf } from './way.ts';

/** What the cells of a comparison agree on, and what not. */
export interface Outcome {
  readonly processes: number;
  readonly cells: number;
  /** In words, with cell and process; empty: all is the same. */
  readonly differences: readonly string[];
}

/**
 * Compare what processes saw: accesses, those that were refused, the memory at their ends; and the faults that their kernels took, where page
 * sizes are the same, which they are not where one way has no large pages. What a cell complains of is a difference, too.
 */
export function outcomeOf(cells: readonly CellResult[]): Outcome {
  const differences: string[] = [], [first] = cells, firstOfSize = new Map<boolean, CellResult>();
  for (const cell of cells) {
    const large = cell.pages === '2m' && wayOf(cell.way).largePages, alike = firstOfSize.get(large) ?? cell;
    firstOfSize.set(large, alike);
    differences.push(...differing(cell, first, ['name', 'accesses', 'refused', 'memory']), ...differing(cell, alike, ['faults']));
    differences.push(...cell.complaints.map(complaint => `${cellName(cell)}: ${complaint}`));
  }
  return { processes: first?.processes.length ?? 0, cells: cells.length, differences: [...new Set(differences)] };
}

/** As `direct on zen3, 4k`. */
const cellName = ({ way, cpu, pages }: Pick<CellResult, 'way' | 'cpu' | 'pages'>): string => `${way} on ${cpu}, ${pages}`;

type Seen = 'name' | 'accesses' | 'refused' | 'memory' | 'faults';

function differing(cell: CellResult, reference: CellResult, seen: readonly Seen[]): string[] {
  if (cell === reference) return [];
  if (cell.processes.length !== reference.processes.length) return [`${cellName(cell)}: ${cell.processes.length} processes, ${reference.processes.length} ${cellName(reference)}`];
  return cell.processes.flatMap((process, k) => {
    const other = reference.processes[k];
    return seen.filter(what => process[what] !== other[what])
      .map(what => `${cellName(cell)}: ${what} of process ${process.name} (${process.pid}): ${process[what]}; ${other[what]} ${cellName(reference)}`);
  });
}
