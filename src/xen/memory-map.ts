/**
 * memory_op's questions about the machine: the machine-to-physical table, and the memory map that the toolstack gave the domain.
 *
 * Source: facts of Xen 4.17, arch_memory_op() (xen/arch/x86/mm.c), subarch_memory_op() (xen/arch/x86/x86_64/mm.c), compat_arch_memory_op()
 *         (xen/arch/x86/x86_64/compat/mm.c); E820MAX (xen/arch/x86/include/asm/e820.h).
 */
import { COMPAT_BYTES, WIDE_BYTES, highAfter, lowAfter } from './extents.ts';
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT, type MemoryLayout } from './memory-struct.ts';
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOMEM, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH } from './numbers.ts';

const ENTRY_BYTES = 20; // of a memory map: address, size, type
const ENTRIES_MOST = 1024;
const WINDOW_START_HI = 0xffff8000 | 0; // high words of the 64-bit window's start and end
const WINDOW_END_HI = 0xffff8040 | 0;
const WINDOW_LAST_HI = 7; //               ... and of the last frame it could show
const COMPAT_WINDOW_END = 0xffe00000;
const BUFFER_BYTES = 4096;
const COPY_BYTES = BUFFER_BYTES - (BUFFER_BYTES % ENTRY_BYTES);

const layoutOf = (h: Host): MemoryLayout => (h.current.domain.is32 ? COMPAT_LAYOUT : WIDE_LAYOUT);

/** machphys_mapping: where the window on the table is, and the last frame it shows. */
export function machphysMapping(h: Host, hi: number, lo: number): number {
  const { domain } = h.current, b = h.buffer;
  if (domain.is32) {
    b[0] = domain.compatStart;
    b[1] = COMPAT_WINDOW_END;
    b[2] = ((COMPAT_WINDOW_END - (domain.compatStart >>> 0)) >>> 2) - 1;
    return copyToGuest(h, hi, lo, 12) ? 0 : -XEN_EFAULT;
  }
  b[0] = 0;
  b[1] = WINDOW_START_HI;
  b[2] = 0;
  b[3] = WINDOW_END_HI;
  b[4] = domain.privileged ? h.frames.count - 1 : -1;
  b[5] = domain.privileged ? 0 : WINDOW_LAST_HI;
  return copyToGuest(h, hi, lo, 24) ? 0 : -XEN_EFAULT;
}

/** machphys_mfn_list: the frames that the table is in, by every 2 MiB of it. @param wide - the table of 8-byte entries */
export function machphysList(h: Host, hi: number, lo: number, wide: boolean): number {
  if (!wide && !h.current.domain.is32 && !h.behaviour.pv32) return -XEN_EOPNOTSUPP;
  const layout = layoutOf(h).mfnList, size = layout === WIDE_LAYOUT.mfnList ? WIDE_BYTES : COMPAT_BYTES, b = h.buffer;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  const given = b.slice(0, layout.bytes >>> 2), listLo = b[layout.extentStart >>> 2], listHi = size === WIDE_BYTES ? b[(layout.extentStart >>> 2) + 1] : 0;
  const count = Math.min(given[0] >>> 0, h.m2p.extents(wide));
  for (let k = 0; k < count; k++) {
    b[0] = h.m2p.extent(wide, k);
    b[1] = 0;
    if (!copyToGuest(h, highAfter(listHi, listLo, k * size), lowAfter(listLo, k * size), size)) return -XEN_EFAULT;
  }
  given[layout.nrExtents >>> 2] = count;
  b.set(given);
  return copyToGuest(h, hi, lo, layout.bytes) ? 0 : -XEN_EFAULT;
}

/** memory_map: what was set, as far as there is room. */
export function memoryMap(h: Host, hi: number, lo: number): number {
  const layout = layoutOf(h).memoryMap, b = h.buffer, map = h.current.domain.memoryMap;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  if (map === undefined || map.length === 0) return -XEN_ENOSYS;
  const given = b.slice(0, layout.bytes >>> 2), toLo = b[layout.buffer >>> 2], toHi = h.current.domain.is32 ? 0 : b[(layout.buffer >>> 2) + 1];
  const count = Math.min(given[0] >>> 0, map.length / ENTRY_BYTES);
  for (let done = 0; done < count * ENTRY_BYTES; done += COPY_BYTES) {
    const piece = map.subarray(done, Math.min(done + COPY_BYTES, count * ENTRY_BYTES));
    h.bytes.set(piece);
    if (!copyToGuest(h, highAfter(toHi, toLo, done), lowAfter(toLo, done), piece.length)) return -XEN_EFAULT;
  }
  given[0] = count;
  b.set(given);
  return copyToGuest(h, hi, lo, layout.bytes) ? 0 : -XEN_EFAULT;
}

/** set_memory_map: what a domain is told of its memory. */
export function setMemoryMap(h: Host, hi: number, lo: number): number {
  const layout = layoutOf(h), b = h.buffer, map = layout.foreignMap.map, buffer = map + layout.memoryMap.buffer;
  if (!copyFromGuest(h, hi, lo, layout.foreignMap.bytes)) return -XEN_EFAULT;
  const count = b[map >>> 2] >>> 0, domid = b[0] & 0xffff, fromLo = b[buffer >>> 2], fromHi = h.current.domain.is32 ? 0 : b[(buffer >>> 2) + 1];
  if (count > ENTRIES_MOST) return -XEN_EINVAL;
  const domain = h.anyDomain(domid);
  if (domain === undefined) return -XEN_ESRCH;
  if (!h.mayControl(domain)) return -XEN_EPERM;
  const entries = new Uint8Array(count * ENTRY_BYTES);
  for (let done = 0; done < entries.length; done += COPY_BYTES) {
    const bytes = Math.min(COPY_BYTES, entries.length - done);
    if (!copyFromGuest(h, highAfter(fromHi, fromLo, done), lowAfter(fromLo, done), bytes)) return -XEN_EFAULT;
    entries.set(h.bytes.subarray(0, bytes), done);
  }
  return domain.setMemoryMap(entries) ? 0 : -XEN_ENOMEM;
}
