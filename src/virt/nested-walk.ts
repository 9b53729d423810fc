/**
 * The walk in two dimensions: a guest's own tables, each entry's guest-physical address translated by the second stage, and then the page's.
 *
 * In the order that processors make it: for each guest entry the second stage of its address, then the entry's own checks; the guest's
 * permission check; the guest's A and D; and last the second stage of the page. So a #PF of the guest comes before an exit for the page, and
 * such an exit leaves the guest's A and D set.
 *
 * Source: AMD APM vol. 2, "Nested Table Walk", "Nested versus Guest Page Faults, Fault Ordering"; Intel SDM vol. 3C, "EPT Violations",
 *         "Prioritization of EPT Misconfigurations and EPT Violations", "Accessed and Dirty Flags for EPT".
 */
import { EPTQ_LINEAR, EPTQ_WRITE } from '../arch/ept.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_USER, ACCESS_WRITE, EXIT_EPT_VIOLATION, EXIT_NPF, FAULT_NONE } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_HI_ADDR, PTE_LO_ADDR, tableIndex } from '../arch/pte.ts';
import { CNT_AD_SETS, CNT_DEPTH } from '../layout/counter.ts';
import {
  HOSTD_NX, HOSTD_NXU, HOSTD_R, HOSTD_TW, NEST_CTL, NEST_EPT, NEST_EXIT_LO, NEST_FORMAT, NEST_GPA_HI, NEST_GPA_LO, NEST_HITS, NEST_REF_COUNT,
  NEST_RIGHTS, NESTC_AD,
} from '../layout/nested.ts';
import { TLBD_D, TLBD_HI_4M, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT, TLBD_NOFETCH, TLBD_NOREAD, TLBD_RW, TLBD_US } from '../layout/tlb.ts';
import {
  MODE_FLAT, MODE_LEGACY, VCPU_MODE, VCPU_NEST, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_HI, VCPU_OUT_LEVEL, VCPU_OUT_LO,
  VCPU_OUT_REFS, VCPU_OUT_SIZE, VCPU_OUT_START, VCPU_TIMED, VCPU_TRAIL_ACC, VCPU_TRAIL_VALUE_LO,
} from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import { loadEntry } from '../memory/entry.ts';
import { readBus, wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { pscStart } from '../mmu/psc.ts';
import { addressHi, addressLo, pageShift } from '../mmu/tlb.ts';
import { checkLeaf, DOWN, markEntries, pageFault, readTrail, useEntry, walkRoot, type WalkStart } from '../mmu/walk.ts';
import { leave } from './exit.ts';
import { noteEntry, secondStage } from './second-stage.ts';

/** The walk is to be made again: another vCPU was faster, or what is cached did not suffice. */
const AGAIN = -1;
const AGAIN_WHOLE = -2;
/** Level that the identity translation of a guest without paging counts as. */
const FLAT_LEVEL = 3;
const PDPTE_LEVEL = 3;

/** Scratch of the walk in progress. */
const from: WalkStart = { level: 0, lo: 0, hi: 0, acc: 0 };

/** See `NestedWalk` in memory/views.ts. */
export function nestedWalk(s: Views, v: number, vaHi: number, vaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w, n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  let fault: number;
  do {
    w[n + (NEST_REF_COUNT >>> 2)] = w[n + (NEST_HITS >>> 2)] = 0;
    w[v + (VCPU_OUT_REFS >>> 2)] = w[v + (VCPU_OUT_START >>> 2)] = 0;
    fault = once(s, v, n, vaHi, vaLo, access, cached, use);
    if (fault === AGAIN_WHOLE) cached = false;
  } while (fault < 0);
  if (use) count(w, v, CNT_DEPTH + w[v + (VCPU_OUT_REFS >>> 2)], 1);
  w[v + (VCPU_OUT_REFS >>> 2)] = w[n + (NEST_REF_COUNT >>> 2)];
  return fault;
}

function once(s: Views, v: number, n: number, vaHi: number, vaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w;
  if (w[v + (VCPU_MODE >>> 2)] === MODE_FLAT) flat(w, v, vaLo);
  else {
    let fault = findGuestLeaf(s, v, n, vaHi, vaLo, access, cached, use);
    if (fault === FAULT_NONE) fault = checkLeaf(w, v, access);
    if (fault === FAULT_NONE && use) fault = markGuest(s, v, n, access);
    if (fault !== FAULT_NONE) return fault;
  }
  return findPage(s, v, n, vaLo, access, cached, use);
}

/** Without guest paging a linear address is the guest-physical one, and a user-mode address. */
function flat(w: Int32Array, v: number, vaLo: number): void {
  w[v + (VCPU_OUT_LEVEL >>> 2)] = FLAT_LEVEL;
  w[v + (VCPU_OUT_DATA_LO >>> 2)] = (vaLo & 0xc0000000) | TLBD_RW | TLBD_US | TLBD_D;
  w[v + (VCPU_OUT_DATA_HI >>> 2)] = FLAT_LEVEL << TLBD_HI_LEVEL_SHIFT;
  w[v + (VCPU_OUT_GLOBAL >>> 2)] = 0;
}

function findGuestLeaf(s: Views, v: number, n: number, vaHi: number, vaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w;
  const legacy = w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY;
  const touch = tableAccess(w, n);
  if (!walkRoot(w, v, vaLo, from)) return pageFault(w, v, access, 0);
  let known = cached && pscStart(w, v, vaHi, vaLo, from, use); // then `from` is a machine address
  let level = from.level, tableLo = from.lo, tableHi = from.hi, acc = from.acc;
  w[v + (VCPU_OUT_START >>> 2)] = level;
  for (; ; level--) {
    const offset = legacy ? (vaLo >>> (level === 1 ? 10 : 20)) & 0xffc : tableIndex(vaHi, vaLo, level) << 3;
    let paLo = tableLo + offset | 0, paHi = tableHi;
    const g = n + level - 1;
    w[g + (NEST_RIGHTS >>> 2)] = 0;
    if (!known) {
      w[g + (NEST_GPA_LO >>> 2)] = paLo;
      w[g + (NEST_GPA_HI >>> 2)] = paHi;
      const fault = secondStage(s, n, level, paHi, paLo, touch, cached, use);
      if (fault !== FAULT_NONE) return leave(w, v, n, fault, access, level, paHi, paLo, false);
      w[g + (NEST_RIGHTS >>> 2)] = w[n + (VCPU_OUT_DATA_LO >>> 2)] & 0xfff;
      paLo = w[n + (VCPU_OUT_LO >>> 2)];
      paHi = w[n + (VCPU_OUT_HI >>> 2)];
    }
    readTrail(s, v, level, paHi, paLo, legacy ? 4 : 8);
    noteEntry(w, n, v, level, 0, level);
    const lo = s.busLo, hi = s.busHi;
    const step = useEntry(w, v, level, lo, hi, acc, access);
    if (step !== DOWN) return step;
    acc = w[v + level - 1 + (VCPU_TRAIL_ACC >>> 2)];
    tableLo = lo & PTE_LO_ADDR;
    tableHi = hi & PTE_HI_ADDR;
    known = false;
  }
}

/** See `NestedRead` in memory/views.ts: the load of a PDPTE register, which is a read by any format's rules and has no linear address. */
export function nestedRead(s: Views, v: number, gpaHi: number, gpaLo: number): number {
  const w = s.w, n = w[v + (VCPU_NEST >>> 2)] >>> 2, ept = w[n + (NEST_FORMAT >>> 2)] === NEST_EPT;
  w[n + (NEST_REF_COUNT >>> 2)] = w[n + (NEST_HITS >>> 2)] = 0;
  const fault = secondStage(s, n, PDPTE_LEVEL, gpaHi, gpaLo, ept ? ACCESS_IMPLICIT : ACCESS_USER, w[n + (VCPU_TIMED >>> 2)] !== 0, true);
  if (fault !== FAULT_NONE) {
    leave(w, v, n, fault, 0, PDPTE_LEVEL, gpaHi, gpaLo, false);
    w[n + (NEST_EXIT_LO >>> 2)] &= ept ? ~(EPTQ_LINEAR | EPTQ_WRITE) : -1;
    return ept ? fault : EXIT_NPF;
  }
  const at = wordOf(s, w[n + (VCPU_OUT_HI >>> 2)], w[n + (VCPU_OUT_LO >>> 2)]);
  if (at < 0) readBus(s, w[n + (VCPU_OUT_HI >>> 2)], w[n + (VCPU_OUT_LO >>> 2)], 8);
  else loadEntry(s, at);
  return FAULT_NONE;
}

/** How the second stage sees a read of a guest's entry: to NPT, and to EPT with accessed and dirty flags, it is a write. */
function tableAccess(w: Int32Array, n: number): number {
  if (w[n + (NEST_FORMAT >>> 2)] !== NEST_EPT) return ACCESS_USER | ACCESS_WRITE;
  return w[n + (NEST_CTL >>> 2)] & NESTC_AD ? ACCESS_IMPLICIT | ACCESS_WRITE : ACCESS_IMPLICIT;
}

/** Set A and D in the guest's entries. With EPT without accessed and dirty flags only this is a write to the second stage. */
function markGuest(s: Views, v: number, n: number, access: number): number {
  const w = s.w, leaf = w[v + (VCPU_OUT_LEVEL >>> 2)];
  if (w[n + (NEST_FORMAT >>> 2)] === NEST_EPT && !(w[n + (NEST_CTL >>> 2)] & NESTC_AD)) {
    for (let level = w[v + (VCPU_OUT_START >>> 2)]; level >= leaf; level--) {
      const bits = level === leaf && access & ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
      if ((w[v + level - 1 + (VCPU_TRAIL_VALUE_LO >>> 2)] & bits) === bits) continue;
      const g = n + level - 1, rights = w[g + (NEST_RIGHTS >>> 2)];
      if (rights === 0) return AGAIN_WHOLE;
      if (rights & HOSTD_TW) continue;
      w[n + (VCPU_OUT_DATA_LO >>> 2)] = rights;
      return leave(w, v, n, EXIT_EPT_VIOLATION, access, level, w[g + (NEST_GPA_HI >>> 2)], w[g + (NEST_GPA_LO >>> 2)], true);
    }
  }
  const changed = markEntries(s, v, access);
  if (changed < 0) return AGAIN;
  if (changed > 0) count(w, v, CNT_AD_SETS, changed);
  return FAULT_NONE;
}

/** Translate the page's guest-physical address and combine both stages: the smaller page, the rights of both. */
function findPage(s: Views, v: number, n: number, vaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w;
  const data = w[v + (VCPU_OUT_DATA_LO >>> 2)], dataHi = w[v + (VCPU_OUT_DATA_HI >>> 2)], guestSize = w[v + (VCPU_OUT_LEVEL >>> 2)] - 1;
  const gpaLo = addressLo(dataHi & TLBD_HI_4M ? data | (vaLo & 0x200000) : data, vaLo, guestSize), gpaHi = addressHi(dataHi);
  const fault = secondStage(s, n, 0, gpaHi, gpaLo, pageAccess(w, n, data, access), cached, use);
  if (fault !== FAULT_NONE) return leave(w, v, n, fault, access, 0, gpaHi, gpaLo, false);
  const size = Math.min(guestSize, w[n + (VCPU_OUT_SIZE >>> 2)]);
  const host = w[n + (VCPU_OUT_DATA_LO >>> 2)];
  w[v + (VCPU_OUT_SIZE >>> 2)] = size;
  w[v + (VCPU_OUT_DATA_LO >>> 2)] = (w[n + (VCPU_OUT_LO >>> 2)] & -(2 ** pageShift(size))) | combine(w, n, data & 0xfff, host);
  w[v + (VCPU_OUT_DATA_HI >>> 2)] = (dataHi & ~TLBD_HI_ADDR) | w[n + (VCPU_OUT_HI >>> 2)];
  return FAULT_NONE;
}

function pageAccess(w: Int32Array, n: number, data: number, access: number): number {
  const what = access & (ACCESS_WRITE | ACCESS_FETCH);
  return w[n + (NEST_FORMAT >>> 2)] !== NEST_EPT || data & TLBD_US ? what | ACCESS_USER : what;
}

/** Rights of a combined translation. Where the second stage does not permit a write, or has D to set for it, D is left out, which sends writes back here. */
function combine(w: Int32Array, n: number, data: number, host: number): number {
  const writable = (host & (TLBD_RW | TLBD_D)) === (TLBD_RW | TLBD_D);
  const ept = w[n + (NEST_FORMAT >>> 2)] === NEST_EPT;
  const noFetch = ept && data & TLBD_US ? HOSTD_NXU : HOSTD_NX;
  return (writable ? data : data & ~TLBD_D) | (host & noFetch ? TLBD_NOFETCH : 0) | (host & HOSTD_R ? 0 : TLBD_NOREAD);
}
