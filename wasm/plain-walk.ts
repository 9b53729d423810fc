// The walk that most misses of a plain TLB (plain.ts) end in: 64-bit paging, begun at a cached entry of level 2 or 3, down to a 4K page that
// permits the access and needs no mark. Everything is read before anything is changed; whatever else is found is left to missedPlain().
import { ACCESS_WRITE, FAULT_NONE } from "./fault";
import { PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW } from "../src/arch/pte";
import { ARR_CLOCK, ARR_LIVE } from "../src/layout/array";
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_LOW_BYTES, HDR_LOW_FRAMES, HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import { TLBD_D, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from "../src/layout/tlb";
import {
  CTL_PGE, PSC_A, PSC_BYTES, PSC_DATA, PSC_MASK, PSC_STAMPS, PSC_TAGS, TALLY_LONG, TALLY_SHORT, VCPU_CTL, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_START,
  VCPU_PLAIN_PSC, VCPU_RSVD_HI, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from "../src/layout/vcpu";
import { Ahead } from "./ahead";
import { candidates4, LRU_CLOCK_LIMIT, oldest4 } from "./array";
import { chargeWalk, flat, IN_MEMORY } from "./charge";
import { count } from "./counters";
import { memoClear, memoSlot } from "./memo";
import { ACCESS_BITS, FAULTED, fillBoth, GLOBAL_PAGE, leave, SINGLE } from "./plain";
import { permits, rightsRow } from "./rights";
import { settle, tally, TALLIED } from "./tally";
import { NUMBER, serviceOf } from "./tlb";
import { missedPlain } from "./translate";
import { ENTRY_ADDRESS } from "./walk";

export const GLOBAL_TO_CTL = 7; // from PTE_G to CTL_PGE
const RIGHTS_AND = TLBD_RW | TLBD_US;
export const PLAIN_LEVEL: u64 = 1 << (32 + TLBD_HI_LEVEL_SHIFT);

/** @param d - what the service needs @param access - SINGLE or TALLIED with it, perhaps @param own - tag of the page @returns as plainAnew() */
export function plainWalk(v: i32, d: i32, va: u64, access: i32, own: u64): u64 {
  do { // leaving it is leaving the access to general()
    const pde = v + VCPU_PLAIN_PSC, cache = load<i32>(pde, PSC_A), ofVcpu = own & ~NUMBER, reserved = load<i32>(v, VCPU_RSVD_HI);
    const frames = <u64>load<u32>(0, HDR_LOW_FRAMES), low = load<i32>(0, HDR_LOW_BYTES);
    if (cache == 0) return general(v, d, va, access); // a second call, so that it is not inlined
    const tag = ((va >> 21) & NUMBER) | ofVcpu, first = firstOf(pde, tag), tags = load<i32>(pde, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag);
    if (load<i32>(cache, ARR_CLOCK) == LRU_CLOCK_LIMIT) break;
    Ahead.walks++;
    let above: u64 = 0, pa2: u64 = 0, i = first + ctz(bits);
    if (bits != 0) {
      if (load<u64>(tags + (ctz(bits) << 3)) != tag) break;
      above = load<u64>(load<i32>(pde, PSC_DATA) + (i << 3));
    } else {
      const pdpte = pde + PSC_BYTES, tag3 = ((va >> 30) & NUMBER) | ofVcpu, first3 = firstOf(pdpte, tag3);
      const tags3 = load<i32>(pdpte, PSC_TAGS) + (first3 << 3), bits3 = candidates4(tags3, tag3);
      i = first3 + ctz(bits3);
      if (bits3 == 0) break;
      if (load<u64>(tags3 + (ctz(bits3) << 3)) != tag3) break;
      if (load<i32>(load<i32>(pdpte, PSC_A), ARR_CLOCK) == LRU_CLOCK_LIMIT) break;
      const top = load<u64>(load<i32>(pdpte, PSC_DATA) + (i << 3));
      pa2 = (top & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
      if (pa2 >> 12 >= frames) break;
      const at2 = low + <i32>pa2, e = load<u64>(at2);
      if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & reserved)) break;
      above = (e & ENTRY_ADDRESS) | <u64>(<u32>below(<i32>top, e));
      Ahead.table = at2 & ~0xfff;
      Ahead.region = va >> 30;
    }
    const pa1 = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8);
    if (pa1 >> 12 >= frames) break;
    const e = load<u64>(low + <i32>pa1), rights = leafRights(e, <i32>above), want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5);
    if (((<i32>e & want) ^ want) | (<i32>(e >> 32) & reserved) | i32(!permits(rightsRow(v, access), rights))) break; // D is needed by writes alone
    if (pa2 == 0) use(pde, i);
    else {
      use(pde + PSC_BYTES, i);
      cachePde(pde, tag, first, above);
    }
    memoClear(v, memoSlot(v, serviceOf(access)));
    const pa = (e & ENTRY_ADDRESS) | (va & 0xfff);
    if (access & TALLIED) tally(d, select(TALLY_SHORT, TALLY_LONG, pa2 == 0));
    else if (pa2 == 0) priced(v, access, pa, pa1, 0);
    else priced(v, access, pa, pa1, pa2);
    // The search found no entry of any PCID for the page, so that a global one replaces none.
    fillBoth(d, select((own & NUMBER) | GLOBAL_PAGE, own, (<i32>e >>> GLOBAL_TO_CTL) & load<i32>(v, VCPU_CTL) & CTL_PGE), (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | PLAIN_LEVEL);
    return pa;
  } while (false);
  return general(v, d, va, access);
}

