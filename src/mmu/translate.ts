/**
 * One access: look in the TLBs, else walk; remember what was found, or forget what was cached if it faults.
 *
 * The hot path: takes and returns numbers, allocates nothing, throws nothing. Results are in the vCPU block (VCPU_OUT_*).
 *
 * Source: Intel SDM vol. 3A, "Caching Translation Information"; on what a fault removes: "Operations that Invalidate TLBs and
 *         Paging-Structure Caches".
 */
import { ACCESS_STACK, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF, FAULT_SS, faultVector } from '../arch/fault.ts';
import { CNT_AD_SETS, CNT_DEPTH, CNT_FAULTS, CNT_HITS, CNT_MISS_SIZE, CNT_SLOW } from '../layout/counter.ts';
import { FAST_PA, FAST_READ, FAST_WRITE } from '../layout/fast-table.ts';
import { HDR_HOST_LEVEL } from '../layout/header.ts';
import { TLBD_HI_ADDR } from '../layout/tlb.ts';
import {
  MEMO_ENTRY, MEMO_SIZE_SHIFT, MODE_4LEVEL, MODE_LEGACY, MODE_NONE, VCPU_CR2_HI, VCPU_CR2_LO, VCPU_MODE, VCPU_NESTED, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_HI,
  VCPU_OUT_HIT, VCPU_OUT_LEVEL, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE, VCPU_OUT_START, VCPU_TIMED, VCPU_TLB_LEVELS,
} from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { fastClass, fastFill, fastHit, fastRow } from './fast-table.ts';
import { canonical, dropFaulting } from './invalidate.ts';
import { memoClear, memoMatches, memoSlot } from './memo.ts';
import { refused } from './rights.ts';
import { pscFill, pscStart } from './psc.ts';
import { addressHi, addressLo, firstLevel, fragmentLo, laterLevels, serviceOf, tlbFill } from './tlb.ts';
import { checkLeaf, findLeaf, markEntries, pageFault, walkRoot, type WalkStart } from './walk.ts';

/** Scratch: where the walk begins, read before its first entry is, as a device may make another vCPU walk. */
const from: WalkStart = { level: 0, lo: 0, hi: 0, acc: 0 };

/**
 * Translate the linear address of one access that lies inside one 4K page.
 *
 * @param v - word index of the vCPU block
 * @param access - ACCESS_* bits
 * @returns FAULT_NONE with the physical address in VCPU_OUT_LO/HI, or a fault (`vector << 16 | code`); CR2 is set for a #PF
 */
export function translate(s: Views, v: number, vaHi: number, vaLo: number, access: number): number {
  const w = s.w;
  const mode = w[v + (VCPU_MODE >>> 2)];
  if (mode < MODE_4LEVEL) {
    vaHi = 0; // outside 64-bit mode linear addresses have 32 bits
    if (mode === MODE_NONE) return unpaged(w, v, vaLo, access);
  } else if (!canonical(w, v, vaHi)) return notCanonical(w, v, access);
  if (!w[v + (VCPU_TIMED >>> 2)]) return functional(s, v, vaHi, vaLo, access);
  const service = serviceOf(access), slot = memoSlot(w, v, service);
  if (!(memoMatches(w, slot, vaHi, vaLo) && repeated(w, v, slot, vaLo, access)) && !firstLevel(w, v, service, vaHi, vaLo, access, slot)) {
    memoClear(w, v, slot);
    return beyondFirst(s, v, service, vaHi, vaLo, access);
  }
  w[v + (VCPU_OUT_HIT >>> 2)] = 1;
  count(w, v, CNT_HITS + service, 1);
  return FAULT_NONE;
}

/** The page of the memo again, if its rights permit the access. */
function repeated(w: Int32Array, v: number, slot: number, vaLo: number, access: number): boolean {
  const lo = w[slot + (MEMO_ENTRY >>> 2)], hi = w[slot + (MEMO_ENTRY >>> 2) + 1];
  if (refused(w, v, lo, access) !== 0) return false;
  w[v + (VCPU_OUT_LO >>> 2)] = (lo & ~0xfff) | (vaLo & 0xfff);
  w[v + (VCPU_OUT_HI >>> 2)] = hi & TLBD_HI_ADDR;
  w[v + (VCPU_OUT_SIZE >>> 2)] = hi >>> MEMO_SIZE_SHIFT;
  return true;
}

