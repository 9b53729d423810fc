/**
 * XSA-317, "Incorrect error handling in event channel port allocation" (CVE-2020-15566).
 *
 * A new port may not be had: it is in use, there is no memory, it is beyond what the format or the administrator allows. Only the first was
 * noticed; with any other the port was taken to be there, and reached by a pointer to nothing. The attacker asks for ports until there are none.
 *
 * Whatever asks for a port when none is left must get -ENOSPC, with nothing bound and not a byte changed; a closed port can be had again. With
 * the formats' own limits and a domain's; both widths.
 */
import { describe, expect, it } from 'vitest';
import { DOMID_SELF, HYPERVISOR_physdev_op } from '../../src/xen/numbers.ts';
import { struct } from '../xen/grant-struct.ts';
import { Tenants, type Tenant } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const ENOSPC = -28, BIND_INTERDOMAIN = 0, BIND_VIRQ = 1, BIND_PIRQ = 2, CLOSE = 3, ALLOC_UNBOUND = 6, BIND_IPI = 7;
const UNBOUND = DOMID_SELF | (DOMID_SELF << 16);

const MAP_PIRQ = 13n, GSI = 1;
/** Map an interrupt line of the machine as the PIRQ of its number. */
function mapLine(tenant: Tenant, line: number): void {
  const words = [DOMID_SELF, GSI, line, line, 0, 0, 0, 0, 0, 0];
  expect(tenant.call(HYPERVISOR_physdev_op, MAP_PIRQ, tenant.leave(struct(words.map(word => [4, word] as const))))).toBe(0);
}

describe.each(WIDTHS)('XSA-317: a %s guest', (_, wide) => {
  it.each([undefined, 20, 63, 64])('asks for ports beyond the last (limit %s)', maxEventPort => {
    const world = new Tenants({ wide, privileged: [0], ...(maxEventPort === undefined ? {} : { maxEventPort }) }), [attacker, other] = world.list;
    attacker.domain.pirqs = 16;
    mapLine(attacker, 3);
    const last = maxEventPort ?? (wide ? 4095 : 1023), [theirs] = [other.event(ALLOC_UNBOUND, DOMID_SELF)].map(({ out }) => out[1]);
    world.audited = false;
    for (let port = 1; port <= last; port++) expect(attacker.event(ALLOC_UNBOUND, UNBOUND)).toMatchObject({ rc: 0, out: { 1: port } });
    world.audited = true;
    const asks = [[ALLOC_UNBOUND, UNBOUND], [BIND_IPI, 0], [BIND_VIRQ, 2, 0], [BIND_PIRQ, 3, 0], [BIND_INTERDOMAIN, other.id, theirs], [BIND_INTERDOMAIN, DOMID_SELF, 5]] as const;
    for (const [command, ...words] of asks) {
      expect(attacker.event(command, ...words).rc).toBe(ENOSPC);
      const before = world.state();
      expect(attacker.event(command, ...words).rc).toBe(ENOSPC);
      expect([Buffer.compare(before, world.state()), attacker.domain.events.active()]).toEqual([0, last]);
    }
    for (const [command, ...words] of asks.slice(0, 5)) {
      expect(attacker.event(CLOSE, last).rc).toBe(0);
      expect(attacker.event(command, ...words).rc).toBe(0);
    }
    expect(other.event(CLOSE, theirs).rc).toBe(0);
  });
});
