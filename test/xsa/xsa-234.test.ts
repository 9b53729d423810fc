/**
 * XSA-234, "insufficient grant unmapping checks for x86 PV guests" (CVE-2017-14319).
 *
 * Who unmaps a grant names the entry that maps it. Only its frame was compared, not whether it is present and may be written, though the
 * references that are put are those of the mapping as it was made. The attacker maps one frame twice, to read and to write, and unmaps the one to
 * write by the entry of the other; or leaves an entry that is not present with the frame's number in it. The type count is put, and the frame
 * becomes a page table while the attacker may still write it.
 *
 * An entry that is not as the mapping made it must be refused, with nothing changed. Both widths.
 */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_contains_pte, GNTMAP_host_map, GNTMAP_readonly, GNTST_general_error, GNTST_okay, GTF_permit_access,
} from '../../src/xen/grant-numbers.ts';
import { MMUEXT_PIN_L1_TABLE } from '../../src/xen/numbers.ts';
import { entryOf, P, READ } from '../xen/guest.ts';
import { SPARE, Tenants } from '../xen/tenants.ts';
import { EBUSY, EINVAL, WIDTHS } from './world.ts';

const REF = 9, K = 20, WRITE = GNTMAP_host_map, READ_ONLY = GNTMAP_host_map | GNTMAP_readonly;

describe.each(WIDTHS)('XSA-234: a %s guest', (_, wide) => {
  function scene() {
    const world = new Tenants({ wide }), [attacker, victim] = world.list, mfn = victim.frame(K);
    victim.grant(REF, GTF_permit_access, attacker.id, mfn);
    const tableable = (): number => victim.map(K, entryOf(mfn, READ)) || victim.ext(MMUEXT_PIN_L1_TABLE, mfn);
    return { world, attacker, victim, mfn, tableable };
  }

  it.each([['address', 0], ['entry', GNTMAP_contains_pte]] as const)('unmaps one of two mappings by the %s of the other', (_what, by) => {
    const { world, attacker, mfn, tableable } = scene(), at = (k: number) => (by ? attacker.entryAddress(k) : attacker.va(k));
    const read = attacker.mapGrant(at(SPARE), READ_ONLY | by, REF, 1), write = attacker.mapGrant(at(SPARE + 1), WRITE | by, REF, 1), { frames } = world.xen.host;
    expect([read.status, write.status]).toEqual([GNTST_okay, GNTST_okay]);
    for (const [k, handle] of [[SPARE, write.handle], [SPARE + 1, read.handle], [K, read.handle]] as const) {
      attacker.unmapGrant(at(k), 0, handle);
      const before = world.state();
      expect(attacker.unmapGrant(at(k), 0, handle)).toBe(GNTST_general_error);
      expect(Buffer.compare(before, world.state())).toBe(0);
    }
    expect([frames.refs(mfn), frames.typeCount(mfn), tableable()]).toEqual([4, 2, EINVAL]);
    expect([attacker.unmapGrant(at(SPARE), 0, read.handle), attacker.unmapGrant(at(SPARE + 1), 0, write.handle)]).toEqual([GNTST_okay, GNTST_okay]);
    expect([frames.refs(mfn), tableable()]).toEqual([2, 0]);
  });

  it('unmaps by an entry that is not present any more', () => {
    for (const flags of [WRITE, READ_ONLY]) {
      const { world, attacker, victim, mfn, tableable } = scene(), { handle } = attacker.mapGrant(attacker.va(SPARE), flags, REF, 1), { frames } = world.xen.host;
      const entry = attacker.entry(SPARE), pin = victim.pins(REF);
      expect(attacker.map(SPARE, entry & ~P)).toBe(0); // its references are put, the handle stays
      expect([frames.refs(mfn), victim.pins(REF)]).toEqual([2, pin]);
      expect(attacker.unmapGrant(attacker.va(SPARE), 0, handle)).toBe(GNTST_general_error);
      expect([attacker.entry(SPARE), frames.refs(mfn), victim.pins(REF), tableable()]).toEqual([entry & ~P, 2, pin, 0]);
    }
  });

  it('makes the entry of a mapping to write one to read, or of one to read one to write', () => {
    const { attacker } = scene();
    for (const [k, flags] of [[SPARE, WRITE], [SPARE + 1, READ_ONLY]] as const) {
      const { handle } = attacker.mapGrant(attacker.va(k), flags, REF, 1), entry = attacker.entry(k);
      expect([attacker.map(k, entry ^ 2n), attacker.entry(k)]).toEqual([EBUSY, entry]); // another's frame: only grants map it
      expect(attacker.unmapGrant(attacker.va(k), 0, handle)).toBe(GNTST_okay);
    }
  });
});
