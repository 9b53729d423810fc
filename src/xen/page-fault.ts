/**
 * Accesses of a guest, and the page faults they take: what the hypervisor emulates, and what the guest sees.
 *
 * Source: facts of Xen 4.17, fixup_page_fault(), do_page_fault() (xen/arch/x86/traps.c), pv_inject_event() (xen/arch/x86/pv/traps.c).
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_I, PFEC_P, PFEC_RSVD, PFEC_U, PFEC_W, faultVector } from '../arch/fault.ts';
import { VCPU_CR2_HI, VCPU_CR2_LO } from '../layout/vcpu.ts';
import { hiWord, joinWords, loWord } from '../machine/address.ts';
import { PAGE_FAULT, PAGE_FAULTS, PTWR_EMULATIONS } from './counters.ts';
import type { GuestVcpu } from './domain.ts';
import { addressOk } from './guest-memory.ts';
import { bounce } from './guest-mode.ts';
import type { Host } from './host.ts';
import { descriptorFault, isDescriptorFault } from './ldt.ts';
import { VMASST_TYPE_writable_pagetables } from './numbers.ts';
import { emulateTableWrite } from './table-write.ts';
import { EMULATIONS, ENTRIES_SEEN, FAULTS } from './work.ts';

const LARGEST_STORE = 8;

/** What kind of access the guest's code makes: the kernel of a 32-bit guest runs in ring 1, all else of guests in ring 3. */
function ring(guest: GuestVcpu): number {
  return guest.domain.is32 && guest.kernelMode ? 0 : ACCESS_USER;
}

/** A load by the guest. @returns FAULT_NONE, or the exception that the guest sees */
export function guestRead(h: Host, guest: GuestVcpu, va: bigint, out: Uint8Array): number {
  const fault = out.length === 0 ? FAULT_NONE : guest.cpu!.read(va, out, ACCESS_READ | ring(guest));
  return fault === FAULT_NONE ? fault : pageFault(h, guest, fault, va);
}

/** A store by the guest; one that faults may be emulated. @returns FAULT_NONE, or the exception that the guest sees */
export function guestWrite(h: Host, guest: GuestVcpu, va: bigint, data: Uint8Array): number {
  const fault = data.length === 0 ? FAULT_NONE : guest.cpu!.write(va, data, ACCESS_WRITE | ring(guest));
  return fault === FAULT_NONE ? fault : pageFault(h, guest, fault, va, data);
}

/**
 * A fault that an access of the guest took.
 *
 * @param va - address of the access @param data - what it stores; undefined: it is no store, or one that cannot be emulated
 * @returns FAULT_NONE: the store was done in its stead; or the exception that the guest sees
 */
export function pageFault(h: Host, guest: GuestVcpu, fault: number, va: bigint, data?: Uint8Array): number {
  const w = h.s.w, hi = w[guest.v + (VCPU_CR2_HI >>> 2)], lo = w[guest.v + (VCPU_CR2_LO >>> 2)];
  const { work } = h.counters;
  if (faultVector(fault) === faultVector(FAULT_PF)) h.counters.add(PAGE_FAULTS, 1);
  work.add(FAULTS, 1);
  if (isDescriptorFault(guest, fault, hi, lo)) return settled(h, guest, descriptorFault(h, guest, fault, lo));
  const emulated = data !== undefined && isPower(data.length) && isTableWrite(guest, fault, hi) && emulateTableWrite(h, hiWord(va), loWord(va), data);
  if (emulated) {
    h.counters.add(PTWR_EMULATIONS, 1);
    work.add(EMULATIONS, 1);
    work.add(ENTRIES_SEEN, 1);
    return settled(h, guest, FAULT_NONE);
  }
  if (faultVector(fault) !== faultVector(FAULT_PF)) return settled(h, guest, fault);
  guest.cr2Hi = hi;
  guest.cr2Lo = lo;
  return settled(h, guest, (fault & ~PFEC_U) | (guest.kernelMode ? 0 : PFEC_U)); // U/S tells the guest's own modes apart, not the processor's
}

/** A fault was served. @param given - what the guest's kernel gets of it */
function settled(h: Host, guest: GuestVcpu, given: number): number {
  if (given !== FAULT_NONE) bounce(h, guest);
  h.counters.charge(PAGE_FAULT, h.s.w, guest.v);
  return given;
}

const isPower = (bytes: number): boolean => bytes <= LARGEST_STORE && (bytes & (bytes - 1)) === 0;

/** Is it a fault that a store of the guest's kernel to a page table takes? @param hi - high word of its address */
function isTableWrite(guest: GuestVcpu, fault: number, hi: number): boolean {
  const wanted = PFEC_P | PFEC_W;
  return faultVector(fault) === faultVector(FAULT_PF) && guest.kernelMode && (fault & (wanted | PFEC_RSVD | PFEC_I)) === wanted
    && (guest.domain.assists & (1 << VMASST_TYPE_writable_pagetables)) !== 0 && addressOk(hi);
}

/** Address of the last fault that the guest was given. */
export function faultAddress(guest: GuestVcpu): bigint {
  return joinWords(guest.cr2Hi, guest.cr2Lo);
}
