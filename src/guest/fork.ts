/**
 * Address spaces that begin and end: fork, exec, exit.
 *
 * Source: Linux 5.10, dup_mmap() (kernel/fork.c), copy_pte_range() (mm/memory.c), exec_mmap() (fs/exec.c), exit_mmap() (mm/mmap.c).
 */
import { PTE_RW } from '../arch/pte.ts';
import { place } from './fault.ts';
import { splitRange } from './huge.ts';
import type { Kernel } from './kernel.ts';
import { zap } from './mapping-calls.ts';
import type { Mm } from './mm.ts';
import { slotOf } from './page-tables.ts';
import { ENTRIES, PAGE_BYTES } from './platform.ts';
import { holdsPage, isSwap, swapSlot, WRITE_FLAGS } from './rights.ts';
import type { Vma } from './vma.ts';

const LAST_PAGE = 2 ** 35; // of the lower half

/** A copy of an address space that shares its pages; stores copy them. */
export function fork(k: Kernel, parent: Mm): Mm {
  const child = k.newMm();
  child.vmas.copyOf(parent.vmas);
  child.heapStart = parent.heapStart;
  child.heapEnd = parent.heapEnd;
  splitRange(k, parent, 0, LAST_PAGE);
  for (const vma of parent.vmas.all) shareArea(k, parent, child, vma);
  k.ops.flushTlbUser(parent.context);
  k.ops.dupMmap(child.context);
  k.figures.forks++;
  return child;
}

function shareArea(k: Kernel, parent: Mm, child: Mm, vma: Vma): void {
  k.tables.eachLeaf(parent.context, vma.start, vma.end, (table, first) => {
    const start = Math.max(first, vma.start), end = Math.min(first + ENTRIES, vma.end);
    if (!anyEntry(k, table, start, end)) return;
    const copy = k.tables.make(child.context, start);
    k.ops.enterLazyMmu();
    for (let page = start; page < end; page++) sharePage(k, parent, child, vma, page, table, copy);
    k.ops.leaveLazyMmu();
  });
}

function anyEntry(k: Kernel, table: number, start: number, end: number): boolean {
  for (let page = start; page < end; page++) if (k.p.s.w[k.tables.at(table, slotOf(page, 1))] !== 0) return true;
  return false;
}

function sharePage(k: Kernel, parent: Mm, child: Mm, vma: Vma, page: number, table: number, copy: number): void {
  const slot = slotOf(page, 1), at = k.tables.at(table, slot), lo = k.p.s.w[at], hi = k.p.s.w[at + 1], address = page * PAGE_BYTES;
  if (lo === 0) return;
  k.figures.entries++;
  if (!holdsPage(lo)) {
    if (isSwap(lo)) k.reclaim.share(swapSlot(lo));
    k.ops.setPteAt(child.context, address, copy, slot, lo, hi);
    return;
  }
  const kept = vma.shared ? lo : lo & ~PTE_RW;
  if (kept !== lo) {
    k.figures.entries++;
    k.ops.setPteAt(parent.context, address, table, slot, kept, hi);
  }
  k.pool.get(k.tables.frameAt(table, slot));
  k.ops.setPteAt(child.context, address, copy, slot, kept, hi);
  child.resident++;
  k.figures.shared++;
  k.reclaim.mapped(child, page);
}

/** What a program is when it starts. */
export interface Image {
  readonly areas: readonly Vma[];
  /** The page of its stack that has its arguments. */
  readonly stackTop: number;
}

/** A new program in an address space of its own, which runs then. @param arguments_ - word that fills the top of the stack */
export function exec(k: Kernel, old: Mm | undefined, image: Image, arguments_: number): Mm {
  const mm = k.newMm();
  for (const vma of image.areas) mm.vmas.insert(vma);
  const stack = mm.vmas.find(image.stackTop);
  if (stack !== undefined) {
    const frame = k.pool.takeClear(), at = k.p.wordOf(frame);
    for (let word = ENTRIES; word < 2 * ENTRIES; word++) k.p.s.w[at + word] = arguments_ + word | 0; // the upper half of the page
    place(k, mm, stack, image.stackTop, k.tables.make(mm.context, image.stackTop), frame, WRITE_FLAGS);
  }
  k.ops.activateMm(mm.context);
  k.current = mm;
  k.figures.execs++;
  if (old !== undefined) dismantle(k, old);
  return mm;
}

/** The last process of an address space is gone. */
export function exit(k: Kernel, mm: Mm): void {
  dismantle(k, mm);
  k.figures.exits++;
}

function dismantle(k: Kernel, mm: Mm): void {
  k.ops.exitMmap(mm.context);
  splitRange(k, mm, 0, LAST_PAGE);
  for (const vma of mm.vmas.remove(0, LAST_PAGE)) zap(k, mm, vma);
  k.tables.free(mm.context, 0, LAST_PAGE, () => false);
  k.freeMm(mm);
}
