/**
 * XSA-344, "lack of preemption in evtchn_reset() / evtchn_destroy()" (CVE-2020-25601).
 *
 * Closing all ports of a domain takes long when there are many, those of other domains too; nothing else ran on the processor meanwhile. The
 * attacker binds as many as it can and resets, again and again.
 *
 * No part of a reset may close more than 64 ports once it has to stop, and what comes of it is the same in parts as at once. Both widths. The end of a domain is no
 * hypercall here: `destroyDomain()` is the embedder's own, and returns when all is done.
 */
import { describe, expect, it } from 'vitest';
import { Tenants } from '../xen/tenants.ts';
import { BIND_IPI, fillPorts, interdomain, leaveEvent, RESET, SELF, statusOf, unbound, useFifo } from './ports.ts';
import { WIDTHS } from './world.ts';

const PORTS = 900;

describe.each(WIDTHS)('XSA-344: a %s guest', (_, wide) => {
  it.each([['two levels', false], ['FIFO', true]] as const)('resets %s with many ports open', (_what, fifo) => {
    const ends = [Infinity, 0, 2].map(budget => {
      const world = new Tenants({ wide, budget }), [attacker, other] = world.list, events = attacker.domain.events;
      if (fifo) useFifo(attacker, 1);
      const theirs = Array.from({ length: 40 }, () => unbound(other, attacker.id));
      fillPorts(attacker, PORTS);
      for (const port of theirs) interdomain(attacker, other.id, port);
      expect(attacker.event(BIND_IPI, 0).rc).toBe(0);
      leaveEvent(attacker, RESET, SELF);
      let left = events.active(), parts = 0, rc: number;
      do {
        rc = world.xen.dispatchPart(attacker.cpu);
        world.check();
        parts++;
        if (budget !== Infinity) expect(left - events.active()).toBeLessThanOrEqual(64 * (budget + 1));
        left = events.active();
      } while (world.xen.host.preempted);
      expect([rc, left, events.fifo, parts]).toEqual([0, 0, undefined, budget === Infinity ? 1 : Math.floor((PORTS + 41) / 64 / (budget + 1)) + 1]);
      return [theirs.map(port => statusOf(other, port)), world.state().subarray(0, 0x40 * 4096).toString('hex')];
    });
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[2]).toEqual(ends[0]);
  });
});
