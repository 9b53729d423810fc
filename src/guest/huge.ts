/**
 * Regions of 2 MBytes that become one page when enough of their pages are in use, and are taken apart again when part of them changes.
 *
 * Source: Linux 5.10, collapse_huge_page() (mm/khugepaged.c), __split_huge_pmd() (mm/huge_memory.c).
 */
import { PTE_P, PTE_PS, PTE_RW } from '../arch/pte.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import { entryHi, entryLo, nameIn, slotOf } from './page-tables.ts';
import { ENTRIES, PAGE_BYTES, PAGE_WORDS } from './platform.ts';
import { highFlags, WRITE_FLAGS } from './rights.ts';
import type { Vma } from './vma.ts';

const ZEROES = new Int32Array(PAGE_WORDS);

/** A page of an anonymous area was added: make its region one page, if it is time. */
export function promote(k: Kernel, mm: Mm, vma: Vma, page: number): void {
  const { promoteAt } = k.options, first = page - (page % ENTRIES);
  if (promoteAt === 0 || !k.ops.largePages || vma.shared || vma.start > first || vma.end < first + ENTRIES) return;
  const table = k.tables.find(mm.context, page);
  if (table < 0 || ownPages(k, table) < promoteAt) return;
  const run = k.pool.takeRun();
  if (run < 0) return;
  const middle = k.tables.find(mm.context, page, 2), slot = slotOf(page, 2);
  k.ops.setEntry(mm.context, 2, middle, slot, 0, 0);
  k.ops.flushTlbUser(mm.context);
  moveTo(k, table, run);
  k.tables.release(mm.context, table, 1);
  const name = k.p.nameOf(run);
  k.ops.setEntry(mm.context, 2, middle, slot, entryLo(name, WRITE_FLAGS | PTE_PS), entryHi(name, highFlags(vma.prot)));
  k.figures.promotions++;
}

/** Pages of a table that are their process's alone; 0 if any is shared, hidden, or outside memory. */
function ownPages(k: Kernel, table: number): number {
  const { w } = k.p.s;
  let own = 0;
  for (let slot = 0; slot < ENTRIES; slot++) {
    const lo = w[k.tables.at(table, slot)];
    if (lo === 0) continue;
    if ((lo & PTE_P) === 0) return 0;
    const frame = k.tables.frameAt(table, slot);
    if (frame === k.zeroFrame) continue;
    if (k.pool.count(frame) !== 1) return 0;
    own++;
  }
  return own;
}

/** Move the pages of a table, zeroes where there are none, to a run of frames. */
function moveTo(k: Kernel, table: number, run: number): void {
  const { w } = k.p.s;
  for (let slot = 0; slot < ENTRIES; slot++) {
    if ((w[k.tables.at(table, slot)] & PTE_P) === 0) {
      k.pool.write(run + slot, ZEROES);
      continue;
    }
    const frame = k.tables.frameAt(table, slot);
    k.pool.copy(run + slot, frame);
    k.pool.put(frame);
  }
}

/** Take large pages that have a page of the range apart: something is about to change in it. */
export function splitRange(k: Kernel, mm: Mm, from: number, to: number): void {
  if (k.figures.promotions === k.figures.splits) return;
  k.tables.eachMiddle(mm.context, from, to, (middle, first) => {
    for (let slot = 0; slot < ENTRIES; slot++) {
      const start = first + slot * ENTRIES, lo = k.p.s.w[k.tables.at(middle, slot)];
      if ((lo & (PTE_P | PTE_PS)) === (PTE_P | PTE_PS) && start < to && start + ENTRIES > from) split(k, mm, middle, slot, start);
    }
  });
}

function split(k: Kernel, mm: Mm, middle: number, slot: number, first: number): void {
  const at = k.tables.at(middle, slot), { w } = k.p.s, lo = w[at], hi = w[at + 1];
  const run = k.p.frameOf(nameIn(lo & ~(ENTRIES * PAGE_BYTES - 1) | PTE_P, hi)), table = k.tables.create(mm.context, 1);
  const flags = WRITE_FLAGS & ~PTE_RW | (lo & PTE_RW);
  for (let i = 0; i < ENTRIES; i++) {
    const name = k.p.nameOf(run + i);
    k.ops.setPte(mm.context, table, i, entryLo(name, flags), entryHi(name, hi & ~0xfffff));
    k.reclaim.mapped(mm, first + i);
  }
  k.tables.link(mm.context, 2, middle, slot, table);
  k.ops.flushTlbUser(mm.context);
  k.figures.splits++;
}
