// Validation of level-1 tables: taking and putting the references that runs of their entries hold. See src/frames/validate.ts.
import { PTE_P, PTE_RW, PTE_US } from "../src/arch/pte";
import {
  FLAGS_HI, FLAGS_LO, FRAME_OWNER, FRAME_REFS, FRAME_TYPE, PGT_COUNT_MOST, PGT_TYPE_MASK, PGT_WRITABLE,
} from "../src/layout/frame";
import { HDR_ATOMIC, HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from "../src/layout/header";
import { VCPU_OWED } from "../src/layout/vcpu";
import { storeEntry } from "./entry";
import { DONE, putReferences, REFS_BEYOND, STOPPED, takeReferences, WRITABLE_MASK } from "./references";

const ENTRIES = 512;
const ADDRESS: u64 = 0xf_ffff_ffff_f000;
const GUEST_KERNEL: u64 = 1 << 52;
const REFS_AND_OWNER: u64 = 0xffff_0000_0000 | <u64>(<u32>REFS_BEYOND);

/** Bits of a present entry that end a run: those of `stop`, and of frames that the frame table has no row for. */
export function stoppingBits(stop: i32): u64 {
  return (<u64>(stop & FLAGS_HI) << 40) | <u64>(stop & FLAGS_LO) | (((0 - <u64>load<u32>(0, HDR_FRAME_LIMIT)) << 12) & ADDRESS);
}

/** Row of the frame that an entry maps. The entry has none of the stopping bits. */
@inline export function rowOf(rows: i32, e: u64): i32 {
  return rows + (<i32>(e >> 8) & ~15);
}

/** A present entry as a 64-bit guest's is kept. */
@inline export function kept(e: u64): u64 {
  const own = e | (~e & PTE_US) << 50 | PTE_US; // U/S moves to bit 52
  return own | (~own & GUEST_KERNEL) >> 44; // bit 52 to G
}

export function validateEntries(v: i32, table: i32, from: i32, to: i32, owner: i32, stop: i32, adjust: i32): i32 {
  if (load<i32>(0, HDR_FRAME_LIMIT) == 0) return from;
  const start = table + (from << 3), end = table + (to << 3), bits = stoppingBits(stop);
  const rows = load<i32>(0, HDR_FRAME_TABLE), shared = load<i32>(0, HDR_ATOMIC);
  let at = start;
  for (; ; at += 8) {
    if (!shared) at = takeRun(at, end, bits, <u64>owner << 32, rows);
    if (at == end || !takeOne(v, at, bits, owner, rows)) break;
  }
  if (adjust) keepAll(start, at);
  return (at - table) >> 3;
}

function takeOne(v: i32, at: i32, stop: u64, owner: i32, rows: i32): bool {
  const e = load<u64>(at);
  return !(e & PTE_P) || (!(e & stop) && takeReferences(v, e, rowOf(rows, e), owner) == DONE);
}

/**
 * The same without atomic operations for frames that need no change of type: what nearly all are.
 *
 * Written out four times: what a turn costs beside them is much, and of a function that says yes or no the compiler keeps the answer as a
 * number and asks again. R/W is a mask and not a branch: which pages are writable is hard to foresee.
 */
function takeRun(at: i32, end: i32, stop: u64, mine: u64, rows: i32): i32 {
  let e: u64, row: i32, refs: u64, type: i32, use: i32;
  for (; end - at >= 32; at += 32) {
    e = load<u64>(at);
    if (<i32>e & PTE_P) {
      if (e & stop) return at;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 1) ^ mine) & REFS_AND_OWNER) return at;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (WRITABLE_MASK & -use)) return at;
      store<i32>(row, type + use, FRAME_TYPE);
      store<u32>(row, <u32>refs + 1, FRAME_REFS);
    }
    e = load<u64>(at, 8);
    if (<i32>e & PTE_P) {
      if (e & stop) return at + 8;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 1) ^ mine) & REFS_AND_OWNER) return at + 8;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (WRITABLE_MASK & -use)) return at + 8;
      store<i32>(row, type + use, FRAME_TYPE);
      store<u32>(row, <u32>refs + 1, FRAME_REFS);
    }
    e = load<u64>(at, 16);
    if (<i32>e & PTE_P) {
      if (e & stop) return at + 16;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 1) ^ mine) & REFS_AND_OWNER) return at + 16;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (WRITABLE_MASK & -use)) return at + 16;
      store<i32>(row, type + use, FRAME_TYPE);
      store<u32>(row, <u32>refs + 1, FRAME_REFS);
    }
    e = load<u64>(at, 24);
    if (<i32>e & PTE_P) {
      if (e & stop) return at + 24;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 1) ^ mine) & REFS_AND_OWNER) return at + 24;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (WRITABLE_MASK & -use)) return at + 24;
      store<i32>(row, type + use, FRAME_TYPE);
      store<u32>(row, <u32>refs + 1, FRAME_REFS);
    }
  }
  return at;
}

