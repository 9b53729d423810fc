/**
 * XSA-226, "multiple problems with transitive grants" (CVE-2017-12135).
 *
 * A grant of version 2 may pass on another domain's grant, for copies. Using it uses the other one too, and both uses end together. Where the
 * first was in use already a short way was taken that left the second's use out, but not its end: counts fell below zero. What the grant
 * passed on could be changed while in use, so that another one's use was ended; and looking again at a changed grant went by recursion without
 * a bound.
 *
 * The middle domain and the user conspire against the owner. However they use, change and chain such grants, after each call no use may
 * remain and none may be ended that was not begun; the owner's frame and the flags it sees are as before. Both widths.
 */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_host_map, GNTST_eagain, GNTST_general_error, GNTST_okay, GTF_permit_access, GTF_reading, GTF_transitive, GTF_writing,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, SPARE, Tenants } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const ERANGE = -34, OWNED = 11, PASSED = 9;

describe.each(WIDTHS)('XSA-226: a %s guest', (_, wide) => {
  function scene() {
    const world = new Tenants({ wide, domains: 3 }), [user, middle, owner] = world.list, mfn = owner.frame(20), { frames } = world.xen.host;
    expect(middle.setVersion(2)).toBe(0);
    owner.grant(OWNED, GTF_permit_access, middle.id, mfn);
    owner.grant(OWNED + 1, GTF_permit_access, middle.id, owner.frame(21));
    middle.grant2(PASSED, GTF_transitive, user.id, owner.id, OWNED);
    const own = (k: number) => ['frame', user.frame(DATA_FRAME + k), DOMID_SELF, 0] as const, passed = ['ref', PASSED, middle.id, 0] as const;
    /** What the owner sees of its frame: references and type besides its own mapping's; the pin; the flags of the entry. */
    const owned = () => [frames.refs(mfn) - 2, frames.typeCount(mfn) - 1, owner.pins(OWNED), owner.flags(OWNED) & ~GTF_permit_access];
    return { world, user, middle, owner, own, passed, owned };
  }
  const nothing = [0, 0, 0, 0];

  it('reads and writes by a grant that is passed on, also in one operation: both uses begin and end', () => {
    const { user, middle, own, passed, owned } = scene();
    expect(user.copy([passed, own(0), 8], [own(1), passed, 8], [passed, own(2), 8])).toEqual([0, 0, 0]);
    expect([middle.pins(PASSED), ...owned()]).toEqual([0, ...nothing]);
    expect(user.copy([passed, passed, 8], [passed, ['ref', PASSED, middle.id, 64], 8])).toEqual([0, 0]);
    expect([middle.pins(PASSED), middle.domain.grants.v2Operations, ...owned()]).toEqual([0, 0, ...nothing]);
  });

  it('does so while the middle domain has the frame mapped: that use stays as it is', () => {
    const { user, middle, owner, own, passed, owned } = scene(), { status, handle } = middle.mapGrant(middle.va(SPARE), GNTMAP_host_map, OWNED, owner.id);
    const mapped = [1, 1, 1, GTF_reading | GTF_writing];
    expect([status, ...owned()]).toEqual([GNTST_okay, ...mapped]);
    expect(user.copy([passed, own(0), 8], [passed, passed, 8], [own(1), passed, 8])).toEqual([0, 0, 0]);
    expect(owned()).toEqual(mapped);
    expect(middle.unmapGrant(middle.va(SPARE), 0, handle)).toBe(GNTST_okay);
    expect(owned()).toEqual(nothing);
  });

  it('has the grant pass on another one each time', () => {
    const { user, middle, owner, own, passed, owned } = scene();
    for (const [domid, ref, status] of [[2, OWNED + 1, 0], [2, OWNED, 0], [0, OWNED, -1], [1, PASSED, -1], [2, 600, -3], [9, OWNED, -1], [2, OWNED, 0]] as const) {
      middle.grant2(PASSED, GTF_transitive, user.id, domid, ref);
      expect(user.copy([passed, own(0), 8], [own(0), passed, 8])).toEqual([status, status]);
      expect([middle.pins(PASSED), owner.pins(OWNED + 1), middle.flags(PASSED), ...owned()]).toEqual([0, 0, GTF_transitive, ...nothing]);
    }
  });

  it('has a grant that is mapped turn into one that passes on: the attempt ends, with nothing in use but the mapping', () => {
    const { user, middle, own, passed, owned } = scene(), va = user.va(SPARE);
    middle.grant2(PASSED, GTF_permit_access, user.id, 0, middle.frame(20));
    const { status, handle } = user.mapGrant(va, GNTMAP_host_map, PASSED, middle.id);
    middle.grant2(PASSED, GTF_transitive, user.id, 2, OWNED);
    expect([status, ...user.copy([passed, own(0), 8], [own(1), passed, 8])]).toEqual([GNTST_okay, GNTST_eagain, GNTST_eagain]);
    expect([middle.pins(PASSED), ...owned()]).toEqual([1, ...nothing]);
    expect([user.unmapGrant(va, 0, handle), middle.pins(PASSED)]).toEqual([GNTST_okay, 0]);
  });

  it('makes a chain of them: only the first passes on', () => {
    const { user, middle, owner, own, passed, owned } = scene();
    expect(owner.setVersion(2)).toBe(0);
    user.grant(9, GTF_permit_access, owner.id, user.frame(20)); // the end of a chain that would do
    for (const [domid, ref] of [[1, PASSED], [0, 9], [2, OWNED]] as const) {
      owner.grant2(OWNED, GTF_transitive, middle.id, domid, ref);
      expect(user.copy([passed, own(0), 8], [own(0), passed, 8])).toEqual([GNTST_general_error, GNTST_general_error]);
      expect([middle.pins(PASSED), owner.pins(OWNED), owner.domain.grants.v2Operations, ...owned().slice(0, 3)]).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });

  it('cannot go back to version 1 with one among the entries that stay', () => {
    const { user, middle, own, passed } = scene();
    middle.grant2(3, GTF_transitive, user.id, 2, OWNED);
    expect([middle.setVersion(1), middle.domain.grants.version]).toEqual([ERANGE, 2]);
    middle.grant2(3, 0, 0, 0, 0);
    expect([middle.setVersion(1), ...user.copy([passed, own(0), 8])]).toEqual([0, GNTST_general_error]);
  });
});
