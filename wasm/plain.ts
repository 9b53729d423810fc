// Accesses through a TLB of the most usual shape (VCPU_PLAIN in src/layout/vcpu.ts) that holds no large page: what searched(), beyondFirst(),
// fillLevel() and charge() do, in a straight line. Whatever is out of the ordinary is left, untouched, to those.
//
// Calls in the middle of a function are avoided, even where they are not made: what lives across one is spilled before it is known.
import { FAULT_NONE } from "./fault";
import { ARR_CAPACITY, ARR_CLOCK, ARR_FRAGMENTS, ARR_LIVE } from "../src/layout/array";
import { CNT_HITS, CNT_MISS_SIZE, CNT_SLOW } from "../src/layout/counter";
import { TAG_GLOBAL, TAG_VALID, TLBD_HI_LEVEL_SHIFT } from "../src/layout/tlb";
import {
  MODE_5LEVEL, PLAIN_A, PLAIN_BYTES, PLAIN_DATA, PLAIN_MASK, PLAIN_NEXT, PLAIN_REPL, PLAIN_TAGS, PLAIN_TOUCH, PLAIN_WAYS, VCPU_OUT_CYCLES,
  VCPU_OUT_LO, VCPU_OUT_SIZE, VCPU_MODE, VCPU_PLAIN, VCPU_TAG_PCID, VCPU_TLB_CYCLES,
  VCPU_UNPLAIN,
} from "../src/layout/vcpu";
import { Ahead } from "./ahead";
import { candidates, emptyWays, LRU_CLOCK_LIMIT, oldestOfFew, stamp, treeVictimOfFew } from "./array";
import { count } from "./counters";
import { memoClear, memoPut, memoSlot } from "./memo";
import { permits, rightsRow } from "./rights";
import { settle, TALLIED } from "./tally";
import { NUMBER, serviceOf } from "./tlb";
import { plainWalk } from "./plain-walk";
import { anew, notCanonical } from "./translate";

export const GLOBAL_PAGE: u64 = <u64>(<u32>(TAG_VALID | TAG_GLOBAL)) << 32;
const ADDRESS: u64 = 0xf_ffff_ffff_f000;
/** Marks a fault where a physical address could be. */
export const FAULTED: u64 = 1 << 63;
export const LEVEL_SHIFT: u64 = 32 + TLBD_HI_LEVEL_SHIFT;

/** Added to an access: leave the results in VCPU_OUT_*, too. */
export const SINGLE = 1 << 30;

/** Of what an access is given as: the ACCESS_* bits. */
export const ACCESS_BITS = ~(SINGLE | TALLIED);

/** An access of 64-bit paging and timed mode that no memo answers, with its price. @param access - SINGLE or TALLIED with it, perhaps @returns as plainAnew() */
export function searchAnew(v: i32, va: u64, access: i32): u64 {
  const d = v + VCPU_PLAIN + serviceOf(access) * PLAIN_BYTES, canonical = isCanonical(v, va);
  if (canonical & i32(load<i32>(v, VCPU_UNPLAIN) == 0) & i32(load<i32>(d, PLAIN_A) != 0)) return plainAnew(v, d, va, access);
  return canonical ? anewAddress(v, va, access) : FAULTED | <u64>(<u32>notCanonical(v, access));
}

/** Is an address canonical in 64-bit paging? */
@inline export function isCanonical(v: i32, va: u64): i32 {
  const unused: u64 = load<i32>(v, VCPU_MODE) == MODE_5LEVEL ? 7 : 16;
  return i32(<u64>((<i64>(va << unused)) >> unused) == va);
}

/**
 * anew() for such a TLB: an access to a canonical address. Data accesses have no price.
 *
 * Few parameters, because what is passed is spilled; what can be computed again is.
 *
 * @param d - what the service needs @param access - SINGLE or TALLIED with it, perhaps
 * @returns the physical address, or FAULTED + the fault
 */
