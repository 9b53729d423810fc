/**
 * Accesses through a TLB of the most usual shape (VCPU_PLAIN in layout/vcpu.ts) that holds no large page: what translate() and charge() do, in
 * a straight line. Whatever is out of the ordinary is left, untouched, to those.
 *
 * Tags are searched for by their low words: only an entry of another PCID for the page has the same.
 *
 * Results are in VCPU_OUT_LO/HI; nothing else of the scratch is written but by single().
 */
import { ACCESS_RIGHTS, ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { PTE_A, PTE_P } from '../arch/pte.ts';
import { ARR_FRAGMENTS } from '../layout/array.ts';
import { CNT_HITS, CNT_MISS_SIZE, CNT_SLOW } from '../layout/counter.ts';
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from '../layout/header.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT } from '../layout/tlb.ts';
import {
  PLAIN_BYTES, PLAIN_NEXT, PSC_BYTES, RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_STRIDE, VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS,
  VCPU_OUT_SIZE, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_PSC, VCPU_RIGHTS, VCPU_TAG_PCID, VCPU_TLB_CYCLES, VCPU_UNPLAIN,
} from '../layout/vcpu.ts';
import { touchStamp } from '../cache/array.ts';
import { flat } from '../cost/charge.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { memoClear, memoPut, memoSlot } from '../mmu/memo.ts';
import type { Ahead } from './ahead.ts';
import { PlainLevel, wayWith } from './plain-level.ts';
import { PlainPsc, plainWalk, settleWalks } from './plain-walk.ts';
import { access } from './span.ts';

export const HINT_MASK = 2047;

/** Those of all services of a vCPU, in the order of the services. @param v - word index of the vCPU block @param ahead - one for all services */
export function plainTlbs(s: Views, v: number, ahead: Ahead): readonly PlainTlb[] {
  const all = [0, 1, 2].map(service => new PlainTlb(s, v, service, ahead));
  for (const tlb of all) tlb.peers = all.filter((other, k) => (other.alike & ((1 << k) - 1)) === 0);
  return all;
}

/** Words of readRules(): four for each of three kinds. */
export const RULES = 12;

/** Look up what the accesses of each service ask for, as they are aimed: TLBD_* bits that must be set, that must be clear; PTE_* bits that an entry must have. */
export function readRules(w: Int32Array, tlbs: readonly PlainTlb[], rules: Int32Array): void {
  for (let k = 0; k < 3; k++) {
    const { rights, what } = tlbs[k];
    rules[4 * k] = w[rights + (RIGHTS_NEED >>> 2)];
    rules[4 * k + 1] = w[rights + (RIGHTS_FORBID >>> 2)];
    rules[4 * k + 2] = PTE_P | PTE_A | ((what & ACCESS_WRITE) << 5);
  }
}

/** The two levels for one service of a vCPU. */
export class PlainTlb {
  readonly s: Views;
  /** Word index of the vCPU block. */
  readonly v: number;
  readonly service: number;
  readonly first: PlainLevel;
  readonly second: PlainLevel;
  /** Caches of entries at level 2 and 3. `a` = 0: another shape. */
  readonly pde: PlainPsc;
  readonly pdpte: PlainPsc;
  /** Way of the second level where a page was found last, by low bits of its number. Only a guess: the tag there is compared. */
  readonly hints = new Uint8Array(HINT_MASK + 1);
  readonly ahead: Ahead;
  /** Word index of the memo's slot. */
  readonly slot: number;
  /** ACCESS_* bits of the accesses, and the row of the rights table for them: word index. */
  what = 0;
  /** Bit k set: service k has the same arrays. */
  alike = 0;
  rights = 0;
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
  /** Are the paging-structure caches those of level 2 and 3 alone? */
  readonly straight: boolean;
  /** One for each set of arrays that services have. */
  peers: readonly PlainTlb[] = [];

  /** @param v - word index of the vCPU block @param ahead - one for all services */
  constructor(s: Views, v: number, service: number, ahead: Ahead) {
    const { w } = s, at = v + (VCPU_PLAIN >>> 2) + service * (PLAIN_BYTES >>> 2);
    this.s = s;
    this.v = v;
    this.ahead = ahead;
    this.service = service;
    this.slot = memoSlot(w, v, service);
    this.flat = flat(w);
    this.first = new PlainLevel(w, at);
    this.second = new PlainLevel(w, at + (PLAIN_NEXT >>> 2));
    this.fits = this.first.a !== 0;
    for (let k = 0; k < 3; k++) {
      const other = v + (VCPU_PLAIN >>> 2) + k * (PLAIN_BYTES >>> 2);
      if (w[other] === w[at] && w[other + (PLAIN_NEXT >>> 2)] === w[at + (PLAIN_NEXT >>> 2)]) this.alike |= 1 << k;
    }
    this.pde = new PlainPsc(w, v + (VCPU_PLAIN_PSC >>> 2));
    this.pdpte = new PlainPsc(w, v + (VCPU_PLAIN_PSC + PSC_BYTES >>> 2));
    this.straight = this.fits && this.pde.a !== 0 && (w[v + (VCPU_PSC >>> 2) + 2] | w[v + (VCPU_PSC >>> 2) + 3]) === 0;
  }

  /** Say what kind of accesses follow. @param what - ACCESS_* bits */
  aim(what: number): void {
    this.what = what;
    this.rights = this.v + (VCPU_RIGHTS >>> 2) + ((what & ACCESS_RIGHTS) >>> 1) * (RIGHTS_STRIDE >>> 2);
  }

  /** May the accesses use a translation, protection keys aside? */
  permits(w: Int32Array, data: number): boolean {
    const row = this.rights;
    return ((~data & w[row + (RIGHTS_NEED >>> 2)]) | (data & w[row + (RIGHTS_FORBID >>> 2)])) === 0;
  }

  /** May a level have an entry for a page, of any PCID? @param lo - low word of its tag */
  mayHold(w: Int32Array, lo: number): boolean {
    return this.first.mayHold(w, lo) || this.second.mayHold(w, lo);
  }

  /** May there be an entry for a page to be dropped, or a fragment of a larger one? @param lo - low word of its tag */
  mustDrop(w: Int32Array, lo: number): boolean {
    return !this.fits || this.mayHold(w, lo) || (w[this.first.a + (ARR_FRAGMENTS >>> 2)] | w[this.second.a + (ARR_FRAGMENTS >>> 2)]) !== 0;
  }

  /** An access to a canonical address in timed mode that no memo answers, with its price. @returns FAULT_NONE or a fault */
  search(vaHi: number, vaLo: number): number {
    const { v, s: { w }, first: level } = this;
    if (!this.fits || w[v + (VCPU_UNPLAIN >>> 2)] !== 0) return this.general(vaHi, vaLo);
    const lo = (vaLo >>> 12) | (vaHi << 20), own = ((vaHi >>> 12) & TAG_VPN_HI) | TAG_VALID | w[v + (VCPU_TAG_PCID >>> 2)];
    const set = lo & level.mask, first = Math.imul(set, level.ways), tags = (level.tags + (first << 1)) | 0, global = (own & ~TAG_PCID) | TAG_GLOBAL;
    let k = wayWith(w, tags, level.ways, lo);
    if (k < 0) return this.searchSecond(vaHi, vaLo);
    const tag = w[(tags + (k << 1) + 1) | 0];
    if (tag !== own && tag !== global) k = level.among(w, tags, k, lo, own, global);
    if (k < 0) return this.searchSecond(vaHi, vaLo);
    const at = (level.data + ((first + k) << 1)) | 0, data = w[at];
    if (!this.permits(w, data)) return this.general(vaHi, vaLo);
    level.touchTree(w, set, k);
    this.hits++;
    const paLo = (data & ~0xfff) | (vaLo & 0xfff), paHi = w[(at + 1) | 0] & TLBD_HI_ADDR;
    w[v + (VCPU_OUT_LO >>> 2)] = paLo;
    w[v + (VCPU_OUT_HI >>> 2)] = paHi;
    memoPut(w, v, this.slot, vaHi, vaLo, 0, data, paHi, paLo);
    return FAULT_NONE;
  }

  /** The first level has no entry for the page. */
  private searchSecond(vaHi: number, vaLo: number): number {
    const { v, s: { w }, second: level, hints } = this;
    const lo = (vaLo >>> 12) | (vaHi << 20), own = ((vaHi >>> 12) & TAG_VPN_HI) | TAG_VALID | w[v + (VCPU_TAG_PCID >>> 2)];
    const first = Math.imul(lo & level.mask, level.ways), tags = (level.tags + (first << 1)) | 0;
    let k = hints[lo & HINT_MASK];
    if (w[(tags + (k << 1)) | 0] !== lo || w[(tags + (k << 1) + 1) | 0] !== own) {
      k = wayWith(w, tags, level.ways, lo);
      if (k < 0) return plainWalk(this, vaHi, vaLo);
      if (w[(tags + (k << 1) + 1) | 0] !== own) k = level.among(w, tags, k, lo, own, (own & ~TAG_PCID) | TAG_GLOBAL);
      if (k < 0) return plainWalk(this, vaHi, vaLo);
      hints[lo & HINT_MASK] = k;
    }
    const i = (first + k) | 0, at = (level.data + (i << 1)) | 0, data = w[at], dataHi = w[(at + 1) | 0];
    if (w[(tags + (k << 1) + 1) | 0] !== own || !this.permits(w, data)) return this.general(vaHi, vaLo);
    touchStamp(w, level.a, (level.repl + i) | 0);
    this.first.fillTree(w, lo, own, data, dataHi);
    if (dataHi >>> TLBD_HI_LEVEL_SHIFT !== 1) w[this.first.a + (ARR_FRAGMENTS >>> 2)] = 1;
    memoClear(w, v, this.slot);
    this.secondHits++;
    w[v + (VCPU_OUT_LO >>> 2)] = (data & ~0xfff) | (vaLo & 0xfff);
    w[v + (VCPU_OUT_HI >>> 2)] = dataHi & TLBD_HI_ADDR;
    return FAULT_NONE;
  }

  private general(vaHi: number, vaLo: number): number {
    return access(this.s, this.v, vaHi, vaLo, this.what);
  }

  /** One access alone to a canonical address, which leaves in VCPU_OUT_* what access() does. @returns FAULT_NONE or a fault */
  single(vaHi: number, vaLo: number, what: number): number {
    this.aim(what);
    const fault = this.search(vaHi, vaLo), { v, s: { w }, longWalks } = this, refs = this.shortWalks + 2 * longWalks, hit = this.hits + 2 * this.secondHits;
    if (refs + hit === 0) return fault; // general() left and counted everything
    w[v + (VCPU_OUT_SIZE >>> 2)] = 0;
    w[v + (VCPU_OUT_HIT >>> 2)] = hit;
    if (hit !== 0) w[v + (VCPU_OUT_CYCLES >>> 2)] = w[v + (VCPU_TLB_CYCLES >>> 2) + hit - 1];
    else {
      w[v + (VCPU_OUT_REFS >>> 2)] = refs;
      if (this.flat) w[v + (VCPU_OUT_CYCLES >>> 2)] = w[HDR_WALK_CYCLES >>> 2] + refs * w[HDR_MEMORY_CYCLES >>> 2];
    }
    this.settle();
    return FAULT_NONE;
  }

  /** Note walks that left nothing else to be done, by entries read: 1 or 2. */
  walked(short: number, long: number): void {
    this.shortWalks += short;
    this.longWalks += long;
    memoClear(this.s.w, this.v, this.slot);
  }

  /** Add what was counted to the vCPU's counters. */
  settle(): void {
    const { service, v, s: { w } } = this, walks = this.shortWalks + this.longWalks, refs = walks + this.longWalks;
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
