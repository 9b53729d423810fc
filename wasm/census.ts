// Counts what a trace touches: see src/trace/page-counts.ts. `base` is the byte offset of what src/layout/census.ts describes.
import {
  CENSUS_DONE, CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KINDS, CENSUS_MARKS, CENSUS_UNMARKED, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES, CENSUS_WINDOW_SHIFT,
  CENSUS_WINDOW_STEP, FILTER_PAGE, FILTER_TAG, PAGE_STAMPS, PAGE_TOUCHES, TOUCH_AT, TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_KIND, TOUCH_SIZE, TOUCH_WORD,
} from "../src/layout/census";

const WINDOW = 1 << CENSUS_WINDOW_SHIFT;
const OFFSET: u64 = 0xfff;

/** Accesses of a window by kind, 16 bits each. */
let kinds: u64 = 0;

/**
 * Count accesses `from` up to but not including `to` of columns.
 *
 * @param va, kind, size - byte offsets of the columns: 8, 1 and 2 bytes an access
 * @returns `to`, or the index of the first access with a page that the filter does not have
 */
export function countColumns(base: i32, va: i32, kind: i32, size: i32, from: i32, to: i32): i32 {
  let done = load<u64>(base, CENSUS_DONE), i = from;
  while (i < to) {
    const start = i, end = windowEnd(base, i, to, done), mark = markOf(done);
    i = plainColumns(base, va, kind, size, i, end, mark);
    while (i < end && touched(base, load<u64>(va + (i << 3)), load<u16>(size + (i << 1)), load<u8>(kind + i), 1, mark, done)) i = plainColumns(base, va, kind, size, i + 1, end, mark);
    done += <u64>(i - start);
    countKinds(base);
    if (i < end) break;
  }
  store<u64>(base, done, CENSUS_DONE);
  return i;
}

/** Where the window that access `i` is in ends, or `to`. All marks are taken away where they begin anew. @param done - accesses before it */
function windowEnd(base: i32, i: i32, to: i32, done: u64): i32 {
  const past = <i32>done & (WINDOW - 1);
  if (i32(past == 0) & i32(markOf(done) == 0)) unmark(base);
  return min(to, i + WINDOW - past);
}

@inline function markOf(done: u64): u64 {
  return (done >> CENSUS_WINDOW_SHIFT) % CENSUS_MARKS;
}

/** Count accesses that are plain(). It calls nothing, so that nothing is spilled for a call. @returns the first that is not */
function plainColumns(base: i32, va: i32, kind: i32, size: i32, i: i32, end: i32, mark: u64): i32 {
  let sum = kinds;
  for (; i < end; i++) {
    const x = load<u64>(va + (i << 3)), row = filterRow(base, x), k = <i32>load<u8>(kind + i);
    if (!plain(row, x, load<u16>(size + (i << 1)), mark)) break;
    add(load<i32>(row, FILTER_PAGE) + (k << 3) + PAGE_TOUCHES, 1);
    sum += <u64>1 << <u64>(k << 4);
  }
  kinds = sum;
  return i;
}

/**
 * Count what a block touches, up to access `to`, its last one.
 *
 * @param next - byte offset of the row to begin with @returns ... of the first with a page that the filter does not have, or of that behind the block
 */
export function countTouches(base: i32, next: i32, to: i32): i32 {
  const before = load<u64>(base, CENSUS_DONE);
  while (at(next) < to) {
    const done = before + <u64>at(next), end = windowEnd(base, at(next), to, done), mark = markOf(done);
    next = plainTouches(base, next, end, mark);
    while (at(next) < end && touched(base, load<u64>(next), load<u16>(next, TOUCH_SIZE), load<u8>(next, TOUCH_KIND), countIn(next), mark, done)) {
      next = plainTouches(base, next + TOUCH_BYTES, end, mark);
    }
    countKinds(base);
    if (at(next) < end) return next;
  }
  store<u64>(base, before + <u64>to, CENSUS_DONE);
  return next;
}

/** plainColumns() of rows. */
function plainTouches(base: i32, next: i32, end: i32, mark: u64): i32 {
  let sum = kinds;
  for (; at(next) < end; next += TOUCH_BYTES) {
    const x = load<u64>(next), row = filterRow(base, x), n = countIn(next), kind = <i32>load<u8>(next, TOUCH_KIND);
    if (!plain(row, x, load<u16>(next, TOUCH_SIZE), mark)) break;
    add(load<i32>(row, FILTER_PAGE) + (kind << 3) + PAGE_TOUCHES, n);
    sum += n << <u64>(kind << 4);
  }
  kinds = sum;
  return next;
}

/** Access of a row. */
@inline export function at(row: i32): i32 {
  return load<i32>(row, TOUCH_WORD) & TOUCH_AT;
}

/** Accesses of a row. */
@inline export function countIn(row: i32): u64 {
  return load<u32>(row, TOUCH_WORD) >>> TOUCH_COUNT_SHIFT;
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

/** Count `n` accesses like this one. @param done - accesses before it in the same window, or some of them @returns false: the filter has not its pages */
function touched(base: i32, va: u64, size: i32, kind: i32, n: u64, mark: u64, done: u64): bool {
  const bytes = (<i32>va & 0xfff) + size;
  let x = va;
  for (let left = bytes; left > 0; left -= 4096, x += 4096) {
    const row = filterRow(base, x);
    if (load<i32>(row, FILTER_PAGE) == 0 || load<u64>(row, FILTER_TAG) >> 12 != x >> 12) return false;
  }
  kinds += n << <u64>(kind << 4);
  x = va;
  for (let left = bytes; left > 0; left -= 4096, x += 4096) {
    const row = filterRow(base, x), page = load<i32>(row, FILTER_PAGE);
    add(page + (kind << 3) + PAGE_TOUCHES, n);
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

/** Add the accesses of a window by kind. */
function countKinds(base: i32): void {
  for (let at = base; kinds != 0; at += 8, kinds >>= 16) add(at + CENSUS_KINDS, kinds & 0xffff);
}
