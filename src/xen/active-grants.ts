/**
 * The active entries of a grant table: how often each grant is in use, and what it was when its use began. What the guest writes to its entry
 * after that does not matter until the last use ends.
 *
 * Source: facts of Xen 4.17, struct active_grant_entry, GNTPIN_* (xen/common/grant_table.c).
 */
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from './grant-numbers.ts';

// Pin: four counts of a byte each.
export const GNTPIN_hstw_inc = 1; //       writable mappings and copies by the processor
export const GNTPIN_hstr_inc = 1 << 8; //  read-only ones
export const GNTPIN_devw_inc = 1 << 16; // writable mappings for devices
export const GNTPIN_devr_inc = 1 << 24;
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

const PIN = 0;
const DOMID = 1;
const MFN = 2;
const START = 3;
const LENGTH = 4;
const SUB_PAGE = 5;
const TRANS_DOMID = 6;
const TRANS_REF = 7;
const WORDS = 8;

export class ActiveGrants {
  private rows = new Int32Array(0);

  /** Make room for references 0 up to `entries`. */
  grow(entries: number): void {
    if (entries * WORDS <= this.rows.length) return;
    const { rows } = this;
    this.rows = new Int32Array(entries * WORDS);
    this.rows.set(rows);
  }

  pin(ref: number): number { return this.rows[ref * WORDS + PIN]; }
  setPin(ref: number, pin: number): void { this.rows[ref * WORDS + PIN] = pin; }
  /** Domain that uses it. */
  domid(ref: number): number { return this.rows[ref * WORDS + DOMID]; }
  mfn(ref: number): number { return this.rows[ref * WORDS + MFN] >>> 0; }
  /** First byte of the frame that may be used, and how many. */
  start(ref: number): number { return this.rows[ref * WORDS + START]; }
  length(ref: number): number { return this.rows[ref * WORDS + LENGTH]; }
  /** Part of a page, or another domain's grant: not to be mapped. */
  isSubPage(ref: number): boolean { return this.rows[ref * WORDS + SUB_PAGE] !== 0; }
  /** The domain, and its reference, that this one passes on; of a grant that does not, its own. */
  transDomid(ref: number): number { return this.rows[ref * WORDS + TRANS_DOMID]; }
  transRef(ref: number): number { return this.rows[ref * WORDS + TRANS_REF] >>> 0; }

  /** Note what a grant is as its use begins. */
  begin(ref: number, domid: number, mfn: number, start: number, length: number, subPage: boolean, transDomid: number, transRef: number): void {
    const { rows } = this, at = ref * WORDS;
    rows[at + DOMID] = domid;
    rows[at + MFN] = mfn;
    rows[at + START] = start;
    rows[at + LENGTH] = length;
    rows[at + SUB_PAGE] = subPage ? 1 : 0;
    rows[at + TRANS_DOMID] = transDomid;
    rows[at + TRANS_REF] = transRef;
  }
}
