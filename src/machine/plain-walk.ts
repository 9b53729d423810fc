/**
 * The walk that most misses of a plain TLB (plain.ts) end in: 64-bit paging, begun at a cached entry of level 2 or 3, down to a 4K page that
 * permits the access and needs no mark. Everything is read before anything is changed; whatever else is found is left to access().
 */
import { ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_P, PTE_PS, PTE_RW } from '../arch/pte.ts';
import { ARR_LIVE } from '../layout/array.ts';
import { CNT_DEPTH, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_WALK_CYCLES } from '../layout/counter.ts';
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from '../layout/header.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_D, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US } from '../layout/tlb.ts';
import {
  CTL_PGE, PSC_A, PSC_DATA, PSC_MASK, PSC_STAMPS, PSC_TAGS, VCPU_CTL, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_OUT_START,
  VCPU_RSVD_HI, VCPU_TAG_PCID, VCPU_TRAIL_HI, VCPU_TRAIL_LO,
} from '../layout/vcpu.ts';
import { stamp, touchStamp } from '../cache/array.ts';
import { chargeWalk, flat, IN_MEMORY } from '../cost/charge.ts';
import { count } from '../memory/counters.ts';
import { loadEntry } from '../memory/entry.ts';
import type { Views } from '../memory/views.ts';
import { memoClear } from '../mmu/memo.ts';
import { GROUP } from './ahead.ts';
import type { PlainTlb } from './plain.ts';
import { fillBoth, oldestOf4 } from './plain-level.ts';
import { access } from './span.ts';

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

  use(w: Int32Array, i: number): void {
    touchStamp(w, this.a, (this.stamps + i) | 0);
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

  /** Entry with a tag, -1 if none. */
  find(w: Int32Array, lo: number, hi: number): number {
    const first = (lo & this.mask) << 2, t = (this.tags + (first << 1)) | 0;
    if (w[t] === lo && w[(t + 1) | 0] === hi) return first;
    if (w[(t + 2) | 0] === lo && w[(t + 3) | 0] === hi) return first + 1;
    if (w[(t + 4) | 0] === lo && w[(t + 5) | 0] === hi) return first + 2;
    return w[(t + 6) | 0] === lo && w[(t + 7) | 0] === hi ? first + 3 : -1;
  }
}

/** Rights accumulated down to an entry. */
const below = (acc: number, lo: number, hi: number): number => (acc & lo & (TLBD_RW | TLBD_US)) | ((acc | (hi >>> 31)) & 1);

