/** vCPUs in worker threads, on the built package: programs begin, end, are stopped; threads that end are noticed, and what they held is put in order. */
import { afterEach, describe, expect, it } from 'vitest';
import { ACCESS_USER, Machine } from '../../dist/index.js';
import { BrokenError, Cluster, type Outcome } from '../../dist/smp/index.js';
import { contextOf } from '../../dist/smp/program.js';
import { programs } from './crew.ts';
import { Guest } from './guest-program.mjs';
import { BASE, DATA, DATA_FRAME, dataFor, entryOf, makeWorld, SPARE_PAGE } from './world.mjs';

const SMALL = new URL('./small-programs.mjs', import.meta.url);
const options = { memory: '1M', vcpus: 2, mode: 'functional' } as const;
const open: Cluster[] = [];

function clusterOn(machine: Machine, given: ConstructorParameters<typeof Cluster>[1] = { machine: options }): Cluster {
  const cluster = new Cluster(machine, given);
  open.push(cluster);
  return cluster;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map(cluster => cluster.close()));
});

const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise(resolve => { setTimeout(resolve, 2); });
};

describe('a program', () => {
  it('is given its vCPU and its data, and what it returns comes back', async () => {
    const machine = Machine.create(options), cluster = clusterOn(machine);
    const both = await Promise.all([0, 1].map(number => cluster.start(number, { module: SMALL, name: 'tell', data: { plus: 5 } })));
    expect(both).toEqual([0, 1].map(number => ({ how: 'returned', value: { number, sum: number + 5, block: machine.vcpus[number]!.block, xen: false } })));
    expect(await cluster.start(1, { module: SMALL, name: 'tell', data: { plus: 1 } })).toMatchObject({ how: 'returned', value: { sum: 2 } }); // the same thread again
  });

  it('does steps until it is stopped, and then its finally', async () => {
    const machine = Machine.create(options), cluster = clusterOn(machine), run = cluster.start(0, { module: SMALL, name: 'forever', data: 0x5000 });
    await until(() => cluster.beats(0) > 3);
    expect(() => cluster.start(0, { module: SMALL, name: 'tell' })).toThrow(/number: expected a vCPU that runs no program/);
    expect(await cluster.join(1)).toEqual([{ how: 'late' }]);
    cluster.stop(0);
    expect(await run).toEqual({ how: 'stopped' });
    const byte = new Uint8Array(1);
    machine.read(0x5000n, byte);
    expect(byte[0]).toBe(7);
  });

  it('that throws has failed, and one that is not there, too', async () => {
    const cluster = clusterOn(Machine.create(options));
    expect(await cluster.start(0, { module: SMALL, name: 'fail' })).toEqual({ how: 'failed', error: 'RangeError: no further' });
    expect(await cluster.start(0, { module: SMALL, name: 'nothing' })).toMatchObject({ how: 'failed', error: expect.stringMatching(/name: expected a function that/) as string });
    expect(() => cluster.start(2, { module: SMALL })).toThrow(/number: expected a vCPU of the machine, below 2/);
  });

  it('needs a machine in shared memory with several vCPUs', () => {
    expect(() => new Cluster(Machine.create({ memory: '1M' }))).toThrow(/machine: expected a machine with several vCPUs, got 1/);
    expect(() => new Cluster(Machine.create({ ...options, buffer: 'plain', engine: 'ts' }))).toThrow(/machine: expected a machine in shared memory/);
  });
});

