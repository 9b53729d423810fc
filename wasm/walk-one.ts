// A single access where nearly every one walks: as walkBatch() makes many, but what it finds first is the entry to be read, so that the host
// waits for it while the levels are searched. Everything is read before anything is changed.
import { ACCESS_WRITE, FAULT_NONE } from "./fault";
import { PTE_A, PTE_P, PTE_PS } from "../src/arch/pte";
import { ARR_CLOCK } from "../src/layout/array";
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_LOW_BYTES, HDR_LOW_FRAMES, HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import {
  CTL_PGE, MODE_4LEVEL, PLAIN_A, PLAIN_BYTES, PLAIN_MASK, PLAIN_NEXT, PLAIN_TAGS, PLAIN_WAYS, PSC_A, PSC_BYTES, PSC_DATA, PSC_MASK, PSC_STAMPS, PSC_TAGS, VCPU_COUNTERS, VCPU_CTL, VCPU_MODE,
  VCPU_OUT_REFS, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_RSVD_HI, VCPU_TIMED, VCPU_UNPLAIN,
} from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { anyCandidate, candidates4 } from "./array";
import { flat, IN_MEMORY } from "./charge";
import { count } from "./counters";
import { memoClear, memoSlot } from "./memo";
import { fillFirst, fillSecondSoon, GLOBAL_PAGE, isCanonical, leave, ownOf } from "./plain";
import { below, cachePde, firstOf, GLOBAL_TO_CTL, leafRights, PLAIN_LEVEL } from "./plain-walk";
import { permits, rightsRow } from "./rights";
import { NUMBER, serviceOf } from "./tlb";
import { accessAnew, accessSearched, missedPlain } from "./translate";
import { ENTRY_ADDRESS } from "./walk";

/** What the last access tells of the next one; it is checked. */
namespace Last {
  /** The vCPU: its services are plain, and every entry costs the same. */
  export let vcpu: i32 = 0;
  /** Which entry of its cache was that of level 3. */
  export let entry: i32 = 0;
}

const PDE = VCPU_PLAIN_PSC, PDPTE = VCPU_PLAIN_PSC + PSC_BYTES;
// Byte offsets of counters, as constants: an offset in an instruction costs nothing.
const COUNTED_MISS_SIZE = VCPU_COUNTERS + CNT_MISS_SIZE * 8, COUNTED_DEPTH_1 = VCPU_COUNTERS + (CNT_DEPTH + 1) * 8;
const COUNTED_IN_MEMORY = VCPU_COUNTERS + (CNT_REF_HITS + IN_MEMORY) * 8;
const COUNTED_LOAD_CYCLES = VCPU_COUNTERS + CNT_LOAD_CYCLES * 8, COUNTED_WALK_CYCLES = VCPU_COUNTERS + CNT_WALK_CYCLES * 8;

/**
 * accessAnew() where nearly every access walks.
 *
 * Whatever is not walked here is left to aside(), with nothing changed, and the answer is its: no value lives across a call.
 *
 * That a cached entry of level 3 has the tag of the address says that it is canonical and that 64-bit paging is on: only walks of such addresses
 * leave one, and whoever turns paging off drops it.
 */
