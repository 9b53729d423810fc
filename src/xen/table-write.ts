/**
 * Writable page tables: a store of the guest's kernel to a level-1 table, which it can only map read-only, is done as an update.
 *
 * Source: facts of Xen 4.17, pv_ro_page_fault(), ptwr_do_page_fault(), ptwr_emulated_update() (xen/arch/x86/pv/ro-page-fault.c).
 */
import { PTE_P, PTE_RW } from '../arch/pte.ts';
import { PGT_COUNT, PGT_VALIDATED } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { frameOf, keptHi, keptLo } from './entry-flags.ts';
import { entryFor } from './guest-entry.ts';
import { copyFromGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { getFromL1, putFromL1 } from './l1-entry.ts';
import { levelOf } from './page-type.ts';

const ENTRY_BYTES = 8;
const UPPER_HALF = 4;

/**
 * @param hi, lo - linear address of the store @param data - a power of two of bytes, at most 8
 * @returns false: it is none of these, or refused, and the guest gets its fault
 */
export function emulateTableWrite(h: Host, hi: number, lo: number, data: Uint8Array): boolean {
  const { domain } = h.current, { w } = h.s, pte = entryFor(h, hi, lo);
  if (pte < 0 || (w[pte] & (PTE_P | PTE_RW)) !== PTE_P || (lo & (data.length - 1)) !== 0) return false;
  const table = frameOf(w[pte], w[pte + 1]);
  if (!h.frames.getPage(table, domain.id)) return false;
  const type = h.frames.type(table);
  const inUse = (type & PGT_VALIDATED) !== 0 && (type & PGT_COUNT) !== 0 && levelOf(type) === 1;
  const done = inUse && update(h, table, hi, lo, data);
  h.frames.putPage(table);
  return done;
}

function update(h: Host, table: number, hi: number, lo: number, data: Uint8Array): boolean {
  const { domain } = h.current, { w } = h.s, first = lo & (ENTRY_BYTES - 1);
  if (data.length !== ENTRY_BYTES && !copyFromGuest(h, hi, lo - first, ENTRY_BYTES)) return false;
  h.bytes.set(data, first);
  let newLo = h.buffer[0], newHi = h.buffer[1];
  if ((newLo & PTE_P) !== 0) {
    const flip = getFromL1(h, newLo, newHi, domain, domain);
    // A 32-bit guest that stores the upper half of an entry first will store the lower one next: until then the entry is not present.
    const isHalf = domain.is32 && data.length === UPPER_HALF && first === UPPER_HALF;
    if (flip < 0 && !isHalf) return false;
    newLo = flip < 0 ? newLo & ~PTE_P : newLo ^ flip;
  }
  if ((newLo & PTE_P) !== 0) {
    newHi = keptHi(domain, 1, newLo, newHi);
    newLo = keptLo(domain, 1, newLo, newHi);
  }
  const at = h.table(table) + ((lo & 0xff8) >>> 2), oldLo = w[at], oldHi = w[at + 1];
  storeEntry(h.s, at, newLo, newHi);
  putFromL1(h, oldLo, oldHi);
  return true;
}
