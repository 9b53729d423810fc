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

export class WritableMappings {
  private readonly counts = new Map<number, number>();
  private readonly last = new Map<number, number>();
  readonly large = new Set<number>();

  add(mfn: number, slot: number): void {
    this.counts.set(mfn, (this.counts.get(mfn) ?? 0) + 1);
    this.last.set(mfn, slot);
  }

  remove(mfn: number): void {
    const left = this.of(mfn) - 1;
    if (left > 0) this.counts.set(mfn, left);
    else {
      this.counts.delete(mfn);
      this.last.delete(mfn);
    }
  }

  of(mfn: number): number {
    return this.counts.get(mfn) ?? 0;
  }

  guess(mfn: number): number {
    return this.last.get(mfn) ?? -1;
  }

  /** Sum over all frames. */
  get total(): number {
    let sum = 0;
    for (const n of this.counts.values()) sum += n;
    return sum;
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
