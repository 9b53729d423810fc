import { describe, expect, it } from 'vitest';
import { PGT_COUNT, PGT_PARTIAL } from '../../src/layout/frame.ts';
import { Guest, entryOf, DATA, TABLE } from './guest.ts';

/**
 * A level-2 table that fails in entry 1, in entry 0 of a level-3 table, in entry 1 of a level-4 table: the release build of Xen forgets to put the
 * level-2 table's references (RULES "Memory" 15).
 */
function fail(leakPartialTables: boolean): { g: Guest; rc: number; l2: number } {
  const g = new Guest({ leakPartialTables });
  const good = g.table(g.free(0)), l2 = g.free(1), l3 = g.free(2), l4 = g.free(3), goodL3 = g.table(g.free(4));
  g.table(l2, [[0, entryOf(good, TABLE)], [1, entryOf(g.tables[0], TABLE)]]);
  g.table(l3, [[0, entryOf(l2, TABLE)]]);
  g.table(l4, [[0, entryOf(goodL3, TABLE)], [1, entryOf(l3, TABLE)]]);
  return { g, rc: g.pin(4, l4), l2 };
}

describe('the leak of partial tables', () => {
  it('leaves the level-2 table partial for good, as the real Xen does, and the audit knows', () => {
    const { g, rc, l2 } = fail(true);
    expect(rc).toBe(-22);
    expect(g.xen.host.frames.type(l2) & PGT_PARTIAL).not.toBe(0);
    expect(g.map(g.va(l2), entryOf(l2, DATA))).toBe(-16);
    expect(g.xen.host.lost).toEqual([{ by: 'leakPartialTables', mfn: l2, refs: 1, types: 0 }]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('keeps one frame of its domain when that is destroyed, which is no table any more', () => {
    const { g, l2 } = fail(true), good = g.free(0);
    g.xen.destroyDomain(0);
    expect([g.xen.host.domain(0)?.totalPages, g.xen.host.frames.type(l2) & (PGT_PARTIAL | PGT_COUNT), g.xen.host.frames.refs(l2)]).toEqual([1, 0, 1]);
    expect([good, ...g.tables].every(mfn => g.xen.host.frames.isFree(mfn))).toBe(true);
    expect(g.xen.audit()).toEqual([]);
  });

  it('is gone with the option off', () => {
    const { g, rc, l2 } = fail(false);
    expect(rc).toBe(-22);
    expect(g.map(g.va(l2), entryOf(l2, DATA))).toBe(0);
    expect(g.xen.host.lost).toEqual([]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('is not there where each table fails after its first entry: they hand the failed one up', () => {
    const g = new Guest();
    const good = g.table(g.free(0)), goodL2 = g.table(g.free(1)), goodL3 = g.table(g.free(2)), l2 = g.free(3), l3 = g.free(4), l4 = g.free(5);
    g.table(l2, [[0, entryOf(good, TABLE)], [1, entryOf(g.tables[0], TABLE)]]);
    g.table(l3, [[0, entryOf(goodL2, TABLE)], [1, entryOf(l2, TABLE)]]);
    g.table(l4, [[0, entryOf(goodL3, TABLE)], [1, entryOf(l3, TABLE)]]);
    expect(g.pin(4, l4)).toBe(-22);
    for (const mfn of [good, goodL2, goodL3, l2, l3, l4]) expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    expect(g.xen.host.lost).toEqual([]);
    expect(g.xen.audit()).toEqual([]);
  });
});

/** The same in entry 0 of all but the level-2 table, whose validation is preempted before it fails: Xen forgets the reference that entry 0 of the level-4 table holds. */
function failLater(leakPreemptedTables: boolean, budget: number): { g: Guest; rc: number; frames: number[] } {
  const g = new Guest({ leakPreemptedTables, budget });
  const good = g.table(g.free(0)), l2 = g.free(1), l3 = g.free(2), l4 = g.free(3);
  g.table(l2, [[0, entryOf(good, TABLE)], [1, entryOf(good, TABLE)], [2, entryOf(g.tables[0], TABLE)]]);
  g.table(l3, [[0, entryOf(l2, TABLE)]]);
  g.table(l4, [[0, entryOf(l3, TABLE)]]);
  return { g, rc: g.pin(4, l4), frames: [good, l2, l3, l4] };
}

describe('the leak of preempted tables', () => {
  it('leaves a reference to the level-3 table, as the real Xen does, and the audit knows', () => {
    const { g, rc, frames: [good, l2, l3, l4] } = failLater(true, 1);
    expect(rc).toBe(-22);
    expect(g.xen.host.lost).toEqual([{ by: 'leakPreemptedTables', mfn: l3, refs: 1, types: 0 }]);
    expect(g.xen.audit()).toEqual([]);
    for (const mfn of [good, l2, l3, l4]) expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    g.xen.destroyDomain(0);
    expect([g.xen.host.domain(0)?.totalPages, g.xen.host.frames.refs(l3)]).toEqual([1, 1]);
    expect(g.xen.audit()).toEqual([]);
  });

  it.each([['with the option off', false, 1], ['without preemption', true, Infinity]] as const)('is not there %s', (_, leak, budget) => {
    const { g, rc, frames } = failLater(leak, budget);
    expect(rc).toBe(-22);
    for (const mfn of frames) expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    expect(g.xen.host.lost).toEqual([]);
    expect(g.xen.audit()).toEqual([]);
    g.xen.destroyDomain(0);
    expect(g.xen.host.domain(0)).toBe(undefined);
  });
});
