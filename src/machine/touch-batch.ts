/**
 * What a block of a trace touches, made (layout/census.ts): as `runBatch()` would make the accesses, but fetches in one page are made together,
 * before the data accesses among them, which leave the first level's structures for fetches alone where they have others. The first fetch may
 * miss it; those after it repeat the memo, of which nothing is left but a number. The wasm engine has the same (wasm/touch-batch.ts).
 */
import { ACCESS_RIGHTS, FAULT_NONE } from '../arch/fault.ts';
import { TOUCH_AT, TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_SIZE, TOUCH_WORD } from '../layout/census.ts';
import { CNT_HITS } from '../layout/counter.ts';
import { MEMO_ENTRY, MODE_5LEVEL, RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_STRIDE, VCPU_MODE, VCPU_RIGHTS } from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { memoMatches, memoSlot } from '../mmu/memo.ts';
import { Ahead } from './ahead.ts';
import { ACCESS_OF_KIND, one } from './batch.ts';
import { plainTlbs, type PlainTlb } from './plain.ts';
import { access } from './span.ts';
import { swift } from './swift-batch.ts';

/** What a block touches: the first row tells how many follow, with that behind the block. */
export interface Touches {
  readonly rows: Int32Array;
  /** Of the machine in whose memory they are, for its engine; undefined: in none. */
  readonly views: Views | undefined;
  /** ... and where: byte offset. */
  readonly offset: number;
}

const WORDS = TOUCH_BYTES >>> 2;
const LOAD = 0, STORE = 1, FETCH = 2;
/** Rows of one call of the loop: few, so that it is called often and compiled whole, not from its middle. */
const PART = 512;

/** Can a vCPU make what is touched: is nothing priced but walks, and has it a memo for fetches alone? @param v - word index of its block */
export function makesTouches({ w }: Views, v: number): boolean {
  const fetches = memoSlot(w, v, FETCH);
  return swift(w, v, 0) && fetches !== v && fetches !== memoSlot(w, v, LOAD) && fetches !== memoSlot(w, v, STORE);
}

/** Makes it in TypeScript, for one vCPU that can. */
export class TouchBatch {
  private readonly s: Views;
  private readonly v: number;
  /** ACCESS_* bits added to each access. */
  private readonly extra: number;
  /** By service. */
  private readonly tlbs: readonly PlainTlb[];
  private readonly slots: Int32Array;
  private readonly rights: Int32Array;
  private repeats = 0;
  private stores = 0;
  private fetches = 0;
  private faulted = false;

  /** @param v - word index of the vCPU block */
  constructor(s: Views, v: number, extra: number) {
    this.s = s;
    this.v = v;
    this.extra = extra;
    this.tlbs = plainTlbs(s, v, new Ahead());
    this.slots = Int32Array.from([LOAD, STORE, FETCH], service => memoSlot(s.w, v, service));
    this.rights = Int32Array.from([LOAD, STORE, FETCH], k => v + (VCPU_RIGHTS >>> 2) + (((ACCESS_OF_KIND[k] | extra) & ACCESS_RIGHTS) >>> 1) * (RIGHTS_STRIDE >>> 2));
  }

  /**
   * Make what is touched up to access `to`, where a window or the block ends.
   *
   * @param next - row to begin with: word index @returns ... to go on with; -1: an access faulted, and which were made is not told
   */
  run(rows: Int32Array, next: number, to: number): number {
    const { tlbs, v, s: { w } } = this;
    this.faulted = false;
    this.repeats = this.stores = this.fetches = 0;
    tlbs.forEach((tlb, k) => tlb.aim(ACCESS_OF_KIND[k] | this.extra));
    while (!this.faulted && (rows[next + (TOUCH_WORD >>> 2)] & TOUCH_AT) < to) next = this.part(rows, next, to);
    for (const tlb of tlbs) tlb.settle();
    count(w, v, CNT_HITS, this.repeats - this.stores - this.fetches);
    count(w, v, CNT_HITS + STORE, this.stores);
    count(w, v, CNT_HITS + FETCH, this.fetches);
    return this.faulted ? -1 : next;
  }

  private part(rows: Int32Array, next: number, to: number): number {
    const { s: { w }, slots, rights } = this;
    let repeats = 0, stores = 0, fetches = 0;
    for (const end = next + PART * WORDS; next < end; next += WORDS) {
      const word = rows[next + (TOUCH_WORD >>> 2)], shape = rows[next + (TOUCH_SIZE >>> 2)], k = shape >>> 16, lo = rows[next], hi = rows[next + 1];
      if ((word & TOUCH_AT) >= to) break;
      let n = word >>> TOUCH_COUNT_SHIFT;
      if (k <= FETCH && (lo & 0xfff) + (shape & 0xffff) <= 4096) {
        const slot = slots[k], row = rights[k], data = w[slot + (MEMO_ENTRY >>> 2)];
        if (w[slot] !== (lo | 0xfff) || w[slot + 1] !== hi || ((~data & w[row + (RIGHTS_NEED >>> 2)]) | (data & w[row + (RIGHTS_FORBID >>> 2)])) !== 0) {
          n = this.search(k, hi, lo, n);
          if (n < 0) break;
        }
        repeats += n;
        stores += n & -(k & 1); // kinds 0, 1, 2
        fetches += n & -(k >>> 1);
      } else if (this.crossing(hi, lo, k, shape & 0xffff) !== FAULT_NONE) break;
    }
    this.repeats += repeats;
    this.stores += stores;
    this.fetches += fetches;
    return next;
  }

  /** Make accesses in one page, the first of which no memo answers. @returns those that a memo answered; -1 with `faulted` */
  private search(k: number, hi: number, lo: number, n: number): number {
    const { s, v, tlbs, slots } = this, unused = s.w[v + (VCPU_MODE >>> 2)] === MODE_5LEVEL ? 7 : 16, canonical = (hi << unused) >> unused === hi;
    for (; n > 0 && !this.faulted; n--) {
      this.faulted = (canonical ? tlbs[k].search(hi, lo) : access(s, v, hi, lo, tlbs[k].what)) !== FAULT_NONE;
      if (memoMatches(s.w, slots[k], hi, lo)) return n - 1;
    }
    return this.faulted ? -1 : 0;
  }

  /** One access that is in several pages, or a modify. */
  private crossing(hi: number, lo: number, k: number, bytes: number): number {
    const fault = one(this.s, this.v, { va: Int32Array.of(lo, hi), kind: Uint8Array.of(k), size: Uint16Array.of(bytes) }, 0, this.extra);
    this.faulted = fault !== FAULT_NONE;
    return fault;
  }
}
