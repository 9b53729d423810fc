// Counts what a trace touches: see src/trace/page-counts.ts. `base` is the byte offset of what src/layout/census.ts describes.
import {
  CENSUS_DONE, CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KINDS, CENSUS_MARKS, CENSUS_UNMARKED, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES, CENSUS_WINDOW_SHIFT,
  CENSUS_WINDOW_STEP, FILTER_PAGE, FILTER_TAG, PAGE_STAMPS, PAGE_TOUCHES, TOUCH_AT, TOUCH_COUNT_SHIFT,
  TOUCH_LENGTH_MOST, TOUCH_NEXT, TOUCH_WORDS,
} from "../src/layout/census";
import { FETCH, MODIFY } from "./batch";

const WINDOW = 1 << CENSUS_WINDOW_SHIFT;
const OFFSET: u64 = 0xfff;

/**
 * Count accesses `from` up to but not including `to` of columns.
 *
 * @param va, kind, size - byte offsets of the columns: 8, 1 and 2 bytes an access
 * @param touches - byte offset of the words that tell what to count, and of the one to go on with; 0: there are none
 * @returns `to`, or the index of the first access with a page that the filter does not have
 */
export function countTouches(base: i32, va: i32, kind: i32, size: i32, from: i32, to: i32, touches: i32): i32 {
  let done = load<u64>(base, CENSUS_DONE), i = from, next = from != 0 && touches != 0 ? load<i32>(touches, TOUCH_NEXT) : touches + TOUCH_WORDS;
  while (i < to) {
    const past = <i32>done & (WINDOW - 1), start = i, end = min(to, i + WINDOW - past), mark = (done >> CENSUS_WINDOW_SHIFT) % CENSUS_MARKS;
    if (i32(mark == 0) & i32(past == 0)) unmark(base);
    if (touches != 0) {
      const first = min(end, at(next));
      i = each(base, va, kind, size, i, first, mark, done);
      if (i == first && i < end) {
        next = words(base, va, kind, size, next, end, mark, done);
        i = at(next);
        if (over(next, end)) {
          while (at(next) < end || !isStart(next)) next += 4; // the window cuts a segment, or may: one by one
          i = each(base, va, kind, size, i, end, mark, done);
        }
      }
    } else i = each(base, va, kind, size, i, end, mark, done);
    done += <u64>(i - start);
    if (i < end) break;
  }
  store<u64>(base, done, CENSUS_DONE);
  if (touches != 0) store<i32>(touches, next, TOUCH_NEXT);
  countKinds(base, kind, from, i);
  return i;
}

/** Access of a word. */
@inline export function at(word: i32): i32 {
  return load<i32>(word) & TOUCH_AT;
}

/** Accesses of a word. */
@inline export function countIn(word: i32): u64 {
  return (load<i32>(word) >>> TOUCH_COUNT_SHIFT) & 63;
}

/** Does a word begin a segment? */
@inline export function isStart(word: i32): bool {
  return load<i32>(word) < 0;
}

/** ... one that may not end before `end`? */
@inline export function over(word: i32, end: i32): bool {
  return (load<i32>(word) & (end - TOUCH_LENGTH_MOST - at(word))) < 0; // both signs: TOUCH_START, and too late
}

/** Count what words tell. @returns the first that is not counted: it may be of the next window, or the filter has not its pages */
function words(base: i32, va: i32, kind: i32, size: i32, next: i32, end: i32, mark: u64, done: u64): i32 {
  next = plainWords(base, va, kind, size, next, end, mark);
  while (!over(next, end) && touched(base, va, kind, size, at(next), countIn(next), mark, done)) next = plainWords(base, va, kind, size, next + 4, end, mark);
  return next;
}

/** words() while they are plain(). It calls nothing, so that nothing is spilled for a call. */
function plainWords(base: i32, va: i32, kind: i32, size: i32, next: i32, end: i32, mark: u64): i32 {
  for (; !over(next, end); next += 4) {
    const i = at(next), x = load<u64>(va + (i << 3)), row = filterRow(base, x);
    if (!plain(row, x, load<u16>(size + (i << 1)), mark)) break;
    add(load<i32>(row, FILTER_PAGE) + (<i32>load<u8>(kind + i) << 3) + PAGE_TOUCHES, countIn(next));
  }
  return next;
}

/** Count accesses one by one. @returns the first that is not counted */
function each(base: i32, va: i32, kind: i32, size: i32, i: i32, end: i32, mark: u64, done: u64): i32 {
  i = plainEach(base, va, kind, size, i, end, mark);
  while (i < end && touched(base, va, kind, size, i, 1, mark, done)) i = plainEach(base, va, kind, size, i + 1, end, mark);
  return i;
}

