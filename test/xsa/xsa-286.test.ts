/**
 * XSA-286, "x86 PV guest INVLPG-like flushes may leave stale TLB entries" (CVE-2020-27674).
 *
 * The hypervisor reads a guest's level-1 entries through a linear mapping of the tables, which has TLB entries of its own. The attacker
 * changes an upper entry so that another level-1 table is used, invalidates only the one address it is about, or nothing, and asks
 * for an update at that address. With the stale entry of the linear mapping the hypervisor changes the old table, which may be a writable
 * frame by then; its counts are of tables it did not change.
 *
 * After any change of an entry of level 2 to 4, before the next operation, updates by address must reach the table that the guest's tables now
 * lead to. On every vCPU; with other operations of the same call before and after; also if the call then fails. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_mmu_update, HYPERVISOR_update_va_mapping, MMUEXT_INVLPG_LOCAL, MMUEXT_NEW_BASEPTR } from '../../src/xen/numbers.ts';
import { DATA, entryOf, P, READ, TABLE, type Guest } from '../xen/guest.ts';
import { addressIn, attacker, calls, EINVAL, holds, level2, store, WIDTHS } from './world.ts';

const SLOT = 9;

/** Two level-1 tables, the first in use, and updated by address once by each vCPU. */
function scene(wide: boolean): { g: Guest; one: number; two: number; va: bigint } {
  const g = attacker({ wide, vcpus: 2 }), [one, two] = [g.table(g.free(0)), g.table(g.free(1))], va = addressIn(g, SLOT);
  expect(g.update([level2(g), SLOT, entryOf(one, TABLE)])).toBe(0);
  expect(g.pin(1, two)).toBe(0); // pinned before: a change of type comes with a flush of its own
  for (const cpu of g.machine.vcpus) expect(update(g, va, g.free(20), cpu)).toBe(0);
  return { g, one, two, va };
}

function update(g: Guest, va: bigint, mfn: number, cpu = g.cpu): number {
  const value = entryOf(mfn, READ), args = g.wide ? [va, value, 0n] : [va, value, 0n, 0n];
  return Number(g.xen.hypercall(cpu, HYPERVISOR_update_va_mapping, ...args));
}

const mapped = (g: Guest, table: number): number => Number(g.entry(table, 0) >> 12n & 0xffffn);

function reached(g: Guest, one: number, two: number): void {
  expect([mapped(g, one), mapped(g, two)]).toEqual([g.free(20), g.free(21)]);
  holds(g);
}

describe.each(WIDTHS)('XSA-286: a %s guest changes a level-2 entry', (_, wide) => {
  it.each([0, 1])('and updates by address on vCPU %i, with no flush', k => {
    const { g, one, two, va } = scene(wide);
    expect(g.update([level2(g), SLOT, entryOf(two, TABLE)])).toBe(0);
    expect(update(g, va, g.free(21), g.machine.vcpus[k])).toBe(0);
    reached(g, one, two);
  });

  it('and invalidates the address alone', () => {
    const { g, one, two, va } = scene(wide);
    expect(g.update([level2(g), SLOT, entryOf(two, TABLE)])).toBe(0);
    expect(g.ext(MMUEXT_INVLPG_LOCAL, va)).toBe(0);
    expect(update(g, va, g.free(21))).toBe(0);
    reached(g, one, two);
  });

  it('in a list of calls, the update behind it', () => {
    const { g, one, two, va } = scene(wide), value = entryOf(g.free(21), READ);
    const requests = g.words(8, (BigInt(level2(g)) << 12n) | BigInt(SLOT * 8), entryOf(two, TABLE));
    const results = calls(g, [HYPERVISOR_mmu_update, requests, 1n, 0n, 0x7ff0n], [HYPERVISOR_update_va_mapping, va, value, 0n, 0n]);
    expect(results[1]).toBe(0);
    reached(g, one, two);
  });

  it('in a call that then fails', () => {
    const { g, one, two, va } = scene(wide);
    expect(g.update([level2(g), SLOT, entryOf(two, TABLE)], [level2(g), SLOT + 1, entryOf(g.free(30), TABLE)])).toBe(EINVAL);
    expect(update(g, va, g.free(21))).toBe(0);
    reached(g, one, two);
  });

  it('and stores to a level-1 table that another address has now', () => {
    const { g, one, two, va } = scene(wide), tables = [g.table(g.free(2)), g.table(g.free(3))], [, cpu] = g.machine.vcpus;
    for (const table of tables) expect(g.pin(1, table)).toBe(0);
    expect(g.update([one, 3, entryOf(tables[0]!, READ)], [two, 3, entryOf(tables[1]!, READ)])).toBe(0);
    expect(store(g, va + 0x3000n, entryOf(g.free(20), READ), cpu)).toBe(0);
    expect(g.update([level2(g), SLOT, entryOf(two, TABLE)])).toBe(0);
    expect(store(g, va + 0x3000n, entryOf(g.free(21), READ), cpu)).toBe(0);
    reached(g, tables[0]!, tables[1]!);
  });

  it('to nothing: there is no table to update, and the old one can be written', () => {
    const { g, one, va } = scene(wide);
    expect(g.update([level2(g), SLOT, 0n])).toBe(0);
    for (const cpu of g.machine.vcpus) expect(update(g, va, g.free(21), cpu)).toBe(EINVAL);
    expect(mapped(g, one)).toBe(g.free(20));
    expect(g.map(g.va(one), entryOf(one, DATA))).toBe(0);
    expect(store(g, g.va(one), 0n)).toBe(0);
    holds(g);
  });
});