function notCanonical(w: Int32Array, v: number, access: number): number {
  w[v + (VCPU_OUT_HIT >>> 2)] = w[v + (VCPU_OUT_REFS >>> 2)] = 0;
  count(w, v, CNT_SLOW + serviceOf(access), 1);
  count(w, v, CNT_FAULTS, 1);
  return access & ACCESS_STACK ? FAULT_SS : FAULT_GP;
}

function unpaged(w: Int32Array, v: number, vaLo: number, access: number): number {
  count(w, v, CNT_SLOW + serviceOf(access), 1);
  w[v + (VCPU_OUT_LO >>> 2)] = vaLo;
  w[v + (VCPU_OUT_HI >>> 2)] = 0;
  w[v + (VCPU_OUT_SIZE >>> 2)] = w[v + (VCPU_OUT_HIT >>> 2)] = w[v + (VCPU_OUT_REFS >>> 2)] = 0;
  w[v + (VCPU_OUT_LEVEL >>> 2)] = w[v + (VCPU_OUT_START >>> 2)] = 0;
  return FAULT_NONE;
}

function beyondFirst(s: Views, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const w = s.w;
  count(w, v, CNT_SLOW + service, 1);
  const level = laterLevels(w, v, service, vaHi, vaLo, access);
  w[v + (VCPU_OUT_HIT >>> 2)] = level;
  if (level !== 0) {
    setAddress(w, v, vaLo, w[v + (VCPU_OUT_SIZE >>> 2)]);
    count(w, v, CNT_HITS + (level - 1) * 3 + service, 1);
    countMisses(w, v, level - 1, w[v + (VCPU_OUT_SIZE >>> 2)]);
    return FAULT_NONE;
  }
  return walkAndFill(s, v, service, vaHi, vaLo, access);
}

/**
 * translate() in timed mode and 64-bit paging for a canonical address that no TLB level of its service has, which the caller has made sure of.
 *
 * @returns as translate()
 */
export function translateMissed(s: Views, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const w = s.w;
  memoClear(w, v, memoSlot(w, v, service));
  count(w, v, CNT_SLOW + service, 1);
  w[v + (VCPU_OUT_HIT >>> 2)] = 0;
  return walkAndFill(s, v, service, vaHi, vaLo, access);
}

function walkAndFill(s: Views, v: number, service: number, vaHi: number, vaLo: number, access: number): number {
  const w = s.w, fault = walk(s, v, vaHi, vaLo, access, true);
  if (fault !== FAULT_NONE) return fault;
  pscFill(w, v, vaHi, vaLo);
  const size = usableSize(w, v, vaLo);
  tlbFill(w, v, service, vaHi, vaLo, size);
  setAddress(w, v, vaLo, size);
  countMisses(w, v, w[v + (VCPU_TLB_LEVELS >>> 2)], size);
  return FAULT_NONE;
}

function countMisses(w: Int32Array, v: number, levels: number, size: number): void {
  for (let l = 0; l < levels; l++) count(w, v, CNT_MISS_SIZE + l * 3 + size, 1);
}

function functional(s: Views, v: number, vaHi: number, vaLo: number, access: number): number {
  const w = s.w;
  const table = fastClass(access);
  if (table >= 0) {
    const row = fastRow(w, v, table, vaLo);
    if (fastHit(w, row, vaHi, vaLo)) {
      w[v + (VCPU_OUT_LO >>> 2)] = w[row + (FAST_PA >>> 2)] | (vaLo & 0xfff);
      w[v + (VCPU_OUT_HI >>> 2)] = w[row + (FAST_PA >>> 2) + 1];
      w[v + (VCPU_OUT_SIZE >>> 2)] = 0;
      w[v + (VCPU_OUT_HIT >>> 2)] = 1;
      count(w, v, CNT_HITS + serviceOf(access), 1);
      return FAULT_NONE;
    }
  }
  w[v + (VCPU_OUT_HIT >>> 2)] = 0;
  count(w, v, CNT_SLOW + serviceOf(access), 1);
  const fault = walk(s, v, vaHi, vaLo, access, false);
  if (fault !== FAULT_NONE) return fault;
  setAddress(w, v, vaLo, usableSize(w, v, vaLo));
  if (table < 0) return FAULT_NONE;
  fastFill(w, v, table, vaHi, vaLo);
  if (access & ACCESS_WRITE) fastFill(w, v, table - FAST_WRITE + FAST_READ, vaHi, vaLo); // who may write may read
  return FAULT_NONE;
}

