/**
 * Accesses through a TLB of the most usual shape (VCPU_PLAIN in layout/vcpu.ts) that holds no large page: what translate() and charge() do, in
 * a straight line. Whatever is out of the ordinary is left, untouched, to those.
 *
 * Results are in VCPU_OUT_LO/HI; nothing else of the scratch is written, so this serves batches, not single accesses.
 */
import { ACCESS_RIGHTS, FAULT_NONE } from '../arch/fault.ts';
import { ARR_CAPACITY, ARR_FRAGMENTS, ARR_LIVE } from '../layout/array.ts';
import { CNT_HITS, CNT_MISS_SIZE, CNT_SLOW } from '../layout/counter.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT } from '../layout/tlb.ts';
import {
  PLAIN_A, PLAIN_BYTES, PLAIN_DATA, PLAIN_MASK, PLAIN_NEXT, PLAIN_REPL, PLAIN_TAGS, PLAIN_TOUCH, PLAIN_WAYS, PSC_BYTES, RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_STRIDE,
  VCPU_OUT_HI, VCPU_OUT_LO, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_RIGHTS, VCPU_TAG_PCID, VCPU_UNPLAIN,
} from '../layout/vcpu.ts';
import { emptyWay, stamp, touchStamp, treeVictim } from '../cache/array.ts';
import { flat } from '../cost/charge.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { memoClear, memoPut, memoSlot } from '../mmu/memo.ts';
import type { Ahead } from './ahead.ts';
import { PlainPsc, plainWalk, settleWalks } from './plain-walk.ts';
import { access } from './span.ts';

const HINT_MASK = 2047;

/** May an access use a translation, protection keys aside? */
export function permits(w: Int32Array, v: number, access: number, data: number): boolean {
  const row = v + (VCPU_RIGHTS >>> 2) + ((access & ACCESS_RIGHTS) >>> 1) * (RIGHTS_STRIDE >>> 2);
  return ((~data & w[row + (RIGHTS_NEED >>> 2)]) | (data & w[row + (RIGHTS_FORBID >>> 2)])) === 0;
}

/** One level for one service: what VCPU_PLAIN says, as fields, which cost less to read than words of the state. Word indexes. */
export class PlainLevel {
  readonly a: number;
  readonly tags: number;
  readonly data: number;
  readonly repl: number;
  readonly touch: number;
  readonly mask: number;
  readonly ways: number;

  constructor(w: Int32Array, at: number) {
    this.a = w[at + (PLAIN_A >>> 2)] >>> 2;
    this.tags = w[at + (PLAIN_TAGS >>> 2)] >>> 2;
    this.data = w[at + (PLAIN_DATA >>> 2)] >>> 2;
    this.repl = w[at + (PLAIN_REPL >>> 2)] >>> 2;
    this.touch = w[at + (PLAIN_TOUCH >>> 2)] >>> 2;
    this.mask = w[at + (PLAIN_MASK >>> 2)];
    this.ways = w[at + (PLAIN_WAYS >>> 2)];
  }

  /** Way of the set that begins at entry `first` with tag `hi:lo` or `altHi:lo`, -1 if none. */
  find(w: Int32Array, first: number, lo: number, hi: number, altHi: number): number {
    const t = this.tags + first * 2, end = t + this.ways * 2; // of 4, 8 or 12 ways
    for (let at = t; at < end; at += 8) {
      let k = (at - t) >>> 1;
      if (w[at] === lo && (w[at + 1] === hi || w[at + 1] === altHi)) return k;
      k++;
      if (w[at + 2] === lo && (w[at + 3] === hi || w[at + 3] === altHi)) return k;
      k++;
      if (w[at + 4] === lo && (w[at + 5] === hi || w[at + 5] === altHi)) return k;
      k++;
      if (w[at + 6] === lo && (w[at + 7] === hi || w[at + 7] === altHi)) return k;
    }
    return -1;
  }

  /** May the level have an entry for a page, of any PCID? @param lo - low word of its tag */
  mayHold(w: Int32Array, lo: number): boolean {
    for (let t = this.tags + (lo & this.mask) * this.ways * 2, end = t + this.ways * 2; t < end; t += 2) if (w[t] === lo && w[t + 1] !== 0) return true;
    return false;
  }