describe('XSA-286: a 64-bit guest', () => {
  it('changes a level-3 entry, and a level-4 entry', () => {
    const { g, one, two } = scene(true), [l2, other] = [g.table(g.free(2), [[0, entryOf(one, TABLE)]]), g.table(g.free(3), [[0, entryOf(two, TABLE)]])];
    const l3 = g.table(g.free(4), [[0, entryOf(l2, TABLE)]]), otherL3 = g.table(g.free(5), [[0, entryOf(l2, TABLE)]]);
    expect([g.pin(2, other), g.pin(3, otherL3)]).toEqual([0, 0]);
    expect(g.update([g.tables[0]!, 1, entryOf(l3, TABLE)])).toBe(0);
    for (const cpu of g.machine.vcpus) expect(update(g, 1n << 39n, g.free(20), cpu)).toBe(0);
    expect(g.update([l3, 0, entryOf(other, TABLE)])).toBe(0);
    for (const cpu of g.machine.vcpus) expect(update(g, 1n << 39n, g.free(21), cpu)).toBe(0);
    reached(g, one, two);
    expect(g.update([g.tables[0]!, 1, entryOf(otherL3, TABLE)])).toBe(0);
    for (const cpu of g.machine.vcpus) expect(update(g, 1n << 39n, g.free(22), cpu)).toBe(0);
    expect([mapped(g, one), mapped(g, two)]).toEqual([g.free(22), g.free(21)]);
    holds(g);
  });

  it('takes another root', () => {
    const { g, one, two, va } = scene(true), l2 = g.free(2), l3 = g.free(3), root = g.free(4);
    g.table(l2, [[0, g.entry(level2(g), 0)], [1, g.entry(level2(g), 1)], [SLOT, entryOf(two, TABLE)]]);
    g.table(l3, [[510, entryOf(l2, TABLE)]]);
    g.table(root, [[511, entryOf(l3, TABLE)]]);
    expect(g.ext(MMUEXT_NEW_BASEPTR, BigInt(root))).toBe(0);
    expect(update(g, va, g.free(21))).toBe(0);
    reached(g, one, two);
  });
});

it('XSA-286: a 32-bit guest changes an entry of its root', () => {
  const { g, one, two } = scene(false), [l2, other] = [g.table(g.free(2), [[0, entryOf(one, TABLE)]]), g.table(g.free(3), [[0, entryOf(two, TABLE)]])];
  expect(g.pin(2, other)).toBe(0);
  expect(g.update([g.tables[0]!, 0, entryOf(l2, P)])).toBe(0);
  for (const cpu of g.machine.vcpus) expect(update(g, 0n, g.free(20), cpu)).toBe(0);
  expect(g.update([g.tables[0]!, 0, entryOf(other, P)])).toBe(0);
  for (const cpu of g.machine.vcpus) expect(update(g, 0n, g.free(21), cpu)).toBe(0);
  reached(g, one, two);
});
