/** Runs as comma-separated values, RFC 4180: a header, then a row for each run; numbers in full, never rounded. */

import type { ReplayResult, ReplayRun, TraceSummary } from '../trace/replay-result.ts';
import { cacheLevels, perAccess, referenceHits, tlbLevel, tlbLevels, translationCycles } from './run-figures.ts';

type Cell = string | number;
type Row = readonly (readonly [column: string, value: Cell])[];

/** A run, and what else a row says of it. */
export interface RunRecord {
  readonly trace: Pick<TraceSummary, 'name' | 'format' | 'accesses' | 'pages4k'>;
  readonly run: ReplayRun;
  /** Columns behind the page size; the same for all records. */
  readonly options?: Row;
}

/** The runs of one or more traces. */
export function replayCsv(results: readonly ReplayResult[]): string {
  return runsCsv(results.flatMap(({ trace, runs }) => runs.map((run) => ({ trace, run }))));
}

/** Columns are the same for all rows; a level that a processor lacks leaves its cells empty. */
export function runsCsv(records: readonly RunRecord[]): string {
  const runs = records.map(({ run }) => run);
  const levels = tlbLevels(runs);
  const caches = cacheLevels(runs);
  const rows = records.map((record) => runRow(record, levels, caches));
  const lines = rows.map((row) => row.map(([, value]) => value));
  const header = rows[0]?.map(([column]) => column) ?? ['trace', 'format', 'accesses', 'cpu', 'pages'];
  return csvText([header, ...lines]);
}

/** Records of RFC 4180: CRLF after each, fields quoted where they have to be. NaN becomes an empty field. */
export function csvText(records: readonly (readonly Cell[])[]): string {
  return records.map((record) => `${record.map(field).join(',')}\r\n`).join('');
}

function field(value: Cell): string {
  const text = typeof value === 'number' && Number.isNaN(value) ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function runRow({ trace, run, options = [] }: RunRecord, levels: readonly number[], caches: readonly string[]): Row {
  const { cycles } = run;
  return [
    ['trace', trace.name], ['format', trace.format], ['accesses', trace.accesses], ['pages_touched_4k', trace.pages4k],
    ['cpu', run.cpu], ['cpu_title', run.cpuTitle], ['clock_ghz', run.clockGHz], ['pages', run.pages],
    ...options,
    ['translations', run.translations],
    ...levels.flatMap((level) => tlbCells(run, level)),
    ['walks', run.walks],
    ...[0, 1, 2, 3, 4, 5].map((depth) => [`walks_of_${depth}`, run.walkDepth[depth] ?? 0] as const),
    ['references', run.references],
    ...caches.map((name) => [`references_in_${name}`, referenceHits(run, name)] as const),
    ['cycles_tlb', cycles.tlb], ['cycles_walk_start', cycles.walkStart], ['cycles_walk_loads', cycles.walkLoads],
    ['cycles_data', cycles.data], ['cycles_total', cycles.total],
    ['translation_cycles_per_access', perAccess(translationCycles(run), trace.accesses)],
    ['total_cycles_per_access', perAccess(cycles.total, trace.accesses)],
    ['mapped_4k', run.mapped[0]], ['mapped_2m', run.mapped[1]], ['mapped_1g', run.mapped[2]],
    ['table_bytes', run.tableBytes],
  ];
}

const TLB_COLUMNS = ['loadHits', 'storeHits', 'fetchHits', 'loadMisses', 'storeMisses', 'fetchMisses'] as const;

function tlbCells(run: ReplayRun, level: number): Row {
  const counts = tlbLevel(run, level);
  const plain: Row = TLB_COLUMNS.map((name) => {
    const column = name.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`);
    return [`l${level}_${column}`, counts?.[name] ?? NaN];
  });
  const bySize: Row = ['4k', '2m', '1g'].map((size, s) => [`l${level}_misses_${size}`, counts?.missesBySize[s] ?? NaN]);
  return [...plain, ...bySize];
}
