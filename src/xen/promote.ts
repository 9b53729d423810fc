/**
 * Validation of page tables: every entry's references are taken, and its flags adjusted, or none.
 *
 * Source: facts of Xen 4.17, promote_l1_table() to promote_l4_table(), pae_xen_mappings_check() (xen/arch/x86/mm.c).
 */
import { PTE_P } from '../arch/pte.ts';
import { PGT_PAE_XEN_L2 } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { disallowed, frameOf, givenLo, keptHi, keptLo } from './entry-flags.ts';
import type { Host } from './host.ts';
import { getFromL1, putFromL1 } from './l1-entry.ts';
import { lookedAt } from './looked-at.ts';
import { XEN_EINTR, XEN_EINVAL, XEN_ERESTART } from './numbers.ts';
import { deferPut, putOldTable, tableType } from './page-type.ts';
import { takeRun } from './runs.ts';
import { getFromTable, getTable, putFromTable } from './table-entry.ts';
import { ENTRIES_SEEN } from './work.ts';
import { compatSlot, fillCompatSlots, fillRootSlots, guestSlot } from './xen-slots.ts';

const ENTRIES = 512;
const COMPAT_ENTRIES = 4;

/** Validate a level-1 table. A failure is undone at once, but entries already passed stay adjusted. @returns 0 or -XEN_E* */
export function promoteL1(h: Host, mfn: number): number {
  const owner = h.ownerOf(mfn)!, at = h.table(mfn), w = h.s.w;
  for (let i = takeRun(h, mfn, 0, owner); i < ENTRIES; i = takeRun(h, mfn, i + 1, owner)) {
    const lo = w[at + i * 2], hi = w[at + i * 2 + 1];
    const flip = getFromL1(h, lo, hi, owner, owner);
    if (flip < 0) {
      h.counters.work.add(ENTRIES_SEEN, 1);
      for (let time = 0; time < 2; time++) lookedAt(h, mfn, 0, i); // those before are put again
      while (i-- > 0) putFromL1(h, w[at + i * 2], w[at + i * 2 + 1]);
      return flip;
    }
    storeEntry(h.s, at + i * 2, keptLo(owner, 1, lo ^ flip, hi), keptHi(owner, 1, lo ^ flip, hi));
  }
  lookedAt(h, mfn, 0, ENTRIES);
  return 0;
}

/** Validate a table of level 2 to 4, from where it was interrupted. @returns 0, -XEN_E*; -XEN_ERESTART: preempted */
export function promoteTable(h: Host, mfn: number, level: number, type: number): number {
  const { frames } = h, owner = h.ownerOf(mfn)!, at = h.table(mfn), w = h.s.w;
  const first = frames.validated(mfn), end = level === 3 && owner.is32 ? COMPAT_ENTRIES : ENTRIES;
  if (end === COMPAT_ENTRIES) w.fill(0, at + COMPAT_ENTRIES * 2, at + ENTRIES * 2);
  let held = frames.partialSet(mfn), rc = 0;
  for (let i = first; i < end; i++, held = false) {
    if (!guestSlot(owner, level, type, i)) continue;
    const lo = w[at + i * 2], hi = w[at + i * 2 + 1];
    if (level !== 4 && i > first && h.preemptCheck()) rc = -XEN_EINTR;
    else if (compatSlot(owner, level, i)) rc = getCompatLast(h, lo, hi, owner, held);
    else if ((lo & PTE_P) === 0) continue;
    else rc = getFromTable(h, level, lo, hi, mfn, owner, held, level > 2);
    if (rc < 0) {
      h.counters.work.add(ENTRIES_SEEN, 1);
      lookedAt(h, mfn, first, i);
      return stop(h, mfn, level, i, held, rc);
    }
    storeEntry(h.s, at + i * 2, keptLo(owner, level, lo, hi), keptHi(owner, level, lo, hi));
  }
  lookedAt(h, mfn, first, end);
  if ((type & PGT_PAE_XEN_L2) !== 0) fillCompatSlots(h, owner, at);
  if (level === 4) fillRootSlots(h, owner, mfn, at);
  return 0;
}

/** The last entry of a 32-bit guest's root: its level-2 table holds the hypervisor's entries too, so no one else may use it. */
function getCompatLast(h: Host, lo: number, hi: number, owner: Domain, held: boolean): number {
  if ((lo & PTE_P) === 0 || disallowed(owner, 3, lo, hi)) return -XEN_EINVAL;
  const mfn = frameOf(lo, hi), rc = getTable(h, mfn, tableType(2) | PGT_PAE_XEN_L2, owner, held, true);
  if (rc !== 0 || h.frames.typeCount(mfn) === 1) return rc;
  h.lostReferences.add({ by: 'shared compat table', mfn, refs: 1, types: 1 }); // Xen does not put them: the entry counts as not validated
  return -XEN_EINVAL;
}

/** Validation ends at entry `i`: preempted, or failed with entries before it that have to be put later. */
function stop(h: Host, mfn: number, level: number, i: number, held: boolean, rc: number): number {
  const { frames, current } = h;
  if (rc === -XEN_ERESTART) {
    frames.setValidated(mfn, i, true);
    return rc;
  }
  if (rc === -XEN_EINTR) {
    if (i === 0) return rc;
    frames.setValidated(mfn, i, held);
    return -XEN_ERESTART;
  }
  const at = h.table(mfn), w = h.s.w, failed = frameOf(w[at + i * 2], w[at + i * 2 + 1]);
  const handed = current.oldTable === failed && current.oldTable !== NO_FRAME;
  if (i === 0) {
    if (held && !handed) putFirst(h, mfn, w[at], w[at + 1], failed);
  } else {
    if (current.oldTable !== NO_FRAME && !handed) forget(h);
    frames.setValidated(mfn, i, held || handed);
    deferPut(h, mfn, NO_FRAME, true);
  }
  if (level === 3 && h.ownerOf(mfn)!.is32) for (let k = 0; k < i; k++) w[at + k * 2] = givenLo(w[at + k * 2]);
  return rc;
}

/** The reference that the first entry has held since validation was preempted there. */
function putFirst(h: Host, table: number, lo: number, hi: number, mfn: number): void {
  if (h.behaviour.leakPreemptedTables) h.lostReferences.add({ by: 'leakPreemptedTables', mfn, refs: 1, types: 0 });
  else h.unpreempted(() => putFromTable(h, lo, hi, table, true));
}

/** A table deferred two levels further down is about to be overwritten: the release build's leak. */
function forget(h: Host): void {
  if (h.behaviour.leakPartialTables) h.lostReferences.add({ by: 'leakPartialTables', mfn: h.current.oldTable, refs: 1, types: 0 });
  else h.unpreempted(() => putOldTable(h));
}
