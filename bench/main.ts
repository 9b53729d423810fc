/**
 * `npm run bench`: how fast the engines are, beside a native limit, and what everything around them costs.
 *
 *   npm run bench -- [--runs N] [--only WORDS] [--limit FOLDER] [--json FILE]
 *
 * WORDS choose engines, callers, streams and sections, those of a kind being all if none is named: `--only rows,wasm,batch,A0`.
 * NT in the environment is the number of accesses of a measurement, as it is for the native limit.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { REAL_XEN, type GrantRow } from './grant-row.ts';
import type { GrowthRow } from './growth-child.ts';
import { STREAMS } from './limit-work.ts';
import { median } from './median.ts';
import { Native } from './native.ts';
import type { NestedRow } from './nested-child.ts';
import type { ReplayCost } from './replay-child.ts';
import type { Caller, Engine } from './rig.ts';
import { measureAlive, measureRows, type BenchRow, type Plan } from './rows.ts';
import type { Start } from './start-child.ts';
import { table } from './table.ts';
import { VALIDATIONS } from './validate.ts';
import type { Scaling } from './workers-child.ts';
import type { XenRow } from './xen-child.ts';

const ENGINES = ['wasm', 'ts'] as const satisfies readonly Engine[], CALLERS = ['batch', 'call', 'fast', 'queue'] as const satisfies readonly Caller[];
const LONG = 4; // times in a row: of a short trace, what a replay takes to start is much
const SECTIONS = ['rows', 'alive', 'replay', 'start', 'growth', 'workers', 'xen', 'nested'] as const;
const WORKS = [...STREAMS, ...VALIDATIONS];
/** Replayed if they are there: the one that is bundled is short, so that the start of a replay shows. */
const TRACES = ['../test/fixtures/compile/gcc.pwt.gz', '../../shared/traces/compile/as.lackey.gz', '../../shared/traces/compile/cc1.lackey.gz'].map(path => new URL(path, import.meta.url));
const STARTS = 9; // processes, of which the median counts

/** Ends with one line that says why. */
function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' }, only: { type: 'string', default: '' }, limit: { type: 'string', default: '../shared/bench/limit' }, json: { type: 'string' },
  },
});
const runs = Number(values.runs), accesses = Number(process.env['NT'] ?? 1_000_000);
if (!Number.isInteger(runs) || runs < 1) refuse('--runs: expected a whole number from 1');
if (!Number.isInteger(accesses) || accesses < 1000 || accesses > 2 ** 22) refuse('NT: expected a whole number of accesses from 1000 to 4194304');
const words = values.only.split(',').map(word => word.trim()).filter(word => word !== ''), known: readonly string[] = [...ENGINES, ...CALLERS, ...WORKS, ...SECTIONS];
for (const word of words) if (!known.includes(word)) refuse(`--only: expected some of ${known.join(', ')}, got ${word}`);
/** Those of the list that `--only` names; all of them, if it names none. */
const chosen = <T extends string>(list: readonly T[]): T[] => (list.some(x => words.includes(x)) ? list.filter(x => words.includes(x)) : [...list]);
/** What a program of this folder prints. */
const printed = <T>(program: string, ...args: readonly string[]): T =>
  JSON.parse(execFileSync(process.execPath, [new URL(`./${program}.js`, import.meta.url).pathname, ...args], { encoding: 'utf8' })) as T;
const heading = (text: string) => console.log(`\n${text}\n`);
const ns = (value: number) => value.toFixed(2);
const engines = chosen(ENGINES), callers = chosen(CALLERS), streams = chosen(WORKS);

