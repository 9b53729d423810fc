// TLB levels: which arrays to search for an access, and what to put where. See src/mmu/tlb.ts.
import { ACCESS_FETCH, ACCESS_WRITE } from "./fault";
import { ARR_DATA, ARR_FRAGMENTS, ARR_HINTS, ARR_LIVE, ARR_TAGS, ARR_WAYS } from "../src/layout/array";
import { TAG_CONTEXT, TAG_GLOBAL, TAG_PCID, TAG_SIZE_SHIFT, TAG_VALID, TLBD_HI_4M, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT } from "../src/layout/tlb";
import {
  PROBE_FILL, PROBE_LEVEL_BYTES, PROBE_SERVICE_BYTES, PROBE_SIZE, SERVICE_FETCH, VCPU_PROBES, VCPU_TAG_PCID, VCPU_UNPLAIN, UNPLAIN_LARGE,
} from "../src/layout/vcpu";
import { drop, find, locate, place, setOf, touch, touchAt, victimWay, wayOf } from "./array";
import { refusedBy } from "./rights";

/** Bits of a tag that are the page's number. */
export const NUMBER: u64 = 0x1fff_ffff_ffff;
const GLOBAL: u64 = <u64>TAG_GLOBAL << 32;
const GLOBAL_SHIFT: u64 = 3; // from a tag's global bit, 59, to GLOBAL_AT
const PCID: u64 = <u64>TAG_PCID << 32;
const CONTEXT: u64 = <u64>TAG_CONTEXT << 32;
const ADDRESS: u64 = (<u64>TLBD_HI_ADDR << 32) | 0xfffff000;

@inline export function pageShift(size: i32): i32 {
  return 12 + 9 * size;
}

@inline export function serviceOf(access: i32): i32 {
  return select(SERVICE_FETCH, (access & ACCESS_WRITE) >>> 1, access & ACCESS_FETCH); // no branch: not predictable
}

/** Tag of the page of size code `size` at a linear address, without PCID. */
@inline export function pageTag(va: u64, size: i32): u64 {
  return ((va >> pageShift(size)) & NUMBER) | (<u64>(<u32>((size << TAG_SIZE_SHIFT) | TAG_VALID)) << 32);
}

@inline function ownTag(v: i32, tag: u64): u64 {
  return tag | (<u64>load<u32>(v, VCPU_TAG_PCID) << 32);
}

/** Byte offset of the arrays that serve a service in a level (1 is the first), by size code. */
@inline export function probeList(v: i32, service: i32, level: i32): i32 {
  return load<i32>(v, VCPU_PROBES) + PROBE_SIZE + service * PROBE_SERVICE_BYTES + (level - 1) * PROBE_LEVEL_BYTES;
}

/** Physical address of `va` under TLB data for a page of size code `size`. */
@inline export function addressOf(data: u64, va: u64, size: i32): u64 {
  const inside = (<u64>1 << pageShift(size)) - 1;
  return (data & ADDRESS & ~inside) | (va & inside);
}

// What look() answers: the data of an entry with its size code and whether it is global above, or one of:
/** No entry for the page. */
export const NO_ENTRY: u64 = 0;
/** An entry, but its rights do not permit the access. */
export const REFUSED_ENTRY: u64 = 1;
/** Bits of the answer that are TLB data. */
export const DATA_BITS: u64 = 0x00ff_ffff_ffff_ffff;
const SIZE_AT: u64 = 60;
const GLOBAL_AT: u64 = 62;
const BEHIND_AT: u64 = 63;

/** Is an entry found behind a smaller one that does not permit the access, but may permit another? */
@inline export function behindOther(found: u64): bool {
  return found >> BEHIND_AT != 0;
}

/** Size code in an answer of look(). */
@inline export function sizeIn(found: u64): i32 {
  return <i32>(found >> SIZE_AT) & 3;
}

/** TAG_GLOBAL or 0 of an answer of look(). */
@inline export function globalIn(found: u64): i32 {
  return (<i32>(found >> GLOBAL_AT) & 1) * TAG_GLOBAL;
}

/**
 * Look for a usable translation in a level, smaller pages first, and touch it.
 *
 * @param list - the three arrays @param row - of the rights table
 */
@inline export function look(list: i32, va: u64, pcid: u64, row: i32): u64 {
  const a = load<i32>(list), global = GLOBAL | (pcid & CONTEXT);
  let found = NO_ENTRY;
  if (a != 0 && load<i32>(a, ARR_LIVE) != 0) {
    const tag = pageTag(va, 0);
    found = load<i32>(a, ARR_HINTS) ? byHint(a, tag | pcid, tag | global, row) : bySet(a, tag | pcid, tag | global, row);
    if (found > REFUSED_ENTRY) return found;
  }
  return larger(list) ? lookLarger(list, va, pcid, row, found) : found;
}

/** Does a level hold pages larger than 4K? */
@inline function larger(list: i32): bool {
  const a = load<i32>(list, 4), b = load<i32>(list, 8);
  return (a != 0 && load<i32>(a, ARR_LIVE + 4) != 0) || (b != 0 && load<i32>(b, ARR_LIVE + 8) != 0);
}

