// Counts what a trace touches: see src/trace/page-counts.ts. `base` is the byte offset of what src/layout/census.ts describes.
import {
  CENSUS_DONE, CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KINDS, CENSUS_MARKS, CENSUS_UNMARKED, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES, CENSUS_WINDOW_SHIFT,
  CENSUS_WINDOW_STEP, FILTER_PAGE, FILTER_TAG, PAGE_STAMPS, PAGE_TOUCHES,
} from "../src/layout/census";
import { FETCH, MODIFY } from "./batch";

const WINDOW = 1 << CENSUS_WINDOW_SHIFT;
const OFFSET: u64 = 0xfff;

/**
 * Count accesses `from` up to but not including `to` of columns.
 *
 * @param va, kind, size - byte offsets of the columns: 8, 1 and 2 bytes an access
 * @returns `to`, or the index of the first access with a page that the filter does not have
 */
export function countTouches(base: i32, va: i32, kind: i32, size: i32, from: i32, to: i32): i32 {
  let done = load<u64>(base, CENSUS_DONE), i = from;
  while (i < to) {
    const past = <i32>done & (WINDOW - 1), end = min(to, i + WINDOW - past), mark = (done >> CENSUS_WINDOW_SHIFT) % CENSUS_MARKS;
    if (i32(mark == 0) & i32(past == 0)) unmark(base);
    const start = i;
    for (; i < end; i++) {
      const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), bytes = <i32>(x & OFFSET) + <i32>load<u16>(size + (i << 1)), row = filterRow(base, x);
      const other = load<u64>(row, FILTER_TAG) ^ ((x & ~OFFSET) | mark), across = <u64>(<u32>(bytes - 1) >>> 12);
      if ((other | across) == 0) add(load<i32>(row, FILTER_PAGE) + (k << 3) + PAGE_TOUCHES);
      else if (!known(base, x, bytes)) break;
      else touch(base, x, bytes, k, mark, done);
    }
    done += <u64>(i - start);
    if (i < end) break;
  }
  store<u64>(base, done, CENSUS_DONE);
  countKinds(base, kind, from, i);
  return i;
}

@inline function filterRow(base: i32, va: u64): i32 {
  return base + CENSUS_FILTER + ((<i32>(va >> 12) & (CENSUS_FILTER_ROWS - 1)) << 4);
}

@inline function add(count: i32): void {
  store<u64>(count, load<u64>(count) + 1);
}

function unmark(base: i32): void {
  for (let row = base + CENSUS_FILTER, end = row + (CENSUS_FILTER_ROWS << 4); row < end; row += 16) {
    store<u64>(row, load<u64>(row, FILTER_TAG) | CENSUS_UNMARKED, FILTER_TAG);
  }
}

/** Has the filter all pages of an access? */
function known(base: i32, va: u64, bytes: i32): bool {
  for (let left = bytes; left > 0; left -= 4096) {
    const row = filterRow(base, va);
    if (load<i32>(row, FILTER_PAGE) == 0 || load<u64>(row, FILTER_TAG) >> 12 != va >> 12) return false;
    va += 4096;
  }
  return true;
}

/** Count an access to pages that the filter has. @param done - accesses before the window, or some of it */
function touch(base: i32, va: u64, bytes: i32, kind: i32, mark: u64, done: u64): void {
  for (let left = bytes; left > 0; left -= 4096) {
    const row = filterRow(base, va), page = load<i32>(row, FILTER_PAGE);
    add(page + (kind << 3) + PAGE_TOUCHES);
    stamp(base, page, done);
    store<u64>(row, (va & ~OFFSET) | mark, FILTER_TAG);
    va += 4096;
  }
}

/** A page is seen in the current windows. They nest: seen in the current small one, it was seen in every larger one around it. */
function stamp(base: i32, page: i32, done: u64): void {
  for (let n = 0; n < CENSUS_WINDOWS; n++) {
    const now = <i32>(done >> <u64>(CENSUS_WINDOW_SHIFT + n * CENSUS_WINDOW_STEP)) + 1;
    if (load<i32>(page + (n << 2), PAGE_STAMPS) == now) return;
    store<i32>(page + (n << 2), now, PAGE_STAMPS);
    add(base + CENSUS_WINDOW_PAGES + (n << 3));
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
