/** `pagewalk crossover`: what the ways to virtualize memory cost as page tables change more and more often. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { sweepAll } from '../compare/comparison.ts';
import { ratesOf, SWEEP_DEFAULTS } from '../compare/sweep.ts';
import type { SweepWorkload } from '../compare/sweep-line.ts';
import { PAGE_SIZES, WAYS } from '../compare/way.ts';
import { CHANGES, PATTERNS } from '../guest/index.ts';
import { sweepsCsv } from '../report/compare-csv.ts';
import { crossoverHtml } from '../report/compare-page.ts';
import { crossoverFinding } from '../report/crossover-finding.ts';
import { crossoverTables } from '../report/compare-table.ts';
import { cpusOf, engineOf, integerOf, listOf, memoryOf, oneOf, threadsOf } from './options.ts';
import { Progress } from './progress.ts';
import { checkWritable, writeReport } from './whole-file.ts';

const { pattern, change, workingSet, batch, accesses, rates } = SWEEP_DEFAULTS;

export const CROSSOVER_HELP = `pagewalk crossover [options]         a synthetic process changes its page tables more and more often: where the ways cross

  --ways LIST      ${WAYS.join(', ')}                                     [all]
  --cpu LIST       processors: presets (see pagewalk presets) or files like my.json   [zen3]
  --pages LIST     4k, or 2m wherever guest and host can have pages that large        [4k]
  --pattern NAME   chase (loads in random order), stream (stores in order)            [${pattern}]
  --change LIST    protect (and store again), guard (no fault between), map, fork     [${change}]
  --working-set N  pages that the accesses go over                                    [${workingSet}]
  --batch N        pages of a change by map; by protect and guard, of those above     [${batch}]
  --rates LIST     updates per access that are aimed at                               [${rates[0]} to ${rates.at(-1)}; of fork 100 times that]
  --accesses N     accesses of a point, and up to the first change                    [${accesses}]
  --memory SIZE    of each machine, as 256M                                           [64M]
  --engine NAME    auto, wasm, ts: the same results, in another time                  [auto]
  --jobs N         threads; the same results                                          [1]
  --json           print the results as JSON instead of tables
  --csv            print a row for each point as CSV instead of tables
  --html FILE      write a report with charts`;

const OPTIONS = {
  ways: { type: 'string', default: WAYS.join(',') }, cpu: { type: 'string', default: 'zen3' }, pages: { type: 'string', default: '4k' },
  pattern: { type: 'string', default: pattern }, change: { type: 'string', default: change }, 'working-set': { type: 'string', default: String(workingSet) },
  batch: { type: 'string', default: String(batch) }, rates: { type: 'string' }, accesses: { type: 'string', default: String(accesses) },
  memory: { type: 'string', default: '64M' }, engine: { type: 'string', default: 'auto' }, jobs: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false }, csv: { type: 'boolean', default: false }, html: { type: 'string' },
} as const;

const MOST_PAGES = 2 ** 18;
const MOST_ACCESSES = 2 ** 40;

/** @returns exit status */
export async function crossoverCommand(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.json && values.csv) throw new ConfigError('--csv', 'either --json or --csv', 'both');
  const options = {
    ways: listOf(values.ways, '--ways', WAYS), cpus: cpusOf(values.cpu), pages: listOf(values.pages, '--pages', PAGE_SIZES), workloads: workloadsOf(values),
    engine: engineOf(values.engine), memory: memoryOf(values.memory), threads: threadsOf(values.jobs),
  };
  await checkWritable(values.html, '--html');
  const progress = new Progress(process.stderr);
  let sweeps;
  try {
    sweeps = await sweepAll({ ...options, onProgress: (share, doing) => progress.update(share, 1, doing) });
  } finally {
    progress.clear();
  }
  if (values.json) print(JSON.stringify(sweeps.map(sweep => ({ ...sweep, findings: crossoverFinding([sweep]) })), undefined, 2));
  else if (values.csv) print(sweepsCsv(sweeps).trimEnd());
  else {
    print(crossoverTables(sweeps).trimEnd());
  }
  await writeReport(values.html, () => crossoverHtml(sweeps), values.json || values.csv ? undefined : print);
  return 0;
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** @throws ConfigError - an option that cannot be */
function workloadsOf(values: Values): SweepWorkload[] {
  const each = {
    pattern: oneOf(values.pattern, '--pattern', PATTERNS), workingSet: integerOf(values['working-set'], '--working-set', 1, MOST_PAGES),
    batch: integerOf(values.batch, '--batch', 1, MOST_PAGES), accesses: integerOf(values.accesses, '--accesses', 1, MOST_ACCESSES),
  };
  const given = values.rates === undefined ? undefined : ratesIn(values.rates);
  return listOf(values.change, '--change', CHANGES).map(name => ({ ...each, change: name, rates: given ?? ratesOf(name) }));
}

const LEAST_RATE = 1e-7;
const MOST_RATE = 1000;

function ratesIn(text: string): number[] {
  const list = text.split(',').map(part => (/^\s*[\d.]+(?:e-?\d+)?\s*$/i.test(part) ? Number(part) : NaN));
  const rising = list.every((rate, k) => rate >= LEAST_RATE && rate <= MOST_RATE && (k === 0 || rate > list[k - 1]));
  if (list.length < 2 || !rising) throw new ConfigError('--rates', `two or more rising numbers from ${LEAST_RATE} to ${MOST_RATE}, with commas`, text);
  return list;
}