/** Each prints its table and returns what `--json` keeps of it. */
const MEASURE: Record<(typeof SECTIONS)[number], (plan: Plan) => unknown> = {
  async rows(plan) {
    const rows = await measureRows(plan);
    heading(`CPU nanoseconds an access (of validations: an entry), beside the native limit: ${plan.runs} runs of each in turn, medians. All gave limit.c's physical addresses and faults.`);
    console.log(table(['engine', 'caller', 'stream', 'ns', 'limit ns', 'ratio', "limit's calls"], rows.map(r =>
      [r.engine, r.caller, r.stream, ns(r.ns), ...[r.limit_ns, r.ratio, r.callLimit].map(x => (x === null ? '' : ns(x)))])));
    return rows;
  },
  async alive(plan) {
    const rows = await measureAlive({ ...plan, callers: plan.callers.filter(c => c === 'batch' || c === 'call') });
    heading('The same with one machine in the process, and with four that take turns: ns');
    console.log(table(['engine', 'caller', 'stream', 'one', 'four', 'ratio'], rows.map(r => [r.engine, r.caller, r.stream, ns(r.one), ns(r.four), ns(r.four / r.one)])));
    return rows;
  },
  replay(plan) {
    const traces = TRACES.filter(trace => existsSync(trace)).map(trace => fileURLToPath(trace));
    const long = traces.filter(trace => /gcc|cc1/.test(trace)).map(trace => [trace, LONG] as const);
    const rows = plan.engines.flatMap(engine => [...traces.map(trace => [trace, 1] as const), ...long].map(([trace, times]) =>
      ({ engine, trace: times === 1 ? basename(trace) : `${basename(trace)}, ${times} times`, ...printed<ReplayCost>('replay-child', engine, String(plan.runs), trace, String(times)) })));
    heading('Replay on zen3, 4K pages: millions of accesses a second of CPU time; "of batch": of the rate of the same accesses in columns, every page mapped');
    const rate = (cost: number) => (1000 / cost).toFixed(1);
    console.log(table(['engine', 'trace', 'accesses', 'batch alone', 'replay pwt', 'of batch', 'replay pwt.gz', 'replay lackey', 'read pwt', 'read lackey'], rows.map(r =>
      [r.engine, r.trace, String(r.accesses), rate(r.batch), rate(r.replayPwt), `${Math.round((100 * r.batch) / r.replayPwt)} %`, rate(r.replayGz), rate(r.replayLackey), rate(r.readPwt), rate(r.readLackey)])));
    return rows;
  },
  start(plan) {
    const wasmBytes = statSync(new URL('../wasm/pagewalk.wasm', import.meta.url)).size;
    const rows = plan.engines.map(engine => {
      const starts = Array.from({ length: STARTS }, () => printed<Start>('start-child', engine));
      const of = (field: keyof Start) => median(starts.map(s => s[field]));
      return { engine, importMs: of('importMs'), machineMs: of('machineMs'), importBytes: of('importBytes'), machineBytes: of('machineBytes') };
    });
    heading(`Start of a process: import, then a 64 MiB machine with one access made. Medians of ${STARTS}; the wasm has ${wasmBytes} bytes.`);
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    console.log(table(['engine', 'import ms', 'machine ms', 'sum ms', 'import MiB', 'machine MiB'], rows.map(r =>
      [r.engine, r.importMs.toFixed(1), r.machineMs.toFixed(1), (r.importMs + r.machineMs).toFixed(1), mib(r.importBytes), mib(r.machineBytes)])));
    return { wasmBytes, rows };
  },
  growth(plan) {
    const rows = plan.engines.flatMap(engine => printed<GrowthRow[]>('growth-child', engine, String(plan.runs)).map(row => ({ engine, ...row })));
    heading(`What an access costs as something grows: CPU nanoseconds of a TLB hit and of a walk, medians of ${plan.runs} (of 100 million accesses: one)`);
    const first = rows.filter(r => r.engine === plan.engines[0]), at = (engine: Engine, k: number) => rows.filter(r => r.engine === engine)[k]!;
    console.log(table(['what grows', 'to', ...plan.engines.flatMap(e => [`${e} hit`, `${e} walk`])], first.map((r, k) =>
      [r.what, r.size, ...plan.engines.flatMap(e => [at(e, k).hits.toFixed(1), at(e, k).walks.toFixed(1)])])));
    return rows;
  },
  workers(plan) {
    const { one, two } = printed<Scaling>('workers-child', String(plan.runs));
    heading('Replays of two traces (each the bundled one, 48 times in a row), wall time');
    console.log(table(['one worker s', 'two workers s', 'times as fast'], [[one, two, one / two].map(ns)]));
    return { one, two };
  },
  xen(plan) {
    const rows = plan.engines.flatMap(engine => printed<XenRow[]>('xen-child', engine, String(plan.runs)).map(row => ({ engine, ...row })));
    const limit = plan.native && median(Array.from({ length: plan.runs }, () => plan.native!.run(plan.accesses).get('Call')!));
    heading('Hypercalls, dispatched: CPU nanoseconds an entry of a level-1 table, updated 512 to a call and alone, validated by a pin of its table');
    console.log(table(['engine', 'domains', 'of 512', 'alone', 'pinned', 'limit'], rows.map(r =>
      [r.engine, String(r.domains), r.batch.toFixed(1), r.alone.toFixed(1), r.validate.toFixed(1), limit?.toFixed(1) ?? ''])));
    const grants = plan.engines.map(engine => ({ engine, ...printed<GrantRow>('grant-child', engine, String(plan.runs)) }));
    heading('Grants and events, dispatched: CPU nanoseconds; beside them what the real Xen 4.17 took in an emulator on a machine like this');
    console.log(table(['engine', 'map + unmap, of 32', 'copy of a page, of 32', 'send'], [
      ...grants.map(r => [r.engine, ...[r.pair, r.copy, r.send].map(x => x.toFixed(0))]), ['real Xen, emulated', REAL_XEN.pair, '', REAL_XEN.send],
    ]));
    return { updates: rows.map(row => ({ ...row, limit_ns: limit ?? null })), grants };
  },
  nested(plan) {
    const rows = plan.engines.flatMap(engine => printed<NestedRow[]>('nested-child', engine, String(plan.runs)).map(row => ({ engine, ...row })));
    heading('Walks through a second stage, 4K pages in both: CPU nanoseconds a walk and references a walk, with nothing cached but combined translations, and with the caches of Skylake');
    console.log(table(['engine', 'format', 'cold', 'references', 'warm', 'references', 'functional'], rows.map(r =>
      [r.engine, r.format, r.cold.toFixed(0), r.coldReferences.toFixed(1), r.warm.toFixed(0), r.warmReferences.toFixed(1), r.functional.toFixed(0)])));
    return rows;
  },
};

const sections = chosen(SECTIONS), native = sections.includes('rows') || sections.includes('xen') ? Native.find(values.limit) : undefined;
try {
  const commit = existsSync('.git') ? execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim() : 'none';
  console.log(`${cpus().length} x ${cpus()[0]!.model}, Node ${process.version}, commit ${commit}`);
  console.log(`NT=${accesses} npm run bench -- ${process.argv.slice(2).join(' ')}`);
  if (native) console.log(`native limit: ${native.command}`);
  const found: Record<string, unknown> = {};
  for (const section of sections) found[section] = await MEASURE[section]({ engines, callers, streams, native, runs, accesses });
  if (values.json !== undefined) {
    const all = (found['rows'] ?? []) as readonly BenchRow[], slim = (list: readonly BenchRow[]) => list.map(({ callLimit: _, ...row }) => row);
    const isOther = (row: BenchRow) => row.caller === 'queue' || row.stream === 'validate-half' || row.stream === 'validate-fail';
    const rows = slim(all.filter(row => !isOther(row))), others = slim(all.filter(isOther));
    writeFileSync(values.json, `${JSON.stringify({ ...found, rows, others }, undefined, 1)}\n`);
  }
} finally {
  native?.remove();
}
