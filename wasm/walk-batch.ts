// A batch that walks for nearly every access: plainAnew() and plainWalk() again as one loop, of accesses that neither level holds and whose walk
// begins at a cached entry of level 2 or 3, down to a 4K page that permits the access and needs no mark. What is the same for all of them is
// found before. The first access of any other kind ends it, untouched.
import { ACCESS_WRITE, FAULT_NONE } from "./fault";
import { PTE_A, PTE_P, PTE_PS } from "../src/arch/pte";
import { ARR_CLOCK } from "../src/layout/array";
import { HDR_LOW_BYTES, HDR_LOW_FRAMES } from "../src/layout/header";
import {
  CTL_PGE, MODE_5LEVEL, PLAIN_A, PLAIN_BYTES, PLAIN_NEXT, PSC_A, PSC_BYTES, PSC_DATA, PSC_TAGS, TALLY_LONG, TALLY_SHORT,
  VCPU_CTL, VCPU_MODE, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_RSVD_HI, VCPU_UNPLAIN,
} from "../src/layout/vcpu";
import { Ahead, GROUP, readAhead } from "./ahead";
import { candidates4, LRU_CLOCK_LIMIT } from "./array";
import { accessOf, FETCH } from "./batch";
import { memoClear, memoSlot } from "./memo";
import { FAULTED, fillFirst, fillSecondSoon, GLOBAL_PAGE, held, ownOf } from "./plain";
import { below, cachePde, firstOf, general, GLOBAL_TO_CTL, leafRights, PLAIN_LEVEL, use } from "./plain-walk";
import { permits } from "./rights";
import { tally } from "./tally";
import { NUMBER } from "./tlb";
import { ENTRY_ADDRESS } from "./walk";

