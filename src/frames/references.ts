/**
 * References that a level-1 entry holds on the frame it maps: a general one, and one of its type, writable, if R/W = 1.
 *
 * With several vCPUs they change by compare-and-swap, but are tested before: an atomic operation costs more than all the tests together.
 */
import { PTE_RW } from '../arch/pte.ts';
import {
  FRAME_OWNER, FRAME_REFS, FRAME_REFS_MOST, FRAME_STAMP, FRAME_TYPE, PGT_COUNT_MOST, PGT_TYPE_MASK, PGT_VALIDATED, PGT_WRITABLE,
} from '../layout/frame.ts';
import { HDR_FLUSH_CLOCK } from '../layout/header.ts';
import { VCPU_OWED } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';

export const STOPPED = 0; // not the common case: nothing was changed
export const DONE = 1;
export const OWING = 2; //   done but for the references that VCPU_OWED holds

/** Any bit set: not a number of references that a run changes. */
const REFS_BEYOND = -FRAME_REFS_MOST;
const WRITABLE_MASK = PGT_TYPE_MASK | PGT_COUNT_MOST;

/**
 * Take the references of the present entry `hi:lo`.
 *
 * @param v - word index of the vCPU block @param row - word index of the row of the frame it maps
 * @returns DONE or STOPPED; after STOPPED VCPU_OWED may hold a general reference of the frame, if that changed hands meanwhile
 */
export function takeReferences(s: Views, v: number, lo: number, hi: number, row: number, owner: number): number {
  const w = s.w, writable = (lo & PTE_RW) !== 0, refsAt = row + (FRAME_REFS >>> 2), typeAt = row + (FRAME_TYPE >>> 2);
  const refs = w[refsAt], type = w[typeAt];
  if ((w[row + (FRAME_OWNER >>> 2)] & 0xffff) !== owner || ((refs - 1) & REFS_BEYOND) !== 0 || (writable && !usable(type))) return STOPPED;
  if (s.atomic) return takeShared(w, v, lo, hi, row, owner);
  if (writable) w[typeAt] = used(type);
  w[refsAt] = refs + 1;
  return DONE;
}

/** May a run take a use as writable of a frame with this type word? */
function usable(type: number): boolean {
  return type === 0 || ((type ^ PGT_WRITABLE) & WRITABLE_MASK) === 0;
}

/** The type word with one use as writable more. */
function used(type: number): number {
  return (type === 0 ? PGT_WRITABLE | PGT_VALIDATED : type) + 1;
}

function takeShared(w: Int32Array, v: number, lo: number, hi: number, row: number, owner: number): number {
  const at = row + (FRAME_REFS >>> 2);
  for (let refs = Atomics.load(w, at); ;) {
    if (((refs - 1) & REFS_BEYOND) !== 0) return STOPPED;
    const now = Atomics.compareExchange(w, at, refs, refs + 1);
    if (now === refs) break;
    refs = now;
  }
  // The frame may have been freed and given to another before the reference was taken; from here on it cannot be.
  if ((Atomics.load(w, row + (FRAME_OWNER >>> 2)) & 0xffff) === owner && ((lo & PTE_RW) === 0 || takeWritable(w, row + (FRAME_TYPE >>> 2)))) return DONE;
  putGeneral(w, v, lo, hi, row);
  return STOPPED;
}

function takeWritable(w: Int32Array, at: number): boolean {
  let type = Atomics.load(w, at);
  while (usable(type)) {
    const now = Atomics.compareExchange(w, at, type, used(type));
    if (now === type) return true;
    type = now;
  }
  return false;
}

/**
 * Put the references of a present entry.
 *
 * PGT_LOCKED is not looked at: a lock must not be left with the last use of a page table, but a writable frame needs no cleaning up.
 * @returns DONE, STOPPED, or OWING if the general reference became the last meanwhile
 */
export function putReferences(s: Views, v: number, lo: number, hi: number, row: number, owner: number): number {
  const w = s.w, writable = (lo & PTE_RW) !== 0, refsAt = row + (FRAME_REFS >>> 2), typeAt = row + (FRAME_TYPE >>> 2);
  const refs = w[refsAt], type = w[typeAt];
  if ((w[row + (FRAME_OWNER >>> 2)] & 0xffff) !== owner || ((refs - 2) & REFS_BEYOND) !== 0 || (writable && !inUse(type))) return STOPPED;
  if (s.atomic) return putShared(w, v, lo, hi, row);
  if (writable) w[typeAt] = type - 1;
  w[refsAt] = refs - 1;
  return DONE;
}

/** Has a frame with this type word a use as writable that a run may put? */
function inUse(type: number): boolean {
  return ((type ^ PGT_WRITABLE) & PGT_TYPE_MASK) === 0 && ((type - 1) & PGT_COUNT_MOST) === 0;
}

function putShared(w: Int32Array, v: number, lo: number, hi: number, row: number): number {
  if ((lo & PTE_RW) !== 0 && !putWritable(w, row)) return STOPPED;
  return putGeneral(w, v, lo, hi, row) ? DONE : OWING;
}

/**
 * Note that a use of a frame as writable, or as descriptors, ends now; before it does, as until then no one else uses the word. The latest stays.
 *
 * Each use is noted, where Xen notes the last one only: who is about to put that may be overtaken by others who take one and put it again, which
 * leaves the count as it was, and have cached the frame after the time that the first one noted.
 */
export function stampUse(w: Int32Array, row: number): void {
  const at = row + (FRAME_STAMP >>> 2), clock = Atomics.load(w, HDR_FLUSH_CLOCK >>> 2);
  for (let stamp = w[at]; stamp >>> 0 < clock >>> 0;) {
    const now = Atomics.compareExchange(w, at, stamp, clock);
    if (now === stamp) return;
    stamp = now;
  }
}

function putWritable(w: Int32Array, row: number): boolean {
  const at = row + (FRAME_TYPE >>> 2);
  let type = Atomics.load(w, at);
  while (inUse(type)) {
    stampUse(w, row);
    const now = Atomics.compareExchange(w, at, type, type - 1);
    if (now === type) return true;
    type = now;
  }
  return false;
}

/** Put a general reference, or leave it to the caller if it is the last: the frame has to be freed with it. */
function putGeneral(w: Int32Array, v: number, lo: number, hi: number, row: number): boolean {
  const at = row + (FRAME_REFS >>> 2);
  for (let refs = Atomics.load(w, at); refs !== 1;) {
    const now = Atomics.compareExchange(w, at, refs, refs - 1);
    if (now === refs) return true;
    refs = now;
  }
  owe(w, v, lo & ~PTE_RW, hi);
  return false;
}

/** Leave the references of an entry to the caller. */
export function owe(w: Int32Array, v: number, lo: number, hi: number): void {
  w[v + (VCPU_OWED >>> 2)] = lo;
  w[v + (VCPU_OWED >>> 2) + 1] = hi;
}
