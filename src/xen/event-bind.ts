/**
 * Binding, closing and raising ports.
 *
 * Source: facts of Xen 4.17, xen/common/event_channel.c, the functions named at each.
 */
import { ConfigError } from '../errors.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { testAndClearBit, testAndSetBit } from './event-bits.ts';
import { clearPending2l, setPending2l, unmask2l } from './event-2l.ts';
import { clearPendingFifo, destroyFifo, isBusyFifo, setPendingFifo, unmaskFifo } from './event-fifo.ts';
import { ECS_FREE, ECS_INTERDOMAIN, ECS_IPI, ECS_PIRQ, ECS_RESERVED, ECS_UNBOUND, ECS_VIRQ, type Port } from './event-port.ts';
import type { EventPorts } from './event-ports.ts';
import type { Host } from './host.ts';
import { XEN_EAGAIN, XEN_EBUSY, XEN_EEXIST, XEN_EINVAL, XEN_ENOENT, XEN_ENOMEM, XEN_EPERM } from './numbers.ts';

const VIRQS = 24;
const PORTS_BETWEEN_CHECKS = 64;
const PER_VCPU = [0, 1, 7, 13]; // VIRQ_TIMER, _DEBUG, _XENOPROF, _XENPMU: get_virq_type()

/** Does each vCPU have its own? */
export const isPerVcpu = (virq: number): boolean => PER_VCPU.includes(virq);

/** Raise a port, if it is given out, for the vCPU that it is bound to by then. Source: evtchn_port_set_pending() (xen/include/xen/event.h). */
export function raise(h: Host, d: Domain, port: Port): void {
  if (port.state <= ECS_RESERVED) return;
  h.guard?.takeEvents(d);
  const { vcpu } = port;
  if (d.events.isFifo) setPendingFifo(h, d, vcpu, port);
  else setPending2l(h, d, vcpu, port);
  h.guard?.giveEvents(d);
}

/** Clear a port's pending bit. */
function clear(h: Host, d: Domain, port: Port): void {
  if (d.events.isFifo) clearPendingFifo(h, d, port);
  else clearPending2l(h, d, port);
}

/** The lowest free port, or -XEN_E*. */
function freePort(h: Host, events: EventPorts): number {
  return events.allocate(port => events.isFifo && isBusyFifo(h, events, port));
}

function bound(port: Port, state: number): Port {
  port.state = state;
  port.priority = 7; // what evtchn_fifo_init() sets; the two-level format has none
  return port;
}

/** evtchn_alloc_unbound(): whether the caller may comes after whether there is a port. @returns the port, or -XEN_E* */
export function allocUnbound(h: Host, d: Domain, remoteDomid: number): number {
  const events = d.events, number = freePort(h, events);
  if (number >= 0 && !h.mayControl(d)) return -XEN_EPERM;
  if (number >= 0) bound(events.port(number), ECS_UNBOUND).remoteDomid = remoteDomid;
  return number;
}

/** evtchn_bind_interdomain(): raises the local port, as an event may have been lost before. @returns the local port, or -XEN_E* */
export function bindInterdomain(h: Host, d: Domain, remote: Domain, remotePort: number): number {
  const events = d.events, number = freePort(h, events);
  if (number < 0) return number;
  const peer = remote.events.find(remotePort);
  if (!peer || peer.state !== ECS_UNBOUND || peer.remoteDomid !== d.id) return -XEN_EINVAL;
  const port = bound(events.port(number), ECS_INTERDOMAIN);
  port.remoteDomid = remote.id;
  port.remotePort = remotePort;
  peer.state = ECS_INTERDOMAIN;
  peer.remoteDomid = d.id;
  peer.remotePort = number;
  raise(h, d, port);
  return number;
}

/** evtchn_bind_virq(). @returns the port, or -XEN_E* */
export function bindVirq(h: Host, d: Domain, virq: number, vcpu: number): number {
  const events = d.events;
  if (virq >= VIRQS || (!isPerVcpu(virq) && vcpu !== 0)) return -XEN_EINVAL;
  if (vcpu >= d.maxVcpus) return -XEN_ENOENT;
  if (events.virqPort(vcpu, virq) !== 0) return -XEN_EEXIST;
  const number = freePort(h, events);
  if (number < 0) return number;
  const port = bound(events.port(number), ECS_VIRQ);
  port.vcpu = vcpu;
  port.virq = virq;
  events.setVirqPort(vcpu, virq, number);
  return number;
}

