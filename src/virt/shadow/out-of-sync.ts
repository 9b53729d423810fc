/**
 * Page tables that the guest writes without being stopped. Their shadows may be behind, as a TLB may be, until the guest flushes; then what has
 * changed since is shadowed anew, and the table is write-protected again.
 *
 * A copy of the table as its shadows know it tells what has changed.
 *
 * Invariants, checked by `audit()`:
 *   SO1  a table that is out of sync has shadows of level 1 only
 *   SO2  its shadow entries are what its copy says
 *
 * Source: Xen 4.17 mm/shadow/common.c, "Out-of-sync" (sh_unsync, oos_hash_add, _sh_resync), mm/shadow/multi.c, sh_resync_l1().
 */
import { FRAME_BYTES } from '../../memory/extents.ts';
import { entryBytes, KIND_L1, shadowIndex } from './kind.ts';
import { ENTRIES } from './pages.ts';
import { revalidate } from './revalidate.ts';
import type { ShadowState } from './state.ts';
import { setEntry } from './tables.ts';
import { WORK } from './work.ts';
import { removeWritable } from './writable.ts';

const FRAME_WORDS = FRAME_BYTES >>> 2;

export class OutOfSync {
  readonly most: number;
  /** Copies by machine frame, the oldest first. */
  readonly copies = new Map<number, Int32Array>();
  /** Memory of copies that are needed no more. */
  private readonly spare: Int32Array[] = [];

  constructor(most: number) {
    this.most = most;
  }

  has(mfn: number): boolean {
    return this.copies.has(mfn);
  }

  /** The table has no shadows any more. */
  forget(mfn: number): void {
    const copy = this.copies.get(mfn);
    if (copy === undefined) return;
    this.copies.delete(mfn);
    this.spare.push(copy);
  }

  /** Copy a table. */
  remember(mfn: number, words: Int32Array): void {
    const copy = this.spare.pop() ?? new Int32Array(FRAME_WORDS);
    copy.set(words);
    this.copies.set(mfn, copy);
  }
}

/** An entry of a table that may be out of sync is shadowed as it is now: its copy has it, and its other shadows, made before, give theirs up. */
export function noteEntry(h: ShadowState, page: number, index: number, lo: number, hi: number): void {
  const { pages } = h, mfn = pages.of[page], copy = h.outOfSync.copies.get(mfn), bytes = entryBytes(pages.role[page]);
  if (copy === undefined) return;
  for (const other of pages.shadowsOf(mfn)) {
    const size = entryBytes(pages.role[other]), first = Math.floor(index * bytes / size);
    for (let k = first; other !== page && k * size < (index + 1) * bytes; k++) {
      const at = shadowIndex(KIND_L1, pages.role[other], pages.part[other], k);
      if (at >= 0) setEntry(h, other * ENTRIES + at, 0, 0);
    }
  }
  if (bytes === 4) copy[index] = lo;
  else {
    copy[index * 2] = lo;
    copy[index * 2 + 1] = hi;
  }
}

/** May the guest write a table freely? Only if it is nothing but a page table. */
export function maySkip(h: ShadowState, mfn: number): boolean {
  if (h.outOfSync.most === 0 || h.memory.wordAt(mfn, 0) < 0) return false;
  return h.pages.shadowsOf(mfn).every(page => h.pages.kind[page] === KIND_L1);
}

/** Let the guest write a page table from now on. */
export function unsync(h: ShadowState, mfn: number): void {
  const { copies, most } = h.outOfSync, at = h.memory.wordAt(mfn, 0);
  if (copies.size >= most) resync(h, copies.keys().next().value!);
  h.outOfSync.remember(mfn, h.s.w.subarray(at, at + FRAME_WORDS));
  h.work.add(WORK.unsync);
}

/** Catch up with a table that may be out of sync, and follow its writes again. */
export function resync(h: ShadowState, mfn: number): void {
  const copy = h.outOfSync.copies.get(mfn), at = h.memory.wordAt(mfn, 0), { w } = h.s;
  if (copy === undefined) return;
  h.work.add(WORK.resync);
  h.outOfSync.forget(mfn);
  removeWritable(h, mfn);
  for (let word = 0; word < FRAME_WORDS; word += 2) {
    if (w[at + word] !== copy[word] || w[at + word + 1] !== copy[word + 1]) revalidate(h, mfn, word * 4, 8);
  }
}

export function resyncAll(h: ShadowState): void {
  for (const mfn of [...h.outOfSync.copies.keys()]) resync(h, mfn);
}
