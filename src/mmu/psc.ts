/**
 * Paging-structure caches: where a walk may begin.
 *
 * An entry made from a paging-structure entry at level L maps the linear-address bits above that level's reach to the address of the table
 * at level L - 1 and the rights accumulated on the way. It is made only from entries that were used: P = 1, no reserved bit, A = 1 (set by
 * the walk before), and never from a leaf.
 *
 * Source: Intel SDM vol. 3A, "Paging-Structure Caches" ("Caches for Paging Structures", "Using the Paging-Structure Caches to
 *         Translate Linear Addresses").
 */
import { ARR_DATA, ARR_TAGS } from '../layout/array.ts';
import { TAG_CONTEXT, TAG_PCID, TAG_VALID, TLBD_HI_ADDR } from '../layout/tlb.ts';
import {
  MODE_LEGACY, VCPU_MODE, VCPU_NESTED, VCPU_OUT_LEVEL, VCPU_OUT_START, VCPU_PSC, VCPU_TAG_PCID, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
  VCPU_TRAIL_VALUE_HI,
  VCPU_TRAIL_VALUE_LO,
} from '../layout/vcpu.ts';
import { capacity, drop, dropAll, find, place, setOf, touch, victim } from '../cache/array.ts';
import type { WalkStart } from './walk.ts';

/** Bits of the linear address below what an entry at `level` translates. */
export function reach(w: Int32Array, v: number, level: number): number {
  return w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY ? 22 : 3 + 9 * level;
}

const prefixLo = (vaHi: number, vaLo: number, shift: number): number =>
  shift < 32 ? (vaLo >>> shift) | (vaHi << (32 - shift)) : vaHi >>> (shift - 32);
const prefixHi = (vaHi: number, shift: number): number => (shift < 32 ? (vaHi >>> shift) & 0x1fff : 0);

/** Begin the walk as far down as a cached entry allows. Leaves `from` alone where none does. @returns true if one was found */
export function pscStart(w: Int32Array, v: number, vaHi: number, vaLo: number, from: WalkStart, use: boolean): boolean {
  for (let level = 2; level <= from.level; level++) {
    const a = w[v + (VCPU_PSC >>> 2) + level - 2] >>> 2;
    if (a === 0) continue;
    const shift = reach(w, v, level);
    const lo = prefixLo(vaHi, vaLo, shift), hi = prefixHi(vaHi, shift) | w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID;
    const set = setOf(w, a, lo, hi);
    const i = find(w, a, set, lo, hi, hi);
    if (i < 0) continue;
    if (use) touch(w, a, i);
    const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2;
    from.level = level - 1;
    from.lo = w[d] & ~0xfff;
    from.hi = w[d + 1] & TLBD_HI_ADDR;
    from.acc = w[d] & 0xfff;
    return true;
  }
  return false;
}

/**
 * Keep every entry above the leaf that the last walk read. Call after its A bits are set. Under a second stage the machine address of the
 * table is kept, which the walk went on from: Intel SDM vol. 3C, "Information That May Be Cached" (combined mappings).
 */
export function pscFill(w: Int32Array, v: number, vaHi: number, vaLo: number): void {
  const leaf = w[v + (VCPU_OUT_LEVEL >>> 2)], nested = w[v + (VCPU_NESTED >>> 2)];
  for (let level = w[v + (VCPU_OUT_START >>> 2)]; level > leaf; level--) {
    const a = w[v + (VCPU_PSC >>> 2) + level - 2] >>> 2;
    if (a === 0) continue;
    const shift = reach(w, v, level);
    const lo = prefixLo(vaHi, vaLo, shift), hi = prefixHi(vaHi, shift) | w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID;
    const set = setOf(w, a, lo, hi);
    let i = find(w, a, set, lo, hi, hi);
    if (i < 0) i = victim(w, a, set);
    place(w, a, i, lo, hi);
    const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2, t = v + level - 1;
    w[d] = (w[nested ? t - 1 + (VCPU_TRAIL_LO >>> 2) : t + (VCPU_TRAIL_VALUE_LO >>> 2)] & ~0xfff) | w[t + (VCPU_TRAIL_ACC >>> 2)];
    w[d + 1] = w[nested ? t - 1 + (VCPU_TRAIL_HI >>> 2) : t + (VCPU_TRAIL_VALUE_HI >>> 2)] & TLBD_HI_ADDR;
    touch(w, a, i);
  }
}

/** Forget what the walk of one linear address would use, of the current PCID. */
export function pscDropAddress(w: Int32Array, v: number, vaHi: number, vaLo: number): void {
  for (let level = 2; level <= 5; level++) {
    const a = w[v + (VCPU_PSC >>> 2) + level - 2] >>> 2;
    if (a === 0) continue;
    const shift = reach(w, v, level);
    const lo = prefixLo(vaHi, vaLo, shift), hi = prefixHi(vaHi, shift) | w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID;
    const i = find(w, a, setOf(w, a, lo, hi), lo, hi, hi);
    if (i >= 0) drop(w, a, i);
  }
}

/** Forget all entries of one PCID (with its context, as they stand in tags). */
export function pscDropPcid(w: Int32Array, v: number, tagPcid: number): void {
  pscDropWhere(w, v, TAG_PCID | TAG_CONTEXT, tagPcid);
}

/** Forget the entries whose high tag word has `value` in the bits `mask`. */
export function pscDropWhere(w: Int32Array, v: number, mask: number, value: number): void {
  for (let k = 0; k < 4; k++) {
    const a = w[v + (VCPU_PSC >>> 2) + k] >>> 2;
    if (a === 0) continue;
    const tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
    for (let i = 0, n = capacity(w, a); i < n; i++) {
      const hi = w[tags + i * 2 + 1];
      if (hi !== 0 && (hi & mask) === value) drop(w, a, i);
    }
  }
}

export function pscDropAll(w: Int32Array, v: number): void {
  for (let k = 0; k < 4; k++) {
    const a = w[v + (VCPU_PSC >>> 2) + k] >>> 2;
    if (a !== 0) dropAll(w, a);
  }
}
