/**
 * The active entries of a grant table: how often each grant is in use, and what it was when its use began. What the guest writes to its entry
 * after that does not matter until the last use ends.
 *
 * Source: facts of Xen 4.17, struct active_grant_entry, GNTPIN_* (xen/common/grant_table.c).
 */
import { DOMAIN_ACTIVE, DOMAIN_GRANT_MAX_FRAMES } from '../layout/domain.ts';
import {
  ACTIVE_BYTES, ACTIVE_DOMID, ACTIVE_LENGTH, ACTIVE_MFN, ACTIVE_PIN, ACTIVE_START, ACTIVE_SUB_PAGE, ACTIVE_TRANS_DOMID, ACTIVE_TRANS_REF,
} from '../layout/grant.ts';
import type { Views } from '../memory/views.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from './grant-numbers.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

// Pin: four counts of a byte each.
export const GNTPIN_hstw_inc = 1; //       writable mappings and copies by the processor
export const GNTPIN_hstr_inc = 1 << 8; //  read-only ones
const GNTPIN_devw_inc = 1 << 16; // writable mappings for devices
const GNTPIN_devr_inc = 1 << 24;
export const GNTPIN_writing = 0x00ff00ff;
const TOP_BIT = 7; // of a count: from here on it grows no more

/** Would one of the counts of `pin` grow too large with those of `increments`? */
export const pinOverflows = (pin: number, increments: number): boolean => (pin & (increments << TOP_BIT)) !== 0;

/** Counts that a mapping, by GNTMAP_*, has in the pin of its grant. */
export function pinsOf(flags: number): number {
  const readonly = (flags & GNTMAP_readonly) !== 0;
  return ((flags & GNTMAP_device_map) === 0 ? 0 : readonly ? GNTPIN_devr_inc : GNTPIN_devw_inc)
    + ((flags & GNTMAP_host_map) === 0 ? 0 : readonly ? GNTPIN_hstr_inc : GNTPIN_hstw_inc);
}

const PAGE_SHIFT = 7; // entries in a page
const ENTRIES_PER_FRAME = 512; // of version 1, which has more

export class ActiveGrants {
  private readonly s: Views;
  private readonly rows: PagedTable;
  private readonly pages: readonly number[];

  /** @param domain - word index of the domain's block */
  constructor(own: OwnFrames, domain: number) {
    const most = own.s.w[domain + (DOMAIN_GRANT_MAX_FRAMES >>> 2)] * ENTRIES_PER_FRAME;
    this.s = own.s;
    this.rows = new PagedTable(own, domain + (DOMAIN_ACTIVE >>> 2), ACTIVE_BYTES, most);
    this.pages = this.rows.pages;
  }

  /** Make room for references 0 up to `entries`. @returns false, with nothing changed: there is no memory for them */
  grow(entries: number): boolean {
    return this.rows.reserve(entries);
  }

  /** Let go of everything, with the domain. */
  clear(): void {
    this.rows.clear();
  }

  /** Word index of an entry: that of the table, with what is known of it. */
  private row(ref: number): number {
    return (this.pages[ref >>> PAGE_SHIFT] ?? this.rows.lookAt(ref >>> PAGE_SHIFT)) + (ref & ((1 << PAGE_SHIFT) - 1)) * (ACTIVE_BYTES >>> 2);
  }


  pin(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_PIN >>> 2)]; }
  setPin(ref: number, pin: number): void { this.s.w[this.row(ref) + (ACTIVE_PIN >>> 2)] = pin; }
  /** Domain that uses it. */
  domid(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_DOMID >>> 2)]; }
  mfn(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_MFN >>> 2)] >>> 0; }
  /** First byte of the frame that may be used, and how many. */
  start(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_START >>> 2)]; }
  length(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_LENGTH >>> 2)]; }
  /** Part of a page, or another domain's grant: not to be mapped. */
  isSubPage(ref: number): boolean { return this.s.w[this.row(ref) + (ACTIVE_SUB_PAGE >>> 2)] !== 0; }
  /** The domain, and its reference, that this one passes on; of a grant that does not, its own. */
  transDomid(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_TRANS_DOMID >>> 2)]; }
  transRef(ref: number): number { return this.s.w[this.row(ref) + (ACTIVE_TRANS_REF >>> 2)] >>> 0; }

  /** Note what a grant is as its use begins. */
  begin(ref: number, domid: number, mfn: number, start: number, length: number, subPage: boolean, transDomid: number, transRef: number): void {
    const { w } = this.s, at = this.row(ref);
    w[at + (ACTIVE_DOMID >>> 2)] = domid;
    w[at + (ACTIVE_MFN >>> 2)] = mfn;
    w[at + (ACTIVE_START >>> 2)] = start;
    w[at + (ACTIVE_LENGTH >>> 2)] = length;
    w[at + (ACTIVE_SUB_PAGE >>> 2)] = subPage ? 1 : 0;
    w[at + (ACTIVE_TRANS_DOMID >>> 2)] = transDomid;
    w[at + (ACTIVE_TRANS_REF >>> 2)] = transRef;
  }
}
