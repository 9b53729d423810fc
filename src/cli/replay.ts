/** `pagewalk replay FILE`: a trace through TLB models, as tables, JSON, CSV and a page. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import { replayCsv } from '../report/csv.ts';
import { reportHtml } from '../report/html.ts';
import { replayTables } from '../report/table.ts';
import { openTrace } from '../trace/open.ts';
import type { NumaPolicy, PagePolicy } from '../trace/placement.ts';
import { replay } from '../trace/replay.ts';
import { targetFile } from '../trace/target-file.ts';
import { TRACE_FORMATS, type TraceFormat } from '../trace/trace-format.ts';
import { cpusOf, integerOf, listOf, oneOf } from './options.ts';
import { Progress } from './progress.ts';

export const REPLAY_HELP = `pagewalk replay FILE [options]      FILE: a trace, gzipped or not; - for standard input

  --cpu LIST       processors: presets (see pagewalk presets) or files like my.json   [skylake,zen3]
  --pages LIST     4k, 2m, 1g, thp (4k, promoted to 2m when an eighth is touched)     [4k]
  --format NAME    ${TRACE_FORMATS.join(', ')}                           [told from the first bytes]
  --skip-bad       count malformed records and go on
  --limit N        stop after N accesses
  --data           price the accesses themselves too, not only their translation
  --nodes N        NUMA nodes, 1 to 8; the program runs on node 0                     [1]
  --numa POLICY    first-touch, interleave                                            [first-touch]
  --engine NAME    auto, wasm, ts: the same results, in another time                  [auto]
  --json           print the result as JSON instead of tables
  --csv            print a row for each run as CSV instead of tables
  --html FILE      write a report with charts`;

const OPTIONS = {
  cpu: { type: 'string', default: 'skylake,zen3' }, pages: { type: 'string', default: '4k' }, format: { type: 'string' },
  'skip-bad': { type: 'boolean', default: false }, limit: { type: 'string' }, data: { type: 'boolean', default: false },
  nodes: { type: 'string', default: '1' }, numa: { type: 'string', default: 'first-touch' }, engine: { type: 'string', default: 'auto' }, json: { type: 'boolean', default: false },
  csv: { type: 'boolean', default: false }, html: { type: 'string' },
} as const;

/** @returns exit status */
export async function replayCommand(argv: readonly string[], input: Readable, print: (text: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  if (positionals.length !== 1) throw new ConfigError('FILE', 'one trace, or - for standard input', positionals.length === 0 ? undefined : positionals);
  if (values.json && values.csv) throw new ConfigError('--csv', 'either --json or --csv', 'both');
  const cpus = cpusOf(values.cpu);
  const pages = listOf<PagePolicy>(values.pages, '--pages', ['4k', '2m', '1g', 'thp']);
  const nodes = integerOf(values.nodes, '--nodes', 1, 8);
  const numa = oneOf<NumaPolicy>(values.numa, '--numa', ['first-touch', 'interleave']);
  const engine = oneOf<EngineChoice>(values.engine, '--engine', ['auto', 'wasm', 'ts']);
  const format = values.format === undefined ? undefined : oneOf<TraceFormat>(values.format, '--format', TRACE_FORMATS);
  const limit = values.limit === undefined ? undefined : integerOf(values.limit, '--limit', 1, Number.MAX_SAFE_INTEGER);
  const file = positionals[0], name = file === '-' ? 'standard input' : file;
  const reader = await openTrace(file === '-' ? input : file, { name, skipBad: values['skip-bad'], ...(format ? { format } : {}) });
  const progress = new Progress(process.stderr);
  let result;
  try {
    result = await replay(reader, {
      name: file === '-' ? '-' : basename(file), cpus, pages, nodes, numa, engine, data: values.data, ...(limit ? { limit } : {}),
      onProgress: (accesses, r) => progress.update(r.bytesRead, r.bytesTotal, `${accesses.toLocaleString('en-US')} accesses`),
    });
  } finally {
    progress.clear();
  }
  if (values.html !== undefined) await writeReport(values.html, reportHtml(result));
  print(values.json ? JSON.stringify(result, undefined, 2) : values.csv ? replayCsv(result).trimEnd() : replayTables(result).trimEnd());
  if (!values.json && !values.csv) {
    const { runs, seconds, rate } = result;
    print(`\nReplayed ${runs.length === 1 ? 'once' : `${runs.length} times`} in ${seconds.toFixed(1)} s: ${(rate / 1e6).toFixed(1)} million accesses a second.`);
    if (values.html !== undefined) print(`Report: ${values.html}`);
  }
  return 0;
}

/** @throws ConfigError - the file cannot be written; it is then as it was */
async function writeReport(name: string, text: string): Promise<void> {
  if (name === '-') throw new ConfigError('--html', 'the name of a file', name);
  try {
    const file = await targetFile(name);
    try {
      await writeFile(file.path, text);
      await file.commit();
    } catch (error) {
      await file.discard();
      throw error;
    }
  } catch (error) {
    throw new ConfigError('--html', 'a file that can be written', `${name} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
