/**
 * GNTTABOP_set_version and GNTTABOP_swap_grant_ref: what a guest does with its own table as a whole.
 *
 * Source: facts of Xen 4.17, gnttab_set_version(), swap_grant_ref() (xen/common/grant_table.c).
 */
import type { Domain } from './domain.ts';
import {
  GNTST_bad_gntref, GNTST_eagain, GNTST_okay, GNTTAB_NR_RESERVED_ENTRIES, GTF_permit_access, GTF_reading, GTF_transitive, GTF_type_mask, GTF_writing,
} from './grant-numbers.ts';
import { clearFrame, populateStatus, unpopulateStatus, type GrantTable } from './grant-table.ts';
import { readItem, writeItem, writeStatus } from './guest-array.ts';
import type { Host } from './host.ts';
import { XEN_EAGAIN, XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_ERANGE } from './numbers.ts';

const RESERVED = GNTTAB_NR_RESERVED_ENTRIES;
const IN_USE = GTF_reading | GTF_writing;

/** The argument is the version; what it is then is written back, whatever comes of it. */
export function setVersion(h: Host, hi: number, lo: number): number {
  if (!readItem(h, hi, lo, 0, 4)) return -XEN_EFAULT;
  const { domain } = h.current, rc = changeVersion(h, domain, h.buffer[0]);
  h.buffer[0] = domain.grants.version;
  return writeItem(h, hi, lo, 0, 4) ? rc : -XEN_EFAULT;
}

/** @returns 0, or -XEN_E* with nothing changed */
export function changeVersion(h: Host, domain: Domain, version: number): number {
  const { grants } = domain;
  if (version !== 1 && version !== 2) return -XEN_EINVAL;
  if (version > grants.maxVersion) return -XEN_ENOSYS;
  if (version === grants.version) return 0;
  for (let ref = RESERVED; ref < grants.entries; ref++) if (grants.active.pin(ref) !== 0) return -XEN_EBUSY;
  if (version === 1) {
    if (grants.v2Operations !== 0) return -XEN_EAGAIN;
    for (let ref = 0; ref < RESERVED; ref++) if (!fitsV1(h, grants, ref)) return -XEN_ERANGE;
  }
  // Words of version 1; those of an entry that version 1 does not know are 0.
  const kept = Array.from({ length: grants.entries === 0 ? 0 : RESERVED }, (_, ref) => keptEntry(h, grants, ref));
  const rc = version === 2 ? populateStatus(h, domain) : unpopulateStatus(h, domain);
  if (rc !== 0) return rc;
  for (const mfn of grants.frames) clearFrame(h, mfn);
  grants.version = version;
  kept.forEach(([flags, frame], ref) => restore(h, grants, ref, flags, frame));
  return 0;
}

function fitsV1(h: Host, grants: GrantTable, ref: number): boolean {
  if (grants.entries === 0) return true;
  const at = grants.entryAt(h, ref), kind = h.s.w[at] & GTF_type_mask;
  return kind !== GTF_transitive && (kind !== GTF_permit_access || h.s.w[at + 3] === 0);
}

function statusOf(h: Host, grants: GrantTable, ref: number): number {
  return (h.s.w[grants.statusAt(h, ref)] >>> ((ref & 1) * 16)) & 0xffff;
}

function setStatusOf(h: Host, grants: GrantTable, ref: number, status: number): void {
  const at = grants.statusAt(h, ref), shift = (ref & 1) * 16;
  h.s.w[at] = (h.s.w[at] & ~(0xffff << shift)) | (status << shift);
}

function keptEntry(h: Host, grants: GrantTable, ref: number): readonly [flags: number, frame: number] {
  const at = grants.entryAt(h, ref), { w } = h.s;
  if (grants.version === 1) return [w[at], w[at + 1]];
  return (w[at] & GTF_type_mask) === GTF_permit_access ? [w[at] | statusOf(h, grants, ref), w[at + 2]] : [0, 0];
}

function restore(h: Host, grants: GrantTable, ref: number, flags: number, frame: number): void {
  const at = grants.entryAt(h, ref), { w } = h.s;
  if (grants.version === 1) {
    w[at] = flags;
    w[at + 1] = frame;
    return;
  }
  w[at] = flags & ~IN_USE;
  w[at + 2] = frame;
  w[at + 3] = 0;
  setStatusOf(h, grants, ref, flags & IN_USE);
}

export const SWAP_BYTES = 12;

/** @param hi, lo - address of the operations @returns operations done if preempted, 0 if all are, or -XEN_EFAULT */
export function swapGrants(h: Host, hi: number, lo: number, count: number): number {
  for (let i = 0; i < count; i++) {
    if (i > 0 && h.preemptCheck()) return i;
    if (!readItem(h, hi, lo, i * SWAP_BYTES, SWAP_BYTES)) return -XEN_EFAULT;
    const status = swap(h, h.current.domain.grants, h.buffer[0] >>> 0, h.buffer[1] >>> 0);
    if (!writeStatus(h, hi, lo, i * SWAP_BYTES + 8, status)) return -XEN_EFAULT;
  }
  return 0;
}

/** Exchange two entries that are not in use. */
function swap(h: Host, grants: GrantTable, a: number, b: number): number {
  if (a >= grants.entries || b >= grants.entries) return GNTST_bad_gntref;
  if (a === b) return GNTST_okay;
  if (grants.active.pin(a) !== 0 || grants.active.pin(b) !== 0) return GNTST_eagain;
  const { w } = h.s, atA = grants.entryAt(h, a), atB = grants.entryAt(h, b);
  for (let k = 0; k < (grants.version === 1 ? 2 : 4); k++) {
    const word = w[atA + k];
    w[atA + k] = w[atB + k];
    w[atB + k] = word;
  }
  if (grants.version === 1) return GNTST_okay;
  const status = statusOf(h, grants, a);
  setStatusOf(h, grants, a, statusOf(h, grants, b));
  setStatusOf(h, grants, b, status);
  return GNTST_okay;
}