@inline function plainAnew(v: i32, d: i32, va: u64, access: i32): u64 {
  const number = (va >> 12) & NUMBER, own = ownOf(v, number), global = number | GLOBAL_PAGE;
  const ways = load<i32>(d, PLAIN_WAYS), set = <i32>number & load<i32>(d, PLAIN_MASK), first = set * ways;
  const tags = load<i32>(d, PLAIN_TAGS) + (first << 3), bits = candidates(tags, ways, own);
  if (bits != 0) {
    const k = ctz(bits), tag = load<u64>(tags + (k << 3)), data = load<u64>(load<i32>(d, PLAIN_DATA) + ((first + k) << 3));
    if ((i32(tag != own) & i32(tag != global)) | i32(!permits(rightsRow(v, access), <i32>data))) return anewAddress(v, va, access);
    touchTreeOf(d, set, k);
    const pa = (data & ADDRESS) | (va & 0xfff), service = serviceOf(access);
    memoPut(v, memoSlot(v, service), va, 0, data, pa);
    if (access & SINGLE) leave(v, pa, 1, load<i32>(v, VCPU_TLB_CYCLES));
    count(v, CNT_HITS + service, 1);
    return pa;
  }
  const ways2 = load<i32>(d, PLAIN_NEXT + PLAIN_WAYS), set2 = <i32>number & load<i32>(d, PLAIN_NEXT + PLAIN_MASK), first2 = set2 * ways2;
  const tags2 = load<i32>(d, PLAIN_NEXT + PLAIN_TAGS) + (first2 << 3), bits2 = candidates(tags2, ways2, own);
  if (bits2 == 0) return plainWalk(v, d, va, access, own);
  const k = ctz(bits2), data = load<u64>(load<i32>(d, PLAIN_NEXT + PLAIN_DATA) + ((first2 + k) << 3));
  if (i32(load<u64>(tags2 + (k << 3)) != own) | i32(!permits(rightsRow(v, access), <i32>data))) return anewAddress(v, va, access);
  const a2 = load<i32>(d, PLAIN_NEXT + PLAIN_A), stamp2 = load<i32>(d, PLAIN_NEXT + PLAIN_REPL) + ((first2 + k) << 2), now = load<i32>(a2, ARR_CLOCK);
  if (now == LRU_CLOCK_LIMIT) return anewAddress(v, va, access);
  if (load<i32>(stamp2) != now) {
    store<i32>(a2, now + 1, ARR_CLOCK);
    store<i32>(stamp2, now + 1);
  }
  return secondHit(v, d, va, access, own, data);
}

/** The second level has it. */
@inline function secondHit(v: i32, d: i32, va: u64, access: i32, own: u64, data: u64): u64 {
  const service = serviceOf(access), pa = (data & ADDRESS) | (va & 0xfff);
  fillFirst(d, own, data);
  if ((data >> LEVEL_SHIFT) != 1) store<i32>(load<i32>(d, PLAIN_A), 1, ARR_FRAGMENTS);
  memoClear(v, memoSlot(v, service));
  Ahead.walks >>= 1;
  count(v, CNT_SLOW + service, 1);
  count(v, CNT_HITS + 3 + service, 1);
  count(v, CNT_MISS_SIZE, 1);
  if (access & SINGLE) leave(v, pa, 2, load<i32>(v, VCPU_TLB_CYCLES + 4));
  return pa;
}

/** Tag of a 4K page, by its number, of the current PCID. */
@inline export function ownOf(v: i32, number: u64): u64 {
  return number | (<u64>(<u32>(TAG_VALID | load<i32>(v, VCPU_TAG_PCID))) << 32);
}

/** Leave the results of a single access that a 4K entry answered. @param hit - its level, 0 for a walk */
@inline export function leave(v: i32, pa: u64, hit: u64, cycles: i32): void {
  store<u64>(v, pa, VCPU_OUT_LO);
  store<u64>(v, hit << 32, VCPU_OUT_SIZE); // and VCPU_OUT_HIT
  store<i32>(v, cycles, VCPU_OUT_CYCLES);
}

