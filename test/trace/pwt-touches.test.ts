/** What a block of `.pwt` touches is told as by its columns: replays by either are the same. */
import { expect, it } from 'vitest';
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
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

/** Few entries, and a second level for all. @param one - the first level is for all, too; else it is too small for fetches */
function small(one: boolean): CpuModel {
  const all = ['load', 'store', 'fetch'] as const, [data, fetch] = zen3.tlb[0].structures, [second] = zen3.tlb[1].structures;
  const first = one ? [{ ...data, ways: 4, serves: all }] : [{ ...data, ways: 3 }, { ...fetch, ways: 1 }];
  return { ...zen3, tlb: [{ ...zen3.tlb[0], structures: first }, { ...zen3.tlb[1], structures: [{ ...second, sets: 2, ways: 4, serves: all }] }] };
}

it.each([1, 2, 3])('trace %i', async seed => {
  const bytes = await written({ accesses: calls(seed, 90_000), events: [] }, PwtWriter, 1 + seed * 20_000);
  const result = async (engine: 'ts' | 'wasm', by: 'touches' | 'columns', cpus: readonly CpuModel[]) => {
    const reader = await openTrace(stream(bytes), { engine });
    const { seconds: _, rate: __, ...same } = await replay(reader, { name: 'trace', cpus, pages: ['4k', 'thp'], engine, ...(by === 'columns' ? { limit: 1e9 } : {}) }); // what is cut off anywhere comes in columns
    return same;
  };
  const apart = [zen3, skylake, small(false)], columns = await result('ts', 'columns', apart);
  for (const engine of ['ts', 'wasm'] as const) expect(await result(engine, 'touches', apart)).toEqual(columns);
  expect(await result('wasm', 'touches', [zen3, small(true)])).toEqual(await result('ts', 'columns', [zen3, small(true)]));
});