/** look() for pages of 2M and 1G. @param found - the answer for 4K */
function lookLarger(list: i32, va: u64, pcid: u64, row: i32, found: u64): u64 {
  const global = GLOBAL | (pcid & CONTEXT);
  for (let size = 1; size < 3; size++) {
    const a = load<i32>(list + (size << 2));
    if (a == 0 || load<i32>(a + (size << 2), ARR_LIVE) == 0) continue;
    const tag = pageTag(va, size), answer = load<i32>(a, ARR_HINTS) ? byHint(a, tag | pcid, tag | global, row) : bySet(a, tag | pcid, tag | global, row);
    if (answer > REFUSED_ENTRY) return answer | (<u64>size << SIZE_AT) | (found << BEHIND_AT);
    found |= answer;
  }
  return found;
}

@inline function bySet(a: i32, own: u64, global: u64, row: i32): u64 {
  const ways = load<i32>(a, ARR_WAYS), set = setOf(a, own), first = set * ways, tags = load<i32>(a, ARR_TAGS) + (first << 3);
  const k = wayOf(tags, ways, own, global);
  if (k < 0) return NO_ENTRY;
  const i = first + k, data = load<u64>(load<i32>(a, ARR_DATA) + (i << 3));
  if (refusedBy(row, <i32>data)) return REFUSED_ENTRY;
  touchAt(a, set, k, i);
  return data | ((load<u64>(tags + (k << 3)) & GLOBAL) << GLOBAL_SHIFT);
}

function byHint(a: i32, own: u64, global: u64, row: i32): u64 {
  const i = locate(a, own, global);
  if (i < 0) return NO_ENTRY;
  const data = load<u64>(load<i32>(a, ARR_DATA) + (i << 3));
  if (refusedBy(row, <i32>data)) return REFUSED_ENTRY;
  touch(a, i);
  return data | ((load<u64>(load<i32>(a, ARR_TAGS) + (i << 3)) & GLOBAL) << GLOBAL_SHIFT);
}

/**
 * Put a translation into a level.
 *
 * @param from - size code it may be used at @param data - TLB data @param clean - the level is known to hold no entry that this one replaces,
 * unless a global one replaces those of other PCIDs
 */
export function fillLevel(v: i32, list: i32, va: u64, from: i32, data: u64, isGlobal: bool, clean: bool): void {
  const size = load<i32>(list + (from << 2), PROBE_FILL - PROBE_SIZE);
  if (size < 0) return;
  const a = load<i32>(list + (size << 2)), tag = pageTag(va, size), own = ownTag(v, tag), set = setOf(a, tag), ways = load<i32>(a, ARR_WAYS);
  const global = tag | GLOBAL | (own & CONTEXT);
  let way = -1;
  if (isGlobal) way = dropGlobals(a, set, global);
  else if (!clean) way = dropSame(a, set, own, global);
  if (way < 0) way = victimWay(a, set, ways);
  const i = set * ways + way;
  place(a, i, isGlobal ? global : own);
  store<u64>(load<i32>(a, ARR_DATA) + (i << 3), size == from ? data : data | (va & ((1 << pageShift(from)) - 1) & ~((1 << pageShift(size)) - 1)));
  const hi = <i32>(data >> 32);
  if (size != 0) store<i32>(v, load<i32>(v, VCPU_UNPLAIN) | UNPLAIN_LARGE, VCPU_UNPLAIN);
  if (size + 1 != ((hi >>> TLBD_HI_LEVEL_SHIFT) & 7) || hi & TLBD_HI_4M) store<i32>(a, 1, ARR_FRAGMENTS);
  touchAt(a, set, way, i);
}

/** Drop what the new entry replaces. @returns its way, -1 if there was none */
function dropSame(a: i32, set: i32, own: u64, global: u64): i32 {
  const i = find(a, set, own, global);
  if (i < 0) return -1;
  drop(a, i);
  return i - set * load<i32>(a, ARR_WAYS);
}

/** A global entry replaces those of every PCID. @returns the lowest way that went, -1 if none did */
function dropGlobals(a: i32, set: i32, global: u64): i32 {
  const ways = load<i32>(a, ARR_WAYS), row = load<i32>(a, ARR_TAGS) + ((set * ways) << 3);
  let lowest = -1;
  for (let k = ways - 1; k >= 0; k--) {
    if (((load<u64>(row + (k << 3)) & ~PCID) | GLOBAL) != global) continue;
    drop(a, set * ways + k);
    lowest = k;
  }
  return lowest;
}

/** Low word of the data of the fragment of size `size` around `va`, of a page of size `from`. All sizes are below 4 GiB: no carry. */
@inline export function fragmentLo(dataLo: i32, vaLo: i32, from: i32, size: i32): i32 {
  return size == from ? dataLo : dataLo | (vaLo & ((1 << pageShift(from)) - 1) & ~((1 << pageShift(size)) - 1));
}