/** Walk, from the paging-structure caches if `cached`, until no other vCPU interferes. */
function walk(s: Views, v: number, vaHi: number, vaLo: number, access: number, cached: boolean): number {
  const w = s.w;
  w[v + (VCPU_OUT_REFS >>> 2)] = 0;
  if (w[v + (VCPU_NESTED >>> 2)]) {
    const ended = s.nestedWalk!(s, v, vaHi, vaLo, access, cached, true);
    return ended === FAULT_NONE ? ended : faulted(w, v, vaHi, vaLo, ended);
  }
  let fault: number, changed = 0;
  do {
    if (!walkRoot(w, v, vaLo, from)) fault = pageFault(w, v, access, 0);
    else {
      if (cached) pscStart(w, v, vaHi, vaLo, from, true);
      fault = findLeaf(s, v, vaHi, vaLo, access, from);
      if (fault === FAULT_NONE) fault = checkLeaf(w, v, access);
    }
    if (fault === FAULT_NONE) changed = markEntries(s, v, access);
  } while (changed < 0 && fault === FAULT_NONE);
  count(w, v, CNT_DEPTH + w[v + (VCPU_OUT_REFS >>> 2)], 1);
  if (fault !== FAULT_NONE) return faulted(w, v, vaHi, vaLo, fault);
  if (changed > 0) count(w, v, CNT_AD_SETS, changed);
  return FAULT_NONE;
}

function faulted(w: Int32Array, v: number, vaHi: number, vaLo: number, fault: number): number {
  count(w, v, CNT_FAULTS, 1);
  if (faultVector(fault) === FAULT_PF >>> 16) {
    w[v + (VCPU_CR2_LO >>> 2)] = vaLo;
    w[v + (VCPU_CR2_HI >>> 2)] = vaHi;
  }
  dropFaulting(w, v, vaHi, vaLo);
  return fault;
}

/**
 * Size code the translation may be cached at: the smaller of the guest's page and what the host backs it with. VCPU_OUT_DATA_LO is narrowed
 * to that piece. A 4-MByte page is cached as its 2-MByte halves. A walk through a second stage has done all this already.
 */
export function usableSize(w: Int32Array, v: number, vaLo: number): number {
  if (w[v + (VCPU_NESTED >>> 2)]) return w[v + (VCPU_OUT_SIZE >>> 2)];
  const level = w[v + (VCPU_OUT_LEVEL >>> 2)];
  const size = Math.min(level, w[HDR_HOST_LEVEL >>> 2]) - 1;
  const data = w[v + (VCPU_OUT_DATA_LO >>> 2)];
  if (level === 2 && w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY) {
    const half = data | (vaLo & 0x200000);
    w[v + (VCPU_OUT_DATA_LO >>> 2)] = size === 1 ? half : fragmentLo(half, vaLo, 1, 0);
  } else if (size + 1 < level) w[v + (VCPU_OUT_DATA_LO >>> 2)] = fragmentLo(data, vaLo, level - 1, size);
  w[v + (VCPU_OUT_SIZE >>> 2)] = size;
  return size;
}

function setAddress(w: Int32Array, v: number, vaLo: number, size: number): void {
  w[v + (VCPU_OUT_LO >>> 2)] = addressLo(w[v + (VCPU_OUT_DATA_LO >>> 2)], vaLo, size);
  w[v + (VCPU_OUT_HI >>> 2)] = addressHi(w[v + (VCPU_OUT_DATA_HI >>> 2)]);
}
