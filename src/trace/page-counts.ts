/** The counting of a census, in TypeScript and wasm (wasm/census.ts): the same counts, beside a machine's state. */
import {
  CENSUS_BYTES, CENSUS_DONE, CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KINDS, CENSUS_MARKS, CENSUS_UNMARKED, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES,
  CENSUS_WINDOW_SHIFT, CENSUS_WINDOW_STEP, FILTER_PAGE, FILTER_TAG, PAGE_ROW_BYTES, PAGE_STAMPS, PAGE_TOUCHES,
  TOUCH_AT, TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_SIZE, TOUCH_WORD,
} from '../layout/census.ts';
import type { AccessInput } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
import type { Touches } from '../machine/touch-batch.ts';
import { KIND_FETCH, KIND_MODIFY } from './batch.ts';

/** Pages that room is made for each time there is none. */
const MORE_PAGES = 4096;
const WINDOW = 1 << CENSUS_WINDOW_SHIFT;

export class PageCounts {
  private readonly machine: Machine;
  /** Byte offset, and word index. */
  private readonly base: number;
  private readonly b: number;
  /** Where the rows of pages are, MORE_PAGES each. */
  private readonly rows: number[] = [];

  /** @param machine - in whose memory there is room @throws ConfigError - there is none */
  constructor(machine: Machine) {
    this.machine = machine;
    this.base = machine.views.grow(CENSUS_BYTES);
    this.b = this.base >>> 2;
  }

  /** Count anew. @param pages - that were counted */
  clear(pages: number): void {
    const { w } = this.machine.views;
    w.fill(0, this.b, this.b + (CENSUS_BYTES >>> 2));
    this.rows.forEach((row, k) => w.fill(0, row >>> 2, (row >>> 2) + Math.max(0, Math.min(MORE_PAGES, pages - k * MORE_PAGES)) * (PAGE_ROW_BYTES >>> 2)));
  }

  get accesses(): number {
    return this.at(CENSUS_DONE);
  }

  /** Accesses of a kind. */
  kind(kind: number): number {
    return this.at(CENSUS_KINDS + 8 * kind);
  }

  /** Distinct pages, summed over the windows of a size. @param n - the size: WINDOW << n * CENSUS_WINDOW_STEP accesses */
  windowPages(n: number): number {
    return this.at(CENSUS_WINDOW_PAGES + 8 * n);
  }

  /** @param place - of a page in the order of first touches @param kind - load, store or fetch; a modify is a load and a store */
  touches(place: number, kind: number): number {
    const row = this.row(place) + PAGE_TOUCHES - this.base;
    return this.at(row + 8 * kind) + (kind === KIND_FETCH ? 0 : this.at(row + 8 * KIND_MODIFY));
  }

  /** Puts a page into the filter. @param page - linear address >> 12 @param place - in the order of first touches */
  know(page: number, place: number): void {
    const row = this.row(place), { w } = this.machine.views, at = filterRow(this.b, page << 12);
    w[at + (FILTER_TAG >>> 2)] = (page << 12) | CENSUS_UNMARKED;
    w[at + (FILTER_TAG >>> 2) + 1] = Math.floor(page / 0x100000) | 0;
    w[at + (FILTER_PAGE >>> 2)] = row;
  }

  /**
   * Count accesses `from` up to but not including `to` of columns of the machine.
   *
   * @returns `to`, or the index of the first access with a page that the filter does not have
   */
  columns(columns: AccessInput, from: number, to: number): number {
    const { accelerator } = this.machine, { offsets } = columns;
    if (accelerator && offsets) return accelerator.countColumns(this.base, offsets.va, offsets.kind, offsets.size, from, to);
    let i = from;
    while (i < to) {
      const done = this.accesses, past = done % WINDOW, end = Math.min(to, i + WINDOW - past), stop = this.window(columns, i, end, this.mark(done), done);
      add(this.machine.views.w, this.b + (CENSUS_DONE >>> 2), stop - i);
      i = stop;
      if (i < end) break;
    }
    return i;
  }

  /**
   * Count what a block touches, up to access `to`, its last one.
   *
   * @param next - row to begin with: word index @returns ... of the first with a page that the filter does not have, or of that behind the block
   */
  touched({ rows, offset }: Touches, next: number, to: number): number {
    const { accelerator } = this.machine, before = this.accesses;
    if (accelerator) return (accelerator.countTouches(this.base, offset + next * 4, to) >>> 0) - offset >>> 2;
    for (let at = rows[next + (TOUCH_WORD >>> 2)] & TOUCH_AT; at < to;) {
      const done = before + at, end = Math.min(to, at + WINDOW - (done % WINDOW));
      next = this.touchedIn(rows, next, end, this.mark(done), done);
      at = rows[next + (TOUCH_WORD >>> 2)] & TOUCH_AT;
      if (at < end) return next;
    }
    add(this.machine.views.w, this.b + (CENSUS_DONE >>> 2), to);
    return next;
  }

  /** Of the smallest window that an access is in; all are taken away where they begin anew. @param done - accesses before it */
  private mark(done: number): number {
    const mark = Math.floor(done / WINDOW) % CENSUS_MARKS;
    if (mark === 0 && done % WINDOW === 0) this.unmark();
    return mark;
  }

