/** After a guest's table has changed: its shadows say what it says. */
import { FRAME_BYTES } from '../../memory/extents.ts';
import { entryBytes, shadowIndex, spread } from './kind.ts';
import { ENTRIES } from './pages.ts';
import { propagate } from './propagate.ts';
import type { ShadowState } from './state.ts';
import { setEntry } from './tables.ts';

/** Shadow anew every entry that the bytes `offset` to `offset + bytes` of a guest table touch. */
export function revalidate(h: ShadowState, mfn: number, offset: number, bytes: number): void {
  for (const page of h.pages.shadowsOf(mfn)) {
    if (h.pages.of[page] !== mfn) continue; // it went with another
    const size = entryBytes(h.pages.role[page]), end = Math.min(FRAME_BYTES, offset + bytes);
    for (let index = Math.floor(offset / size); index * size < end; index++) revalidateEntry(h, page, mfn, index, size);
  }
}

function revalidateEntry(h: ShadowState, page: number, mfn: number, index: number, size: number): void {
  const { pages } = h, kind = pages.kind[page], role = pages.role[page], first = shadowIndex(kind, role, pages.part[page], index);
  if (first < 0 || kind === 0) return;
  for (let k = first; k < first + spread(kind, role); k++) {
    h.memory.load(mfn, index * size, size);
    propagate(h, page, k, h.memory.lo, h.memory.hi);
    setEntry(h, page * ENTRIES + k, h.outLo, h.outHi);
  }
}
