/**
 * One TLB level of the shape that VCPU_PLAIN of layout/vcpu.ts is about, for one service: what is said there as fields, which cost less to read than
 * words of the state.
 *
 * No loops, and sums are made 32-bit integers: V8 looks at the type and the length of an array again in every round of a loop, and asks whether an
 * unbounded sum has overflowed.
 */
import { ARR_CAPACITY, ARR_LIVE } from '../layout/array.ts';
import { PLAIN_A, PLAIN_DATA, PLAIN_MASK, PLAIN_REPL, PLAIN_TAGS, PLAIN_TOUCH, PLAIN_WAYS } from '../layout/vcpu.ts';
import { stamp, treeVictim } from '../cache/array.ts';

/** Word indexes. */
export class PlainLevel {
  /** 0: another shape. */
  readonly a: number;
  readonly tags: number;
  readonly data: number;
  readonly repl: number;
  readonly touch: number;
  readonly mask: number;
  readonly ways: number;

  /** @param at - word index of its part of VCPU_PLAIN */
  constructor(w: Int32Array, at: number) {
    this.a = w[at + (PLAIN_A >>> 2)] >>> 2;
    this.tags = w[at + (PLAIN_TAGS >>> 2)] >>> 2;
    this.data = w[at + (PLAIN_DATA >>> 2)] >>> 2;
    this.repl = w[at + (PLAIN_REPL >>> 2)] >>> 2;
    this.touch = w[at + (PLAIN_TOUCH >>> 2)] >>> 2;
    this.mask = w[at + (PLAIN_MASK >>> 2)];
    this.ways = w[at + (PLAIN_WAYS >>> 2)];
  }

  /** Way of the set whose tags begin at `tags` with tag `hi:lo` or `altHi:lo`, -1 if none. `k` is the first with that low word: it nearly always is the one. */
  among(w: Int32Array, tags: number, k: number, lo: number, hi: number, altHi: number): number {
    for (let at = tags + k * 2, end = tags + this.ways * 2; at < end; at += 2) if (w[at] === lo && (w[at + 1] === hi || w[at + 1] === altHi)) return (at - tags) >>> 1;
    return -1;
  }

  /** May the level have an entry for a page, of any PCID? @param lo - low word of its tag */
  mayHold(w: Int32Array, lo: number): boolean {
    return wayWith(w, (this.tags + (Math.imul(lo & this.mask, this.ways) << 1)) | 0, this.ways, lo) >= 0;
  }

  touchTree(w: Int32Array, set: number, k: number): void {
    const bits = (this.repl + set) | 0, masks = (this.touch + (k << 1)) | 0;
    w[bits] = (w[bits] & w[masks]) | w[(masks + 1) | 0];
  }

  /** Put a 4K translation into a level replaced by a tree that has none for the page. */
  fillTree(w: Int32Array, lo: number, hi: number, data: number, dataHi: number): void {
    const { a, ways, tags } = this, set = lo & this.mask, first = Math.imul(set, ways), tree = w[(this.repl + set) | 0], live = w[(a + (ARR_LIVE >>> 2)) | 0];
    let k = -1;
    if (live !== w[(a + (ARR_CAPACITY >>> 2)) | 0]) {
      k = wayWith(w, (tags + (first << 1) + 1) | 0, ways, 0);
      if (k >= 0) w[(a + (ARR_LIVE >>> 2)) | 0] = live + 1;
    }
    if (k < 0) k = ways === 4 ? ((tree & 1) << 1) | ((tree >>> (1 + (tree & 1))) & 1) : treeVictim(w, this.repl + set, ways);
    const t = (tags + ((first + k) << 1)) | 0, d = (this.data + ((first + k) << 1)) | 0, masks = (this.touch + (k << 1)) | 0;
    w[t] = lo;
    w[(t + 1) | 0] = hi;
    w[d] = data;
    w[(d + 1) | 0] = dataHi;
    w[(this.repl + set) | 0] = (tree & w[masks]) | w[(masks + 1) | 0];
  }
}

