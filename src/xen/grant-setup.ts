/**
 * Questions about a grant table, and its growth: GNTTABOP_setup_table, _get_status_frames, _query_size, _get_version.
 *
 * Source: facts of Xen 4.17, gnttab_setup_table(), gnttab_get_status_frames(), gnttab_query_size(), gnttab_get_version()
 *         (xen/common/grant_table.c), compat_grant_table_op() (xen/common/compat/grant_table.c).
 */
import type { Domain } from './domain.ts';
import { GNTST_bad_domain, GNTST_bad_virt_addr, GNTST_general_error, GNTST_okay, GNTST_permission_denied } from './grant-numbers.ts';
import { growTable, statusFramesFor } from './grant-table.ts';
import { readItem, writeItem, writeStatus } from './guest-array.ts';
import { arrayOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { DOMID_SELF, XEN_EFAULT, XEN_EINVAL, XEN_EPERM, XEN_ESRCH } from './numbers.ts';

/** Frames that a 32-bit guest can be told of at once: the list passes through two pages, after the 24 or 16 bytes of the operation. */
const COMPAT_SETUP_MOST = (8192 - 24) / 8;
const COMPAT_STATUS_MOST = (8192 - 16) / 8;

/** The domain a call is about, or why the caller may not ask. */
function about(h: Host, domid: number): Domain | number {
  const caller = h.current.domain, domain = domid === DOMID_SELF ? caller : h.domain(domid);
  if (domain === undefined) return GNTST_bad_domain;
  return domain === caller || caller.privileged ? domain : GNTST_permission_denied;
}

/** May a list of that many words of the guest be at `hi:lo`? */
function listOk(h: Host, hi: number, lo: number, count: number, size: number): boolean {
  const { domain } = h.current;
  if (!domain.is32) return arrayOk(hi, count, size);
  return count < 0xffffffff / size && (lo >>> 0) + Math.max(count * size - 1, 0) < domain.compatStart;
}

/** Tell which frames a table has. @returns GNTST_okay, or GNTST_bad_virt_addr: some could not be written */
function writeFrames(h: Host, hi: number, lo: number, frames: ArrayLike<number>, count: number, size: number): number {
  let status = GNTST_okay;
  for (let k = 0; k < count; k++) {
    h.buffer[0] = frames[k];
    h.buffer[1] = frames[k] / 2 ** 32;
    if (!writeItem(h, hi, lo, k * size, size)) status = GNTST_bad_virt_addr;
  }
  return status;
}

export function setupTable(h: Host, hi: number, lo: number, count: number): number {
  const wide = !h.current.domain.is32;
  if (!wide && count === 0) return 0;
  if (count !== 1) return -XEN_EINVAL;
  if (!readItem(h, hi, lo, 0, wide ? 24 : 16)) return -XEN_EFAULT;
  const b = h.buffer, domid = b[0] & 0xffff, frames = b[1] >>> 0, listLo = b[wide ? 4 : 3], listHi = wide ? b[5] : 0, size = wide ? 8 : 4;
  if (!listOk(h, listHi, listLo, frames, size)) return -XEN_EFAULT;
  const domain = about(h, domid);
  let status = typeof domain === 'number' ? domain : GNTST_okay;
  if (typeof domain !== 'number') {
    const { grants } = domain, tooMany = frames > grants.maxFrames || (!wide && frames > COMPAT_SETUP_MOST);
    const more = frames > grants.frames.length || (grants.version > 1 && statusFramesFor(frames) > grants.statusFrames.length);
    if (tooMany || (more && !growTable(h, domain, Math.max(frames, 1)))) status = GNTST_general_error;
    else status = writeFrames(h, listHi, listLo, grants.frames, frames, size);
  }
  return writeStatus(h, hi, lo, 8, status) ? 0 : -XEN_EFAULT;
}

export function getStatusFrames(h: Host, hi: number, lo: number, count: number): number {
  const wide = !h.current.domain.is32;
  if (!wide && count === 0) return 0;
  if (count !== 1) return -XEN_EINVAL;
  if (!readItem(h, hi, lo, 0, wide ? 16 : 12)) return -XEN_EFAULT;
  const b = h.buffer, frames = b[0] >>> 0, domid = b[1] & 0xffff, listLo = b[2], listHi = wide ? b[3] : 0;
  if (!listOk(h, listHi, listLo, frames, 8)) return -XEN_EFAULT;
  const domain = about(h, domid);
  let status = typeof domain === 'number' ? domain : GNTST_okay;
  if (typeof domain !== 'number') {
    const { statusFrames } = domain.grants, tooMany = frames > statusFrames.length || (!wide && frames > COMPAT_STATUS_MOST);
    status = tooMany ? GNTST_general_error : writeFrames(h, listHi, listLo, statusFrames, frames, 8);
  }
  return writeStatus(h, hi, lo, 6, status) ? 0 : -XEN_EFAULT;
}

export function querySize(h: Host, hi: number, lo: number, count: number): number {
  if (count !== 1) return -XEN_EINVAL;
  if (!readItem(h, hi, lo, 0, 16)) return -XEN_EFAULT;
  const b = h.buffer, domain = about(h, b[0] & 0xffff);
  let status = GNTST_okay;
  if (typeof domain === 'number') {
    status = domain;
  } else {
    b[1] = domain.grants.frames.length;
    b[2] = domain.grants.maxFrames;
  }
  b[3] = (b[3] & ~0xffff) | (status & 0xffff);
  return writeItem(h, hi, lo, 0, 16) ? 0 : -XEN_EFAULT;
}

export function getVersion(h: Host, hi: number, lo: number): number {
  if (!readItem(h, hi, lo, 0, 8)) return -XEN_EFAULT;
  const domain = about(h, h.buffer[0] & 0xffff);
  if (typeof domain === 'number') return domain === GNTST_bad_domain ? -XEN_ESRCH : -XEN_EPERM;
  h.buffer[0] = domain.grants.version;
  return writeItem(h, hi, lo, 4, 4) ? 0 : -XEN_EFAULT;
}
