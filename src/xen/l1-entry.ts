/**
 * What a level-1 entry holds: a reference to the frame it maps, and one as writable if R/W = 1.
 *
 * Source: facts of Xen 4.17, get_page_from_l1e(), put_page_from_l1e(), is_iomem_page() (xen/arch/x86/mm.c).
 */
import { PTE_P, PTE_PCD, PTE_PS, PTE_PWT, PTE_RW } from '../arch/pte.ts';
import { PGT_WRITABLE } from '../layout/frame.ts';
import type { Domain } from './domain.ts';
import { CACHE_ATTRS, disallowed, frameOf } from './entry-flags.ts';
import type { Host } from './host.ts';
import { DOMID_IO, XEN_EACCES, XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from './numbers.ts';
import { getPageType, putPageType } from './page-type.ts';

const LARGEST_FRAME = 2 ** 40 - 1; // Xen's "no frame", as an entry holds it
const NOBODY = -1;

/**
 * Take the references of a present entry.
 *
 * @param tableOwner - domain of the table @param frameOwner - domain that the frame is to belong to
 * @returns flags of the low word to be flipped in the entry (0: none), or -XEN_E* with nothing taken
 */
export function getFromL1(h: Host, lo: number, hi: number, tableOwner: Domain, frameOwner: Domain): number {
  if (disallowed(tableOwner, 1, lo, hi)) return -XEN_EINVAL;
  const mfn = frameOf(lo, hi);
  if (!h.frames.valid(mfn)) return mapIo(h, mfn, lo, tableOwner, frameOwner);
  const owner = h.frames.getOwner(mfn);
  if (owner === DOMID_IO) {
    h.frames.putPage(mfn);
    return mapIo(h, mfn, lo, tableOwner, frameOwner);
  }
  if (owner === NOBODY) return -XEN_EBUSY;
  if (owner !== frameOwner.id && (frameOwner === tableOwner || !frameOwner.privileged)) return refused(h, mfn);
  const writable = (lo & PTE_RW) !== 0;
  if (writable && getPageType(h, mfn, PGT_WRITABLE) !== 0) return refused(h, mfn);
  if ((lo & CACHE_ATTRS) !== 0 && h.frames.isXenHeap(mfn)) {
    if (writable) putPageType(h, mfn);
    h.frames.putPage(mfn);
    return -XEN_EACCES;
  }
  return 0;
}

function refused(h: Host, mfn: number): number {
  h.frames.putPage(mfn);
  return -XEN_EBUSY;
}

/** A frame that is no memory: mapped by permission, uncached, without references. */
function mapIo(h: Host, mfn: number, lo: number, tableOwner: Domain, frameOwner: Domain): number {
  const asker = frameOwner === h.io ? h.current.domain : frameOwner;
  const permitted = asker.mayMapIo(mfn) && (asker === tableOwner || tableOwner.mayMapIo(mfn));
  if (!permitted) return mfn === LARGEST_FRAME ? -XEN_EINVAL : -XEN_EPERM;
  switch (lo & CACHE_ATTRS) {
    case 0: return PTE_PWT | PTE_PCD;
    case PTE_PWT: return PTE_PCD;
    case PTE_PWT | PTE_PS: return PTE_PCD | PTE_PS;
    default: return 0;
  }
}

/** Put the references of an entry, if it is present and maps memory. */
export function putFromL1(h: Host, lo: number, hi: number): void {
  if ((lo & PTE_P) === 0) return;
  const mfn = frameOf(lo, hi);
  if (!h.frames.valid(mfn) || h.frames.owner(mfn) === DOMID_IO) return;
  if ((lo & PTE_RW) !== 0) putPageType(h, mfn);
  h.frames.putPage(mfn);
}
