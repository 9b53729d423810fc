/**
 * Page tables with pseudo-physical frames in place of machine frames, and back.
 *
 * Source: Xen 4.17, normalise_pagetable() (tools/libs/guest/xg_sr_save_x86_pv.c), pv_localise_page() (xg_sr_restore_x86_pv.c).
 */
import { PTE_HI_ADDR, PTE_LO_ADDR, PTE_P } from '../arch/pte.ts';
import type { Domain } from '../xen/domain.ts';
import { frameOf } from '../xen/entry-flags.ts';
import type { Host } from '../xen/host.ts';
import { guestSlot } from '../xen/xen-slots.ts';
import { pfnOf } from './p2m-model.ts';
import { NO_FRAME } from './translation.ts';

const ENTRIES = 512;
const COMPAT_ENTRIES = 4;

/** Replace the frame of each present entry. @param words - of the table @returns the first entry whose frame `to` does not know (-1), or -1 */
function replaceFrames(words: Int32Array, entries: number, to: (frame: number) => number): number {
  for (let slot = 0; slot < entries; slot++) {
    const lo = words[slot * 2], hi = words[slot * 2 + 1];
    if ((lo & PTE_P) === 0) continue;
    const frame = to(frameOf(lo, hi));
    if (frame === NO_FRAME) return slot;
    words[slot * 2] = (lo & ~PTE_LO_ADDR) | (frame << 12);
    words[slot * 2 + 1] = (hi & ~PTE_HI_ADDR) | Math.floor(frame / 0x100000);
  }
  return -1;
}

/** Entries of a table that its guest decides; those after them are nobody's. */
const entriesOf = (is32: boolean, level: number): number => (is32 && level === 3 ? COMPAT_ENTRIES : ENTRIES);

/**
 * A table of a domain in canonical form: without what the hypervisor put there.
 *
 * @param words - a copy of the table, changed @returns the first entry that refers to a frame that is not the domain's, or -1
 */
export function canonicalise(h: Host, domain: Domain, mfn: number, level: number, words: Int32Array): number {
  const entries = entriesOf(domain.is32, level), type = h.frames.type(mfn);
  for (let slot = 0; slot < ENTRIES; slot++) if (slot >= entries || !guestSlot(domain, level, type, slot)) words.fill(0, slot * 2, slot * 2 + 2);
  return replaceFrames(words, entries, frame => pfnOf(h, domain, frame));
}

/** The table again, on other frames. @returns the first entry that refers to a frame that there is not, or -1 */
export function localise(words: Int32Array, is32: boolean, level: number, p2m: ReadonlyMap<number, number>): number {
  return replaceFrames(words, entriesOf(is32, level), pfn => p2m.get(pfn) ?? NO_FRAME);
}
