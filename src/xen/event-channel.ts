/**
 * The hypercall event_channel_op. Its structures are the same in both widths.
 *
 * Source: facts of Xen 4.17, do_event_channel_op() (xen/common/event_channel.c), xen/include/public/event_channel.h.
 */
import type { Domain } from './domain.ts';
import { isPending2l } from './event-2l.ts';
import { allocUnbound, bindInterdomain, bindIpi, bindPirq, bindVcpu, bindVirq, closePort, reset, RESET_PREEMPTED, send, unmask } from './event-bind.ts';
import { controlFits, expandArray, FIFO_LINK_BITS, FIFO_PRIORITIES, mapControl } from './event-fifo.ts';
import { ECS_FREE, ECS_INTERDOMAIN, ECS_PIRQ, ECS_RESERVED, ECS_UNBOUND, ECS_VIRQ } from './event-port.ts';
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { DOMID_SELF, HYPERVISOR_event_channel_op, XEN_EACCES, XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH } from './numbers.ts';

const EVTCHNOP_bind_interdomain = 0;
const EVTCHNOP_bind_virq = 1;
const EVTCHNOP_bind_pirq = 2;
const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
const EVTCHNOP_alloc_unbound = 6;
const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
const EVTCHNOP_reset = 10;
const EVTCHNOP_init_control = 11;
const EVTCHNOP_expand_array = 12;
export const EVTCHNOP_set_priority = 13;
const BIND_PIRQ__WILL_SHARE = 1;
const EVTCHNOP_reset_cont = 14; // a reset that was preempted

/** Bytes of each command's structure. */
const BYTES = [12, 12, 12, 4, 4, 24, 8, 8, 8, 4, 2, 24, 8, 8, 2];
/** Commands whose structure is written back if they succeed. */
const ANSWERED = (1 << EVTCHNOP_bind_interdomain) | (1 << EVTCHNOP_bind_virq) | (1 << EVTCHNOP_bind_pirq) | (1 << EVTCHNOP_status) |
  (1 << EVTCHNOP_alloc_unbound) | (1 << EVTCHNOP_bind_ipi) | (1 << EVTCHNOP_init_control);

/** Arguments: command, address of its structure. @param at - word index */
export function eventChannelOp(h: Host, at: number): number {
  const { w } = h.s, command = w[at], lo = w[at + 2], hi = w[at + 3];
  if (command < 0 || command >= BYTES.length) return -XEN_ENOSYS;
  if (!copyFromGuest(h, hi, lo, BYTES[command])) return -XEN_EFAULT;
  if (command === EVTCHNOP_send) return send(h, h.current.domain, h.buffer[0] >>> 0);
  const rc = perform(h, h.current.domain, command, h.buffer);
  if (rc === RESET_PREEMPTED) return h.continueCall(HYPERVISOR_event_channel_op, at, [EVTCHNOP_reset_cont, 0]);
  if (rc !== 0 || !((ANSWERED >>> command) & 1)) return rc;
  return copyToGuest(h, hi, lo, BYTES[command]) ? 0 : -XEN_EFAULT;
}

/** @param b - the structure, as words; answers go there */
function perform(h: Host, d: Domain, command: number, b: Int32Array): number {
  switch (command) {
    case EVTCHNOP_bind_interdomain: return interdomain(h, d, b);
    case EVTCHNOP_bind_virq: return answer(b, 2, bindVirq(h, d, b[0] >>> 0, b[1] >>> 0));
    case EVTCHNOP_bind_pirq: return answer(b, 2, bindPirq(h, d, b[0] >>> 0, (b[1] & BIND_PIRQ__WILL_SHARE) !== 0));
    case EVTCHNOP_close: return closePort(h, d, b[0] >>> 0);
    case EVTCHNOP_send: return send(h, d, b[0] >>> 0);
    case EVTCHNOP_status: return status(h, d, b);
    case EVTCHNOP_alloc_unbound: return unbound(h, d, b);
    case EVTCHNOP_bind_ipi: return answer(b, 1, bindIpi(h, d, b[0] >>> 0));
    case EVTCHNOP_bind_vcpu: return bindVcpu(h, d, b[0] >>> 0, b[1] >>> 0);
    case EVTCHNOP_unmask: return unmask(h, d, b[0] >>> 0);
    case EVTCHNOP_reset: case EVTCHNOP_reset_cont: return resetDomain(h, d, b[0] & 0xffff, command === EVTCHNOP_reset_cont);
    case EVTCHNOP_init_control: return initControl(h, d, b);
    case EVTCHNOP_expand_array: return d.events.isFifo ? expandArray(h, d, b[1], b[0]) : -XEN_EOPNOTSUPP;
    case EVTCHNOP_set_priority: return setPriority(h, d, b[0] >>> 0, b[1] >>> 0);
    default: return -XEN_ENOSYS;
  }
}

