// Accesses of a batch that a memo or a level of a plain TLB answers: plainAnew() again as a loop, which calls nothing, so that nothing is spilled
// for a call. The first access of any other kind ends it, untouched.
import { CNT_HITS } from "../src/layout/counter";
import { ARR_CLOCK, ARR_FRAGMENTS } from "../src/layout/array";
import {
  MODE_5LEVEL, PLAIN_A, PLAIN_BYTES, PLAIN_DATA, PLAIN_MASK, PLAIN_NEXT, PLAIN_REPL, PLAIN_TAGS, PLAIN_WAYS, TALLY_SECOND, VCPU_MODE, VCPU_PLAIN, VCPU_UNPLAIN,
} from "../src/layout/vcpu";
import { candidates, LRU_CLOCK_LIMIT } from "./array";
import { accessOf, FETCH } from "./batch";
import { count } from "./counters";
import { memoAddress, memoClear, memoEntry, memoMatches, memoPut, memoSlot } from "./memo";
import { fillFirst, GLOBAL_PAGE, LEVEL_SHIFT, ownOf, touchTreeOf } from "./plain";
import { permits } from "./rights";
import { tally } from "./tally";
import { NUMBER } from "./tlb";
import { ENTRY_ADDRESS } from "./walk";

/** Hits of a memo, counted in one number: this many bits for each service. */
export const COUNT_BITS = 21;
const COUNT_MOST = (1 << COUNT_BITS) - 1;

/** runSwift() as long as accesses are such hits, COUNT_MOST at most. Hits of the second level are tallied. @returns the index of the first that is not made */
export function hitBatch(v: i32, va: i32, kind: i32, size: i32, pa: i32, i: i32, to: i32, rights: i32): i32 {
  const unused: u64 = load<i32>(v, VCPU_MODE) == MODE_5LEVEL ? 7 : 16, ofVcpu = ownOf(v, 0), unplain = load<i32>(v, VCPU_UNPLAIN);
  let repeats: u64 = 0;
  to = min(to, i + COUNT_MOST);
  for (; i < to; i++) {
    let x: u64 = 0, k = 0, row = 0, slot = 0;
    for (; i < to; i++) { // while the memos answer
      x = load<u64>(va + (i << 3));
      k = <i32>load<u8>(kind + i);
      row = rights + (accessOf(k) << 3);
      slot = memoSlot(v, k);
      if (i32((<i32>x & 0xfff) + <i32>load<u16>(size + (i << 1)) > 4096) | i32(k > FETCH)) return ended(v, i, repeats);
      const entry = memoEntry(slot);
      if (!(i32(memoMatches(slot, x)) & i32(permits(row, <i32>entry)))) break;
      repeats += <u64>1 << <u64>(k * COUNT_BITS);
      if (pa != 0) store<u64>(pa + (i << 3), memoAddress(entry, x));
    }
    if (i == to) break;
    const d = v + VCPU_PLAIN + k * PLAIN_BYTES, own = ((x >> 12) & NUMBER) | ofVcpu;
    if (unplain | i32(load<i32>(d, PLAIN_A) == 0) | i32(<u64>((<i64>(x << unused)) >> unused) != x)) return ended(v, i, repeats);
    const ways = load<i32>(d, PLAIN_WAYS), set = <i32>own & load<i32>(d, PLAIN_MASK), first = set * ways;
    const tags = load<i32>(d, PLAIN_TAGS) + (first << 3), bits = candidates(tags, ways, own);
    let data: u64 = 0;
    if (bits != 0) {
      const w = ctz(bits), tag = load<u64>(tags + (w << 3));
      data = load<u64>(load<i32>(d, PLAIN_DATA) + ((first + w) << 3));
      if ((i32(tag != own) & i32(tag != ((own & NUMBER) | GLOBAL_PAGE))) | i32(!permits(row, <i32>data))) return ended(v, i, repeats);
      touchTreeOf(d, set, w);
      memoPut(v, slot, x, 0, data, data & ENTRY_ADDRESS);
      count(v, CNT_HITS + k, 1);
    } else {
      data = second(d + PLAIN_NEXT, own, row);
      if (data == 0) return ended(v, i, repeats);
      fillFirst(d, own, data);
      if ((data >> LEVEL_SHIFT) != 1) store<i32>(load<i32>(d, PLAIN_A), 1, ARR_FRAGMENTS);
      memoClear(v, slot);
      tally(d, TALLY_SECOND);
    }
    if (pa != 0) store<u64>(pa + (i << 3), (data & ENTRY_ADDRESS) | (x & 0xfff));
  }
  return ended(v, i, repeats);
}

/** Count the hits of the memos. @returns `i` */
@inline function ended(v: i32, i: i32, repeats: u64): i32 {
  if (repeats != 0) countRepeats(v, repeats);
  return i;
}

/** @param repeats - by service */
export function countRepeats(v: i32, repeats: u64): void {
  for (let k = 0; k < 3; k++, repeats >>= COUNT_BITS) count(v, CNT_HITS + k, <i32>repeats & COUNT_MOST);
}

/** Use an entry of the second level. @param n - its part of what the service needs @param row - of the rights table @returns TLB data, 0 if there is none to be used */
@inline function second(n: i32, own: u64, row: i32): u64 {
  const ways = load<i32>(n, PLAIN_WAYS), first = (<i32>own & load<i32>(n, PLAIN_MASK)) * ways, tags = load<i32>(n, PLAIN_TAGS) + (first << 3);
  const bits = candidates(tags, ways, own);
  if (bits == 0) return 0;
  const i = first + ctz(bits), data = load<u64>(load<i32>(n, PLAIN_DATA) + (i << 3)), a = load<i32>(n, PLAIN_A), now = load<i32>(a, ARR_CLOCK);
  if (i32(load<u64>(tags + (ctz(bits) << 3)) != own) | i32(!permits(row, <i32>data)) | i32(now == LRU_CLOCK_LIMIT)) return 0;
  const stamp = load<i32>(n, PLAIN_REPL) + (i << 2);
  if (load<i32>(stamp) != now) {
    store<i32>(a, now + 1, ARR_CLOCK);
    store<i32>(stamp, now + 1);
  }
  return data;
}
