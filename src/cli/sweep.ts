/** `pagewalk sweep PLAN`: a cross product of traces, processors and page sizes, as lines of JSON. */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { textTable } from '../report/table.ts';
import type { Cell } from '../sweep/cell.ts';
import { checkPlan, type SweepPlan } from '../sweep/plan.ts';
import type { Shard } from '../sweep/shard.ts';
import { shardCells, sweep, type SweepOutcome } from '../sweep/sweep.ts';
import { WorkerError } from '../trace/worker-pool.ts';
import { cellCount } from './cell-count.ts';
import { grouped } from './grouped.ts';
import { readJson } from './json-file.ts';
import { engineOf, readModel, threadsOf } from './options.ts';
import { Progress } from './progress.ts';
import { packageVersion } from './version.ts';

export const SWEEP_HELP = `pagewalk sweep PLAN [options]        PLAN: a JSON file; its cells are all combinations of its lists

  --out FILE       results, a line of JSON for each cell; a file begun before is      [beside PLAN: NAME.jsonl,
                   continued: only the cells that it lacks are done                   of a part NAME.2of4.jsonl]
  --jobs N         threads; the same results                                          [1]
  --engine NAME    auto, wasm, ts: the same results, in another time                  [auto]
  --shard I/N      only part I of N: neighbouring cells, traces of about 1/N of all bytes
  --list           print the cells and stop

Fields of a plan:
  traces           files, relative to the plan, or objects { "file", "name", "format" }; needed
  cpus             presets or files like my.json; needed
  pages            4k, 2m, 1g, thp (4k, promoted to 2m when an eighth is touched)     ["4k"]
  data             true, false: price the accesses themselves too                     [false]
  nodes, numa      NUMA nodes 1 to 8; first-touch, interleave                         [1] ["first-touch"]
  limit            stop each replay after so many accesses                            [at its end]
  skipBad          true: pass over malformed records                                  [false]

pagewalk merge joins the results of parts.`;

const OPTIONS = {
  out: { type: 'string' }, jobs: { type: 'string', default: '1' }, engine: { type: 'string', default: 'auto' },
  shard: { type: 'string' }, list: { type: 'boolean', default: false },
} as const;

/** @returns exit status: 2 if some cells could not be done, 3 if a thread died */
export async function sweepCommand(argv: readonly string[], print: (text: string) => void, tell: (text: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  if (positionals.length !== 1) throw new ConfigError('PLAN', 'one JSON file', positionals.length === 0 ? undefined : positionals);
  const [name] = positionals, threads = threadsOf(values.jobs), engine = engineOf(values.engine);
  const shard = values.shard === undefined ? undefined : shardOf(values.shard);
  const plan = checkPlan(readJson(name, 'a plan'), { name, folder: dirname(name), readCpu: readModel });
  if (values.list) {
    print(cellTable(shardCells(plan, shard)));
    return 0;
  }
  const out = values.out ?? defaultOut(name, shard);
  if (out === '-') throw new ConfigError('--out', 'a file, which can be read again', out);
  const progress = new Progress(process.stderr), started = performance.now();
  let outcome;
  try {
    outcome = await sweep(plan, {
      version: packageVersion(), out, threads, engine, shard, onProgress: ({ done, total, doing }) => progress.update(done, total, doing),
    });
  } finally {
    progress.clear();
  }
  print(summary(out, plan, outcome, shard, (performance.now() - started) / 1000));
  return failed(outcome, tell);
}

function shardOf(text: string): Shard {
  const [, part, parts] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
  if (!(part >= 1 && part <= parts)) throw new ConfigError('--shard', 'I/N with I from 1 to N, as 2/4', text);
  return { part, parts };
}

function defaultOut(plan: string, shard: Shard | undefined): string {
  return `${plan.replace(/\.json$/i, '')}${shard ? `.${shard.part}of${shard.parts}` : ''}.jsonl`;
}

function cellTable(cells: readonly Cell[]): string {
  const columns = ['cell', 'trace', 'cpu', 'pages', 'data', 'nodes', 'numa'].map(heading => ({ heading, align: 'left' as const }));
  return textTable(columns, cells.map(c => [c.place + 1, c.trace.name, c.cpu.name, c.pages, c.data, c.nodes, c.numa].map(String))).trimEnd();
}

function summary(out: string, plan: SweepPlan, { cells, before, now }: SweepOutcome, shard: Shard | undefined, seconds: number): string {
  const whole = shardCells(plan).length;
  const what = shard ? `part ${shard.part} of ${shard.parts}, ${cells.length} of ${cellCount(whole)}` : cellCount(whole);
  return `${out}: ${what}: ${before} done before, ${now} now in ${seconds.toFixed(1)} s${before + now < cells.length ? `, ${cells.length - before - now} missing` : ''}`;
}

/** Tells each different failure once. @returns exit status */
function failed({ failures }: SweepOutcome, tell: (text: string) => void): number {
  for (const same of grouped(failures, f => f.error.message)) {
    const [{ cell, error }] = same;
    tell(`pagewalk: ${same.length === 1 ? `cell ${cell.place + 1}` : `${same.length} cells from ${cell.place + 1}`}: ${error.message}`);
  }
  return failures.some(f => f.error instanceof WorkerError) ? 3 : failures.length > 0 ? 2 : 0;
}
