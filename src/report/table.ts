/** Tables for the terminal: a generic aligned one, and the summary of a replay made of it. */

import type { ReplayRun, TraceSummary } from '../trace/replay-result.ts';
import { bytes, count, fixed, percent, printable } from './number-format.ts';
import {
  cacheLevels, perAccess, referenceHits, referencesPerWalk, sizesInUse, tlbLevel, tlbLevels, tlbMisses,
  translationCycles,
} from './run-figures.ts';

/** A column of a text table. */
export interface TextColumn {
  /** Heading; lines are separated by `\n`, and the last one stands on the rule. */
  readonly heading: string;
  /** `right` for numbers. */
  readonly align: 'left' | 'right';
}

/**
 * Aligned columns, two spaces apart, a rule under the headings.
 *
 * @param rows - one text for each column; missing ones are blank
 * @returns lines without trailing spaces, each ended by `\n`
 */
export function textTable(columns: readonly TextColumn[], rows: readonly (readonly string[])[]): string {
  const headings = columns.map((column) => printableLines(column.heading));
  const cells = rows.map((row) => columns.map((_, c) => printable(row[c] ?? '')));
  const depth = Math.max(1, ...headings.map((lines) => lines.length));
  const widths = columns.map((_, c) => Math.max(
    ...headings[c]!.map(textWidth), ...cells.map((row) => textWidth(row[c]!)),
  ));
  const line = (texts: readonly string[]) => texts
    .map((text, c) => pad(text, widths[c]!, columns[c]!.align)).join('  ').trimEnd();
  const lines: string[] = [];
  for (let d = depth; d > 0; d--) lines.push(line(headings.map((heading) => heading[heading.length - d] ?? '')));
  lines.push(widths.map((width) => '-'.repeat(width)).join('  '));
  for (const row of cells) lines.push(line(row));
  return lines.map((text) => `${text}\n`).join('');
}

/** Everything `pagewalk replay` prints: the trace, a row for each run, and misses by page size. */
export function replayTables({ trace, runs }: { readonly trace: Omit<TraceSummary, 'map'>; readonly runs: readonly ReplayRun[] }): string {
  const parts = [traceHeader(trace)];
  if (runs.length > 0) parts.push(runTable(runs, trace.accesses), sizeTable(runs));
  return parts.join('\n');
}

function traceHeader(trace: Omit<TraceSummary, 'map'>): string {
  const kinds = `${count(trace.loads)} loads, ${count(trace.stores)} stores, ${count(trace.fetches)} fetches`;
  const lines = [
    `Trace     ${printable(trace.name)} (${printable(trace.format)})`,
    `Accesses  ${count(trace.accesses)}: ${kinds}`,
    `Pages     ${count(trace.pages4k)} of 4 KiB touched, ${bytes(trace.pages4k * 4096)}`,
  ];
  const points = fewPoints(trace.workingSet);
  if (points.length > 0) {
    const windows = points.map((point) => `${fixed(point.pages, 1)} in ${count(point.window)}`);
    lines.push(`Working   ${windows.join(', ')}   (average pages in a window of accesses)`);
  }
  if (trace.skipped > 0) lines.push(`Skipped   ${count(trace.skipped)} records`);
  return lines.map((line) => `${line}\n`).join('');
}

/** First, middle and last. */
function fewPoints<T>(points: readonly T[]): readonly T[] {
  const picks = new Set([0, points.length >> 1, points.length - 1]);
  return points.filter((_, i) => picks.has(i));
}

const RUN: readonly TextColumn[] = [
  { heading: 'cpu', align: 'left' },
  { heading: 'pages', align: 'left' },
];

function runTable(runs: readonly ReplayRun[], accesses: number): string {
  const levels = cacheLevels(runs);
  const columns: TextColumn[] = [...RUN, ...[
    'L1 miss\n%', 'L2 miss\n%', 'walks', 'refs\n/walk', ...levels.map((name) => `in ${name}\n%`),
    'cycles/access\ntranslation', '\ntotal',
  ].map((heading): TextColumn => ({ heading, align: 'right' }))];
  const rows = runs.map((run) => [
    run.cpu, run.pages,
    percent(tlbMisses(run, 1), run.translations), percent(tlbMisses(run, 2), run.translations),
    count(run.walks), fixed(referencesPerWalk(run), 2),
    ...levels.map((name) => percent(referenceHits(run, name), run.references)),
    fixed(perAccess(translationCycles(run), accesses)), fixed(perAccess(run.cycles.total, accesses)),
  ]);
  return `${textTable(columns, rows)}Misses in % of translations; "in" says where the walks' references hit.\n`;
}

function sizeTable(runs: readonly ReplayRun[]): string {
  const levels = tlbLevels(runs).slice(0, 2);
  const sizes = sizesInUse(runs);
  const columns: TextColumn[] = [...RUN, ...[
    ...levels.flatMap((level) => sizes.map(([size]) => `L${level} misses\n${size}`)),
    ...sizes.map(([size]) => `mapped\n${size}`), 'tables',
  ].map((heading): TextColumn => ({ heading, align: 'right' }))];
  const rows = runs.map((run) => [
    run.cpu, run.pages,
    ...levels.flatMap((level) => sizes.map(([, s]) => count(tlbLevel(run, level)?.missesBySize[s] ?? NaN))),
    ...sizes.map(([, s]) => count(run.mapped[s])), bytes(run.tableBytes),
  ]);
  return `${textTable(columns, rows)}Misses by the size of the page found, pages mapped by size, paging structures.\n`;
}

function printableLines(text: string): readonly string[] {
  return text.split('\n').map(printable);
}

/** Columns a text takes, one for each code point. */
function textWidth(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const fill = ' '.repeat(width - textWidth(text));
  return align === 'left' ? text + fill : fill + text;
}
