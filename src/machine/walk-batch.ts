/**
 * A batch that walks for nearly every access: PlainTlb.search() and plainWalk() again as one loop, of accesses that neither level holds and whose
 * walk begins at a cached entry of level 2 or 3, down to a 4K page that permits the access and needs no mark. What is the same for all of them is
 * found before. The first access of any other kind ends it, untouched.
 *
 * Nothing is called that V8 does not compile into the loop: after a call it looks at the type and the length of every array again.
 */
import { FAULT_NONE } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_P, PTE_PS, PTE_RW } from '../arch/pte.ts';
import { ARR_CAPACITY, ARR_CLOCK, ARR_LIVE } from '../layout/array.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_D, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK } from '../layout/tlb.ts';
import { CTL_PGE, MODE_5LEVEL, VCPU_CTL, VCPU_MODE, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_RSVD_HI, VCPU_TAG_PCID, VCPU_UNPLAIN } from '../layout/vcpu.ts';
import { LRU_CLOCK_LIMIT, treeVictim } from '../cache/array.ts';
import type { Views } from '../memory/views.ts';
import { GROUP, type Ahead } from './ahead.ts';
import type { Columns } from './batch.ts';
import { readRules, RULES, type PlainTlb } from './plain.ts';
import { has, oldest, oldestOf4, wayWith } from './plain-level.ts';
import { below } from './plain-walk.ts';
import { wholeWalk } from './plain-whole.ts';

const NO_RESULTS = new Int32Array(0);
const KIND_BITS = 10; // of a number in which accesses are counted by kind; a group has fewer
const FETCH = 2;

export class WalkBatch {
  private readonly s: Views;
  private readonly v: number;
  private readonly ahead: Ahead;
  private readonly tlbs: readonly PlainTlb[];
  private readonly rules = new Int32Array(RULES);
  /** Walks made by group(): of each kind, and how many of them read two entries. */
  private byKind = 0;
  private long = 0;
  /** Is the access at which group() ended another walk? */
  private odd = false;
  /** What ended run(). */
  fault = FAULT_NONE;

  constructor(s: Views, v: number, tlbs: readonly PlainTlb[], ahead: Ahead) {
    this.s = s;
    this.v = v;
    this.tlbs = tlbs;
    this.ahead = ahead;
  }

  /** Make accesses as long as they are walks. @param k - kind of the first @returns the first that is not made; `fault` is its fault, if it has one */
  run(columns: Columns, from: number, to: number, k: number): number {
    const { s, ahead } = this, tlb = this.tlbs[k];
    this.fault = FAULT_NONE;
    readRules(s.w, this.tlbs, this.rules);
    let i = from;
    while (i < to && this.ready(tlb)) {
      if (ahead.until <= i || ahead.until > i + GROUP) ahead.read(s, i);
      const end = Math.min(ahead.until, to);
      i = this.group(columns, i, end, tlb);
      this.settle();
      if (i === end) continue;
      if (!this.odd) break;
      this.fault = this.oddWalk(columns, i);
      if (this.fault !== FAULT_NONE) break;
      readRules(s.w, this.tlbs, this.rules); // a device that was read may have changed registers
      i++;
    }
    return i;
  }

  /** May a group be made, and is no clock near its end? */
  private ready({ fits, flat, second, pde, pdpte }: PlainTlb): boolean {
    const { s, s: { w }, v } = this, most = LRU_CLOCK_LIMIT - GROUP;
    if (!fits || !flat || s.atomic || pde.a === 0 || w[v + (VCPU_UNPLAIN >>> 2)] !== 0) return false;
    return w[second.a + (ARR_CLOCK >>> 2)] <= most && w[pde.a + (ARR_CLOCK >>> 2)] <= most && w[pdpte.a + (ARR_CLOCK >>> 2)] <= most;
  }

  /** The walk of access `i`, whatever it is. */
  private oddWalk({ va, kind, pa }: Columns, i: number): number {
    const { v, s: { w } } = this, lo = va[2 * i], hi = va[2 * i + 1], fault = wholeWalk(this.tlbs[kind[i]], hi, lo);
    if (pa !== undefined && fault === FAULT_NONE) {
      pa[2 * i] = w[v + (VCPU_OUT_LO >>> 2)];
      pa[2 * i + 1] = w[v + (VCPU_OUT_HI >>> 2)];
    }
    return fault;
  }

