/** `pagewalk compare`: a program by several ways to virtualize memory, as tables, JSON, CSV and a page. */
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { compare, type CompareOptions } from '../compare/comparison.ts';
import { SWEEP_DEFAULTS } from '../compare/sweep.ts';
import { PAGE_SIZES, WAYS } from '../compare/way.ts';
import { ProcessTree } from '../guest/index.ts';
import { comparisonCsv } from '../report/compare-csv.ts';
import { compareHtml } from '../report/compare-page.ts';
import { compareTables, outcomeText } from '../report/compare-table.ts';
import { findingsOf } from '../report/findings.ts';
import { cpusOf, engineOf, listOf, memoryOf, threadsOf } from './options.ts';
import { Progress } from './progress.ts';
import { checkWritable, writeReport } from './whole-file.ts';

export const COMPARE_HELP = `pagewalk compare [DIR|FILE] [options]   DIR: traces of a tree of processes, a file each; FILE: a trace, one process
                                        without either: the compilation that comes with pagewalk

  --ways LIST      ${WAYS.join(', ')}                                     [all]
  --cpu LIST       processors: presets (see pagewalk presets) or files like my.json   [zen3]
  --pages LIST     4k, or 2m wherever guest and host can have pages that large        [4k]
  --memory SIZE    of each machine, as 256M                                           [64M]
  --no-sweep       leave out the workloads that show where the ways cross
  --engine NAME    auto, wasm, ts: the same results, in another time                  [auto]
  --jobs N         threads; the same results                                          [1]
  --json           print the results as JSON instead of tables
  --csv            print a row for each cell as CSV instead of tables
  --html FILE      write a report with charts

Exit status 1: processes did not see the same by all ways.`;

const OPTIONS = {
  ways: { type: 'string', default: WAYS.join(',') }, cpu: { type: 'string', default: 'zen3' }, pages: { type: 'string', default: '4k' },
  memory: { type: 'string', default: '64M' }, 'no-sweep': { type: 'boolean', default: false }, engine: { type: 'string', default: 'auto' },
  jobs: { type: 'string', default: '1' }, json: { type: 'boolean', default: false }, csv: { type: 'boolean', default: false }, html: { type: 'string' },
} as const;

/** One sweep with faults between its changes, which come one by one; one whose changes can all be batched. */
const WORKLOADS = [SWEEP_DEFAULTS, { ...SWEEP_DEFAULTS, change: 'guard' }] as const;

/** Relative to this module as built, and as written. */
const BUNDLED = fileURLToPath(new URL('../../test/fixtures/compile/', import.meta.url));

/** @returns exit status: 1 if processes did not see the same */
export async function compareCommand(argv: readonly string[], print: (text: string) => void, tell: (text: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  if (positionals.length > 1) throw new ConfigError('DIR|FILE', 'one folder or trace', positionals);
  if (values.json && values.csv) throw new ConfigError('--csv', 'either --json or --csv', 'both');
  const ways = listOf(values.ways, '--ways', WAYS), cpus = cpusOf(values.cpu), pages = listOf(values.pages, '--pages', PAGE_SIZES);
  const engine = engineOf(values.engine), memory = memoryOf(values.memory), threads = threadsOf(values.jobs), [path = BUNDLED] = positionals;
  await checkWritable(values.html, '--html');
  const progress = new Progress(process.stderr), started = performance.now();
  let comparison;
  try {
    progress.update(0, 1, 'reading traces');
    const tree = await ProcessTree.open(path, engine), workloads = values['no-sweep'] ? [] : WORKLOADS;
    const options: CompareOptions = {
      name: basename(resolve(path)), tree, ways, cpus, pages, workloads, engine, memory, threads, onProgress: (share, doing) => progress.update(share, 1, doing),
    };
    comparison = await compare(options);
  } finally {
    progress.clear();
  }
  const seconds = (performance.now() - started) / 1000;
  if (values.json) print(JSON.stringify({ ...comparison, findings: comparison.groups.map(group => ({ cpu: group.cpu, pages: group.pages, findings: findingsOf(group) })) }, undefined, 2));
  else if (values.csv) print(comparisonCsv(comparison).trimEnd());
  else {
    print(compareTables(comparison));
    print(`${comparison.outcome.cells} cells in ${seconds.toFixed(1)} s.`);
  }
  await writeReport(values.html, () => compareHtml(comparison), values.json || values.csv ? undefined : print);
  if (comparison.outcome.differences.length === 0) return 0;
  if (values.json || values.csv) tell(outcomeText(comparison.outcome).trimEnd());
  return 1;
}