/**
 * Put a 4K translation into both levels, the first replaced by a tree and the second by LRU, that have none for the page.
 *
 * A function of its own because it runs from its first line to its last: V8 compiles into it whatever it calls.
 */
export function fillBoth(w: Int32Array, first: PlainLevel, second: PlainLevel, lo: number, hi: number, data: number, dataHi: number): void {
  first.fillTree(w, lo, hi, data, dataHi);
  const { a, repl } = second, at = oldest(w, (repl + Math.imul(lo & second.mask, second.ways)) | 0, second.ways), i = (at - repl) | 0;
  const t = (second.tags + (i << 1)) | 0, d = (second.data + (i << 1)) | 0;
  if (w[(t + 1) | 0] === 0) w[(a + (ARR_LIVE >>> 2)) | 0]++;
  w[t] = lo;
  w[(t + 1) | 0] = hi;
  w[d] = data;
  w[(d + 1) | 0] = dataHi;
  stamp(w, a, at);
}

/** The lowest of 4, 8 or 12 ways whose word is `word`, -1 if none. @param at - word index of that of way 0; they are two words apart */
export function wayWith(w: Int32Array, at: number, ways: number, word: number): number {
  if (w[at] === word) return 0;
  if (w[(at + 2) | 0] === word) return 1;
  if (w[(at + 4) | 0] === word) return 2;
  if (w[(at + 6) | 0] === word) return 3;
  return ways === 4 ? -1 : laterWayWith(w, at, ways, word);
}

/** Is one of these words `word`? As wayWith(). */
export function has(w: Int32Array, at: number, ways: number, word: number): boolean {
  if (w[at] === word || w[(at + 2) | 0] === word || w[(at + 4) | 0] === word || w[(at + 6) | 0] === word) return true;
  if (ways === 4) return false;
  if (w[(at + 8) | 0] === word || w[(at + 10) | 0] === word || w[(at + 12) | 0] === word || w[(at + 14) | 0] === word) return true;
  if (ways === 8) return false;
  return w[(at + 16) | 0] === word || w[(at + 18) | 0] === word || w[(at + 20) | 0] === word || w[(at + 22) | 0] === word;
}

function laterWayWith(w: Int32Array, at: number, ways: number, word: number): number {
  if (w[(at + 8) | 0] === word) return 4;
  if (w[(at + 10) | 0] === word) return 5;
  if (w[(at + 12) | 0] === word) return 6;
  if (w[(at + 14) | 0] === word) return 7;
  if (ways === 8) return -1;
  if (w[(at + 16) | 0] === word) return 8;
  if (w[(at + 18) | 0] === word) return 9;
  if (w[(at + 20) | 0] === word) return 10;
  return w[(at + 22) | 0] === word ? 11 : -1;
}

/** Word index of the least of 4, 8 or 12 stamps, the first of equal ones. No branch depends on them, which no processor predicts. @param s - word index of the first */
export function oldest(w: Int32Array, s: number, ways: number): number {
  let best = oldestOf4(w, s);
  if (ways === 4) return best;
  const later = oldestOf4(w, (s + 4) | 0);
  best = (best + ((later - best) & ((w[later] - w[best]) >> 31))) | 0;
  if (ways === 8) return best;
  const last = oldestOf4(w, (s + 8) | 0);
  return (best + ((last - best) & ((w[last] - w[best]) >> 31))) | 0;
}

export function oldestOf4(w: Int32Array, s: number): number {
  const a = w[s], b = w[(s + 1) | 0], c = w[(s + 2) | 0], d = w[(s + 3) | 0], ab = (b - a) >> 31, cd = (d - c) >> 31; // -1: the latter is less
  const x = a + ((b - a) & ab), y = c + ((d - c) & cd), xy = (y - x) >> 31;
  return (s - ab + (xy & (2 - cd + ab))) | 0;
}
