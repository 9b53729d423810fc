/** A process that measures what a replay of a trace costs, by parts, on an engine: `replay-child ENGINE RUNS FILE TIMES`, the
 * trace so many times in a row; prints JSON. */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ACCESS_USER, presets } from '../dist/index.js';
import { AccessBatch, LackeyWriter, openTrace, PwtWriter, replay, type TraceReader } from '../dist/trace/index.js';
import { Run } from '../dist/trace/replay-run.js';
import { median } from './median.ts';
import type { Engine } from './rig.ts';
import { written } from './written.ts';

/** Nanoseconds of CPU time an access. Formats: compact as it comes (gzipped), compact, lackey text. */
export interface ReplayCost {
  readonly accesses: number;
  readonly batch: number;
  readonly replayGz: number;
  readonly replayPwt: number;
  readonly replayLackey: number;
  readonly readPwt: number;
  readonly readLackey: number;
}

const CPU = presets.zen3, PIECE = 65536;
const WARM = 10_000_000; // accesses at least, before anything is measured

/** As a file is read. */
const opened = (bytes: Uint8Array): Promise<TraceReader> => {
  const pieces = Array.from({ length: Math.ceil(bytes.length / PIECE) }, (_, k) => bytes.subarray(k * PIECE, (k + 1) * PIECE));
  return openTrace(Readable.from(pieces), { engine });
};

/** Medians of works that are done in turn. */
async function costs<K extends string>(runs: number, accesses: number, works: Record<K, () => unknown>): Promise<Record<K, number>> {
  const names = Object.keys(works) as K[], times = Object.fromEntries(names.map(name => [name, []])) as unknown as Record<K, number[]>;
  for (let run = -Math.ceil(WARM / accesses); run < runs; run++) {
    for (const name of names) {
      const before = process.cpuUsage();
      await works[name]();
      const { user, system } = process.cpuUsage(before);
      if (run >= 0) times[name].push(((user + system) * 1000) / accesses);
    }
  }
  return Object.fromEntries(names.map(name => [name, median(times[name])])) as Record<K, number>;
}

async function read(bytes: Uint8Array): Promise<number> {
  const reader = await opened(bytes);
  let accesses = 0;
  for (let batch = await reader.next(); batch; batch = await reader.next()) accesses += batch.count;
  await reader.close();
  return accesses;
}

/** The trace as batches in memory. */
async function batches(pwt: Uint8Array): Promise<AccessBatch[]> {
  const reader = await opened(pwt), all = [];
  for (let batch = await reader.next(); batch; batch = await reader.next()) {
    const copy = Object.assign(new AccessBatch(batch.count), { count: batch.count });
    copy.va.set(batch.va.subarray(0, batch.count * 2));
    copy.kind.set(batch.kind.subarray(0, batch.count));
    copy.size.set(batch.size.subarray(0, batch.count));
    all.push(copy);
  }
  return all;
}

/** The engine alone: the whole trace in columns, every page mapped. */
async function batchAlone(engine: Engine, pwt: Uint8Array, accesses: number): Promise<() => void> {
  const run = new Run({ cpu: CPU, pages: '4k', data: false, nodes: 1, numa: 'first-touch', engine }), all = await batches(pwt);
  const { machine, census } = run, cpu = machine.vcpus[0]!, columns = machine.columns(accesses);
  for (const batch of all) {
    run.take(batch);
    run.feed(batch.count, census.add(run.columns, batch.count));
  }
  let at = 0;
  for (const batch of all) {
    columns.va.set(batch.va, at * 2);
    columns.kind.set(batch.kind, at);
    columns.size.set(batch.size, at);
    at += batch.count;
  }
  const asked = { ...columns, pa: undefined, offsets: columns.offsets && { ...columns.offsets, pa: 0 } }; // as a replay: no physical addresses
  return () => {
    cpu.flush();
    if (cpu.runBatch(asked, 0, accesses, ACCESS_USER) !== accesses) throw new Error('an access of the trace faulted');
  };
}

const engine = process.argv[2] as Engine, runs = Number(process.argv[3]), file = process.argv[4]!, times = Number(process.argv[5]);
const pwt = await written(() => openTrace(file), PwtWriter, times), gz = gzipSync(pwt), text = await written(() => opened(pwt), LackeyWriter), accesses = await read(pwt);
const replayed = async (bytes: Uint8Array) => replay(await opened(bytes), { name: 'trace', cpus: [CPU], pages: ['4k'], engine });
const result: ReplayCost = {
  accesses,
  ...await costs(runs, accesses, {
    batch: await batchAlone(engine, pwt, accesses),
    replayGz: () => replayed(gz),
    replayPwt: () => replayed(pwt),
    replayLackey: () => replayed(text),
    readPwt: () => read(pwt),
    readLackey: () => read(text),
  }),
};
console.log(JSON.stringify(result));
