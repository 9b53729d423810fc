/**
 * XSA-182, "x86: Privilege escalation in PV guests" (CVE-2016-6258).
 *
 * The attacker makes a linear entry: one that refers to the table it stands in, read-only, which is allowed and needs no references. Then it
 * changes that entry to R/W = 1. Changes that keep the frame had a shortcut, meant for A and D, that let too many bits through: R/W among
 * them. Through the entry the attacker then writes its own page tables.
 *
 * Only U/S, A, D, G, the available bits and NX may change without validation; a writable linear entry must be refused, however it comes about,
 * and the table must be readable through the entry but never writable. Both widths: level 4 to 2 in 64-bit guests, level 2 in 32-bit ones.
 */
import { describe, expect, it } from 'vitest';
import { A, D, entryOf, NX, P, RW, US } from '../xen/guest.ts';
import { attacker, EINVAL, holds, load, MMU_PRESERVE_AD, PAGE_FAULT, PCD, PS, PWT, refused, store, WIDTHS } from './world.ts';

const SLOT = 300;
const SHIFTS = [12n, 21n, 30n, 39n];

describe.each(WIDTHS)('XSA-182: a %s guest', (_, wide) => {
  // level, which of its tables, and the slots of the levels above on the way to that table
  const levels: [level: number, table: number, above: number[]][] = wide ? [[4, 0, []], [3, 1, [511]], [2, 2, [511, 510]]] : [[2, 2, [0, 1]]];

  it.each(levels)('makes a linear entry of level %i writable, and is refused', (level, k, above) => {
    const g = attacker({ wide }), table = g.tables[k]!, linear = entryOf(table, P | US | A);
    expect(g.update([table, SLOT, linear])).toBe(0);
    for (const command of [0, MMU_PRESERVE_AD, 3]) {
      for (const flags of [RW, RW | D, RW | NX, PS, PWT, PCD]) refused(g, EINVAL, () => g.update([table, SLOT, linear | flags, command]));
    }
    for (const flags of [A, D, NX, 0xe00n]) expect(g.update([table, SLOT, linear | flags])).toBe(0);
    expect(g.entry(table, SLOT) & RW).toBe(0n);

    // The same slot at this level and all below: the table itself.
    const slots = [...above, ...Array.from({ length: level }, () => SLOT)].slice(-4), low = slots.reduceRight((va, slot, i) => va | (BigInt(slot) << SHIFTS[slots.length - 1 - i]!), 0n);
    const va = wide ? BigInt.asUintN(64, BigInt.asIntN(48, low)) : low;
    expect(load(g, va + BigInt(SLOT * 8))! >> 12n & 0xffffn).toBe(BigInt(table));
    expect(store(g, va, entryOf(table, P | RW | US))).toEqual([PAGE_FAULT, 3]);
    holds(g);
  });

  it.each(levels)('gives a linear entry of level %i that was writable from the start, and is refused', (_level, k) => {
    const g = attacker({ wide }), table = g.tables[k]!;
    refused(g, EINVAL, () => g.update([table, SLOT, entryOf(table, P | RW | US)]));
    expect(g.update([table, SLOT, entryOf(table, RW | US)])).toBe(0); // not present
    refused(g, EINVAL, () => g.update([table, SLOT, entryOf(table, P | RW | US)]));
  });

  it('finds no writable linear entry in a table that it pins', () => {
    const g = attacker({ wide }), table = g.free(0);
    g.table(table, [[7, entryOf(table, P | RW | US)]]);
    refused(g, EINVAL, () => g.pin(2, table));
  });
});
