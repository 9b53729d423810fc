/** Replays a trace through several processors and page sizes at once: the trace is read once, in constant memory. */
import { ConfigError, InputError } from '../errors.ts';
import { MODE_4LEVEL } from '../layout/vcpu.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { checkCpuModel } from '../cost/preset-check.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { TraceReader } from './batch.ts';
import { isCanonical, NUMA_POLICIES, PAGE_POLICIES, type NumaPolicy, type PagePolicy } from './placement.ts';
import type { ReplayResult } from './replay-result.ts';
import { Run } from './replay-run.ts';
import { keep, kept } from './run-stock.ts';

/** What to replay a trace on. */
export interface ReplayOptions {
  /** Name of the trace in the result. */
  readonly name: string;
  readonly cpus: readonly CpuModel[];
  readonly pages: readonly PagePolicy[];
  /** Price the accesses themselves too. Default false. */
  readonly data?: boolean;
  /** NUMA nodes, 1 to 8. Default 1. The vCPU is on node 0. */
  readonly nodes?: number;
  /** Default first-touch. */
  readonly numa?: NumaPolicy;
  /** Of the runs, processor by processor and of each page size by page size, those to do, by their places from 0. Default: all. */
  readonly only?: readonly number[];
  /** Engine of the machines; it changes the time a replay takes, not its result. Default `auto`. */
  readonly engine?: EngineChoice;
  /** Stop after this many accesses (whole batches: the last one is cut). Default: no limit. */
  readonly limit?: number;
  /** Called after each batch with the accesses replayed so far. */
  readonly onProgress?: (accesses: number, reader: TraceReader) => void;
}

/**
 * Replay a trace.
 *
 * Every page that the trace touches is mapped (user, writable) before the batch that touches it runs, so that no access faults; what is
 * counted is translation, not demand paging.
 *
 * @param reader - from `openTrace()`; closed at the end, whatever happens
 * @throws InputError - the trace is malformed, or has an address that is not canonical under 4-level paging
 * @throws ConfigError - no processor, no page size, or an option out of range
 */
export async function replay(reader: TraceReader, options: ReplayOptions): Promise<ReplayResult> {
  const started = performance.now();
  try {
    const runs = makeRuns(options), [first] = runs, { census } = first;
    const limit = options.limit ?? Infinity;
    if (limit === Infinity && runs.every(run => run.takesTouches)) reader.touchesIn?.(first);
    let systemCalls = 0;
    for (let batch = await reader.next(); batch; batch = await reader.next()) {
      batch.count = Math.min(batch.count, limit - census.accesses);
      systemCalls += batch.events.length;
      const before = census.accesses;
      for (const run of runs) run.take(batch);
      const fresh = first.touches ? census.addTouches(first.touches, batch.count) : census.add(first.columns, batch.count);
      const bad = fresh.find(p => !isCanonical(p.page, MODE_4LEVEL));
      if (bad) {
        throw new InputError(options.name, `access ${before + bad.at + 1}`, 'a canonical address (48 bits, sign-extended)', `0x${(BigInt(bad.page) << 12n).toString(16)}`);
      }
      for (const run of runs) run.feed(batch.count, fresh);
      options.onProgress?.(census.accesses, reader);
      if (census.accesses >= limit) break;
    }
    const seconds = (performance.now() - started) / 1000, result: ReplayResult = {
      version: 1,
      trace: {
        name: options.name, format: reader.format, accesses: census.accesses, ...census.kinds, systemCalls,
        skipped: reader.skipped, pages4k: census.pages4k, workingSet: census.workingSet(), map: census.map(),
      },
      runs: runs.map(run => run.result()),
      seconds,
      rate: (census.accesses * runs.length) / seconds,
    };
    runs.forEach(keep);
    return result;
  } finally {
    await reader.close();
  }
}

function makeRuns(options: ReplayOptions): Run[] {
  const { pages, data = false, nodes = 1, numa = 'first-touch', engine = 'auto', only, limit } = options;
  const cpus = listOf('cpus', options.cpus, 'processor').map(cpu => checkCpuModel(cpu)); // copies: runs are kept and found by them
  listOf('pages', pages, 'page size').forEach((size, k) => checkWord(`pages[${k}]`, size, PAGE_POLICIES));
  checkWord('numa', numa, NUMA_POLICIES);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 8) throw new ConfigError('nodes', 'an integer from 1 to 8', nodes);
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) throw new ConfigError('limit', 'an integer from 1', limit);
  const without = pages.includes('1g') ? cpus.find(cpu => !cpu.pages1g) : undefined;
  if (without) throw new ConfigError('pages', `sizes that ${without.name} has (it has no 1-GByte pages)`, '1g');
  const runs = cpus.flatMap(cpu => pages.map(p => ({ cpu, pages: p, data, nodes, numa, engine })));
  const wanted = runs.filter((_, place) => only === undefined || only.includes(place));
  if (wanted.length === 0) throw new ConfigError('only', `at least one place from 0 to ${runs.length - 1}`, only);
  return wanted.map(run => kept(run) ?? new Run(run));
}

function listOf<T>(field: string, list: readonly T[], of: string): readonly T[] {
  if (!Array.isArray(list) || list.length === 0) throw new ConfigError(field, `a list of at least one ${of}`, list);
  return list;
}

function checkWord(field: string, word: string, known: readonly string[]): void {
  if (!known.includes(word)) throw new ConfigError(field, `one of ${known.join(', ')}`, word);
}
