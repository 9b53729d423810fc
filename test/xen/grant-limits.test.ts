/**
 * How far a grant goes: the part of a page, the domain that may give a frame, the pages that a domain may have, one domain further.
 *
 * Source: facts of Xen 4.17, acquire_grant_for_copy(), gnttab_copy_buf(), gnttab_prepare_for_transfer(), gnttab_transfer() (xen/common/grant_table.c).
 */
import { describe, expect, it } from 'vitest';
import { GNTST_general_error, GNTST_okay, GTF_accept_transfer, GTF_permit_access, GTF_sub_page, GTF_transitive } from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, Tenants, type Tenant } from './tenants.ts';

const REF = 9, START = 8, LENGTH = 16, ACCEPTED = GTF_accept_transfer | 4 | 8;

describe.each([['64-bit', true], ['32-bit', false]] as const)('a %s domain', (_, wide) => {
  const make = (domains: number): Tenant[] => new Tenants({ wide, domains }).list;

  it.each([
    ['all of it', START, LENGTH, GNTST_okay], ['its end', START + LENGTH - 1, 1, GNTST_okay], ['a byte before', START - 1, 4, GNTST_general_error],
    ['a byte beyond', START, LENGTH + 1, GNTST_general_error], ['what is behind', START + LENGTH, 1, GNTST_general_error],
  ] as const)('copies to a part of a page that is granted, and from it: %s', (_what, offset, length, expected) => {
    const [owner, user] = make(2) as [Tenant, Tenant], own = ['frame', user.frame(DATA_FRAME), DOMID_SELF, 0] as const, part = ['ref', REF, owner.id, offset] as const;
    expect(owner.setVersion(2)).toBe(0);
    owner.grant2(REF, GTF_permit_access | GTF_sub_page, user.id, START | (LENGTH << 16), owner.frame(DATA_FRAME));
    expect([user.copy([own, part, length]), user.copy([part, own, length])]).toEqual([[expected], [expected]]);
  });

  it('takes a frame of no other domain than it has named', () => {
    const [taker, giver, other] = make(3) as [Tenant, Tenant, Tenant], give = (t: Tenant): number => t.map(DATA_FRAME, 0n) || t.transfer(t.frame(DATA_FRAME), taker.id, REF);
    taker.grant(REF, GTF_accept_transfer, giver.id, 5);
    expect([give(other), taker.flags(REF)]).toEqual([GNTST_general_error, GTF_accept_transfer]);
    expect([give(giver), taker.flags(REF)]).toEqual([GNTST_okay, ACCEPTED]);
  });

  it('takes no frame beyond what it may have', () => {
    const [taker, giver] = make(2) as [Tenant, Tenant], give = (k: number): number => giver.map(DATA_FRAME + k, 0n) || giver.transfer(giver.frame(DATA_FRAME + k), taker.id, REF + k);
    for (let k = 0; k < 2; k++) taker.grant(REF + k, GTF_accept_transfer, giver.id, 5 + k);
    taker.domain.maxPages = taker.domain.totalPages + 1;
    expect([give(0), give(1), taker.flags(REF + 1)]).toEqual([GNTST_okay, GNTST_general_error, GTF_accept_transfer]);
    expect(taker.domain.totalPages).toBe(taker.domain.maxPages);
  });

  it('passes a grant on, but not one that was passed on to it', () => {
    const [owner, first, second, user] = make(4) as [Tenant, Tenant, Tenant, Tenant], from = (t: Tenant, by: Tenant) => by.copy([['ref', REF, t.id, 0], ['frame', by.frame(DATA_FRAME), DOMID_SELF, 0], 4]);
    for (const t of [owner, first, second]) expect(t.setVersion(2)).toBe(0);
    owner.grant2(REF, GTF_permit_access, first.id, 0, owner.frame(DATA_FRAME));
    first.grant2(REF, GTF_transitive, second.id, owner.id, REF);
    second.grant2(REF, GTF_transitive, user.id, first.id, REF);
    expect([from(first, second), from(second, user)]).toEqual([[GNTST_okay], [GNTST_general_error]]);
    expect([owner, first, second].map(t => t.pins(REF))).toEqual([0, 0, 0]);
  });
});