  /** Tell the services of the walks of a group. */
  private settle(): void {
    const { tlbs, byKind } = this;
    let long = this.long; // which of them read two entries is counted nowhere
    for (let k = 0; k < 3; k++) {
      const n = (byKind >>> (k * KIND_BITS)) & ((1 << KIND_BITS) - 1), l = Math.min(n, long);
      if (n !== 0) tlbs[k].walked(n - l, l);
      long -= l;
    }
  }

  /** @param to - GROUP accesses on, at most @param tlb - of a service; accesses of those with other arrays end the group, too @returns the first that is not made */
  private group(columns: Columns, from: number, to: number, tlb: PlainTlb): number {
    const { va, kind, size } = columns, pa = columns.pa ?? NO_RESULTS, wanted = columns.pa !== undefined;
    const { s, v, rules } = this, { w, lowFrames, lowWord } = s, { first, second, pde, pdpte, alike } = tlb;
    const { mask: mask1, ways: ways1, tags: tags1, repl: trees, touch } = first, { mask: mask2, ways: ways2, tags: tags2, repl: stamps2 } = second;
    const { mask: maskPde, tags: tagsPde, stamps: stampsPde } = pde, toData1 = (first.data - tags1) | 0, toData2 = (second.data - tags2) | 0, toDataPde = (pde.data - tagsPde) | 0;
    const pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, reserved = w[v + (VCPU_RSVD_HI >>> 2)], unused = w[v + (VCPU_MODE >>> 2)] === MODE_5LEVEL ? 7 : 16;
    const global = w[v + (VCPU_CTL >>> 2)] & CTL_PGE ? PTE_G : 0;
    let clock2 = w[second.a + (ARR_CLOCK >>> 2)], clockPde = w[pde.a + (ARR_CLOCK >>> 2)], room = (w[first.a + (ARR_CAPACITY >>> 2)] - w[first.a + (ARR_LIVE >>> 2)]) | 0;
    let table = 0, top = 0, region = 0, regionHi = 0, i = from, byKind = 0, long = 0, odd = false;
    for (; i < to; i++) {
      const lo = va[i << 1], hi = va[(i << 1) + 1], k = kind[i], page = (lo >>> 12) | (hi << 20);
      odd = false;
      if (((alike >>> k) & 1) === 0 || k > FETCH || (lo & 0xfff) + size[i] > 4096 || (hi << unused) >> unused !== hi) break;
      const set1 = page & mask1, t1 = (tags1 + (Math.imul(set1, ways1) << 1)) | 0, first2 = Math.imul(page & mask2, ways2);
      if (has(w, t1, ways1, page) || has(w, (tags2 + (first2 << 1)) | 0, ways2, page)) break;
      odd = true;
      const tagLo = (lo >>> 21) | (hi << 11), tagHi = ((hi >>> 21) & TAG_VPN_HI) | pcid, setPde = (tagLo & maskPde) << 2, tPde = (tagsPde + (setPde << 1)) | 0, j = wayWith(w, tPde, 4, tagLo);
      let aboveLo = 0, aboveHi = 0;
      if (j >= 0) {
        if (w[(tPde + (j << 1) + 1) | 0] !== tagHi) break;
        aboveLo = w[(tPde + (j << 1) + toDataPde) | 0];
        aboveHi = w[(tPde + (j << 1) + toDataPde + 1) | 0];
      } else {
        if (table === 0 || hi !== regionHi || (lo ^ region) >>> 30 !== 0) {
          const entry = pdpte.find(w, (lo >>> 30) | (hi << 2), ((hi >>> 30) & TAG_VPN_HI) | pcid), d = pdpte.data + entry * 2, used = pdpte.stamps + entry, c = pdpte.a + (ARR_CLOCK >>> 2);
          if (entry < 0 || w[d + 1] & TLBD_HI_ADDR || w[d] >>> 12 >= lowFrames) break;
          if (w[used] !== w[c]) w[used] = ++w[c]; // used again by the same access, it stays as it is
          top = w[d];
          table = (lowWord + (top >>> 12 << 10)) | 0;
          region = lo;
          regionHi = hi;
        }
        const e = (table + ((lo >>> 20) & 0x3fe)) | 0, eLo = w[e], eHi = w[(e + 1) | 0];
        if (((eLo & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (eHi & reserved)) break;
        aboveLo = (eLo & ~0xfff) | below(top, eLo, eHi);
        aboveHi = eHi & PTE_HI_ADDR;
      }
      if (aboveHi & TLBD_HI_ADDR || aboveLo >>> 12 >= lowFrames) break;
      const e = (lowWord + (aboveLo >>> 12 << 10) + ((lo >>> 11) & 0x3fe)) | 0, eLo = w[e], eHi = w[(e + 1) | 0], rule = k << 2, want = rules[rule + 2];
      let data = (eLo & ~0xfff) | below(aboveLo, eLo, eHi) | (eLo & TLBD_D) | (((eHi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT);
      if ((eLo & (PTE_RW | PTE_D)) === PTE_D && aboveLo & TLBD_RW) data |= TLBD_SSTK;
      if (((eLo & want) ^ want) | (eHi & reserved) | (~(data | TLBD_D) & rules[rule]) | (data & rules[rule + 1])) break;
      if (j >= 0) {
        if (w[(stampsPde + setPde + j) | 0] !== clockPde) w[(stampsPde + setPde + j) | 0] = clockPde = (clockPde + 1) | 0;
      } else {
        const at = oldestOf4(w, (stampsPde + setPde) | 0), t = (tagsPde + ((at - stampsPde) << 1)) | 0, d = (t + toDataPde) | 0;
        if (w[(t + 1) | 0] === 0) w[(pde.a + (ARR_LIVE >>> 2)) | 0]++;
        w[t] = tagLo;
        w[(t + 1) | 0] = tagHi;
        w[d] = aboveLo;
        w[(d + 1) | 0] = aboveHi;
        w[at] = clockPde = (clockPde + 1) | 0;
        long++;
      }
      byKind += 1 << (k * 10); // KIND_BITS, which would be loaded
      const own = ((hi >>> 12) & TAG_VPN_HI) | pcid, tag = eLo & global ? (own & ~TAG_PCID) | TAG_GLOBAL : own, dataHi = (eHi & PTE_HI_ADDR) | (1 << TLBD_HI_LEVEL_SHIFT);
      const tree = w[(trees + set1) | 0], empty = room === 0 ? -1 : wayWith(w, (t1 + 1) | 0, ways1, 0);
      if (empty >= 0) room--;
      const way = empty >= 0 ? empty : ways1 === 4 ? ((tree & 1) << 1) | ((tree >>> (1 + (tree & 1))) & 1) : treeVictim(w, trees + set1, ways1);
      const t = (t1 + (way << 1)) | 0, d = (t + toData1) | 0, masks = (touch + (way << 1)) | 0;
      w[t] = page;
      w[(t + 1) | 0] = tag;
      w[d] = data;
      w[(d + 1) | 0] = dataHi;
      w[(trees + set1) | 0] = (tree & w[masks]) | w[(masks + 1) | 0];
      const at2 = oldest(w, (stamps2 + first2) | 0, ways2), t2 = (tags2 + ((at2 - stamps2) << 1)) | 0, d2 = (t2 + toData2) | 0;
      if (w[(t2 + 1) | 0] === 0) w[(second.a + (ARR_LIVE >>> 2)) | 0]++;
      w[t2] = page;
      w[(t2 + 1) | 0] = tag;
      w[d2] = data;
      w[(d2 + 1) | 0] = dataHi;
      w[at2] = clock2 = (clock2 + 1) | 0;
      if (!wanted) continue;
      pa[i << 1] = (eLo & ~0xfff) | (lo & 0xfff);
      pa[(i << 1) + 1] = eHi & PTE_HI_ADDR;
    }
    if (table !== 0) this.ahead.enter(table, region);
    this.ended(tlb, byKind, long, odd, clock2, clockPde, room);
    return i;
  }

  /** Leave what a group kept to itself. @param room - empty entries of the first level */
  private ended({ first, second, pde }: PlainTlb, byKind: number, long: number, odd: boolean, clock: number, clockPde: number, room: number): void {
    const { w } = this.s;
    w[second.a + (ARR_CLOCK >>> 2)] = clock;
    w[pde.a + (ARR_CLOCK >>> 2)] = clockPde;
    w[first.a + (ARR_LIVE >>> 2)] = w[first.a + (ARR_CAPACITY >>> 2)] - room;
    this.byKind = byKind;
    this.long = long;
    this.odd = odd;
  }
}