  /** Put a 4K translation of one PCID into entry `i`. */
  put(w: Int32Array, i: number, lo: number, hi: number, data: number, dataHi: number): void {
    const t = this.tags + i * 2, at = this.data + i * 2;
    if (w[t + 1] === 0) w[this.a + (ARR_LIVE >>> 2)]++;
    w[t] = lo;
    w[t + 1] = hi;
    w[at] = data;
    w[at + 1] = dataHi;
  }

  touchTree(w: Int32Array, set: number, k: number): void {
    const bits = this.repl + set, masks = this.touch + k * 2;
    w[bits] = (w[bits] & w[masks]) | w[masks + 1];
  }

  /** Put a translation into a level replaced by a tree that has none for the page. */
  fillTree(w: Int32Array, lo: number, hi: number, data: number, dataHi: number): void {
    const { ways, a } = this, set = lo & this.mask, first = set * ways;
    let k = -1;
    if (w[a + (ARR_LIVE >>> 2)] !== w[a + (ARR_CAPACITY >>> 2)]) k = emptyWay(w, this.tags + first * 2, ways);
    if (k < 0) {
      const bits = w[this.repl + set];
      k = ways === 4 ? ((bits & 1) << 1) | ((bits >>> (1 + (bits & 1))) & 1) : treeVictim(w, this.repl + set, ways);
    }
    this.put(w, first + k, lo, hi, data, dataHi);
    this.touchTree(w, set, k);
  }

  /** ... into one replaced by LRU. */
  fillStamped(w: Int32Array, lo: number, hi: number, data: number, dataHi: number): void {
    const first = (lo & this.mask) * this.ways, at = oldest(w, this.repl + first, this.ways);
    this.put(w, at - this.repl, lo, hi, data, dataHi);
    stamp(w, this.a, at);
  }
}

/** Word index of the least of the stamps at `s`, the first of equal ones: of 4, 8 or 12. No branch depends on them, which no processor predicts. */
export function oldest(w: Int32Array, s: number, ways: number): number {
  let best = s, least = 0x7fffffff;
  for (let at = s, end = s + ways; at < end; at += 4) {
    const a = w[at], b = w[at + 1], c = w[at + 2], d = w[at + 3], ab = (b - a) >> 31, cd = (d - c) >> 31; // -1: the latter is less
    const x = a + ((b - a) & ab), y = c + ((d - c) & cd), xy = (y - x) >> 31, z = x + ((y - x) & xy), lower = (z - least) >> 31;
    const way = at + ((xy & (2 - cd + ab)) - ab);
    least += (z - least) & lower;
    best += (way - best) & lower;
  }
  return best;
}

/** The two levels for one service of a vCPU. */
export class PlainTlb {
  readonly service: number;
  readonly first: PlainLevel;
  readonly second: PlainLevel;
  /** Caches of entries at level 2 and 3. `a` = 0: another shape. */
  readonly pde: PlainPsc;
  readonly pdpte: PlainPsc;
  /** Way of the second level where a page was found last, by low bits of its number. Only a guess: the tag there is compared. */
  private readonly hints = new Uint8Array(HINT_MASK + 1);
  readonly ahead: Ahead;
  /** Word index of the memo's slot. */
  readonly slot: number;
  /** Counted here, and added to the vCPU's counters by `settle()`. */
  hits = 0;
  secondHits = 0;
  /** Walks by entries read, 1 or 2. */
  shortWalks = 0;
  longWalks = 0;
  /** Does every entry of a walk cost the same? */
  readonly flat: boolean;
  /** Has the TLB this shape at all? */
  readonly fits: boolean;

  /** @param v - word index of the vCPU block @param ahead - one for all services */
  constructor(w: Int32Array, v: number, service: number, ahead: Ahead) {
    this.ahead = ahead;
    const at = v + (VCPU_PLAIN >>> 2) + service * (PLAIN_BYTES >>> 2);
    this.service = service;
    this.slot = memoSlot(w, v, service);
    this.flat = flat(w);
    this.fits = w[at + (PLAIN_A >>> 2)] !== 0;
    this.first = new PlainLevel(w, at);
    this.second = new PlainLevel(w, at + (PLAIN_NEXT >>> 2));
    this.pde = new PlainPsc(w, v + (VCPU_PLAIN_PSC >>> 2));
    this.pdpte = new PlainPsc(w, v + (VCPU_PLAIN_PSC + PSC_BYTES >>> 2));
  }

