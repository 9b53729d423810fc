// The walk through the paging structures: find the translation, check the access, mark the entries. See src/mmu/walk.ts.
import { ACCESS_CODE, ACCESS_FETCH, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_I, PFEC_P, PFEC_PK, PFEC_RSVD } from "./fault";
import {
  PDE4M_ADDR, PDE4M_HI_SHIFT, PDE4M_RESERVED, PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_LO_ADDR, PTE_P, PTE_PS, PTE_RW,
} from "../src/arch/pte";
import { TAG_GLOBAL, TLBD_D, TLBD_HI_4M, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from "../src/layout/tlb";
import {
  CTL_FETCH_CODE, CTL_PGE, CTL_PSE, FEAT_PAGE1G, FEAT_PSE36, MODE_4LEVEL, MODE_LEGACY, MODE_PAE, VCPU_CTL, VCPU_FEATURES, VCPU_MODE,
  VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_LEVEL, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_PABITS, VCPU_PDPTE, VCPU_ROOT_LO,
  VCPU_RSVD_HI, VCPU_RSVD_LO, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO, VCPU_TRAIL_WORD,
} from "../src/layout/vcpu";
import { joined } from "./array";
import { casEntry, casEntry32 } from "./entry";
import { bytesOf, readBus, writeBus } from "./extents";
import { refused } from "./rights";
import { WalkStart } from "./walk-start";

export const RIGHTS_ALL = TLBD_RW | TLBD_US;
export const ENTRY_ADDRESS: u64 = 0xf_ffff_ffff_f000;

/** Stage 1: find the leaf for a linear address. @returns FAULT_NONE or the #PF */
export function findLeaf(v: i32, va: u64, access: i32): i32 {
  const legacy = load<i32>(v, VCPU_MODE) == MODE_LEGACY, reservedHi = load<i32>(v, VCPU_RSVD_HI);
  let level = WalkStart.level, table = WalkStart.table, acc = WalkStart.acc, refs = 0;
  store<i32>(v, level, VCPU_OUT_START);
  while (true) {
    const offset = legacy ? <u64>((<u32>va >>> (level == 1 ? 10 : 20)) & 0xffc) : ((va >> (3 + 9 * level)) & 0x1ff) << 3;
    const pa = table + offset;
    const at = bytesOf(pa);
    const e: u64 = at == 0 ? readBus(pa, legacy ? 4 : 8) & (legacy ? 0xffff_ffff : -1) : legacy ? <u64>load<u32>(at) : load<u64>(at);
    const lo = <i32>e, hi = <i32>(e >> 32), t = v + (level << 2);
    store<i32>(t, <i32>pa, VCPU_TRAIL_LO - 4);
    store<i32>(t, <i32>(pa >> 32), VCPU_TRAIL_HI - 4);
    store<i32>(t, at == 0 ? -1 : at >>> 2, VCPU_TRAIL_WORD - 4);
    store<i32>(t, lo, VCPU_TRAIL_VALUE_LO - 4);
    store<i32>(t, hi, VCPU_TRAIL_VALUE_HI - 4);
    store<i32>(v, ++refs, VCPU_OUT_REFS);
    if (!(lo & PTE_P)) return pageFault(v, access, 0);
    const leaf = level == 1 || (lo & PTE_PS && isLeaf(v, level, legacy));
    if (hi & reservedHi || ((lo & PTE_PS || level > 3) && reservedLow(v, level, lo, legacy))) return pageFault(v, access, PFEC_P | PFEC_RSVD);
    const above = acc;
    acc = (acc & lo & RIGHTS_ALL) | ((acc | (hi >>> 31)) & 1);
    store<i32>(t, acc, VCPU_TRAIL_ACC - 4);
    if (leaf) {
      finish(v, level, lo, hi, acc, above, legacy);
      WalkStart.marked = 0; // markEntries() looks; last, as a device that was read may have made another vCPU walk
      return FAULT_NONE;
    }
    table = e & ENTRY_ADDRESS;
    level--;
  }
}

/** PS = 1 makes a leaf at level 2 (CR4.PSE decides in 32-bit paging) and, where the processor has 1-GByte pages, at level 3. */
export function isLeaf(v: i32, level: i32, legacy: bool): bool {
  if (legacy) return (load<i32>(v, VCPU_CTL) & CTL_PSE) != 0;
  return level == 2 || (level == 3 && (load<i32>(v, VCPU_FEATURES) & FEAT_PAGE1G) != 0);
}

/** Reserved bits of the low word: PS where it cannot be, and the address bits below a large page's size. */
export function reservedLow(v: i32, level: i32, lo: i32, legacy: bool): i32 {
  if (level > 3) return lo & load<i32>(v, VCPU_RSVD_LO);
  if (level == 1) return 0; // bit 7 is PAT
  if (legacy) return load<i32>(v, VCPU_CTL) & CTL_PSE ? reserved4M(v, lo) : 0;
  if (level == 3) return load<i32>(v, VCPU_FEATURES) & FEAT_PAGE1G ? lo & 0x3fffe000 : PTE_PS;
  return lo & 0x001fe000;
}

function reserved4M(v: i32, lo: i32): i32 {
  const m = load<i32>(v, VCPU_FEATURES) & FEAT_PSE36 ? min(40, load<i32>(v, VCPU_PABITS)) : 32;
  return lo & (PDE4M_RESERVED | (0x1fe000 & -(1 << (m - 19))));
}

/** Leave the translation as TLB data. */
@inline export function finish(v: i32, level: i32, lo: i32, hi: i32, acc: i32, above: i32, legacy: bool): void {
  let addrLo = lo & PTE_LO_ADDR, addrHi = hi & PTE_HI_ADDR, flags = level << TLBD_HI_LEVEL_SHIFT;
  if (legacy) {
    if (level == 2) {
      addrLo = lo & PDE4M_ADDR;
      addrHi = (lo >>> PDE4M_HI_SHIFT) & 0xff;
      flags |= TLBD_HI_4M;
    }
  } else if (level == 2) addrLo = lo & ~0x1fffff;
  else if (level == 3) addrLo = lo & ~0x3fffffff;
  let data = addrLo | acc | (lo & TLBD_D);
  if (load<i32>(v, VCPU_MODE) >= MODE_4LEVEL) data |= ((hi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT;
  if ((lo & (PTE_RW | PTE_D)) == PTE_D && above & TLBD_RW) data |= TLBD_SSTK;
  store<i32>(v, level, VCPU_OUT_LEVEL);
  store<i32>(v, data, VCPU_OUT_DATA_LO);
  store<i32>(v, addrHi | flags, VCPU_OUT_DATA_HI);
  store<i32>(v, lo & PTE_G && load<i32>(v, VCPU_CTL) & CTL_PGE ? TAG_GLOBAL : 0, VCPU_OUT_GLOBAL);
}

/** Stage 2: may the access use what findLeaf() found? D is not a right: a permitted write sets it. */
export function checkLeaf(v: i32, access: i32): i32 {
  const why = refused(v, load<i32>(v, VCPU_OUT_DATA_LO) | TLBD_D, access);
  return why == 0 ? FAULT_NONE : pageFault(v, access, PFEC_P | (why & PFEC_PK));
}

/** Stage 3: set A in every entry of the trail and D in the leaf of a write. @returns entries changed, -1 if another vCPU was faster */
export function markEntries(v: i32, access: i32): i32 {
  if (WalkStart.marked & PTE_A && (!(access & ACCESS_WRITE) || load<i32>(v, VCPU_OUT_DATA_LO) & TLBD_D)) return 0;
  const leaf = load<i32>(v, VCPU_OUT_LEVEL);
  let changed = 0;
  for (let level = load<i32>(v, VCPU_OUT_START); level >= leaf; level--) {
    const t = v + (level << 2), lo = load<i32>(t, VCPU_TRAIL_VALUE_LO - 4);
    const bits = level == leaf && access & ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
    if ((lo & bits) == bits) continue;
    if (!mark(v, t, lo, bits)) return -1;
    changed++;
  }
  if (access & ACCESS_WRITE) store<i32>(v, load<i32>(v, VCPU_OUT_DATA_LO) | TLBD_D, VCPU_OUT_DATA_LO);
  return changed;
}

function mark(v: i32, t: i32, lo: i32, bits: i32): bool {
  const word = load<i32>(t, VCPU_TRAIL_WORD - 4), hi = load<i32>(t, VCPU_TRAIL_VALUE_HI - 4);
  if (word >= 0) {
    if (load<i32>(v, VCPU_MODE) == MODE_LEGACY) return casEntry32(word << 2, lo, lo | bits);
    return casEntry(word << 2, joined(hi, lo), joined(hi, lo | bits));
  }
  writeBus(joined(load<u32>(t, VCPU_TRAIL_HI - 4), load<u32>(t, VCPU_TRAIL_LO - 4)), lo | bits);
  return true;
}

/** Begin at the root of the current paging mode. @returns false if the PAE page-directory-pointer-table entry register has P = 0 */
export function walkRoot(v: i32, va: u64): bool {
  const mode = load<i32>(v, VCPU_MODE);
  WalkStart.acc = RIGHTS_ALL;
  if (mode == MODE_PAE) {
    const register = load<u64>(v + ((<u32>va >>> 30) << 3), VCPU_PDPTE);
    WalkStart.level = 2;
    WalkStart.table = register & ENTRY_ADDRESS;
    return (<i32>register & PTE_P) != 0;
  }
  WalkStart.level = mode; // MODE_LEGACY, MODE_4LEVEL and MODE_5LEVEL are the numbers of levels
  WalkStart.table = load<u64>(v, VCPU_ROOT_LO);
  return true;
}

/** The #PF for an access; I/D is reported only where fetches are told apart at all. */
export function pageFault(v: i32, access: i32, cause: i32): i32 {
  const hidden = access & ACCESS_FETCH && !(load<i32>(v, VCPU_CTL) & CTL_FETCH_CODE) ? PFEC_I : 0;
  return FAULT_PF | (access & ACCESS_CODE & ~hidden) | cause;
}
