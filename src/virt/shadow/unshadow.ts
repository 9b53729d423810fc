/** No longer shadowing a table: it was freed, or never was one, or is cheaper to shadow again than to follow. */
import { blank, destroy } from './tables.ts';
import type { ShadowState } from './state.ts';

/**
 * Give up the shadows of a machine frame. One that a vCPU stands on is emptied and stays, and so does its write protection.
 *
 * @param reason - the kind of work it is counted as
 */
export function unshadow(h: ShadowState, mfn: number, reason: number): void {
  h.work.add(reason);
  h.floods.delete(mfn);
  for (const page of h.pages.shadowsOf(mfn)) {
    if (h.pages.kind[page] === 0) continue; // it went with another
    h.pages.pinned[page] = 0;
    if (h.pages.roots[page] === 0) destroy(h, page);
    else blank(h, page);
  }
}
