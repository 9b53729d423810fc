/**
 * The hypercall memory_op: what a domain has of memory, and what it is told of it.
 *
 * The command's upper bits say how many extents are done: a call that is preempted is made again with them.
 *
 * Source: facts of Xen 4.17, do_memory_op() (xen/common/memory.c), compat_memory_op() (xen/common/compat/memory.c), domain_get_maximum_gpfn()
 *         (xen/arch/x86/mm.c); struct shared_info of xen/include/public/xen.h.
 */
import { acquireResource } from './acquire-resource.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { exchangeCall } from './exchange-call.ts';
import { COMPAT_BYTES, compatArrayOk, highAfter, lowAfter } from './extents.ts';
import { copyFromGuest, XLAT_BYTES } from './guest-memory.ts';
import type { Host } from './host.ts';
import { machphysList, machphysMapping, memoryMap, setMemoryMap } from './memory-map.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from './memory-struct.ts';
import {
  MEMOP_CMD_MASK, MEMOP_EXTENT_SHIFT, XENMAPSPACE_gmfn_foreign, XENMAPSPACE_gmfn_range, XENMEM_add_to_physmap, XENMEM_add_to_physmap_batch,
  XENMEM_current_reservation, XENMEM_decrease_reservation, XENMEM_exchange, XENMEM_increase_reservation, XENMEM_machphys_compat_mfn_list,
  XENMEM_machphys_mapping, XENMEM_machphys_mfn_list, XENMEM_maximum_gpfn, XENMEM_maximum_ram_page, XENMEM_maximum_reservation, XENMEM_memory_map,
  XENMEM_populate_physmap, XENMEM_remove_from_physmap, XENMEM_set_memory_map, XEN_EACCES, XEN_EDOM, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS,
  XENMEM_acquire_resource, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH,
} from './numbers.ts';
import { reservationCall } from './reservation-call.ts';
import { toolstackMemory } from './toolstack-memory.ts';

const SIZE_MOST = 0xffff;
const BATCH_PIECE = Math.floor((XLAT_BYTES - WIDE_LAYOUT.addBatch.bytes) / 16);
const MAX_PFN = 3088; // offset of arch.max_pfn in a shared_info
const MAX_PFN_COMPAT = 2316;

/** Arguments: command, and an address or nothing. @param at - word index @returns a number of extents or pages, 0, or -XEN_E* */
export function memoryOp(h: Host, at: number): number {
  const { w } = h.s, wide = !h.current.domain.is32, command = w[at], hi = wide ? w[at + 3] : 0, lo = w[at + 2];
  const op = command & MEMOP_CMD_MASK, start = (command >>> MEMOP_EXTENT_SHIFT) + (wide ? (w[at + 1] >>> 0) * 2 ** (32 - MEMOP_EXTENT_SHIFT) : 0);
  switch (op) {
    case XENMEM_increase_reservation: case XENMEM_decrease_reservation: case XENMEM_populate_physmap:
      return reservationCall(h, at, op, hi, lo, start);
    case XENMEM_exchange: return exchangeCall(h, at, hi, lo, start);
    case XENMEM_maximum_ram_page: return start === 0 ? h.frames.count : -XEN_EINVAL;
    case XENMEM_current_reservation: case XENMEM_maximum_reservation: case XENMEM_maximum_gpfn:
      return start === 0 ? ofDomain(h, op, hi, lo) : -XEN_EINVAL;
    case XENMEM_add_to_physmap: return addToPhysmap(h, hi, lo, start);
    case XENMEM_add_to_physmap_batch: return addBatch(h, hi, lo, start);
    case XENMEM_remove_from_physmap: return removeFromPhysmap(h, hi, lo, start);
    case XENMEM_acquire_resource: return acquireResource(h, at, hi, lo, start);
    default: return aboutMachine(h, op, hi, lo, start);
  }
}

function aboutMachine(h: Host, op: number, hi: number, lo: number, start: number): number {
  if (start !== 0) return toolstackMemory(h, op, hi, lo, start);
  switch (op) {
    case XENMEM_machphys_mapping: return machphysMapping(h, hi, lo);
    case XENMEM_machphys_mfn_list: return machphysList(h, hi, lo, !h.current.domain.is32);
    case XENMEM_machphys_compat_mfn_list: return machphysList(h, hi, lo, false);
    case XENMEM_memory_map: return memoryMap(h, hi, lo);
    case XENMEM_set_memory_map: return setMemoryMap(h, hi, lo);
    default: return toolstackMemory(h, op, hi, lo, start);
  }
}

