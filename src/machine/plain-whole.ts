/**
 * The walks of a plain TLB (plain.ts) that plainWalk() leaves: from the root, because a fault has removed what was cached for its address, and
 * those that fault. 64-bit paging, tables in low memory, a 4K page, nothing to be marked; all else is left, untouched, to translateMissed().
 */
import { ACCESS_WRITE, FAULT_NONE, PFEC_P, PFEC_PK } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_PKEY_SHIFT, PTE_P, PTE_PS, PTE_RW, tableIndex } from '../arch/pte.ts';
import { CNT_DEPTH, CNT_FAULTS, CNT_MISS_SIZE, CNT_SLOW } from '../layout/counter.ts';
import { TAG_GLOBAL, TAG_PCID, TAG_VALID, TAG_VPN_HI, TLBD_D, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK } from '../layout/tlb.ts';
import {
  CTL_PGE, VCPU_CR2_HI, VCPU_CR2_LO, VCPU_CTL, VCPU_MODE, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE, VCPU_OUT_START, VCPU_ROOT_HI,
  VCPU_ROOT_LO, VCPU_RSVD_HI, VCPU_RSVD_LO, VCPU_TAG_PCID, VCPU_TRAIL_ACC, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO,
} from '../layout/vcpu.ts';
import { drop, touchStamp } from '../cache/array.ts';
import { charge } from '../cost/charge.ts';
import { count } from '../memory/counters.ts';
import { memoClear, memoDrop } from '../mmu/memo.ts';
import { refused } from '../mmu/rights.ts';
import { translateMissed } from '../mmu/translate.ts';
import { pageFault, RIGHTS_ALL } from '../mmu/walk.ts';
import type { PlainTlb } from './plain.ts';
import { fillBoth } from './plain-level.ts';
import { below } from './plain-walk.ts';

/** An access to a page that no level has, with its price. @returns FAULT_NONE or a fault */
export function wholeWalk(tlb: PlainTlb, vaHi: number, vaLo: number): number {
  const { s, v, pde, pdpte } = tlb, { w, lowFrames, lowWord } = s, pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, reserved = w[v + (VCPU_RSVD_HI >>> 2)];
  if (!tlb.straight || s.atomic) return general(tlb, vaHi, vaLo);
  const k2 = pde.find(w, (vaLo >>> 21) | (vaHi << 11), ((vaHi >>> 21) & TAG_VPN_HI) | pcid);
  const k3 = pdpte.find(w, (vaLo >>> 30) | (vaHi << 2), ((vaHi >>> 30) & TAG_VPN_HI) | pcid);
  const start = k2 >= 0 ? 1 : k3 >= 0 ? 2 : w[v + (VCPU_MODE >>> 2)]; // MODE_4LEVEL and MODE_5LEVEL are the numbers of levels
  const at = k2 >= 0 ? pde.data + k2 * 2 : k3 >= 0 ? pdpte.data + k3 * 2 : v + (VCPU_ROOT_LO >>> 2);
  let lo = w[at], hi = w[k2 >= 0 || k3 >= 0 ? at + 1 : v + (VCPU_ROOT_HI >>> 2)] & TLBD_HI_ADDR, acc = start > 2 ? RIGHTS_ALL : lo;
  for (let level = start; level > 0; level--) {
    if (hi !== 0 || lo >>> 12 >= lowFrames) return general(tlb, vaHi, vaLo);
    const t = v + level - 1, index = tableIndex(vaHi, vaLo, level), e = (lowWord + (lo >>> 12 << 10) + index * 2) | 0;
    w[t + (VCPU_TRAIL_LO >>> 2)] = (lo & ~0xfff) | (index << 3);
    w[t + (VCPU_TRAIL_HI >>> 2)] = 0;
    lo = w[e];
    hi = w[e + 1];
    if (!(lo & PTE_P)) return fails(tlb, vaHi, vaLo, k2, k3, start, level, 0);
    if (hi & reserved || !(lo & PTE_A) || (level > 1 && lo & (level > 3 ? w[v + (VCPU_RSVD_LO >>> 2)] | PTE_PS : PTE_PS))) return general(tlb, vaHi, vaLo);
    w[t + (VCPU_TRAIL_ACC >>> 2)] = acc;
    w[t + (VCPU_TRAIL_VALUE_LO >>> 2)] = lo;
    w[t + (VCPU_TRAIL_VALUE_HI >>> 2)] = hi;
    acc = below(acc, lo, hi);
    hi &= PTE_HI_ADDR;
  }
  return leaf(tlb, vaHi, vaLo, k2, k3, start);
}

