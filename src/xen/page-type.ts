/**
 * Type references: taking the first one of a page table validates its entries, putting the last one undoes that.
 *
 * A frame's type changes only while no one uses it as what it is. A table whose validation was interrupted, or failed where it cannot be undone
 * at once, is PGT_PARTIAL: that holds a general reference, and the one type reference belongs to whoever finishes.
 *
 * Source: facts of Xen 4.17, _get_page_type(), _put_page_type(), _put_final_page_type(), validate_page(), devalidate_page(),
 *         put_old_guest_table() (xen/arch/x86/mm.c).
 */
import { invariant } from '../errors.ts';
import {
  PGT_COUNT, PGT_L1_TABLE, PGT_PAE_XEN_L2, PGT_PARTIAL, PGT_SEG_DESC, PGT_TYPE_MASK, PGT_VALIDATED, PGT_WRITABLE,
} from '../layout/frame.ts';
import { RETYPED } from './counters.ts';
import { demoteL1, demoteTable } from './demote.ts';
import { promoteDescriptors } from './descriptor.ts';
import { NO_FRAME } from './domain.ts';
import type { Host } from './host.ts';
import { XEN_EINTR, XEN_EINVAL, XEN_ERESTART } from './numbers.ts';
import { promoteL1, promoteTable } from './promote.ts';

const TYPE_SHIFT = 29;
const ENTRIES = 512;
const HIGHEST_TABLE = 4;

/** PGT_* of a page table of a level. */
export const tableType = (level: number): number => level << TYPE_SHIFT;
/** Level of a page table by its type word; 5 and more: no page table. */
export const levelOf = (type: number): number => type >>> TYPE_SHIFT;

/**
 * Take a type reference.
 *
 * @param type - PGT_*, with PGT_PAE_XEN_L2 where a level-2 table is to hold the hypervisor's entries
 * @returns 0, or -XEN_E* with none taken; -XEN_ERESTART: validation was preempted, and goes on with the next attempt
 */
export function getPageType(h: Host, mfn: number, type: number): number {
  const { frames } = h;
  let old, now;
  do {
    old = frames.type(mfn);
    now = old + 1;
    if ((now & PGT_COUNT) === 0) return -XEN_EINVAL;
    if ((old & PGT_COUNT) === 0) {
      if ((old & PGT_TYPE_MASK) !== type) now = (now & ~(PGT_TYPE_MASK | PGT_VALIDATED)) | type;
      if (type === PGT_WRITABLE) now |= PGT_VALIDATED; // there is nothing to validate
    } else if ((old & (PGT_TYPE_MASK | PGT_PAE_XEN_L2)) !== type) {
      return -XEN_EINVAL;
    } else if ((old & PGT_VALIDATED) === 0) {
      invariant((old & PGT_PARTIAL) !== 0, 'is not being validated by anyone else', mfn);
      now = old & ~PGT_PARTIAL;
    }
  } while (!frames.swapType(mfn, old, now));
  const changed = (old & PGT_COUNT) === 0 && (old & PGT_TYPE_MASK) !== 0 && (old & PGT_TYPE_MASK) !== type;
  if (changed) h.flushStale(frames.owner(mfn), frames.stampOf(mfn), RETYPED);
  if ((now & PGT_VALIDATED) !== 0) return 0;
  if ((old & PGT_PARTIAL) === 0) {
    frames.setValidated(mfn, 0, false);
    frames.setLinear(mfn, 0);
  }
  const rc = validate(h, mfn, type);
  if ((old & PGT_PARTIAL) !== 0) frames.putPage(mfn);
  return rc;
}

function validate(h: Host, mfn: number, type: number): number {
  const { frames } = h;
  const rc = type === PGT_SEG_DESC ? promoteDescriptors(h, mfn)
    : (type & PGT_TYPE_MASK) === PGT_L1_TABLE ? promoteL1(h, mfn) : promoteTable(h, mfn, levelOf(type), type);
  if (rc === 0) {
    frames.setType(mfn, frames.type(mfn) | PGT_VALIDATED);
    frames.setValidated(mfn, 0, false); // the same state, preempted on the way or not
  } else if (rc === -XEN_EINTR) {
    frames.setType(mfn, frames.type(mfn) & ~PGT_COUNT);
  } else if (rc === -XEN_ERESTART || mfn === h.current.oldTable) {
    frames.getAgain(mfn);
    frames.setType(mfn, frames.type(mfn) | PGT_PARTIAL);
  } else {
    frames.setType(mfn, 0);
  }
  return rc;
}