  /** Accesses of one window of the smallest size. */
  private window({ va, kind, size }: AccessInput, from: number, to: number, mark: number, done: number): number {
    const { b } = this, { w } = this.machine.views;
    let few = 0, more = 0, i = from; // accesses by kind, 16 bits each: kinds 0 and 1, 2 and 3; no processor can predict kinds
    for (; i < to; i++) {
      const lo = va[2 * i], hi = va[2 * i + 1], k = kind[i], bytes = (lo & 0xfff) + size[i], row = filterRow(b, lo);
      if (w[row + (FILTER_TAG >>> 2)] === ((lo & ~0xfff) | mark) && w[row + (FILTER_TAG >>> 2) + 1] === hi && (bytes - 1) >>> 12 === 0) {
        add(w, (w[row + (FILTER_PAGE >>> 2)] >>> 2) + (PAGE_TOUCHES >>> 2) + 2 * k, 1);
      } else if (!this.known(lo, hi, bytes)) break;
      else this.touch(lo, bytes, k, 1, mark, done);
      const one = 1 << ((k & 1) << 4), second = -(k >> 1);
      few += one & ~second;
      more += one & second;
    }
    this.countKinds(few, more);
    return i;
  }

  /** window() of rows. */
  private touchedIn(rows: Int32Array, next: number, to: number, mark: number, done: number): number {
    const { b } = this, { w } = this.machine.views;
    let few = 0, more = 0;
    for (; ; next += TOUCH_BYTES >>> 2) {
      const word = rows[next + (TOUCH_WORD >>> 2)], n = word >>> TOUCH_COUNT_SHIFT;
      if ((word & TOUCH_AT) >= to) break;
      const lo = rows[next], hi = rows[next + 1], shape = rows[next + (TOUCH_SIZE >>> 2)], k = shape >>> 16, bytes = (lo & 0xfff) + (shape & 0xffff), row = filterRow(b, lo);
      if (w[row + (FILTER_TAG >>> 2)] === ((lo & ~0xfff) | mark) && w[row + (FILTER_TAG >>> 2) + 1] === hi && (bytes - 1) >>> 12 === 0) {
        add(w, (w[row + (FILTER_PAGE >>> 2)] >>> 2) + (PAGE_TOUCHES >>> 2) + 2 * k, n);
      } else if (!this.known(lo, hi, bytes)) break;
      else this.touch(lo, bytes, k, n, mark, done);
      const some = n << ((k & 1) << 4), second = -(k >> 1);
      few += some & ~second;
      more += some & second;
    }
    this.countKinds(few, more);
    return next;
  }

  /** Add accesses by kind, 16 bits each. */
  private countKinds(few: number, more: number): void {
    const { b } = this, { w } = this.machine.views;
    [few & 0xffff, few >>> 16, more & 0xffff, more >>> 16].forEach((n, k) => add(w, b + (CENSUS_KINDS >>> 2) + 2 * k, n));
  }

  private unmark(): void {
    const { w } = this.machine.views, first = this.b + (CENSUS_FILTER >>> 2);
    for (let row = first; row < first + CENSUS_FILTER_ROWS * 4; row += 4) w[row + (FILTER_TAG >>> 2)] |= CENSUS_UNMARKED;
  }

  /** Has the filter all pages of an access? */
  private known(lo: number, hi: number, bytes: number): boolean {
    const { w } = this.machine.views;
    for (let left = bytes; left > 0; left -= 4096) {
      const row = filterRow(this.b, lo);
      if (w[row + (FILTER_PAGE >>> 2)] === 0 || w[row + (FILTER_TAG >>> 2)] >>> 12 !== lo >>> 12 || w[row + (FILTER_TAG >>> 2) + 1] !== hi) return false;
      lo = (lo + 4096) | 0;
      if (lo >>> 0 < 4096) hi = (hi + 1) | 0;
    }
    return true;
  }

  /** Count `n` accesses to pages that the filter has. @param done - accesses before the window, or some of it */
  private touch(va: number, bytes: number, kind: number, n: number, mark: number, done: number): void {
    const { w } = this.machine.views;
    for (let left = bytes, lo = va; left > 0; left -= 4096, lo = (lo + 4096) | 0) {
      const row = filterRow(this.b, lo), page = w[row + (FILTER_PAGE >>> 2)] >>> 2;
      add(w, page + (PAGE_TOUCHES >>> 2) + 2 * kind, n);
      this.stamp(page, done);
      w[row + (FILTER_TAG >>> 2)] = (lo & ~0xfff) | mark;
    }
  }

  /** A page is seen in the current windows. They nest: seen in the current small one, it was seen in every larger one around it. */
  private stamp(page: number, done: number): void {
    const { w } = this.machine.views;
    for (let n = 0; n < CENSUS_WINDOWS; n++) {
      const now = (Math.floor(done / (WINDOW << (n * CENSUS_WINDOW_STEP))) + 1) | 0, at = page + (PAGE_STAMPS >>> 2) + n;
      if (w[at] === now) return;
      w[at] = now;
      add(w, this.b + (CENSUS_WINDOW_PAGES >>> 2) + 2 * n, 1);
    }
  }

  /** Byte offset of a page's row; room is made for it. */
  private row(place: number): number {
    const { rows } = this, k = Math.floor(place / MORE_PAGES);
    if (k === rows.length) rows.push(this.machine.views.grow(MORE_PAGES * PAGE_ROW_BYTES));
    return rows[k] + (place % MORE_PAGES) * PAGE_ROW_BYTES;
  }

  /** A count, by its offset from the base. */
  private at(count: number): number {
    const { w } = this.machine.views, at = this.b + (count >>> 2);
    return (w[at + 1] >>> 0) * 2 ** 32 + (w[at] >>> 0);
  }
}

/** Word index. */
function filterRow(b: number, lo: number): number {
  return b + (CENSUS_FILTER >>> 2) + (((lo >>> 12) & (CENSUS_FILTER_ROWS - 1)) << 2);
}

/** @param n - 0 to 65535 */
function add(w: Int32Array, count: number, n: number): void {
  const sum = (w[count] + n) | 0;
  w[count] = sum;
  if (sum >>> 0 < n) w[count + 1]++;
}
