/** What a block of `.pwt` tells the census is what the census would find: replays of the two are the same, in either engine and cut anywhere. */
import { expect, it } from 'vitest';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { KIND_FETCH } from '../../src/trace/batch.ts';
import { openTrace } from '../../src/trace/open.ts';
import { PwtWriter } from '../../src/trace/pwt-writer.ts';
import { replay } from '../../src/trace/replay.ts';
import { access, seeded, stream, written } from './recording.ts';

/** Calls of routines that end anywhere in a page, or across one, with data near and far. */
function calls(seed: number, count: number): string[] {
  const random = seeded(seed), all: string[] = [];
  while (all.length < count) {
    const routine = random(40);
    let at = 0x40_0000n + BigInt(routine * 0x1fd0);
    for (let k = 0; k < 3 + routine; k++) {
      const size = 1 + ((routine + k) % 15);
      all.push(access(KIND_FETCH, size, at));
      at += BigInt(size);
      if ((routine + k) % 4 === 0) all.push(access([0, 1, 3][k % 3], [8, 32, 5000][random(20) === 0 ? 2 : random(2)], 0x7fff_0000n + BigInt(random(20 + seed) * 4096 + random(4096))));
    }
  }
  return all;
}

it.each([1, 2, 3])('trace %i', async seed => {
  const bytes = await written({ accesses: calls(seed, 150_000), events: [] }, PwtWriter, 1 + seed * 30_000);
  const result = async (engine: 'ts' | 'wasm', limit: number, cpus: number) => {
    const reader = await openTrace(stream(bytes), { engine });
    const { seconds: _, rate: __, ...same } = await replay(reader, { name: 'trace', cpus: Array(cpus).fill(zen3), pages: ['4k', 'thp'], engine, limit });
    return same;
  };
  for (const limit of [1e9, 1024 * 70, 65536 + 1 + seed * 777, 20 + seed]) expect(await result('wasm', limit, 2)).toEqual(await result('ts', limit, 2));
});
