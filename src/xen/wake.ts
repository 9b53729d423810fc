/**
 * vCPUs that wait for events, and what ends their waiting. A thread that plays a vCPU of the machine sleeps meanwhile.
 *
 * Source: facts of Xen 4.17, vcpu_block(), vcpu_unblock() (xen/common/sched/core.c), evtchn_check_pollers() (xen/common/event_channel.c).
 */
import { MAIL_RUN, RUN_PLAYED, RUN_QUIET } from '../layout/mailbox.ts';
import { VCPU_MAIL, VCPU_WAITS } from '../layout/vcpu.ts';
import type { Domain, GuestVcpu } from './domain.ts';
import type { Host } from './host.ts';

const CLAIM_MS = 5; // between two looks at who is at the mailbox

/** A vCPU waits for an event. @param port - and for this port besides: 0 none, -1 any */
export function sleep(h: Host, guest: GuestVcpu, port: number): void {
  guest.blocked = true;
  guest.pollPort = port;
  if (guest.cpu !== undefined) Atomics.store(h.s.w, guest.v + (VCPU_WAITS >>> 2), 1);
}

/** A vCPU waits for nothing any more. */
export function wake(h: Host, guest: GuestVcpu): void {
  guest.blocked = false;
  guest.pollPort = 0;
  const { w } = h.s, at = guest.v + (VCPU_WAITS >>> 2);
  if (guest.cpu === undefined || w[at] === 0) return;
  Atomics.store(w, at, 0);
  Atomics.notify(w, at);
}

/** A port has become pending: vCPUs that poll it, or several, go on. */
export function wakePollers(h: Host, d: Domain, port: number): void {
  const { vcpus } = d;
  for (let k = 0; k < vcpus.length; k++) {
    const { pollPort } = vcpus[k];
    if (pollPort === port || pollPort < 0) wake(h, vcpus[k]);
  }
}

/**
 * Let the thread that plays a vCPU sleep until its guest is woken, if the guest waits. For workers; the main thread of a browser may not.
 *
 * @param memory - the machine's, shared: `machine.views.memory` @param block - `Vcpu.block` @param timeout - milliseconds; default: for ever
 * @returns false: the time is over, and the guest still waits
 */
export function waitForEvent(memory: WebAssembly.Memory, block: number, timeout = Infinity): boolean {
  const w = new Int32Array(memory.buffer), run = (block + VCPU_MAIL + MAIL_RUN) >>> 2;
  const isPlayed = Atomics.compareExchange(w, run, RUN_PLAYED, RUN_QUIET) === RUN_PLAYED; // others do meanwhile what they ask of it
  const woken = Atomics.wait(w, (block + VCPU_WAITS) >>> 2, 1, timeout) !== 'timed-out';
  if (!isPlayed) return woken;
  for (let now; (now = Atomics.compareExchange(w, run, RUN_QUIET, RUN_PLAYED)) !== RUN_QUIET;) Atomics.wait(w, run, now, CLAIM_MS);
  return woken;
}