/** anew(), with its result as here. */
function anewAddress(v: i32, va: u64, access: i32): u64 {
  if (access & TALLIED) settle(v); // a device may throw
  const fault = anew(v, va, access & ACCESS_BITS);
  return fault == FAULT_NONE ? load<u64>(v, VCPU_OUT_LO) : FAULTED | <u64>fault;
}

/** Put a 4K translation into the first level, which has none for the page of any PCID. */
@inline export function fillFirst(d: i32, tag: u64, data: u64): void {
  const a = load<i32>(d, PLAIN_A), ways = load<i32>(d, PLAIN_WAYS), set = <i32>tag & load<i32>(d, PLAIN_MASK);
  const bits = load<i32>(d, PLAIN_REPL) + (set << 2), tree = load<i32>(bits);
  let k = treeVictimOfFew(tree, ways);
  const first = set * ways, tags = load<i32>(d, PLAIN_TAGS) + (first << 3), live = load<i32>(a, ARR_LIVE);
  if (live != load<i32>(a, ARR_CAPACITY)) {
    const empty = emptyWays(tags, ways);
    if (empty != 0) {
      k = ctz(empty);
      store<i32>(a, live + 1, ARR_LIVE);
    }
  }
  store<u64>(tags + (k << 3), tag);
  store<u64>(load<i32>(d, PLAIN_DATA) + ((first + k) << 3), data);
  touched(d, bits, tree, k);
}

/** ... into the second level. @param n - its part of what the service needs */
@inline function fillSecond(n: i32, tag: u64, data: u64): void {
  const a = load<i32>(n, PLAIN_A), stamps = load<i32>(n, PLAIN_REPL);
  stamp(a, stamps + (placeSecond(n, a, stamps, tag, data) << 2));
}

/** The same where the clock is known not to be at its end: without a call. */
@inline export function fillSecondSoon(n: i32, tag: u64, data: u64): void {
  const a = load<i32>(n, PLAIN_A), stamps = load<i32>(n, PLAIN_REPL), i = placeSecond(n, a, stamps, tag, data), now = load<i32>(a, ARR_CLOCK) + 1;
  store<i32>(a, now, ARR_CLOCK);
  store<i32>(stamps + (i << 2), now);
}

@inline function placeSecond(n: i32, a: i32, stamps: i32, tag: u64, data: u64): i32 {
  const ways = load<i32>(n, PLAIN_WAYS), first = (<i32>tag & load<i32>(n, PLAIN_MASK)) * ways;
  const i = first + oldestOfFew(stamps + (first << 2), ways), t = load<i32>(n, PLAIN_TAGS) + (i << 3);
  if (load<u64>(t) == 0) store<i32>(a, load<i32>(a, ARR_LIVE) + 1, ARR_LIVE);
  store<u64>(t, tag);
  store<u64>(load<i32>(n, PLAIN_DATA) + (i << 3), data);
  return i;
}

/** ... a page's own, 4K, into both. */
export function fillBoth(d: i32, tag: u64, data: u64): void {
  fillFirst(d, tag, data);
  fillSecond(d + PLAIN_NEXT, tag, data);
}

/** Ways of a level that may hold the page of a tag. @param d - what the service needs, from PLAIN_NEXT for the second */
@inline export function held(d: i32, own: u64): i32 {
  const ways = load<i32>(d, PLAIN_WAYS);
  return candidates(load<i32>(d, PLAIN_TAGS) + ((<i32>own & load<i32>(d, PLAIN_MASK)) * ways << 3), ways, own);
}

@inline export function touchTreeOf(d: i32, set: i32, k: i32): void {
  const bits = load<i32>(d, PLAIN_REPL) + (set << 2);
  touched(d, bits, load<i32>(bits), k);
}

/** @param bits - where the tree is */
@inline function touched(d: i32, bits: i32, tree: i32, k: i32): void {
  const masks = load<i32>(d, PLAIN_TOUCH) + (k << 3);
  store<i32>(bits, (tree & load<i32>(masks)) | load<i32>(masks, 4));
}
