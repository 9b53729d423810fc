/** Entries of a table that were looked at, counted as work: most tables are nearly empty, and what is not present is passed over. */
import { PTE_P } from '../arch/pte.ts';
import type { Host } from './host.ts';
import { ABSENT_SEEN, ENTRIES_SEEN } from './work.ts';

/** Entries `from` up to `to` were validated, or put. */
export function lookedAt(h: Host, mfn: number, from: number, to: number): void {
  const { s: { w }, counters: { work } } = h, at = h.table(mfn), present = presentIn(w, at + from * 2, at + to * 2);
  work.add(ENTRIES_SEEN, present);
  work.add(ABSENT_SEEN, to - from - present);
}

/** Entries between two word indices that are present: four at a time, as this is a part of what a pin takes. */
function presentIn(w: Int32Array, from: number, to: number): number {
  let present = 0, at = from | 0;
  for (const end = to - 7; at < end; at = at + 8 | 0) present = present + (w[at] & PTE_P) + (w[at + 2 | 0] & PTE_P) + (w[at + 4 | 0] & PTE_P) + (w[at + 6 | 0] & PTE_P) | 0;
  for (; at < to; at = at + 2 | 0) present = present + (w[at] & PTE_P) | 0;
  return present;
}