/**
 * Raise the port of a VIRQ. Source: send_guest_vcpu_virq(), send_guest_global_virq().
 *
 * @returns whether there is one @throws ConfigError - the domain can have no such VIRQ
 */
export function raiseVirq(h: Host, d: Domain, virq: number, vcpu: number): boolean {
  if (!Number.isInteger(virq) || virq < 0 || virq >= VIRQS) throw new ConfigError('virq', `an integer from 0 to ${VIRQS - 1}`, virq);
  if (!Number.isInteger(vcpu) || vcpu < 0 || vcpu >= d.maxVcpus) throw new ConfigError('vcpu', `one of the domain's ${d.maxVcpus}`, vcpu);
  const number = d.events.virqPort(isPerVcpu(virq) ? vcpu : 0, virq);
  if (number === 0) return false;
  raise(h, d, d.events.port(number));
  return true;
}

/** evtchn_bind_ipi(). @returns the port, or -XEN_E* */
export function bindIpi(h: Host, d: Domain, vcpu: number): number {
  if (vcpu >= d.maxVcpus) return -XEN_ENOENT;
  const events = d.events, number = freePort(h, events);
  if (number >= 0) bound(events.port(number), ECS_IPI).vcpu = vcpu;
  return number;
}

/**
 * evtchn_bind_pirq(). What is an interrupt of an emulated device, as it is in a domain whose events are delivered like a device's, need not be mapped.
 *
 * @returns the port, or -XEN_E*
 */
export function bindPirq(h: Host, d: Domain, pirq: number, share: boolean): number {
  const events = d.events, isEmulated = isHvm(h, d) && !h.interrupts.isMapped(d, pirq);
  if (pirq >= d.pirqs) return -XEN_EINVAL;
  if (!isEmulated && !d.privileged && !h.interrupts.isMapped(d, pirq)) return -XEN_EPERM;
  if (events.pirqs.has(pirq)) return -XEN_EEXIST;
  const number = freePort(h, events);
  if (number < 0) return number;
  if (!events.pirqs.reserve(pirq)) return -XEN_ENOMEM;
  const rc = isEmulated ? 0 : h.interrupts.bind(d, pirq, share);
  if (rc !== 0) return rc;
  bound(events.port(number), ECS_PIRQ).pirq = pirq;
  events.pirqs.set(pirq, number);
  markEoi(h, d, pirq);
  return number;
}

/** Has a domain virtual hardware, as far as this knows? */
function isHvm(h: Host, d: Domain): boolean {
  const way = h.deliveries.get(d)?.way.type;
  return way !== undefined && way !== 'upcall';
}

/** Let the guest see whether a PIRQ has to be ended, if it wants to. */
function markEoi(h: Host, d: Domain, pirq: number): void {
  if (d.eoiFrame === NO_FRAME) return;
  const word = h.table(d.eoiFrame) + (pirq >>> 5);
  if (h.interrupts.needsEoi(d, pirq)) testAndSetBit(h.s, word, pirq & 31);
  else testAndClearBit(h.s, word, pirq & 31);
}

/** Tell domains of an interrupt that is due. Source: do_IRQ_guest() (xen/arch/x86/irq.c), send_guest_pirq() (xen/common/event_channel.c). */
export function deliverInterrupt(h: Host, irq: number): void {
  for (const { domain, pirq } of h.interrupts.due(irq)) raisePirq(h, domain, pirq);
}

/** Raise the port of a PIRQ. @returns whether there is one */
export function raisePirq(h: Host, d: Domain, pirq: number): boolean {
  const number = d.events.pirqs.get(pirq);
  if (number === 0) return false;
  raise(h, d, d.events.port(number));
  return true;
}

