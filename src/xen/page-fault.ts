/**
 * Accesses of a guest, and the page faults they take: what the hypervisor emulates, and what the guest sees.
 *
 * Source: facts of Xen 4.17, fixup_page_fault(), do_page_fault() (xen/arch/x86/traps.c), pv_inject_event() (xen/arch/x86/pv/traps.c).
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_I, PFEC_P, PFEC_RSVD, PFEC_U, PFEC_W, faultVector } from '../arch/fault.ts';
import { VCPU_CR2_HI, VCPU_CR2_LO } from '../layout/vcpu.ts';
import { hiWord, loWord } from '../machine/address.ts';
import type { GuestVcpu } from './domain.ts';
import { addressOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { VMASST_TYPE_writable_pagetables } from './numbers.ts';
import { emulateTableWrite } from './table-write.ts';

const LARGEST_STORE = 8;

/** What kind of access the guest's code makes: the kernel of a 32-bit guest runs in ring 1, all else of guests in ring 3. */
function ring(guest: GuestVcpu): number {
  return guest.domain.is32 && guest.kernelMode ? 0 : ACCESS_USER;
}

/** A load by the guest. @returns FAULT_NONE, or the exception that the guest sees */
export function guestRead(guest: GuestVcpu, va: bigint, out: Uint8Array): number {
  return injected(guest, guest.cpu!.read(va, out, ACCESS_READ | ring(guest)));
}

/** A store by the guest; one that faults may be emulated. @returns FAULT_NONE, or the exception that the guest sees */
export function guestWrite(h: Host, guest: GuestVcpu, va: bigint, data: Uint8Array): number {
  const fault = guest.cpu!.write(va, data, ACCESS_WRITE | ring(guest));
  if (fault === FAULT_NONE) return fault;
  const emulated = isPower(data.length) && isTableWrite(h, guest, fault) && emulateTableWrite(h, hiWord(va), loWord(va), data);
  return emulated ? FAULT_NONE : injected(guest, fault);
}

const isPower = (bytes: number): boolean => bytes <= LARGEST_STORE && (bytes & (bytes - 1)) === 0;

/** Is it a fault that a store of the guest's kernel to a page table takes? CR2 is its address. */
function isTableWrite(h: Host, guest: GuestVcpu, fault: number): boolean {
  const wanted = PFEC_P | PFEC_W, hi = h.s.w[guest.v + (VCPU_CR2_HI >>> 2)];
  return faultVector(fault) === faultVector(FAULT_PF) && guest.kernelMode && (fault & (wanted | PFEC_RSVD | PFEC_I)) === wanted
    && (guest.domain.assists & (1 << VMASST_TYPE_writable_pagetables)) !== 0 && addressOk(hi);
}

/** The fault as the guest sees it: U/S tells the guest's own modes apart, not the processor's. */
function injected(guest: GuestVcpu, fault: number): number {
  if (faultVector(fault) !== faultVector(FAULT_PF)) return fault;
  return (fault & ~PFEC_U) | (guest.kernelMode ? 0 : PFEC_U);
}

/** Address of the last fault, as CR2 has it. */
export function faultAddress(h: Host, guest: GuestVcpu): bigint {
  const w = h.s.w;
  return (BigInt(w[guest.v + (VCPU_CR2_HI >>> 2)] >>> 0) << 32n) | BigInt(w[guest.v + (VCPU_CR2_LO >>> 2)] >>> 0);
}
