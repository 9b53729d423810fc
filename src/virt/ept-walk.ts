/**
 * The walk through EPT paging structures: what stage 1 of `mmu/walk.ts` is for ordinary ones.
 *
 * Source: Intel SDM vol. 3C, "EPT Translation Mechanism", "EPT Misconfigurations", "EPT Violations", "Accessed and Dirty Flags for EPT".
 */
import { EPT_IPAT, EPT_MEMTYPE, EPT_MEMTYPE_SHIFT, EPT_PS, EPT_R, EPT_RWX, EPT_W, EPT_X, EPT_XU, EPT_D, EPT_HI_PW } from '../arch/ept.ts';
import { EXIT_EPT_MISCONFIG, EXIT_EPT_VIOLATION, FAULT_NONE } from '../arch/fault.ts';
import { PTE_HI_ADDR, PTE_LO_ADDR, tableIndex } from '../arch/pte.ts';
import { HOSTD_NX, HOSTD_NXU, HOSTD_R, HOSTD_TW, HOSTD_W, NEST_CTL, NESTC_AD, NESTC_MBE, NESTC_PW, NESTC_XO } from '../layout/nested.ts';
import { TLBD_D, TLBD_HI_LEVEL_SHIFT } from '../layout/tlb.ts';
import { FEAT_PAGE1G, VCPU_FEATURES, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_LEVEL, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_RSVD_HI, VCPU_TRAIL_ACC } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { readTrail, type WalkStart } from '../mmu/walk.ts';

/** Rights before any entry is read, as HOSTD_* bits. */
export const EPT_ALL = HOSTD_R | HOSTD_W | HOSTD_TW;
const ANDED = EPT_ALL, ORED = HOSTD_NX | HOSTD_NXU;
const LEAST_LARGE_LEVEL = 2;

/**
 * Find the leaf for a guest-physical address. Leaves behind the trail, VCPU_OUT_START, VCPU_OUT_REFS, VCPU_OUT_LEVEL and the translation as
 * TLB data (HOSTD_*), of the host block. Reads memory, writes none.
 *
 * @param n - word index of the host block
 * @returns FAULT_NONE, EXIT_EPT_VIOLATION for an entry that is not present (its rights are none), or EXIT_EPT_MISCONFIG
 */
export function findEptLeaf(s: Views, n: number, gpaHi: number, gpaLo: number, from: WalkStart): number {
  const w = s.w, ctl = w[n + (NEST_CTL >>> 2)];
  const present = ctl & NESTC_MBE ? EPT_RWX | EPT_XU : EPT_RWX;
  let level = from.level, tableLo = from.lo, tableHi = from.hi, acc = from.acc;
  w[n + (VCPU_OUT_START >>> 2)] = level;
  w[n + (VCPU_OUT_REFS >>> 2)] = 0;
  for (; ; level--) {
    readTrail(s, n, level, tableHi, tableLo + (tableIndex(gpaHi, gpaLo, level) << 3) | 0, 8);
    const lo = s.busLo, hi = s.busHi;
    w[n + (VCPU_OUT_LEVEL >>> 2)] = level;
    if (!(lo & present)) {
      w[n + (VCPU_OUT_DATA_LO >>> 2)] = ORED; // no rights at all
      return EXIT_EPT_VIOLATION;
    }
    const leaf = level === 1 || (lo & EPT_PS) !== 0;
    if (misconfigured(w, n, ctl, level, lo, hi, leaf)) return EXIT_EPT_MISCONFIG;
    const rights = rightsOf(ctl, lo, hi, leaf);
    acc = (acc & rights & ANDED) | ((acc | rights) & ORED);
    w[n + (VCPU_TRAIL_ACC >>> 2) + level - 1] = acc;
    if (leaf) {
      const below = level === 1 ? 0 : (1 << (3 + 9 * level)) - 1;
      w[n + (VCPU_OUT_DATA_LO >>> 2)] = (lo & PTE_LO_ADDR & ~below) | acc | (!(ctl & NESTC_AD) || lo & EPT_D ? TLBD_D : 0);
      w[n + (VCPU_OUT_DATA_HI >>> 2)] = (hi & PTE_HI_ADDR) | level << TLBD_HI_LEVEL_SHIFT;
      w[n + (VCPU_OUT_GLOBAL >>> 2)] = 0;
      return FAULT_NONE;
    }
    tableLo = lo & PTE_LO_ADDR;
    tableHi = hi & PTE_HI_ADDR;
  }
}

/** An entry's rights as HOSTD_* bits. Without mode-based execute control X is for all fetches. */
function rightsOf(ctl: number, lo: number, hi: number, leaf: boolean): number {
  const executable = lo & EPT_X, userExecutable = ctl & NESTC_MBE ? lo & EPT_XU : executable;
  const tableWritable = lo & EPT_W || (leaf && ctl & NESTC_PW && hi & EPT_HI_PW);
  return (lo & EPT_R ? HOSTD_R : 0) | (lo & EPT_W ? HOSTD_W : 0) | (executable ? 0 : HOSTD_NX) | (userExecutable ? 0 : HOSTD_NXU)
    | (tableWritable ? HOSTD_TW : 0);
}

/** Is a present entry one that software must not make? */
function misconfigured(w: Int32Array, n: number, ctl: number, level: number, lo: number, hi: number, leaf: boolean): boolean {
  if (!(lo & EPT_R) && (lo & EPT_W || !(ctl & NESTC_XO) || (leaf && ctl & NESTC_PW && hi & EPT_HI_PW))) return true;
  if (hi & w[n + (VCPU_RSVD_HI >>> 2)]) return true;
  if (!leaf) return (lo & (EPT_MEMTYPE | EPT_IPAT)) !== 0;
  const type = (lo & EPT_MEMTYPE) >>> EPT_MEMTYPE_SHIFT;
  if (type === 2 || type === 3 || type === 7) return true;
  if (level < LEAST_LARGE_LEVEL) return false;
  if (level > 3 || (level === 3 && !(w[n + (VCPU_FEATURES >>> 2)] & FEAT_PAGE1G))) return true; // bit 7 is reserved there
  return (lo & (level === 2 ? 0x1ff000 : 0x3ffff000)) !== 0;
}
