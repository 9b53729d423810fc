// Removing cached translations of one vCPU. See src/mmu/invalidate.ts.
import { FAULT_GP, FAULT_NONE, FAULT_UD } from "./fault";
import { CR4_PCIDE } from "../src/arch/registers";
import { ARR_DATA, ARR_FRAGMENTS, ARR_LIVE, ARR_TAGS } from "../src/layout/array";
import { TAG_CONTEXT, TAG_GLOBAL, TAG_PCID, TAG_PCID_SHIFT, TAG_SIZE, TAG_SIZE_SHIFT, TLBD_HI_4M, TLBD_HI_LEVEL_SHIFT } from "../src/layout/tlb";
import { FEAT_INVPCID, MODE_4LEVEL, MODE_5LEVEL, VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_CR4, UNPLAIN_LARGE, VCPU_FEATURES, VCPU_NEST, VCPU_UNPLAIN, VCPU_MODE, VCPU_TAG_GLOBAL, VCPU_TAG_PCID } from "../src/layout/vcpu";
import { capacity, drop, dropAll, find, joined, setOf } from "./array";
import { fastDropAll, fastDropPage } from "./fast-table";
import { memoDrop } from "./memo";
import { pscDropAddress, pscDropAll, pscDropPcid, pscDropWhere } from "./psc";
import { NUMBER, pageShift, pageTag } from "./tlb";

/** Is the address canonical under the current mode? Outside 64-bit paging every 32-bit address is. */
@inline export function canonical(v: i32, vaHi: i32): bool {
  const mode = load<i32>(v, VCPU_MODE);
  if (mode == MODE_4LEVEL) return (vaHi << 16) >> 16 == vaHi;
  return mode == MODE_5LEVEL ? (vaHi << 7) >> 7 == vaHi : true;
}

function linear(v: i32, vaHi: i32, vaLo: i32): u64 {
  return joined(load<i32>(v, VCPU_MODE) < MODE_4LEVEL ? 0 : vaHi, vaLo);
}

export function invlpg(v: i32, vaHi: i32, vaLo: i32): void {
  if (!canonical(v, vaHi)) return;
  const va = linear(v, vaHi, vaLo), pcid = load<i32>(v, VCPU_TAG_PCID);
  dropPage(v, va, pcid, true);
  pscDropPcid(v, pcid);
  fastDropPage(v, va);
}

/** After a #PF: what was cached for the address, so that the fault does not repeat without cause in memory. */
export function dropFaulting(v: i32, va: u64): void {
  dropPage(v, va, load<i32>(v, VCPU_TAG_PCID), true);
  pscDropAddress(v, va);
  fastDropPage(v, va);
}

const OF_PCID = TAG_PCID | TAG_CONTEXT;

/** The current context, as it stands in tags. */
@inline function contextOf(v: i32): i32 {
  return load<i32>(v, VCPU_TAG_GLOBAL) & TAG_CONTEXT;
}

/** Everything of the current context, global entries and all PCIDs included. */
export function dropEverything(v: i32): void {
  if (load<i32>(v, VCPU_NEST)) {
    dropWhere(v, TAG_CONTEXT, contextOf(v), -1);
    pscDropWhere(v, TAG_CONTEXT, contextOf(v));
    fastDropAll(v);
  } else dropAllContexts(v);
}

/** A machine without guests has one context. */
function dropAllContexts(v: i32): void {
  memoDrop(v);
  store<i32>(v, load<i32>(v, VCPU_UNPLAIN) & ~UNPLAIN_LARGE, VCPU_UNPLAIN);
  for (let k = 0, n = load<i32>(v, VCPU_ARRAYS); k < n; k++) dropAll(load<i32>(v + (k << 2), VCPU_ARRAY_LIST));
  pscDropAll(v);
  fastDropAll(v);
}

/** One PCID (0 to 4095) of the current context, without global entries. */
export function dropPcid(v: i32, pcid: i32): void {
  const tagPcid = contextOf(v) | pcid << TAG_PCID_SHIFT;
  dropWhere(v, TAG_GLOBAL | OF_PCID, tagPcid, -1);
  pscDropPcid(v, tagPcid);
  fastDropAll(v);
}

/** One PCID (with its context, as they stand in tags) and the context's global entries. */
export function dropPcidAndGlobal(v: i32, tagPcid: i32): void {
  dropWhere(v, OF_PCID, tagPcid, tagPcid & TAG_CONTEXT | TAG_GLOBAL);
  pscDropPcid(v, tagPcid);
  fastDropAll(v);
}

