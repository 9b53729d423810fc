/** Recordings of parallel runs: in which order locks were taken and letters read. On the built package. */
import { describe, expect, it } from 'vitest';
import { Cluster, Recording, type Outcome } from '../../dist/smp/index.js';
import { done, programs } from './crew.ts';
import { dataFor, makeWorld, type World } from './world.mjs';

async function on<T>(world: World, what: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = new Cluster(world.machine, { machine: world.options });
  try {
    return await what(cluster);
  } finally {
    await cluster.close();
  }
}

describe.each([[1, 3, 'ts', 'all'], [2, 2, 'wasm', 'some']] as const)('%i domains of %i vCPUs (%s; of 32 bits: %s)', (domains, vcpus, engine, narrow) => {
  it('come to the same bytes when a recording of them is replayed', async () => {
    const make = () => makeWorld({ domains, vcpus, engine, narrow }), work = { seed: 3, steps: 300, own: true };
    const first = make(), { outcomes, recording } = await on(first, cluster => cluster.record(programs(first, work)));
    expect(outcomes.map(done).every(calls => calls > 100)).toBe(true);
    const entries = Array.from({ length: recording.length }, (_, k) => recording.entry(k));
    expect(entries.filter(({ vcpu }, k) => k > 0 && vcpu !== entries[k - 1]!.vcpu).length).toBeGreaterThan(domains * vcpus); // they ran beside each other
    if (vcpus > 1) expect(entries.some(({ place }) => place !== 0)).toBe(true); // and read letters
    for (let again = 0; again < 2; again++) {
      const twin = make();
      expect((await on(twin, cluster => cluster.replay(programs(twin, work), recording))).map(done)).toEqual(outcomes.map(done));
      expect(twin.machine.views.w.findIndex((word, k) => word !== first.machine.views.w[k])).toBe(-1);
    }
    expect(first.xen.audit()).toEqual([]);
  });
});

it('tells who came first to a frame that two domains use', async () => {
  const make = () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), module = new URL('./race-programs.mjs', import.meta.url);
    return { world, programs: world.guests.map((guest, k) => ({ module, name: k === 0 ? 'pinOften' : 'mapOften', data: dataFor(world, guest, 0, { steps: 2000 }) })) };
  };
  const once = async () => {
    const run = make();
    return { run, ...await on(run.world, cluster => cluster.record(run.programs)) };
  };
  const met = (outcomes: readonly Outcome[]) => outcomes.some(outcome => new Set((outcome as { value: number[] }).value).size > 1); // one found the other at it
  let first = await once();
  for (let tries = 0; tries < 10 && !met(first.outcomes); tries++) first = await once();
  expect(met(first.outcomes)).toBe(true);
  const twin = make();
  expect(await on(twin.world, cluster => cluster.replay(twin.programs, first.recording))).toEqual(first.outcomes);
  expect(Buffer.compare(twin.world.machine.views.u8, first.run.world.machine.views.u8)).toBe(0);
});

it('is refused by a run that does something else, and none waits for ever', async () => {
  const make = () => makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), first = make();
  const { recording } = await on(first, cluster => cluster.record(programs(first, { seed: 1, steps: 100, own: true })));
  const twin = make(), outcomes = await on(twin, cluster => cluster.replay(programs(twin, { seed: 2, steps: 100, own: true }), recording, 300));
  expect(outcomes.map(({ how }) => how)).toContain('failed');
  expect(JSON.stringify(outcomes)).toMatch(/recording: expected that of this run/);
});

it('is refused, and the vCPUs are played no more: what is asked of them is done', async () => {
  const make = () => makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), first = make(), full = Recording.create(1);
  const { recording } = await on(first, cluster => cluster.record(programs(first, { seed: 1, steps: 20, own: true })));
  for (let k = 0; k < 2; k++) full.add(k, 5, 0);
  for (const other of [recording, full]) {
    const twin = make(), { locks } = twin.machine.views;
    await on(twin, async cluster => {
      const outcomes = await cluster.replay(programs(twin, { seed: 2, steps: 20, own: true }), other, 200);
      expect(outcomes.map(({ how }) => how)).toEqual(['failed', 'failed']);
      locks.deadline = performance.now() + 1000;
      twin.machine.invalidate(twin.machine.vcpus);
      locks.deadline = Infinity;
    });
  }
});

it('of programs one of which never begins is one of the others', async () => {
  const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), [one, two] = programs(world, { seed: 1, steps: 20, own: true });
  await on(world, async cluster => {
    const { outcomes } = await cluster.record([one!, { ...two!, name: 'nothing' }]);
    expect(outcomes.map(({ how }) => how)).toEqual(['returned', 'failed']);
    const busy = cluster.start(1, two!);
    await expect(cluster.record([one!, two!])).rejects.toThrow(/number: expected a vCPU that runs no program, got 1/);
    await busy;
    expect((await cluster.record([one!, two!])).outcomes.map(({ how }) => how)).toEqual(['returned', 'returned']);
  });
});

it('is not made where vCPUs share a cache', async () => {
  const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts', mode: 'timed' });
  await expect(on(world, cluster => cluster.record(programs(world, { seed: 1, steps: 1 })))).rejects.toThrow(/machine: expected one in functional mode, or without a cache that vCPUs share, got "timed"/);
});

it('has room for all, or says so', () => {
  const recording = Recording.create(2);
  for (let k = 0; k < 3; k++) recording.add(k, 5, 0);
  expect(() => recording.length).toThrow(/record: expected room for all 3 entries, got 2/);
  expect(recording.entry(1)).toEqual({ vcpu: 1, what: 5, place: 0 });
  expect(() => Recording.create(0)).toThrow(/record/);
});
