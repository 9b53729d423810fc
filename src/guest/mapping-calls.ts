/**
 * The system calls that change what an address space maps. Addresses and lengths in pages; the caller has decided where.
 *
 * Source: Linux 5.10, mm/mmap.c: do_brk_flags(), __do_munmap(), unmap_region(); mm/mprotect.c: change_pte_range(); mm/mremap.c: move_ptes().
 */
import { PTE_D, PTE_HI_XD, PTE_RW } from '../arch/pte.ts';
import { splitRange } from './huge.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import { slotOf } from './page-tables.ts';
import { ENTRIES, PAGE_BYTES } from './platform.ts';
import { hide, highFlags, holdsPage, isHidden, isSwap, swapSlot, unhide } from './rights.ts';
import { PROT_READ, PROT_WRITE, slice, type Vma } from './vma.ts';

const HEAP_PROT = PROT_READ | PROT_WRITE;

/** mmap at a place: what was there before is no more. */
export function map(k: Kernel, mm: Mm, vma: Vma): void {
  if (vma.start >= vma.end) return;
  unmap(k, mm, vma.start, vma.end);
  mm.vmas.insert(vma);
}

/** munmap. */
export function unmap(k: Kernel, mm: Mm, start: number, end: number): void {
  if (start >= end || !mm.vmas.meets(start, end)) return;
  const removed = mm.vmas.remove(start, end);
  splitRange(k, mm, start, end);
  let gone = 0;
  for (const vma of removed) gone += zap(k, mm, vma);
  if (gone > 0) k.ops.flushTlbUser(mm.context);
  k.tables.free(mm.context, start, end, (from, to) => mm.vmas.meets(from, to));
}

/** Clear the entries of an area, and give back what they held. @returns pages that were present */
export function zap(k: Kernel, mm: Mm, vma: Vma): number {
  const { w } = k.p.s;
  let gone = 0;
  k.tables.eachLeaf(mm.context, vma.start, vma.end, (table, first) => {
    k.ops.enterLazyMmu();
    for (let page = Math.max(first, vma.start), end = Math.min(first + ENTRIES, vma.end); page < end; page++) {
      const slot = slotOf(page, 1), lo = w[k.tables.at(table, slot)];
      if (lo === 0) continue;
      if (isSwap(lo)) k.reclaim.forget(swapSlot(lo));
      const frame = holdsPage(lo) ? k.tables.frameAt(table, slot) : -1;
      k.figures.entries++;
      k.ops.pteClear(mm.context, page * PAGE_BYTES, table, slot);
      if (frame < 0) continue;
      if (vma.shared && (lo & PTE_D) !== 0) vma.file?.written.add(vma.offset + page - vma.start);
      mm.resident--;
      gone++;
      k.pool.put(frame);
    }
    k.ops.leaveLazyMmu();
  });
  return gone;
}

/** mprotect. What becomes writable is made so by the fault of its first store, where it may be shared. */
export function protect(k: Kernel, mm: Mm, start: number, end: number, prot: number): void {
  if (start >= end) return;
  const areas = mm.vmas.remove(start, end);
  for (const vma of areas) mm.vmas.insert({ ...vma, prot });
  splitRange(k, mm, start, end);
  let changed = 0;
  for (const vma of areas) changed += protectArea(k, mm, vma, prot);
  if (changed > 0) k.ops.flushTlbUser(mm.context);
}

/** @returns entries that were changed */
function protectArea(k: Kernel, mm: Mm, vma: Vma, prot: number): number {
  const { w } = k.p.s, writable = (prot & PROT_WRITE) !== 0;
  let changed = 0;
  k.tables.eachLeaf(mm.context, vma.start, vma.end, (table, first) => {
    k.ops.enterLazyMmu();
    for (let page = Math.max(first, vma.start), end = Math.min(first + ENTRIES, vma.end); page < end; page++) {
      const slot = slotOf(page, 1), at = k.tables.at(table, slot), lo = w[at], hi = w[at + 1];
      if (!holdsPage(lo)) continue;
      const rights = writable ? lo : lo & ~PTE_RW, newLo = prot === 0 ? hide(rights) : isHidden(lo) ? unhide(rights) : rights, newHi = (hi & ~PTE_HI_XD) | highFlags(prot);
      if (newLo === lo && newHi === hi) continue;
      changed++;
      k.figures.entries++;
      k.ops.setPteAt(mm.context, page * PAGE_BYTES, table, slot, newLo, newHi);
    }
    k.ops.leaveLazyMmu();
  });
  return changed;
}

/** mremap to another place or length: the pages move, none is copied. */
export function remap(k: Kernel, mm: Mm, from: number, many: number, to: number, wanted: number): void {
  const vma = mm.vmas.find(from);
  if (vma === undefined || wanted === 0) return;
  if (wanted < many) unmap(k, mm, from + wanted, from + many);
  const kept = Math.min(many, wanted), area = slice(vma, from, from + kept);
  if (to === from) {
    if (wanted > many) map(k, mm, { ...area, start: from + many, end: from + wanted, offset: area.file === undefined ? 0 : area.offset + many });
    return;
  }
  unmap(k, mm, to, to + wanted);
  mm.vmas.insert({ ...area, start: to, end: to + wanted });
  splitRange(k, mm, from, from + kept);
  for (let page = 0; page < kept; page++) move(k, mm, from + page, to + page);
  k.ops.flushTlbUser(mm.context);
  mm.vmas.remove(from, from + kept);
  k.tables.free(mm.context, from, from + kept, (start, end) => mm.vmas.meets(start, end));
}

function move(k: Kernel, mm: Mm, from: number, to: number): void {
  const source = k.tables.find(mm.context, from), { w } = k.p.s;
  if (source < 0 || w[k.tables.at(source, slotOf(from, 1))] === 0) return;
  const target = k.tables.make(mm.context, to);
  k.figures.entries += 2;
  k.ops.ptepGetAndClear(mm.context, from * PAGE_BYTES, source, slotOf(from, 1));
  const { oldLo, oldHi } = k.ops;
  k.ops.setPteAt(mm.context, to * PAGE_BYTES, target, slotOf(to, 1), oldLo, oldHi);
  if (holdsPage(oldLo)) k.reclaim.mapped(mm, to);
}

/** brk. @param end - bytes: where the heap is to end */
export function setBreak(k: Kernel, mm: Mm, end: number): void {
  if (mm.heapStart < 0) mm.heapStart = mm.heapEnd = end;
  const old = Math.ceil(mm.heapEnd / PAGE_BYTES), wanted = Math.ceil(end / PAGE_BYTES);
  if (wanted < old) unmap(k, mm, wanted, old);
  else if (wanted > old) map(k, mm, { start: old, end: wanted, prot: HEAP_PROT, shared: false, file: undefined, offset: 0 });
  mm.heapEnd = end;
}
