/** `pagewalk merge FILE...`: the results of the parts of a sweep as one, in the order of the plan. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError, InputError } from '../errors.ts';
import { runsCsv } from '../report/csv.ts';
import { replayTables } from '../report/table.ts';
import type { SweepLine } from '../sweep/line.ts';
import { mergeResults, type Merged } from '../sweep/merge.ts';
import { cellCount } from './cell-count.ts';
import { grouped } from './grouped.ts';
import { packageVersion } from './version.ts';
import { writeWhole } from './whole-file.ts';

export const MERGE_HELP = `pagewalk merge FILE... [options]     FILE: results of a sweep or a part of it

One of these:
  --out FILE       write all lines, in the order of the plan; - for standard output
  --table          print tables, one for each trace and its options
  --csv            print a row for each cell as CSV

Exit status 1 if cells of the plan are missing; they are named.`;

/** @returns exit status: 1 if cells are missing */
export async function mergeCommand(argv: readonly string[], print: (text: string) => void, tell: (text: string) => void): Promise<number> {
  const { values, positionals: files } = parseArgs({
    args: [...argv], allowPositionals: true,
    options: { out: { type: 'string' }, table: { type: 'boolean', default: false }, csv: { type: 'boolean', default: false } },
  });
  if (files.length === 0) throw new ConfigError('FILE', 'one file of results or more', undefined);
  const forms = ['out', 'table', 'csv'] as const, chosen = forms.filter(form => values[form] !== undefined && values[form] !== false);
  if (chosen.length !== 1) throw new ConfigError('options', 'one of --out FILE, --table and --csv', chosen.map(form => `--${form}`).join(' and ') || undefined);
  const merged = mergeResults(files.map(name => ({ name, text: readText(name) })), packageVersion());
  const lines = merged.lines.map(found => found.line);
  if (values.table) print(tables(lines));
  else if (values.csv) print(csv(lines));
  else if (values.out === '-') print(text(merged).trimEnd());
  else if (values.out !== undefined) {
    await writeWhole(values.out, '--out', text(merged));
    print(`${values.out}: ${lines.length} of ${cellCount(merged.of)}`);
  }
  if (merged.missing.length > 0) tell(`pagewalk: ${merged.missing.length} of ${cellCount(merged.of)} ${merged.missing.length === 1 ? 'is' : 'are'} missing: ${ranges(merged.missing)}`);
  return merged.missing.length > 0 ? 1 : 0;
}

const text = (merged: Merged): string => merged.lines.map(found => found.text).join('');

function readText(name: string): string {
  try {
    return readFileSync(name, 'utf8');
  } catch (error) {
    throw new InputError(name, 'open', 'a file of results', (error as NodeJS.ErrnoException).code ?? String(error));
  }
}

function csv(lines: readonly SweepLine[]): string {
  return runsCsv(lines.map(({ trace, options, run }) => ({
    trace, run: { ...run, series: [] }, options: [['data', String(options.data)], ['nodes', options.nodes], ['numa', options.numa]],
  }))).trimEnd();
}

/** A table for each reading of a trace: the cells with the same trace and options are neighbours. */
function tables(lines: readonly SweepLine[]): string {
  const readings = grouped(lines, ({ trace, options }) => JSON.stringify([trace.name, options]));
  return readings.map(same => {
    const [{ trace, options: { data, nodes, numa } }] = same;
    const options = `Options   ${data ? 'with' : 'without'} the accesses themselves, ${nodes === 1 ? 'one node' : `${nodes} nodes, ${numa}`}\n`;
    return options + replayTables({ trace, runs: same.map(({ run }) => ({ ...run, series: [] })) });
  }).join('\n\n').trimEnd();
}

/** `3, 5-7`: numbers, ascending. */
function ranges(numbers: readonly number[]): string {
  const found: [first: number, last: number][] = [];
  for (const n of numbers) {
    const last = found.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(', ');
}
