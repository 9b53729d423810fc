/**
 * The guest's two modes, and the ways from one to the other: each is one entry into the hypervisor.
 *
 *   exception    its own entry (a page fault); the frame goes to the stack of the guest's kernel, and the hypervisor leaves by SYSRET
 *   system call  SYSCALL arrives in the hypervisor, which makes a frame as for an exception and leaves by SYSRET
 *   return       HYPERVISOR_iret, a hypercall; left by SYSRET after a system call, by IRET after an exception
 *
 * So an exception and its return are one exception with its IRET, one SYSCALL with its SYSRET and two changes of mode, and a system call and its
 * return two of SYSCALL with SYSRET and two changes of mode; prices are of these pairs.
 *
 * Source: facts of Xen 4.17: lstar_enter, switch_to_kernel, create_bounce_frame, restore_all_guest (xen/arch/x86/x86_64/entry.S), do_iret()
 *         (xen/arch/x86/pv/iret.c), toggle_guest_mode() (xen/arch/x86/pv/domain.c); of 32-bit guests, whose modes share a root table:
 *         compat_int80_direct_trap, compat_create_bounce_frame (xen/arch/x86/x86_64/compat/entry.S), compat_iret().
 */
import { NO_FRAME, type GuestVcpu } from './domain.ts';
import type { Host } from './host.ts';
import { switchRoot } from './root.ts';
import { BOUNCES, COMPAT_TRAPS, MODE_SWITCHES, TRAPS } from './work.ts';

/** The guest goes on in its kernel, with a frame of what happened on its stack. */
export function bounce(h: Host, guest: GuestVcpu): void {
  h.counters.work.add(BOUNCES, 1);
  if (!guest.kernelMode) toggle(h, guest);
}

/** The guest's user mode calls its kernel. */
export function systemCall(h: Host, guest: GuestVcpu): void {
  trap(h, guest);
  bounce(h, guest);
}

/** The guest's kernel goes back to user mode. @returns false, with nothing changed: there is no root table for it */
export function iret(h: Host, guest: GuestVcpu): boolean {
  if (!guest.domain.is32 && guest.userRoot === NO_FRAME) return false;
  trap(h, guest);
  toggle(h, guest);
  return true;
}

/** The guest enters the hypervisor by a call, and leaves it. */
export function trap(h: Host, guest: GuestVcpu): void {
  h.counters.work.add(guest.domain.is32 ? COMPAT_TRAPS : TRAPS, 1);
}

function toggle(h: Host, guest: GuestVcpu): void {
  guest.kernelMode = !guest.kernelMode;
  if (guest.domain.is32) return;
  h.counters.work.add(MODE_SWITCHES, 1);
  switchRoot(guest);
}
