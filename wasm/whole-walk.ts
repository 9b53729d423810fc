// The walks of a plain TLB (plain.ts) that plainWalk() leaves: from the root, because a fault has removed what was cached for its address, and
// those that fault. 64-bit paging, tables in low memory, a 4K page, nothing to be marked; all else is left, untouched, to missedPlain().
import { ACCESS_WRITE, FAULT_NONE, PFEC_P } from "./fault";
import { PTE_A, PTE_D, PTE_P, PTE_PS } from "../src/arch/pte";
import { ARR_CLOCK } from "../src/layout/array";
import { CNT_DEPTH, CNT_FAULTS, CNT_MISS_SIZE, CNT_SLOW } from "../src/layout/counter";
import { HDR_LOW_BYTES, HDR_LOW_FRAMES } from "../src/layout/header";
import { TLBD_D } from "../src/layout/tlb";
import {
  CTL_PGE, PSC_A, PSC_BYTES, PSC_DATA, PSC_TAGS, VCPU_CR2_LO, VCPU_CTL, VCPU_MODE, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE,
  VCPU_OUT_START, VCPU_PLAIN_PSC, VCPU_PSC, VCPU_ROOT_LO, VCPU_RSVD_HI, VCPU_RSVD_LO, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from "../src/layout/vcpu";
import { candidates4, LRU_CLOCK_LIMIT } from "./array";
import { charge } from "./charge";
import { count } from "./counters";
import { dropFaulting } from "./invalidate";
import { memoClear, memoSlot } from "./memo";
import { fillBoth, GLOBAL_PAGE, ownOf } from "./plain";
import { below, cachePde, firstOf, GLOBAL_TO_CTL, leafRights, PLAIN_LEVEL, use } from "./plain-walk";
import { permits, rightsRow } from "./rights";
import { NUMBER, serviceOf } from "./tlb";
import { ENTRY_ADDRESS, pageFault, RIGHTS_ALL } from "./walk";

/** What wholeWalk() answers if it is another walk. */
export const ANOTHER = -1;

/** An access to a page that no level has, with its price. @param d - what the service needs @returns FAULT_NONE, a fault, or ANOTHER */
export function wholeWalk(v: i32, d: i32, va: u64, access: i32): i32 {
  const pde = v + VCPU_PLAIN_PSC, pdpte = pde + PSC_BYTES;
  if (load<i32>(pde, PSC_A) == 0 || load<u64>(v, VCPU_PSC + 8) != 0 || full(pde) || full(pdpte)) return ANOTHER;
  const ofVcpu = ownOf(v, 0), tag2 = (va >> 21) | ofVcpu, tag3 = (va >> 30) | ofVcpu, i2 = entryOf(pde, tag2), i3 = entryOf(pdpte, tag3);
  const start = i2 >= 0 ? 1 : i3 >= 0 ? 2 : load<i32>(v, VCPU_MODE); // MODE_4LEVEL and MODE_5LEVEL are the numbers of levels
  const end = <u64>load<u32>(0, HDR_LOW_FRAMES) << 12, low = load<i32>(0, HDR_LOW_BYTES), reservedHi = load<i32>(v, VCPU_RSVD_HI);
  let e = start > 2 ? load<u64>(v, VCPU_ROOT_LO) : i2 >= 0 ? dataOf(pde, i2) : dataOf(pdpte, i3), acc = start > 2 ? RIGHTS_ALL : <i32>e;
  let above: u64 = 0, above2: u64 = 0, level = start, cause = -1;
  for (; level > 0; level--) {
    above2 = above;
    above = (e & ENTRY_ADDRESS) | <u64>(<u32>(acc & 0xfff));
    const pa = (e & ENTRY_ADDRESS) + ((va >> (9 * level)) & 0xff8), t = v + (level << 2);
    if (pa >= end) return ANOTHER;
    store<i32>(t, <i32>pa, VCPU_TRAIL_LO - 4);
    store<i32>(t, 0, VCPU_TRAIL_HI - 4);
    e = load<u64>(low + <i32>pa);
    if (!(<i32>e & PTE_P)) {
      cause = 0;
      break;
    }
    const zero = level == 1 ? 0 : level > 3 ? load<i32>(v, VCPU_RSVD_LO) | PTE_PS : PTE_PS;
    if ((<i32>(e >> 32) & reservedHi) | (<i32>e & zero) | i32(!(<i32>e & PTE_A))) return ANOTHER;
    acc = below(acc, e);
  }
  const service = serviceOf(access), rights = leafRights(e, <i32>above);
  if (cause < 0) {
    if (!permits(rightsRow(v, access), rights | TLBD_D)) {
      cause = PFEC_P;
      level = 1;
    } else if (access & ACCESS_WRITE && !(<i32>e & PTE_D)) return ANOTHER;
  }
  if (i2 >= 0) use(pde, i2);
  else if (i3 >= 0) use(pdpte, i3);
  const refs = cause < 0 ? start : start - level + 1;
  count(v, CNT_SLOW + service, 1);
  count(v, CNT_DEPTH + refs, 1);
  store<i32>(v, 0, VCPU_OUT_HIT);
  store<i32>(v, start, VCPU_OUT_START);
  store<i32>(v, refs, VCPU_OUT_REFS);
  if (cause >= 0) {
    count(v, CNT_FAULTS, 1);
    store<u64>(v, va, VCPU_CR2_LO);
    dropFaulting(v, va);
    charge(v, true);
    return pageFault(v, access, cause);
  }
  if (start > 2) keep(pdpte, tag3, above2);
  if (start > 1) keep(pde, tag2, above);
  memoClear(v, memoSlot(v, service));
  const own = ((va >> 12) & NUMBER) | ofVcpu, shared = (<i32>e >>> GLOBAL_TO_CTL) & load<i32>(v, VCPU_CTL) & CTL_PGE;
  fillBoth(d, select((own & NUMBER) | GLOBAL_PAGE, own, shared), (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | PLAIN_LEVEL);
  store<u64>(v, (e & ENTRY_ADDRESS) | (va & 0xfff), VCPU_OUT_LO);
  store<i32>(v, 0, VCPU_OUT_SIZE);
  count(v, CNT_MISS_SIZE, 1);
  count(v, CNT_MISS_SIZE + 3, 1);
  charge(v, false);
  return FAULT_NONE;
}

/** Is the clock of a paging-structure cache too near its end? @param c - one of the two in VCPU_PLAIN_PSC */
@inline function full(c: i32): bool {
  return load<i32>(load<i32>(c, PSC_A), ARR_CLOCK) > LRU_CLOCK_LIMIT - 2;
}

/** Entry of a paging-structure cache with a tag, -1 if none. */
function entryOf(c: i32, tag: u64): i32 {
  const first = firstOf(c, tag), tags = load<i32>(c, PSC_TAGS) + (first << 3);
  for (let bits = candidates4(tags, tag); bits != 0; bits &= bits - 1) if (load<u64>(tags + (ctz(bits) << 3)) == tag) return first + ctz(bits);
  return -1;
}

@inline function dataOf(c: i32, i: i32): u64 {
  return load<u64>(load<i32>(c, PSC_DATA) + (i << 3));
}

/** Cache an entry that is not cached. */
function keep(c: i32, tag: u64, data: u64): void {
  cachePde(c, tag, firstOf(c, tag), data);
}
