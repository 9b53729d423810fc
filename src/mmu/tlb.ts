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
import { ARR_DATA, ARR_FRAGMENTS, ARR_LIVE, ARR_TAGS } from '../layout/array.ts';
import {
  TAG_GLOBAL, TAG_SIZE_SHIFT, TAG_VALID, TLBD_HI_4M, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT,
} from '../layout/tlb.ts';
import {
  PROBE_FILL, PROBE_LEVEL_BYTES, PROBE_SERVICE_BYTES, PROBE_SIZE, SERVICE_FETCH, SERVICE_LOAD, SERVICE_STORE, VCPU_OUT_DATA_HI,
  VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_SIZE, VCPU_PROBES, VCPU_TAG_PCID, VCPU_TLB_LEVELS,
} from '../layout/vcpu.ts';
import { drop, find, place, setOf, touch, victim } from '../cache/array.ts';
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
 * Look for a usable translation level by level; on a hit, copy it into the levels before.
 *
 * @returns level of the hit, 0 if none. A hit is left in VCPU_OUT_DATA_*, VCPU_OUT_SIZE and VCPU_OUT_GLOBAL
 */
export function tlbLookup(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const levels = w[v + (VCPU_TLB_LEVELS >>> 2)];
  for (let level = 1; level <= levels; level++) {
    if (!lookupLevel(w, v, probeList(w, v, service, level), vaHi, vaLo, access, true)) continue;
    if (level > 1) {
      const size = w[v + (VCPU_OUT_SIZE >>> 2)];
      for (let l = 1; l < level; l++) fillLevel(w, v, probeList(w, v, service, l), vaHi, vaLo, size);
    }
    return level;
  }
  return 0;
}

/** The same without touching anything but VCPU_OUT_*. */
export function tlbPeek(w: Int32Array, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const levels = w[v + (VCPU_TLB_LEVELS >>> 2)];
  for (let level = 1; level <= levels; level++) {
    if (lookupLevel(w, v, probeList(w, v, service, level), vaHi, vaLo, access, false)) return level;
  }
  return 0;
}

function lookupLevel(w: Int32Array, v: number, list: number, vaHi: number, vaLo: number, access: number, use: boolean): boolean {
  const pcid = w[v + (VCPU_TAG_PCID >>> 2)];
  for (let size = 0; size < 3; size++) {
    const a = w[list + (PROBE_SIZE >>> 2) + size] >>> 2;
    if (a === 0 || w[a + (ARR_LIVE >>> 2) + size] === 0) continue;
    const shift = PAGE_SHIFT[size];
    const lo = pageLo(vaHi, vaLo, shift), hi = pageHi(vaHi, shift) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
    const set = setOf(w, a, lo, hi);
    const i = find(w, a, set, lo, hi | pcid, hi | TAG_GLOBAL);
    if (i < 0) continue;
    const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2;
    if (refused(w, v, w[d], access) !== 0) continue;
    if (use) touch(w, a, set, i);
    w[v + (VCPU_OUT_DATA_LO >>> 2)] = w[d];
    w[v + (VCPU_OUT_DATA_HI >>> 2)] = w[d + 1];
    w[v + (VCPU_OUT_SIZE >>> 2)] = size;
    w[v + (VCPU_OUT_GLOBAL >>> 2)] = isGlobal(w, a, i);
    return true;
  }
  return false;
}

function isGlobal(w: Int32Array, a: number, i: number): number {
  return w[(w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2 + 1] & TAG_GLOBAL;
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
  const shift = PAGE_SHIFT[size];
  const lo = pageLo(vaHi, vaLo, shift), hi = pageHi(vaHi, shift) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
  const own = hi | w[v + (VCPU_TAG_PCID >>> 2)], global = hi | TAG_GLOBAL;
  const set = setOf(w, a, lo, hi);
  let i = find(w, a, set, lo, own, global);
  if (i < 0) i = victim(w, a, set);
  else dropUsable(w, a, set, i, lo, own, global);
  place(w, a, i, lo, w[v + (VCPU_OUT_GLOBAL >>> 2)] ? global : own);
  const d = (w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2;
  const dataLo = w[v + (VCPU_OUT_DATA_LO >>> 2)], dataHi = w[v + (VCPU_OUT_DATA_HI >>> 2)];
  w[d] = fragmentLo(dataLo, vaLo, from, size);
  w[d + 1] = dataHi;
  if (size + 1 !== ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7) || dataHi & TLBD_HI_4M) w[a + (ARR_FRAGMENTS >>> 2)] = 1;
  touch(w, a, set, i);
}

/** An entry that could not be used is replaced, not doubled; after G changed in memory a global and a plain one may both be there. */
function dropUsable(w: Int32Array, a: number, set: number, i: number, lo: number, own: number, global: number): void {
  drop(w, a, i);
  const twin = find(w, a, set, lo, own, global);
  if (twin >= 0) drop(w, a, twin);
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