/** Leave present entries as they are kept, two at a time where nobody else looks. */
function keepAll(at: i32, end: i32): void {
  if (!load<i32>(0, HDR_ATOMIC)) {
    for (; end - at > 8; at += 16) {
      const e = v128.load(at);
      const own = v128.or(e, v128.or(i64x2.splat(PTE_US), i64x2.shl(v128.andnot(i64x2.splat(PTE_US), e), 50)));
      const now = v128.or(own, i64x2.shr_u(v128.andnot(i64x2.splat(GUEST_KERNEL), own), 44));
      const change = v128.and(v128.xor(now, e), i64x2.neg(v128.and(e, i64x2.splat(PTE_P))));
      if (v128.any_true(change)) v128.store(at, v128.xor(e, change));
    }
  }
  for (; at != end; at += 8) {
    const e = load<u64>(at);
    if (e & PTE_P && kept(e) != e) storeEntry(at, kept(e));
  }
}

export function dropEntries(v: i32, table: i32, from: i32, to: i32, owner: i32): i32 {
  if (load<i32>(0, HDR_FRAME_LIMIT) == 0) return to;
  const start = table + (from << 3), bits = stoppingBits(0), rows = load<i32>(0, HDR_FRAME_TABLE), shared = load<i32>(0, HDR_ATOMIC);
  let at = table + (to << 3);
  let how = DONE;
  while (how == DONE) {
    if (!shared) at = putRun(at, start, bits, <u64>owner << 32, rows);
    if (at == start) break;
    how = putOne(v, at - 8, bits, owner, rows);
    if (how != STOPPED) at -= 8;
  }
  return (at - table) >> 3;
}

function putOne(v: i32, at: i32, stop: u64, owner: i32, rows: i32): i32 {
  const e = load<u64>(at);
  if (!(e & PTE_P)) return DONE;
  return e & stop ? STOPPED : putReferences(v, e, rowOf(rows, e), owner);
}

/** As `takeRun()`. */
function putRun(at: i32, start: i32, stop: u64, mine: u64, rows: i32): i32 {
  let e: u64, row: i32, refs: u64, type: i32, use: i32;
  for (; at - start >= 16; at -= 16) {
    e = load<u64>(at - 8);
    if (<i32>e & PTE_P) {
      if (e & stop) return at;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 2) ^ mine) & REFS_AND_OWNER) return at;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (PGT_TYPE_MASK & -use)) return at;
      if ((type - use) & -use & PGT_COUNT_MOST) return at;
      store<i32>(row, type - use, FRAME_TYPE);
      store<u32>(row, <u32>refs - 1, FRAME_REFS);
    }
    e = load<u64>(at - 16);
    if (<i32>e & PTE_P) {
      if (e & stop) return at - 8;
      row = rowOf(rows, e);
      refs = load<u64>(row, FRAME_REFS);
      if (((refs - 2) ^ mine) & REFS_AND_OWNER) return at - 8;
      type = load<i32>(row, FRAME_TYPE);
      use = (<i32>e >> 1) & 1;
      if ((type ^ PGT_WRITABLE) & (PGT_TYPE_MASK & -use)) return at - 8;
      if ((type - use) & -use & PGT_COUNT_MOST) return at - 8;
      store<i32>(row, type - use, FRAME_TYPE);
      store<u32>(row, <u32>refs - 1, FRAME_REFS);
    }
  }
  return at;
}

export function validateTable(v: i32, table: i32, owner: i32, stop: i32, adjust: i32): i32 {
  const n = validateEntries(v, table, 0, ENTRIES, owner, stop, adjust);
  return n == ENTRIES || load<u32>(v, VCPU_OWED) & PTE_P ? n : dropEntries(v, table, 0, n, owner);
}
