/**
 * XSA-185, "x86: Disallow L3 recursive pagetable for 32-bit PV guests" (CVE-2016-7092).
 *
 * A PAE processor demands that R/W and U/S are clear in level-3 entries; the hypervisor runs 32-bit guests on four levels and has to set both
 * itself. The attacker has its level-3 table refer to itself, without R/W, as a linear entry may; the hypervisor adds R/W, and the
 * guest writes its page tables through it.
 *
 * A 32-bit guest must be refused level-3 entries that refer to level-3 tables, its own or another. In a 64-bit guest they are allowed, and stay
 * read-only.
 */
import { describe, expect, it } from 'vitest';
import { entryOf, P, RW, US } from '../xen/guest.ts';
import { attacker, EINVAL, holds, refused } from './world.ts';

describe('XSA-185: a 32-bit guest', () => {
  it('puts its root into its root, and is refused', () => {
    const g = attacker({ wide: false }), root = g.tables[0]!;
    for (const slot of [0, 1, 2]) refused(g, EINVAL, () => g.update([root, slot, entryOf(root, P)]));
    refused(g, EINVAL, () => g.update([root, 3, entryOf(root, P)]));
  });

  it('puts another validated level-3 table into its root, and is refused', () => {
    const g = attacker({ wide: false }), last = g.table(g.free(8)), other = g.table(g.free(0), [[3, entryOf(last, P)]]);
    expect(g.pin(3, other)).toBe(0);
    refused(g, EINVAL, () => g.update([g.tables[0]!, 0, entryOf(other, P)]));
    refused(g, EINVAL, () => g.update([other, 0, entryOf(g.tables[0]!, P)]));
  });

  it('pins a level-3 table that refers to itself or to its root, and is refused', () => {
    for (const slot of [0, 1, 3]) {
      const g = attacker({ wide: false }), last = g.table(g.free(8)), self = g.free(0), up = g.free(1);
      g.table(self, [[3, entryOf(last, P)], [slot, entryOf(self, P)]]);
      refused(g, EINVAL, () => g.pin(3, self));
      g.table(up, [[3, entryOf(last, P)], [slot, entryOf(g.tables[0]!, P)]]);
      refused(g, EINVAL, () => g.pin(3, up));
    }
  });
});

it('XSA-185: a 64-bit guest may have recursive level-3 entries, and they stay read-only', () => {
  const g = attacker(), l3 = g.tables[1]!;
  expect(g.update([l3, 5, entryOf(l3, P | US)])).toBe(0);
  expect(g.entry(l3, 5)).toBe(entryOf(l3, P | US));
  refused(g, EINVAL, () => g.update([l3, 5, entryOf(l3, P | RW | US)]));
  holds(g);
});
