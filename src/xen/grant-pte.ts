/**
 * Level-1 entries that map granted frames: found by the linear address they map, or by their own machine address.
 *
 * The references of such an entry are taken and put by who makes and destroys it, not by what is in it.
 *
 * Source: facts of Xen 4.17, create_grant_pv_mapping(), replace_grant_pv_mapping(), steal_linear_address(), grant_to_pte_flags()
 *         (xen/arch/x86/pv/grant_table.c).
 */
import { PTE_A, PTE_D, PTE_HI_XD, PTE_P, PTE_RW, PTE_US } from '../arch/pte.ts';
import { PGT_COUNT, PGT_VALIDATED } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { frameOf, keptHi, keptLo } from './entry-flags.ts';
import {
  GNTMAP_application_map, GNTMAP_contains_pte, GNTMAP_guest_avail0, GNTMAP_readonly, GNTST_general_error, GNTST_okay,
} from './grant-numbers.ts';
import { tableFor } from './guest-entry.ts';
import type { Host } from './host.ts';
import { putFromL1 } from './l1-entry.ts';
import { levelOf } from './page-type.ts';

const NOWHERE = -1;
const AVAIL_SHIFT = 9;
const AVAIL = 7;

/** Word index of the entry, NOWHERE if it is not in a level-1 table in use that is the caller's. */
function entryAt(h: Host, hi: number, lo: number, byEntry: boolean): number {
  const { domain } = h.current;
  if (byEntry ? (lo & 7) !== 0 : domain.is32 && hi !== 0) return NOWHERE;
  const table = byEntry ? (lo >>> 12) + (hi >>> 0) * 0x100000 : tableFor(h, hi, lo);
  if (!h.frames.valid(table) || h.frames.refs(table) === 0 || h.frames.owner(table) !== domain.id) return NOWHERE;
  const type = h.frames.type(table);
  if ((type & PGT_VALIDATED) === 0 || (type & PGT_COUNT) === 0 || levelOf(type) !== 1) return NOWHERE;
  return h.table(table) + (byEntry ? (lo & 0xff8) >>> 2 : ((lo >>> 12) & 0x1ff) * 2);
}

/** Map a frame, in place of what is there. @param flags - GNTMAP_* @returns GNTST_*, on an error with nothing changed */
export function createMapping(h: Host, hi: number, lo: number, mfn: number, flags: number): number {
  const at = entryAt(h, hi, lo, (flags & GNTMAP_contains_pte) !== 0), { domain } = h.current, { w } = h.s;
  if (at === NOWHERE) return GNTST_general_error;
  const given = (mfn << 12) | PTE_P | PTE_A | PTE_D | ((flags & GNTMAP_readonly) !== 0 ? 0 : PTE_RW)
    | ((flags & GNTMAP_application_map) !== 0 ? PTE_US : 0) | (((flags >>> GNTMAP_guest_avail0) & AVAIL) << AVAIL_SHIFT);
  const upper = (mfn / 0x100000) | PTE_HI_XD, oldLo = w[at], oldHi = w[at + 1];
  storeEntry(h.s, at, keptLo(domain, 1, given, upper), keptHi(domain, 1, given, upper));
  putFromL1(h, oldLo, oldHi);
  return GNTST_okay;
}

/**
 * Take a mapping of a frame away, whatever else the entry says. Its references are the caller's to put.
 *
 * @param newHi, newLo - 0, or a linear address: its entry is taken away there and put in place; on an error it is lost, with its references
 * @param flags - GNTMAP_* of the mapping
 */
export function replaceMapping(h: Host, hi: number, lo: number, mfn: number, newHi: number, newLo: number, flags: number): number {
  const byEntry = (flags & GNTMAP_contains_pte) !== 0, { w } = h.s;
  let movedLo = 0, movedHi = 0;
  if ((newLo | newHi) !== 0) {
    const from = byEntry ? NOWHERE : entryAt(h, newHi, newLo, false);
    if (from === NOWHERE) return GNTST_general_error;
    movedLo = w[from];
    movedHi = w[from + 1];
    storeEntry(h.s, from, 0, 0);
  }
  const at = entryAt(h, hi, lo, byEntry), expected = PTE_P | ((flags & GNTMAP_readonly) !== 0 ? 0 : PTE_RW);
  if (at === NOWHERE || frameOf(w[at], w[at + 1]) !== mfn || (w[at] & (PTE_P | PTE_RW)) !== expected) {
    putFromL1(h, movedLo, movedHi);
    return GNTST_general_error;
  }
  storeEntry(h.s, at, movedLo, movedHi);
  return GNTST_okay;
}