@inline export function walkOne(v: i32, va: u64, access: i32): i32 {
  if (i32(v != Last.vcpu) | load<i32>(v, VCPU_UNPLAIN)) return aside(v, va, access);
  const ofVcpu = ownOf(v, 0), tag3 = (va >> 30) | ofVcpu, low = load<i32>(0, HDR_LOW_BYTES), end = <u64>load<u32>(0, HDR_LOW_FRAMES) << 12;
  let i = Last.entry;
  if (load<u64>(load<i32>(v, PDPTE + PSC_TAGS) + (i << 3)) != tag3) return aside(v, va, access);
  const top = load<u64>(load<i32>(v, PDPTE + PSC_DATA) + (i << 3)), tag = (va >> 21) | ofVcpu, first = (<i32>tag & load<i32>(v, PDE + PSC_MASK)) << 2;
  const way = wayWith(load<i32>(v, PDE + PSC_TAGS) + (first << 3), tag), reserved = load<i32>(v, VCPU_RSVD_HI);
  let above: u64 = 0;
  if (way < 0) {
    const pa2 = (top & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
    if (pa2 >= end) return aside(v, va, access);
    const e = load<u64>(low + <i32>pa2);
    if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & reserved)) return aside(v, va, access);
    above = (e & ENTRY_ADDRESS) | <u64>(<u32>below(<i32>top, e));
  } else {
    i = first + way;
    above = load<u64>(load<i32>(v, PDE + PSC_DATA) + (i << 3));
  }
  const pa1 = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8);
  if (pa1 >= end) return aside(v, va, access);
  const e = load<u64>(low + <i32>pa1), service = serviceOf(access), d = v + VCPU_PLAIN + service * PLAIN_BYTES, own = ((va >> 12) & NUMBER) | ofVcpu;
  if (mayHold(d, own)) return aside(v, va, access);
  const soon2 = soon(load<i32>(v, PDE + PSC_A)), soon3 = soon(load<i32>(v, PDPTE + PSC_A));
  if ((soon2 | soon3 | soon(load<i32>(d, PLAIN_NEXT + PLAIN_A))) < 0) return aside(v, va, access);
  const rights = leafRights(e, <i32>above), want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5);
  if (((<i32>e & want) ^ want) | (<i32>(e >> 32) & reserved) | i32(!permits(rightsRow(v, access), rights))) return aside(v, va, access);
  let refs: u32 = 1;
  if (way >= 0) {
    use(load<i32>(v, PDE + PSC_A), load<i32>(v, PDE + PSC_STAMPS) + (i << 2), soon2);
    store<i64>(v, load<i64>(v, COUNTED_DEPTH_1) + 1, COUNTED_DEPTH_1);
  } else {
    use(load<i32>(v, PDPTE + PSC_A), load<i32>(v, PDPTE + PSC_STAMPS) + (i << 2), soon3);
    cachePde(v + PDE, tag, first, above);
    store<i64>(v, load<i64>(v, COUNTED_DEPTH_1 + 8) + 1, COUNTED_DEPTH_1 + 8);
    refs = 2;
  }
  memoClear(v, memoSlot(v, service));
  priced(v, service, (e & ENTRY_ADDRESS) | (va & 0xfff), refs);
  const placed = select((own & NUMBER) | GLOBAL_PAGE, own, (<i32>e >>> GLOBAL_TO_CTL) & load<i32>(v, VCPU_CTL) & CTL_PGE);
  const data = (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | PLAIN_LEVEL;
  fillFirst(d, placed, data);
  fillSecondSoon(d + PLAIN_NEXT, placed, data);
  Ahead.walks = 4 * GROUP;
  return FAULT_NONE;
}

/** An access that is not walked as most are. */
function aside(v: i32, va: u64, access: i32): i32 {
  if (v != Last.vcpu) {
    if (suits(v)) Last.vcpu = v;
    else Ahead.walks = 0;
  } else if (load<i32>(v, VCPU_UNPLAIN) == 0) {
    const tag3 = (va >> 30) | ownOf(v, 0), d = v + VCPU_PLAIN + serviceOf(access) * PLAIN_BYTES;
    const known = load<u64>(load<i32>(v, PDPTE + PSC_TAGS) + (Last.entry << 3)) == tag3;
    if (!known && search(v, tag3)) return accessAnew(v, <i32>(va >> 32), <i32>va, access);
    if (mayHold(d, ownOf(v, (va >> 12) & NUMBER))) Ahead.walks >>= 1;
    else if (known || isLong(v, va)) return missedPlain(v, d, va, access);
  }
  return accessSearched(v, va, access);
}

/** Is an address canonical, and 64-bit paging and timed mode on? */
@inline function isLong(v: i32, va: u64): bool {
  return (load<i32>(v, VCPU_TIMED) & i32(load<i32>(v, VCPU_MODE) >= MODE_4LEVEL) & isCanonical(v, va)) != 0;
}

