/** Comparisons and sweeps as comma-separated values: a row for each cell, or for each point. */

import type { CellResult } from '../compare/cell.ts';
import type { Comparison } from '../compare/comparison.ts';
import type { Sweep } from '../compare/sweep.ts';
import { csvText } from './csv.ts';

type Row = readonly (readonly [column: string, value: string | number])[];

/** A row for each cell, numbers in full. */
export function comparisonCsv({ name, groups }: Comparison): string {
  return table(groups.flatMap(({ cells }) => cells.map((cell) => cellRow(name, cell))));
}

/** A row for each point of each line. */
export function sweepsCsv(sweeps: readonly Sweep[]): string {
  return table(sweeps.flatMap(({ cpu, pages, workload: { pattern, change, workingSet, batch }, lines }) => lines.flatMap(({ name, points }) => points.map((point): Row => [
    ['cpu', cpu], ['pages', pages], ['pattern', pattern], ['change', change], ['working_set', workingSet], ['batch', batch], ['line', name],
    ['updates_per_access', point.updatesPerAccess], ['cycles_per_access', point.cyclesPerAccess], ...columns('cycles', point.cycles),
  ]))));
}

function table(rows: readonly Row[]): string {
  return csvText([(rows[0] ?? []).map(([column]) => column), ...rows.map((row) => row.map(([, value]) => value))]);
}

function cellRow(name: string, cell: CellResult): Row {
  return [
    ['program', name], ['cpu', cell.cpu], ['pages', cell.pages], ['way', cell.way], ['accesses', cell.accesses], ...columns('cycles', cell.cycles),
    ['cycles_total', cell.total], ['tlb_misses', cell.misses], ['references_guest', cell.references.guest], ['references_host', cell.references.host],
    ['entries_changed', cell.entries], ...columns('faults', cell.faults),
    ['exits', (cell.hypervisor?.exits ?? []).reduce((sum, exit) => sum + exit.count, 0)],
  ];
}

function columns(prefix: string, numbers: object): Row {
  return Object.entries(numbers).map(([name, value]) => [`${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`, value as number] as const);
}