function ofDomain(h: Host, op: number, hi: number, lo: number): number {
  if (!copyFromGuest(h, hi, lo, 2)) return -XEN_EFAULT;
  const domain = h.anyDomain(h.buffer[0] & 0xffff);
  if (domain === undefined) return -XEN_ESRCH;
  if (!h.mayControl(domain)) return -XEN_EPERM;
  if (op === XENMEM_current_reservation) return domain.totalPages;
  return op === XENMEM_maximum_reservation ? domain.maxPages : maximumGpfn(h, domain);
}

/** As the guest itself says: it is told of the number of frames, and the answer is of the last. */
function maximumGpfn(h: Host, domain: Domain): number {
  if (domain.sharedInfo === NO_FRAME) return 0;
  const at = h.table(domain.sharedInfo) + (domain.is32 ? MAX_PFN_COMPAT : MAX_PFN) / 4, w = h.s.w;
  const count = (w[at] >>> 0) + (domain.is32 ? 0 : (w[at + 1] >>> 0) * 2 ** 32);
  return Math.max(count, 1) - 1;
}

/** A paravirtualized guest's memory is where it is: this is for others. */
function addToPhysmap(h: Host, hi: number, lo: number, start: number): number {
  const layout = (h.current.domain.is32 ? COMPAT_LAYOUT : WIDE_LAYOUT).addToPhysmap, early = copyFromGuest(h, hi, lo, layout.bytes);
  if (h.current.domain.is32 && !early) return -XEN_EFAULT;
  if (start > SIZE_MOST) return -XEN_EDOM;
  if (!early) return -XEN_EFAULT;
  if (h.buffer[1] === XENMAPSPACE_gmfn_foreign) return -XEN_ENOSYS;
  return h.anyDomain(h.buffer[0] & 0xffff) === undefined ? -XEN_ESRCH : -XEN_EACCES;
}

function addBatch(h: Host, hi: number, lo: number, start: number): number {
  const { is32 } = h.current.domain, layout = (is32 ? COMPAT_LAYOUT : WIDE_LAYOUT).addBatch;
  const readable = copyFromGuest(h, hi, lo, layout.bytes);
  const domid = h.buffer[0] & 0xffff, space = h.buffer[0] >>> 16;
  if (is32 && !(readable && batchReadable(h, start))) return -XEN_EFAULT;
  if (start > SIZE_MOST) return -XEN_EDOM;
  if (!readable) return -XEN_EFAULT;
  if (space === XENMAPSPACE_gmfn_range) return -XEN_EOPNOTSUPP;
  return h.anyDomain(domid) === undefined ? -XEN_ESRCH : -XEN_EACCES;
}

/** Can the lists of the structure in `h.buffer`, as far as they are translated at once, be read? */
function batchReadable(h: Host, start: number): boolean {
  const { idxs, gpfns, errs } = COMPAT_LAYOUT.addBatch, lists = [idxs, gpfns, errs].map(offset => h.buffer[offset >>> 2]), size = h.buffer[1] & 0xffff;
  if (!lists.every(list => compatArrayOk(h, list, size, COMPAT_BYTES))) return false;
  for (let k = start; k < Math.min(start + BATCH_PIECE, size); k++) {
    const bytes = k * COMPAT_BYTES;
    for (const list of lists.slice(0, 2)) if (!copyFromGuest(h, highAfter(0, list, bytes), lowAfter(list, bytes), COMPAT_BYTES)) return false;
  }
  return true;
}

function removeFromPhysmap(h: Host, hi: number, lo: number, start: number): number {
  const { is32 } = h.current.domain, layout = (is32 ? COMPAT_LAYOUT : WIDE_LAYOUT).removeFromPhysmap;
  const readable = copyFromGuest(h, hi, lo, layout.bytes);
  if (is32 && !readable) return -XEN_EFAULT;
  if (start !== 0) return -XEN_EINVAL;
  if (!readable) return -XEN_EFAULT;
  return h.anyDomain(h.buffer[0] & 0xffff) === undefined ? -XEN_ESRCH : -XEN_EACCES;
}
