/**
 * The audit of events.
 *
 *   XE1  the peer of an interdomain port is one too, and its peer is that port
 *   XE2  a VIRQ's port, by vCPU and number, is bound to that VIRQ, and to that vCPU if it is one of a vCPU; and each port of a VIRQ is there
 *   XE3  a PIRQ's port is bound to it; and each port of a PIRQ is there
 *   XE4  port 0 is reserved; a port that is given out notifies a vCPU that the domain may have
 *   XE5  in the FIFO format a port's last queue is one that there is, and a queue's tail is the port that came last into it
 *   XE6  a domain that is dead has no port
 *
 * Frames of the FIFO format and of vcpu_infos that were moved hold a reference and a type count each.
 */
import type { Domain } from './domain.ts';
import { isPerVcpu } from './event-bind.ts';
import { FIFO_PRIORITIES } from './event-fifo.ts';
import { ECS_INTERDOMAIN, ECS_PIRQ, ECS_RESERVED, ECS_VIRQ, type Port } from './event-port.ts';
import type { EventPorts } from './event-ports.ts';
import type { Host } from './host.ts';

type Complain = (rule: string, what: string) => void;

/** Tell which references events hold. */
export function holdForEvents(h: Host, hold: (mfn: number, refs: number, types: number) => void): void {
  for (const domain of h.domains.values()) {
    const events = domain.events;
    for (const { frame } of events.fifoVcpus()) if (frame >= 0) hold(frame, 1, 1);
    for (const frame of events.fifo ?? []) hold(frame, 1, 1);
    for (const mfn of events.infoFrames()) hold(mfn, 1, 1);
  }
}

/** Complain of what does not hold. */
export function auditEvents(h: Host, complain: Complain): void {
  for (const domain of h.domains.values()) {
    const events = domain.events;
    if (events.port(0).state !== ECS_RESERVED) complain('XE4', `port 0 of domain ${domain.id} is not reserved`);
    for (let n = 1; n < events.valid; n++) comparePort(h, domain, events, events.port(n), complain);
    for (const { vcpu, virq, port } of events.boundVirqs()) {
      const { state, virq: other } = events.port(port);
      if (state !== ECS_VIRQ || other !== virq) complain('XE2', `VIRQ ${virq} of vCPU ${vcpu} of domain ${domain.id} is not port ${port}'s`);
    }
    for (const [pirq, port] of events.pirqs) {
      const { state, pirq: other } = events.port(port);
      if (state !== ECS_PIRQ || other !== pirq) complain('XE3', `PIRQ ${pirq} of domain ${domain.id} is not port ${port}'s`);
    }
    if (domain.dead && events.active() > 0) complain('XE6', `domain ${domain.id} is dead and has ${events.active()} ports`);
    compareTails(domain, events, complain);
  }
}

function comparePort(h: Host, domain: Domain, events: EventPorts, port: Port, complain: Complain): void {
  const where = `port ${port.number} of domain ${domain.id}`;
  if (port.usable && port.vcpu >= domain.maxVcpus) complain('XE4', `${where} notifies vCPU ${port.vcpu}`);
  if (port.state === ECS_INTERDOMAIN) {
    const remote = h.domain(port.remoteDomid), peer = remote && remote.events.find(port.remotePort);
    if (peer?.state !== ECS_INTERDOMAIN || peer.remoteDomid !== domain.id || peer.remotePort !== port.number) {
      complain('XE1', `${where} has no peer at port ${port.remotePort} of domain ${port.remoteDomid}`);
    }
  } else if (port.state === ECS_VIRQ) {
    if (events.virqPort(isPerVcpu(port.virq) ? port.vcpu : 0, port.virq) !== port.number) complain('XE2', `${where} is bound to VIRQ ${port.virq}, which is another's`);
  } else if (port.state === ECS_PIRQ && events.pirqs.get(port.pirq) !== port.number) {
    complain('XE3', `${where} is bound to PIRQ ${port.pirq}, which is another's`);
  }
}

function compareTails(domain: Domain, events: EventPorts, complain: Complain): void {
  events.fifoVcpus().forEach((fifo, vcpu) => {
    for (let priority = 0; priority < FIFO_PRIORITIES; priority++) {
      const tail = fifo.tail(priority), port = tail === 0 ? undefined : events.port(tail);
      if (port !== undefined && (port.lastVcpu !== vcpu || port.lastPriority !== priority)) {
        complain('XE5', `queue ${priority} of vCPU ${vcpu} of domain ${domain.id} ends with port ${tail}, which is in queue ${port.lastPriority} of vCPU ${port.lastVcpu}`);
      }
    }
  });
}
