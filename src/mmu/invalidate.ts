/**
 * Removing cached translations of one vCPU.
 *
 * Each function removes at least what the manual promises, and no more than it permits.
 *
 * Source: Intel SDM vol. 3A, "Invalidation of TLBs and Paging-Structure Caches" ("Operations that Invalidate TLBs and
 *         Paging-Structure Caches"); vol. 2, "INVLPG", "INVPCID".
 */
import { FAULT_GP, FAULT_NONE, FAULT_UD } from '../arch/fault.ts';
import { CR4_PCIDE } from '../arch/registers.ts';
import { ARR_DATA, ARR_FRAGMENTS, ARR_LIVE, ARR_TAGS } from '../layout/array.ts';
import {
  TAG_GLOBAL, TAG_PCID, TAG_PCID_SHIFT, TAG_SIZE, TAG_SIZE_SHIFT, TAG_VALID, TAG_VPN_HI, TLBD_HI_4M, TLBD_HI_LEVEL_SHIFT,
} from '../layout/tlb.ts';
import {
  FEAT_INVPCID, MODE_5LEVEL, MODE_4LEVEL, VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_CR4, UNPLAIN_LARGE, VCPU_FEATURES, VCPU_UNPLAIN, VCPU_MODE, VCPU_TAG_PCID,
} from '../layout/vcpu.ts';
import { capacity, drop, dropAll, find, setOf } from '../cache/array.ts';
import { fastDropAll, fastDropPage } from './fast-table.ts';
import { memoDrop } from './memo.ts';
import { pscDropAddress, pscDropAll, pscDropPcid } from './psc.ts';
import { pageHi, pageLo, pageShift } from './tlb.ts';

/** Is the address canonical under the current mode? Outside 64-bit paging every 32-bit address is. */
export function canonical(w: Int32Array, v: number, vaHi: number): boolean {
  const mode = w[v + (VCPU_MODE >>> 2)];
  if (mode === MODE_4LEVEL) return (vaHi << 16) >> 16 === vaHi;
  return mode === MODE_5LEVEL ? (vaHi << 7) >> 7 === vaHi : true;
}

/** High word of a linear address as translations know it: outside 64-bit paging an address has 32 bits. */
function linearHi(w: Int32Array, v: number, vaHi: number): number {
  return w[v + (VCPU_MODE >>> 2)] < MODE_4LEVEL ? 0 : vaHi;
}

/** INVLPG: the page of the address, global or of the current PCID, with all its fragments; and all of the PCID's PSC entries. */
export function invlpg(w: Int32Array, v: number, vaHi: number, vaLo: number): void {
  if (!canonical(w, v, vaHi)) return; // INVLPG of a non-canonical address does nothing
  vaHi = linearHi(w, v, vaHi);
  const pcid = w[v + (VCPU_TAG_PCID >>> 2)];
  dropPage(w, v, vaHi, vaLo, pcid, true);
  pscDropPcid(w, v, pcid);
  fastDropPage(w, v, vaHi, vaLo);
}

/** After a #PF: what was cached for the address, so that the fault does not repeat without cause in memory. */
export function dropFaulting(w: Int32Array, v: number, vaHi: number, vaLo: number): void {
  dropPage(w, v, vaHi, vaLo, w[v + (VCPU_TAG_PCID >>> 2)], true);
  pscDropAddress(w, v, vaHi, vaLo);
  fastDropPage(w, v, vaHi, vaLo);
}

/** Everything, global entries and all PCIDs included. */
export function dropEverything(w: Int32Array, v: number): void {
  memoDrop(w, v);
  w[v + (VCPU_UNPLAIN >>> 2)] &= ~UNPLAIN_LARGE;
  for (let k = 0; k < w[v + (VCPU_ARRAYS >>> 2)]; k++) dropAll(w, w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2);
  pscDropAll(w, v);
  fastDropAll(w, v);
}

/** One PCID (0 to 4095) without global entries. */
export function dropPcid(w: Int32Array, v: number, pcid: number): void {
  const tagPcid = pcid << TAG_PCID_SHIFT;
  dropWhere(w, v, hi => !(hi & TAG_GLOBAL) && (hi & TAG_PCID) === tagPcid);
  pscDropPcid(w, v, tagPcid);
  fastDropAll(w, v);
}

/** One PCID (as it stands in tags) and the global entries. */
export function dropPcidAndGlobal(w: Int32Array, v: number, tagPcid: number): void {
  dropWhere(w, v, hi => (hi & TAG_GLOBAL) !== 0 || (hi & TAG_PCID) === tagPcid);
  pscDropPcid(w, v, tagPcid);
  fastDropAll(w, v);
}

