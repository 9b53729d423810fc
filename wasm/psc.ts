// Paging-structure caches: where a walk may begin. See src/mmu/psc.ts.
import { ARR_DATA, ARR_TAGS } from "../src/layout/array";
import { TAG_CONTEXT, TAG_PCID, TAG_VALID, TLBD_HI_ADDR } from "../src/layout/tlb";
import {
  MODE_LEGACY, VCPU_MODE, VCPU_NESTED, VCPU_OUT_LEVEL, VCPU_OUT_START, VCPU_PSC, VCPU_TAG_PCID, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO,
} from "../src/layout/vcpu";
import { capacity, drop, dropAll, find, joined, place, setOf, touch, victim } from "./array";
import { NUMBER } from "./tlb";
import { WalkStart } from "./walk-start";

/** Bits of the linear address below what an entry at `level` translates. */
@inline function reach(v: i32, level: i32): i32 {
  return load<i32>(v, VCPU_MODE) == MODE_LEGACY ? 22 : 3 + 9 * level;
}

@inline function arrayOf(v: i32, level: i32): i32 {
  return load<i32>(v + (level << 2), VCPU_PSC - 8);
}

/** Tag of the entry at `level` for a linear address, of the current PCID. */
@inline function tagOf(v: i32, va: u64, level: i32): u64 {
  return ((va >> reach(v, level)) & NUMBER) | (<u64>(<u32>(load<i32>(v, VCPU_TAG_PCID) | TAG_VALID)) << 32);
}

/** Begin the walk as far down as a cached entry allows. Leaves WalkStart alone where none does. */
export function pscStart(v: i32, va: u64): void {
  for (let level = 2; level <= WalkStart.level; level++) {
    const a = arrayOf(v, level);
    if (a == 0) continue;
    const tag = tagOf(v, va, level), i = find(a, setOf(a, tag), tag, tag);
    if (i < 0) continue;
    touch(a, i);
    const d = load<u64>(load<i32>(a, ARR_DATA) + (i << 3));
    WalkStart.level = level - 1;
    WalkStart.table = d & ((<u64>TLBD_HI_ADDR << 32) | 0xfffff000);
    WalkStart.acc = <i32>d & 0xfff;
    return;
  }
}

/** Keep every entry above the leaf that the last walk read. Call after its A bits are set. */
export function pscFill(v: i32, va: u64): void {
  const leaf = load<i32>(v, VCPU_OUT_LEVEL), nested = load<i32>(v, VCPU_NESTED);
  for (let level = load<i32>(v, VCPU_OUT_START); level > leaf; level--) {
    const a = arrayOf(v, level);
    if (a == 0) continue;
    const tag = tagOf(v, va, level), set = setOf(a, tag);
    let i = nested ? find(a, set, tag, tag) : -1; // else pscStart() searched this level and found nothing
    if (i < 0) i = victim(a, set);
    place(a, i, tag);
    const d = load<i32>(a, ARR_DATA) + (i << 3), t = v + (level << 2);
    const lo = nested ? load<i32>(t, VCPU_TRAIL_LO - 8) : load<i32>(t, VCPU_TRAIL_VALUE_LO - 4);
    const hi = nested ? load<i32>(t, VCPU_TRAIL_HI - 8) : load<i32>(t, VCPU_TRAIL_VALUE_HI - 4);
    store<i32>(d, (lo & ~0xfff) | load<i32>(t, VCPU_TRAIL_ACC - 4));
    store<i32>(d, hi & TLBD_HI_ADDR, 4);
    touch(a, i);
  }
}

/** Forget what the walk of one linear address would use, of the current PCID. */
export function pscDropAddress(v: i32, va: u64): void {
  for (let level = 2; level <= 5; level++) {
    const a = arrayOf(v, level);
    if (a == 0) continue;
    const tag = tagOf(v, va, level), i = find(a, setOf(a, tag), tag, tag);
    if (i >= 0) drop(a, i);
  }
}

/** Forget all entries of one PCID (with its context, as they stand in tags). */
export function pscDropPcid(v: i32, tagPcid: i32): void {
  pscDropWhere(v, TAG_PCID | TAG_CONTEXT, tagPcid);
}

/** Forget the entries whose high tag word has `value` in the bits `mask`. */
export function pscDropWhere(v: i32, mask: i32, value: i32): void {
  for (let level = 2; level <= 5; level++) {
    const a = arrayOf(v, level);
    if (a == 0) continue;
    const tags = load<i32>(a, ARR_TAGS);
    for (let i = 0, n = capacity(a); i < n; i++) {
      const hi = load<i32>(tags + (i << 3), 4);
      if (hi != 0 && (hi & mask) == value) drop(a, i);
    }
  }
}

export function pscDropAll(v: i32): void {
  for (let level = 2; level <= 5; level++) {
    const a = arrayOf(v, level);
    if (a != 0) dropAll(a);
  }
}
