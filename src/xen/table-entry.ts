/**
 * What an entry of a level-2, level-3 or level-4 table holds: a general and a type reference of the table it refers to.
 *
 * An entry may also refer to a table of its own level, read-only ("linear page tables"): then that table is seen as one of the next lower
 * level by whoever walks through it. A table may hold such entries or be referred to by such, never both.
 *
 * Source: facts of Xen 4.17, get_page_and_type_from_mfn(), get_page_from_l2e() to get_page_from_l4e(), put_page_from_l2e() to
 *         put_page_from_l4e(), put_pt_page(), inc_linear_entries(), inc_linear_uses(), get_l2_linear_pagetable() and its kin
 *         (xen/arch/x86/mm.c).
 */
import { PTE_P, PTE_RW } from '../arch/pte.ts';
import { PGT_COUNT, PGT_TYPE_MASK, PGT_VALIDATED } from '../layout/frame.ts';
import type { Domain } from './domain.ts';
import { disallowed, frameOf } from './entry-flags.ts';
import type { Host } from './host.ts';
import { XEN_EINVAL, XEN_ERESTART } from './numbers.ts';
import { deferPut, getPageType, putPageType, tableType } from './page-type.ts';

const LINEAR_MOST = 0x7fff;
/** There was nothing to put. */
export const NOTHING = 1;

/**
 * Take a general and a type reference of a frame.
 *
 * @param held - the general reference is held already (an entry where validation was interrupted)
 * @param retain - keep the general reference if validation is preempted
 */
export function getTable(h: Host, mfn: number, type: number, owner: Domain, held = false, retain = false): number {
  if (!held && !h.frames.getPage(mfn, owner.id)) return -XEN_EINVAL;
  const rc = getPageType(h, mfn, type);
  const kept = rc === 0 || held || mfn === h.current.oldTable || (retain && rc === -XEN_ERESTART);
  if (!kept) h.frames.putPage(mfn);
  return rc;
}

/** Take the references of a present entry of table `table`. @returns 0 or -XEN_E* */
export function getFromTable(h: Host, level: number, lo: number, hi: number, table: number, owner: Domain, held = false, retain = false): number {
  if (disallowed(owner, level, lo, hi)) return -XEN_EINVAL;
  const rc = getTable(h, frameOf(lo, hi), tableType(level - 1), owner, held, retain);
  if (rc !== -XEN_EINVAL || (level === 3 && owner.is32)) return rc;
  return getLinear(h, level, lo, hi, table, owner) ? 0 : rc;
}

function getLinear(h: Host, level: number, lo: number, hi: number, table: number, owner: Domain): boolean {
  const { frames } = h;
  if (!h.behaviour.linearPageTables || (lo & PTE_RW) !== 0) return false;
  const mfn = frameOf(lo, hi);
  if (mfn === table) return true;
  if (!frames.valid(table) || frames.owner(table) !== owner.id || !frames.getPage(mfn, owner.id)) return false;
  const type = frames.type(mfn), entries = frames.linear(table), uses = frames.linear(mfn);
  const isTable = (type & (PGT_TYPE_MASK | PGT_VALIDATED)) === (tableType(level) | PGT_VALIDATED) && (type & PGT_COUNT) !== PGT_COUNT;
  if (entries < 0 || entries === LINEAR_MOST || uses > 0 || uses === -LINEAR_MOST - 1 || !isTable) {
    frames.putPage(mfn);
    return false;
  }
  frames.setLinear(table, entries + 1);
  frames.setLinear(mfn, uses - 1);
  frames.setType(mfn, type + 1);
  return true;
}

/**
 * Put the references of an entry of table `table`.
 *
 * @param held - the entry holds the general reference of a table that may be partial @param defer - later: see `putOldTable()`
 * @returns 0, NOTHING, or as `putPageType()`
 */
export function putFromTable(h: Host, lo: number, hi: number, table: number, held: boolean, defer = false): number {
  const mfn = frameOf(lo, hi);
  if ((lo & PTE_P) === 0 || mfn === table) return NOTHING;
  const parent = h.frames.valid(table) ? table : -1;
  if (defer) {
    deferPut(h, mfn, parent, false);
    return 0;
  }
  const rc = putPageType(h, mfn, held, parent);
  if (rc === 0) h.frames.putPage(mfn);
  return rc;
}
