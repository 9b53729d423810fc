// findLeaf() for 4-level and 5-level paging: the same walk without what other modes need.
import { FAULT_NONE, PFEC_P, PFEC_RSVD } from "./fault";
import { PTE_P, PTE_PS } from "../src/arch/pte";
import {
  VCPU_OUT_REFS, VCPU_OUT_START, VCPU_RSVD_HI, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO, VCPU_TRAIL_WORD,
} from "../src/layout/vcpu";
import { bytesOf, readBus } from "./extents";
import { ENTRY_ADDRESS, finish, isLeaf, pageFault, reservedLow, RIGHTS_ALL } from "./walk";
import { WalkStart } from "./walk-start";

/** @returns FAULT_NONE or the #PF */
export function findLeafLong(v: i32, va: u64, access: i32): i32 {
  const reservedHi = load<i32>(v, VCPU_RSVD_HI), start = WalkStart.level;
  let level = start, table = WalkStart.table, acc = WalkStart.acc, marked = -1;
  store<i32>(v, start, VCPU_OUT_START);
  while (true) {
    const pa = table + ((va >> (9 * level)) & 0xff8), at = bytesOf(pa);
    const e = at != 0 ? load<u64>(at) : readBus(pa, 8), lo = <i32>e, hi = <i32>(e >> 32), t = v + (level << 2);
    store<i32>(t, <i32>pa, VCPU_TRAIL_LO - 4);
    store<i32>(t, <i32>(pa >> 32), VCPU_TRAIL_HI - 4);
    store<i32>(t, at == 0 ? -1 : at >>> 2, VCPU_TRAIL_WORD - 4);
    store<i32>(t, lo, VCPU_TRAIL_VALUE_LO - 4);
    store<i32>(t, hi, VCPU_TRAIL_VALUE_HI - 4);
    if (!(lo & PTE_P)) return stopped(v, access, start - level + 1, 0);
    const large = lo & PTE_PS;
    if (hi & reservedHi || ((large || level > 3) && reservedLow(v, level, lo, false))) return stopped(v, access, start - level + 1, PFEC_P | PFEC_RSVD);
    const above = acc;
    acc = (acc & lo & RIGHTS_ALL) | ((acc | (hi >>> 31)) & 1);
    marked &= lo;
    store<i32>(t, acc, VCPU_TRAIL_ACC - 4);
    if (level == 1 || (large && isLeaf(v, level, false))) {
      store<i32>(v, start - level + 1, VCPU_OUT_REFS);
      WalkStart.marked = marked;
      finish(v, level, lo, hi, acc, above, false);
      return FAULT_NONE;
    }
    table = e & ENTRY_ADDRESS;
    level--;
  }
}

function stopped(v: i32, access: i32, refs: i32, cause: i32): i32 {
  store<i32>(v, refs, VCPU_OUT_REFS);
  return pageFault(v, access, cause);
}
