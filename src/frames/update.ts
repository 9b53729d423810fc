/**
 * The common case of the hypercall mmu_update: new values for entries of validated level-1 tables.
 *
 * Source: facts of Xen 4.17, xen/arch/x86/mm.c: do_mmu_update(), mod_l1_entry(), page_lock_unsafe(), page_unlock();
 *         update_intpte() of xen/arch/x86/pv/mm.h; struct mmu_update of xen/include/public/xen.h.
 */
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_P, PTE_US } from '../arch/pte.ts';
import {
  FRAME_OWNER, FRAME_TYPE, MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_NO_TRANSLATE, MMU_PT_UPDATE_PRESERVE_AD, MMU_UPDATE_BYTES, PGT_COUNT,
  PGT_COUNT_MOST, PGT_L1_TABLE, PGT_LOCKED, PGT_TYPE_MASK, PGT_VALIDATED,
} from '../layout/frame.ts';
import { HDR_FRAME_LIMIT } from '../layout/header.ts';
import { casEntry, storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { DONE, owe, OWING, putReferences, STOPPED, takeReferences } from './references.ts';
import { keptHi, keptLo, rowOf, stoppingHi, stoppingLo } from './validate.ts';

const AD = PTE_A | PTE_D;
const AVAIL = 0xe00; // bits 11:9
/** Bits of the low word that change what references an entry holds, or how the frame is cached; the others change freely. */
const MATTER_LO = ~(PTE_US | AD | PTE_G | AVAIL);
/** Type word of a level-1 table whose entries may be changed now: this under the mask, and a count. */
const READY = PGT_L1_TABLE | PGT_VALIDATED;
const READY_MASK = PGT_TYPE_MASK | PGT_VALIDATED | PGT_LOCKED | PGT_COUNT_MOST;

/**
 * Do requests of mmu_update in order, as long as they are common.
 *
 * @param v - word index of the vCPU block. VCPU_OWED set after the run: an entry that was replaced and whose references are to be put by
 *   the caller, or a general reference, see `takeReferences()`
 * @param requests - byte offset in machine memory of `count` struct mmu_update: `ptr` and `val`, 8 bytes each
 * @param owner - domain identifier: whose table, whose frames @param stop, adjust - see `validateEntries()`
 * @returns requests done; fewer than `count` if the next is not common, or if VCPU_OWED was set
 */
export function updateEntries(s: Views, v: number, requests: number, count: number, owner: number, stop: number, adjust: number): number {
  const w = s.w;
  for (let i = 0, r = requests >>> 2; i < count; i++, r += MMU_UPDATE_BYTES >>> 2) {
    const how = updateEntry(s, v, w[r + 1], w[r], w[r + 3], w[r + 2], owner, stop, adjust);
    if (how !== DONE) return how === STOPPED ? i : i + 1;
  }
  return count;
}

/**
 * One request: change the level-1 entry at machine address `ptr`, unless it is not common; then nothing is changed.
 *
 * Common is: commands MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_PRESERVE_AD and MMU_PT_UPDATE_NO_TRANSLATE on a validated level-1 table of
 * `owner` in use, and a value that is not present, that changes no more than U/S, A, D, G, bits 11:9 and 63:52, or whose references
 * `validateEntries()` would take. With several vCPUs the table is locked meanwhile; one that is locked already is not common.
 *
 * @returns DONE; STOPPED: not common; OWING: done, and VCPU_OWED holds what is left to put of the entry replaced
 */
export function updateEntry(
  s: Views, v: number, ptrHi: number, ptrLo: number, valHi: number, valLo: number, owner: number, stop: number, adjust: number,
): number {
  const w = s.w, command = ptrLo & 7;
  if (w[HDR_FRAME_LIMIT >>> 2] === 0) return STOPPED;
  if (command !== MMU_NORMAL_PT_UPDATE && command !== MMU_PT_UPDATE_PRESERVE_AD && command !== MMU_PT_UPDATE_NO_TRANSLATE) return STOPPED;
  if ((ptrHi & ~PTE_HI_ADDR) !== 0 || ((ptrLo & stoppingLo(w, 0)) | (ptrHi & stoppingHi(w, 0))) !== 0) return STOPPED;
  if ((valLo & PTE_P) !== 0 && ((valLo & stoppingLo(w, stop)) | (valHi & stoppingHi(w, stop))) !== 0) return STOPPED;
  const row = rowOf(w, ptrLo, ptrHi), at = wordOf(s, ptrHi, ptrLo & ~7);
  if (at < 0 || (w[row + (FRAME_OWNER >>> 2)] & 0xffff) !== owner || !ready(w[row + (FRAME_TYPE >>> 2)])) return STOPPED;
  const hi = adjust !== 0 && (valLo & PTE_P) !== 0 ? keptHi(valLo, valHi) : valHi;
  const lo = adjust !== 0 && (valLo & PTE_P) !== 0 ? keptLo(valLo, valHi) : valLo;
  if (!s.atomic) return replace(s, v, at, lo, hi, owner, command);
  if (!lock(w, row, owner)) return STOPPED;
  const how = replace(s, v, at, lo, hi, owner, command);
  unlock(w, row + (FRAME_TYPE >>> 2));
  return how;
}

function ready(type: number): boolean {
  return ((type ^ READY) & READY_MASK) === 0 && (type & PGT_COUNT) !== 0;
}

/** Acquire what the new entry needs, swap, release what the old one held. */
function replace(s: Views, v: number, at: number, lo: number, hi: number, owner: number, command: number): number {
  const w = s.w, oldLo = w[at], oldHi = w[at + 1];
  const same = (((lo ^ oldLo) & MATTER_LO) | ((hi ^ oldHi) & PTE_HI_ADDR)) === 0;
  if ((lo & PTE_P) !== 0 && !same && takeReferences(s, v, lo, hi, rowOf(w, lo, hi), owner) === STOPPED) return STOPPED;
  if (command !== MMU_PT_UPDATE_PRESERVE_AD) storeEntry(s, at, lo, hi);
  else for (let now = oldLo; !casEntry(s, at, now, oldHi, lo | (now & AD), hi);) now = Atomics.load(w, at);
  if (same || (oldLo & PTE_P) === 0) return DONE;
  const beyond = ((oldLo & stoppingLo(w, 0)) | (oldHi & stoppingHi(w, 0))) !== 0;
  const how = beyond ? STOPPED : putReferences(s, v, oldLo, oldHi, rowOf(w, oldLo, oldHi), owner);
  if (how === STOPPED) owe(w, v, oldLo, oldHi);
  return how === DONE ? DONE : OWING;
}

/** Take the lock of a table, and a type use with it: while it is held the table stays one, and so stays its owner. */
function lock(w: Int32Array, row: number, owner: number): boolean {
  const at = row + (FRAME_TYPE >>> 2);
  for (let type = Atomics.load(w, at); ready(type);) {
    const now = Atomics.compareExchange(w, at, type, (type + 1) | PGT_LOCKED);
    if (now === type) {
      if ((Atomics.load(w, row + (FRAME_OWNER >>> 2)) & 0xffff) === owner) return true;
      unlock(w, at);
      return false;
    }
    type = now;
  }
  return false;
}

function unlock(w: Int32Array, at: number): void {
  for (let type = Atomics.load(w, at); ;) {
    const now = Atomics.compareExchange(w, at, type, (type - 1) & ~PGT_LOCKED);
    if (now === type) return;
    type = now;
  }
}