/** each() while they are plain(). */
function plainEach(base: i32, va: i32, kind: i32, size: i32, i: i32, end: i32, mark: u64): i32 {
  for (; i < end; i++) {
    const x = load<u64>(va + (i << 3)), row = filterRow(base, x);
    if (!plain(row, x, load<u16>(size + (i << 1)), mark)) break;
    add(load<i32>(row, FILTER_PAGE) + (<i32>load<u8>(kind + i) << 3) + PAGE_TOUCHES, 1);
  }
  return i;
}

/** Is an access all in one page, which was seen in this window? */
@inline function plain(row: i32, x: u64, size: u64, mark: u64): bool {
  return ((load<u64>(row, FILTER_TAG) ^ ((x & ~OFFSET) | mark)) | (((x & OFFSET) + size - 1) >> 12)) == 0;
}

@inline function filterRow(base: i32, va: u64): i32 {
  return base + CENSUS_FILTER + ((<i32>(va >> 12) & (CENSUS_FILTER_ROWS - 1)) << 4);
}

@inline function add(count: i32, n: u64): void {
  store<u64>(count, load<u64>(count) + n);
}

function unmark(base: i32): void {
  for (let row = base + CENSUS_FILTER, end = row + (CENSUS_FILTER_ROWS << 4); row < end; row += 16) {
    store<u64>(row, load<u64>(row, FILTER_TAG) | CENSUS_UNMARKED, FILTER_TAG);
  }
}

/** Count an access, or `n` in the page of one. @param done - accesses before the window, or some of it @returns false: the filter has not its pages */
function touched(base: i32, va: i32, kind: i32, size: i32, i: i32, n: u64, mark: u64, done: u64): bool {
  const first = load<u64>(va + (i << 3)), bytes = (<i32>first & 0xfff) + <i32>load<u16>(size + (i << 1)), service = <i32>load<u8>(kind + i) << 3;
  let x = first;
  for (let left = bytes; left > 0; left -= 4096, x += 4096) {
    const row = filterRow(base, x);
    if (load<i32>(row, FILTER_PAGE) == 0 || load<u64>(row, FILTER_TAG) >> 12 != x >> 12) return false;
  }
  x = first;
  for (let left = bytes; left > 0; left -= 4096, x += 4096) {
    const row = filterRow(base, x), page = load<i32>(row, FILTER_PAGE);
    add(page + service + PAGE_TOUCHES, n);
    stamp(base, page, done);
    store<u64>(row, (x & ~OFFSET) | mark, FILTER_TAG);
  }
  return true;
}

/** A page is seen in the current windows. They nest: seen in the current small one, it was seen in every larger one around it. */
function stamp(base: i32, page: i32, done: u64): void {
  for (let n = 0; n < CENSUS_WINDOWS; n++) {
    const now = <i32>(done >> <u64>(CENSUS_WINDOW_SHIFT + n * CENSUS_WINDOW_STEP)) + 1;
    if (load<i32>(page + (n << 2), PAGE_STAMPS) == now) return;
    store<i32>(page + (n << 2), now, PAGE_STAMPS);
    add(base + CENSUS_WINDOW_PAGES + (n << 3), 1);
  }
}

/** Accesses by kind, 16 at a time. */
function countKinds(base: i32, kind: i32, from: i32, to: i32): void {
  let i = from, sums: u64 = 0, odd: u64 = 0;
  for (; i + 16 <= to; i += 16) {
    const v = v128.load(kind + i);
    sums += <u64>popcnt(i8x16.bitmask(i8x16.eq(v, i8x16.splat(<i8>FETCH)))) << 32 | <u64>popcnt(i8x16.bitmask(i8x16.eq(v, i8x16.splat(0))));
    odd += popcnt(i8x16.bitmask(i8x16.eq(v, i8x16.splat(<i8>MODIFY))));
  }
  const loads = sums & 0xffffffff, fetches = sums >> 32, stores = <u64>(i - from) - loads - fetches - odd;
  count(base, 0, loads);
  count(base, 1, stores);
  count(base, FETCH, fetches);
  count(base, MODIFY, odd);
  for (; i < to; i++) count(base, <i32>load<u8>(kind + i), 1);
}

@inline function count(base: i32, kind: i32, n: u64): void {
  const at = base + (kind << 3);
  store<u64>(at, load<u64>(at, CENSUS_KINDS) + n, CENSUS_KINDS);
}
