/** Entries that change while their grant is in use: a batch of copies writes to the caller's own table. */
import { describe, expect, it } from 'vitest';
import { GNTMAP_host_map, GNTMAP_readonly, GNTST_general_error, GNTST_okay, GTF_permit_access, GTF_sub_page } from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, SPARE, Tenants } from './tenants.ts';

const REF = 9, ENTRY = REF * 16, LENGTH = 64;

describe.each([['64-bit', true], ['32-bit', false]] as const)('a grant in use of a %s domain (acquire_grant_for_copy())', (_, wide) => {
  it.each([
    ['another part of the page', 4, 8, GNTST_general_error], ['a shorter part', 6, LENGTH - 4, GNTST_general_error],
    ['another frame', 8, 0, GNTST_general_error], ['what it said before', 4, 0, GNTST_okay],
  ] as const)('is not written by an entry that says %s by then', (_what, field, value, expected) => {
    const { list: [t], machine } = new Tenants({ wide, domains: 1 }), frame = t!.frame(DATA_FRAME);
    expect(t!.setVersion(2)).toBe(0);
    t!.grant2(REF, GTF_permit_access | GTF_sub_page, t!.id, LENGTH << 16, frame);
    const now = field === 8 ? t!.frame(DATA_FRAME + 1) : value;
    machine.write(BigInt(frame) * 4096n, Uint8Array.of(now & 0xff, now >>> 8));
    const grant = ['ref', REF, DOMID_SELF, 0] as const, table = ['frame', t!.domain.grants.frames[0]!, DOMID_SELF, ENTRY + field] as const;
    expect(t!.copy([grant, table, 2], [grant, ['ref', REF, DOMID_SELF, 32], 4])).toEqual([GNTST_okay, expected]);
    expect(t!.pins(REF)).toBe(0);
  });

  it('is not another domain\'s that the entry names by then', () => {
    const { list: [owner, user, other] } = new Tenants({ wide, domains: 3 }), copy = (to: number, by: typeof user) =>
      by!.copy([['ref', REF, owner!.id, 0], ['frame', by!.frame(DATA_FRAME), DOMID_SELF, 0], to]);
    owner!.grant(REF, GTF_permit_access, user!.id, owner!.frame(DATA_FRAME));
    const { status, handle } = user!.mapGrant(user!.va(SPARE), GNTMAP_host_map | GNTMAP_readonly, REF, owner!.id);
    expect(status).toBe(GNTST_okay);
    owner!.grant(REF, GTF_permit_access, other!.id, owner!.frame(DATA_FRAME));
    const map = () => other!.mapGrant(other!.va(SPARE), GNTMAP_host_map | GNTMAP_readonly, REF, owner!.id).status;
    expect([copy(8, other), copy(8, user), map()]).toEqual([[GNTST_general_error], [GNTST_okay], GNTST_general_error]);
    expect(user!.unmapGrant(user!.va(SPARE), 0, handle)).toBe(GNTST_okay);
    expect([copy(8, other), map()]).toEqual([[GNTST_okay], GNTST_okay]);
  });
});
