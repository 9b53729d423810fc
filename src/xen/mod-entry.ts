/**
 * Changes of single entries of page tables in use: acquire what the new entry needs, store it, release what the old one held.
 *
 * Source: facts of Xen 4.17, mod_l1_entry() to mod_l4_entry() (xen/arch/x86/mm.c), update_intpte() (xen/arch/x86/pv/mm.h).
 */
import { PTE_A, PTE_D, PTE_P } from '../arch/pte.ts';
import { MMU_PT_UPDATE_PRESERVE_AD } from '../layout/frame.ts';
import { casEntry, storeEntry } from '../memory/entry.ts';
import type { Domain } from './domain.ts';
import { alike, disallowed, keptHi, keptLo } from './entry-flags.ts';
import type { Host } from './host.ts';
import { getFromL1, putFromL1 } from './l1-entry.ts';
import { XEN_EINVAL, XEN_EPERM } from './numbers.ts';
import { getFromTable, putFromTable } from './table-entry.ts';
import { guestSlot } from './xen-slots.ts';

const AD = PTE_A | PTE_D;
const ENTRIES = 512;
const LAST_COMPAT_ENTRY = 3;

/** Processors that walk the table may set A and D meanwhile: nothing else of the entry. */
function store(h: Host, at: number, lo: number, hi: number, command: number): void {
  const { s } = h, { w } = s;
  if (command !== MMU_PT_UPDATE_PRESERVE_AD) storeEntry(s, at, lo, hi);
  else for (let old = w[at]; !casEntry(s, at, old, w[at + 1], lo | (old & AD), hi);) old = Atomics.load(w, at);
}

/**
 * Change a level-1 entry.
 *
 * @param at - word index of the entry @param tableOwner - domain of the table @param frameOwner - domain that the frame is to belong to
 * @param command - MMU_PT_UPDATE_PRESERVE_AD: A and D of the old entry are ORed
 * @returns 0, or -XEN_E* with nothing changed
 */
export function modL1(h: Host, at: number, lo: number, hi: number, command: number, tableOwner: Domain, frameOwner: Domain): number {
  const oldLo = h.s.w[at], oldHi = h.s.w[at + 1];
  if ((lo & PTE_P) === 0) {
    store(h, at, lo, hi, command);
  } else {
    if (disallowed(tableOwner, 1, lo, hi)) return -XEN_EINVAL;
    const newHi = keptHi(tableOwner, 1, lo, hi), newLo = keptLo(tableOwner, 1, lo, hi);
    if (alike(oldLo, oldHi, newLo, newHi)) {
      store(h, at, newLo, newHi, command);
      return 0;
    }
    const flip = getFromL1(h, newLo, newHi, tableOwner, frameOwner);
    if (flip < 0) return flip;
    store(h, at, newLo ^ flip, newHi, command);
  }
  putFromL1(h, oldLo, oldHi);
  return 0;
}

/**
 * Change an entry of a table of level 2 to 4. The table that the old entry referred to is put later, see `putOldTable()`.
 *
 * @param at - word index of the entry @param table - frame of the table @param type - its type word
 * @returns 0, or -XEN_E*
 */
export function modTable(h: Host, level: number, at: number, table: number, type: number, lo: number, hi: number, command: number, owner: Domain): number {
  const slot = (at >>> 1) & (ENTRIES - 1);
  if (!guestSlot(owner, level, type, slot)) return level === 2 ? -XEN_EPERM : -XEN_EINVAL;
  if (level === 3 && owner.is32 && slot >= LAST_COMPAT_ENTRY) return -XEN_EINVAL;
  const oldLo = h.s.w[at], oldHi = h.s.w[at + 1];
  if ((lo & PTE_P) === 0) {
    store(h, at, lo, hi, command);
  } else {
    if (disallowed(owner, level, lo, hi)) return -XEN_EINVAL;
    const newLo = keptLo(owner, level, lo, hi);
    if (!alike(oldLo, oldHi, newLo, hi)) {
      const rc = getFromTable(h, level, newLo, hi, table, owner);
      if (rc < 0) return rc;
      store(h, at, newLo, hi, command);
    } else {
      store(h, at, newLo, hi, command);
      return 0;
    }
  }
  putFromTable(h, oldLo, oldHi, table, false, true);
  return 0;
}
