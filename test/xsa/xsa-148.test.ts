/**
 * XSA-148, "x86: Uncontrolled creation of large page mappings by PV guests" (CVE-2015-7835).
 *
 * The attacker has a level-2 entry that refers to a level-1 table. It sets PS (and R/W) in that entry, by a request that changes nothing else, so
 * that a shortcut for entries that refer to the same frame as before stores it without a look. The processor then takes the entry for a large
 * page: 2 MiB of machine memory from the table on, writable, page tables and other domains' frames included.
 *
 * PS must be refused in present entries of level 2 to 4, on every way in: by each command, in a table that is validated, in one entry or
 * among others. In an entry that is not present it may stand, and is refused when the entry is made present. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { A, entryOf, P, TABLE } from '../xen/guest.ts';
import { attacker, addressIn, EINVAL, holds, level2, load, MMU_PRESERVE_AD, PAGE_FAULT, PS, refused, store, WIDTHS } from './world.ts';

describe.each(WIDTHS)('XSA-148: a %s guest sets PS', (_, wide) => {
  const levels = (wide ? [[4, 511, 0], [3, 510, 1], [2, 1, 2]] : [[3, 1, 0], [2, 1, 2]]) as [level: number, slot: number, table: number][];

  it.each(levels)('in an entry of level %i that is there, and is refused', (level, slot, k) => {
    const g = attacker({ wide }), table = g.tables[k]!, there = g.entry(table, slot);
    for (const command of [0, MMU_PRESERVE_AD, 3]) {
      for (const flags of [PS, PS | A]) refused(g, EINVAL, () => g.update([table, slot, there ^ flags, command]));
      const inFlags = !wide && level === 3 ? P | PS : TABLE | PS;
      refused(g, EINVAL, () => g.update([table, slot, (there & ~0xfffn) | inFlags, command]));
    }
    expect(g.entry(table, slot) | A).toBe(there | A);
  });

  it('behind good requests of the same batch, which stay done', () => {
    const g = attacker({ wide }), l2 = level2(g), l1 = g.table(g.free(0));
    expect(g.update([l2, 9, entryOf(l1, TABLE)], [l2, 9, entryOf(l1, TABLE | PS)])).toBe(EINVAL);
    expect(g.entry(l2, 9) & 0xfffn & ~A).toBe(TABLE & ~A);
    expect(load(g, addressIn(g, 9))).toBeUndefined();
    holds(g);
  });

  it('while the entry is not present: then it cannot become present', () => {
    const g = attacker({ wide }), l2 = level2(g), l1 = g.table(g.free(0)), value = entryOf(l1, TABLE | PS);
    expect(g.update([l2, 9, value & ~P])).toBe(0);
    refused(g, EINVAL, () => g.update([l2, 9, value]));
    expect(store(g, addressIn(g, 9), 1n)).toEqual([PAGE_FAULT, 2]);
  });

  it('in a new table, which cannot be pinned', () => {
    const g = attacker({ wide });
    for (const slot of [0, 1, 511]) {
      const l2 = g.table(g.free(slot & 7), [[slot, entryOf(g.free(20), TABLE | PS)]]);
      refused(g, EINVAL, () => g.pin(2, l2));
    }
  });

  it('by a store to the table, which faults: only level-1 tables are emulated', () => {
    const g = attacker({ wide }), l2 = level2(g);
    expect(store(g, g.va(l2) + 8n, g.entry(l2, 1) | PS)).toEqual([PAGE_FAULT, 3]);
    expect(g.entry(l2, 1) & PS).toBe(0n);
    holds(g);
  });
});
