import { expect, it } from 'vitest';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { Run, type RunOptions } from '../../src/trace/replay-run.ts';
import { keep, kept } from '../../src/trace/run-stock.ts';
import { openTrace } from '../../src/trace/open.ts';
import { replay } from '../../src/trace/replay.ts';

const options: RunOptions = { cpu: zen3, pages: '4k', data: false, nodes: 1, numa: 'first-touch', engine: 'ts' };

it('gives a run once, for the same options, and keeps eight', () => {
  const run = new Run(options);
  keep(run);
  expect(kept({ ...options, pages: '2m' })).toBeUndefined();
  expect(kept({ ...options, cpu: skylake })).toBeUndefined();
  expect(kept({ ...options })).toBe(run);
  expect(kept(options)).toBeUndefined();
  keep(run);
  for (let n = 2; n < 10; n++) keep(new Run({ ...options, nodes: n % 8 || 1, data: true }));
  expect(kept(options)).toBeUndefined();
});

it.each(['ts', 'wasm'] as const)('a replay in the memory of another has the same result: %s', async engine => {
  const result = async (limit?: number) => {
    const reader = await openTrace('test/fixtures/compile/sh.pwt.gz', { engine });
    const { seconds: _, rate: __, ...same } = await replay(reader, { name: 'sh', cpus: [zen3, skylake], pages: ['4k', 'thp'], engine, ...(limit ? { limit } : {}) });
    return same;
  };
  const first = await result();
  await result(100_000);
  expect(await result()).toEqual(first);
});
