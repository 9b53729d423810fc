// A single access where nearly every one walks: as walkBatch() makes many, but what it finds first is the entry to be read, so that the host
// waits for it while the levels are searched. Everything is read before anything is changed.
import { ACCESS_WRITE } from "./fault";
import { PTE_A, PTE_P, PTE_PS } from "../src/arch/pte";
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

/** What the last access tells of the next one; it is checked. */
namespace Last {
  /** The vCPU: its services are plain, and every entry costs the same. */
  export let vcpu: i32 = 0;
  /** Bits 63:30 of a canonical address. */
  export let region: u64 = -1;
  /** Which entry of its cache is that of level 3. */
  export let entry: i32 = 0;
}

// What walkOne() answers. Only WALKED has changed anything.
export const OTHER_ACCESS = 0;
export const WALKED = 1;
/** Neither level holds the page, but the walk is another one. */
export const OTHER_WALK = 2;

/** searchAnew() of a single access. */
export function walkOne(v: i32, va: u64, access: i32): i32 {
  if (load<i32>(v, VCPU_UNPLAIN) != 0) return OTHER_ACCESS;
  if (v != Last.vcpu) return suits(v);
  const d = v + VCPU_PLAIN + serviceOf(access) * PLAIN_BYTES, pde = v + VCPU_PLAIN_PSC, pdpte = pde + PSC_BYTES, low = load<i32>(0, HDR_LOW_BYTES);
  const own = ownOf(v, (va >> 12) & NUMBER), ofVcpu = own & ~NUMBER, tag3 = ((va >> 30) & NUMBER) | ofVcpu;
  let i = Last.entry;
  if (i32(va >> 30 != Last.region) | i32(load<u64>(load<i32>(pdpte, PSC_TAGS) + (i << 3)) != tag3)) {
    if (!isCanonical(v, va)) return OTHER_ACCESS;
    if (!search(pdpte, tag3)) return unusual(d, own);
    i = Last.entry;
    Last.region = va >> 30;
  }
  const top = load<u64>(load<i32>(pdpte, PSC_DATA) + (i << 3)), tag = ((va >> 21) & NUMBER) | ofVcpu, first = firstOf(pde, tag);
  const tags = load<i32>(pde, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag), frames = <u64>load<u32>(0, HDR_LOW_FRAMES);
  let above: u64 = 0;
  if (bits == 0) {
    const pa2 = (top & ENTRY_ADDRESS) + ((va >> 18) & 0xff8);
    if (pa2 >> 12 >= frames) return unusual(d, own);
    const e = load<u64>(low + <i32>pa2);
    if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI))) return unusual(d, own);
    above = (e & ENTRY_ADDRESS) | <u64>(<u32>below(<i32>top, e));
  } else {
    i = first + ctz(bits);
    if (load<u64>(tags + (ctz(bits) << 3)) != tag) return unusual(d, own);
    above = load<u64>(load<i32>(pde, PSC_DATA) + (i << 3));
  }
  const pa1 = (above & ENTRY_ADDRESS) + ((va >> 9) & 0xff8);
  if (pa1 >> 12 >= frames) return unusual(d, own);
  const e = load<u64>(low + <i32>pa1);
  if (held(d, own) | held(d + PLAIN_NEXT, own)) {
    Ahead.walks >>= 1;
    return OTHER_ACCESS;
  }
  if (atEnd(pde)) return OTHER_ACCESS;
  if (atEnd(pdpte)) return OTHER_ACCESS;
  if (atEnd(d + PLAIN_NEXT)) return OTHER_ACCESS;
  const rights = leafRights(e, <i32>above), want = PTE_P | PTE_A | ((access & ACCESS_WRITE) << 5);
  if (((<i32>e & want) ^ want) | (<i32>(e >> 32) & load<i32>(v, VCPU_RSVD_HI)) | i32(!permits(rightsRow(v, access), rights | TLBD_D))) return OTHER_WALK;
  if (bits != 0) use(pde, i);
  else {
    use(pdpte, i);
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
  return WALKED;
}

/** Is every service plain, and does every entry cost the same? That never changes. */
function suits(v: i32): i32 {
  let all = i32(load<i32>(v, VCPU_PLAIN_PSC + PSC_A) != 0) & i32(flat());
  for (let service = 0; service < 3; service++) all &= i32(load<i32>(v + VCPU_PLAIN + service * PLAIN_BYTES, PLAIN_A) != 0);
  if (all) Last.vcpu = v;
  else Ahead.walks = 0;
  return OTHER_ACCESS;
}

/** Find the cached entry of level 3 with a tag. @returns is there one? */
function search(pdpte: i32, tag: u64): bool {
  const first = firstOf(pdpte, tag), tags = load<i32>(pdpte, PSC_TAGS) + (first << 3);
  for (let bits = candidates4(tags, tag); bits != 0; bits &= bits - 1) {
    if (load<u64>(tags + (ctz(bits) << 3)) != tag) continue; // that of another PCID
    Last.entry = first + ctz(bits);
    return true;
  }
  return false;
}

/** What an access is that is not walked here. */
function unusual(d: i32, own: u64): i32 {
  return held(d, own) | held(d + PLAIN_NEXT, own) ? OTHER_ACCESS : OTHER_WALK;
}

/** Is the clock of an array at its end? @param c - where the array's offset is, followed by what goes with it */
@inline function atEnd(c: i32): bool {
  return (load<i32>(load<i32>(c, PSC_A), ARR_CLOCK) == LRU_CLOCK_LIMIT);
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
