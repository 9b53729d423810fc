/**
 * XSA-236, "pin count / page reference race in grant table code" (CVE-2017-15597).
 *
 * A grant that is in use is taken to have a frame that someone holds a reference of. At the end of a copy the reference was put first and the use
 * ended after it: in between another vCPU that began to use the grant found a frame that was free already, or someone else's.
 *
 * Calls are made one after the other here; what is left to be held is the order. Whenever a reference of a granted frame is put, as a copy
 * ends, as an operation of it fails, or as one is preempted, no grant of the frame may be in use any more by what held the reference. Both widths.
 */
import { describe, expect, it, vi } from 'vitest';
import { GNTMAP_device_map, GNTST_okay, GTF_permit_access, GTF_transitive } from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, Tenants } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const REF = 9;

describe.each(WIDTHS)('XSA-236: a %s guest', (_, wide) => {
  function scene(budget = Infinity) {
    const world = new Tenants({ wide, domains: 3, budget }), [attacker, middle, victim] = world.list, mfn = victim.frame(20);
    victim.grant(REF, GTF_permit_access, attacker.id, mfn);
    victim.grant(REF + 1, GTF_permit_access, middle.id, mfn);
    expect(middle.setVersion(2)).toBe(0);
    middle.grant2(REF, GTF_transitive, attacker.id, victim.id, REF + 1);
    const { frames } = world.xen.host, put = frames.putPage.bind(frames), seen: number[][] = [];
    vi.spyOn(frames, 'putPage').mockImplementation(frame => {
      if (frame === mfn) seen.push([victim.pins(REF), victim.pins(REF + 1), middle.pins(REF)]);
      put(frame);
    });
    const direct = ['ref', REF, victim.id, 0] as const, passed = ['ref', REF, middle.id, 0] as const, own = ['frame', attacker.frame(DATA_FRAME), DOMID_SELF, 0] as const;
    return { attacker, victim, direct, passed, own, mfn, seen };
  }

  it.each([Infinity, 1])('copies by a grant: its use ends before the reference is put (budget %d)', budget => {
    const { attacker, direct, passed, own, seen } = scene(budget);
    for (const grant of [direct, passed]) {
      expect(attacker.copy([grant, own, 8], [own, grant, 8], [grant, own, 9])).toEqual([0, 0, 0]);
      expect(attacker.copy([grant, own, 8], [grant, own, 5000], [own, grant, 5000])).toEqual([0, -10, -10]);
    }
    expect(seen.length).toBeGreaterThan(7);
    expect(new Set(seen.map(String))).toEqual(new Set(['0,0,0']));
  });

  it('copies while a device uses the same grant: that use alone is left when the copy puts its reference', () => {
    const { attacker, direct, own, seen, mfn } = scene(), { status, handle } = attacker.mapGrant(0n, GNTMAP_device_map, REF, 2);
    expect([status, ...attacker.copy([direct, own, 8], [own, direct, 8])]).toEqual([GNTST_okay, 0, 0]);
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen.map(String))).toEqual(new Set(['65536,0,0']));
    expect(attacker.unmapGrant(0n, mfn * 4096, handle)).toBe(GNTST_okay);
  });
});
