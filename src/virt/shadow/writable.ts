/**
 * Where guest frames are mapped writable in shadow tables: how often, where last, and in which large pages.
 *
 * Invariants, checked by `audit()`:
 *   SW1  the count of a machine frame is the number of writable 4K entries that map it
 *   SW2  `large` are exactly the slots of large pages
 *
 * Source: Xen 4.17 mm/shadow/common.c, sh_remove_write_access(), for counting down to know when to stop, and for guessing before scanning; its
 *         guesses are where known kernels map all memory, this one is where the page was mapped writable last.
 */
import { PTE_D, PTE_PS, PTE_RW } from '../../arch/pte.ts';
import { LEVEL_OF } from './kind.ts';
import { ENTRIES } from './pages.ts';
import type { ShadowState } from './state.ts';
import { setEntry } from './tables.ts';
import { WORK } from './work.ts';

const NONE = -1;
const ROWS_FIRST = 1024;
const GOLDEN = 0x9e3779b1; // odd: multiples of it differ in all their bits

export class WritableMappings {
  readonly large = new Set<number>();
  /** Sum over all frames. */
  total = 0;
  // Open addressing: rows of frames, which stay when their count is 0 until the table is full.
  private frames = new Float64Array(ROWS_FIRST).fill(NONE);
  private counts = new Int32Array(ROWS_FIRST);
  private last = new Float64Array(ROWS_FIRST);
  private used = 0;

  add(mfn: number, slot: number): void {
    let row = this.row(mfn);
    if (this.frames[row] === NONE) {
      if (2 * this.used >= this.frames.length) row = this.rehash(mfn);
      this.used++;
      this.frames[row] = mfn;
    }
    this.counts[row]++;
    this.last[row] = slot;
    this.total++;
  }

  remove(mfn: number): void {
    this.counts[this.row(mfn)]--;
    this.total--;
  }

  of(mfn: number): number {
    return this.counts[this.row(mfn)];
  }

  /** Slot of the mapping made last, if there still is any. */
  guess(mfn: number): number {
    const row = this.row(mfn);
    return this.counts[row] > 0 ? this.last[row] : NONE;
  }

  /** The row of a frame, or the free one where it belongs. */
  private row(mfn: number): number {
    const { frames } = this, mask = frames.length - 1;
    let row = Math.imul(mfn ^ mfn / 0x100000, GOLDEN) >>> 8 & mask;
    while (frames[row] !== mfn && frames[row] !== NONE) row = row + 1 & mask;
    return row;
  }

  /** Keep the frames that are mapped, in a table of which they use a quarter at most. @returns the row of `mfn`, which is none of them */
  private rehash(mfn: number): number {
    const { frames, counts, last } = this;
    let rows = ROWS_FIRST, mapped = 0;
    for (const count of counts) if (count > 0) mapped++;
    while (rows < 4 * (mapped + 1)) rows *= 2;
    this.frames = new Float64Array(rows).fill(NONE);
    this.counts = new Int32Array(rows);
    this.last = new Float64Array(rows);
    this.used = mapped;
    frames.forEach((frame, from) => {
      if (counts[from] === 0) return;
      const row = this.row(frame);
      this.frames[row] = frame;
      this.counts[row] = counts[from];
      this.last[row] = last[from];
    });
    return this.row(mfn);
  }
}

/** Frame number in an entry. */
export const frameOf = (lo: number, hi: number): number => (lo >>> 12) + (hi & 0xfffff) * 0x100000;

/** Make every mapping of a machine frame read-only. Large pages that have it are removed: what comes instead decides for each frame. */
export function removeWritable(h: ShadowState, mfn: number): void {
  const { writable, pages, work, s } = h;
  removeLarge(h, mfn);
  if (writable.of(mfn) === 0) return;
  if (h.policy.guess && clearAt(h, writable.guess(mfn), mfn)) work.add(WORK.writableGuessed);
  if (writable.of(mfn) === 0) return;
  work.add(WORK.writableScanned);
  for (let page = 0; page < pages.frames && writable.of(mfn) > 0; page++) {
    if (LEVEL_OF[pages.kind[page]] !== 1 || pages.live[page] === 0) continue;
    work.add(WORK.scannedEntry, ENTRIES);
    for (let slot = page * ENTRIES, at = pages.wordOf(slot), end = slot + ENTRIES; slot < end; slot++, at += 2) {
      if (s.w[at] & PTE_RW) clearAt(h, slot, mfn);
    }
  }
}

/** Remove every mapping of a machine frame. */
export function removeMappings(h: ShadowState, mfn: number): void {
  const { pages, s, work } = h;
  removeLarge(h, mfn);
  for (let page = 0; page < pages.frames; page++) {
    if (LEVEL_OF[pages.kind[page]] !== 1 || pages.live[page] === 0) continue;
    work.add(WORK.scannedEntry, ENTRIES);
    for (let slot = page * ENTRIES, at = pages.wordOf(slot), end = slot + ENTRIES; slot < end; slot++, at += 2) {
      if (h.isMapping(s.w[at], s.w[at + 1]) && frameOf(s.w[at], s.w[at + 1]) === mfn) setEntry(h, slot, 0, 0);
    }
  }
}

/** Make every mapping of every frame read-only. */
export function protectAll(h: ShadowState): void {
  const { pages, s, work } = h;
  for (const slot of [...h.writable.large]) readOnly(h, slot);
  for (let page = 0; page < pages.frames; page++) {
    if (LEVEL_OF[pages.kind[page]] !== 1 || pages.live[page] === 0) continue;
    work.add(WORK.scannedEntry, ENTRIES);
    for (let slot = page * ENTRIES, at = pages.wordOf(slot), end = slot + ENTRIES; slot < end; slot++, at += 2) {
      if (s.w[at] & PTE_RW && h.isMapping(s.w[at], s.w[at + 1])) h.flips.has(slot) ? setEntry(h, slot, 0, 0) : readOnly(h, slot);
    }
  }
}

function removeLarge(h: ShadowState, mfn: number): void {
  for (const slot of [...h.writable.large]) {
    const at = h.pages.wordOf(slot), first = frameOf(h.s.w[at] & ~0x1fffff, h.s.w[at + 1]);
    if (mfn >= first && mfn < first + ENTRIES) setEntry(h, slot, 0, 0);
  }
}

/** Clear R/W of a slot if it maps the frame writable. A page that only a flip made writable goes as a whole. */
function clearAt(h: ShadowState, slot: number, mfn: number): boolean {
  if (slot < 0) return false;
  const at = h.pages.wordOf(slot), lo = h.s.w[at], hi = h.s.w[at + 1];
  if (!(lo & PTE_RW) || lo & PTE_PS || !h.isMapping(lo, hi) || LEVEL_OF[h.pages.kind[Math.floor(slot / ENTRIES)]] !== 1 || frameOf(lo, hi) !== mfn) return false;
  if (h.flips.has(slot)) setEntry(h, slot, 0, 0);
  else readOnly(h, slot);
  return true;
}

function readOnly(h: ShadowState, slot: number): void {
  const at = h.pages.wordOf(slot);
  setEntry(h, slot, h.s.w[at] & ~(PTE_RW | PTE_D), h.s.w[at + 1]);
}
