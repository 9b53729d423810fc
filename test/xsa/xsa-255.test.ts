/**
 * XSA-255, "grant table v2 -> v1 transition may crash Xen" (CVE-2018-7541).
 *
 * Going back to version 1 of grants frees the frames in which version 2 has the entries' status. The guest may have these mapped, and nothing
 * asked: a frame was freed that still had references, and the attacker could read and write whatever it became next.
 *
 * While a status frame is mapped anywhere, the change must be refused, with nothing changed; after it none of them can be mapped. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { GNTTABOP_get_status_frames, GNTTABOP_setup_table } from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { struct } from '../xen/grant-struct.ts';
import { DATA, entryOf, READ } from '../xen/guest.ts';
import { SPARE, Tenants } from '../xen/tenants.ts';
import { EBUSY, WIDTHS } from './world.ts';

describe.each(WIDTHS)('XSA-255: a %s guest', (_, wide) => {
  it('changes to version 1 with status frames mapped', () => {
    const world = new Tenants({ wide }), [attacker] = world.list, { frames } = world.xen.host, { grants } = attacker.domain, size = wide ? 8 : 4;
    const list = attacker.va(63) + 2048n, setup = struct([[2, DOMID_SELF], [2, 0], [4, 9], [2, 0], [2, 0], ...(wide ? [[4, 0]] as [number, number][] : []), [size, list]]);
    expect(attacker.grantOp(GNTTABOP_setup_table, setup).out[0].getInt16(8, true)).toBe(0);
    expect([attacker.setVersion(2), grants.statusFrames.length]).toEqual([0, 2]); // for nine frames of entries
    const asked = attacker.grantOp(GNTTABOP_get_status_frames, struct([[4, 2], [2, DOMID_SELF], [2, 0], [8, list]]));
    expect([asked.out[0].getInt16(6, true), Number(attacker.taken(16, 2048).getBigUint64(8, true))]).toEqual([0, grants.statusFrames[1]]);
    const status = [...grants.statusFrames];
    for (const [k, flags] of [[0, READ], [1, DATA], [1, READ]] as const) {
      expect(attacker.map(SPARE, entryOf(status[k], flags))).toBe(0);
      expect(attacker.setVersion(1)).toBe(EBUSY);
      const before = world.state();
      expect(attacker.setVersion(1)).toBe(EBUSY);
      expect([Buffer.compare(before, world.state()), grants.version, [...grants.statusFrames]]).toEqual([0, 2, status]);
    }
    expect(attacker.map(SPARE, 0n)).toBe(0);
    expect([attacker.setVersion(1), [...grants.statusFrames], ...status.map(mfn => frames.isFree(mfn))]).toEqual([0, [], true, true]);
    for (const mfn of status) expect([attacker.map(SPARE, entryOf(mfn, DATA)), attacker.map(SPARE, entryOf(mfn, READ))]).toEqual([EBUSY, EBUSY]);
  });
});
