// TLB levels: which arrays to search for an access, and what to put where. See src/mmu/tlb.ts.
import { ACCESS_FETCH, ACCESS_WRITE } from "./fault";
import { ARR_DATA, ARR_FRAGMENTS, ARR_LIVE, ARR_TAGS, ARR_WAYS } from "../src/layout/array";
import { TAG_GLOBAL, TAG_PCID, TAG_SIZE_SHIFT, TAG_VALID, TLBD_HI_4M, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT } from "../src/layout/tlb";
import {
  PROBE_FILL, PROBE_LEVEL_BYTES, PROBE_SERVICE_BYTES, PROBE_SIZE, SERVICE_FETCH, SERVICE_LOAD, SERVICE_STORE, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO,
  VCPU_OUT_GLOBAL, VCPU_OUT_LO, VCPU_OUT_SIZE, VCPU_PROBES, VCPU_TAG_PCID, VCPU_TLB_LEVELS,
} from "../src/layout/vcpu";
import { drop, find, locate, place, setOf, touch, victim } from "./array";
import { refused } from "./rights";

/** Bits of a tag that are the page's number. */
export const NUMBER: u64 = 0x1fff_ffff_ffff;
const GLOBAL: u64 = <u64>TAG_GLOBAL << 32;
const PCID: u64 = <u64>TAG_PCID << 32;
const ADDRESS: u64 = (<u64>TLBD_HI_ADDR << 32) | 0xfffff000;

@inline export function pageShift(size: i32): i32 {
  return 12 + 9 * size;
}

@inline export function serviceOf(access: i32): i32 {
  return access & ACCESS_FETCH ? SERVICE_FETCH : access & ACCESS_WRITE ? SERVICE_STORE : SERVICE_LOAD;
}

/** Tag of the page of size code `size` at a linear address, without PCID. */
@inline export function pageTag(va: u64, size: i32): u64 {
  return ((va >> pageShift(size)) & NUMBER) | (<u64>(<u32>((size << TAG_SIZE_SHIFT) | TAG_VALID)) << 32);
}

@inline export function ownTag(v: i32, tag: u64): u64 {
  return tag | (<u64>load<u32>(v, VCPU_TAG_PCID) << 32);
}

/** Byte offset of the probe list of a level (1 is the first) for a service. */
@inline export function probeList(v: i32, service: i32, level: i32): i32 {
  return load<i32>(v, VCPU_PROBES) + service * PROBE_SERVICE_BYTES + (level - 1) * PROBE_LEVEL_BYTES;
}

/** Physical address of `va` under TLB data for a page of size code `size`. */
@inline export function addressOf(data: u64, va: u64, size: i32): u64 {
  const inside = (<u64>1 << pageShift(size)) - 1;
  return (data & ADDRESS & ~inside) | (va & inside);
}

/** Look for a usable translation in the first level: its address is then in VCPU_OUT_LO/HI, its size code in VCPU_OUT_SIZE. */
@inline export function firstLevel(v: i32, service: i32, va: u64, access: i32): bool {
  const list = load<i32>(v, VCPU_PROBES) + service * PROBE_SERVICE_BYTES;
  for (let size = 0; size < 3; size++) {
    const a = load<i32>(list + (size << 2), PROBE_SIZE);
    if (a == 0 || load<i32>(a + (size << 2), ARR_LIVE) == 0) continue;
    const tag = pageTag(va, size), i = locate(a, ownTag(v, tag), tag | GLOBAL);
    if (i < 0) continue;
    const data = load<u64>(load<i32>(a, ARR_DATA) + (i << 3));
    if (refused(v, <i32>data, access) != 0) continue;
    touch(a, i);
    store<u64>(v, addressOf(data, va, size), VCPU_OUT_LO);
    store<i32>(v, size, VCPU_OUT_SIZE);
    return true;
  }
  return false;
}

