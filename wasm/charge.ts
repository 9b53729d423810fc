// What an access costs, worked out from what the translation left behind. See src/cost/charge.ts.
import { CNT_DATA_CYCLES, CNT_DATA_HITS, CNT_HOST_HITS, CNT_LOAD_CYCLES, CNT_REF_HITS, CNT_REMOTE, CNT_WALK_CYCLES } from "../src/layout/counter";
import {
  HDR_CACHE_CYCLES, HDR_DATA, HDR_DATA_CACHES, HDR_DISTANCE, HDR_HOST, HDR_HOST_CYCLES, HDR_LINE_SHIFT, HDR_MEMORY_CYCLES, HDR_NODES, HDR_REMOTE_CYCLES,
  HDR_WALK_CYCLES,
} from "../src/layout/header";
import { NEST_HITS, NEST_REF_COUNT, NEST_REFS, REF_BYTES, REF_HOST, REF_PA_LO } from "../src/layout/nested";
import { TAG_VALID } from "../src/layout/tlb";
import {
  VCPU_CACHES, VCPU_NEST, VCPU_NESTED, VCPU_NODE, VCPU_OUT_CYCLES, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_TLB_CYCLES, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from "../src/layout/vcpu";
import { find, joined, place, setOf, touch, victim } from "./array";
import { count } from "./counters";
import { nodeOf } from "./extents";
import { hostEntry, hostFrameLo } from "./host-model";

export const IN_MEMORY = 3;
const LOCAL_DISTANCE = 10;

/** Price the access that was just translated. */
export function charge(v: i32, faulted: bool): void {
  const hit = load<i32>(v, VCPU_OUT_HIT), refs = load<i32>(v, VCPU_OUT_REFS);
  let cycles = 0;
  if (hit > 0) cycles = load<i32>(v + (hit << 2), VCPU_TLB_CYCLES - 4);
  else if (load<i32>(v, VCPU_NESTED)) cycles = chargeNestedWalk(v);
  else if (refs > 0) cycles = chargeWalk(v, refs, faulted);
  if (load<i32>(0, HDR_DATA) && !faulted) {
    const paid = loadLine(v, load<u64>(v, VCPU_OUT_LO), CNT_DATA_HITS);
    count(v, CNT_DATA_CYCLES, paid);
    cycles += paid;
  }
  store<i32>(v, cycles, VCPU_OUT_CYCLES);
}

/** Does every entry cost the same: no caches, no host, one node? */
@inline export function flat(): bool {
  return (load<i32>(0, HDR_DATA_CACHES) | load<i32>(0, HDR_HOST) | (load<i32>(0, HDR_NODES) >>> 1)) == 0;
}

/** @returns cycles of the walk that left the trail */
export function chargeWalk(v: i32, refs: i32, faulted: bool): i32 {
  const host = load<i32>(0, HDR_HOST) != 0;
  let fixed = load<i32>(0, HDR_WALK_CYCLES), loads = 0;
  if (flat()) {
    count(v, CNT_REF_HITS + IN_MEMORY, refs);
    loads = refs * load<i32>(0, HDR_MEMORY_CYCLES);
  } else for (let level = load<i32>(v, VCPU_OUT_START), n = refs; n > 0; level--, n--) {
    const t = v + (level << 2), pa = joined(load<u32>(t, VCPU_TRAIL_HI - 4), load<u32>(t, VCPU_TRAIL_LO - 4));
    if (host) loads += loadLine(v, hostEntry(pa), CNT_HOST_HITS);
    loads += loadLine(v, pa, CNT_REF_HITS);
  }
  if (host) {
    const each = load<i32>(0, HDR_HOST_CYCLES);
    fixed += refs * each;
    if (!faulted) {
      fixed += each;
      loads += loadLine(v, hostEntry(load<u64>(v, VCPU_OUT_LO)), CNT_HOST_HITS);
    }
  }
  count(v, CNT_LOAD_CYCLES, loads);
  count(v, CNT_WALK_CYCLES, fixed);
  return fixed + loads;
}

/** Price the references that a walk through a second stage made. @returns cycles */
function chargeNestedWalk(v: i32): i32 {
  const n = load<i32>(v, VCPU_NEST);
  if ((load<i32>(n, NEST_REF_COUNT) | load<i32>(n, NEST_HITS)) == 0) return 0; // no walk, or priced before
  const fixed = load<i32>(0, HDR_WALK_CYCLES) + load<i32>(n, NEST_HITS) * load<i32>(n, VCPU_TLB_CYCLES);
  let loads = 0, row = load<i32>(n, NEST_REFS);
  for (let k = load<i32>(n, NEST_REF_COUNT); k > 0; k--, row += REF_BYTES) {
    loads += loadLine(load<i32>(row, REF_HOST) > 0 ? n : v, load<u64>(row, REF_PA_LO), CNT_REF_HITS);
  }
  store<i32>(n, 0, NEST_REF_COUNT);
  store<i32>(n, 0, NEST_HITS);
  count(v, CNT_LOAD_CYCLES, loads);
  count(v, CNT_WALK_CYCLES, fixed);
  return fixed + loads;
}

/** Load the line at a physical address: where it is found it is used, and copied into every nearer cache. @returns cycles */
function loadLine(v: i32, pa: u64, hits: i32): i32 {
  const levels = load<i32>(0, HDR_DATA_CACHES);
  if (levels > 0) {
    const tag = lineTag(pa);
    for (let level = 0; level < levels; level++) {
      const a = load<i32>(v + (level << 2), VCPU_CACHES), i = find(a, setOf(a, tag), tag, tag);
      if (i < 0) continue;
      touch(a, i);
      fillNearer(v, level, tag);
      count(v, hits + level, 1);
      return load<i32>(level << 2, HDR_CACHE_CYCLES);
    }
    fillNearer(v, levels, tag);
  }
  count(v, hits + IN_MEMORY, 1);
  return load<i32>(0, HDR_MEMORY_CYCLES) + (load<i32>(0, HDR_NODES) < 2 ? 0 : remote(v, pa));
}

/** Tag of the line of a physical address: by where the host put it, if there is a host. */
@inline function lineTag(pa: u64): u64 {
  const hi = <i32>(pa >> 32);
  const placed = load<i32>(0, HDR_HOST) ? joined(hi, hostFrameLo(hi, <i32>pa)) : pa;
  return (placed >> load<i32>(0, HDR_LINE_SHIFT)) | (<u64>(<u32>TAG_VALID) << 32);
}

function fillNearer(v: i32, level: i32, tag: u64): void {
  for (let nearer = level - 1; nearer >= 0; nearer--) {
    const a = load<i32>(v + (nearer << 2), VCPU_CACHES), i = victim(a, setOf(a, tag));
    place(a, i, tag);
    touch(a, i);
  }
}

/** Extra cycles for memory of another NUMA node, rounded to the nearest. */
function remote(v: i32, pa: u64): i32 {
  const distance = <i32>load<u8>(load<i32>(v, VCPU_NODE) * 8 + nodeOf(pa), HDR_DISTANCE);
  if (distance <= LOCAL_DISTANCE) return 0;
  count(v, CNT_REMOTE, 1);
  return (load<i32>(0, HDR_REMOTE_CYCLES) * (distance - LOCAL_DISTANCE) + LOCAL_DISTANCE / 2) / LOCAL_DISTANCE;
}
