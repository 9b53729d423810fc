/** The memory of a census, and the counting in TypeScript and wasm (wasm/census.ts): the same bytes. */
import { lone } from '../accel/lone.ts';
import {
  CENSUS_FILTER, CENSUS_FILTER_ROWS, CENSUS_KIND, CENSUS_KINDS, CENSUS_NOW, CENSUS_PAGES, CENSUS_SIZE, CENSUS_VA, CENSUS_WINDOWS, CENSUS_WINDOW_PAGES,
  FILTER_PAGE, FILTER_TAG, PAGE_ROW_BYTES, PAGE_STAMPS, PAGE_TOUCHES,
} from '../layout/census.ts';
import type { EngineChoice } from '../machine/options.ts';
import { KIND_FETCH, KIND_MODIFY, KIND_STORE } from './batch.ts';

/** Pages that there is room for at first, and more each time there is none. */
const MORE_PAGES = 4096;

export class PageCounts {
  w!: Int32Array;
  u8!: Uint8Array;
  u16!: Uint16Array;
  private readonly memory: { readonly buffer: ArrayBufferLike; grow(bytes: number): void };
  private readonly wasm: ((from: number, to: number) => number) | undefined;

  constructor(engine: EngineChoice = 'auto') {
    const bytes = CENSUS_PAGES + MORE_PAGES * PAGE_ROW_BYTES, wasm = engine === 'ts' ? undefined : lone(bytes);
    this.wasm = wasm?.engine.countTouches;
    this.memory = wasm ?? {
      buffer: new ArrayBuffer(bytes),
      grow(more) {
        const larger = new ArrayBuffer(this.buffer.byteLength + more);
        new Uint8Array(larger).set(new Uint8Array(this.buffer));
        Object.assign(this, { buffer: larger });
      },
    };
    this.look();
  }

  /** Byte offset of the row of a page, by its place in the order of first touches; room is made for it. */
  row(place: number): number {
    const row = CENSUS_PAGES + place * PAGE_ROW_BYTES;
    if (row + PAGE_ROW_BYTES <= this.u8.length) return row;
    this.memory.grow(MORE_PAGES * PAGE_ROW_BYTES);
    this.look();
    return row;
  }

  /** A count, by its byte offset. */
  at(count: number): number {
    return (this.w[(count >>> 2) + 1] >>> 0) * 2 ** 32 + (this.w[count >>> 2] >>> 0);
  }

  /** Puts a page into the filter. @param page - linear address >> 12 */
  know(page: number, row: number): void {
    const at = (CENSUS_FILTER + (page % CENSUS_FILTER_ROWS) * 16) >>> 2;
    this.w[at + (FILTER_TAG >>> 2)] = (page << 12) | 0xfff;
    this.w[at + (FILTER_TAG >>> 2) + 1] = Math.floor(page / 0x100000) | 0;
    this.w[at + (FILTER_PAGE >>> 2)] = row;
  }

  /**
   * Count accesses `from` up to but not including `to` of the columns, all in one window of the smallest size.
   *
   * @returns `to`, or the index of the first access with a page that the filter does not have
   */
  count(from: number, to: number): number {
    if (this.wasm !== undefined) return this.wasm(from, to);
    const { w, u8, u16 } = this, now = w[CENSUS_NOW >>> 2];
    let few = 0, more = 0, i = from; // accesses by kind, 16 bits each: kinds 0 and 1, 2 and 3; no processor can predict kinds
    for (; i < to; i++) {
      const lo = w[(CENSUS_VA >>> 2) + 2 * i], hi = w[(CENSUS_VA >>> 2) + 2 * i + 1], kind = u8[CENSUS_KIND + i];
      const bytes = (lo & 0xfff) + u16[(CENSUS_SIZE >>> 1) + i], row = filterRow(lo), page = w[row + (FILTER_PAGE >>> 2)] >>> 2;
      if (w[row + (FILTER_TAG >>> 2)] !== (lo | 0xfff) || w[row + (FILTER_TAG >>> 2) + 1] !== hi) break;
      if (kind <= KIND_FETCH && bytes <= 4096 && w[page + (PAGE_STAMPS >>> 2)] === now) add(w, page + (PAGE_TOUCHES >>> 2) + 2 * kind);
      else {
        if (!this.known(lo, hi, bytes)) break;
        for (let at = lo, left = bytes; left > 0; left -= 4096, at = (at + 4096) | 0) this.touch(w[filterRow(at) + (FILTER_PAGE >>> 2)] >>> 2, kind);
      }
      const one = 1 << ((kind & 1) << 4), second = -(kind >> 1);
      few += one & ~second;
      more += one & second;
    }
    [few & 0xffff, few >>> 16, more & 0xffff, more >>> 16].forEach((n, k) => add(w, (CENSUS_KINDS >>> 2) + 2 * k, n));
    return i;
  }

  /** Has the filter all pages of an access? */
  private known(lo: number, hi: number, bytes: number): boolean {
    const { w } = this;
    for (let left = bytes; left > 0; left -= 4096) {
      const row = filterRow(lo);
      if (w[row + (FILTER_TAG >>> 2)] !== (lo | 0xfff) || w[row + (FILTER_TAG >>> 2) + 1] !== hi) return false;
      lo = (lo + 4096) | 0;
      if (lo >>> 0 < 4096) hi = (hi + 1) | 0;
    }
    return true;
  }

  private touch(page: number, kind: number): void {
    const { w } = this;
    if (kind !== KIND_MODIFY) add(w, page + (PAGE_TOUCHES >>> 2) + 2 * kind);
    else {
      add(w, page + (PAGE_TOUCHES >>> 2));
      add(w, page + (PAGE_TOUCHES >>> 2) + 2 * KIND_STORE);
    }
    // Windows nest: a page seen in the current small one was seen in every larger one around it.
    for (let n = 0; n < CENSUS_WINDOWS; n++) {
      const stamp = page + (PAGE_STAMPS >>> 2) + n, now = w[(CENSUS_NOW >>> 2) + n];
      if (w[stamp] === now) return;
      w[stamp] = now;
      add(w, (CENSUS_WINDOW_PAGES >>> 2) + 2 * n);
    }
  }

  private look(): void {
    const { buffer } = this.memory;
    this.w = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
  }
}

/** Word index. */
function filterRow(lo: number): number {
  return (CENSUS_FILTER >>> 2) + (((lo >>> 12) & (CENSUS_FILTER_ROWS - 1)) << 2);
}

function add(w: Int32Array, count: number, n = 1): void {
  const sum = w[count] + n;
  w[count] = sum;
  if (w[count] >>> 0 < n) w[count + 1]++;
}
