// The fast table of functional mode, see src/mmu/fast-table.ts and src/layout/fast-table.ts.
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE } from "./fault";
import {
  FAST_BYTES, FAST_CLASSES, FAST_EMPTY, FAST_ENTRIES, FAST_FETCH, FAST_LARGE, FAST_PA, FAST_READ, FAST_STRIDE, FAST_TABLE_BYTES, FAST_TAG, FAST_USED,
  FAST_USER, FAST_WRITE,
} from "../src/layout/fast-table";
import { VCPU_FAST, VCPU_FAST_USED, VCPU_OUT_LEVEL, VCPU_OUT_LO } from "../src/layout/vcpu";

/** Table that serves an access, -1 for the rare kinds that always walk. */
@inline export function fastClass(access: i32): i32 {
  if (access & (ACCESS_IMPLICIT | ACCESS_SHADOW_STACK)) return -1;
  const kind = access & ACCESS_FETCH ? FAST_FETCH : access & ACCESS_WRITE ? FAST_WRITE : FAST_READ;
  return access & ACCESS_USER ? kind + FAST_USER : kind;
}

@inline export function fastRow(v: i32, table: i32, va: u64): i32 {
  return load<i32>(v, VCPU_FAST) + table * FAST_TABLE_BYTES + ((<i32>va >>> 12) & (FAST_ENTRIES - 1)) * FAST_STRIDE;
}

@inline export function fastHit(row: i32, va: u64): bool {
  return load<u64>(row, FAST_TAG) == (va & ~0xfff);
}

/** Remember the translation in VCPU_OUT_*. */
export function fastFill(v: i32, table: i32, va: u64): void {
  const row = fastRow(v, table, va);
  store<u64>(row, va & ~0xfff, FAST_TAG);
  store<u64>(row, load<u64>(v, VCPU_OUT_LO) & ~0xfff, FAST_PA);
  const used = load<i32>(v, VCPU_OUT_LEVEL) > 1 ? FAST_USED | FAST_LARGE : FAST_USED;
  store<i32>(v, load<i32>(v, VCPU_FAST_USED) | used, VCPU_FAST_USED);
}

export function fastDropPage(v: i32, va: u64): void {
  const used = load<i32>(v, VCPU_FAST_USED);
  if (used & FAST_LARGE) fastDropAll(v);
  if (used != FAST_USED) return;
  for (let table = 0; table < FAST_CLASSES; table++) {
    const row = fastRow(v, table, va);
    if (fastHit(row, va)) clearRow(row);
  }
}

export function fastDropAll(v: i32): void {
  if (!load<i32>(v, VCPU_FAST_USED)) return;
  store<i32>(v, 0, VCPU_FAST_USED);
  const first = load<i32>(v, VCPU_FAST);
  for (let at = 0; at < FAST_BYTES; at += FAST_STRIDE) clearRow(first + at);
}

@inline function clearRow(row: i32): void {
  store<u64>(row, FAST_EMPTY, FAST_TAG);
  store<u64>(row, 0, FAST_PA);
}
