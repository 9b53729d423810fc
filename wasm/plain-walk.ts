// The walk that most misses of a plain TLB (plain.ts) end in: 64-bit paging, begun at a cached entry of level 2 or 3, down to a 4K page that
// permits the access and needs no mark. Everything is read before anything is changed; whatever else is found is left to missedPlain().
import { ACCESS_WRITE, FAULT_NONE } from "./fault";
import { PTE_A, PTE_D, PTE_G, PTE_P, PTE_PS, PTE_RW } from "../src/arch/pte";
import { ARR_LIVE } from "../src/layout/array";
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import { TLBD_D, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from "../src/layout/tlb";
import {
  CTL_PGE, PLAIN_NEXT, PSC_A, PSC_BYTES, PSC_DATA, PSC_MASK, PSC_STAMPS, PSC_TAGS, VCPU_CTL, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_PLAIN_PSC, VCPU_RSVD_HI, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from "../src/layout/vcpu";
import { Ahead } from "./ahead";
import { candidates4, find, oldest4, stamp, touchStamp } from "./array";
import { chargeWalk, flat, IN_MEMORY } from "./charge";
import { count } from "./counters";
import { bytesOf } from "./extents";
import { memoClear, memoSlot } from "./memo";
import { FAULTED, fillFirst, fillSecond, leave, ownOf, SINGLE } from "./plain";
import { permits, rightsRow } from "./rights";
import { fillLevel, NUMBER, probeList, serviceOf } from "./tlb";
import { missedPlain } from "./translate";
import { ENTRY_ADDRESS } from "./walk";

/** In the answer of leafData(). */
const IS_GLOBAL: u64 = 1 << 63;
const RIGHTS_AND = TLBD_RW | TLBD_US;

/** First way of the set of a tag in a paging-structure cache. @param c - one of the two in VCPU_PLAIN_PSC */
@inline function firstOf(c: i32, tag: u64): i32 {
  return (<i32>tag & load<i32>(c, PSC_MASK)) << 2;
}

/** Entry with a tag, -1 if none. */
@inline function seek(c: i32, first: i32, tag: u64): i32 {
  const tags = load<i32>(c, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag), k = ctz(bits);
  if (bits == 0) return -1;
  return load<u64>(tags + (k << 3)) == tag ? first + k : find(load<i32>(c, PSC_A), first >>> 2, tag, tag);
}

@inline function use(c: i32, i: i32): void {
  touchStamp(load<i32>(c, PSC_A), load<i32>(c, PSC_STAMPS) + (i << 2));
}

/** @param d - what the service needs @param access - SINGLE with it, perhaps @returns as plainAnew() */
export function plainWalk(v: i32, d: i32, va: u64, access: i32): u64 {
  const pde = v + VCPU_PLAIN_PSC, pdpte = pde + PSC_BYTES;
  if (load<i32>(pde) == 0) return general(v, d, va, access);
  const tag = ownOf(v, (va >> 21) & NUMBER), first = firstOf(pde, tag);
  let above: u64 = 0, pa2: u64 = 0, i = seek(pde, first, tag);
  if (i >= 0) above = load<u64>(load<i32>(pde, PSC_DATA) + (i << 3));
  else {
    const tag3 = ownOf(v, (va >> 30) & NUMBER);
    i = seek(pdpte, firstOf(pdpte, tag3), tag3);
    if (i < 0) return general(v, d, va, access);
    const top = load<u64>(load<i32>(pdpte, PSC_DATA) + (i << 3));
    pa2 = (top & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
    const at2 = bytesOf(pa2);
    if (at2 == 0) return general(v, d, va, access);
    const e = load<u64>(at2);
    if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI))) return general(v, d, va, access);
    above = (e & ENTRY_ADDRESS) | below(<i32>top, e);
    Ahead.table = at2 & ~0xfff;
    Ahead.region = va >> 30;
  }
  const pa = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8), data = leafData(v, access, pa, <i32>above);
  if (data == 0) return general(v, d, va, access);
  if (pa2 == 0) use(pde, i);
  else {
    use(pdpte, i);
    cachePde(pde, tag, first, above);
  }
  fill(v, d, va, access, data);
  return priced(v, access, (data & ENTRY_ADDRESS) | (va & 0xfff), pa, pa2);
}

