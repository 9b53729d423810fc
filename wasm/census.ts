// Counts what a trace touches: see src/trace/page-counts.ts. The memory is that of src/layout/census.ts and no machine's.
import {
  CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KIND, CENSUS_KINDS, CENSUS_NOW, CENSUS_SIZE, CENSUS_VA, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES, FILTER_PAGE, FILTER_TAG,
  PAGE_STAMPS, PAGE_TOUCHES,
} from "../src/layout/census";
import { FETCH, MODIFY } from "./batch";

const KIND_BITS: u64 = 16;

/**
 * Count accesses `from` up to but not including `to` of the columns, all in one window of the smallest size.
 *
 * @returns `to`, or the index of the first access with a page that the filter does not have
 */
export function countTouches(from: i32, to: i32): i32 {
  const now = load<i32>(0, CENSUS_NOW);
  let kinds: u64 = 0, i = from;
  for (; i < to; i++) {
    const x = load<u64>(i << 3, CENSUS_VA), kind = <i32>load<u8>(i, CENSUS_KIND), bytes = (<i32>x & 0xfff) + <i32>load<u16>(i << 1, CENSUS_SIZE);
    const row = filterRow(x), page = load<i32>(row, FILTER_PAGE), plain = i32(bytes <= 4096) & i32(kind <= FETCH);
    if (i32(load<u64>(row, FILTER_TAG) != (x | 0xfff))) break;
    if (plain) {
      add(page + (kind << 3) + PAGE_TOUCHES);
      if (load<i32>(page, PAGE_STAMPS) != now) stamp(page);
    } else {
      if (!known(x, bytes)) break;
      touch(x, bytes, kind);
    }
    kinds += <u64>1 << (<u64>kind * KIND_BITS); // a window has fewer than 65536 accesses
  }
  for (let k = 0; k < 4; k++) {
    store<u64>(k << 3, load<u64>(k << 3, CENSUS_KINDS) + (kinds & 0xffff), CENSUS_KINDS);
    kinds >>= KIND_BITS;
  }
  return i;
}

@inline function filterRow(va: u64): i32 {
  return CENSUS_FILTER + ((<i32>(va >> 12) & (CENSUS_FILTER_ROWS - 1)) << 4);
}

@inline function add(count: i32): void {
  store<u64>(count, load<u64>(count) + 1);
}

/** Has the filter all pages of an access? */
function known(va: u64, bytes: i32): bool {
  for (let left = bytes; left > 0; left -= 4096) {
    if (load<u64>(filterRow(va), FILTER_TAG) != (va | 0xfff)) return false;
    va += 4096;
  }
  return true;
}

/** Count an access that is a modify or crosses pages. */
function touch(va: u64, bytes: i32, kind: i32): void {
  for (let left = bytes; left > 0; left -= 4096) {
    const page = load<i32>(filterRow(va), FILTER_PAGE);
    if (kind != MODIFY) add(page + (kind << 3) + PAGE_TOUCHES);
    else {
      add(page + PAGE_TOUCHES);
      add(page + PAGE_TOUCHES + 8);
    }
    stamp(page);
    va += 4096;
  }
}

/** A page is seen in the current windows. They nest: seen in the current small one, it was seen in every larger one around it. */
function stamp(page: i32): void {
  for (let n = 0; n < CENSUS_WINDOWS; n++) {
    const now = load<i32>(n << 2, CENSUS_NOW);
    if (load<i32>(page + (n << 2), PAGE_STAMPS) == now) return;
    store<i32>(page + (n << 2), now, PAGE_STAMPS);
    add(CENSUS_WINDOW_PAGES + (n << 3));
  }
}
