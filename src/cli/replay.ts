/** `pagewalk replay FILE...`: traces through TLB models, as tables, JSON, CSV and a page. */
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { replayCsv } from '../report/csv.ts';
import { reportHtml } from '../report/html.ts';
import { replayTables } from '../report/table.ts';
import { NUMA_POLICIES, PAGE_POLICIES, type NumaPolicy, type PagePolicy } from '../trace/placement.ts';
import { replayAll } from '../trace/replay-all.ts';
import type { ReplayResult } from '../trace/replay-result.ts';
import type { ReplayTask } from '../trace/replay-task.ts';
import { TRACE_FORMATS, type TraceFormat } from '../trace/trace-format.ts';
import { cpusOf, engineOf, integerOf, listOf, oneOf, threadsOf } from './options.ts';
import { Progress } from './progress.ts';
import { checkWritable, writeReport } from './whole-file.ts';

export const REPLAY_HELP = `pagewalk replay FILE... [options]   FILE: a trace, gzipped or not; - for standard input

  --cpu LIST       processors: presets (see pagewalk presets) or files like my.json   [skylake,zen3]
  --pages LIST     4k, 2m, 1g, thp (4k, promoted to 2m when an eighth is touched)     [4k]
  --format NAME    ${TRACE_FORMATS.join(', ')}                           [told from the first bytes]
  --skip-bad       count malformed records and go on
  --limit N        stop after N accesses
  --data           price the accesses themselves too, not only their translation
  --nodes N        NUMA nodes, 1 to 8; the program runs on node 0                     [1]
  --numa POLICY    first-touch, interleave                                            [first-touch]
  --engine NAME    auto, wasm, ts: the same results, in another time                  [auto]
  --jobs N         threads that share the traces, or the runs of one; same results    [1]
  --json           print the result as JSON instead of tables; of several traces, a list
  --csv            print a row for each run as CSV instead of tables
  --html FILE      write a report with charts (of one trace)`;

const OPTIONS = {
  cpu: { type: 'string', default: 'skylake,zen3' }, pages: { type: 'string', default: '4k' }, format: { type: 'string' },
  'skip-bad': { type: 'boolean', default: false }, limit: { type: 'string' }, data: { type: 'boolean', default: false },
  nodes: { type: 'string', default: '1' }, numa: { type: 'string', default: 'first-touch' }, engine: { type: 'string', default: 'auto' },
  jobs: { type: 'string', default: '1' }, json: { type: 'boolean', default: false }, csv: { type: 'boolean', default: false }, html: { type: 'string' },
} as const;

/** @returns exit status */
export async function replayCommand(argv: readonly string[], input: Readable, print: (text: string) => void): Promise<number> {
  const { values, positionals: files } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  if (files.length === 0) throw new ConfigError('FILE', 'one trace or more, or - for standard input', undefined);
  if (files.indexOf('-') !== files.lastIndexOf('-')) throw new ConfigError('FILE', 'standard input once', files);
  if (values.json && values.csv) throw new ConfigError('--csv', 'either --json or --csv', 'both');
  if (values.html !== undefined && files.length > 1) throw new ConfigError('--html', 'one trace', files);
  const tasks = tasksOf(values, files), threads = threadsOf(values.jobs);
  await checkWritable(values.html, '--html');
  const progress = new Progress(process.stderr);
  const started = performance.now();
  let results;
  try {
    results = await replayAll(tasks, {
      threads, input, onProgress: p => progress.update(p.bytesRead, p.bytesTotal, `${p.accesses.toLocaleString('en-US')} accesses`),
    });
  } finally {
    progress.clear();
  }
  const seconds = (performance.now() - started) / 1000;
  if (values.json) print(JSON.stringify(results.length === 1 ? results[0] : results, undefined, 2));
  else if (values.csv) print(replayCsv(results).trimEnd());
  else {
    print(results.map(result => replayTables(result).trimEnd()).join('\n\n\n'));
    print(`\n${rateLine(results, seconds)}`);
  }
  await writeReport(values.html, () => reportHtml(results[0]), values.json || values.csv ? undefined : print);
  return 0;
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** @throws ConfigError, InputError - an option that cannot be */
function tasksOf(values: Values, files: readonly string[]): ReplayTask[] {
  const cpus = cpusOf(values.cpu);
  const pages = listOf<PagePolicy>(values.pages, '--pages', PAGE_POLICIES);
  const nodes = integerOf(values.nodes, '--nodes', 1, 8);
  const numa = oneOf<NumaPolicy>(values.numa, '--numa', NUMA_POLICIES);
  const engine = engineOf(values.engine);
  const format = values.format === undefined ? undefined : oneOf<TraceFormat>(values.format, '--format', TRACE_FORMATS);
  const limit = values.limit === undefined ? undefined : integerOf(values.limit, '--limit', 1, Number.MAX_SAFE_INTEGER);
  return files.map(file => ({
    file,
    open: { name: file === '-' ? 'standard input' : file, skipBad: values['skip-bad'], ...(format ? { format } : {}) },
    replay: { name: file === '-' ? '-' : basename(file), cpus, pages, nodes, numa, engine, data: values.data, ...(limit ? { limit } : {}) },
  }));
}

function rateLine(results: readonly ReplayResult[], seconds: number): string {
  const runs = results.reduce((sum, r) => sum + r.runs.length, 0);
  const accesses = results.reduce((sum, r) => sum + r.trace.accesses * r.runs.length, 0);
  const times = runs === 1 ? 'once' : `${runs} times`;
  return `Replayed ${times} in ${seconds.toFixed(1)} s: ${(accesses / seconds / 1e6).toFixed(1)} million accesses a second.`;
}
