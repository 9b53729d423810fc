/**
 * Accesses of a guest, and the page faults they take: what the hypervisor emulates, and what the guest sees.
 *
 * Source: facts of Xen 4.17, fixup_page_fault(), do_page_fault() (xen/arch/x86/traps.c), pv_inject_event() (xen/arch/x86/pv/traps.c).
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_U } from '../arch/fault.ts';
import type { GuestVcpu } from './domain.ts';
import type { Host } from './host.ts';

/** What kind of access the guest's code makes: the kernel of a 32-bit guest runs in ring 1, all else of guests in ring 3. */
function ring(guest: GuestVcpu): number {
  return guest.domain.is32 && guest.kernelMode ? 0 : ACCESS_USER;
}

export function guestRead(h: Host, guest: GuestVcpu, va: bigint, out: Uint8Array): number {
  void h;
  return injected(guest, guest.cpu!.read(va, out, ACCESS_READ | ring(guest)));
}

export function guestWrite(h: Host, guest: GuestVcpu, va: bigint, data: Uint8Array): number {
  void h;
  return injected(guest, guest.cpu!.write(va, data, ACCESS_WRITE | ring(guest)));
}

/** The fault as the guest sees it: U/S tells the guest's own modes apart, not the processor's. */
function injected(guest: GuestVcpu, fault: number): number {
  if (fault === FAULT_NONE || fault >>> 16 !== FAULT_PF >>> 16) return fault;
  return (fault & ~PFEC_U) | (guest.kernelMode ? 0 : PFEC_U);
}
