/**
 * Bits of a guest's page-table entries that the hypervisor permits, adds, or looks at.
 *
 * An entry is two words, `lo` and `hi`. A frame number of 40 bits is a number, exact.
 *
 * Source: facts of Xen 4.17, xen/arch/x86/mm.c: base_disallow_mask and the masks of the levels, FASTPATH_FLAG_WHITELIST;
 *         adjust_guest_l1e() to adjust_guest_l4e(), unadjust_guest_l3e() of xen/arch/x86/pv/mm.h.
 */
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_P, PTE_PCD, PTE_PS, PTE_PWT, PTE_RW, PTE_US } from '../arch/pte.ts';
import type { Domain } from './domain.ts';

/** Cacheability of a level-1 entry; all clear is write-back. Xen's PAT: 1 WT, 2 UC-, 3 UC, 4 WC, 5 WP, by (PAT, PCD, PWT). */
export const CACHE_ATTRS = PTE_PWT | PTE_PCD | PTE_PS;
const AVAIL = 0xe00; // bits 11:9
const GUEST_KERNEL_HI = 1 << 20; // bit 52, in the high word

const DISALLOWED_TABLE = PTE_PWT | PTE_PCD | PTE_PS | PTE_G;
/** A 32-bit guest's level-3 entry is as on a PAE processor: nothing above the address either. */
const DISALLOWED_L3_32_HI = 0xfff00000 | 0;

/** Frame number in an entry. */
export function frameOf(lo: number, hi: number): number {
  return (lo >>> 12) + (hi & PTE_HI_ADDR) * 0x100000;
}

/** Is a present entry of `domain` refused by its flags alone? */
export function disallowed(domain: Domain, level: number, lo: number, hi: number): boolean {
  if (level === 1) return domain.iomem.length === 0 && (lo & CACHE_ATTRS) !== 0;
  if (level === 3 && domain.is32 && (hi & DISALLOWED_L3_32_HI) !== 0) return true;
  return (lo & DISALLOWED_TABLE) !== 0;
}

/** Low word of a present entry as it is kept. */
export function keptLo(domain: Domain, level: number, lo: number, hi: number): number {
  if (level === 4) return lo | PTE_A | (domain.is32 ? 0 : PTE_US);
  if (level === 3) return lo | PTE_US | (domain.is32 ? PTE_RW : 0);
  if (domain.is32) return lo;
  if (level === 2) return lo | PTE_US;
  return (keptHi(domain, level, lo, hi) & GUEST_KERNEL_HI) !== 0 ? lo | PTE_US : lo | PTE_US | PTE_G;
}

/** ... and its high word: a supervisor page of a 64-bit guest is marked as one, because U/S has to be 1 for the processor. */
export function keptHi(domain: Domain, level: number, lo: number, hi: number): number {
  return level === 1 && !domain.is32 && (lo & PTE_US) === 0 ? hi | GUEST_KERNEL_HI : hi;
}

/** Low word of a level-3 entry as a 32-bit guest gave it, again. */
export function givenLo(lo: number): number {
  return (lo & PTE_P) === 0 ? lo : lo & ~(PTE_US | PTE_RW | PTE_A);
}

/** Do two entries differ in nothing that references, rights or cacheability depend on? Then one may replace the other unseen. */
export function alike(lo: number, hi: number, otherLo: number, otherHi: number): boolean {
  return ((lo ^ otherLo) & ~(PTE_US | PTE_A | PTE_D | PTE_G | AVAIL)) === 0 && ((hi ^ otherHi) & PTE_HI_ADDR) === 0;
}