/** All PCIDs without global entries. */
export function dropNonGlobal(w: Int32Array, v: number): void {
  dropWhere(w, v, hi => !(hi & TAG_GLOBAL));
  pscDropAll(w, v);
  fastDropAll(w, v);
}

export const INVPCID_ADDRESS = 0;
export const INVPCID_CONTEXT = 1;
export const INVPCID_ALL = 2;

/**
 * INVPCID with its descriptor: PCID in bits 11:0 of the first 8 bytes (the others must be 0), linear address in the second 8.
 *
 * @returns FAULT_NONE, FAULT_GP, or FAULT_UD where the processor has no INVPCID
 */
export function invpcid(w: Int32Array, v: number, type: number, d0Lo: number, d0Hi: number, vaHi: number, vaLo: number): number {
  const pcid = d0Lo & 0xfff;
  if (!(w[v + (VCPU_FEATURES >>> 2)] & FEAT_INVPCID)) return FAULT_UD;
  if (type < 0 || type > 3 || d0Hi !== 0 || (d0Lo & ~0xfff) !== 0) return FAULT_GP;
  const named = type === INVPCID_ADDRESS || type === INVPCID_CONTEXT;
  if (named && pcid !== 0 && !(w[v + (VCPU_CR4 >>> 2)] & CR4_PCIDE)) return FAULT_GP;
  if (type === INVPCID_ADDRESS) {
    if (!canonical(w, v, vaHi)) return FAULT_GP;
    vaHi = linearHi(w, v, vaHi);
    dropPage(w, v, vaHi, vaLo, pcid << TAG_PCID_SHIFT, false);
    pscDropPcid(w, v, pcid << TAG_PCID_SHIFT);
    fastDropPage(w, v, vaHi, vaLo);
  } else if (type === INVPCID_CONTEXT) dropPcid(w, v, pcid);
  else if (type === INVPCID_ALL) dropEverything(w, v);
  else dropNonGlobal(w, v);
  return FAULT_NONE;
}

function dropWhere(w: Int32Array, v: number, wanted: (tagHi: number) => boolean): void {
  memoDrop(w, v);
  for (let k = 0; k < w[v + (VCPU_ARRAYS >>> 2)]; k++) {
    const a = w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2, tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
    for (let i = 0, n = capacity(w, a); i < n; i++) {
      const hi = w[tags + i * 2 + 1];
      if (hi !== 0 && wanted(hi)) drop(w, a, i);
    }
  }
}

/** Drop the entries for one address: at each size, and every fragment of a larger page that the address is in. */
function dropPage(w: Int32Array, v: number, vaHi: number, vaLo: number, tagPcid: number, globalToo: boolean): void {
  memoDrop(w, v);
  for (let k = 0; k < w[v + (VCPU_ARRAYS >>> 2)]; k++) {
    const a = w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2;
    for (let size = 0; size < 3; size++) {
      if (w[a + (ARR_LIVE >>> 2) + size] === 0) continue;
      const shift = pageShift(size);
      const lo = pageLo(vaHi, vaLo, shift), hi = pageHi(vaHi, shift) | (size << TAG_SIZE_SHIFT) | TAG_VALID;
      const set = setOf(w, a, lo, hi), own = hi | tagPcid;
      for (;;) { // a global and a plain entry may both be there, after G changed in memory
        const i = find(w, a, set, lo, own, globalToo ? hi | TAG_GLOBAL : own);
        if (i < 0) break;
        drop(w, a, i);
      }
    }
    if (w[a + (ARR_FRAGMENTS >>> 2)]) dropFragments(w, a, vaHi, vaLo, tagPcid, globalToo);
  }
}

function dropFragments(w: Int32Array, a: number, vaHi: number, vaLo: number, tagPcid: number, globalToo: boolean): void {
  const tags = w[a + (ARR_TAGS >>> 2)] >>> 2, data = w[a + (ARR_DATA >>> 2)] >>> 2;
  for (let i = 0, n = capacity(w, a); i < n; i++) {
    const hi = w[tags + i * 2 + 1];
    if (hi === 0 || !(hi & TAG_GLOBAL ? globalToo : (hi & TAG_PCID) === tagPcid)) continue;
    const dataHi = w[data + i * 2 + 1];
    const shift = pageShift((hi & TAG_SIZE) >>> TAG_SIZE_SHIFT);
    const whole = dataHi & TLBD_HI_4M ? 22 : 3 + 9 * ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7);
    if (whole <= shift) continue;
    const up = whole - shift, entryLo = w[tags + i * 2], entryHi = hi & TAG_VPN_HI;
    const pageNrLo = pageLo(vaHi, vaLo, shift), pageNrHi = pageHi(vaHi, shift);
    if (entryHi === pageNrHi && entryLo >>> up === pageNrLo >>> up) drop(w, a, i);
  }
}
