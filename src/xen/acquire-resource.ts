/**
 * memory_op's acquire_resource: the frames of another domain's grant table, for whoever builds it. What else a domain may have to be acquired only
 * other kinds of guests have.
 *
 * Source: facts of Xen 4.17, acquire_resource(), resource_max_frames() (xen/common/memory.c), gnttab_acquire_resource(),
 *         gnttab_get_shared_frame_mfn(), gnttab_get_status_frame_mfn() (xen/common/grant_table.c), compat_memory_op()
 *         (xen/common/compat/memory.c); struct xen_mem_acquire_resource of xen/include/public/memory.h.
 */
import type { Domain } from './domain.ts';
import { highAfter, lowAfter } from './extents.ts';
import { growTable, statusFramesFor } from './grant-table.ts';
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from './memory-struct.ts';
import {
  HYPERVISOR_memory_op, MEMOP_EXTENT_SHIFT, XENMEM_acquire_resource, XENMEM_resource_grant_table, XENMEM_resource_grant_table_id_shared,
  XENMEM_resource_grant_table_id_status, XENMEM_resource_ioreq_server, XENMEM_resource_vmtrace_buf, XEN_EFAULT, XEN_EINVAL, XEN_EOPNOTSUPP,
  XEN_EPERM, XEN_ESRCH,
} from './numbers.ts';

const PIECE = 32;
const COUNT_MOST = 0x3ffffff; // that a continuation can tell of
const GRANTS_PER_STATUS = 8; //  frames of entries for which one of status is enough

/** @param start - frames done by earlier parts of the call @returns 0 or -XEN_E* */
export function acquireResource(h: Host, at: number, hi: number, lo: number, start: number): number {
  const { is32, id: own, privileged } = h.current.domain, layout = (is32 ? COMPAT_LAYOUT : WIDE_LAYOUT).acquire, b = h.buffer;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  const domid = b[0] & 0xffff, type = b[0] >>> 16, id = b[1] >>> 0, count = b[2] >>> 0, frame = b[4] >>> 0;
  const listLo = b[layout.frameList >>> 2], listHi = is32 ? 0 : b[(layout.frameList >>> 2) + 1], isNull = (listLo | listHi) === 0;
  if (is32 && !isNull && count > 0 && start >= count) return -XEN_EINVAL;
  if (b[3] !== 0 || b[5] !== 0 || frame + count > 0xffffffff) return -XEN_EINVAL;
  const domain = h.domain(domid);
  if (domain === undefined) return -XEN_ESRCH;
  if (domain.id === own || !privileged) return -XEN_EPERM;
  const most = mostFrames(domain, type, id);
  if (most === 0) return -XEN_EINVAL;
  if (isNull) {
    if (count !== 0 || start !== 0) return -XEN_EINVAL;
    b[0] = most;
    return copyToGuest(h, highAfter(hi, lo, layout.nrFrames), lowAfter(lo, layout.nrFrames), 4) ? 0 : -XEN_EFAULT;
  }
  if (start >= count || count > COUNT_MOST) return -XEN_EINVAL;
  return pieces(h, at, domain, type, id, { frame, count, start, listHi, listLo });
}

/** Where a list of frames goes, and which. */
interface Piece {
  readonly frame: number;
  readonly count: number;
  readonly start: number;
  readonly listHi: number;
  readonly listLo: number;
}

function pieces(h: Host, at: number, domain: Domain, type: number, id: number, { frame, count, start, listHi, listLo }: Piece): number {
  const size = h.current.domain.is32 ? 4 : 8;
  for (let done = start; done < count;) {
    const many = Math.min(PIECE, count - done), found = type === XENMEM_resource_grant_table ? grantFrames(h, domain, id, frame + done + many) : -XEN_EOPNOTSUPP;
    if (typeof found === 'number') return found;
    for (let k = 0; k < many; k++) {
      h.buffer[0] = found[frame + done + k];
      h.buffer[1] = 0;
      const offset = (done + k) * size;
      if (!copyToGuest(h, highAfter(listHi, listLo, offset), lowAfter(listLo, offset), size)) return -XEN_EFAULT;
    }
    done += many;
    if (done < count && h.preemptCheck()) return h.continueCall(HYPERVISOR_memory_op, at, [XENMEM_acquire_resource | (done << MEMOP_EXTENT_SHIFT), 0]);
  }
  return 0;
}

/** How large a resource may become; 0: there is none of that name. A type that there is not has as many as its error number says. */
function mostFrames(domain: Domain, type: number, id: number): number {
  if (type === XENMEM_resource_ioreq_server || type === XENMEM_resource_vmtrace_buf) return 0;
  if (type !== XENMEM_resource_grant_table) return -XEN_EOPNOTSUPP;
  if (id === XENMEM_resource_grant_table_id_shared) return domain.grants.maxFrames;
  return id === XENMEM_resource_grant_table_id_status ? statusFramesFor(domain.grants.maxFrames) : 0;
}

/** The frames of a grant table, or of its status, which grows until there are `end`. */
function grantFrames(h: Host, domain: Domain, id: number, end: number): Int32Array | number {
  const { grants } = domain, isStatus = id === XENMEM_resource_grant_table_id_status;
  if (isStatus && grants.version !== 2) return -XEN_EINVAL;
  const before = isStatus ? grants.statusFrames : grants.frames, needed = isStatus ? end * GRANTS_PER_STATUS : end;
  if (end > before.length && needed <= grants.maxFrames) growTable(h, domain, needed);
  const frames = isStatus ? grants.statusFrames : grants.frames;
  return end > frames.length ? -XEN_EINVAL : frames;
}
