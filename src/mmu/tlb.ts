/**
 * TLB levels: which arrays to search for an access, and what to put where.
 *
 * A page is held at its own size if a structure of the level holds that size, else as a fragment of the size that `memory/plan.ts` wrote
 * into the level's fill list, else not at all. An entry whose rights do not permit the access is no hit: the tables decide.
 *
 * Source: Intel SDM vol. 3A, "Translation Lookaside Buffers (TLBs)": "Page Numbers, Page Frames, and Page Offsets", "Caching
 *         Translations in TLBs", "Details of TLB Use", "Global Pages".
 */
import { ACCESS_FETCH, ACCESS_WRITE } from '../arch/fault.ts';
import { ARR_DATA, ARR_FRAGMENTS, ARR_LIVE, ARR_TAGS, ARR_WAYS } from '../layout/array.ts';
import {
  TAG_GLOBAL, TAG_PCID, TAG_SIZE_SHIFT, TAG_VALID, TLBD_HI_4M, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT,
} from '../layout/tlb.ts';
import {
  PROBE_FILL, PROBE_LEVEL_BYTES, PROBE_SERVICE_BYTES, PROBE_SIZE, SERVICE_FETCH, SERVICE_LOAD, SERVICE_STORE, VCPU_OUT_DATA_HI,
  VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_OUT_SIZE, VCPU_PROBES, VCPU_TAG_GLOBAL, VCPU_TAG_PCID, VCPU_TLB_LEVELS, VCPU_UNPLAIN, UNPLAIN_LARGE,
} from '../layout/vcpu.ts';
import { drop, find, locate, place, setOf, touch, victim } from '../cache/array.ts';
import { memoClear, memoPut } from './memo.ts';
import { refused } from './rights.ts';

/** Bits of a linear address below a page of size code 0, 1, 2. */
const PAGE_SHIFT = [12, 21, 30];

export function pageShift(size: number): number {
  return PAGE_SHIFT[size];
}

/** Which of a level's structures an access is looked up in. */
export function serviceOf(access: number): number {
  return access & ACCESS_FETCH ? SERVICE_FETCH : access & ACCESS_WRITE ? SERVICE_STORE : SERVICE_LOAD;
}

/** Page number of a linear address, low word. */
export const pageLo = (vaHi: number, vaLo: number, shift: number): number => (vaLo >>> shift) | (vaHi << (32 - shift));

/** Page number, high word without the rest of the tag: bits 44:32 at most. */
export const pageHi = (vaHi: number, shift: number): number => (vaHi >>> shift) & 0x1fff;

/** Word index of the probe list of a level (1 is the first) for a service. */
export function probeList(w: Int32Array, v: number, service: number, level: number): number {
  return (w[v + (VCPU_PROBES >>> 2)] + service * PROBE_SERVICE_BYTES + (level - 1) * PROBE_LEVEL_BYTES) >>> 2;
}

/**
 * Look for a usable translation in the first level, the end of most accesses.
 *
 * @param slot - of the memo to fill @returns true if there is one: its address is in VCPU_OUT_LO/HI, its size code in VCPU_OUT_SIZE
 */
export function firstLevel(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, access: number, slot: number): boolean {
  const list = (w[v + (VCPU_PROBES >>> 2)] + service * PROBE_SERVICE_BYTES) >>> 2;
  let behind = false; // another entry, which does not permit this access but may permit the next
  for (let size = 0, shift = 12; size < 3; size++, shift += 9) {
    const a = w[list + (PROBE_SIZE >>> 2) + size] >>> 2;
    if (a === 0 || w[a + (ARR_LIVE >>> 2) + size] === 0) continue;
    const lo = (vaLo >>> shift) | (vaHi << (32 - shift)), hi = ((vaHi >>> shift) & 0x1fff) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
    const i = locate(w, a, lo, hi | w[v + (VCPU_TAG_PCID >>> 2)], hi | w[v + (VCPU_TAG_GLOBAL >>> 2)]);
    if (i < 0) continue;
    const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2, data = w[d];
    if (refused(w, v, data, access) !== 0) {
      behind = true;
      continue;
    }
    touch(w, a, i);
    const inside = (1 << shift) - 1;
    w[v + (VCPU_OUT_LO >>> 2)] = (data & ~0xfff & ~inside) | (vaLo & inside);
    w[v + (VCPU_OUT_HI >>> 2)] = w[d + 1] & TLBD_HI_ADDR;
    w[v + (VCPU_OUT_SIZE >>> 2)] = size;
    if (behind) memoClear(w, v, slot);
    else memoPut(w, v, slot, vaHi, vaLo, size, data, w[v + (VCPU_OUT_HI >>> 2)], w[v + (VCPU_OUT_LO >>> 2)]);
    return true;
  }
  return false;
}

/**
 * Look for a usable translation in the levels after the first; on a hit, copy it into the levels before.
 *
 * @returns level of the hit, 0 if none. A hit is left in VCPU_OUT_DATA_*, VCPU_OUT_SIZE and VCPU_OUT_GLOBAL
 */
export function laterLevels(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const levels = w[v + (VCPU_TLB_LEVELS >>> 2)];
  for (let level = 2; level <= levels; level++) {
    if (!lookupLevel(w, v, probeList(w, v, service, level), vaHi, vaLo, access, true)) continue;
    const size = w[v + (VCPU_OUT_SIZE >>> 2)];
    for (let l = 1; l < level; l++) fillLevel(w, v, probeList(w, v, service, l), vaHi, vaLo, size);
    return level;
  }
  return 0;
}

