/**
 * The hypercall sched_op: a vCPU yields, or waits for events; a domain shuts down. When a waiting vCPU runs again is the embedder's business:
 * `GuestVcpu.blocked` says that it waits, `waitForEvent()` lets the thread that plays it sleep, and timeouts are not kept.
 *
 * Source: facts of Xen 4.17, do_sched_op(), do_poll(), vcpu_block_enable_events(), vcpu_block() (xen/common/sched/core.c), domain_shutdown()
 *         (xen/common/domain.c), evtchn_port_poll() (xen/include/xen/event.h); xen/include/public/sched.h.
 */
import type { Domain } from './domain.ts';
import { eventsAwaited, enableEvents, isPending2l } from './event-2l.ts';
import { isPendingFifo } from './event-fifo.ts';
import type { Port } from './event-port.ts';
import { copyFromGuest, ownArrayOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from './numbers.ts';
import { sleep, wake } from './wake.ts';

export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
const SCHEDOP_remote_shutdown = 4;
const SCHEDOP_shutdown_code = 5;
const POLLED_MOST = 128;
const PORT_BYTES = 4;

/** Arguments: command, address of its structure. @param at - word index @returns 0 or -XEN_E* */
export function schedOp(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, command = w[at], lo = w[at + 2], hi = w[at + 3];
  switch (command) {
    case SCHEDOP_yield: return 0;
    case SCHEDOP_block: return block(h);
    case SCHEDOP_poll: return poll(h, lo, hi);
    case SCHEDOP_shutdown: case SCHEDOP_shutdown_code:
      if (!copyFromGuest(h, hi, lo, 4)) return -XEN_EFAULT;
      if (command === SCHEDOP_shutdown) shutDown(domain, h.bytes[0]);
      else if (domain.shutdownCode < 0) domain.shutdownCode = h.bytes[0];
      return 0;
    case SCHEDOP_remote_shutdown: {
      if (!copyFromGuest(h, hi, lo, 8)) return -XEN_EFAULT;
      const other = h.domain(h.buffer[0] & 0xffff);
      if (other === undefined) return -XEN_ESRCH;
      if (!domain.privileged) return -XEN_EPERM;
      shutDown(other, h.bytes[4]);
      return 0;
    }
    default: return -XEN_ENOSYS;
  }
}

/** The first reason given stays. */
function shutDown(domain: Domain, reason: number): void {
  if (domain.shutdownCode < 0) domain.shutdownCode = reason;
  domain.isShutDown = true;
}

/** Events are let through, and the vCPU waits, before they are looked for: none can come between unseen. */
function block(h: Host): number {
  const guest = h.current, vcpu = guest.domain.vcpus.indexOf(guest);
  h.guard?.takeEvents(guest.domain);
  enableEvents(h, guest.domain, vcpu);
  sleep(h, guest, 0);
  if (eventsAwaited(h, guest.domain, vcpu)) wake(h, guest);
  h.guard?.giveEvents(guest.domain);
  return 0;
}

function poll(h: Host, lo: number, hi: number): number {
  const guest = h.current, { domain } = guest, wide = !domain.is32;
  if (!copyFromGuest(h, hi, lo, wide ? 24 : 16)) return -XEN_EFAULT;
  const count = h.buffer[wide ? 2 : 1] >>> 0, portsLo = h.buffer[0], portsHi = wide ? h.buffer[1] : 0;
  if (count > POLLED_MOST) return -XEN_EINVAL;
  if (!ownArrayOk(h, portsHi, portsLo, count, PORT_BYTES)) return -XEN_EFAULT;
  wake(h, guest);
  if (eventsAwaited(h, domain, domain.vcpus.indexOf(guest))) return 0;
  let number = 0;
  const ports: Port[] = [];
  for (let k = 0; k < count; k++) {
    const at = (portsLo + k * PORT_BYTES) | 0, carry = at >>> 0 < portsLo >>> 0 ? 1 : 0;
    if (!copyFromGuest(h, (portsHi + carry) | 0, at, PORT_BYTES)) return -XEN_EFAULT;
    number = h.buffer[0] >>> 0;
    const port = domain.events.find(number);
    if (!port?.usable) return -XEN_EINVAL;
    if (isPending(h, domain, port)) return 0;
    ports.push(port);
  }
  h.guard?.takeEvents(domain);
  sleep(h, guest, count === 1 ? number : -1);
  if (h.guard !== undefined && (eventsAwaited(h, domain, domain.vcpus.indexOf(guest)) || ports.some(port => isPending(h, domain, port)))) wake(h, guest);
  h.guard?.giveEvents(domain);
  return 0;
}

function isPending(h: Host, domain: Domain, port: Port): boolean {
  return domain.events.isFifo ? isPendingFifo(h, domain, port) : isPending2l(h, domain, port);
}
