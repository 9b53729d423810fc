/** What a block of a `.pwt` trace touches, row by row (layout/census.ts), in the model's memory. */
import { CENSUS_WINDOW_SHIFT, TOUCH_AT, TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_SIZE, TOUCH_WORD } from '../layout/census.ts';
import { PWT_BLOCK_TOUCHES, PWT_KNOWN_KIND, PWT_KNOWN_SIZE, PWT_KNOWN_VA } from '../layout/pwt.ts';
import { KIND_FETCH } from './batch.ts';
import type { PwtModel } from './pwt-model.ts';

const WINDOW = 1 << CENSUS_WINDOW_SHIFT;
const WORDS = TOUCH_BYTES >>> 2;
/** Shape of fetches in one page, of which only the page counts. */
const TOGETHER = 1 | (KIND_FETCH << 16);

/** Rows are word indices. */
export class PwtTouches {
  private readonly model: PwtModel;
  /** Where the next row goes, and the first one of the segment. */
  private at = 0;
  private first = 0;
  /** Access of the block at which the next window begins. */
  private edge = 0;

  constructor(model: PwtModel) {
    this.model = model;
  }

  /** A block begins. @param before - accesses before it */
  begin(before: number): void {
    this.at = (PWT_BLOCK_TOUCHES + TOUCH_BYTES) >>> 2;
    this.edge = WINDOW - (before % WINDOW);
  }

  /** A segment begins, at access `done` of the block. @param row - of the segment */
  open(row: number, done: number): void {
    const { model, at } = this, together = model.together(row);
    this.first = at;
    if (together === 0) return;
    const va = (PWT_KNOWN_VA >>> 2) + model.first(row) * 2, { w } = model;
    this.put(w[va], w[va + 1], (together << TOUCH_COUNT_SHIFT) | done, TOGETHER);
  }

  put(lo: number, hi: number, word: number, shape: number): void {
    const { w } = this.model, { at } = this;
    w[at] = lo;
    w[at + 1] = hi;
    w[at + (TOUCH_WORD >>> 2)] = word;
    w[at + (TOUCH_SIZE >>> 2)] = shape; // and the kind
    this.at = at + WORDS;
  }

  /** So many rows are put by the caller. @returns the first */
  take(rows: number): number {
    const { at } = this;
    this.at = at + rows * WORDS;
    return at;
  }

  /** A segment ends: its data accesses have their rows. */
  close(row: number, done: number, length: number): void {
    if (this.model.together(row) === 0) this.spread(this.model.first(row), done, length);
    else if (done + length > this.edge) this.split(done);
    if (done + length >= this.edge) this.edge += WINDOW;
  }

  /** @param count - accesses of the block */
  end(count: number): void {
    const { model: { w }, at } = this;
    w[at + (TOUCH_WORD >>> 2)] = count;
    w[PWT_BLOCK_TOUCHES >>> 2] = (at - (PWT_BLOCK_TOUCHES >>> 2)) / WORDS;
  }

  /** A segment whose fetches are not all in one page: a row for each, among those of its data. @param known - its first access in the columns of those known */
  private spread(known: number, done: number, length: number): void {
    const { w, u8, u16 } = this.model, end = this.first + length * WORDS;
    for (let k = length - 1, from = this.at, to = end; k >= 0; k--) {
      to -= WORDS;
      if (u8[PWT_KNOWN_KIND + known + k] === KIND_FETCH) {
        const va = (PWT_KNOWN_VA >>> 2) + (known + k) * 2;
        this.at = to;
        this.put(w[va], w[va + 1], (1 << TOUCH_COUNT_SHIFT) | (done + k), u16[(PWT_KNOWN_SIZE >>> 1) + known + k] | (KIND_FETCH << 16));
      } else w.copyWithin(to, from -= WORDS, from + WORDS);
    }
    this.at = end;
  }

  /** Fetches that are one row, and reach over the edge of a window: two. */
  private split(done: number): void {
    const { model: { w }, first, edge } = this, end = this.at, count = first + (TOUCH_WORD >>> 2);
    let second = first + WORDS;
    while (second < end && (w[second + (TOUCH_WORD >>> 2)] & TOUCH_AT) < edge) second += WORDS;
    const all = w[count] >>> TOUCH_COUNT_SHIFT, before = edge - done - (second - first) / WORDS + 1;
    if (before === all) return;
    w.copyWithin(second + WORDS, second, end);
    this.at = second;
    this.put(w[first], w[first + 1], ((all - before) << TOUCH_COUNT_SHIFT) | edge, TOGETHER);
    w[count] = (before << TOUCH_COUNT_SHIFT) | done;
    this.at = end + WORDS;
  }
}
