/** What changes of page tables cost in hypercalls, by how they are made and when tables are pinned. */
import { describe, expect, it } from 'vitest';
import { presets } from '../../src/cost/presets/all.ts';
import { fork } from '../../src/guest/fork.ts';
import { entryHi, entryLo } from '../../src/guest/page-tables.ts';
import { READ_FLAGS } from '../../src/guest/rights.ts';
import type { XenPolicy } from '../../src/guest/xen-ops.ts';
import { HEAP, Rig } from './kernels.ts';

/** Traps of changing `many` level-1 entries of the running process in lazy mode. */
function trapsOf(many: number, batching: NonNullable<XenPolicy['batching']>): { traps: number; emulated: number; updates: number } {
  const rig = new Rig('xen', { policy: { batching } }), { k } = rig, mm = rig.mm.context;
  rig.load(HEAP); // there is a table
  const table = k.tables.find(mm, HEAP), name = k.p.nameOf(k.zeroFrame);
  const { num_page_updates: before } = rig.xen!.domain.xen.counters(), { traps } = rig, { emulated } = rig.xen!.ops;
  k.ops.enterLazyMmu();
  for (let slot = 1; slot <= many; slot++) k.ops.setPteAt(mm, (HEAP + slot) * 4096, table, slot, entryLo(name, READ_FLAGS), entryHi(name));
  k.ops.leaveLazyMmu();
  for (let slot = 1; slot <= many; slot++) expect(k.tables.frameAt(table, slot)).toBe(k.zeroFrame);
  expect(rig.complaints()).toEqual([]);
  const { num_page_updates: updates } = rig.xen!.domain.xen.counters();
  return { traps: rig.traps - traps, emulated: rig.xen!.ops.emulated - emulated, updates: updates - before };
}

describe('level-1 updates', () => {
  it.each([1, 5, 32, 33, 64, 100, 200])('%i cost as many traps one by one, a 32nd by multicall, one by an array', many => {
    expect(trapsOf(many, 'unbatched')).toEqual({ traps: many, emulated: 0, updates: many });
    expect(trapsOf(many, 'multicall')).toEqual({ traps: Math.ceil(many / 32), emulated: 0, updates: many });
    expect(trapsOf(many, 'array')).toEqual({ traps: 1, emulated: 0, updates: many });
    expect(trapsOf(many, 'ptwr')).toEqual({ traps: many, emulated: many, updates: 0 });
  });

  it.each(Object.entries(presets))('cost most cycles by writable page tables, least by an array, on %s', (_, cpu) => {
    const cycles = (batching: NonNullable<XenPolicy['batching']>) => {
      const rig = new Rig('xen', { cpu, policy: { batching } }, 'timed'), mm = rig.mm.context, { k } = rig;
      rig.load(HEAP);
      const table = k.tables.find(mm, HEAP), name = k.p.nameOf(k.zeroFrame), spent = () => k.p.cpu.counters().cycles.hypervisor, before = spent();
      k.ops.enterLazyMmu();
      for (let slot = 1; slot <= 64; slot++) k.ops.setPteAt(mm, (HEAP + slot) * 4096, table, slot, entryLo(name, READ_FLAGS), entryHi(name));
      k.ops.leaveLazyMmu();
      return spent() - before;
    };
    const [ptwr, unbatched, multicall, array] = (['ptwr', 'unbatched', 'multicall', 'array'] as const).map(cycles);
    expect([ptwr > unbatched, unbatched > multicall, multicall > array]).toEqual([true, true, true]);
  });
});

describe('pinning', () => {
  it('late, makes no hypercall for stores into tables that are not pinned', () => {
    const rig = new Rig('xen'), { k } = rig, fresh = k.newMm(), name = k.p.nameOf(k.zeroFrame), before = rig.traps, stores = rig.xen!.ops.stores;
    for (let page = 0; page < 600; page++) {
      const table = k.tables.make(fresh.context, HEAP + page);
      k.pool.get(k.zeroFrame);
      k.ops.setPteAt(fresh.context, (HEAP + page) * 4096, table, (HEAP + page) % 512, entryLo(name, READ_FLAGS), entryHi(name));
    }
    expect(rig.traps - before).toBe(0);
    expect(rig.xen!.ops.stores - stores).toBe(600 + 2 + 1 + 1 + 1); // and entries of two level-2 slots, one of level 3, and of both roots
    k.ops.activateMm(fresh.context);
    expect(rig.complaints()).toEqual([]);
    expect(rig.xen!.domain.xen.counters().hypercalls['update_va_mapping'].calls).toBeGreaterThanOrEqual(6);
  });

  it('early, makes one for each', () => {
    const rig = new Rig('xen', { policy: { pinning: 'early' } }), { k } = rig, fresh = k.newMm(), name = k.p.nameOf(k.zeroFrame);
    const table = k.tables.make(fresh.context, HEAP), before = rig.traps;
    for (let slot = 0; slot < 20; slot++) {
      k.pool.get(k.zeroFrame);
      k.ops.setPteAt(fresh.context, (HEAP + slot) * 4096, table, slot, entryLo(name, READ_FLAGS), entryHi(name));
    }
    expect(rig.traps - before).toBe(20);
    expect(rig.complaints()).toEqual([]);
  });

  it('ends before an address space is taken apart: its entries go without a hypercall', () => {
    const rig = new Rig('xen');
    for (let page = 0; page < 100; page++) rig.store(HEAP + page, page);
    const { num_page_updates: before } = rig.xen!.domain.xen.counters(), stores = rig.xen!.ops.stores;
    rig.exec(rig.mm);
    expect(rig.xen!.domain.xen.counters().num_page_updates - before).toBe(0);
    expect(rig.xen!.ops.stores - stores).toBeGreaterThanOrEqual(100);
    expect(rig.complaints()).toEqual([]);
  });
});

it('a context switch is one multicall: two roots and a stack', () => {
  const rig = new Rig('xen'), child = fork(rig.k, rig.mm), before = rig.xen!.domain.xen.counters(), traps = rig.traps;
  rig.switchTo(child);
  const after = rig.xen!.domain.xen.counters();
  expect(rig.traps - traps).toBe(1);
  expect(after.hypercalls['multicall'].calls - before.hypercalls['multicall'].calls).toBe(1);
  expect(after.calls_from_multicall - before.calls_from_multicall).toBe(3);
});
