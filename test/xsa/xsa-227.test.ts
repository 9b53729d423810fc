/**
 * XSA-227, "x86: PV privilege escalation via map_grant_ref" (CVE-2017-12137).
 *
 * A grant may be mapped by the machine address of the level-1 entry that is to map it. Nothing asked that the address be a multiple of an
 * entry's size: the attacker names one in the middle of an entry, or across two, and the bytes that are written there make entries of its own
 * choice, which no one has checked.
 *
 * Only whole entries may be named, for mapping and for unmapping; else not a byte changes. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { GNTMAP_contains_pte, GNTMAP_host_map, GNTST_general_error, GNTST_okay, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { SPARE, Tenants } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const REF = 9, FLAGS = GNTMAP_host_map | GNTMAP_contains_pte;

describe.each(WIDTHS)('XSA-227: a %s guest', (_, wide) => {
  function scene() {
    const world = new Tenants({ wide }), [attacker, victim] = world.list;
    victim.grant(REF, GTF_permit_access, attacker.id, victim.frame(20));
    return { world, attacker, victim };
  }

  it.each([1n, 2n, 3n, 4n, 5n, 6n, 7n])('maps %i bytes beyond the start of an entry', beyond => {
    const { world, attacker, victim } = scene();
    for (const at of [attacker.entryAddress(SPARE), attacker.entryAddress(511)]) {
      expect(attacker.mapGrant(at + beyond, FLAGS, REF, 1).status).toBe(GNTST_general_error);
      const before = world.state();
      expect(attacker.mapGrant(at + beyond, FLAGS, REF, 1).status).toBe(GNTST_general_error);
      expect([Buffer.compare(before, world.state()), victim.pins(REF), victim.flags(REF)]).toEqual([0, 0, GTF_permit_access]);
    }
  });

  it('unmaps there: the mapping stays', () => {
    const { attacker, victim } = scene(), at = attacker.entryAddress(SPARE), { status, handle } = attacker.mapGrant(at, FLAGS, REF, 1), entry = attacker.entry(SPARE);
    expect(status).toBe(GNTST_okay);
    for (let beyond = 1n; beyond < 8n; beyond++) {
      expect([attacker.unmapGrant(at + beyond, 0, handle), attacker.entry(SPARE), victim.pins(REF)]).toEqual([GNTST_general_error, entry, 1]);
    }
    expect([attacker.unmapGrant(at, 0, handle), attacker.entry(SPARE), victim.pins(REF)]).toEqual([GNTST_okay, 0n, 0]);
  });
});
