/**
 * A batch that goes from page to page of those that are cached: PlainTlb.search() again as one loop, of accesses that either level holds and
 * permits. What is the same for all of them is found before. The first access of any other kind ends it, untouched; so does one that stays in the
 * page of the access before it, which a memo answers sooner.
 *
 * Nothing is called that V8 does not compile into the loop, and no branch depends on where an entry of the second level is: see walk-batch.ts.
 */
import { ARR_CAPACITY, ARR_CLOCK, ARR_FRAGMENTS, ARR_LIVE } from '../layout/array.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT } from '../layout/tlb.ts';
import { MODE_5LEVEL, VCPU_MODE, VCPU_TAG_PCID, VCPU_UNPLAIN } from '../layout/vcpu.ts';
import { LRU_CLOCK_LIMIT, treeVictim } from '../cache/array.ts';
import type { Views } from '../memory/views.ts';
import { memoClear, memoPut } from '../mmu/memo.ts';
import type { Columns } from './batch.ts';
import { HINT_MASK, readRules, RULES, type PlainTlb } from './plain.ts';
import { wayWith } from './plain-level.ts';

const NO_RESULTS = new Int32Array(0);
const KIND_BITS = 10; // of a number in which accesses are counted by kind
/** Accesses of one call, at most. */
const MOST = (1 << KIND_BITS) - 1;
const FETCH = 2;
// The loop is for accesses of which no memo answers one nor the next, as far as NEAR; after OFTEN of them it is tried. It costs as much as so many.
const NEAR = 2, OFTEN = 4, COST = 8;

export class HitBatch {
  private readonly s: Views;
  private readonly v: number;
  private readonly tlbs: readonly PlainTlb[];
  private readonly rules = new Int32Array(RULES);
  /** Accesses of late that no memo answered, more or less; where the last of them was. */
  private often = 0;
  private last = 0;

  constructor(s: Views, v: number, tlbs: readonly PlainTlb[]) {
    this.s = s;
    this.v = v;
    this.tlbs = tlbs;
  }

  /** Is it likely that many such hits begin with access `i`, which no memo answers? */
  isLikely(i: number): boolean {
    this.often = i - this.last < NEAR ? this.often + 1 : 0;
    this.last = i;
    return this.often > OFTEN;
  }

  /** Make accesses as long as they are such hits. @param k - kind of the first @returns the first that is not made */
  run(columns: Columns, from: number, to: number, k: number): number {
    const { rules, tlbs, v, s: { w } } = this, tlb = tlbs[k];
    if (!tlb.fits || w[v + (VCPU_UNPLAIN >>> 2)] !== 0 || w[tlb.second.a + (ARR_CLOCK >>> 2)] > LRU_CLOCK_LIMIT - MOST) {
      this.often = 0;
      return from;
    }
    readRules(w, tlbs, rules);
    const next = this.group(columns, from, Math.min(to, from + MOST), tlb);
    this.often = Math.min(2 * OFTEN, this.often + (next - from) - COST);
    this.last = Math.max(from, next - 1);
    return next;
  }

