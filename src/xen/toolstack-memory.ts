/**
 * What is left of memory_op: claims, and commands about other kinds of guests, of which a paravirtualized one is told that it is none.
 *
 *   claim_pages                  of a domain by a privileged one, 64-bit: counted, and kept free. A 32-bit caller: -XEN_ENOSYS
 *   machine_memory_map           unprivileged: -XEN_EPERM. Privileged: -XEN_ENOSYS, where Xen tells the firmware's map, which is not modelled
 *   set_pod_target, get_pod_target    -XEN_ESRCH, or -XEN_EINVAL: no paravirtualized guest is populated on demand
 *   get_sharing_freed_pages, get_sharing_shared_pages    0: nothing is shared
 *   access_op                    -XEN_ESRCH, -XEN_EPERM of oneself, else -XEN_EINVAL
 *   get_vnumainfo                -XEN_ESRCH, -XEN_EPERM, else -XEN_EOPNOTSUPP: no domain has a topology of its own
 *   reserved_device_memory_map   0 entries: there is no IOMMU
 *   paging_op, sharing_op        -XEN_ENOSYS: not configured
 *
 * Source: facts of Xen 4.17, do_memory_op() (xen/common/memory.c), arch_memory_op() (xen/arch/x86/mm.c), subarch_memory_op()
 *         (xen/arch/x86/x86_64/mm.c), compat_memory_op() (xen/common/compat/memory.c), mem_access_memop() (xen/common/mem_access.c),
 *         domain_set_outstanding_pages() (xen/common/page_alloc.c); Debian's configuration: HVM, HAS_PASSTHROUGH, no MEM_PAGING, no MEM_SHARING.
 */
import type { Domain } from './domain.ts';
import { copyFromGuest, copyToGuest, ownArrayOk } from './guest-memory.ts';
import { freePages, setClaim } from './heap.ts';
import type { Host } from './host.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT, type MemoryLayout } from './memory-struct.ts';
import {
  XENMEM_access_op, XENMEM_claim_pages, XENMEM_get_pod_target, XENMEM_get_sharing_freed_pages, XENMEM_get_sharing_shared_pages, XENMEM_get_vnumainfo,
  XENMEM_machine_memory_map, XENMEM_RDM_ALL, XENMEM_reserved_device_memory_map, XENMEM_set_pod_target, XEN_EFAULT, XEN_EINVAL, XEN_ENOMEM,
  XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH,
} from './numbers.ts';

const layoutOf = (h: Host): MemoryLayout => (h.current.domain.is32 ? COMPAT_LAYOUT : WIDE_LAYOUT);

/** @param start - what the command's upper bits say @returns a number, 0, or -XEN_E* */
export function toolstackMemory(h: Host, op: number, hi: number, lo: number, start: number): number {
  switch (op) {
    case XENMEM_claim_pages: return h.current.domain.is32 ? -XEN_ENOSYS : start === 0 ? claimPages(h, hi, lo) : -XEN_EINVAL;
    case XENMEM_get_vnumainfo: return vnumaInfo(h, hi, lo, start);
    case XENMEM_reserved_device_memory_map: return start === 0 ? reservedDevices(h, hi, lo) : -XEN_EINVAL;
    case XENMEM_access_op: return accessOp(h, hi, lo);
  }
  if (start !== 0) return -XEN_ENOSYS;
  switch (op) {
    case XENMEM_machine_memory_map: return machineMap(h, hi, lo);
    case XENMEM_set_pod_target: case XENMEM_get_pod_target: return podTarget(h, hi, lo);
    case XENMEM_get_sharing_freed_pages: case XENMEM_get_sharing_shared_pages: return 0;
    default: return -XEN_ENOSYS;
  }
}

/** Keep as many frames free for a domain as it lacks of a number. */
function claimPages(h: Host, hi: number, lo: number): number {
  const layout = layoutOf(h).reservation, b = h.buffer;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  if ((b[0] | b[1]) !== 0 || b[layout.extentOrder >>> 2] !== 0 || b[layout.memFlags >>> 2] !== 0) return -XEN_EINVAL;
  const pages = (b[2] >>> 0) + (b[3] >>> 0) * 2 ** 32, domain = h.domain(b[layout.domid >>> 2] & 0xffff);
  if (domain === undefined) return -XEN_EINVAL;
  return h.current.domain.privileged ? claim(h, domain, pages) : -XEN_EPERM;
}

function claim(h: Host, domain: Domain, pages: number): number {
  if (pages === 0) {
    setClaim(h, domain, 0);
    return 0;
  }
  if (domain.claimed !== 0 || pages <= domain.totalPages || pages > domain.maxPages) return -XEN_EINVAL;
  if (pages - domain.totalPages > freePages(h)) return -XEN_ENOMEM;
  setClaim(h, domain, pages - domain.totalPages);
  return 0;
}

function machineMap(h: Host, hi: number, lo: number): number {
  const { is32, privileged } = h.current.domain;
  if (is32 && !copyFromGuest(h, hi, lo, layoutOf(h).memoryMap.bytes)) return -XEN_EFAULT;
  return privileged ? -XEN_ENOSYS : -XEN_EPERM;
}

function podTarget(h: Host, hi: number, lo: number): number {
  const layout = layoutOf(h).podTarget;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  return h.anyDomain(h.buffer[layout.domid >>> 2] & 0xffff) === undefined ? -XEN_ESRCH : -XEN_EINVAL;
}

function accessOp(h: Host, hi: number, lo: number): number {
  if (!copyFromGuest(h, hi, lo, layoutOf(h).accessOp.bytes)) return -XEN_EFAULT;
  const domain = h.domain(h.buffer[0] >>> 16);
  if (domain === undefined) return -XEN_ESRCH;
  return domain === h.current.domain ? -XEN_EPERM : -XEN_EINVAL;
}

function vnumaInfo(h: Host, hi: number, lo: number, start: number): number {
  const { is32 } = h.current.domain, readable = copyFromGuest(h, hi, lo, layoutOf(h).vnuma.bytes);
  if (is32 && !readable) return -XEN_EFAULT;
  if (start !== 0) return -XEN_EINVAL;
  if (!readable) return -XEN_EFAULT;
  if (h.buffer[0] >>> 16 !== 0) return -XEN_EINVAL;
  const domain = h.anyDomain(h.buffer[0] & 0xffff);
  if (domain === undefined) return -XEN_ESRCH;
  return h.mayControl(domain) ? -XEN_EOPNOTSUPP : -XEN_EPERM;
}

function reservedDevices(h: Host, hi: number, lo: number): number {
  const layout = layoutOf(h).reservedDevices, b = h.buffer, { is32 } = h.current.domain;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  const listLo = b[layout.buffer >>> 2], listHi = is32 ? 0 : b[(layout.buffer >>> 2) + 1];
  if (!ownArrayOk(h, listHi, listLo, b[1] >>> 0, layout.entryBytes)) return -XEN_EFAULT;
  if ((b[0] & ~XENMEM_RDM_ALL) !== 0) return -XEN_EINVAL;
  b[1] = 0;
  return copyToGuest(h, hi, lo, layout.bytes) ? 0 : -XEN_EFAULT;
}
