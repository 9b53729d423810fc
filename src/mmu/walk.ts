/**
 * The walk through the paging structures, in three stages: find the translation, check the access, mark the entries.
 *
 * One loop serves every mode. A walk that faults changes nothing in memory; one that meets an entry changed by another vCPU starts over.
 * (Hardware may set A in upper entries of a walk that faults. Software can rely on neither.)
 *
 * Source: Intel SDM vol. 3A, "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Accessed and Dirty Flags";
 *         AMD APM vol. 2, "Legacy-Mode Page Translation" and "Long-Mode Page Translation".
 */
import { ACCESS_CODE, ACCESS_FETCH, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_I, PFEC_P, PFEC_PK, PFEC_RSVD } from '../arch/fault.ts';
import {
  PDE4M_ADDR, PDE4M_HI_SHIFT, PDE4M_RESERVED, PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_LO_ADDR, PTE_P, PTE_PS,
  PTE_RW, tableIndex,
} from '../arch/pte.ts';
import {
  TAG_GLOBAL, TLBD_D, TLBD_HI_4M, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US,
} from '../layout/tlb.ts';
import {
  CTL_FETCH_CODE, CTL_PGE, CTL_PSE, FEAT_PAGE1G, FEAT_PSE36, MODE_4LEVEL, MODE_LEGACY, MODE_PAE, VCPU_CTL, VCPU_FEATURES, VCPU_MODE,
  VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_LEVEL, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_PABITS, VCPU_PDPTE,
  VCPU_ROOT_HI, VCPU_ROOT_LO, VCPU_RSVD_HI, VCPU_RSVD_LO, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI,
  VCPU_TRAIL_VALUE_LO, VCPU_TRAIL_WORD,
} from '../layout/vcpu.ts';
import { casEntry, casEntry32, loadEntry, markOnBus } from '../memory/entry.ts';
import { readBus, wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { refused } from './rights.ts';

/** Rights before any entry is read: everything allowed, as TLBD_* bits. */
export const RIGHTS_ALL = TLBD_RW | TLBD_US;

/** Where a walk begins: the level of the first table, its address and the rights accumulated so far. */
export interface WalkStart {
  level: number;
  lo: number;
  hi: number;
  acc: number;
}

/**
 * Stage 1: find the leaf for a linear address.
 *
 * Leaves behind the trail (every entry read), VCPU_OUT_START, VCPU_OUT_REFS, VCPU_OUT_LEVEL, and the translation as TLB data in
 * VCPU_OUT_DATA_*. Reads memory, writes none.
 *
 * @param access - ACCESS_* bits, for the error code
 * @returns FAULT_NONE or the #PF
 */
export function findLeaf(s: Views, v: number, vaHi: number, vaLo: number, access: number, from: WalkStart): number {
  const w = s.w;
  const legacy = w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY;
  let level = from.level, tableLo = from.lo, tableHi = from.hi, acc = from.acc;
  w[v + (VCPU_OUT_START >>> 2)] = level;
  w[v + (VCPU_OUT_REFS >>> 2)] = 0;
  for (; ; level--) {
    const offset = legacy ? (vaLo >>> (level === 1 ? 10 : 20)) & 0xffc : tableIndex(vaHi, vaLo, level) << 3;
    const paLo = tableLo + offset | 0;
    readTrail(s, v, level, tableHi, paLo, legacy ? 4 : 8);
    const lo = s.busLo, hi = s.busHi;
    const step = useEntry(w, v, level, lo, hi, acc, access);
    if (step !== DOWN) return step;
    acc = w[v + level - 1 + (VCPU_TRAIL_ACC >>> 2)];
    tableLo = lo & PTE_LO_ADDR;
    tableHi = hi & PTE_HI_ADDR;
  }
}

/** Read the entry at a machine address into `s.busLo`, `s.busHi`, and note it in the trail. @param bytes - 4 in 32-bit paging, else 8 */
export function readTrail(s: Views, v: number, level: number, paHi: number, paLo: number, bytes: number): void {
  const at = wordOf(s, paHi, paLo), w = s.w; // which wordOf() may replace
  if (at < 0) readBus(s, paHi, paLo, bytes);
  else if (bytes === 4 || !s.atomic) {
    s.busLo = w[at];
    s.busHi = w[at + 1];
  } else loadEntry(s, at);
  if (bytes === 4) s.busHi = 0;
  const t = v + level - 1;
  w[t + (VCPU_TRAIL_LO >>> 2)] = paLo;
  w[t + (VCPU_TRAIL_HI >>> 2)] = paHi;
  w[t + (VCPU_TRAIL_WORD >>> 2)] = at;
  w[t + (VCPU_TRAIL_VALUE_LO >>> 2)] = s.busLo;
  w[t + (VCPU_TRAIL_VALUE_HI >>> 2)] = s.busHi;
  w[v + (VCPU_OUT_REFS >>> 2)]++;
}

/** What `useEntry()` says of an entry that points at another table. */
export const DOWN = -1;

/**
 * Check an entry and add its rights to those accumulated. @param above - rights accumulated before it
 * @returns DOWN, with the rights in the trail; FAULT_NONE for a leaf, with the translation left behind; or the #PF
 */
export function useEntry(w: Int32Array, v: number, level: number, lo: number, hi: number, above: number, access: number): number {
  const legacy = w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY;
  if (!(lo & PTE_P)) return pageFault(w, v, access, 0);
  const leaf = level === 1 || (lo & PTE_PS && isLeaf(w, v, level, legacy));
  if (hi & w[v + (VCPU_RSVD_HI >>> 2)] || (lo & PTE_PS || level > 3 ? reservedLow(w, v, level, lo, legacy) : 0)) {
    return pageFault(w, v, access, PFEC_P | PFEC_RSVD);
  }
  const acc = (above & lo & RIGHTS_ALL) | ((above | (hi >>> 31)) & 1);
  w[v + level - 1 + (VCPU_TRAIL_ACC >>> 2)] = acc;
  if (!leaf) return DOWN;
  finish(w, v, level, lo, hi, acc, above, legacy);
  return FAULT_NONE;
}

/** PS = 1 makes a leaf at level 2 (CR4.PSE decides in 32-bit paging) and, where the processor has 1-GByte pages, at level 3. */
function isLeaf(w: Int32Array, v: number, level: number, legacy: boolean): boolean {
  if (legacy) return (w[v + (VCPU_CTL >>> 2)] & CTL_PSE) !== 0;
  return level === 2 || (level === 3 && (w[v + (VCPU_FEATURES >>> 2)] & FEAT_PAGE1G) !== 0);
}

/** Reserved bits of the low word: PS where it cannot be, and the address bits below a large page's size. */
function reservedLow(w: Int32Array, v: number, level: number, lo: number, legacy: boolean): number {
  if (level > 3) return lo & w[v + (VCPU_RSVD_LO >>> 2)];
  if (level === 1) return 0; // bit 7 is PAT
  if (legacy) return w[v + (VCPU_CTL >>> 2)] & CTL_PSE ? reserved4M(w, v, lo) : 0;
  if (level === 3) return w[v + (VCPU_FEATURES >>> 2)] & FEAT_PAGE1G ? lo & 0x3fffe000 : PTE_PS;
  return lo & 0x001fe000;
}

/** Bits 21:(M-19) of a 4-MByte leaf, where M is the least of MAXPHYADDR and 40, or 32 without PSE-36. */
function reserved4M(w: Int32Array, v: number, lo: number): number {
  const m = w[v + (VCPU_FEATURES >>> 2)] & FEAT_PSE36 ? Math.min(40, w[v + (VCPU_PABITS >>> 2)]) : 32;
  return lo & (PDE4M_RESERVED | (0x1fe000 & -(1 << (m - 19))));
}

/** Leave the translation as TLB data. */
function finish(w: Int32Array, v: number, level: number, lo: number, hi: number, acc: number, above: number, legacy: boolean): void {
  let addrLo = lo & PTE_LO_ADDR, addrHi = hi & PTE_HI_ADDR, flags = level << TLBD_HI_LEVEL_SHIFT;
  if (legacy) {
    if (level === 2) {
      addrLo = lo & PDE4M_ADDR;
      addrHi = (lo >>> PDE4M_HI_SHIFT) & 0xff;
      flags |= TLBD_HI_4M;
    }
  } else if (level === 2) addrLo = lo & ~0x1fffff;
  else if (level === 3) addrLo = lo & ~0x3fffffff;
  let data = addrLo | acc | (lo & TLBD_D);
  if (w[v + (VCPU_MODE >>> 2)] >= MODE_4LEVEL) data |= ((hi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT;
  if ((lo & (PTE_RW | PTE_D)) === PTE_D && above & TLBD_RW) data |= TLBD_SSTK;
  w[v + (VCPU_OUT_LEVEL >>> 2)] = level;
  w[v + (VCPU_OUT_DATA_LO >>> 2)] = data;
  w[v + (VCPU_OUT_DATA_HI >>> 2)] = addrHi | flags;
  w[v + (VCPU_OUT_GLOBAL >>> 2)] = lo & PTE_G && w[v + (VCPU_CTL >>> 2)] & CTL_PGE ? TAG_GLOBAL : 0;
}

/** Stage 2: may the access use what `findLeaf` found? @returns FAULT_NONE or the #PF */
export function checkLeaf(w: Int32Array, v: number, access: number): number {
  // D is not a right: a permitted write sets it.
  const why = refused(w, v, w[v + (VCPU_OUT_DATA_LO >>> 2)] | TLBD_D, access);
  return why === 0 ? FAULT_NONE : pageFault(w, v, access, PFEC_P | (why & PFEC_PK));
}

/**
 * Stage 3: set A in every entry of the trail and D in the leaf of a write. @param a, d - which bits these are
 * @returns entries changed, -1 if another vCPU was faster
 */
export function markEntries(s: Views, v: number, access: number, a = PTE_A, d = PTE_D): number {
  const w = s.w;
  const leaf = w[v + (VCPU_OUT_LEVEL >>> 2)], legacy = w[v + (VCPU_MODE >>> 2)] === MODE_LEGACY;
  let changed = 0;
  for (let level = w[v + (VCPU_OUT_START >>> 2)]; level >= leaf; level--) {
    const t = v + level - 1;
    const bits = level === leaf && access & ACCESS_WRITE ? a | d : a;
    const lo = w[t + (VCPU_TRAIL_VALUE_LO >>> 2)];
    if ((lo & bits) === bits) continue;
    const at = w[t + (VCPU_TRAIL_WORD >>> 2)], hi = w[t + (VCPU_TRAIL_VALUE_HI >>> 2)];
    if (at < 0) markOnBus(s, w[t + (VCPU_TRAIL_HI >>> 2)], w[t + (VCPU_TRAIL_LO >>> 2)], lo, bits);
    else if (!(legacy ? casEntry32(s, at, lo, lo | bits) : casEntry(s, at, lo, hi, lo | bits, hi))) return -1;
    changed++;
  }
  if (access & ACCESS_WRITE) w[v + (VCPU_OUT_DATA_LO >>> 2)] |= TLBD_D;
  return changed;
}

/**
 * Put the root of the current paging mode into `from`.
 *
 * PAE paging starts from a page-directory-pointer-table entry register, which has no access rights and no A bit.
 * @returns false if that register's P is 0
 */
export function walkRoot(w: Int32Array, v: number, vaLo: number, from: WalkStart): boolean {
  const mode = w[v + (VCPU_MODE >>> 2)];
  from.acc = RIGHTS_ALL;
  if (mode === MODE_PAE) {
    const register = v + (VCPU_PDPTE >>> 2) + (vaLo >>> 30) * 2;
    from.level = 2;
    from.lo = w[register] & PTE_LO_ADDR;
    from.hi = w[register + 1] & PTE_HI_ADDR;
    return (w[register] & PTE_P) !== 0;
  }
  from.level = mode; // MODE_LEGACY, MODE_4LEVEL and MODE_5LEVEL are the numbers of levels
  from.lo = w[v + (VCPU_ROOT_LO >>> 2)];
  from.hi = w[v + (VCPU_ROOT_HI >>> 2)];
  return true;
}

/** The #PF for an access; I/D is reported only where fetches are told apart at all. */
export function pageFault(w: Int32Array, v: number, access: number, cause: number): number {
  const hidden = access & ACCESS_FETCH && !(w[v + (VCPU_CTL >>> 2)] & CTL_FETCH_CODE) ? PFEC_I : 0;
  return FAULT_PF | (access & ACCESS_CODE & ~hidden) | cause;
}
