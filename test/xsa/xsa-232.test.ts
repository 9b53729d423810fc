/**
 * XSA-232, "Missing check for grant table" (CVE-2017-14318).
 *
 * GNTTABOP_cache_flush looks, for a frame of another domain, through that domain's grant table. Frames of devices and some of the hypervisor's
 * belong to domains that are none, and have no grant table: the attacker names such a frame, and a null pointer is followed.
 *
 * Only frames of real domains are looked up, and only those granted and in use are flushed; nothing changes by any of it. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { GNTMAP_device_map, GNTTABOP_cache_flush, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { DOMID_IO, DOMID_XEN } from '../../src/xen/numbers.ts';
import { struct } from '../xen/grant-struct.ts';
import { Tenants } from '../xen/tenants.ts';
import { EINVAL, EPERM, WIDTHS } from './world.ts';

const CLEAN = 1, REF = 9;

describe.each(WIDTHS)('XSA-232: a %s guest', (_, wide) => {
  it('flushes frames of no domain, and of another one', () => {
    const world = new Tenants({ wide, domains: 3 }), [attacker, victim, third] = world.list, { frames } = world.xen.host;
    const call = (mfn: number): number => attacker.grantOp(GNTTABOP_cache_flush, struct([[8, BigInt(mfn) << 12n], [2, 0], [2, 64], [4, CLEAN]])).rc;
    const flush = (mfn: number): number => {
      call(mfn);
      const before = world.state(), rc = call(mfn);
      expect(Buffer.compare(before, world.state())).toBe(0);
      return rc;
    };
    const [device, hypervisors, free] = [0x50, 0x2f0, 0x2f1];
    frames.assign(hypervisors, DOMID_XEN);
    expect([frames.owner(device), frames.refs(free)]).toEqual([DOMID_IO, 0]);
    victim.grant(REF, GTF_permit_access, attacker.id, victim.frame(20));
    victim.grant(REF + 1, GTF_permit_access, third.id, victim.frame(21));
    third.mapGrant(0n, GNTMAP_device_map, REF + 1, victim.id);
    const theirs = [victim.frame(20), victim.frame(21), victim.domain.grants.frames[0], victim.sharedInfo];
    expect([device, hypervisors, free].map(flush)).toEqual([EPERM, EPERM, EPERM]);
    expect(theirs.map(flush)).toEqual(theirs.map(() => EINVAL));
    expect([0x9ff + 1, 0xffffffff, 2 ** 52 - 1].map(flush)).toEqual([EINVAL, EINVAL, EINVAL]);
    expect(flush(attacker.frame(20))).toBe(0);
    attacker.mapGrant(0n, GNTMAP_device_map, REF, victim.id);
    expect(theirs.map(flush)).toEqual([0, EINVAL, EINVAL, EINVAL]);
  });
});