/** The walk has found an entry of level 1. */
function leaf(tlb: PlainTlb, vaHi: number, vaLo: number, k2: number, k3: number, start: number): number {
  const { s, v, what, first, second, pde, pdpte } = tlb, { w } = s, eLo = w[v + (VCPU_TRAIL_VALUE_LO >>> 2)], eHi = w[v + (VCPU_TRAIL_VALUE_HI >>> 2)], above = w[v + (VCPU_TRAIL_ACC >>> 2)];
  let data = (eLo & ~0xfff) | below(above, eLo, eHi) | (eLo & TLBD_D) | (((eHi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT);
  if ((eLo & (PTE_RW | PTE_D)) === PTE_D && above & TLBD_RW) data |= TLBD_SSTK;
  const why = refused(w, v, data | TLBD_D, what);
  if (why !== 0) return fails(tlb, vaHi, vaLo, k2, k3, start, 1, PFEC_P | (why & PFEC_PK));
  const page = (vaLo >>> 12) | (vaHi << 20), shared = eLo & PTE_G && w[v + (VCPU_CTL >>> 2)] & CTL_PGE;
  if ((what & ACCESS_WRITE && !(eLo & PTE_D)) || (shared && tlb.mayHold(w, page))) return general(tlb, vaHi, vaLo);
  use(tlb, k2, k3);
  const pcid = w[v + (VCPU_TAG_PCID >>> 2)] | TAG_VALID, own = ((vaHi >>> 12) & TAG_VPN_HI) | pcid, t = v + (VCPU_TRAIL_VALUE_LO >>> 2), h = v + (VCPU_TRAIL_VALUE_HI >>> 2), a = v + (VCPU_TRAIL_ACC >>> 2);
  if (start > 2) pdpte.put(w, (vaLo >>> 30) | (vaHi << 2), ((vaHi >>> 30) & TAG_VPN_HI) | pcid, (w[t + 2] & ~0xfff) | (w[a + 1] & 0xfff), w[h + 2] & PTE_HI_ADDR);
  if (start > 1) pde.put(w, (vaLo >>> 21) | (vaHi << 11), ((vaHi >>> 21) & TAG_VPN_HI) | pcid, (w[t + 1] & ~0xfff) | (w[a] & 0xfff), w[h + 1] & PTE_HI_ADDR);
  memoClear(w, v, tlb.slot);
  fillBoth(w, first, second, page, shared ? (own & ~TAG_PCID) | TAG_GLOBAL : own, data, (eHi & PTE_HI_ADDR) | (1 << TLBD_HI_LEVEL_SHIFT));
  w[v + (VCPU_OUT_LO >>> 2)] = (eLo & ~0xfff) | (vaLo & 0xfff);
  w[v + (VCPU_OUT_HI >>> 2)] = eHi & PTE_HI_ADDR;
  w[v + (VCPU_OUT_SIZE >>> 2)] = 0;
  count(w, v, CNT_MISS_SIZE, 1);
  count(w, v, CNT_MISS_SIZE + 3, 1);
  counted(tlb, start, start, false);
  return FAULT_NONE;
}

/** The walk ends in a #PF at an entry of `level`: what was cached for the address is forgotten, as dropFaulting() does. @param cause - of its code */
function fails(tlb: PlainTlb, vaHi: number, vaLo: number, k2: number, k3: number, start: number, level: number, cause: number): number {
  const { s, v, pde, pdpte, peers } = tlb, { w } = s;
  for (let k = 0; k < peers.length; k++) if (peers[k].mustDrop(w, (vaLo >>> 12) | (vaHi << 20))) return general(tlb, vaHi, vaLo);
  use(tlb, k2, k3);
  if (k2 >= 0) drop(w, pde.a, k2);
  if (k3 >= 0) drop(w, pdpte.a, k3);
  memoDrop(w, v);
  w[v + (VCPU_CR2_LO >>> 2)] = vaLo;
  w[v + (VCPU_CR2_HI >>> 2)] = vaHi;
  count(w, v, CNT_FAULTS, 1);
  counted(tlb, start, start - level + 1, true);
  return pageFault(w, v, tlb.what, cause);
}

/** Note the use of the entry at which the walk begins. */
function use({ s: { w }, pde, pdpte }: PlainTlb, k2: number, k3: number): void {
  if (k2 >= 0) touchStamp(w, pde.a, pde.stamps + k2);
  else if (k3 >= 0) touchStamp(w, pdpte.a, pdpte.stamps + k3);
}

/** Count and price the walk. */
function counted({ s, v, service }: PlainTlb, start: number, refs: number, faulted: boolean): void {
  const { w } = s;
  count(w, v, CNT_SLOW + service, 1);
  count(w, v, CNT_DEPTH + refs, 1);
  w[v + (VCPU_OUT_HIT >>> 2)] = 0;
  w[v + (VCPU_OUT_START >>> 2)] = start;
  w[v + (VCPU_OUT_REFS >>> 2)] = refs;
  charge(s, v, faulted);
}

function general(tlb: PlainTlb, vaHi: number, vaLo: number): number {
  const { s, v } = tlb, fault = translateMissed(s, v, tlb.service, vaHi, vaLo, tlb.what);
  charge(s, v, fault !== FAULT_NONE);
  return fault;
}