/** TLBD_* bits of the low word for a leaf that is present. @param above - rights down to it */
@inline export function leafRights(e: u64, above: i32): i32 {
  const lo = <i32>e, shadow = i32((lo & (PTE_RW | PTE_D)) == PTE_D) & (above >>> 1);
  return (lo & ((above & (RIGHTS_AND | PTE_P)) | TLBD_D)) | <i32>(e >> 63) | (<i32>(e >> (59 - TLBD_PKEY_SHIFT)) & (15 << TLBD_PKEY_SHIFT)) | (shadow * TLBD_SSTK);
}

export function general(v: i32, d: i32, va: u64, access: i32): u64 {
  if (access & TALLIED) settle(v); // a device may throw
  const fault = missedPlain(v, d, va, access & ACCESS_BITS);
  return fault == FAULT_NONE ? load<u64>(v, VCPU_OUT_LO) : FAULTED | <u64>fault;
}

/** First way of the set of a tag in a paging-structure cache. @param c - one of the two in VCPU_PLAIN_PSC */
@inline export function firstOf(c: i32, tag: u64): i32 {
  return (<i32>tag & load<i32>(c, PSC_MASK)) << 2;
}

/** Stamp an entry whose cache's clock is not at its end. */
@inline export function use(c: i32, i: i32): void {
  const a = load<i32>(c, PSC_A), at = load<i32>(c, PSC_STAMPS) + (i << 2), now = load<i32>(a, ARR_CLOCK);
  if (load<i32>(at) == now) return;
  store<i32>(a, now + 1, ARR_CLOCK);
  store<i32>(at, now + 1);
}

/** Rights accumulated down to an entry that is present: its P is where TLBD_XD is. */
@inline export function below(acc: i32, e: u64): i32 {
  return (acc & <i32>e & (RIGHTS_AND | PTE_P)) | <i32>(e >> 63);
}

/** Cache an entry of level 2. @param first - first way of its set */
@inline export function cachePde(c: i32, tag: u64, first: i32, data: u64): void {
  const i = first + oldest4(load<i32>(c, PSC_STAMPS) + (first << 2)), t = load<i32>(c, PSC_TAGS) + (i << 3), a = load<i32>(c, PSC_A);
  if (load<u64>(t) == 0) store<i32>(a, load<i32>(a, ARR_LIVE) + 1, ARR_LIVE);
  store<u64>(t, tag);
  store<u64>(load<i32>(c, PSC_DATA) + (i << 3), data);
  const now = load<i32>(a, ARR_CLOCK) + 1;
  store<i32>(a, now, ARR_CLOCK);
  store<i32>(load<i32>(c, PSC_STAMPS) + (i << 2), now);
}

/** Count and price a walk. @param entry, above - addresses of the entries read; `above` = 0: only one */
function priced(v: i32, access: i32, pa: u64, entry: u64, above: u64): void {
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