/**
 * Put a type reference.
 *
 * @param partial - the reference is one that PGT_PARTIAL may hold; nothing is done if it does not any more
 * @param parent - table whose entry held it, or NO_FRAME
 * @returns 0; -XEN_EINTR: preempted, nothing put; -XEN_ERESTART: preempted, the table is PGT_PARTIAL now
 */
export function putPageType(h: Host, mfn: number, partial = false, parent = NO_FRAME): number {
  const { frames } = h;
  for (;;) {
    const old = frames.type(mfn);
    if (!partial) {
      invariant((old & PGT_PARTIAL) === 0 && (old & PGT_COUNT) !== 0 && ((old & PGT_VALIDATED) !== 0 || h.ownerOf(mfn)?.dying === true),
        'has a type reference to put', mfn);
    } else if ((old & PGT_PARTIAL) === 0) {
      return 0;
    }
    if ((old & PGT_COUNT) === 1 && levelOf(old) <= HIGHEST_TABLE && (old & (PGT_VALIDATED | PGT_PARTIAL)) !== 0) {
      frames.setType(mfn, old & ~(PGT_VALIDATED | PGT_PARTIAL));
      const rc = putLast(h, mfn, old, parent);
      if ((old & PGT_PARTIAL) !== 0) frames.putPage(mfn);
      return rc;
    }
    if (levelOf(old) > HIGHEST_TABLE) frames.stampUse(mfn);
    else if ((old & PGT_COUNT) === 1) frames.stamp(mfn);
    if (!frames.swapType(mfn, old, old - 1)) continue;
    if (isLinear(h, old, parent)) putLinear(h, mfn, parent);
    return 0;
  }
}

/** Is `parent` a table of the same level? */
function isLinear(h: Host, type: number, parent: number): boolean {
  return parent !== NO_FRAME && ((type ^ h.frames.type(parent)) & PGT_TYPE_MASK) === 0;
}

function putLinear(h: Host, mfn: number, parent: number): void {
  h.frames.setLinear(mfn, h.frames.linear(mfn) + 1);
  h.frames.setLinear(parent, h.frames.linear(parent) - 1);
}

function putLast(h: Host, mfn: number, old: number, parent: number): number {
  const { frames } = h;
  if ((old & PGT_PARTIAL) === 0) frames.setValidated(mfn, ENTRIES, false);
  const level = levelOf(old);
  const rc = level === 1 ? demoteL1(h, mfn) : demoteTable(h, mfn, level);
  if (isLinear(h, old, parent) && (old & PGT_VALIDATED) !== 0 && rc !== -XEN_EINTR) putLinear(h, mfn, parent);
  if (rc === 0) {
    frames.stamp(mfn);
    frames.setType(mfn, frames.type(mfn) - 1);
  } else if (rc === -XEN_EINTR) {
    frames.setType(mfn, frames.type(mfn) | PGT_VALIDATED);
  } else {
    frames.getAgain(mfn);
    frames.setType(mfn, frames.type(mfn) | PGT_PARTIAL);
  }
  return rc;
}

/** Put a type reference and, if that is done, the general reference that goes with it. @returns as `putPageType()` */
export function putPageAndType(h: Host, mfn: number): number {
  const rc = putPageType(h, mfn);
  if (rc === 0) h.frames.putPage(mfn);
  return rc;
}

/** Remember a table whose type reference is to be put before anything else is done for the current vCPU. */
export function deferPut(h: Host, mfn: number, parent: number, partial: boolean): void {
  h.current.oldTable = mfn;
  h.current.oldParent = parent;
  h.current.oldPartial = partial;
}

/** Put what was deferred. @returns 0, or -XEN_ERESTART if that was preempted */
export function putOldTable(h: Host): number {
  const vcpu = h.current, mfn = vcpu.oldTable;
  if (mfn === NO_FRAME) return 0;
  const rc = putPageType(h, mfn, vcpu.oldPartial, vcpu.oldParent);
  if (rc !== 0) {
    vcpu.oldPartial = rc === -XEN_ERESTART;
    return -XEN_ERESTART;
  }
  h.frames.putPage(mfn);
  deferPut(h, NO_FRAME, NO_FRAME, true);
  return 0;
}
