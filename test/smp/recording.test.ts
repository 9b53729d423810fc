/** Recordings of parallel runs: in which order locks were taken and letters read. On the built package. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Machine } from '../../dist/index.js';
import { MAIL_LOCK } from '../../dist/layout/mailbox.js';
import { VCPU_MAIL } from '../../dist/layout/vcpu.js';
import { Cluster, Recording, type Outcome } from '../../dist/smp/index.js';
import { Replayer } from '../../dist/smp/turns.js';
import { done, programs } from './crew.ts';
import { Guest } from './guest-program.mjs';
import { dataFor, makeWorld, SPARE_TABLE, type World } from './world.mjs';

const PERMIT = 1;

afterEach(() => { vi.restoreAllMocks(); });

async function on<T>(world: Pick<World, 'machine' | 'options'>, what: (cluster: Cluster) => Promise<T>): Promise<T> {
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
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), module = new URL('./race-programs.mjs', import.meta.url), [granter] = world.guests, { machine, xen } = world;
    new Guest({ machine, xen, cpu: machine.vcpus[0]!, number: 0, data: dataFor(world, granter!, 0, {}) }).grant(9, PERMIT, 2, SPARE_TABLE); // an entry that is written while calls read it is in no recording
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

const SMALL = new URL('./small-programs.mjs', import.meta.url);

it.each([3, 4])('tells who read letters of one that had ended, and in between its own: %i vCPUs', async vcpus => {
  const options = { memory: '1M', vcpus, mode: 'functional', engine: 'ts' } as const, asking = (times: number) => ({ module: SMALL, name: 'ask', data: times });
  const work = Array.from({ length: vcpus }, (_, k) => asking(k === vcpus - 1 ? 0 : 1000)), first = Machine.create(options), second = Machine.create(options);
  const { outcomes, recording } = await on({ machine: first, options }, cluster => cluster.record(work));
  expect(Array.from({ length: recording.length }, (_, k) => recording.entry(k)).some(({ place }) => place < 0)).toBe(true);
  expect(await on({ machine: second, options }, cluster => cluster.replay(work, recording))).toEqual(outcomes);
  expect(Buffer.compare(first.views.u8, second.views.u8)).toBe(0);
});

it('is refused by who waits for letters that no one reads, and by none as long as others go on', async () => {
  const options = { memory: '1M', vcpus: 2, mode: 'functional', engine: 'ts' } as const, machine = Machine.create(options), recording = Recording.create(8);
  const [first, other] = machine.vcpus.map(({ block }) => block), mail = (other! + VCPU_MAIL + MAIL_LOCK) >>> 2;
  recording.add(0, mail, 0);
  recording.add(1, mail, 2);
  expect(await on({ machine, options }, cluster => cluster.replay([{ module: SMALL, name: 'ask', data: 1 }, { module: SMALL, name: 'nothing' }], recording, 100))).toEqual([
    { how: 'failed', error: 'ConfigError: recording: expected that of this run: letters of vCPU 1 to be read, got 1' }, expect.objectContaining({ how: 'failed' }),
  ]);
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const long = Recording.create(8), go = vi.spyOn(long, 'sleep').mockImplementation(() => {
    now += 60;
    long.advance();
  });
  for (let k = 0; k < 5; k++) long.add(k === 4 ? 1 : 0, mail, 0);
  const late = () => { new Replayer(long, 1, first!, 100, () => {}).await(mail); };
  late();
  expect(now).toBe(240);
  long.rewind();
  go.mockImplementation(() => { now += 60; });
  expect(late).toThrow(/recording: expected that of this run: entry 4 to be done next, got 0/);
});

it('is refused by a program that does something else for the reason that it found first', async () => {
  const options = { memory: '1M', vcpus: 2, mode: 'functional', engine: 'ts' } as const, machine = Machine.create(options), { recording } = await on({ machine, options }, cluster => cluster.record([{ module: SMALL, name: 'ask', data: 1 }, { module: SMALL, name: 'ask', data: 1 }]));
  const [one] = await on({ machine, options }, cluster => cluster.replay([{ module: SMALL, name: 'fail' }, { module: SMALL, name: 'ask', data: 1 }], recording, 100));
  expect(one).toEqual({ how: 'failed', error: 'RangeError: no further' });
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

it('in which letters are read elsewhere is refused', async () => {
  const make = () => makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), ask = [{ module: new URL('./small-programs.mjs', import.meta.url), name: 'askAll', data: 2 }], first = make();
  const { outcomes, recording } = await on(first, cluster => cluster.record(ask)), places = Array.from({ length: recording.length }, (_, k) => recording.entry(k).place);
  expect([outcomes, places]).toEqual([[{ how: 'returned', value: 2 }], [0, -1, 0, -1, 0]]);
  const replay = (change: (words: Int32Array) => void): Promise<Outcome[]> => {
    const twin = make(), words = new Int32Array(new SharedArrayBuffer(recording.words.byteLength));
    words.set(recording.words);
    change(words);
    return on(twin, async cluster => {
      const replayed = await cluster.replay(ask, new Recording(words), 200);
      twin.machine.views.locks.deadline = performance.now() + 1000;
      twin.machine.invalidate(twin.machine.vcpus);
      return replayed;
    });
  };
  expect(await replay(() => {})).toEqual(outcomes);
  expect(await replay(words => { words[16] = -1; })).toEqual([{ how: 'failed', error: expect.stringMatching(/recording: .* vCPU 0 takes the lock at word 0/) as string }]);
});

it('is of the programs it is made of, and of no others that run', async () => {
  const world = makeWorld({ domains: 1, vcpus: 3, engine: 'ts' }), list = programs(world, { seed: 1, steps: 20, own: true }), two = list.slice(0, 2);
  await on(world, async cluster => {
    const other = cluster.start(2, { ...list[2]!, data: { ...list[2]!.data as object, steps: 1e9 } });
    await expect(cluster.record(two)).rejects.toThrow(/programs: expected no other vCPU that runs one, got 2/);
    cluster.stop(2);
    expect(await other).toEqual({ how: 'stopped' });
    expect((await cluster.record(two)).outcomes.map(({ how }) => how)).toEqual(['returned', 'returned']);
  });
});

it.each([['words of one thread', new Int32Array(8)], ['part of an entry', new Int32Array(new SharedArrayBuffer(16))], ['nothing', undefined]])('is not made of %s', (_, words) => {
  expect(() => new Recording(words as Int32Array)).toThrow(/^words: expected an Int32Array in shared memory/);
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
