/**
 * Use of a grant for the time of a copy: part of a page and grants of grants too.
 *
 * Source: facts of Xen 4.17, acquire_grant_for_copy(), release_grant_for_copy() (xen/common/grant_table.c).
 */
import { GNTPIN_hstr_inc, GNTPIN_hstw_inc, GNTPIN_writing, pinOverflows } from './active-grants.ts';
import type { Domain } from './domain.ts';
import { grantedFrame, reduceStatus, setStatus } from './grant-entry.ts';
import {
  GNTST_bad_domain, GNTST_bad_gntref, GNTST_bad_page, GNTST_general_error, GNTST_okay, GTF_sub_page, GTF_transitive, GTF_type_mask,
} from './grant-numbers.ts';
import type { Host } from './host.ts';

const FRAME_BYTES = 4096;
const START_MASK = 0x7fff; // bits that the start of a part of a page is kept in
/** The entry says something else than when its use began: to be tried again. */
const RESTART = 1;

/** The frame of a grant that is in use for a copy, and the part of it. */
export interface Claim {
  mfn: number;
  offset: number;
  length: number;
}

/**
 * Begin to use a grant. A general reference of the frame is taken.
 *
 * @param user - domain that uses it @param transitive - it may pass on another domain's grant @param claim - filled in
 * @returns GNTST_*, on an error with nothing taken, or RESTART
 */
export function acquireGrant(h: Host, granter: Domain, ref: number, user: number, readonly: boolean, transitive: boolean, claim: Claim): number {
  h.guard?.takeGrants(granter);
  const rc = acquire(h, granter, ref, user, readonly, transitive, claim);
  h.guard?.giveGrants(granter);
  return rc;
}

function acquire(h: Host, granter: Domain, ref: number, user: number, readonly: boolean, transitive: boolean, claim: Claim): number {
  const { grants } = granter, { active } = grants, increment = readonly ? GNTPIN_hstr_inc : GNTPIN_hstw_inc;
  if (ref >= grants.entries) return GNTST_bad_gntref;
  const pin = active.pin(ref);
  if (pin !== 0 && (active.domid(ref) !== user || pinOverflows(pin, increment))) return GNTST_general_error;
  const isTransitive = grants.version === 2 && (h.s.w[grants.entryAt(h, ref)] & GTF_type_mask) === GTF_transitive;
  const begins = pin === 0 || (!readonly && (pin & GNTPIN_writing) === 0);
  if (begins) {
    const status = setStatus(h, grants, ref, pin !== 0, readonly, false, user);
    if (status !== GNTST_okay) return status;
  }
  let rc;
  if (isTransitive) rc = transitive ? passOn(h, granter, ref, user, readonly, claim) : GNTST_general_error;
  else if (begins) rc = begin(h, granter, ref, user);
  else rc = goOn(h, granter, ref);
  if (rc !== GNTST_okay) {
    reduceStatus(h, grants, ref, readonly);
    return rc;
  }
  active.setPin(ref, active.pin(ref) + increment);
  claim.mfn = active.mfn(ref);
  claim.offset = active.start(ref);
  claim.length = active.length(ref);
  return GNTST_okay;
}

/** The first use, or the first for writing: the entry is looked at. */
function begin(h: Host, granter: Domain, ref: number, user: number): number {
  const { grants } = granter, { active } = grants, at = grants.entryAt(h, ref), { w } = h.s;
  const subPage = grants.version === 2 && (w[at] & GTF_sub_page) !== 0;
  const mfn = grantedFrame(h, grants, ref), start = subPage ? w[at + 1] & 0xffff : 0, length = subPage ? w[at + 1] >>> 16 : FRAME_BYTES;
  if (!h.frames.getPage(mfn, granter.id)) return GNTST_bad_page;
  if (active.pin(ref) === 0) {
    active.begin(ref, user, mfn, start & START_MASK, length, subPage, granter.id, ref);
    if (subPage) grants.v2Operations++;
    return GNTST_okay;
  }
  const same = active.mfn(ref) === mfn && active.transDomid(ref) === granter.id && active.transRef(ref) === ref
    && (!active.isSubPage(ref) || (subPage && active.start(ref) === start && active.length(ref) === length));
  if (same) return GNTST_okay;
  h.frames.putPage(mfn);
  return GNTST_general_error;
}

/** A further use. The frame may have another owner by now, if a mapping of it was overwritten. */
function goOn(h: Host, granter: Domain, ref: number): number {
  return !granter.dying && h.frames.getPage(granter.grants.active.mfn(ref), granter.id) ? GNTST_okay : GNTST_bad_domain;
}

/** A grant that passes on another domain's: that one is used too. Meanwhile others may use this one: no one waits for two tables at once. */
function passOn(h: Host, granter: Domain, ref: number, user: number, readonly: boolean, claim: Claim): number {
  const { grants } = granter, { active } = grants, at = grants.entryAt(h, ref), { w } = h.s;
  const domid = w[at + 1] & 0xffff, transRef = w[at + 2] >>> 0, other = h.domain(domid);
  if (domid === granter.id || other === undefined) return GNTST_general_error;
  h.guard?.giveGrants(granter);
  const rc = acquireGrant(h, other, transRef, granter.id, readonly, false, claim);
  h.guard?.takeGrants(granter);
  if (rc !== GNTST_okay) return rc;
  const pin = active.pin(ref), increment = readonly ? GNTPIN_hstr_inc : GNTPIN_hstw_inc;
  if (pin === 0) {
    active.begin(ref, user, claim.mfn, claim.offset, claim.length, true, domid, transRef);
    grants.v2Operations++;
    return GNTST_okay;
  }
  const same = active.mfn(ref) === claim.mfn && active.start(ref) === claim.offset && active.length(ref) === claim.length
    && active.transDomid(ref) === domid && active.transRef(ref) === transRef && active.isSubPage(ref);
  if (same && active.domid(ref) === user && !pinOverflows(pin, increment)) return GNTST_okay;
  h.guard?.giveGrants(granter);
  releaseGrant(h, other, transRef, readonly);
  h.guard?.takeGrants(granter);
  h.frames.putPage(claim.mfn);
  return RESTART;
}

/** End a use. The reference of the frame is the caller's to put. */
export function releaseGrant(h: Host, granter: Domain, ref: number, readonly: boolean): void {
  const { grants } = granter, { active } = grants;
  h.guard?.takeGrants(granter);
  const pin = active.pin(ref) - (readonly ? GNTPIN_hstr_inc : GNTPIN_hstw_inc);
  active.setPin(ref, pin);
  reduceStatus(h, grants, ref, readonly);
  if (pin === 0 && active.isSubPage(ref)) grants.v2Operations--;
  const other = grants.version === 1 ? granter.id : active.transDomid(ref), transRef = active.transRef(ref);
  h.guard?.giveGrants(granter);
  if (other !== granter.id) releaseGrant(h, h.domain(other)!, transRef, readonly);
}