/** All PCIDs of the current context, without global entries. */
export function dropNonGlobal(v: i32): void {
  dropWhere(v, TAG_CONTEXT | TAG_GLOBAL, contextOf(v), -1);
  pscDropWhere(v, TAG_CONTEXT, contextOf(v));
  fastDropAll(v);
}

const INVPCID_ADDRESS = 0;
const INVPCID_CONTEXT = 1;
const INVPCID_ALL = 2;

export function invpcid(v: i32, type: i32, d0Lo: i32, d0Hi: i32, vaHi: i32, vaLo: i32): i32 {
  const pcid = d0Lo & 0xfff, tagPcid = contextOf(v) | pcid << TAG_PCID_SHIFT;
  if (!(load<i32>(v, VCPU_FEATURES) & FEAT_INVPCID)) return FAULT_UD;
  if (type < 0 || type > 3 || d0Hi != 0 || (d0Lo & ~0xfff) != 0) return FAULT_GP;
  const named = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;
  if (named && pcid != 0 && !(load<i32>(v, VCPU_CR4) & CR4_PCIDE)) return FAULT_GP;
  if (type == INVPCID_ADDRESS) {
    if (!canonical(v, vaHi)) return FAULT_GP;
    const va = linear(v, vaHi, vaLo);
    dropPage(v, va, tagPcid, false);
    pscDropPcid(v, tagPcid);
    fastDropPage(v, va);
  } else if (type == INVPCID_CONTEXT) dropPcid(v, pcid);
  else if (type == INVPCID_ALL) dropEverything(v);
  else dropNonGlobal(v);
  return FAULT_NONE;
}

/** Drop the TLB entries whose high tag word has `value` in the bits `mask`, and those with just `global` of context and global bit, if it is not -1. */
function dropWhere(v: i32, mask: i32, value: i32, global: i32): void {
  memoDrop(v);
  for (let k = 0, arrays = load<i32>(v, VCPU_ARRAYS); k < arrays; k++) {
    const a = load<i32>(v + (k << 2), VCPU_ARRAY_LIST), tags = load<i32>(a, ARR_TAGS);
    for (let i = 0, n = capacity(a); i < n; i++) {
      const hi = load<i32>(tags + (i << 3), 4);
      if (hi != 0 && ((hi & mask) == value || (hi & (TAG_CONTEXT | TAG_GLOBAL)) == global)) drop(a, i);
    }
  }
}

/** Drop the entries for one address: at each size, and every fragment of a larger page that the address is in. */
function dropPage(v: i32, va: u64, tagPcid: i32, globalToo: bool): void {
  memoDrop(v);
  for (let k = 0, arrays = load<i32>(v, VCPU_ARRAYS); k < arrays; k++) {
    const a = load<i32>(v + (k << 2), VCPU_ARRAY_LIST);
    for (let size = 0; size < 3; size++) {
      if (load<i32>(a + (size << 2), ARR_LIVE) == 0) continue;
      const tag = pageTag(va, size), set = setOf(a, tag), own = tag | (<u64>(<u32>tagPcid) << 32);
      const other = globalToo ? tag | (<u64>(<u32>(TAG_GLOBAL | tagPcid & TAG_CONTEXT)) << 32) : own;
      for (let i = find(a, set, own, other); i >= 0; i = find(a, set, own, other)) drop(a, i);
    }
    if (load<i32>(a, ARR_FRAGMENTS)) dropFragments(a, va, tagPcid, globalToo);
  }
}

function dropFragments(a: i32, va: u64, tagPcid: i32, globalToo: bool): void {
  const tags = load<i32>(a, ARR_TAGS), data = load<i32>(a, ARR_DATA);
  for (let i = 0, n = capacity(a); i < n; i++) {
    const tag = load<u64>(tags + (i << 3)), hi = <i32>(tag >> 32);
    if (hi == 0 || (hi ^ tagPcid) & TAG_CONTEXT || !(hi & TAG_GLOBAL ? globalToo : (hi & OF_PCID) == tagPcid)) continue;
    const dataHi = load<i32>(data + (i << 3), 4);
    const shift = pageShift((hi & TAG_SIZE) >>> TAG_SIZE_SHIFT);
    const whole = dataHi & TLBD_HI_4M ? 22 : 3 + 9 * ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7);
    if (whole <= shift) continue;
    const up = whole - shift;
    if ((tag & NUMBER) >> up == ((va >> shift) & NUMBER) >> up) drop(a, i);
  }
}