/** Put a port where the structure has it. @returns 0, or what was no port */
function answer(b: Int32Array, word: number, port: number): number {
  if (port < 0) return port;
  b[word] = port;
  return 0;
}

/** A domain by any number, its own too. Source: rcu_lock_domain_by_any_id() (xen/common/domain.c). */
function anyDomain(h: Host, domid: number): Domain | undefined {
  return domid === DOMID_SELF ? h.current.domain : h.domain(domid);
}

function interdomain(h: Host, d: Domain, b: Int32Array): number {
  const remote = anyDomain(h, b[0] & 0xffff);
  return remote ? answer(b, 2, bindInterdomain(h, d, remote, b[1] >>> 0)) : -XEN_ESRCH;
}

function unbound(h: Host, d: Domain, b: Int32Array): number {
  const target = anyDomain(h, b[0] & 0xffff), remote = b[0] >>> 16;
  if (!target) return -XEN_ESRCH;
  return answer(b, 1, allocUnbound(h, target, remote === DOMID_SELF ? d.id : remote));
}

const EVTCHNSTAT_closed = 0;
const EVTCHNSTAT_unbound = 1;
const EVTCHNSTAT_interdomain = 2;
const EVTCHNSTAT_pirq = 3;
const EVTCHNSTAT_virq = 4;
const EVTCHNSTAT_ipi = 5;

/** evtchn_status(): what a state does not define keeps the bytes that were passed. */
function status(h: Host, d: Domain, b: Int32Array): number {
  const target = anyDomain(h, b[0] & 0xffff);
  if (!target) return -XEN_ESRCH;
  const port = target.events.find(b[1] >>> 0);
  if (!port) return -XEN_EINVAL;
  if (target !== d && !d.privileged) return -XEN_EPERM;
  h.guard?.takeEvents(target);
  b[3] = port.vcpu;
  h.guard?.giveEvents(target);
  if (port.state === ECS_FREE || port.state === ECS_RESERVED) b[2] = EVTCHNSTAT_closed;
  else if (port.state === ECS_UNBOUND || port.state === ECS_INTERDOMAIN) {
    b[2] = port.state === ECS_UNBOUND ? EVTCHNSTAT_unbound : EVTCHNSTAT_interdomain;
    b[4] = (b[4] & ~0xffff) | port.remoteDomid;
    if (port.state === ECS_INTERDOMAIN) b[5] = port.remotePort;
  } else if (port.state === ECS_PIRQ) {
    b[2] = EVTCHNSTAT_pirq;
    b[4] = port.pirq;
  } else if (port.state === ECS_VIRQ) {
    b[2] = EVTCHNSTAT_virq;
    b[4] = port.virq;
  } else b[2] = EVTCHNSTAT_ipi;
  return 0;
}

/** evtchn_reset() of a domain: only its own, as no other is paused by whoever controls it. */
function resetDomain(h: Host, d: Domain, domid: number, resuming: boolean): number {
  const target = anyDomain(h, domid);
  if (!target) return -XEN_ESRCH;
  if (target !== d) return d.privileged ? -XEN_EINVAL : -XEN_EPERM;
  return reset(h, d, resuming);
}

/** evtchn_fifo_init_control(). */
function initControl(h: Host, d: Domain, b: Int32Array): number {
  const events = d.events, lo = b[0], hi = b[1], offset = b[2] >>> 0, vcpu = b[3] >>> 0;
  if (vcpu >= d.maxVcpus) return -XEN_ENOENT;
  if (!controlFits(offset)) return -XEN_EINVAL;
  const rc = mapControl(h, d, events.fifoVcpu(vcpu), hi, lo, offset);
  if (rc !== 0) return rc;
  if (events.isFifo) return linkBits(h);
  const ports = Math.min(events.valid, events.most);
  for (let n = 1; n < ports; n++) {
    const port = events.port(n);
    if (isPending2l(h, d, port)) port.pending = true;
    port.priority = 7;
  }
  events.startFifo();
  return linkBits(h);
}

function linkBits(h: Host): number {
  h.bytes[16] = FIFO_LINK_BITS;
  return 0;
}

/** evtchn_set_priority(). */
function setPriority(h: Host, d: Domain, number: number, priority: number): number {
  const events = d.events, port = events.find(number);
  if (!port) return -XEN_EINVAL;
  if (!events.isFifo) return -XEN_ENOSYS;
  if (!port.usable) return -XEN_EACCES;
  if (priority >= FIFO_PRIORITIES) return -XEN_EINVAL;
  h.guard?.takeEvents(d);
  port.priority = priority;
  h.guard?.giveEvents(d);
  return 0;
}