/** Is every service plain, and does every entry cost the same? That never changes. */
function suits(v: i32): bool {
  let all = i32(load<i32>(v, VCPU_PLAIN_PSC + PSC_A) != 0) & i32(flat());
  for (let service = 0; service < 3; service++) all &= i32(load<i32>(v + VCPU_PLAIN + service * PLAIN_BYTES, PLAIN_A) != 0);
  return all != 0;
}

/** Find the cached entry of level 3 with a tag. @returns is there one? */
function search(v: i32, tag: u64): bool {
  const pdpte = v + PDPTE, first = firstOf(pdpte, tag), tags = load<i32>(pdpte, PSC_TAGS) + (first << 3);
  for (let bits = candidates4(tags, tag); bits != 0; bits &= bits - 1) {
    if (load<u64>(tags + (ctz(bits) << 3)) != tag) continue; // that of another PCID
    Last.entry = first + ctz(bits);
    return true;
  }
  return false;
}

/**
 * Which of four tags is `tag`, -1 if none. One by one, for they were stored one by one: a load of several waits until the stores before it, that
 * wait for the entry of the walk before this, have left the store buffer.
 */
@inline function wayWith(tags: i32, tag: u64): i32 {
  return load<u64>(tags) == tag ? 0 : load<u64>(tags, 8) == tag ? 1 : load<u64>(tags, 16) == tag ? 2 : load<u64>(tags, 24) == tag ? 3 : -1;
}

/** May one of the levels hold the page of a tag? */
@inline function mayHold(d: i32, own: u64): i32 {
  const ways = load<i32>(d, PLAIN_WAYS), ways2 = load<i32>(d, PLAIN_NEXT + PLAIN_WAYS), low = i32x4.splat(<i32>own);
  const set = <i32>own & load<i32>(d, PLAIN_MASK), set2 = <i32>own & load<i32>(d, PLAIN_NEXT + PLAIN_MASK);
  const row = load<i32>(d, PLAIN_TAGS) + (set * ways << 3), row2 = load<i32>(d, PLAIN_NEXT + PLAIN_TAGS) + (set2 * ways2 << 3);
  return i32x4.bitmask(v128.or(anyCandidate(row, ways, low), anyCandidate(row2, ways2, low)));
}

/** The time after the clock of an LRU array; negative at its end. */
@inline function soon(a: i32): i32 {
  return load<i32>(a, ARR_CLOCK) + 1;
}

/** Stamp an entry. @param at - byte offset of its stamp @param soon - of its array */
@inline function use(a: i32, at: i32, soon: i32): void {
  if (load<i32>(at) == soon - 1) return;
  store<i32>(a, soon, ARR_CLOCK);
  store<i32>(at, soon);
}

/** Count and price the walk, and leave the results. */
@inline function priced(v: i32, service: i32, pa: u64, refs: u32): void {
  const fixed = load<u32>(0, HDR_WALK_CYCLES), loads = refs * load<u32>(0, HDR_MEMORY_CYCLES);
  count(v, CNT_SLOW + service, 1);
  store<i64>(v, load<i64>(v, COUNTED_MISS_SIZE) + 1, COUNTED_MISS_SIZE);
  store<i64>(v, load<i64>(v, COUNTED_MISS_SIZE + 3 * 8) + 1, COUNTED_MISS_SIZE + 3 * 8);
  store<i64>(v, load<i64>(v, COUNTED_IN_MEMORY) + refs, COUNTED_IN_MEMORY);
  store<i64>(v, load<i64>(v, COUNTED_LOAD_CYCLES) + loads, COUNTED_LOAD_CYCLES);
  store<i64>(v, load<i64>(v, COUNTED_WALK_CYCLES) + fixed, COUNTED_WALK_CYCLES);
  leave(v, pa, 0, fixed + loads);
  store<u32>(v, refs, VCPU_OUT_REFS);
}
