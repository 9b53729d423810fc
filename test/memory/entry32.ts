/** 4-byte entries of 32-bit paging by physical address. */
import { storeEntry32 } from '../../src/memory/entry.ts';
import { readBus, wordOf } from '../../src/memory/extents.ts';
import type { Views } from '../../src/memory/views.ts';

export function readEntry32(s: Views, pa: number): number {
  const hi = Math.floor(pa / 2 ** 32), at = wordOf(s, hi, pa | 0);
  if (at >= 0) return s.w[at]! >>> 0;
  readBus(s, hi, pa | 0, 4);
  return s.busLo >>> 0;
}

/** @returns false if there are no bytes to hold it */
export function writeEntry32(s: Views, pa: number, value: number): boolean {
  const at = wordOf(s, Math.floor(pa / 2 ** 32), pa | 0);
  if (at >= 0) storeEntry32(s, at, value | 0);
  return at >= 0;
}