/** evtchn_close(): the peer of an interdomain port can be bound again by the domain that closed. @returns 0 or -XEN_EINVAL */
export function closePort(h: Host, d: Domain, number: number): number {
  const events = d.events, port = events.find(number);
  if (!port || port.state === ECS_FREE || port.state === ECS_RESERVED) return -XEN_EINVAL;
  if (port.state === ECS_VIRQ) events.setVirqPort(isPerVcpu(port.virq) ? port.vcpu : 0, port.virq, 0);
  const irq = port.state === ECS_PIRQ ? h.interrupts.irqOf(d, port.pirq) : 0;
  if (port.state === ECS_PIRQ) {
    h.interrupts.unbind(d, port.pirq);
    events.pirqs.delete(port.pirq);
  }
  const remote = port.state === ECS_INTERDOMAIN ? h.domain(port.remoteDomid) : undefined;
  clear(h, d, port);
  port.free();
  if (irq > 0) deliverInterrupt(h, irq); // to others, who may have waited for this one
  if (!remote) return 0;
  const peer = remote.events.port(port.remotePort);
  peer.state = ECS_UNBOUND;
  peer.remoteDomid = d.id;
  return 0;
}

/** evtchn_send(): an unbound port is silent. @returns 0 or -XEN_EINVAL */
export function send(h: Host, d: Domain, number: number): number {
  const port = d.events.find(number);
  if (port === undefined) return -XEN_EINVAL;
  if (port.state === ECS_INTERDOMAIN) {
    const remote = h.domain(port.remoteDomid)!, peer = remote.events.port(port.remotePort);
    raise(h, remote, peer);
    return 0;
  }
  if (port.state === ECS_IPI) raise(h, d, port);
  return port.state === ECS_IPI || port.state === ECS_UNBOUND ? 0 : -XEN_EINVAL;
}

/** evtchn_bind_vcpu(): a VIRQ or IPI of one vCPU stays with it. @returns 0 or -XEN_E* */
export function bindVcpu(h: Host, d: Domain, number: number, vcpu: number): number {
  if (vcpu >= d.maxVcpus) return -XEN_ENOENT;
  const port = d.events.find(number);
  if (!port) return -XEN_EINVAL;
  const movable = port.state === ECS_UNBOUND || port.state === ECS_INTERDOMAIN || port.state === ECS_PIRQ || (port.state === ECS_VIRQ && !isPerVcpu(port.virq));
  if (!movable) return -XEN_EINVAL;
  h.guard?.takeEvents(d);
  port.vcpu = vcpu;
  h.guard?.giveEvents(d);
  return 0;
}

/** evtchn_unmask(). @returns 0 or -XEN_EINVAL */
export function unmask(h: Host, d: Domain, number: number): number {
  const events = d.events, port = events.find(number);
  if (!port) return -XEN_EINVAL;
  if (!port.usable) return 0;
  h.guard?.takeEvents(d);
  if (events.isFifo) unmaskFifo(h, d, port);
  else unmask2l(h, d, port);
  h.guard?.giveEvents(d);
  return 0;
}

const PORTS_A_CHECK = 64; // that a reset closes before it may be preempted
/** Result of a reset that is to be continued. */
export const RESET_PREEMPTED = 1;

/**
 * evtchn_reset(): closes all ports, and goes back to two levels.
 *
 * @param resuming - it was preempted before
 * @returns 0; -XEN_EBUSY: one is under way, or none to be resumed; -XEN_EAGAIN: ports were opened meanwhile; or RESET_PREEMPTED
 */
export function reset(h: Host, d: Domain, resuming: boolean): number {
  const events = d.events, first = resuming ? events.nextReset : events.nextReset === 0 ? 1 : 0;
  if (first === 0) return -XEN_EBUSY;
  let active = events.active();
  for (let n = first; n < events.valid && active > 0; n++) {
    if (closePort(h, d, n) === 0) active--;
    if (n % PORTS_A_CHECK === 0 && n > first && h.preemptCheck()) {
      events.nextReset = n;
      return RESET_PREEMPTED;
    }
  }
  events.nextReset = 0;
  if (events.active() > 0) return -XEN_EAGAIN;
  if (events.isFifo) destroyFifo(h, d);
  return 0;
}

/**
 * evtchn_destroy(): at the end of a domain its ports are closed from the highest down.
 *
 * @param from - the lowest that is closed already, 0: none is @returns the same after a preemption, or -1: all are closed
 */
export function destroyEvents(h: Host, d: Domain, from: number): number {
  const events = d.events;
  for (let n = (from === 0 ? events.valid : from) - 1; n > 0; n--) {
    closePort(h, d, n);
    if (n % PORTS_BETWEEN_CHECKS === 0 && h.preemptCheck()) return n;
  }
  if (events.isFifo) destroyFifo(h, d);
  return -1;
}