/** runSwift() as long as accesses are such walks. @returns the index of the first that is not, or `to`; ~index if it is another walk */
export function walkBatch(v: i32, va: i32, kind: i32, size: i32, pa: i32, from: i32, to: i32, rights: i32): i32 {
  if (!ready(v, to - from)) return from;
  const unused: u64 = load<i32>(v, VCPU_MODE) == MODE_5LEVEL ? 7 : 16, frames = <u64>load<u32>(0, HDR_LOW_FRAMES), low = load<i32>(0, HDR_LOW_BYTES);
  const reserved = load<i32>(v, VCPU_RSVD_HI), pde = v + VCPU_PLAIN_PSC, pge = load<i32>(v, VCPU_CTL) & CTL_PGE, ofVcpu = ownOf(v, 0);
  let region: u64 = -1, table = 0, top = 0, i = from;
  while (i < to) {
    let end = (Ahead.end - va) >> 3; // what was read for a batch that a fault ended serves the next one, too
    if (i32(end <= i) | i32(end > min(i + GROUP, to))) {
      end = region == -1 ? i + 1 : min(i + GROUP, to);
      if (region != -1) readAhead(va + (i << 3), va + (end << 3));
    }
    for (; i < end; i++) {
      const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), what = accessOf(k), d = v + VCPU_PLAIN + k * PLAIN_BYTES;
      if (<u64>((<i64>(x << unused)) >> unused) != x) return i;
      if (i32((<i32>x & 0xfff) + <i32>load<u16>(size + (i << 1)) > 4096) | i32(k > FETCH)) return i;
      const own = ((x >> 12) & NUMBER) | ofVcpu;
      if (held(d, own) | held(d + PLAIN_NEXT, own)) return i;
      const tag = ((x >> 21) & NUMBER) | ofVcpu, first = firstOf(pde, tag), tags = load<i32>(pde, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag);
      let above: u64 = 0;
      if (bits == 0) {
        if (x >> 30 != region) {
          top = enter(pde + PSC_BYTES, ((x >> 30) & NUMBER) | ofVcpu, low, frames);
          if (top < 0) return ~i;
          Ahead.region = region = x >> 30;
          table = Ahead.table;
        }
        const e = load<u64>(table + (<i32>(x >> 18) & 0xff8));
        if (((<i32>e & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (<i32>(e >> 32) & reserved)) return ~i;
        above = (e & ENTRY_ADDRESS) | <u64>(<u32>below(top, e));
      } else {
        if (load<u64>(tags + (ctz(bits) << 3)) != tag) return ~i;
        above = load<u64>(load<i32>(pde, PSC_DATA) + ((first + ctz(bits)) << 3));
      }
      const pa1 = (above & ENTRY_ADDRESS) + ((x >> 9) & 0xff8);
      if (pa1 >> 12 >= frames) return ~i;
      const e = load<u64>(low + <i32>pa1), data = leafRights(e, <i32>above), want = PTE_P | PTE_A | ((what & ACCESS_WRITE) << 5);
      if (((<i32>e & want) ^ want) | (<i32>(e >> 32) & reserved) | i32(!permits(rights + (what << 3), data))) return ~i;
      if (bits == 0) {
        cachePde(pde, tag, first, above);
        tally(d, TALLY_LONG);
      } else {
        use(pde, first + ctz(bits));
        tally(d, TALLY_SHORT);
      }
      memoClear(v, memoSlot(v, k));
      if (pa != 0) store<u64>(pa + (i << 3), (e & ENTRY_ADDRESS) | (x & 0xfff));
      const placed = select((own & NUMBER) | GLOBAL_PAGE, own, (<i32>e >>> GLOBAL_TO_CTL) & pge), entry = (e & ENTRY_ADDRESS) | <u64>(<u32>data) | PLAIN_LEVEL;
      fillFirst(d, placed, entry);
      fillSecondSoon(d + PLAIN_NEXT, placed, entry);
    }
  }
  return i;
}

/** May the loop run for `n` accesses: is every service plain, and no clock near its end? */
function ready(v: i32, n: i32): bool {
  const pde = v + VCPU_PLAIN_PSC, most = LRU_CLOCK_LIMIT - n;
  if (load<i32>(v, VCPU_UNPLAIN) | i32(load<i32>(pde, PSC_A) == 0)) return false;
  if (i32(load<i32>(load<i32>(pde, PSC_A), ARR_CLOCK) > most) | i32(load<i32>(load<i32>(pde + PSC_BYTES, PSC_A), ARR_CLOCK) > most)) return false;
  for (let service = 0; service < 3; service++) {
    const d = v + VCPU_PLAIN + service * PLAIN_BYTES;
    if (load<i32>(d, PLAIN_A) == 0 || load<i32>(load<i32>(d, PLAIN_NEXT + PLAIN_A), ARR_CLOCK) > most) return false;
  }
  return true;
}

/** Use the cached entry of level 3 with a tag: used again by the same access, it stays as it is. Its table goes to Ahead. @returns rights down to it, -1 if there is none */
function enter(pdpte: i32, tag: u64, low: i32, frames: u64): i32 {
  const first = firstOf(pdpte, tag), tags = load<i32>(pdpte, PSC_TAGS) + (first << 3), bits = candidates4(tags, tag), i = first + ctz(bits);
  if (bits == 0 || load<u64>(tags + (ctz(bits) << 3)) != tag) return -1;
  const top = load<u64>(load<i32>(pdpte, PSC_DATA) + (i << 3)), pa = top & ENTRY_ADDRESS;
  if (pa >> 12 >= frames) return -1;
  use(pdpte, i);
  Ahead.table = low + <i32>pa;
  return <i32>top & 0xfff;
}

/** Access `i` of a batch, which neither level holds, by whatever its walk is. @returns FAULT_NONE or the fault */
export function oddWalk(v: i32, va: i32, kind: i32, pa: i32, i: i32, extra: i32): i32 {
  const k = <i32>load<u8>(kind + i);
  const got = general(v, v + VCPU_PLAIN + k * PLAIN_BYTES, load<u64>(va + (i << 3)), accessOf(k) | extra);
  if (got >= FAULTED) return <i32>got;
  if (pa != 0) store<u64>(pa + (i << 3), got);
  return FAULT_NONE;
}
