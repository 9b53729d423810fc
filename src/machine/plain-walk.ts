/**
 * The walk that most misses of a plain TLB (plain.ts) end in: 64-bit paging, begun at a cached entry of level 2 or 3, down to a 4K page that
 * permits the access and needs no mark. Everything is read before anything is changed; whatever else is found is left to wholeWalk().
 */
import { ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_P, PTE_PS, PTE_RW } from '../arch/pte.ts';
import { ARR_CLOCK, ARR_LIVE } from '../layout/array.ts';
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_WALK_CYCLES } from '../layout/counter.ts';
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from '../layout/header.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_D, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from '../layout/tlb.ts';
import {
  CTL_PGE, PSC_A, PSC_DATA, PSC_MASK, PSC_STAMPS, PSC_TAGS, RIGHTS_FORBID, RIGHTS_NEED, VCPU_CTL, VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_OUT_START,
  VCPU_RSVD_HI, VCPU_TAG_PCID, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from '../layout/vcpu.ts';
import { stamp } from '../cache/array.ts';
import { chargeWalk, flat, IN_MEMORY } from '../cost/charge.ts';
import { count, countMany } from '../memory/counters.ts';
import { loadEntry } from '../memory/entry.ts';
import type { Views } from '../memory/views.ts';
import { GROUP } from './ahead.ts';
import type { PlainTlb } from './plain.ts';
import { fillBoth, oldestOf4 } from './plain-level.ts';
import { wholeWalk } from './plain-whole.ts';

/** A paging-structure cache of four ways, LRU: what VCPU_PLAIN_PSC says, as fields. Word indexes. */
export class PlainPsc {
  readonly a: number;
  readonly tags: number;
  readonly data: number;
  readonly stamps: number;
  readonly mask: number;

  constructor(w: Int32Array, at: number) {
    this.a = w[at + (PSC_A >>> 2)] >>> 2;
    this.tags = w[at + (PSC_TAGS >>> 2)] >>> 2;
    this.data = w[at + (PSC_DATA >>> 2)] >>> 2;
    this.stamps = w[at + (PSC_STAMPS >>> 2)] >>> 2;
    this.mask = w[at + (PSC_MASK >>> 2)];
  }

  /** Entry with a tag, -1 if none. */
  find(w: Int32Array, lo: number, hi: number): number {
    const first = (lo & this.mask) << 2, t = (this.tags + (first << 1)) | 0;
    if (w[t] === lo && w[(t + 1) | 0] === hi) return first;
    if (w[(t + 2) | 0] === lo && w[(t + 3) | 0] === hi) return first + 1;
    if (w[(t + 4) | 0] === lo && w[(t + 5) | 0] === hi) return first + 2;
    return w[(t + 6) | 0] === lo && w[(t + 7) | 0] === hi ? first + 3 : -1;
  }

  /** Cache an entry that is not cached. */
  put(w: Int32Array, lo: number, hi: number, data: number, dataHi: number): void {
    const { a, stamps } = this, at = oldestOf4(w, (stamps + ((lo & this.mask) << 2)) | 0), i = (at - stamps) | 0, t = (this.tags + (i << 1)) | 0, d = (this.data + (i << 1)) | 0;
    if (w[(t + 1) | 0] === 0) w[(a + (ARR_LIVE >>> 2)) | 0]++;
    w[t] = lo;
    w[(t + 1) | 0] = hi;
    w[d] = data;
    w[(d + 1) | 0] = dataHi;
    stamp(w, a, at);
  }
}

/** Rights accumulated down to an entry. */
export const below = (acc: number, lo: number, hi: number): number => (acc & lo & (TLBD_RW | TLBD_US)) | ((acc | (hi >>> 31)) & 1);

/**
 * An access to a page that no level has.
 *
 * Searches and checks are written out: V8 does not compile into a function what was seldom called from it at first, when no entry is cached yet.
 * @returns FAULT_NONE or a fault
 */
export function plainWalk(tlb: PlainTlb, vaHi: number, vaLo: number): number {
  const { s, v, pde, rights } = tlb, w = s.w, pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, reserved = w[v + (VCPU_RSVD_HI >>> 2)], { lowFrames, lowWord } = s;
  if (pde.a === 0) return wholeWalk(tlb, vaHi, vaLo);
  const tagLo = (vaLo >>> 21) | (vaHi << 11), tagHi = ((vaHi >>> 21) & TAG_VPN_HI) | pcid, first = (tagLo & pde.mask) << 2, tags = (pde.tags + (first << 1)) | 0;
  let refs = 1, aboveLo = 0, aboveHi = 0, pa2Lo = 0, used = 0, clock = pde.a, k = -1;
  if (w[tags] === tagLo && w[(tags + 1) | 0] === tagHi) k = 0;
  else if (w[(tags + 2) | 0] === tagLo && w[(tags + 3) | 0] === tagHi) k = 1;
  else if (w[(tags + 4) | 0] === tagLo && w[(tags + 5) | 0] === tagHi) k = 2;
  else if (w[(tags + 6) | 0] === tagLo && w[(tags + 7) | 0] === tagHi) k = 3;
  if (k >= 0) {
    const at = (pde.data + ((first + k) << 1)) | 0;
    used = (pde.stamps + first + k) | 0;
    aboveLo = w[at];
    aboveHi = w[(at + 1) | 0];
  } else {
    const { pdpte } = tlb, tag3Lo = (vaLo >>> 30) | (vaHi << 2), tag3Hi = ((vaHi >>> 30) & TAG_VPN_HI) | pcid;
    const first3 = (tag3Lo & pdpte.mask) << 2, tags3 = (pdpte.tags + (first3 << 1)) | 0;
    if (w[tags3] === tag3Lo && w[(tags3 + 1) | 0] === tag3Hi) k = 0;
    else if (w[(tags3 + 2) | 0] === tag3Lo && w[(tags3 + 3) | 0] === tag3Hi) k = 1;
    else if (w[(tags3 + 4) | 0] === tag3Lo && w[(tags3 + 5) | 0] === tag3Hi) k = 2;
    else if (w[(tags3 + 6) | 0] === tag3Lo && w[(tags3 + 7) | 0] === tag3Hi) k = 3;
    else return wholeWalk(tlb, vaHi, vaLo);
    const at = (pdpte.data + ((first3 + k) << 1)) | 0, top = w[at];
    used = (pdpte.stamps + first3 + k) | 0;
    clock = pdpte.a;
    pa2Lo = (top & ~0xfff) | ((vaLo >>> 18) & 0xff8);
    if ((w[(at + 1) | 0] & TLBD_HI_ADDR) !== 0 || pa2Lo >>> 12 >= lowFrames) return wholeWalk(tlb, vaHi, vaLo);
    const e = (lowWord + (pa2Lo >>> 2)) | 0;
    let eLo = w[e], eHi = w[(e + 1) | 0];
    if (s.atomic) {
      loadEntry(s, e);
      eLo = s.busLo;
      eHi = s.busHi;
    }
    if (((eLo & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (eHi & reserved)) return wholeWalk(tlb, vaHi, vaLo);
    aboveLo = (eLo & ~0xfff) | below(top, eLo, eHi);
    aboveHi = eHi & PTE_HI_ADDR;
    refs = 2;
    tlb.ahead.enter(e & ~0x3ff, vaLo);
  }
  const paLo = (aboveLo & ~0xfff) | ((vaLo >>> 9) & 0xff8);
  if ((aboveHi & TLBD_HI_ADDR) !== 0 || paLo >>> 12 >= lowFrames) return wholeWalk(tlb, vaHi, vaLo);
  const e = (lowWord + (paLo >>> 2)) | 0, want = PTE_P | PTE_A | ((tlb.what & ACCESS_WRITE) << 5);
  let eLo = w[e], eHi = w[(e + 1) | 0];
  if (s.atomic) {
    loadEntry(s, e);
    eLo = s.busLo;
    eHi = s.busHi;
  }
  let data = (eLo & ~0xfff) | below(aboveLo, eLo, eHi) | (eLo & TLBD_D) | (((eHi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT);
  if ((eLo & (PTE_RW | PTE_D)) === PTE_D && aboveLo & TLBD_RW) data |= TLBD_SSTK;
  const refused = (~(data | TLBD_D) & w[rights + (RIGHTS_NEED >>> 2)]) | (data & w[rights + (RIGHTS_FORBID >>> 2)]);
  if (((eLo & want) ^ want) | (eHi & reserved) | refused) return wholeWalk(tlb, vaHi, vaLo);
  const lo = (vaLo >>> 12) | (vaHi << 20);
  let pageHi = ((vaHi >>> 12) & TAG_VPN_HI) | pcid;
  if (eLo & PTE_G && w[v + (VCPU_CTL >>> 2)] & CTL_PGE) { // replaces the entries of other PCIDs, if there are any
    if (tlb.mayHold(w, lo)) return wholeWalk(tlb, vaHi, vaLo);
    pageHi = (pageHi & ~TAG_PCID) | TAG_GLOBAL;
  }
  if (w[used] !== w[(clock + (ARR_CLOCK >>> 2)) | 0]) stamp(w, clock, used);
  if (refs === 2) pde.put(w, tagLo, tagHi, aboveLo, aboveHi);
  if (tlb.slot !== v) w[tlb.slot] = w[tlb.slot + 1] = 0; // no memo
  fillBoth(w, tlb.first, tlb.second, lo, pageHi, data, (eHi & PTE_HI_ADDR) | (1 << TLBD_HI_LEVEL_SHIFT));
  w[v + (VCPU_OUT_LO >>> 2)] = (eLo & ~0xfff) | (vaLo & 0xfff);
  w[v + (VCPU_OUT_HI >>> 2)] = eHi & PTE_HI_ADDR;
  if (refs === 1) tlb.shortWalks++;
  else tlb.longWalks++;
  tlb.ahead.lately++;
  if (++tlb.ahead.walks === GROUP) tlb.ahead.read(s, tlb.ahead.at + 1);
  if (!tlb.flat) price(s, v, refs, paLo, pa2Lo);
  return FAULT_NONE;
}

/** Count walks that read `refs` entries in all; price them if every entry costs the same. */
export function settleWalks(w: Int32Array, v: number, walks: number, refs: number): void {
  count(w, v, CNT_DEPTH + 1, 2 * walks - refs);
  count(w, v, CNT_DEPTH + 2, refs - walks);
  count(w, v, CNT_MISS_SIZE + 3, walks);
  if (!flat(w)) return;
  count(w, v, CNT_REF_HITS + IN_MEMORY, refs);
  countMany(w, v, CNT_LOAD_CYCLES, refs * w[HDR_MEMORY_CYCLES >>> 2]); // of a whole batch
  countMany(w, v, CNT_WALK_CYCLES, walks * w[HDR_WALK_CYCLES >>> 2]);
}

/** Price a walk through the caches. @param paLo, pa2Lo - low memory: the entries read at level 1 and, if `refs` is 2, at level 2 */
function price(s: Views, v: number, refs: number, paLo: number, pa2Lo: number): void {
  const w = s.w, trail = v + (VCPU_TRAIL_LO >>> 2), high = v + (VCPU_TRAIL_HI >>> 2); // chargeWalk() asks for it
  w[trail] = paLo;
  w[high] = 0;
  w[trail + 1] = pa2Lo;
  w[high + 1] = 0;
  w[v + (VCPU_OUT_START >>> 2)] = refs;
  w[v + (VCPU_OUT_CYCLES >>> 2)] = chargeWalk(s, v, refs, false);
}
