/**
 * What an access costs: TLB latencies, the walk's loads through the data caches, and the access itself if asked for.
 *
 * Works from what the translation left behind (VCPU_OUT_*, the trail), so that the walk knows nothing of time. Accesses are priced one
 * after another: no overlap, no bandwidth.
 */
import { CNT_DATA_CYCLES, CNT_DATA_HITS, CNT_HOST_HITS, CNT_LOAD_CYCLES, CNT_REF_HITS, CNT_REMOTE, CNT_WALK_CYCLES } from '../layout/counter.ts';
import {
  HDR_CACHE_CYCLES, HDR_DATA, HDR_DATA_CACHES, HDR_DISTANCE, HDR_HOST, HDR_HOST_CYCLES, HDR_LINE_SHIFT, HDR_MEMORY_CYCLES, HDR_NODES, HDR_REMOTE_CYCLES,
  HDR_WALK_CYCLES,
} from '../layout/header.ts';
import { NEST_HITS, NEST_REF_COUNT, NEST_REFS, REF_BYTES, REF_HOST, REF_PA_HI, REF_PA_LO } from '../layout/nested.ts';
import { TAG_VALID } from '../layout/tlb.ts';
import {
  VCPU_CACHES, VCPU_NEST, VCPU_NESTED, VCPU_NODE, VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_START,
  VCPU_TLB_CYCLES, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from '../layout/vcpu.ts';
import { find, place, setOf, touch, victim } from '../cache/array.ts';
import { count } from '../memory/counters.ts';
import { nodeOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { hostEntryHi, hostEntryLo, hostFrameLo } from './host-model.ts';

/** Levels 0 to 2 are caches; this is memory. */
export const IN_MEMORY = 3;

const LOCAL_DISTANCE = 10;

/**
 * Price the access that was just translated. Sets VCPU_OUT_CYCLES, adds to the counters.
 *
 * @param faulted - the translation ended in a fault: its walk is priced, the access is not made
 */
export function charge(s: Views, v: number, faulted: boolean): void {
  const w = s.w;
  const hit = w[v + (VCPU_OUT_HIT >>> 2)], refs = w[v + (VCPU_OUT_REFS >>> 2)];
  let cycles = 0;
  if (hit > 0) cycles = w[v + (VCPU_TLB_CYCLES >>> 2) + hit - 1];
  else if (w[v + (VCPU_NESTED >>> 2)]) cycles = chargeNestedWalk(s, v);
  else if (refs > 0) cycles = chargeWalk(s, v, refs, faulted);
  if (w[HDR_DATA >>> 2] && !faulted) {
    const paid = load(s, v, w[v + (VCPU_OUT_HI >>> 2)], w[v + (VCPU_OUT_LO >>> 2)], CNT_DATA_HITS);
    count(w, v, CNT_DATA_CYCLES, paid);
    cycles += paid;
  }
  w[v + (VCPU_OUT_CYCLES >>> 2)] = cycles;
}

/** Does every entry cost the same: no caches, no host, one node? */
export function flat(w: Int32Array): boolean {
  return (w[HDR_DATA_CACHES >>> 2] | w[HDR_HOST >>> 2] | (w[HDR_NODES >>> 2] >>> 1)) === 0;
}

/** @returns cycles of the walk that left the trail */
export function chargeWalk(s: Views, v: number, refs: number, faulted: boolean): number {
  const w = s.w;
  const host = w[HDR_HOST >>> 2] !== 0;
  let fixed = w[HDR_WALK_CYCLES >>> 2], loads = 0;
  for (let level = w[v + (VCPU_OUT_START >>> 2)], n = refs; n > 0; level--, n--) {
    const t = v + level - 1;
    const paHi = w[t + (VCPU_TRAIL_HI >>> 2)], paLo = w[t + (VCPU_TRAIL_LO >>> 2)];
    if (host) loads += loadHostEntry(s, v, paHi, paLo);
    loads += load(s, v, paHi, paLo, CNT_REF_HITS);
  }
  if (host) {
    fixed += refs * w[HDR_HOST_CYCLES >>> 2];
    if (!faulted) {
      fixed += w[HDR_HOST_CYCLES >>> 2];
      loads += loadHostEntry(s, v, w[v + (VCPU_OUT_HI >>> 2)], w[v + (VCPU_OUT_LO >>> 2)]);
    }
  }
  count(w, v, CNT_LOAD_CYCLES, loads);
  count(w, v, CNT_WALK_CYCLES, fixed);
  return fixed + loads;
}

/** Price the references that a walk through a second stage made, in their order, and its TLB's hits. @returns cycles */
function chargeNestedWalk(s: Views, v: number): number {
  const w = s.w, n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  if ((w[n + (NEST_REF_COUNT >>> 2)] | w[n + (NEST_HITS >>> 2)]) === 0) return 0; // no walk, or priced before
  const fixed = w[HDR_WALK_CYCLES >>> 2] + w[n + (NEST_HITS >>> 2)] * w[n + (VCPU_TLB_CYCLES >>> 2)];
  let loads = 0, row = w[n + (NEST_REFS >>> 2)] >>> 2;
  for (let k = w[n + (NEST_REF_COUNT >>> 2)]; k > 0; k--, row += REF_BYTES >>> 2) {
    loads += load(s, w[row + (REF_HOST >>> 2)] > 0 ? n : v, w[row + (REF_PA_HI >>> 2)], w[row + (REF_PA_LO >>> 2)], CNT_REF_HITS);
  }
  w[n + (NEST_REF_COUNT >>> 2)] = w[n + (NEST_HITS >>> 2)] = 0;
  count(w, v, CNT_LOAD_CYCLES, loads);
  count(w, v, CNT_WALK_CYCLES, fixed);
  return fixed + loads;
}

/** Load the host's level-1 entry of the frame at a guest-physical address. @returns cycles */
function loadHostEntry(s: Views, v: number, paHi: number, paLo: number): number {
  return load(s, v, hostEntryHi(paHi), hostEntryLo(paHi, paLo), CNT_HOST_HITS);
}

/** Load the line at a physical address: where it is found it is used, and copied into every nearer cache. @returns cycles */
function load(s: Views, v: number, paHi: number, paLo: number, hits: number): number {
  const w = s.w;
  const shift = w[HDR_LINE_SHIFT >>> 2], levels = w[HDR_DATA_CACHES >>> 2];
  const lo = lineLo(w, shift, paHi, paLo), hi = (paHi >>> shift) | TAG_VALID;
  let level = 0;
  for (; level < levels; level++) {
    const a = w[v + (VCPU_CACHES >>> 2) + level] >>> 2;
    const set = setOf(w, a, lo, hi);
    const i = find(w, a, set, lo, hi, hi);
    if (i < 0) continue;
    touch(w, a, i);
    break;
  }
  for (let nearer = level - 1; nearer >= 0; nearer--) fill(w, w[v + (VCPU_CACHES >>> 2) + nearer] >>> 2, lo, hi);
  if (level < levels) {
    count(w, v, hits + level, 1);
    return w[(HDR_CACHE_CYCLES >>> 2) + level];
  }
  count(w, v, hits + IN_MEMORY, 1);
  return w[HDR_MEMORY_CYCLES >>> 2] + remote(s, v, paHi, paLo);
}

/** Line number, low word, of a physical address: by where the host put it, if there is a host. */
function lineLo(w: Int32Array, shift: number, paHi: number, paLo: number): number {
  const lo = w[HDR_HOST >>> 2] ? hostFrameLo(paHi, paLo) : paLo;
  return (lo >>> shift) | (paHi << (32 - shift));
}

function fill(w: Int32Array, a: number, lo: number, hi: number): void {
  const set = setOf(w, a, lo, hi);
  const i = victim(w, a, set);
  place(w, a, i, lo, hi);
  touch(w, a, i);
}

/** Extra cycles for memory of another NUMA node. */
function remote(s: Views, v: number, paHi: number, paLo: number): number {
  const w = s.w;
  if (w[HDR_NODES >>> 2] < 2) return 0;
  const distance = s.u8[HDR_DISTANCE + w[v + (VCPU_NODE >>> 2)] * 8 + nodeOf(s, paHi, paLo)];
  if (distance <= LOCAL_DISTANCE) return 0;
  count(w, v, CNT_REMOTE, 1);
  return Math.round((w[HDR_REMOTE_CYCLES >>> 2] * (distance - LOCAL_DISTANCE)) / LOCAL_DISTANCE);
}

/** Where a load of a physical address would hit: 0, 1, 2 for a cache, IN_MEMORY. Touches nothing. */
export function whereIs(s: Views, v: number, paHi: number, paLo: number): number {
  const w = s.w;
  const shift = w[HDR_LINE_SHIFT >>> 2];
  const lo = lineLo(w, shift, paHi, paLo), hi = (paHi >>> shift) | TAG_VALID;
  for (let level = 0; level < w[HDR_DATA_CACHES >>> 2]; level++) {
    const a = w[v + (VCPU_CACHES >>> 2) + level] >>> 2;
    if (find(w, a, setOf(w, a, lo, hi), lo, hi, hi) >= 0) return level;
  }
  return IN_MEMORY;
}
