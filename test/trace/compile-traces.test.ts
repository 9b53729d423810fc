/** The traces of a real compilation: bundled, and beside the project where they are. */
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import type { TraceEvent } from '../../src/trace/batch.ts';
import { convertTrace } from '../../src/trace/convert.ts';
import { crc32 } from '../../src/trace/crc32.ts';
import { openTrace } from '../../src/trace/open.ts';
import type { OpenOptions } from '../../src/trace/open.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/compile/gcc.pwt.gz', import.meta.url));
const SHARED = fileURLToPath(new URL('../../../shared/traces/compile/', import.meta.url));

interface Digest {
  readonly accesses: number;
  readonly kinds: readonly number[];
  /** Checksum of all addresses, kinds and sizes. */
  readonly sum: number;
  readonly events: readonly TraceEvent[];
}

async function digest(path: string, options?: OpenOptions): Promise<Digest> {
  const reader = await openTrace(path, options);
  const kinds = [0, 0, 0, 0];
  const events: TraceEvent[] = [];
  let accesses = 0;
  let [va, kind, size] = [0, 0, 0];
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    const { count } = batch;
    for (const event of batch.events) events.push({ ...event, at: event.at + accesses });
    for (let i = 0; i < count; i++) kinds[batch.kind[i]]++;
    va = crc32(new Uint8Array(batch.va.buffer, batch.va.byteOffset, 8 * count), va);
    kind = crc32(batch.kind.subarray(0, count), kind);
    size = crc32(new Uint8Array(batch.size.buffer, batch.size.byteOffset, 2 * count), size);
    accesses += count;
  }
  return { accesses, kinds, sum: va ^ kind ^ size, events };
}

describe('bundled gcc.pwt.gz', () => {
  test('is whole: 1.23 million accesses, two forks', async () => {
    const { accesses, kinds, events } = await digest(FIXTURE);
    expect(accesses).toBe(1_229_606);
    expect(kinds.reduce((sum, count) => sum + count)).toBe(accesses);
    expect(kinds[3]).toBe(1962);
    expect(events).toHaveLength(29);
    expect(events.filter(({ name }) => name === 'fork').map(({ child }) => child)).toEqual([31301, 32732]);
    expect(events.at(-1)).toMatchObject({ name: 'exit_group', at: accesses });
  });

  test('is the same to either engine', async () => {
    expect(await digest(FIXTURE, { engine: 'ts' })).toEqual(await digest(FIXTURE, { engine: 'wasm' }));
  });

  test('is small', () => {
    expect(statSync(FIXTURE).size).toBeLessThan(150_000);
  });
});

describe.skipIf(!existsSync(SHARED))('../shared/traces/compile', () => {
  test('gcc.lackey.gz is what is bundled', async () => {
    expect(await digest(join(SHARED, 'gcc.lackey.gz'))).toEqual(await digest(FIXTURE));
  });

  test.each(['sh', 'gcc', 'as', 'cc1'])('%s: under a byte an access as pwt, and the same accesses', async (name) => {
    const folder = await mkdtemp(join(tmpdir(), 'pagewalk-compile-'));
    try {
      const source = join(SHARED, `${name}.lackey.gz`);
      const target = join(folder, 'trace.pwt');
      const { bytes, accesses } = await convertTrace(await openTrace(source), target);
      expect(bytes / accesses).toBeLessThan(0.5);
      expect(await digest(target)).toEqual(await digest(source));
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);
});
