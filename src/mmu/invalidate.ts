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
  TAG_CONTEXT, TAG_GLOBAL, TAG_PCID, TAG_PCID_SHIFT, TAG_SIZE, TAG_SIZE_SHIFT, TAG_VALID, TAG_VPN_HI, TLBD_HI_4M, TLBD_HI_LEVEL_SHIFT,
} from '../layout/tlb.ts';
import {
  FEAT_INVPCID, MODE_5LEVEL, MODE_4LEVEL, VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_CR4, UNPLAIN_LARGE, VCPU_FEATURES, VCPU_NEST, VCPU_UNPLAIN, VCPU_MODE, VCPU_TAG_PCID,
} from '../layout/vcpu.ts';
import { capacity, drop, dropAll, find, setOf } from '../cache/array.ts';
import { fastDropAll, fastDropPage } from './fast-table.ts';
import { memoDrop } from './memo.ts';
import { contextOf } from './mode.ts';
import { pscDropAddress, pscDropAll, pscDropPcid, pscDropWhere } from './psc.ts';
import { pageHi, pageLo, pageShift } from './tlb.ts';

const OF_PCID = TAG_PCID | TAG_CONTEXT;

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

/** Everything of the current context, global entries and all PCIDs included. */
export function dropEverything(w: Int32Array, v: number): void {
  if (w[v + (VCPU_NEST >>> 2)] === 0) dropAllContexts(w, v);
  else dropContext(w, v, contextOf(w, v));
}

/** Everything of one context, as it stands in tags. */
export function dropContext(w: Int32Array, v: number, context: number): void {
  dropWhere(w, v, hi => (hi & TAG_CONTEXT) === context);
  pscDropWhere(w, v, TAG_CONTEXT, context);
  fastDropAll(w, v);
}

/** Everything of every context: what a machine without guests has is all of one. */
export function dropAllContexts(w: Int32Array, v: number): void {
  memoDrop(w, v);
  w[v + (VCPU_UNPLAIN >>> 2)] &= ~UNPLAIN_LARGE;
  for (let k = 0; k < w[v + (VCPU_ARRAYS >>> 2)]; k++) dropAll(w, w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2);
  pscDropAll(w, v);
  fastDropAll(w, v);
}

/** One PCID (0 to 4095) of the current context, without global entries. */
export function dropPcid(w: Int32Array, v: number, pcid: number): void {
  const tagPcid = contextOf(w, v) | pcid << TAG_PCID_SHIFT;
  dropWhere(w, v, hi => !(hi & TAG_GLOBAL) && (hi & OF_PCID) === tagPcid);
  pscDropPcid(w, v, tagPcid);
  fastDropAll(w, v);
}

/** One PCID (with its context, as they stand in tags) and the context's global entries. */
export function dropPcidAndGlobal(w: Int32Array, v: number, tagPcid: number): void {
  const context = tagPcid & TAG_CONTEXT;
  dropWhere(w, v, hi => (hi & TAG_CONTEXT) === context && ((hi & TAG_GLOBAL) !== 0 || (hi & TAG_PCID) === (tagPcid & TAG_PCID)));
  pscDropPcid(w, v, tagPcid);
  fastDropAll(w, v);
}

/** All PCIDs of the current context, without global entries. */
export function dropNonGlobal(w: Int32Array, v: number): void {
  dropNonGlobalOf(w, v, contextOf(w, v));
}

/** All PCIDs of one context, as it stands in tags, without global entries. */
export function dropNonGlobalOf(w: Int32Array, v: number, context: number): void {
  dropWhere(w, v, hi => (hi & (TAG_CONTEXT | TAG_GLOBAL)) === context);
  pscDropWhere(w, v, TAG_CONTEXT, context);
  fastDropAll(w, v);
}

/** The page of an address of one PCID (with its context, as they stand in tags), without global entries, and all of the PCID's PSC entries. */
export function dropPcidPage(w: Int32Array, v: number, tagPcid: number, vaHi: number, vaLo: number): void {
  dropPage(w, v, vaHi, vaLo, tagPcid, false);
  pscDropPcid(w, v, tagPcid);
  fastDropPage(w, v, vaHi, vaLo);
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
    dropPcidPage(w, v, contextOf(w, v) | pcid << TAG_PCID_SHIFT, linearHi(w, v, vaHi), vaLo);
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

/** Drop the entries for one address, of a PCID with its context: at each size, and every fragment of a larger page that the address is in. */
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
        const i = find(w, a, set, lo, own, globalToo ? hi | TAG_GLOBAL | tagPcid & TAG_CONTEXT : own);
        if (i < 0) break;
        drop(w, a, i);
      }
    }
    if (w[a + (ARR_FRAGMENTS >>> 2)]) dropFragments(w, a, vaHi, vaLo, tagPcid, globalToo);
  }
}

function dropFragments(w: Int32Array, a: number, vaHi: number, vaLo: number, tagPcid: number, globalToo: boolean): void {
  const tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
  for (let i = 0, n = capacity(w, a); i < n; i++) {
    const hi = w[tags + i * 2 + 1];
    if (hi === 0 || (hi ^ tagPcid) & TAG_CONTEXT || !(hi & TAG_GLOBAL ? globalToo : (hi & OF_PCID) === tagPcid)) continue;
    if (isAbout(w, a, i, vaHi, vaLo)) drop(w, a, i);
  }
}

/** Is an entry of the page, as it was before fracturing, that an address is in? */
function isAbout(w: Int32Array, a: number, i: number, vaHi: number, vaLo: number): boolean {
  const t = (w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2, hi = w[t + 1], dataHi = w[(w[a + (ARR_DATA >>> 2)] >>> 2) + i * 2 + 1];
  const shift = pageShift((hi & TAG_SIZE) >>> TAG_SIZE_SHIFT);
  const whole = dataHi & TLBD_HI_4M ? 22 : 3 + 9 * ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7), up = Math.max(0, whole - shift);
  return (hi & TAG_VPN_HI) === pageHi(vaHi, shift) && w[t] >>> up === pageLo(vaHi, vaLo, shift) >>> up;
}

/** The page of a linear address in one context (as it stands in tags), of every PCID and global, and all of the context's PSC entries. */
export function dropPageOf(w: Int32Array, v: number, context: number, vaHi: number, vaLo: number): void {
  memoDrop(w, v);
  for (let k = 0; k < w[v + (VCPU_ARRAYS >>> 2)]; k++) {
    const a = w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2, tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
    for (let i = 0, n = capacity(w, a); i < n; i++) {
      const hi = w[tags + i * 2 + 1];
      if (hi !== 0 && (hi & TAG_CONTEXT) === context && isAbout(w, a, i, vaHi, vaLo)) drop(w, a, i);
    }
  }
  pscDropWhere(w, v, TAG_CONTEXT, context);
  fastDropPage(w, v, vaHi, vaLo);
}
