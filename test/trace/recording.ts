/** Whole traces in memory, for tests to compare: what a reader gave, and batches and bytes to give one. */
import { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';

import { AccessBatch } from '../../src/trace/batch.ts';
import type { TraceEvent, TraceReader } from '../../src/trace/batch.ts';
import { ByteSource } from '../../src/trace/byte-source.ts';
import { openTrace } from '../../src/trace/open.ts';
import type { OpenOptions } from '../../src/trace/open.ts';
import { StreamReader } from '../../src/trace/stream-reader.ts';
import type { TraceDecoder } from '../../src/trace/trace-decoder.ts';
import type { ByteSink, TraceWriter } from '../../src/trace/trace-writer.ts';

export interface Recording {
  /** `kind size address`, the address in hexadecimal. */
  readonly accesses: string[];
  /** `at` counts accesses from the start of the trace. */
  readonly events: TraceEvent[];
}

/** An access as a recording has it. */
export function access(kind: number, size: number, address: bigint): string {
  const text = BigInt.asUintN(64, address).toString(16).padStart(16, '0');
  return `${kind} ${size} ${text.slice(0, 8).replace(/^0{1,7}/, '')}${text.slice(8)}`;
}

export async function record(reader: TraceReader): Promise<Recording> {
  const accesses: string[] = [];
  const events: TraceEvent[] = [];
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    for (const event of batch.events) events.push({ ...event, at: event.at + accesses.length });
    for (let i = 0; i < batch.count; i++) {
      const hi = (batch.va[2 * i + 1] >>> 0).toString(16);
      const lo = (batch.va[2 * i] >>> 0).toString(16).padStart(8, '0');
      accesses.push(`${batch.kind[i]} ${batch.size[i]} ${hi}${lo}`);
    }
  }
  return { accesses, events };
}

/** Where two long traces part, `undefined` if they do not: a comparison that does not print them. */
export function difference(actual: Recording, expected: Recording): object | undefined {
  for (const list of ['accesses', 'events'] as const) {
    const length = Math.max(actual[list].length, expected[list].length);
    for (let at = 0; at < length; at++) {
      const [a, b] = [actual[list][at], expected[list][at]];
      if (!isDeepStrictEqual(a, b)) return { list, at, actual: a, expected: b };
    }
  }
  return undefined;
}

/** Reads to the end and keeps nothing. */
export async function drain(bytes: Uint8Array, options: OpenOptions): Promise<void> {
  const reader = await openTrace(stream(bytes), { name: 'test', ...options });
  while ((await reader.next()) !== undefined);
}

export async function recordBytes(bytes: Uint8Array | string, options?: OpenOptions): Promise<Recording> {
  return record(await openTrace(stream(bytes), { name: 'test', ...options }));
}

/** Reads chunks as they are with this decoder: nothing looks at the start before. */
export async function recordChunks(chunks: readonly Uint8Array[], decoder: TraceDecoder): Promise<Recording> {
  const source = await ByteSource.open(Readable.from(chunks), 'test');
  return record(new StreamReader(source, decoder, 'test', new Uint8Array(0)));
}

export function stream(bytes: Uint8Array | string): Readable {
  return Readable.from([Buffer.from(bytes as Uint8Array)]);
}

/** The trace in batches of at most `most` accesses. */
export function* batches(trace: Recording, most: number): Generator<AccessBatch> {
  const batch = new AccessBatch(most);
  let event = 0;
  for (let from = 0; from < trace.accesses.length || event < trace.events.length; from += most) {
    const to = Math.min(from + most, trace.accesses.length);
    batch.count = Math.max(to - from, 0);
    for (let i = from; i < to; i++) {
      const [kind, size, address] = trace.accesses[i].split(' ');
      batch.kind[i - from] = Number(kind);
      batch.size[i - from] = Number(size);
      const va = BigInt(`0x${address}`);
      batch.va[2 * (i - from)] = Number(BigInt.asIntN(32, va));
      batch.va[2 * (i - from) + 1] = Number(BigInt.asIntN(32, va >> 32n));
    }
    batch.events = [];
    while (event < trace.events.length && trace.events[event].at <= from + batch.count) {
      batch.events.push({ ...trace.events[event], at: trace.events[event].at - from });
      event++;
    }
    yield batch;
  }
}

/** Bytes that a writer makes of the trace. */
export async function written(
  trace: Recording, Writer: new (sink: ByteSink) => TraceWriter, most = 1000,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const writer = new Writer(async (bytes) => void parts.push(bytes.slice()));
  for (const batch of batches(trace, most)) await writer.write(batch);
  await writer.end();
  return Buffer.concat(parts);
}

/** Random numbers that repeat with the seed (xorshift32). @returns a function giving integers from 0 to `below` - 1 */
export function seeded(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A trace with something of everything: loops, strides, jumps, extreme addresses and sizes, system calls. */
export function randomTrace(seed: number, count: number): Recording {
  const random = seeded(seed);
  const accesses: string[] = [];
  const events: TraceEvent[] = [];
  let pc = 0x401000n;
  let data = 0x7ffd_1000n;
  while (accesses.length < count) {
    if (random(200) === 0) events.push(randomEvent(accesses.length, random));
    const size = 1 + random(15);
    accesses.push(access(2, size, pc));
    pc = random(5) === 0 ? 0x401000n + BigInt(random(64) * 16) : pc + BigInt(size);
    for (let i = random(3); i > 0; i--) {
      const far = random(40) === 0;
      data = far ? BigInt(random(2 ** 32)) << BigInt(random(33)) : data + BigInt(8 * random(3)) - 8n;
      if (far && random(4) === 0) data = (1n << 64n) - 1n;
      accesses.push(access([0, 1, 3][random(3)], random(100) === 0 ? 65535 : 1 << random(4), data));
    }
  }
  accesses.length = count;
  return { accesses, events: events.filter(({ at }) => at <= count) };
}

function randomEvent(at: number, random: (below: number) => number): TraceEvent {
  const pid = 1 + random(2 ** 31);
  if (random(4) === 0) {
    const child = 1 + random(2 ** 31);
    return { at, pid, nr: 58, name: 'fork', args: [], result: BigInt(child), child };
  }
  const args = Array.from({ length: 6 }, () => BigInt(random(2 ** 32)) << BigInt(random(33)));
  const result = [undefined, 0n, -22n, (1n << 64n) - 1n][random(4)];
  const name = ['mmap', 'munmap', 'brk', 'mremap'][random(4)];
  return { at, pid, nr: random(400), name, args, result, child: undefined };
}
