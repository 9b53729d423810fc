/**
 * Frames on their way from the source to a domain, and between domains.
 *
 * Frames that are no one's and not free are held (PGC_HELD): the source cannot hand them out a second time.
 *
 * Source: facts of Xen 4.17, alloc_domheap_pages(), assign_pages(), free_domheap_pages() (xen/common/page_alloc.c), steal_page()
 *         (xen/arch/x86/mm.c); of claims: alloc_heap_pages(), domain_adjust_tot_pages() (xen/common/page_alloc.c).
 */
import { ConfigError } from '../errors.ts';
import { PGC_ALLOCATED, PGC_HELD } from '../layout/frame.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import type { Host } from './host.ts';
import { XEN_EINVAL } from './numbers.ts';

const PAGE_SHIFT = 12;

/**
 * Take frames of the source, and hold them.
 *
 * @returns the first of 2^order, or NO_FRAME @throws ConfigError - frames that are in use, none, not aligned, or beyond `addressBits`
 */
export function takeFrames(h: Host, domain: Domain, order: number, addressBits: number): number {
  const count = 2 ** order;
  if (h.claimed > 0 && domain.claimed < count && count > freePages(h)) return NO_FRAME;
  const first = h.source.allocate(domain.id, order, addressBits);
  if (first === NO_FRAME) return NO_FRAME;
  const end = Math.min(h.frames.count, 2 ** (addressBits - PAGE_SHIFT));
  const fits = Number.isInteger(first) && first >= 0 && first % count === 0 && first + count <= end;
  for (let k = 0; k < (fits ? count : 1); k++) {
    if (!fits || !h.frames.isFree(first + k)) throw new ConfigError('source.allocate()', `${count} free frames, aligned, below frame 0x${end.toString(16)}`, first + k);
  }
  for (let k = 0; k < count; k++) h.frames.setOwner(first + k, 0, PGC_HELD);
  h.flushFreed();
  return first;
}

/** Frames that are free and kept for no domain. */
export function freePages(h: Host): number {
  let free = 0;
  for (let mfn = 0; mfn < h.frames.count; mfn++) if (h.frames.isFree(mfn)) free++;
  return free - h.claimed;
}

/** Keep so many frames free for a domain. */
export function setClaim(h: Host, domain: Domain, pages: number): void {
  h.claimed += pages - domain.claimed;
  domain.claimed = pages;
}

/** Give held frames to a domain, which counts them already or not. */
export function assignFrames(h: Host, domain: Domain, first: number, order: number): void {
  for (let k = 0; k < 2 ** order; k++) h.frames.assign(first + k, domain.id);
}

/** Frames for a domain, which are its own then. @returns the first of 2^order, or NO_FRAME: none, or more than it may have */
export function allocateFor(h: Host, domain: Domain, order: number, addressBits: number): number {
  const count = 2 ** order;
  if (domain.dying || domain.totalPages + count > domain.maxPages) return NO_FRAME;
  const first = takeFrames(h, domain, order, addressBits);
  if (first === NO_FRAME) return first;
  assignFrames(h, domain, first, order);
  domain.totalPages += count;
  setClaim(h, domain, Math.max(domain.claimed - count, 0));
  return first;
}

/** Held frames are free, and clear. */
export function freeHeld(h: Host, first: number, order: number): void {
  for (let k = 0; k < 2 ** order; k++) h.release(first + k, true);
}

/**
 * Take a frame from a domain that nothing refers to but its allocation; it is held then. The domain's count of pages stays.
 *
 * @returns 0 or -XEN_EINVAL
 */
export function stealFrame(h: Host, domain: Domain, mfn: number): number {
  const { frames } = h;
  if (!frames.valid(mfn) || frames.refs(mfn) !== 1 || frames.owner(mfn) !== domain.id) return -XEN_EINVAL;
  if (frames.flags(mfn) !== PGC_ALLOCATED) return -XEN_EINVAL;
  frames.setRefs(mfn, 0);
  frames.setType(mfn, 0);
  frames.setOwner(mfn, 0, PGC_HELD);
  return 0;
}
