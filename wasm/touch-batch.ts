// A block of a trace whose reader tells which fetches are all in one page (src/layout/census.ts): runSwift(), but these are made together, before the
// data accesses among them, which leave the first level's structures for fetches alone where they have others. The first fetch may miss it; those
// after it repeat the memo, of which nothing is left but a number.
import { FAULT_NONE } from "./fault";
import { TOUCH_NEXT, TOUCH_WORDS } from "../src/layout/census";
import { PLAIN_A, VCPU_PLAIN } from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { accessOf, FETCH, one, runBatch, stopped } from "./batch";
import { at, countIn, isStart, over } from "./census";
import { flat } from "./charge";
import { COUNT_BITS, countRepeats } from "./hit-batch";
import { memoEntry, memoMatches, memoSlot } from "./memo";
import { FAULTED, searchAnew } from "./plain";
import { permits, rightsRow } from "./rights";
import { runSwift, swift } from "./swift-batch";
import { settle, TALLIED } from "./tally";

/** Hits of the memos in this call, as hitBatch() counts them. */
let repeats: u64 = 0;

/**
 * runBatch() of accesses of a block, one call after another from its first access on.
 *
 * @param touches - byte offset of the block's words, and of the one to go on with
 * @returns `to`, or the index of the first access that faulted: with others of its segment after it, perhaps, made
 */
export function runTouches(v: i32, va: i32, kind: i32, size: i32, touches: i32, from: i32, to: i32, extra: i32): i32 {
  const fetches = memoSlot(v, FETCH);
  if (!swift(v, extra) | i32(fetches == v) | i32(fetches == memoSlot(v, 0)) | i32(fetches == memoSlot(v, 1))) return runBatch(v, va, kind, size, 0, from, to, extra);
  const rights = rightsRow(v, extra), what = extra | (flat() && load<i32>(v + VCPU_PLAIN, PLAIN_A) ? TALLIED : 0);
  let next = from == 0 ? touches + TOUCH_WORDS : load<i32>(touches, TOUCH_NEXT), i = from;
  const first = min(to, at(next)); // what is left of a segment that the last call cut
  if (i < first && (i = runSwift(v, va, kind, size, 0, i, first, extra, rights)) < first) return i;
  repeats = 0;
  while (!over(next = repeated(v, va, kind, size, next, to, rights), to)) {
    if (Ahead.walks >= GROUP) break; // runSwift() reads ahead
    i = at(next);
    for (let left = countIn(next); left != 0; left--) {
      const fault = anew(v, va, kind, size, i, what);
      if (fault != FAULT_NONE) {
        settle(v);
        countRepeats(v, repeats);
        return stopped(v, i, fault);
      }
      if (left == 1 || !memoMatches(fetches, load<u64>(va + (i << 3)))) continue;
      repeats += (left - 1) << (FETCH * COUNT_BITS);
      break;
    }
    next += 4;
  }
  settle(v);
  countRepeats(v, repeats);
  i = at(next);
  while (at(next) < to || !isStart(next)) next += 4;
  store<i32>(touches, next, TOUCH_NEXT);
  return i < to ? runSwift(v, va, kind, size, 0, i, to, extra, rights) : to;
}

/** Words whose accesses the memos answer. @returns the first that they do not, or that begins a segment which may not end before `to` */
function repeated(v: i32, va: i32, kind: i32, size: i32, next: i32, to: i32, rights: i32): i32 {
  let hits = repeats;
  for (; !over(next, to); next += 4) {
    const i = at(next), x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), slot = memoSlot(v, k);
    if (i32((<i32>x & 0xfff) + <i32>load<u16>(size + (i << 1)) > 4096) | i32(k > FETCH)) break;
    if (!(i32(memoMatches(slot, x)) & i32(permits(rights + (accessOf(k) << 3), <i32>memoEntry(slot))))) break;
    hits += countIn(next) << (k * COUNT_BITS);
  }
  repeats = hits;
  return next;
}

/** Access `i`, that no memo answers. @returns FAULT_NONE or the fault */
function anew(v: i32, va: i32, kind: i32, size: i32, i: i32, what: i32): i32 {
  const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), bytes = <i32>load<u16>(size + (i << 1));
  if (i32((<i32>x & 0xfff) + bytes > 4096) | i32(k > FETCH)) {
    settle(v); // a device may throw
    return one(v, x, k, bytes, 0, what & ~TALLIED);
  }
  const got = searchAnew(v, x, accessOf(k) | what);
  return got >= FAULTED ? <i32>got : FAULT_NONE;
}
