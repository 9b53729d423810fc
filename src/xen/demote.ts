/**
 * Undoing of validation: every entry's references are put.
 *
 * Source: facts of Xen 4.17, demote_l1_table() to demote_l4_table() (xen/arch/x86/mm.c).
 */
import { PGT_PAE_XEN_L2 } from '../layout/frame.ts';
import { givenLo } from './entry-flags.ts';
import type { Host } from './host.ts';
import { putFromL1 } from './l1-entry.ts';
import { lookedAt } from './looked-at.ts';
import { XEN_EINTR, XEN_ERESTART } from './numbers.ts';
import { dropRun } from './runs.ts';
import { putFromTable } from './table-entry.ts';
import { guestSlot } from './xen-slots.ts';

const ENTRIES = 512;

export function demoteL1(h: Host, mfn: number): number {
  const owner = h.ownerOf(mfn)!, at = h.table(mfn), w = h.s.w;
  for (let i = dropRun(h, mfn, ENTRIES, owner); i > 0; i = dropRun(h, mfn, i - 1, owner)) putFromL1(h, w[at + i * 2 - 2], w[at + i * 2 - 1]);
  lookedAt(h, mfn, 0, ENTRIES);
  return 0;
}

/** Put the entries of a table of level 2 to 4, the last validated one first. @returns 0, -XEN_EINTR or -XEN_ERESTART */
export function demoteTable(h: Host, mfn: number, level: number): number {
  const { frames } = h, owner = h.ownerOf(mfn)!, at = h.table(mfn), w = h.s.w, type = frames.type(mfn);
  let held = frames.partialSet(mfn);
  for (let i = frames.validated(mfn) - (held ? 0 : 1); i >= 0; i--) {
    lookedAt(h, mfn, i, i + 1);
    const rc = guestSlot(owner, level, type, i) ? putFromTable(h, w[at + i * 2], w[at + i * 2 + 1], mfn, held) : 0;
    if (rc === -XEN_ERESTART) {
      frames.setValidated(mfn, i, true);
      return rc;
    }
    if (rc === -XEN_EINTR) return interrupted(h, mfn, i, held);
    held = false;
    if (level === 3 && rc === 0 && owner.is32) w[at + i * 2] = givenLo(w[at + i * 2]);
    if (i > 0 && level !== 4 && h.preemptCheck()) return interrupted(h, mfn, i - 1, held);
  }
  if (level === 2) frames.setType(mfn, frames.type(mfn) & ~PGT_PAE_XEN_L2);
  frames.setValidated(mfn, 0, false); // the same state, preempted on the way or not
  return 0;
}

/** Preempted before entry `i` was put. Nothing to remember if it is the very first. */
function interrupted(h: Host, mfn: number, i: number, held: boolean): number {
  if (i >= ENTRIES - 1) return -XEN_EINTR;
  h.frames.setValidated(mfn, i + (held ? 0 : 1), held);
  return -XEN_ERESTART;
}