  /** @param tlb - of a service; accesses of those with other arrays end the group, too @returns the first that is not made */
  private group(columns: Columns, from: number, to: number, tlb: PlainTlb): number {
    const { va, kind, size } = columns, pa = columns.pa ?? NO_RESULTS, wanted = columns.pa !== undefined;
    const { v, rules } = this, { w } = this.s, { first, second, hints, alike, slot } = tlb;
    const { mask: mask1, ways: ways1, tags: tags1, repl: trees, touch } = first, { mask: mask2, ways: ways2, tags: tags2, repl: stamps2 } = second;
    const toData1 = (first.data - tags1) | 0, toData2 = (second.data - tags2) | 0;
    const pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, unused = w[v + (VCPU_MODE >>> 2)] === MODE_5LEVEL ? 7 : 16;
    let clock2 = w[second.a + (ARR_CLOCK >>> 2)], room = (w[first.a + (ARR_CAPACITY >>> 2)] - w[first.a + (ARR_LIVE >>> 2)]) | 0;
    let i = from, firsts = 0, seconds = 0, levels = 0, last = -1, before = 0;
    for (; i < to; i++) {
      const lo = va[i << 1], hi = va[(i << 1) + 1], k = kind[i], page = (lo >>> 12) | (hi << 20), own = ((hi >>> 12) & TAG_VPN_HI) | pcid, rule = k << 2;
      if (((alike >>> k) & 1) === 0 || k > FETCH || (lo & 0xfff) + size[i] > 4096 || (hi << unused) >> unused !== hi) break;
      const set1 = page & mask1, t1 = (tags1 + (Math.imul(set1, ways1) << 1)) | 0, j = wayWith(w, t1, ways1, page), tree = w[(trees + set1) | 0];
      let data = 0, dataHi = 0;
      if (j >= 0) {
        const t = (t1 + (j << 1)) | 0, tag = w[(t + 1) | 0], d = (t + toData1) | 0, masks = (touch + (j << 1)) | 0;
        data = w[d];
        if (tag !== own && tag !== ((own & ~TAG_PCID) | TAG_GLOBAL) || (last === i - 1 && page === before) || (~data & rules[rule]) | (data & rules[rule + 1])) break;
        dataHi = w[(d + 1) | 0];
        w[(trees + set1) | 0] = (tree & w[masks]) | w[(masks + 1) | 0];
        firsts += 1 << (k * 10); // KIND_BITS, which would be loaded
        last = i;
        memoPut(w, v, slot, hi, lo, 0, data, dataHi, data);
      } else {
        const first2 = Math.imul(page & mask2, ways2);
        let n = hints[page & HINT_MASK], t2 = (tags2 + ((first2 + n) << 1)) | 0;
        if (w[t2] !== page) {
          n = wayWith(w, (tags2 + (first2 << 1)) | 0, ways2, page);
          if (n < 0) break;
          hints[page & HINT_MASK] = n;
          t2 = (tags2 + ((first2 + n) << 1)) | 0;
        }
        const d2 = (t2 + toData2) | 0, used = (stamps2 + first2 + n) | 0;
        data = w[d2];
        if (w[(t2 + 1) | 0] !== own || (~data & rules[rule]) | (data & rules[rule + 1])) break;
        dataHi = w[(d2 + 1) | 0];
        if (w[used] !== clock2) w[used] = clock2 = (clock2 + 1) | 0;
        const empty = room === 0 ? -1 : wayWith(w, (t1 + 1) | 0, ways1, 0);
        if (empty >= 0) room--;
        const way = empty >= 0 ? empty : ways1 === 4 ? ((tree & 1) << 1) | ((tree >>> (1 + (tree & 1))) & 1) : treeVictim(w, trees + set1, ways1);
        const t = (t1 + (way << 1)) | 0, d = (t + toData1) | 0, masks = (touch + (way << 1)) | 0;
        w[t] = page;
        w[(t + 1) | 0] = own;
        w[d] = data;
        w[(d + 1) | 0] = dataHi;
        w[(trees + set1) | 0] = (tree & w[masks]) | w[(masks + 1) | 0];
        seconds += 1 << (k * 10);
        levels |= dataHi;
        last = -1;
      }
      before = page;
      if (!wanted) continue;
      pa[i << 1] = (data & ~0xfff) | (lo & 0xfff);
      pa[(i << 1) + 1] = dataHi & TLBD_HI_ADDR;
    }
    this.ended(tlb, firsts, seconds, levels, last < 0, clock2, room);
    return i;
  }

  /** Leave what a group kept to itself. @param levels - of the entries copied, their data's high words together @param cleared - is there no memo? @param room - empty entries of the first level */
  private ended({ first, second, slot }: PlainTlb, firsts: number, seconds: number, levels: number, cleared: boolean, clock: number, room: number): void {
    const { v, tlbs, s: { w } } = this;
    w[second.a + (ARR_CLOCK >>> 2)] = clock;
    w[first.a + (ARR_LIVE >>> 2)] = w[first.a + (ARR_CAPACITY >>> 2)] - room;
    for (let k = 0; k <= FETCH; k++) {
      tlbs[k].hits += (firsts >>> (k * KIND_BITS)) & MOST;
      tlbs[k].secondHits += (seconds >>> (k * KIND_BITS)) & MOST;
    }
    if (seconds === 0) return;
    if (levels >>> TLBD_HI_LEVEL_SHIFT !== 1) w[first.a + (ARR_FRAGMENTS >>> 2)] = 1;
    if (cleared) memoClear(w, v, slot);
  }
}
