/**
 * GNTTABOP_cache_flush: write lines of a frame back, of the caller's or one that it was granted. Caches here hold no bytes of their own, so that
 * what is left of it is who may ask.
 *
 * Source: facts of Xen 4.17, _cache_flush(), gnttab_cache_flush(), grant_map_exists() (xen/common/grant_table.c),
 *         invalidate_dcache_va_range() (xen/arch/x86/include/asm/flushtlb.h).
 */
import type { Domain } from './domain.ts';
import { GNTTAB_CACHE_CLEAN, GNTTAB_CACHE_INVAL } from './grant-numbers.ts';
import { readItem } from './guest-array.ts';
import type { Host } from './host.ts';
import { DOMID_IO, DOMID_XEN, XEN_EFAULT, XEN_EILSEQ, XEN_EINVAL, XEN_EOPNOTSUPP, XEN_EPERM } from './numbers.ts';

const FRAME_BYTES = 4096;
export const FLUSH_BYTES = 16;
const REFS_A_STEP = 4096; // that are looked through before the call may be preempted
const MORE = -1;

/** How far a continued search for the grant has come. */
export interface FlushProgress {
  ref: number;
}

/** @param hi, lo - address of the operations @returns operations done if preempted, 0 if all are, or -XEN_E* */
export function flushGrants(h: Host, hi: number, lo: number, count: number, progress: FlushProgress): number {
  for (let i = 0; i < count; i++) {
    if (i > 0 && h.preemptCheck()) return i;
    if (!readItem(h, hi, lo, i * FLUSH_BYTES, FLUSH_BYTES)) return -XEN_EFAULT;
    const [addressLo, addressHi, span, command] = h.buffer, mfn = (addressLo >>> 12) + (addressHi >>> 0) * 0x100000;
    for (;;) {
      const rc = flushOne(h, mfn, span & 0xffff, span >>> 16, command, progress);
      if (rc < 0) return rc;
      if (rc === 0) break;
      if (h.preemptCheck()) return i;
    }
    progress.ref = 0;
  }
  progress.ref = 0;
  return 0;
}

/** @returns 0, 1: the search for the grant goes on, or -XEN_E* */
function flushOne(h: Host, mfn: number, offset: number, length: number, command: number, progress: FlushProgress): number {
  if (offset >= FRAME_BYTES || length > FRAME_BYTES || offset + length > FRAME_BYTES) return -XEN_EINVAL;
  if ((command & ~(GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN)) !== 0) return -XEN_EINVAL;
  if (length === 0 || command === 0) return progress.ref === 0 ? 0 : -XEN_EILSEQ;
  if (!h.frames.valid(mfn)) return -XEN_EINVAL;
  const id = h.frames.owner(mfn), owner = h.ownerOf(mfn), { domain } = h.current;
  if (h.frames.refs(mfn) === 0 || owner === undefined || id === DOMID_IO || id === DOMID_XEN) return -XEN_EPERM;
  if (owner !== domain) {
    const ref = findUse(owner, domain, mfn, progress.ref);
    if (ref === MORE) {
      progress.ref += REFS_A_STEP;
      return 1;
    }
    if (ref >= owner.grants.entries) return -XEN_EINVAL;
  }
  return command === GNTTAB_CACHE_INVAL ? -XEN_EOPNOTSUPP : 0;
}

/** A grant of `owner` by which `user` uses the frame; MORE: not among those looked at; the number of entries: there is none. */
function findUse(owner: Domain, user: Domain, mfn: number, from: number): number {
  const { active, entries } = owner.grants, end = Math.min(from + REFS_A_STEP, entries);
  for (let ref = from; ref < end; ref++) {
    if (active.pin(ref) !== 0 && active.domid(ref) === user.id && active.mfn(ref) === mfn) return ref;
  }
  return end < entries ? MORE : entries;
}
