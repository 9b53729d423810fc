/** Two vCPUs at what they may not meet half-way, in worker threads, and an audit after it. On the built package. */
import { describe, expect, it } from 'vitest';
import { Cluster } from '../../dist/smp/index.js';
import { wordOf } from '../../dist/memory/extents.js';
import { work } from './crew.ts';
import { dataFor, makeWorld, OWNED, type World } from './world.mjs';

const PROGRAMS = new URL('./race-programs.mjs', import.meta.url);
const KINDS = [['wasm', 'none'], ['ts', 'all'], ['wasm', 'some']] as const; // some: the first and the third domain

interface Found { readonly wrong: string[]; readonly counts: Record<string, number> & number[] }

/** Run a program on each vCPU named. @returns what they counted, in that order */
async function race(world: World, each: readonly (readonly [number: number, name: string, data: Record<string, unknown>])[], steps: number): Promise<Found['counts'][]> {
  const cluster = new Cluster(world.machine, { machine: world.options }), meeting = new Int32Array(new SharedArrayBuffer(8));
  const placeOf = (number: number) => world.guests.find(({ cpus }) => cpus.includes(number))!;
  try {
    const outcomes = await Promise.all(each.map(([number, name, data]) => cluster.start(number, {
      module: PROGRAMS, name, data: dataFor(world, placeOf(number), placeOf(number).cpus.indexOf(number), { meeting, steps, parties: each.length, ...data }),
    })));
    return outcomes.map(outcome => {
      if (outcome.how !== 'returned') throw new Error(JSON.stringify(outcome));
      const { wrong, counts } = outcome.value as Found;
      expect(wrong.slice(0, 3)).toEqual([]);
      return counts;
    });
  } finally {
    await cluster.close();
    expect(world.xen.audit()).toEqual([]);
  }
}

describe.each(KINDS)('with the %s engine (domains of 32 bits: %s)', (engine, narrow) => {
  it('pins meet updates of the table', async () => {
    const [pins, updates] = await race(makeWorld({ domains: 1, vcpus: 2, engine, narrow }), [[0, 'pin', {}], [1, 'update', {}]], 800);
    expect(pins![1]).toBe(pins![0]);
    expect(updates![0]).toBeGreaterThan(10);
  });

  it('unmapped pages, and frames that were given back, meet who uses them', async () => {
    const [given, used] = await race(makeWorld({ domains: 2, vcpus: 2, engine, narrow }), [[0, 'remap', {}], [1, 'use', {}]], 800);
    expect([given![0]! > 10, used![0]! > 10, used![1]! > 10]).toEqual([true, true, true]);
  });

  it('events that are sent meet a port that moves between vCPUs: none is lost', async () => {
    const world = makeWorld({ domains: 2, vcpus: 2, engine, narrow }), [sender, taker] = world.guests as [World['guests'][number], World['guests'][number]];
    const link = sender.links.find(({ to }) => to === taker.id)!;
    const [sent, moved] = await race(world, [[sender.cpus[0]!, 'send', { port: link.local }], [taker.cpus[0]!, 'move', { port: link.peer }]], 1500);
    expect([sent![0]! >= 1500, moved![0]! >= 1500, moved![1]! > 0]).toEqual([true, true, true]);
    const { w } = world.machine.views, shared = wordOf(world.machine.views, 0, taker.sharedInfo << 12), bit = 1 << (link.peer & 31);
    const selected = taker.cpus.some((_, vcpu) => w[shared + vcpu * 16 + (taker.is32 ? 1 : 2)]! !== 0 && (w[shared + vcpu * 16]! & 0xff) !== 0);
    expect((w[shared + 0x200 + (link.peer >>> 5)]! & bit) === 0 || selected).toBe(true);
  });

  it('links of FIFO queues meet who takes them apart', async () => {
    const world = makeWorld({ domains: 3, vcpus: 1, engine, narrow, fifo: true }), [taker, ...senders] = world.guests as [World['guests'][number], ...World['guests'][number][]];
    const each = senders.map(sender => [sender.cpus[0]!, 'sendMany', { ports: sender.links.filter(({ to }) => to === taker.id) }] as const);
    const [taken, ...sent] = await race(world, [[taker.cpus[0]!, 'consume', { array: taker.first + OWNED - 2, controls: [taker.first + OWNED - 1], taken: senders.flatMap(sender => sender.links.filter(({ to }) => to === taker.id).map(({ peer }) => peer)) }], ...each], 1500);
    const ports = sent.flatMap(counts => Object.keys(counts));
    expect(ports).toHaveLength(6);
    for (const port of ports) expect(taken![port as unknown as number], `port ${port}`).toBeGreaterThan(10);
    const at = wordOf(world.machine.views, 0, (taker.first + OWNED - 2) << 12);
    expect(ports.map(port => world.machine.views.w[at + Number(port)]! & ((1 << 31) | (1 << 29)))).toEqual(ports.map(() => 0));
  });

  it('mappings and copies meet the end of their grant', async () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine, narrow }), [granter, user] = world.guests as [World['guests'][number], World['guests'][number]], ref = 9;
    const [ended, used] = await race(world, [[granter.cpus[0]!, 'endGrant', { user: user.id, ref }], [user.cpus[0]!, 'useGrant', { from: granter.id, ref }]], 800);
    expect([ended![0]! > 10, used![0]! > 10, used![1]! > 10]).toEqual([true, true, true]);
  });

  it.each([[1, 3, false], [2, 2, true], [narrow === 'some' ? 4 : 2, 2, false]] as const)('%i domains of %i vCPUs do all of it at once (FIFO: %s)', async (domains, vcpus, fifo) => {
    const world = makeWorld({ domains, vcpus, engine, fifo, narrow, privileged: fifo });
    const rounds = await work(world, [{ seed: domains, steps: 250 }, { seed: vcpus, steps: 250 }]);
    for (const calls of rounds) expect(calls.map(count => count > 100)).toEqual(Array(domains * vcpus).fill(true));
  });
});
