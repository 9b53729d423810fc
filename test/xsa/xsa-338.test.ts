/**
 * XSA-338, "once valid event channels may not turn invalid" (CVE-2020-25597).
 *
 * Ports that exist were told from ports that do not by a bound that depends on the format, which sinks when a domain goes back from the FIFO format
 * to two levels. Whoever holds on to a port of that domain meanwhile, such as the domain that its ports are bound to, found no port where there
 * must be one, and the hypervisor stopped itself.
 *
 * The attacker has ports beyond the two-level format's last, bound to another domain's and to its own, and resets. The others must be unbound
 * then, and can be closed, sent through, and bound again; the attacker's are closed, and still can be asked for. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { Tenants } from '../xen/tenants.ts';
import { BIND_INTERDOMAIN, BIND_VCPU, CLOSE, fillPorts, interdomain, RESET, SELF, SEND, statusOf, unbound, UNMASK, useFifo } from './ports.ts';
import { EINVAL, WIDTHS } from './world.ts';

describe.each(WIDTHS)('XSA-338: a %s guest', (_, wide) => {
  it('goes back to two levels with ports bound beyond them', () => {
    const world = new Tenants({ wide }), [attacker, other] = world.list, last = wide ? 4095 : 1023;
    useFifo(attacker, wide ? 5 : 2);
    fillPorts(attacker, last);
    const theirs = [1, 2, 3].map(() => unbound(other, attacker.id)), mine = theirs.slice(0, 2).map(port => interdomain(attacker, other.id, port));
    const offered = unbound(attacker, other.id), bound = interdomain(other, attacker.id, offered), self = interdomain(attacker, SELF, last);
    expect([...mine, offered, self]).toEqual([1, 2, 3, 4].map(k => last + k));
    expect(mine.map(port => attacker.event(SEND, port).rc)).toEqual([0, 0]);
    expect(attacker.event(RESET, SELF).rc).toBe(0);
    expect([...theirs, bound].map(port => statusOf(other, port))).toEqual([1, 1, 1, 1]);
    expect([attacker.domain.events.active(), attacker.domain.events.fifo]).toEqual([0, undefined]);
    for (const port of [...mine, offered, self, last]) {
      expect([statusOf(attacker, port), attacker.event(UNMASK, port).rc]).toEqual([0, 0]);
      expect([attacker.event(SEND, port).rc, attacker.event(CLOSE, port).rc, attacker.event(BIND_VCPU, port, 0).rc]).toEqual([EINVAL, EINVAL, EINVAL]);
      expect(other.event(BIND_INTERDOMAIN, attacker.id, port).rc).toBe(EINVAL);
    }
    expect(statusOf(attacker, 100_000)).toBe(EINVAL);
    for (const port of [...theirs, bound]) expect([other.event(SEND, port).rc, other.event(UNMASK, port).rc]).toEqual([0, 0]);
    expect(interdomain(attacker, other.id, theirs[0])).toBe(1);
    for (const port of [...theirs, bound]) expect(other.event(CLOSE, port).rc).toBe(0);
    expect(statusOf(attacker, 1)).toBe(1);
  });
});
