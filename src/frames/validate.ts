/**
 * Validation of level-1 tables: taking and putting the references that runs of their entries hold.
 *
 * Source: facts of Xen 4.17, xen/arch/x86/mm.c: promote_l1_table(), get_page_from_l1e(), put_page_from_l1e(), _get_page_type();
 *         adjust_guest_l1e() of xen/arch/x86/pv/mm.h.
 */
import { PTE_G, PTE_HI_ADDR, PTE_P, PTE_US } from '../arch/pte.ts';
import {
  FLAGS_HI, FLAGS_LO, FLAG_GUEST_KERNEL, FRAME_OWNER, FRAME_REFS, FRAME_REFS_MOST, FRAME_TYPE, PGT_COUNT_MOST, PGT_TYPE_MASK, PGT_WRITABLE,
} from '../layout/frame.ts';
import { HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from '../layout/header.ts';
import { VCPU_OWED } from '../layout/vcpu.ts';
import { storeEntry } from '../memory/entry.ts';
import type { Views } from '../memory/views.ts';
import { DONE, putReferences, STOPPED, takeReferences } from './references.ts';

const ENTRIES = 512;

/** Bits of the low word of a present entry that end a run: those of `stop`, and of frames that the frame table has no row for. */
export function stoppingLo(w: Int32Array, stop: number): number {
  return (stop & FLAGS_LO) | (-w[HDR_FRAME_LIMIT >>> 2] << 12);
}

/** ... and of the high word. */
export function stoppingHi(w: Int32Array, stop: number): number {
  return ((stop & FLAGS_HI) << 8) | (-Math.max(1, w[HDR_FRAME_LIMIT >>> 2] >>> 20) & 0xfffff);
}

/** Row (word index) of the frame that an entry maps. The entry has none of the stopping bits. */
export function rowOf(w: Int32Array, lo: number, hi: number): number {
  return (w[HDR_FRAME_TABLE >>> 2] >>> 2) + (((lo >>> 10) & 0x3ffffc) | (hi << 22));
}

/** Low word of a present entry as a 64-bit guest's is kept: U/S = 1 always; G = 1 for a user page. */
export function keptLo(lo: number, hi: number): number {
  return lo | PTE_US | ((keptHi(lo, hi) & (FLAG_GUEST_KERNEL << 8)) === 0 ? PTE_G : 0);
}

/** ... and its high word: bit 52 = 1 for a supervisor page. */
export function keptHi(lo: number, hi: number): number {
  return (lo & PTE_US) === 0 ? hi | (FLAG_GUEST_KERNEL << 8) : hi;
}

/**
 * Take the references of entries `from` up to but not including `to` of a level-1 table: of each frame that a present entry maps a general
 * one, and one of its type, writable, if R/W = 1.
 *
 * Common is: a frame with references that `owner` owns, and for R/W = 1 one that is writable or has no type and no use yet. Everything else
 * ends the run: another owner, a frame beyond the table, another type, counts at their end, a flag of `stop`.
 *
 * @param v - word index of the vCPU block, with VCPU_OWED 0 as for every run; with several vCPUs it may be set after a run that ended early,
 *   see `takeReferences()`
 * @param table - byte offset of the table in machine memory
 * @param owner - domain identifier, 0 to 0xffff
 * @param stop - entry flags that are not common, 24 bits: FLAGS_LO, FLAGS_HI
 * @param adjust - 1 = entries are kept as Xen keeps a 64-bit guest's: U/S = 1, and for a user page G = 1, for a supervisor page bit 52
 * @returns `to`, or the index of the first entry that was not done
 */
export function validateEntries(s: Views, v: number, table: number, from: number, to: number, owner: number, stop: number, adjust: number): number {
  if (s.w[HDR_FRAME_LIMIT >>> 2] === 0) return from;
  const first = table >>> 2;
  let i = from;
  for (; ; i++) {
    if (!s.atomic) i = takeLow(s.w, first, i, to, owner, stop);
    if (i === to || !takeOne(s, v, first + i * 2, owner, stop)) break;
  }
  if (adjust !== 0) keepAll(s, first + from * 2, first + i * 2);
  return i;
}

/** Take the references of the entry at word index `at`. */
function takeOne(s: Views, v: number, at: number, owner: number, stop: number): boolean {
  const w = s.w, lo = w[at], hi = w[at + 1];
  if ((lo & PTE_P) === 0) return true;
  return ((lo & stoppingLo(w, stop)) | (hi & stoppingHi(w, stop))) === 0 && takeReferences(s, v, lo, hi, rowOf(w, lo, hi), owner) === DONE;
}

/** Leave present entries as they are kept. */
function keepAll(s: Views, at: number, end: number): void {
  for (const w = s.w; at < end; at += 2) {
    const lo = w[at];
    if ((lo & PTE_P) === 0 || (lo & (PTE_US | PTE_G)) === (PTE_US | PTE_G)) continue;
    const hi = w[at + 1];
    if ((lo & PTE_US) === 0 || (hi & (FLAG_GUEST_KERNEL << 8)) === 0) storeEntry(s, at, keptLo(lo, hi), keptHi(lo, hi));
  }
}

/**
 * The same without atomic operations for frames below 4 GiB that need no change of type: what nearly all are.
 *
 * R/W is a mask and not a branch: which pages are writable is hard to foresee.
 */
function takeLow(w: Int32Array, first: number, from: number, to: number, owner: number, stop: number): number {
  const rows = w[HDR_FRAME_TABLE >>> 2] >>> 2, me = owner & 0xffff, end = first + (to << 1) | 0;
  const stopLo = (stop & FLAGS_LO) | (-w[HDR_FRAME_LIMIT >>> 2] << 12), stopHi = ((stop & FLAGS_HI) << 8) | PTE_HI_ADDR;
  let at = first + (from << 1) | 0;
  for (; at < end; at = at + 2 | 0) {
    const lo = w[at];
    if ((lo & PTE_P) === 0) continue;
    if ((lo & stopLo) !== 0) break;
    if ((w[at + 1 | 0] & stopHi) !== 0) break;
    const row = rows + ((lo >>> 10) & 0x3ffffc) | 0, refs = w[row + (FRAME_REFS >>> 2) | 0];
    if (((w[row + (FRAME_OWNER >>> 2) | 0] ^ me) & 0xffff) !== 0) break;
    if (((refs - 1) & -FRAME_REFS_MOST) !== 0) break;
    const type = w[row + (FRAME_TYPE >>> 2) | 0], use = lo << 30 >> 31; // R/W: -1 or 0
    if (((type ^ PGT_WRITABLE) & (PGT_TYPE_MASK | PGT_COUNT_MOST) & use) !== 0) break;
    w[row + (FRAME_TYPE >>> 2) | 0] = type - use | 0;
    w[row + (FRAME_REFS >>> 2) | 0] = refs + 1;
  }
  return (at - first | 0) >> 1;
}

/**
 * Put the references of entries `to - 1` down to `from`: the reverse of `validateEntries()`. The entries stay as they are.
 *
 * Common is what that took, while it is not the frame's last reference.
 * @returns `from`, or the end of the entries that still hold references: the one before it is not common. With several vCPUs VCPU_OWED
 *   may be set after a run that ended early: the rest of the references of the last entry put
 */
export function dropEntries(s: Views, v: number, table: number, from: number, to: number, owner: number): number {
  if (s.w[HDR_FRAME_LIMIT >>> 2] === 0) return to;
  const first = table >>> 2;
  let i = to, how = DONE;
  while (how === DONE) {
    if (!s.atomic) i = putLow(s.w, first, from, i, owner);
    if (i === from) break;
    how = putOne(s, v, first + i * 2 - 2, owner);
    if (how !== STOPPED) i--;
  }
  return i;
}

function putOne(s: Views, v: number, at: number, owner: number): number {
  const w = s.w, lo = w[at], hi = w[at + 1];
  if ((lo & PTE_P) === 0) return DONE;
  return ((lo & stoppingLo(w, 0)) | (hi & stoppingHi(w, 0))) !== 0 ? STOPPED : putReferences(s, v, lo, hi, rowOf(w, lo, hi), owner);
}

/** As `takeLow()`. */
function putLow(w: Int32Array, first: number, from: number, to: number, owner: number): number {
  const rows = w[HDR_FRAME_TABLE >>> 2] >>> 2, me = owner & 0xffff, start = first + (from << 1) | 0;
  const stopLo = -w[HDR_FRAME_LIMIT >>> 2] << 12;
  let at = first + (to << 1) | 0;
  for (; at > start; at = at - 2 | 0) {
    const lo = w[at - 2 | 0];
    if ((lo & PTE_P) === 0) continue;
    if ((lo & stopLo) !== 0) break;
    if ((w[at - 1 | 0] & PTE_HI_ADDR) !== 0) break;
    const row = rows + ((lo >>> 10) & 0x3ffffc) | 0, refs = w[row + (FRAME_REFS >>> 2) | 0];
    if (((w[row + (FRAME_OWNER >>> 2) | 0] ^ me) & 0xffff) !== 0) break;
    if (((refs - 2) & -FRAME_REFS_MOST) !== 0) break;
    const type = w[row + (FRAME_TYPE >>> 2) | 0], use = lo << 30 >> 31;
    if (((type ^ PGT_WRITABLE) & PGT_TYPE_MASK & use) !== 0) break;
    if (((type + use) & PGT_COUNT_MOST & use) !== 0) break;
    w[row + (FRAME_TYPE >>> 2) | 0] = type + use | 0;
    w[row + (FRAME_REFS >>> 2) | 0] = refs - 1;
  }
  return (at - first | 0) >> 1;
}

/**
 * Take the references of a whole level-1 table, or none.
 *
 * @returns how many leading entries hold references now: 512, or 0 if some entry is not common. With several vCPUs it may be in between, and
 *   VCPU_OWED set, if others interfered: the rest is the caller's then
 */
export function validateTable(s: Views, v: number, table: number, owner: number, stop: number, adjust: number): number {
  const n = validateEntries(s, v, table, 0, ENTRIES, owner, stop, adjust);
  if (n === ENTRIES || (s.w[v + (VCPU_OWED >>> 2)] & PTE_P) !== 0) return n;
  return dropEntries(s, v, table, 0, n, owner);
}
