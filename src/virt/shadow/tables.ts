/**
 * Shadow tables as the hardware sees them: entries set with everything that follows from it, tables made and given up.
 *
 * Setting an entry takes what the new one needs before it gives up what the old one had, so that a table that both point at stays.
 *
 * Source: Xen 4.17 mm/shadow/set.c, shadow_set_l1e() to shadow_set_l4e(); mm/shadow/common.c, sh_destroy_shadow() and _shadow_prealloc().
 */
import { PTE_HI_XD, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../arch/pte.ts';
import { invariant } from '../../errors.ts';
import { storeEntry } from '../../memory/entry.ts';
import { isOfGuest, KIND_L1, KIND_TOP3, KIND_TOP4, LEVEL_OF } from './kind.ts';
import { resync } from './out-of-sync.ts';
import { ENTRIES } from './pages.ts';
import type { ShadowState } from './state.ts';
import { frameOf, removeWritable } from './writable.ts';
import { WORK } from './work.ts';

/** Set a shadow entry. A change that takes a right away, or leads elsewhere, makes a flush due. */
export function setEntry(h: ShadowState, slot: number, lo: number, hi: number): void {
  const { s, pages } = h, at = pages.wordOf(slot), page = Math.floor(slot / ENTRIES);
  const oldLo = s.w[at], oldHi = s.w[at + 1];
  if (h.flips.size > 0) h.flips.delete(slot);
  if (oldLo === lo && oldHi === hi) return;
  h.work.add(WORK.entryShadowed);
  const leafLevel = LEVEL_OF[pages.kind[page]] === 1;
  if (h.isMapping(lo, hi)) acquire(h, slot, lo, hi, leafLevel);
  pages.live[page] += (lo | hi ? 1 : 0) - (oldLo | oldHi ? 1 : 0);
  storeEntry(s, at, lo, hi);
  if (!h.isMapping(oldLo, oldHi)) return;
  if (pages.kind[page] !== KIND_TOP3 && loses(h, oldLo, oldHi, lo, hi)) h.flushDue = true; // a vCPU's own tables change with its CR3
  give(h, slot, oldLo, oldHi, leafLevel, (lo & PTE_PS) !== 0 && h.isMapping(lo, hi));
}

function acquire(h: ShadowState, slot: number, lo: number, hi: number, leafLevel: boolean): void {
  if (leafLevel) {
    if (lo & PTE_RW) h.writable.add(frameOf(lo, hi), slot);
  } else if (lo & PTE_PS) h.writable.large.add(slot);
  else h.pages.parents[h.pages.pageOf(lo, hi)].push(slot);
}

/** @param largeAgain - the new entry is a large page too */
function give(h: ShadowState, slot: number, lo: number, hi: number, leafLevel: boolean, largeAgain: boolean): void {
  if (leafLevel) {
    if (lo & PTE_RW) h.writable.remove(frameOf(lo, hi));
  } else if (lo & PTE_PS) {
    if (!largeAgain) h.writable.large.delete(slot);
  } else {
    const child = h.pages.pageOf(lo, hi), parents = h.pages.parents[child];
    parents.splice(parents.indexOf(slot), 1);
    if (!h.pages.isKept(child)) destroy(h, child);
  }
}

/** Does a processor that has the old entry cached know too much? */
function loses(h: ShadowState, oldLo: number, oldHi: number, lo: number, hi: number): boolean {
  if (!h.isMapping(lo, hi) || frameOf(oldLo ^ lo, oldHi ^ hi) !== 0 || (oldLo ^ lo) & (PTE_US | PTE_PS)) return true;
  return (oldLo & ~lo & PTE_RW) !== 0 || (hi & ~oldHi & PTE_HI_XD) !== 0;
}

/** Give up a table: nothing points at it, nothing finds it, and what only it kept goes too. */
export function destroy(h: ShadowState, page: number): void {
  const { pages } = h, of = pages.of[page], kind = pages.kind[page];
  invariant(pages.roots[page] === 0, 'no root is destroyed');
  pages.unhash(page);
  pages.pinned[page] = 1; // not to be destroyed once more when its last parent goes
  for (const slot of [...pages.parents[page]]) setEntry(h, slot, 0, 0);
  blank(h, page);
  pages.pinned[page] = 0;
  if (isOfGuest(kind) && !pages.isTable(of)) {
    h.outOfSync.forget(of);
    h.floods.delete(of);
  }
  pages.release(page);
  h.work.add(WORK.tableFreed);
  h.flushDue = true;
}

/** Empty a table. */
export function blank(h: ShadowState, page: number): void {
  const { pages, s } = h;
  for (let slot = page * ENTRIES, at = pages.wordOf(slot), end = slot + ENTRIES; slot < end && pages.live[page] > 0; slot++, at += 2) {
    if (s.w[at] | s.w[at + 1]) setEntry(h, slot, 0, 0);
  }
}

/** The shadow of a guest table, or a flat one; made if there is none. At least one page is reserved. @param of - see ShadowPages.of */
export function shadowFor(h: ShadowState, of: number, kind: number, role: number, part: number): number {
  const { pages } = h, found = pages.find(of, kind, role, part);
  if (found >= 0) return found;
  h.work.add(WORK.tableMade);
  if (isOfGuest(kind)) {
    if (kind !== KIND_L1) resync(h, of);
    if (!h.pages.isTable(of)) removeWritable(h, of);
  }
  return pages.take(of, kind, role, part);
}

/** Make sure of free pages: first by giving up tables that no vCPU uses, oldest first, then by emptying what they use. */
export function reserve(h: ShadowState, wanted: number): void {
  const { pages } = h;
  while (pages.free.length < wanted) {
    const page = pages.oldest();
    if (page >= 0) destroy(h, page);
    else invariant(unhook(h), 'the pool has room for the tables of one access');
    h.work.add(WORK.poolReclaim);
  }
}

/** Empty all roots. @returns true if there was anything in them */
function unhook(h: ShadowState): boolean {
  const { pages } = h;
  let any = false;
  for (let page = 0; page < pages.frames; page++) {
    if (pages.roots[page] === 0 && pages.kind[page] !== KIND_TOP3) continue;
    if (pages.kind[page] === KIND_TOP4 || pages.live[page] === 0) continue;
    any = true;
    blank(h, page);
  }
  return any;
}

/** The entry that points at a table, as wide as can be: what restricts it is below or above. */
export const POINTER = PTE_P | PTE_RW | PTE_US;