describe('a thread that ends', () => {
  it('is noticed, and leaves a sound machine if it was in no call', async () => {
    const machine = Machine.create(options), cluster = clusterOn(machine), other = cluster.start(1, { module: SMALL, name: 'forever', data: 0x6000 });
    expect(await cluster.start(0, { module: SMALL, name: 'exit' })).toEqual({ how: 'died', why: 'exit status 3', sound: true });
    cluster.stop(1);
    expect(await other).toEqual({ how: 'stopped' });
    expect(await cluster.start(0, { module: SMALL, name: 'tell', data: { plus: 0 } })).toMatchObject({ how: 'returned' }); // another takes its place
  });

  it('leaves nothing half cached', async () => {
    const timed = { ...options, mode: 'timed' } as const, machine = Machine.create(timed), cluster = clusterOn(machine, { machine: timed }), page = { module: SMALL, name: 'cachePage' };
    machine.map(0x5000n, { user: true });
    const first = await cluster.start(0, { ...page, data: { page: 5 } });
    expect(first).toEqual({ how: 'returned', value: [0, Number((machine.vcpus[0]!.probe(0x5000n, ACCESS_USER) as { paddr: bigint }).paddr)] });
    expect(await cluster.start(0, { ...page, data: { page: 5, torn: true } })).toMatchObject({ how: 'died', sound: true });
    expect(await cluster.start(0, { ...page, data: { page: 5 } })).toEqual(first);
  });

  it('is ended if its program does no step for too long', async () => {
    const cluster = clusterOn(Machine.create(options), { machine: options, stall: 60 });
    expect(await cluster.start(0, { module: SMALL, name: 'hang' })).toMatchObject({ how: 'died', sound: true });
  });

  it.each(['domain', 'hypervisor'] as const)('with the lock of the %s is recovered from: others go on', async which => {
    const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), cluster = clusterOn(world.machine, { machine: world.options });
    const dead = await cluster.start(0, { module: SMALL, name: 'dieWith', data: which });
    expect(dead).toEqual({ how: 'died', why: 'exit status 4', sound: true });
    expect(await cluster.start(1, programs(world, { seed: 1, steps: 50 })[1]!)).toMatchObject({ how: 'returned' });
    expect(world.xen.audit()).toEqual([]);
  });

  it.each(['grants', 'events', 'lost', 'heap', 'half', 'ports'] as const)('and leaves %s half done breaks the machine, with the reason', async which => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), cluster = clusterOn(world.machine, { machine: world.options });
    const other = cluster.start(1, programs(world, { seed: 1, steps: 1e9 })[1]!);
    await until(() => cluster.beats(1) > 10);
    const dead = await cluster.start(0, { module: SMALL, name: 'dieWith', data: which });
    const reason = { grants: "with the lock of a domain's grants", events: "with the lock of a domain's events", lost: 'with the lock of lost references', heap: 'with the lock of freed frames', half: 'XA1: frame 0x80 has', ports: 'and a table has a page' }[which];
    expect(dead).toMatchObject({ how: 'died', sound: false, why: expect.stringContaining(reason) as string });
    expect(await other).toMatchObject({ how: 'failed', error: expect.stringMatching(/BrokenError: the thread of vCPU 0 ended in the middle of a hypercall/) as string });
    expect(() => cluster.start(1, { module: SMALL, name: 'tell' })).toThrow(/the thread of vCPU 0 ended/);
  });

  it.each([[false], [true]])('with a letter half written is recovered from: its reader forgets everything (with its own mailbox: %s)', async own => {
    const machine = Machine.create({ ...options, paging: '4-level' }), cluster = clusterOn(machine), [, reader] = machine.vcpus, page = 0x7000n;
    machine.map(page);
    reader!.writeCr3(machine.vcpus[0].registers.cr3);
    expect(reader!.translate(page, 0).ok).toBe(true);
    machine.write(reader!.explain(page, 0).references.at(-1)!.paddr, new Uint8Array(8));
    expect(reader!.translate(page, 0).ok).toBe(true); // it is cached
    expect(await cluster.start(0, { module: SMALL, name: 'dieAtMail', data: own })).toEqual({ how: 'died', why: 'exit status 4', sound: true });
    expect(await cluster.start(1, { module: SMALL, name: 'askAll', data: 2 })).toEqual({ how: 'returned', value: 2 }); // it comes by its mailbox, and writes to that of the dead one
    expect(reader!.translate(page, 0).ok).toBe(false);
  });

  it.each([['an invalidation', false], ['a hypercall', true]] as const)('in %s that waits for another vCPU is recovered from: others go on, and so does that one', async (_, byCall) => {
    const world = makeWorld({ domains: 1, vcpus: 3, engine: 'ts' }), { machine, guests: [guest] } = world, cluster = clusterOn(machine, { machine: world.options });
    const word = (at: number): number => Atomics.load(machine.views.w, machine.views.lowWord + (at >>> 2)), early = 0x8000;
    const call = byCall ? [14, BASE + BigInt(SPARE_PAGE * 4096), entryOf(guest!.first + DATA_FRAME, DATA), 6n] : undefined; // update_va_mapping, INVLPG on all
    void cluster.start(1, { module: SMALL, name: 'hang' });
    await until(() => cluster.beats(1) > 1);
    const asks = cluster.start(0, { module: SMALL, name: 'askNext', data: { early, call } });
    await until(() => word(early) === 1);
    await new Promise(resolve => { setTimeout(resolve, 30); });
    expect((await cluster.join(1)).map(({ how }) => how)).toEqual(['late', 'late']); // it waits
    cluster.kill(0);
    expect(await asks).toMatchObject({ how: 'died', sound: true });
    const third = cluster.start(2, programs(world, { seed: 1, steps: 30 })[2]!);
    cluster.kill(1);
    expect(await third).toMatchObject({ how: 'returned' });
    expect(world.xen.audit()).toEqual([]);
  });

  it('at any moment leaves no one waiting for ever', async () => {
    for (let round = 0; round < 3; round++) {
      const world = makeWorld({ domains: 2, vcpus: 2, engine: round % 2 ? 'ts' : 'wasm', fifo: round > 1 }), cluster = clusterOn(world.machine, { machine: world.options });
      const runs: Promise<Outcome>[] = programs(world, { seed: round, steps: 1e9 }).map((program, number) => cluster.start(number, program));
      await until(() => cluster.beats(0) > 50 + round);
      cluster.kill(0);
      const first = await runs[0]!;
      for (const number of [1, 2, 3]) cluster.stop(number);
      const others = await Promise.all(runs.slice(1));
      expect(first.how).toBe('died');
      if (first.how === 'died' && first.sound) expect([others.map(({ how }) => how), world.xen.audit()]).toEqual([['stopped', 'stopped', 'stopped'], []]);
      else for (const outcome of others) expect(outcome.how === 'stopped' || (outcome.how === 'failed' && outcome.error.startsWith('BrokenError'))).toBe(true);
    }
  });
});

it('a call that comes upon what cannot be breaks the machine for all', () => {
  const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), { machine, guests: [one, two] } = world;
  const [first, second] = [one!, two!].map(guest => new Guest(contextOf(machine.views.memory, world.options, guest.cpus[0]!, dataFor(world, guest, 0, {})))) as [Guest, Guest];
  expect([first.map(DATA_FRAME, 0n), second.map(DATA_FRAME, 0n)]).toEqual([0, 0]);
  world.xen.host.frames.setRefs(first.frame(DATA_FRAME + 1), 0);
  expect(() => first.map(DATA_FRAME + 1, 0n)).toThrow(/InvariantError|has a reference to put/);
  expect(() => second.map(DATA_FRAME + 1, 0n)).toThrow(new BrokenError('in the hypervisor: frame 0xa1 has a reference to put'));
});
