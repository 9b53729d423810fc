/**
 * Entries of guests' tables that are the hypervisor's.
 *
 * Source: facts of Xen 4.17, is_guest_l2_slot(), is_guest_l4_slot() (xen/arch/x86/include/asm/x86_64/page.h), init_xen_l4_slots(), fill_ro_mpt(),
 *         zap_ro_mpt() (xen/arch/x86/mm.c), init_xen_pae_l2_slots() (xen/arch/x86/pv/mm.c).
 */
import { PTE_A, PTE_D, PTE_HI_XD, PTE_P, PTE_RW, PTE_US } from '../arch/pte.ts';
import { PGT_PAE_XEN_L2 } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import type { Domain } from './domain.ts';
import type { Host } from './host.ts';
import { ROOT_FIRST_XEN_SLOT, ROOT_LAST_XEN_SLOT, ROOT_LINEAR_SLOT, ROOT_M2P_SLOT } from './numbers.ts';

const ENTRIES = 512;
const LAST_COMPAT_ENTRY = 3;

/** First entry that is the hypervisor's in the level-2 table of a 32-bit guest's fourth GiB. */
const firstCompatSlot = (domain: Domain): number => (domain.compatStart >>> 21) & (ENTRIES - 1);

/** May the guest decide entry `slot` of a table? @param type - type word of the table */
export function guestSlot(domain: Domain, level: number, type: number, slot: number): boolean {
  if (level === 2) return (type & PGT_PAE_XEN_L2) === 0 || slot < firstCompatSlot(domain);
  if (level !== 4) return true;
  return domain.is32 ? slot === 0 : slot < ROOT_FIRST_XEN_SLOT || slot > ROOT_LAST_XEN_SLOT;
}

/** Is it the entry of a 32-bit guest's root whose table holds the hypervisor's entries? */
export function compatSlot(domain: Domain, level: number, slot: number): boolean {
  return domain.is32 && level === 3 && slot === LAST_COMPAT_ENTRY;
}

/** Write the hypervisor's entries into a level-2 table. @param at - word index of its entries */
export function fillCompatSlots(h: Host, domain: Domain, at: number): void {
  for (let slot = firstCompatSlot(domain); slot < ENTRIES; slot++) storeEntry(h.s, at + slot * 2, 0, 0);
  for (const [slot, lo, hi] of h.compatSlots ?? h.m2p.compatWindow(firstCompatSlot(domain))) if (slot >= firstCompatSlot(domain)) storeEntry(h.s, at + slot * 2, lo, hi);
}

/** ... and into a root table: the window on the machine-to-physical table only if its guest asked for it to be strictly the kernel's. */
export function fillRootSlots(h: Host, domain: Domain, mfn: number, at: number): void {
  for (let slot = ROOT_FIRST_XEN_SLOT; slot <= ROOT_LAST_XEN_SLOT; slot++) storeEntry(h.s, at + slot * 2, 0, 0);
  for (const [slot, lo, hi] of h.xenSlots) storeEntry(h.s, at + slot * 2, lo, hi);
  storeEntry(h.s, at + ROOT_LINEAR_SLOT * 2, (mfn << 12) | PTE_P | PTE_RW | PTE_A | PTE_D, (mfn / 0x100000) | PTE_HI_XD);
  if (domain.m2pStrict) fillM2p(h, at);
  else storeEntry(h.s, at + ROOT_M2P_SLOT * 2, 0, 0);
}

/** Let a root table show the machine-to-physical table. @param at - word index of its entries */
export function fillM2p(h: Host, at: number): void {
  const slot = at + ROOT_M2P_SLOT * 2;
  if (h.s.w[slot] === 0 && h.s.w[slot + 1] === 0) storeEntry(h.s, slot, (h.m2p.level3 << 12) | PTE_P | PTE_US | PTE_A, (h.m2p.level3 / 0x100000) | PTE_HI_XD);
}

/** ... or not show it. */
export function zapM2p(h: Host, at: number): void {
  storeEntry(h.s, at + ROOT_M2P_SLOT * 2, 0, 0);
}