/** The level that would answer, touching nothing but VCPU_OUT_*; 0 for none. */
export function tlbPeek(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const levels = w[v + (VCPU_TLB_LEVELS >>> 2)];
  for (let level = 1; level <= levels; level++) {
    if (lookupLevel(w, v, probeList(w, v, service, level), vaHi, vaLo, access, false)) return level;
  }
  return 0;
}

/** Look in one level. A hit is left in VCPU_OUT_DATA_*, VCPU_OUT_SIZE and VCPU_OUT_GLOBAL. @param use - note the use */
export function lookupLevel(w: Int32Array, v: number, list: number, vaHi: number, vaLo: number, access: number, use: boolean): boolean {
  const pcid = w[v + (VCPU_TAG_PCID >>> 2)];
  for (let size = 0, shift = 12; size < 3; size++, shift += 9) {
    const a = w[list + (PROBE_SIZE >>> 2) + size] >>> 2;
    if (a === 0 || w[a + (ARR_LIVE >>> 2) + size] === 0) continue;
    const lo = (vaLo >>> shift) | (vaHi << (32 - shift)), hi = ((vaHi >>> shift) & 0x1fff) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
    const own = hi | pcid, global = hi | w[v + (VCPU_TAG_GLOBAL >>> 2)];
    const i = use ? locate(w, a, lo, own, global) : find(w, a, setOf(w, a, lo, hi), lo, own, global);
    if (i < 0) continue;
    const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2;
    if (refused(w, v, w[d], access) !== 0) continue;
    if (use) touch(w, a, i);
    w[v + (VCPU_OUT_DATA_LO >>> 2)] = w[d];
    w[v + (VCPU_OUT_DATA_HI >>> 2)] = w[d + 1];
    w[v + (VCPU_OUT_SIZE >>> 2)] = size;
    w[v + (VCPU_OUT_GLOBAL >>> 2)] = w[(w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2 + 1] & TAG_GLOBAL;
    return true;
  }
  return false;
}

/** Put the translation in VCPU_OUT_* into every level, after a walk. `size` is the size code it may be used at. */
export function tlbFill(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, size: number): void {
  const levels = w[v + (VCPU_TLB_LEVELS >>> 2)];
  for (let level = 1; level <= levels; level++) fillLevel(w, v, probeList(w, v, service, level), vaHi, vaLo, size);
}

function fillLevel(w: Int32Array, v: number, list: number, vaHi: number, vaLo: number, from: number): void {
  const size = w[list + (PROBE_FILL >>> 2) + from];
  if (size < 0) return;
  const a = w[list + (PROBE_SIZE >>> 2) + size] >>> 2;
  const shift = 12 + 9 * size;
  const lo = (vaLo >>> shift) | (vaHi << (32 - shift)), hi = ((vaHi >>> shift) & 0x1fff) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
  const own = hi | w[v + (VCPU_TAG_PCID >>> 2)], global = hi | w[v + (VCPU_TAG_GLOBAL >>> 2)];
  const isGlobal = w[v + (VCPU_OUT_GLOBAL >>> 2)] !== 0;
  const set = setOf(w, a, lo, hi);
  let i = dropSame(w, a, set, lo, own, global, isGlobal);
  if (i < 0) i = victim(w, a, set);
  place(w, a, i, lo, isGlobal ? global : own);
  const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2;
  const dataHi = w[v + (VCPU_OUT_DATA_HI >>> 2)];
  w[d] = fragmentLo(w[v + (VCPU_OUT_DATA_LO >>> 2)], vaLo, from, size);
  w[d + 1] = dataHi;
  if (size !== 0) w[v + (VCPU_UNPLAIN >>> 2)] |= UNPLAIN_LARGE;
  if (size + 1 !== ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7) || dataHi & TLBD_HI_4M) w[a + (ARR_FRAGMENTS >>> 2)] = 1;
  touch(w, a, i);
}

/**
 * An entry that could not be used is replaced, not doubled. A global entry replaces those of every PCID for its page, so that no lookup
 * ever matches two.
 *
 * @returns the lowest entry that went, -1 if none did
 */
function dropSame(w: Int32Array, a: number, set: number, lo: number, own: number, global: number, isGlobal: boolean): number {
  if (!isGlobal) {
    const i = find(w, a, set, lo, own, global);
    if (i >= 0) drop(w, a, i);
    return i;
  }
  const ways = w[a + (ARR_WAYS >>> 2)], tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
  let lowest = -1;
  for (let i = (set + 1) * ways - 1; i >= set * ways; i--) {
    if (w[tags + i * 2] !== lo || (w[tags + i * 2 + 1] & ~TAG_PCID | TAG_GLOBAL) !== global) continue;
    drop(w, a, i);
    lowest = i;
  }
  return lowest;
}

/** Low word of the data of the fragment of size `size` around `va`, of a page of size `from`. All sizes are below 4 GiB: no carry. */
export function fragmentLo(dataLo: number, vaLo: number, from: number, size: number): number {
  return size === from ? dataLo : dataLo | (vaLo & ((1 << PAGE_SHIFT[from]) - 1) & ~((1 << PAGE_SHIFT[size]) - 1));
}

/** Physical address, high word, of a translation. */
export const addressHi = (dataHi: number): number => dataHi & TLBD_HI_ADDR;

/** Physical address, low word, of `vaLo` under a translation of size code `size`. */
export function addressLo(dataLo: number, vaLo: number, size: number): number {
  const inside = (1 << PAGE_SHIFT[size]) - 1;
  return (dataLo & ~0xfff & ~inside) | (vaLo & inside);
}
