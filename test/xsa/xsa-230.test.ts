/**
 * XSA-230, "grant_table: possibly premature clearing of GTF_writing / GTF_reading" (CVE-2017-12855).
 *
 * Two flags of a grant tell its owner that it is in use, to be read or to be written. At the end of a copy they were cleared if no processor used
 * the grant any more: devices were forgotten. The attacker maps a frame for a device, copies a byte, and the owner, who sees no flags, takes
 * the frame for its own again while the device still writes to it.
 *
 * The flags must stay for as long as one use does, of whatever kind, and be gone with the last. Both versions of entries, both widths.
 */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_okay, GTF_permit_access, GTF_reading, GTF_writing,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, SPARE, Tenants } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const REF = 9;

describe.each(WIDTHS)('XSA-230: a %s guest', (_, wide) => {
  it.each([
    ['a device', GNTMAP_device_map, 1], ['a device that reads', GNTMAP_device_map | GNTMAP_readonly, 1], ['the processor', GNTMAP_host_map, 1],
    ['the processor, to read', GNTMAP_host_map | GNTMAP_readonly, 1], ['a device', GNTMAP_device_map, 2], ['a device that reads', GNTMAP_device_map | GNTMAP_readonly, 2],
  ] as const)('maps for %s and copies besides (%#)', (_what, flags, version) => {
    const world = new Tenants({ wide }), [attacker, victim] = world.list, mfn = victim.frame(20), va = attacker.va(SPARE);
    expect(victim.setVersion(version)).toBe(0);
    if (version === 1) victim.grant(REF, GTF_permit_access, attacker.id, mfn);
    else victim.grant2(REF, GTF_permit_access, attacker.id, 0, mfn);
    const { status, handle } = attacker.mapGrant(va, flags, REF, 1), seen = () => victim.flags(REF) & ~GTF_permit_access;
    const mapped = flags & GNTMAP_readonly ? GTF_reading : GTF_reading | GTF_writing;
    const grant = ['ref', REF, 1, 0] as const, own = ['frame', attacker.frame(DATA_FRAME), DOMID_SELF, 0] as const;
    expect([status, seen()]).toEqual([GNTST_okay, mapped]);
    for (const copies of [[[grant, own, 8]], [[own, grant, 8]], [[grant, own, 8], [own, grant, 8], [grant, grant, 8]]] as const) {
      expect(attacker.copy(...copies)).toEqual(copies.map(() => 0));
      expect(seen()).toBe(mapped);
    }
    expect(attacker.copy([grant, own, 8], [grant, own, 5000])).toEqual([0, -10]); // one that fails ends its use too
    expect(seen()).toBe(mapped);
    expect(attacker.unmapGrant(va, mfn * 4096, handle)).toBe(GNTST_okay);
    expect(seen()).toBe(0);
    expect([...attacker.copy([own, grant, 8]), seen()]).toEqual([0, 0]);
  });
});