  /** An access to a canonical address in timed mode that no memo answers, with its price. @returns FAULT_NONE or a fault */
  search(s: Views, v: number, vaHi: number, vaLo: number, what: number): number {
    const w = s.w, level = this.first;
    if (!this.fits || w[v + (VCPU_UNPLAIN >>> 2)] !== 0) return access(s, v, vaHi, vaLo, what);
    const lo = (vaLo >>> 12) | (vaHi << 20), page = ((vaHi >>> 12) & 0x1fff) | TAG_VALID, own = page | w[v + (VCPU_TAG_PCID >>> 2)];
    const set = lo & level.mask, first = set * level.ways, k = level.find(w, first, lo, own, page | TAG_GLOBAL);
    if (k < 0) return this.searchSecond(s, v, vaHi, vaLo, what, lo, own);
    const at = level.data + (first + k) * 2, data = w[at];
    if (!permits(w, v, what, data)) return access(s, v, vaHi, vaLo, what);
    level.touchTree(w, set, k);
    this.hits++;
    const paLo = (data & ~0xfff) | (vaLo & 0xfff), paHi = w[at + 1] & TLBD_HI_ADDR;
    w[v + (VCPU_OUT_LO >>> 2)] = paLo;
    w[v + (VCPU_OUT_HI >>> 2)] = paHi;
    memoPut(w, v, this.slot, vaHi, vaLo, 0, data, paHi, paLo);
    return FAULT_NONE;
  }

  /** The first level has no entry for the page. @param lo, own - its tag */
  private searchSecond(s: Views, v: number, vaHi: number, vaLo: number, what: number, lo: number, own: number): number {
    const w = s.w, level = this.second, first = (lo & level.mask) * level.ways;
    let k = this.hints[lo & HINT_MASK], t = level.tags + (first + k) * 2;
    if (w[t] !== lo || w[t + 1] !== own) {
      k = level.find(w, first, lo, own, (own & ~TAG_PCID) | TAG_GLOBAL);
      if (k < 0) return plainWalk(s, v, this, vaHi, vaLo, what, lo, own);
      this.hints[lo & HINT_MASK] = k;
      t = level.tags + (first + k) * 2;
    }
    const i = first + k, at = level.data + i * 2, data = w[at], dataHi = w[at + 1];
    if (w[t + 1] !== own || !permits(w, v, what, data)) return access(s, v, vaHi, vaLo, what);
    touchStamp(w, level.a, level.repl + i);
    this.first.fillTree(w, lo, own, data, dataHi);
    if (dataHi >>> TLBD_HI_LEVEL_SHIFT !== 1) w[this.first.a + (ARR_FRAGMENTS >>> 2)] = 1;
    memoClear(w, v, this.slot);
    this.secondHits++;
    w[v + (VCPU_OUT_LO >>> 2)] = (data & ~0xfff) | (vaLo & 0xfff);
    w[v + (VCPU_OUT_HI >>> 2)] = dataHi & TLBD_HI_ADDR;
    return FAULT_NONE;
  }

  /** Add what was counted to the vCPU's counters. */
  settle(w: Int32Array, v: number): void {
    const { service } = this, walks = this.shortWalks + this.longWalks, refs = walks + this.longWalks;
    if (this.hits !== 0) count(w, v, CNT_HITS + service, this.hits);
    if (this.secondHits + walks !== 0) {
      count(w, v, CNT_SLOW + service, this.secondHits + walks);
      count(w, v, CNT_HITS + 3 + service, this.secondHits);
      count(w, v, CNT_MISS_SIZE, this.secondHits + walks);
    }
    if (walks !== 0) settleWalks(w, v, walks, refs);
    this.hits = this.secondHits = this.shortWalks = this.longWalks = 0;
  }
}
