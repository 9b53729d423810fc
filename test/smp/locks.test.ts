/** Locks in machine memory, and which of them hypercalls take. On the built package. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { Machine } from '../../dist/index.js';
import { DOMAIN_EVENT_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_LOCK } from '../../dist/layout/domain.js';
import { HV_HEAP_LOCK, HV_LOCK } from '../../dist/layout/hypervisor.js';
import { EMBEDDER, RANK_DOMAIN, RANK_GRANTS, RANK_HEAP, WAITED } from '../../dist/layout/lock.js';
import { VCPU_HELD, VCPU_HELD_LOCKS, VCPU_INSIDE, VCPU_MAIL } from '../../dist/layout/vcpu.js';
import { brokenBy, declareBroken } from '../../dist/memory/broken.js';
import { Views } from '../../dist/memory/views.js';
import { runInTurn } from '../../dist/smp/index.js';
import * as numbers from '../../dist/xen/numbers.js';
import { inTurn } from './crew.ts';
import { makeWorld } from './world.mjs';

const options = { memory: '64K', vcpus: 2, mode: 'functional', engine: 'ts' } as const;
const [A, B, C] = [1000, 1016, 1032]; // words that nothing uses

function views(): Views {
  const { views: s, vcpus } = Machine.create(options);
  s.locks.be(1, vcpus[0]!.block >>> 2);
  return s;
}

describe('locks', () => {
  it('are taken from the lowest rank up, and of one rank from the lowest address up', () => {
    const { locks } = views();
    locks.take(B, RANK_GRANTS);
    expect(() => locks.take(C, RANK_DOMAIN)).toThrow(/locks are taken in their order/);
    expect(() => locks.take(A, RANK_GRANTS)).toThrow(/locks are taken in their order/);
    expect(() => locks.take(B, RANK_GRANTS)).toThrow(/locks are taken in their order/); // nor twice
    locks.take(C, RANK_GRANTS);
    expect(() => locks.give(B)).toThrow(/the lock that was taken last is given back first/);
    expect(() => locks.be(2, 0)).toThrow(/who holds locks stays who he is/);
  });

  it('are noted in the block of the vCPU that has them', () => {
    const machine = Machine.create(options), { w, locks } = machine.views, { block } = machine.vcpus[0]!;
    const held = () => [w[(block + VCPU_HELD) >>> 2], w[(block + VCPU_HELD_LOCKS) >>> 2], w[(block + VCPU_HELD_LOCKS + 4) >>> 2], w[A], w[B]];
    locks.be(1, block >>> 2);
    locks.take(A, RANK_DOMAIN);
    locks.take(B, RANK_HEAP);
    expect(held()).toEqual([2, A * 4, B * 4, 1, 1]);
    locks.giveAll();
    expect(held()).toEqual([0, 0, 0, 0, 0]);
  });

  it('wake who sleeps', async () => {
    const s = views(), { w, locks } = s;
    locks.take(A, RANK_DOMAIN);
    const worker = new Worker(`
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.views).then(({ Views }) => {
        const { locks } = new Views(workerData.memory);
        locks.be(2, -1);
        parentPort.postMessage('begun');
        locks.take(${A}, 0);
        parentPort.postMessage('has it');
      });`, { eval: true, workerData: { memory: s.memory, views: new URL('../../dist/memory/views.js', import.meta.url).href } });
    const told: unknown[] = [];
    worker.on('message', what => told.push(what));
    while ((Atomics.load(w, A) & WAITED) === 0) await new Promise(resolve => { setTimeout(resolve, 1); });
    expect(told).toEqual(['begun']);
    locks.give(A);
    while (told.length < 2) await new Promise(resolve => { setTimeout(resolve, 1); });
    expect(w[A]! & ~WAITED).toBe(2);
    await worker.terminate();
  });

  it('are waited for up to a deadline, and in a broken machine not at all', () => {
    const s = views(), { w, locks } = s;
    w[A] = 2; // someone's
    locks.deadline = performance.now() + 10;
    expect(() => locks.take(A, RANK_DOMAIN)).toThrow(/a lock was not free/);
    expect(locks.any).toBe(false);
    locks.deadline = Infinity;
    declareBroken(s, 'the disk is full');
    declareBroken(s, 'another reason');
    expect(() => locks.take(A, RANK_DOMAIN)).toThrow(expect.objectContaining({ name: 'BrokenError', message: 'the disk is full' }));
    expect(brokenBy(s)).toBe('the disk is full');
  });

  it('are inherited of who left them, and of no one else', () => {
    const { w, locks } = views();
    w[A] = 7 | WAITED;
    expect([locks.inherit(A, RANK_DOMAIN, 6), locks.any, locks.inherit(A, RANK_DOMAIN, 7), locks.any, w[A]]).toEqual([false, false, true, true, 1 | WAITED]);
  });
});

describe('hypercalls', () => {
  it('take no lock with one vCPU', () => {
    const machine = Machine.create({ ...options, vcpus: 1 });
    expect([machine.views.atomic, machine.views.locks.any]).toEqual([false, false]);
  });

  it('of other domains take no lock in common, unless they are about each other', () => {
    const locksOf = (own: boolean): Set<number>[] => {
      const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), { machine, xen } = world, taken: Set<number>[] = [new Set(), new Set()];
      const exchange = Atomics.compareExchange as (w: Int32Array, at: number, old: number, value: number) => number;
      const { block } = xen.host.own, perDomain = [DOMAIN_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_EVENT_LOCK].map(offset => offset >>> 2);
      const mail = machine.vcpus.map(cpu => (cpu.block + VCPU_MAIL) >>> 2);
      vi.spyOn(Atomics, 'compareExchange').mockImplementation(((w: Int32Array, at: number, old: number, value: number) => {
        const isLock = [HV_LOCK, HV_HEAP_LOCK].some(offset => at === block + (offset >>> 2)) || mail.includes(at) || world.guests.some(({ id }) => perDomain.includes(at - xen.host.domain(id)!.at));
        if (w instanceof Int32Array && old === 0 && (value === 1 || value === 2) && isLock) taken[value - 1]!.add(at);
        return exchange(w, at, old, value);
      }) as typeof Atomics.compareExchange);
      try {
        const outcomes = runInTurn(machine, inTurn(world, { seed: 4, steps: 600, own }), { machine: world.options, seed: 4 });
        expect(outcomes.map(({ how }) => how)).toEqual(['returned', 'returned']);
      } finally {
        vi.restoreAllMocks();
      }
      return taken;
    };
    const [one, two] = locksOf(true) as [Set<number>, Set<number>];
    expect(one.size).toBeGreaterThan(0);
    expect([...one].filter(at => two.has(at))).toEqual([]);
    const [some, others] = locksOf(false) as [Set<number>, Set<number>];
    expect([...some].filter(at => others.has(at)).length).toBeGreaterThan(2);
  });

  it('that do not begin in time leave no lock, and are made later', () => {
    const { machine: { views: { w, locks }, vcpus: [cpu, other] }, xen, guests: [guest] } = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' });
    const inside = (other!.block + VCPU_INSIDE) >>> 2, calls = [numbers.HYPERVISOR_memory_op, numbers.HYPERVISOR_update_va_mapping]; // alone; with its domain's lock
    const held = () => [w[xen.host.own.block + (HV_LOCK >>> 2)], w[xen.host.domain(guest!.id)!.at + (DOMAIN_LOCK >>> 2)], w[(cpu!.block + VCPU_INSIDE) >>> 2], locks.any];
    for (const nr of calls) {
      const busy = nr === numbers.HYPERVISOR_memory_op ? inside : xen.host.own.block + (HV_LOCK >>> 2);
      w[busy] = 2; // another vCPU that does not leave, or is alone
      locks.deadline = performance.now() + 10;
      expect(() => xen.hypercall(cpu!, nr, 0n)).toThrow(/in time/);
      w[busy] = 0;
      locks.deadline = Infinity;
      expect(held()).toEqual([0, 0, 0, false]);
      xen.hypercall(cpu!, nr, 0n);
    }
    expect(xen.audit()).toEqual([]);
  });

  const [SELF, OTHER] = [0x7ff0n, 2n];
  const WAITING: [string, readonly [boolean, boolean], [number, ...bigint[]][]][] = [
    ['that are about its own domain wait for that', [false, true], [
      [numbers.HYPERVISOR_mmu_update, 0n, 0n, 0n, SELF], [numbers.HYPERVISOR_mmuext_op, 0n, 0n, 0n, SELF], [numbers.HYPERVISOR_update_va_mapping, 0n, 0n, 0n], [numbers.HYPERVISOR_update_descriptor, 0n, 0n],
      [numbers.HYPERVISOR_grant_table_op, 0n, 0n, 0n], [numbers.HYPERVISOR_grant_table_op, 1n, 0n, 0n], [numbers.HYPERVISOR_grant_table_op, 5n, 0n, 0n], // map, unmap, copy
    ]],
    ['that make or end what others look at wait for all', [true, false], [
      [numbers.HYPERVISOR_mmu_update, 0n, 0n, 0n, OTHER], [numbers.HYPERVISOR_mmu_update, 0n, 0n, 0n, (OTHER + 1n) << 16n | SELF], [numbers.HYPERVISOR_mmuext_op, 0n, 0n, 0n, OTHER], [numbers.HYPERVISOR_memory_op, 1n, 0n],
      ...[2n, 4n, 8n, 11n].map((op): [number, ...bigint[]] => [numbers.HYPERVISOR_grant_table_op, op, 0n, 0n]), // tables set up, frames transferred, versions, grants swapped
      ...[0n, 1n, 3n, 6n, 7n, 10n, 11n, 12n].map((op): [number, ...bigint[]] => [numbers.HYPERVISOR_event_channel_op, op, 0n]), // ports made and closed, FIFO begun
    ]],
    ['on ports that there are wait for none', [false, false], [4n, 5n, 8n, 9n, 13n].map((op): [number, ...bigint[]] => [numbers.HYPERVISOR_event_channel_op, op, 0n])],
  ];
  it.each(WAITING)('%s', (_, expected, calls) => {
    const { machine: { views: { w, locks }, vcpus: [cpu, other] }, xen: hypervisor, guests: [guest] } = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' });
    const inside = (other!.block + VCPU_INSIDE) >>> 2, own = hypervisor.host.domain(guest!.id)!.at + (DOMAIN_LOCK >>> 2);
    const waits = (at: number, [nr, ...args]: [number, ...bigint[]]): boolean => {
      w[at] = 2;
      locks.deadline = performance.now() + 3;
      try {
        hypervisor.hypercall(cpu!, nr, ...args);
        return false;
      } catch (error) {
        if (!/in time/.test(String(error))) throw error;
        return true;
      } finally {
        w[at] = 0;
        locks.deadline = Infinity;
      }
    };
    for (const call of calls) expect([call, waits(inside, call), waits(own, call)]).toEqual([call, ...expected]);
  });

  it('leave a thread that plays no vCPU no one', () => {
    const { machine: { views: { locks }, vcpus }, xen } = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' });
    expect(locks.me).toBe(EMBEDDER);
    xen.hypercall(vcpus[1]!, 29, 0n);
    expect(locks.me).toBe(EMBEDDER);
    expect(xen.audit()).toEqual([]);
  });

  it('leave no lock, and no one inside, whatever they answer', () => {
    const world = makeWorld({ domains: 2, vcpus: 2, engine: 'ts', budget: 3 }), { w } = world.machine.views;
    runInTurn(world.machine, inTurn(world, { seed: 9, steps: 300 }), {
      machine: world.options, seed: 9,
      onStep: number => {
        const { block } = world.machine.vcpus[number]!;
        if ([VCPU_HELD, VCPU_INSIDE, VCPU_MAIL].some(offset => w[(block + offset) >>> 2] !== 0)) throw new Error(`vCPU ${number} is not outside`);
      },
    });
    expect(world.xen.audit()).toEqual([]);
    const locks = world.guests.flatMap(({ id }) => [DOMAIN_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_EVENT_LOCK].map(offset => w[world.xen.host.domain(id)!.at + (offset >>> 2)]));
    expect(locks).toEqual(locks.map(() => 0));
  });
});
