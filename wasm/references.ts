// References that a level-1 entry holds on the frame it maps. See src/frames/references.ts.
import { PTE_RW } from "../src/arch/pte";
import {
  FRAME_OWNER, FRAME_REFS, FRAME_REFS_MOST, FRAME_STAMP, FRAME_TYPE, PGT_COUNT_MOST, PGT_TYPE_MASK, PGT_VALIDATED, PGT_WRITABLE,
} from "../src/layout/frame";
import { HDR_ATOMIC, HDR_FLUSH_CLOCK } from "../src/layout/header";
import { VCPU_OWED } from "../src/layout/vcpu";

export const STOPPED = 0; // not the common case: nothing was changed
export const DONE = 1;
export const OWING = 2; //   done but for the references that VCPU_OWED holds

/** Any bit set: not a number of references that a run changes. */
export const REFS_BEYOND = -FRAME_REFS_MOST;
export const WRITABLE_MASK = PGT_TYPE_MASK | PGT_COUNT_MOST;

/** Take the references of the present entry `e`. @param row - byte offset of the row of the frame it maps */
export function takeReferences(v: i32, e: u64, row: i32, owner: i32): i32 {
  const writable = (e & PTE_RW) != 0, refs = load<i32>(row, FRAME_REFS), type = load<i32>(row, FRAME_TYPE);
  if (<i32>load<u16>(row, FRAME_OWNER) != owner || (refs - 1) & REFS_BEYOND || (writable && !usable(type))) return STOPPED;
  if (load<i32>(0, HDR_ATOMIC)) return takeShared(v, e, row, owner);
  if (writable) store<i32>(row, used(type), FRAME_TYPE);
  store<i32>(row, refs + 1, FRAME_REFS);
  return DONE;
}

/** May a run take a use as writable of a frame with this type word? */
@inline function usable(type: i32): bool {
  return type == 0 || ((type ^ PGT_WRITABLE) & WRITABLE_MASK) == 0;
}

/** The type word with one use as writable more. */
@inline function used(type: i32): i32 {
  return (type == 0 ? PGT_WRITABLE | PGT_VALIDATED : type) + 1;
}

function takeShared(v: i32, e: u64, row: i32, owner: i32): i32 {
  let refs = atomic.load<i32>(row, FRAME_REFS);
  while (true) {
    if ((refs - 1) & REFS_BEYOND) return STOPPED;
    const now = atomic.cmpxchg<i32>(row, refs, refs + 1, FRAME_REFS);
    if (now == refs) break;
    refs = now;
  }
  // The frame may have been freed and given to another before the reference was taken; from here on it cannot be.
  if (<i32>atomic.load<u16>(row, FRAME_OWNER) == owner && (!(e & PTE_RW) || takeWritable(row))) return DONE;
  putGeneral(v, e, row);
  return STOPPED;
}

function takeWritable(row: i32): bool {
  let type = atomic.load<i32>(row, FRAME_TYPE);
  while (usable(type)) {
    const now = atomic.cmpxchg<i32>(row, type, used(type), FRAME_TYPE);
    if (now == type) return true;
    type = now;
  }
  return false;
}

/** Put the references of a present entry. */
export function putReferences(v: i32, e: u64, row: i32, owner: i32): i32 {
  const writable = (e & PTE_RW) != 0, refs = load<i32>(row, FRAME_REFS), type = load<i32>(row, FRAME_TYPE);
  if (<i32>load<u16>(row, FRAME_OWNER) != owner || (refs - 2) & REFS_BEYOND || (writable && !inUse(type))) return STOPPED;
  if (load<i32>(0, HDR_ATOMIC)) return putShared(v, e, row);
  if (writable) store<i32>(row, type - 1, FRAME_TYPE);
  store<i32>(row, refs - 1, FRAME_REFS);
  return DONE;
}

/** Has a frame with this type word a use as writable that a run may put? */
@inline function inUse(type: i32): bool {
  return ((type ^ PGT_WRITABLE) & PGT_TYPE_MASK) == 0 && ((type - 1) & PGT_COUNT_MOST) == 0;
}

function putShared(v: i32, e: u64, row: i32): i32 {
  if (e & PTE_RW && !putWritable(row)) return STOPPED;
  return putGeneral(v, e, row) ? DONE : OWING;
}

function stampUse(row: i32): void {
  const clock = atomic.load<i32>(0, HDR_FLUSH_CLOCK);
  let stamp = load<i32>(row, FRAME_STAMP);
  while (<u32>stamp < <u32>clock) {
    const now = atomic.cmpxchg<i32>(row, stamp, clock, FRAME_STAMP);
    if (now == stamp) return;
    stamp = now;
  }
}

function putWritable(row: i32): bool {
  let type = atomic.load<i32>(row, FRAME_TYPE);
  while (inUse(type)) {
    stampUse(row);
    const now = atomic.cmpxchg<i32>(row, type, type - 1, FRAME_TYPE);
    if (now == type) return true;
    type = now;
  }
  return false;
}

/** Put a general reference, or leave it to the caller if it is the last: the frame has to be freed with it. */
function putGeneral(v: i32, e: u64, row: i32): bool {
  let refs = atomic.load<i32>(row, FRAME_REFS);
  while (refs != 1) {
    const now = atomic.cmpxchg<i32>(row, refs, refs - 1, FRAME_REFS);
    if (now == refs) return true;
    refs = now;
  }
  store<u64>(v, e & ~PTE_RW, VCPU_OWED);
  return false;
}
