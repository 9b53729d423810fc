// What a block of a trace touches, made (src/layout/census.ts): runSwift(), but fetches in one page are made together, before the data accesses among
// them, which leave the first level's structures for fetches alone where they have others. The first fetch may miss it; those after it repeat the
// memo, of which nothing is left but a number.
import { FAULT_NONE } from "./fault";
import { TOUCH_BYTES, TOUCH_KIND, TOUCH_SIZE } from "../src/layout/census";
import { PLAIN_A, VCPU_PLAIN } from "../src/layout/vcpu";
import { accessOf, FETCH, one } from "./batch";
import { at, countIn } from "./census";
import { flat } from "./charge";
import { COUNT_BITS, countRepeats } from "./hit-batch";
import { memoEntry, memoMatches, memoSlot } from "./memo";
import { FAULTED, searchAnew } from "./plain";
import { permits, rightsRow } from "./rights";
import { settle, TALLIED } from "./tally";

/** Hits of the memos in this call, as hitBatch() counts them. */
let repeats: u64 = 0;

/**
 * Make what a block touches up to access `to`, where a window or the block ends: of a vCPU that swift() says yes to and that has a memo for fetches alone.
 *
 * @param next - byte offset of the row to begin with @returns ... to go on with; 0: an access faulted, and which were made is not told
 */
export function runTouches(v: i32, next: i32, to: i32, extra: i32): i32 {
  const rights = rightsRow(v, extra), what = extra | (flat() && load<i32>(v + VCPU_PLAIN, PLAIN_A) ? TALLIED : 0);
  repeats = 0;
  for (; at(next = repeated(v, next, to, rights)) < to; next += TOUCH_BYTES) {
    const x = load<u64>(next), slot = memoSlot(v, load<u8>(next, TOUCH_KIND));
    for (let left = countIn(next); left != 0; left--) {
      if (anew(v, next, x, what) != FAULT_NONE) {
        next = 0;
        break;
      }
      if (left == 1 || !memoMatches(slot, x)) continue;
      repeats += (left - 1) << (FETCH * COUNT_BITS);
      break;
    }
    if (next == 0) break;
  }
  settle(v);
  countRepeats(v, repeats);
  return next;
}

/** Rows whose accesses the memos answer. @returns the first that they do not */
function repeated(v: i32, next: i32, to: i32, rights: i32): i32 {
  let hits = repeats;
  for (; at(next) < to; next += TOUCH_BYTES) {
    const x = load<u64>(next), k = <i32>load<u8>(next, TOUCH_KIND), slot = memoSlot(v, k);
    if (i32((<i32>x & 0xfff) + <i32>load<u16>(next, TOUCH_SIZE) > 4096) | i32(k > FETCH)) break;
    if (!(i32(memoMatches(slot, x)) & i32(permits(rights + (accessOf(k) << 3), <i32>memoEntry(slot))))) break;
    hits += countIn(next) << (k * COUNT_BITS);
  }
  repeats = hits;
  return next;
}

/** One access that no memo answers. @returns FAULT_NONE or the fault */
function anew(v: i32, row: i32, x: u64, what: i32): i32 {
  const k = <i32>load<u8>(row, TOUCH_KIND), bytes = <i32>load<u16>(row, TOUCH_SIZE);
  if (i32((<i32>x & 0xfff) + bytes > 4096) | i32(k > FETCH)) {
    settle(v); // a device may throw
    return one(v, x, k, bytes, 0, what & ~TALLIED);
  }
  const got = searchAnew(v, x, accessOf(k) | what);
  return got >= FAULTED ? <i32>got : FAULT_NONE;
}
