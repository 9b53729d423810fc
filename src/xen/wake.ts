/**
 * vCPUs that wait for events, and what ends their waiting.
 *
 * Source: facts of Xen 4.17, vcpu_unblock() (xen/common/sched/core.c), evtchn_check_pollers() (xen/common/event_channel.c).
 */
import type { Domain, GuestVcpu } from './domain.ts';

/** A vCPU waits for nothing any more. */
export function wake(guest: GuestVcpu): void {
  guest.blocked = false;
  guest.pollPort = 0;
}

/** A port has become pending: vCPUs that poll it, or several, go on. */
export function wakePollers(d: Domain, port: number): void {
  for (const guest of d.vcpus) if (guest.pollPort === port || guest.pollPort < 0) wake(guest);
}
