// A single access where nearly every one walks: as walkBatch() makes many, but what it finds first is the entry to be read, so that the host
// waits for it while the levels are searched. Everything is read before anything is changed.
import { ACCESS_WRITE } from "./fault";
import { PTE_A, PTE_D, PTE_P, PTE_PS } from "../src/arch/pte";
import { ARR_CLOCK } from "../src/layout/array";
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_LOW_BYTES, HDR_LOW_FRAMES, HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import { TLBD_D } from "../src/layout/tlb";
import {
  CTL_PGE, PLAIN_A, PLAIN_BYTES, PLAIN_NEXT, PSC_A, PSC_BYTES, PSC_DATA, PSC_TAGS, VCPU_CTL, VCPU_OUT_REFS, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_RSVD_HI, VCPU_UNPLAIN,
} from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { candidates4, LRU_CLOCK_LIMIT } from "./array";
import { flat, IN_MEMORY } from "./charge";
import { count } from "./counters";
import { memoClear, memoSlot } from "./memo";
import { fillFirst, fillSecondSoon, GLOBAL_PAGE, held, isCanonical, leave, ownOf } from "./plain";
import { below, cachePde, firstOf, GLOBAL_TO_CTL, leafRights, PLAIN_LEVEL, use } from "./plain-walk";
import { permits, rightsRow } from "./rights";
import { NUMBER, serviceOf } from "./tlb";
import { ENTRY_ADDRESS } from "./walk";

/** searchAnew() of a single access. @returns false if it is of another kind: then nothing is changed */
export function walkOne(v: i32, va: u64, access: i32): bool {
  const d = v + VCPU_PLAIN + serviceOf(access) * PLAIN_BYTES;
  if (load<i32>(v, VCPU_UNPLAIN) | i32(load<i32>(d, PLAIN_A) == 0) | i32(load<i32>(v, VCPU_PLAIN_PSC + PSC_A) == 0) | i32(!flat()) | (isCanonical(v, va) ^ 1)) return false;
  const own = ownOf(v, (va >> 12) & NUMBER), ofVcpu = own & ~NUMBER, pde = v + VCPU_PLAIN_PSC, frames = <u64>load<u32>(0, HDR_LOW_FRAMES);
  const low = load<i32>(0, HDR_LOW_BYTES), tag = ((va >> 21) & NUMBER) | ofVcpu, first = firstOf(pde, tag);
  const tags = load<i32>(pde, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag);
  let above: u64 = 0, i = first + ctz(bits);
  if (bits == 0) {
    const pdpte = pde + PSC_BYTES, tag3 = ((va >> 30) & NUMBER) | ofVcpu;
    i = Ahead.entry;
    if (load<u64>(load<i32>(pdpte, PSC_TAGS) + (i << 3)) != tag3) return search(pdpte, tag3);
    const top = load<u64>(load<i32>(pdpte, PSC_DATA) + (i << 3)), pa2 = (top & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
    if (pa2 >> 12 >= frames) return false;
    const e = load<u64>(low + <i32>pa2);
    if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI))) return false;
    above = (e & ENTRY_ADDRESS) | <u64>(<u32>below(<i32>top, e));
  } else {
    if (load<u64>(tags + (ctz(bits) << 3)) != tag) return false;
    above = load<u64>(load<i32>(pde, PSC_DATA) + (i << 3));
  }
  const pa1 = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8);
  if (pa1 >> 12 >= frames) return false;
  const e = load<u64>(low + <i32>pa1);
  if (held(d, own) | held(d + PLAIN_NEXT, own) | atEnd(pde) | atEnd(pde + PSC_BYTES) | atEnd(d + PLAIN_NEXT)) {
    Ahead.walks >>= 1;
    return false;
  }
  const rights = leafRights(e, <i32>above), want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5);
  if (((<i32>e & want) ^ want) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI)) | i32(!permits(rightsRow(v, access), rights | TLBD_D))) return false;
  if (bits != 0) use(pde, i);
  else {
    use(pde + PSC_BYTES, i);
    cachePde(pde, tag, first, above);
  }
  memoClear(v, memoSlot(v, serviceOf(access)));
  const pa = (e & ENTRY_ADDRESS) | (va & 0xfff);
  priced(v, serviceOf(access), pa, 1 + i32(bits == 0));
  const placed = select((own & NUMBER) | GLOBAL_PAGE, own, (<i32>e >>> GLOBAL_TO_CTL) & load<i32>(v, VCPU_CTL) & CTL_PGE);
  const data = (e & ENTRY_ADDRESS) | <u64>(<u32>rights) | PLAIN_LEVEL;
  fillFirst(d, placed, data);
  fillSecondSoon(d + PLAIN_NEXT, placed, data);
  Ahead.walks = 4 * GROUP;
  return true;
}

/** Find the cached entry of level 3 for the next time. */
function search(pdpte: i32, tag: u64): bool {
  const first = firstOf(pdpte, tag), bits = candidates4(load<i32>(pdpte, PSC_TAGS) + (first << 3), tag);
  if (bits != 0) Ahead.entry = first + ctz(bits);
  return false;
}

/** Is the clock of an array at its end? @param c - where the array's offset is, followed by what goes with it */
@inline function atEnd(c: i32): i32 {
  return i32(load<i32>(load<i32>(c, PSC_A), ARR_CLOCK) == LRU_CLOCK_LIMIT);
}

/** Count and price the walk, and leave the results. */
@inline function priced(v: i32, service: i32, pa: u64, refs: i32): void {
  const fixed = load<i32>(0, HDR_WALK_CYCLES), loads = refs * load<i32>(0, HDR_MEMORY_CYCLES);
  count(v, CNT_SLOW + service, 1);
  count(v, CNT_DEPTH + refs, 1);
  count(v, CNT_MISS_SIZE, 1);
  count(v, CNT_MISS_SIZE + 3, 1);
  count(v, CNT_REF_HITS + IN_MEMORY, refs);
  count(v, CNT_LOAD_CYCLES, loads);
  count(v, CNT_WALK_CYCLES, fixed);
  leave(v, pa, 0, fixed + loads);
  store<i32>(v, refs, VCPU_OUT_REFS);
}
