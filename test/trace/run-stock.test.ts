import { expect, it } from 'vitest';
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { Run, type RunOptions } from '../../src/trace/replay-run.ts';
import { keep, kept } from '../../src/trace/run-stock.ts';
import type { TraceReader } from '../../src/trace/batch.ts';
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

it('keeps no more than a GiB', () => {
  const [first, second, third] = [1, 2, 3].map(nodes => new Run({ ...options, nodes })) as [Run, Run, Run];
  for (const run of [first, second]) run.machine.views.grow(2 ** 28);
  for (const run of [first, second, third]) keep(run);
  expect([first, second, third].map(run => kept(run.options) === run)).toEqual([true, true, true]);
  for (const run of [first, second]) run.machine.views.grow(2 ** 28);
  for (const run of [first, second, third]) keep(run);
  expect([first, second, third].map(run => kept(run.options) === run)).toEqual([false, true, true]);
  third.machine.views.grow(2 ** 30);
  for (const run of [second, third]) keep(run);
  expect(kept(third.options)).toBeUndefined();
  expect(kept(second.options)).toBe(second);
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

/** Walks of the trace by the processor's name. It is on its way when this returns. */
const walks = async (reader: TraceReader, ...cpus: readonly CpuModel[]) =>
  (await replay(reader, { name: 'sh', cpus, pages: ['4k'] })).runs.map(run => [run.cpu, run.walks] as const);
const open = () => openTrace('test/fixtures/compile/sh.pwt.gz');

it('a processor that its owner changes is another, after a replay and during one', async () => {
  const large: CpuModel = { ...zen3, name: 'large' }, small: CpuModel = { ...zen3, name: 'small', tlb: zen3.tlb.slice(0, 1) };
  const changing = { ...large };
  const [[, few]] = await walks(await open(), changing) as [readonly [string, number]];
  Object.assign(changing, small);
  expect(await walks(await open(), large)).toEqual([['large', few]]);

  Object.assign(changing, large, { title: 'another' });
  const done = walks(await open(), changing);
  Object.assign(changing, small);
  expect(await done).toEqual([['large', few]]);
  Object.assign(changing, small, { title: 'another' });
  const [[name, many]] = await walks(await open(), changing) as [readonly [string, number]];
  expect(name).toBe('small');
  expect(many).toBeGreaterThan(few);
});

it('a processor that cannot be is refused, whatever ran before', async () => {
  await walks(await open(), zen3);
  const refused = async (cpu: object, field: string) => expect(open().then(reader => walks(reader, cpu as CpuModel))).rejects.toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(field) }));
  await refused({ ...zen3, speed: undefined }, 'cpu.speed');
  await refused({ ...zen3, speed: () => 1 }, 'cpu.speed');
  await refused({ ...zen3, walkCycles: 4n }, 'cpu.walkCycles');
});