/** An access to a page that no level has. @returns FAULT_NONE or a fault */
export function plainWalk(tlb: PlainTlb, vaHi: number, vaLo: number): number {
  const { s, v, pde, pdpte } = tlb, w = s.w, pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, reserved = w[v + (VCPU_RSVD_HI >>> 2)];
  if (pde.a === 0) return unusual(tlb, vaHi, vaLo);
  const tagLo = (vaLo >>> 21) | (vaHi << 11), tagHi = ((vaHi >>> 21) & TAG_VPN_HI) | pcid;
  let i = pde.find(w, tagLo, tagHi), refs = 1, aboveLo = 0, aboveHi = 0, pa2Lo = 0;
  if (i >= 0) {
    const at = (pde.data + (i << 1)) | 0;
    aboveLo = w[at];
    aboveHi = w[(at + 1) | 0];
  } else {
    i = pdpte.find(w, (vaLo >>> 30) | (vaHi << 2), ((vaHi >>> 30) & TAG_VPN_HI) | pcid);
    if (i < 0) return unusual(tlb, vaHi, vaLo);
    const at = (pdpte.data + (i << 1)) | 0, top = w[at];
    pa2Lo = (top & ~0xfff) | ((vaLo >>> 18) & 0xff8);
    if ((w[(at + 1) | 0] & TLBD_HI_ADDR) !== 0 || pa2Lo >>> 12 >= s.lowFrames) return unusual(tlb, vaHi, vaLo);
    const e = (s.lowWord + (pa2Lo >>> 2)) | 0;
    let eLo = w[e], eHi = w[(e + 1) | 0];
    if (s.atomic) {
      loadEntry(s, e);
      eLo = s.busLo;
      eHi = s.busHi;
    }
    if (((eLo & (PTE_P | PTE_A | PTE_PS)) ^ (PTE_P | PTE_A)) | (eHi & reserved)) return unusual(tlb, vaHi, vaLo);
    aboveLo = (eLo & ~0xfff) | below(top, eLo, eHi);
    aboveHi = eHi & PTE_HI_ADDR;
    refs = 2;
    tlb.ahead.table = e & ~0x3ff;
    tlb.ahead.region = (vaLo >>> 30) | (vaHi << 2);
  }
  const paLo = (aboveLo & ~0xfff) | ((vaLo >>> 9) & 0xff8);
  if ((aboveHi & TLBD_HI_ADDR) !== 0 || paLo >>> 12 >= s.lowFrames) return unusual(tlb, vaHi, vaLo);
  const e = (s.lowWord + (paLo >>> 2)) | 0, want = PTE_P | PTE_A | ((tlb.what & ACCESS_WRITE) << 5);
  let eLo = w[e], eHi = w[(e + 1) | 0];
  if (s.atomic) {
    loadEntry(s, e);
    eLo = s.busLo;
    eHi = s.busHi;
  }
  let data = (eLo & ~0xfff) | below(aboveLo, eLo, eHi) | (eLo & TLBD_D) | (((eHi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT);
  if ((eLo & (PTE_RW | PTE_D)) === PTE_D && aboveLo & TLBD_RW) data |= TLBD_SSTK;
  if (((eLo & want) ^ want) | (eHi & reserved) || !tlb.permits(w, data | TLBD_D)) return unusual(tlb, vaHi, vaLo);
  const lo = (vaLo >>> 12) | (vaHi << 20);
  let pageHi = ((vaHi >>> 12) & TAG_VPN_HI) | pcid;
  if (eLo & PTE_G && w[v + (VCPU_CTL >>> 2)] & CTL_PGE) { // replaces the entries of other PCIDs, if there are any
    if (tlb.first.mayHold(w, lo) || tlb.second.mayHold(w, lo)) return unusual(tlb, vaHi, vaLo);
    pageHi = (pageHi & ~TAG_PCID) | TAG_GLOBAL;
  }
  if (refs === 1) {
    pde.use(w, i);
    tlb.shortWalks++;
  } else {
    pdpte.use(w, i);
    pde.put(w, tagLo, tagHi, aboveLo, aboveHi);
    tlb.longWalks++;
  }
  memoClear(w, v, tlb.slot);
  const dataHi = (eHi & PTE_HI_ADDR) | (1 << TLBD_HI_LEVEL_SHIFT);
  fillBoth(w, tlb.first, tlb.second, lo, pageHi, data, dataHi);
  w[v + (VCPU_OUT_LO >>> 2)] = (eLo & ~0xfff) | (vaLo & 0xfff);
  w[v + (VCPU_OUT_HI >>> 2)] = eHi & PTE_HI_ADDR;
  if (++tlb.ahead.walks === GROUP) tlb.ahead.read(s);
  if (!tlb.flat) price(s, v, refs, paLo, pa2Lo);
  return FAULT_NONE;
}

function unusual(tlb: PlainTlb, vaHi: number, vaLo: number): number {
  return access(tlb.s, tlb.v, vaHi, vaLo, tlb.what);
}

/** Count walks that read `refs` entries in all; price them if every entry costs the same. */
export function settleWalks(w: Int32Array, v: number, walks: number, refs: number): void {
  count(w, v, CNT_DEPTH + 1, 2 * walks - refs);
  count(w, v, CNT_DEPTH + 2, refs - walks);
  count(w, v, CNT_MISS_SIZE + 3, walks);
  if (!flat(w)) return;
  count(w, v, CNT_REF_HITS + IN_MEMORY, refs);
  count(w, v, CNT_LOAD_CYCLES, refs * w[HDR_MEMORY_CYCLES >>> 2]);
  count(w, v, CNT_WALK_CYCLES, walks * w[HDR_WALK_CYCLES >>> 2]);
}

/** Price a walk through the caches. @param paLo, pa2Lo - low memory: the entries read at level 1 and, if `refs` is 2, at level 2 */
function price(s: Views, v: number, refs: number, paLo: number, pa2Lo: number): void {
  const w = s.w, trail = v + (VCPU_TRAIL_LO >>> 2), high = v + (VCPU_TRAIL_HI >>> 2); // chargeWalk() asks for it
  w[trail] = paLo;
  w[high] = 0;
  w[trail + 1] = pa2Lo;
  w[high + 1] = 0;
  w[v + (VCPU_OUT_START >>> 2)] = refs;
  chargeWalk(s, v, refs, false);
}