/** TLB data of the leaf at `pa`, IS_GLOBAL with it; 0 if it does not permit the access or needs a mark. @param above - rights down to it */
@inline function leafData(v: i32, access: i32, pa: u64, above: i32): u64 {
  const at = bytesOf(pa);
  if (at == 0) return 0;
  const e = load<u64>(at), lo = <i32>e, want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5), shadow = i32((lo & (PTE_RW | PTE_D)) == PTE_D) & (above >>> 1);
  const rights = below(above, e) | (lo & TLBD_D) | ((<i32>(e >> 59) & 15) << TLBD_PKEY_SHIFT) | (shadow * TLBD_SSTK);
  if (((lo & want) ^ want) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI)) | i32(!permits(rightsRow(v, access), rights | TLBD_D))) return 0;
  const data = (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | (<u64>1 << (32 + TLBD_HI_LEVEL_SHIFT));
  return lo & PTE_G && load<i32>(v, VCPU_CTL) & CTL_PGE ? data | IS_GLOBAL : data;
}

function general(v: i32, d: i32, va: u64, access: i32): u64 {
  const fault = missedPlain(v, d, va, access & ~SINGLE);
  return fault == FAULT_NONE ? load<u64>(v, VCPU_OUT_LO) : FAULTED | <u64>fault;
}

/** Rights accumulated down to an entry. */
@inline function below(acc: i32, e: u64): i32 {
  return (acc & <i32>e & RIGHTS_AND) | ((acc | <i32>(e >> 63)) & 1);
}

/** Cache an entry of level 2. @param first - first way of its set */
@inline function cachePde(c: i32, tag: u64, first: i32, data: u64): void {
  const i = first + oldest4(load<i32>(c, PSC_STAMPS) + (first << 2)), t = load<i32>(c, PSC_TAGS) + (i << 3), a = load<i32>(c, PSC_A);
  if (load<u64>(t) == 0) store<i32>(a, load<i32>(a, ARR_LIVE) + 1, ARR_LIVE);
  store<u64>(t, tag);
  store<u64>(load<i32>(c, PSC_DATA) + (i << 3), data);
  stamp(a, load<i32>(c, PSC_STAMPS) + (i << 2));
}

@inline function fill(v: i32, d: i32, va: u64, access: i32, data: u64): void {
  memoClear(v, memoSlot(v, serviceOf(access)));
  if (data & IS_GLOBAL) fillGlobal(v, serviceOf(access), va, data & ~IS_GLOBAL);
  else {
    const own = ownOf(v, (va >> 12) & NUMBER);
    fillFirst(d, own, data);
    fillSecond(d + PLAIN_NEXT, own, data);
  }
}

function fillGlobal(v: i32, service: i32, va: u64, data: u64): void {
  for (let l = 1; l <= 2; l++) fillLevel(v, probeList(v, service, l), va, 0, data, true, true);
}

/** Count and price a walk. @param entry, above - addresses of the entries read; `above` = 0: only one. @returns `pa` */
@inline function priced(v: i32, access: i32, pa: u64, entry: u64, above: u64): u64 {
  const refs = 1 + i32(above != 0), service = serviceOf(access);
  count(v, CNT_SLOW + service, 1);
  count(v, CNT_DEPTH + refs, 1);
  count(v, CNT_MISS_SIZE, 1);
  count(v, CNT_MISS_SIZE + 3, 1);
  let cycles = load<i32>(0, HDR_WALK_CYCLES);
  if (flat()) {
    const loads = refs * load<i32>(0, HDR_MEMORY_CYCLES);
    count(v, CNT_REF_HITS + IN_MEMORY, refs);
    count(v, CNT_LOAD_CYCLES, loads);
    count(v, CNT_WALK_CYCLES, cycles);
    cycles += loads;
  } else cycles = throughCaches(v, pa, entry, above, refs);
  if (access & SINGLE) {
    leave(v, pa, 0, cycles);
    store<i32>(v, refs, VCPU_OUT_REFS);
  }
  return pa;
}

/** Price by the caches: they ask for the trail. */
function throughCaches(v: i32, pa: u64, entry: u64, above: u64, refs: i32): i32 {
  trail(v, entry);
  if (refs == 2) trail(v + 4, above);
  store<i32>(v, refs, VCPU_OUT_START);
  store<u64>(v, pa, VCPU_OUT_LO);
  return chargeWalk(v, refs, false);
}

/** Note the address of an entry that was read. @param t - the vCPU block + 4 * (level - 1) */
@inline function trail(t: i32, pa: u64): void {
  store<i32>(t, <i32>pa, VCPU_TRAIL_LO);
  store<i32>(t, <i32>(pa >> 32), VCPU_TRAIL_HI);
}