/** Look in the levels after the first; on a hit, copy it into the levels before. @returns level of the hit, 0 if none */
export function laterLevels(v: i32, service: i32, va: u64, access: i32): i32 {
  const levels = load<i32>(v, VCPU_TLB_LEVELS);
  for (let level = 2; level <= levels; level++) {
    if (!lookupLevel(v, probeList(v, service, level), va, access)) continue;
    const size = load<i32>(v, VCPU_OUT_SIZE);
    for (let l = 1; l < level; l++) fillLevel(v, probeList(v, service, l), va, size);
    return level;
  }
  return 0;
}

function lookupLevel(v: i32, list: i32, va: u64, access: i32): bool {
  for (let size = 0; size < 3; size++) {
    const a = load<i32>(list + (size << 2), PROBE_SIZE);
    if (a == 0 || load<i32>(a + (size << 2), ARR_LIVE) == 0) continue;
    const tag = pageTag(va, size), i = locate(a, ownTag(v, tag), tag | GLOBAL);
    if (i < 0) continue;
    const data = load<u64>(load<i32>(a, ARR_DATA) + (i << 3));
    if (refused(v, <i32>data, access) != 0) continue;
    touch(a, i);
    store<u64>(v, data, VCPU_OUT_DATA_LO);
    store<i32>(v, size, VCPU_OUT_SIZE);
    store<i32>(v, load<i32>(load<i32>(a, ARR_TAGS) + (i << 3), 4) & TAG_GLOBAL, VCPU_OUT_GLOBAL);
    return true;
  }
  return false;
}

/** Put the translation in VCPU_OUT_* into every level, after a walk. `size` is the size code it may be used at. */
export function tlbFill(v: i32, service: i32, va: u64, size: i32): void {
  const levels = load<i32>(v, VCPU_TLB_LEVELS);
  for (let level = 1; level <= levels; level++) fillLevel(v, probeList(v, service, level), va, size);
}

export function fillLevel(v: i32, list: i32, va: u64, from: i32): void {
  const size = load<i32>(list + (from << 2), PROBE_FILL);
  if (size < 0) return;
  const a = load<i32>(list + (size << 2), PROBE_SIZE), tag = pageTag(va, size), own = ownTag(v, tag);
  const isGlobal = load<i32>(v, VCPU_OUT_GLOBAL) != 0, set = setOf(a, tag);
  let i = dropSame(a, set, own, tag | GLOBAL, isGlobal);
  if (i < 0) i = victim(a, set);
  place(a, i, isGlobal ? tag | GLOBAL : own);
  const d = load<i32>(a, ARR_DATA) + (i << 3), dataHi = load<i32>(v, VCPU_OUT_DATA_HI);
  store<i32>(d, fragmentLo(load<i32>(v, VCPU_OUT_DATA_LO), <i32>va, from, size));
  store<i32>(d, dataHi, 4);
  if (size + 1 != ((dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7) || dataHi & TLBD_HI_4M) store<i32>(a, 1, ARR_FRAGMENTS);
  touch(a, i);
}

/** Drop what the new entry replaces, a global one of every PCID. @returns the lowest entry that went, -1 if none did */
@inline function dropSame(a: i32, set: i32, own: u64, global: u64, isGlobal: bool): i32 {
  if (isGlobal) return dropGlobals(a, set, global);
  const i = find(a, set, own, global);
  if (i >= 0) drop(a, i);
  return i;
}

function dropGlobals(a: i32, set: i32, global: u64): i32 {
  const ways = load<i32>(a, ARR_WAYS), tags = load<i32>(a, ARR_TAGS);
  let lowest = -1;
  for (let i = (set + 1) * ways - 1; i >= set * ways; i--) {
    if (((load<u64>(tags + (i << 3)) & ~PCID) | GLOBAL) != global) continue;
    drop(a, i);
    lowest = i;
  }
  return lowest;
}

/** Low word of the data of the fragment of size `size` around `va`, of a page of size `from`. All sizes are below 4 GiB: no carry. */
@inline export function fragmentLo(dataLo: i32, vaLo: i32, from: i32, size: i32): i32 {
  return size == from ? dataLo : dataLo | (vaLo & ((1 << pageShift(from)) - 1) & ~((1 << pageShift(size)) - 1));
}
