// The walk that most misses of a plain TLB (plain.ts) end in: 64-bit paging, begun at a cached entry of level 2 or 3, down to a 4K page that
// permits the access and needs no mark. Everything is read before anything is changed; whatever else is found is left to missedPlain().
import { ACCESS_WRITE, FAULT_NONE } from "./fault";
import { PTE_A, PTE_D, PTE_G, PTE_HI_PKEY_SHIFT, PTE_P, PTE_PS, PTE_RW } from "../src/arch/pte";
import { ARR_DATA, ARR_LIVE, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_TAGS, ARR_WAYS, ARRP_LRU } from "../src/layout/array";
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import { TAG_VALID, TLBD_D, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from "../src/layout/tlb";
import {
  CTL_PGE, PLAIN_NEXT, VCPU_CTL, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_PSC, VCPU_RSVD_HI, VCPU_TAG_PCID, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from "../src/layout/vcpu";
import { matches, oldest4, touchStamp } from "./array";
import { chargeWalk, flat, IN_MEMORY } from "./charge";
import { count } from "./counters";
import { bytesOf } from "./extents";
import { memoClear, memoSlot } from "./memo";
import { FAULTED, leave, plainFill } from "./plain";
import { refusedBy } from "./rights";
import { fillLevel, NUMBER, probeList } from "./tlb";
import { missedPlain } from "./translate";
import { ENTRY_ADDRESS } from "./walk";

const RIGHTS_AND = TLBD_RW | TLBD_US;

/** Is a paging-structure cache of the shape that this module reads: sets of four, LRU? */
@inline function readable(a: i32): bool {
  return a != 0 && load<i32>(a, ARR_WAYS) == 4 && load<i32>(a, ARR_MASK) >= 0 && load<i32>(a, ARR_POLICY) == ARRP_LRU;
}

/** Entry with a tag, -1 if none. */
@inline function seek(a: i32, tag: u64): i32 {
  const first = (<i32>tag & load<i32>(a, ARR_MASK)) << 2, bits = matches(load<i32>(a, ARR_TAGS) + (first << 3), 4, tag, tag);
  return bits == 0 ? -1 : first + ctz(bits);
}

@inline function use(a: i32, i: i32): void {
  touchStamp(a, load<i32>(a, ARR_REPL) + (i << 2));
}

/** @param d - from plainOf() @param row - of the rights table @param own - tag of the page @returns as plainAnew() */
export function plainWalk(v: i32, d: i32, service: i32, va: u64, access: i32, row: i32, own: u64, single: bool): u64 {
  const pde = load<i32>(v, VCPU_PSC), pdpte = load<i32>(v, VCPU_PSC + 4), high = <u64>(<u32>(load<i32>(v, VCPU_TAG_PCID) | TAG_VALID)) << 32;
  if (!readable(pde) || !readable(pdpte)) return general(v, d, service, va, access, own);
  const tag = ((va >> 21) & NUMBER) | high, i = seek(pde, tag);
  let above: u64, at2 = 0, pa2: u64 = 0, e2: u64 = 0, j = 0;
  if (i >= 0) above = load<u64>(load<i32>(pde, ARR_DATA) + (i << 3));
  else {
    j = seek(pdpte, ((va >> 30) & NUMBER) | high);
    if (j < 0) return general(v, d, service, va, access, own);
    above = load<u64>(load<i32>(pdpte, ARR_DATA) + (j << 3));
    pa2 = (above & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
    at2 = bytesOf(pa2);
    if (at2 == 0) return general(v, d, service, va, access, own);
    e2 = load<u64>(at2);
    if ((<i32>e2 & (PTE_P | PTE_A | PTE_PS)) != (PTE_P | PTE_A) || <i32>(e2 >> 32) & load<i32>(v, VCPU_RSVD_HI)) return general(v, d, service, va, access, own);
    above = (e2 & ENTRY_ADDRESS) | below(<i32>above, e2);
  }
  const pa = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8), at = bytesOf(pa);
  if (at == 0) return general(v, d, service, va, access, own);
  const e = load<u64>(at), lo = <i32>e, hi = <i32>(e >> 32), acc = below(<i32>above, e), want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5);
  let rights = acc | (lo & TLBD_D) | (((hi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT);
  if ((lo & (PTE_RW | PTE_D)) == PTE_D && <i32>above & TLBD_RW) rights |= TLBD_SSTK;
  if (i32((lo & want) != want) | (hi & load<i32>(v, VCPU_RSVD_HI)) | refusedBy(row, rights | TLBD_D)) return general(v, d, service, va, access, own);
  if (i >= 0) use(pde, i);
  else {
    use(pdpte, j);
    cachePde(pde, tag, above);
  }
  const data = (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | (<u64>1 << (32 + TLBD_HI_LEVEL_SHIFT));
  fill(v, d, service, va, own, data, (lo & PTE_G) != 0 && (load<i32>(v, VCPU_CTL) & CTL_PGE) != 0);
  return priced(v, service, (data & ENTRY_ADDRESS) | (va & 0xfff), pa, pa2, single);
}

function general(v: i32, d: i32, service: i32, va: u64, access: i32, own: u64): u64 {
  const fault = missedPlain(v, d, service, va, access, own);
  return fault == FAULT_NONE ? load<u64>(v, VCPU_OUT_LO) : FAULTED | <u64>fault;
}

/** Rights accumulated down to an entry. */
@inline function below(acc: i32, e: u64): i32 {
  return (acc & <i32>e & RIGHTS_AND) | ((acc | <i32>(e >> 63)) & 1);
}

@inline function cachePde(a: i32, tag: u64, data: u64): void {
  const first = (<i32>tag & load<i32>(a, ARR_MASK)) << 2, i = first + oldest4(load<i32>(a, ARR_REPL) + (first << 2)), t = load<i32>(a, ARR_TAGS) + (i << 3);
  if (load<u64>(t) == 0) store<i32>(a, load<i32>(a, ARR_LIVE) + 1, ARR_LIVE);
  store<u64>(t, tag);
  store<u64>(load<i32>(a, ARR_DATA) + (i << 3), data);
  use(a, i);
}

@inline function fill(v: i32, d: i32, service: i32, va: u64, own: u64, data: u64, isGlobal: bool): void {
  memoClear(v, memoSlot(v, service));
  if (isGlobal) for (let l = 1; l <= 2; l++) fillLevel(v, probeList(v, service, l), va, 0, data, true, true);
  else {
    plainFill(d, own, data);
    plainFill(d + PLAIN_NEXT, own, data);
  }
}

/** Count and price a walk. @param entry, above - addresses of the entries read; `above` = 0: only one. @returns `pa` */
@inline function priced(v: i32, service: i32, pa: u64, entry: u64, above: u64, single: bool): u64 {
  const refs = above == 0 ? 1 : 2;
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
  if (single) {
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
