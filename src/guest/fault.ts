/**
 * Page faults of processes.
 *
 * Source: Linux 5.10, mm/memory.c: handle_pte_fault(), do_anonymous_page(), do_read_fault(), do_fault_around(), do_cow_fault(), do_wp_page(),
 *         do_swap_page(); access_error() (arch/x86/mm/fault.c).
 */
import { PFEC_I, PFEC_W } from '../arch/fault.ts';
import { PTE_D, PTE_P, PTE_RW } from '../arch/pte.ts';
import type { FaultReason } from './figures.ts';
import { promote } from './huge.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import { entryHi, entryLo, LARGE_PAGE, slotOf } from './page-tables.ts';
import { ENTRIES, PAGE_BYTES } from './platform.ts';
import { highFlags, isSwap, READ_FLAGS, swapSlot, WRITE_FLAGS } from './rights.ts';
import { PROT_EXEC, PROT_WRITE, type Vma } from './vma.ts';

/** Do what a fault asks for. @param code - of the fault @returns what was done; `refused`: nothing */
export function handleFault(k: Kernel, mm: Mm, address: number, code: number): FaultReason {
  const page = Math.floor(address / PAGE_BYTES), vma = mm.vmas.find(page);
  const reason = vma === undefined || code < 0 || !permits(vma, code) ? 'refused' : serve(k, mm, vma, page, (code & PFEC_W) !== 0);
  k.figures.faults[reason]++;
  return reason;
}

function permits(vma: Vma, code: number): boolean {
  if ((code & PFEC_W) !== 0) return (vma.prot & PROT_WRITE) !== 0;
  if ((code & PFEC_I) !== 0) return (vma.prot & PROT_EXEC) !== 0;
  return vma.prot !== 0; // x86 cannot deny loads of what may be written or executed
}

/** @param write - the access is a store */
function serve(k: Kernel, mm: Mm, vma: Vma, page: number, write: boolean): FaultReason {
  const table = k.tables.make(mm.context, page);
  if (table === LARGE_PAGE) return 'spurious';
  const slot = slotOf(page, 1), at = k.tables.at(table, slot), lo = k.p.s.w[at];
  if ((lo & PTE_P) !== 0) return write && (lo & PTE_RW) === 0 ? unshare(k, mm, vma, page, table) : 'spurious';
  if (isSwap(lo)) return swapIn(k, mm, vma, page, table, swapSlot(lo), write);
  return vma.file !== undefined ? fromFile(k, mm, vma, page, table, write) : anonymous(k, mm, vma, page, table, write);
}

/** Map a frame where nothing was, whose reference is the entry's now. */
export function place(k: Kernel, mm: Mm, vma: Vma, page: number, table: number, frame: number, flags: number): void {
  const name = k.p.nameOf(frame);
  k.figures.entries++;
  mm.resident++;
  k.ops.setPteAt(mm.context, page * PAGE_BYTES, table, slotOf(page, 1), entryLo(name, flags), entryHi(name, highFlags(vma.prot)));
  k.reclaim.mapped(mm, page);
}

function anonymous(k: Kernel, mm: Mm, vma: Vma, page: number, table: number, write: boolean): FaultReason {
  if (!write) {
    k.pool.get(k.zeroFrame);
    place(k, mm, vma, page, table, k.zeroFrame, READ_FLAGS);
    return 'zeroPage';
  }
  place(k, mm, vma, page, table, k.pool.takeClear(), WRITE_FLAGS);
  k.reclaim.makeRoom();
  promote(k, mm, vma, page);
  return 'demandZero';
}

function fromFile(k: Kernel, mm: Mm, vma: Vma, page: number, table: number, write: boolean): FaultReason {
  const file = vma.file!, number = vma.offset + page - vma.start;
  k.reclaim.fileFault(file, number);
  const frame = k.cache.frame(file, number);
  if (write && !vma.shared) {
    const copy = k.pool.take();
    k.pool.copy(copy, frame);
    place(k, mm, vma, page, table, copy, WRITE_FLAGS);
    k.reclaim.makeRoom();
    return 'fileCopy';
  }
  k.pool.get(frame);
  place(k, mm, vma, page, table, frame, write ? WRITE_FLAGS : READ_FLAGS);
  if (!write) mapAround(k, mm, vma, page, table);
  k.reclaim.makeRoom();
  return 'file';
}

/** Map the neighbours of a page that are in memory, of the same area and table, where nothing is. */
function mapAround(k: Kernel, mm: Mm, vma: Vma, page: number, table: number): void {
  const many = k.options.faultAround, from = page - (page % many), firstOfTable = page - (page % ENTRIES);
  const start = Math.max(from, vma.start, firstOfTable), end = Math.min(from + many, vma.end, firstOfTable + ENTRIES);
  k.ops.enterLazyMmu();
  for (let near = start; near < end; near++) {
    const frame = near === page ? undefined : vma.file!.pages.get(vma.offset + near - vma.start);
    if (frame === undefined || k.p.s.w[k.tables.at(table, slotOf(near, 1))] !== 0) continue;
    k.pool.get(frame);
    k.figures.mappedAround++;
    place(k, mm, vma, near, table, frame, READ_FLAGS);
  }
  k.ops.leaveLazyMmu();
}

/** A store to a page that is mapped read-only, in an area that permits stores. */
function unshare(k: Kernel, mm: Mm, vma: Vma, page: number, table: number): FaultReason {
  const slot = slotOf(page, 1), at = k.tables.at(table, slot), { w } = k.p.s, frame = k.tables.frameAt(table, slot), address = page * PAGE_BYTES;
  k.figures.entries++;
  if (vma.shared || (k.pool.count(frame) === 1 && frame !== k.zeroFrame)) {
    k.ops.setPteAt(mm.context, address, table, slot, w[at] | PTE_RW | PTE_D, w[at + 1]);
    k.ops.flushTlbOne(mm.context, address);
    return 'reuse';
  }
  const isZero = frame === k.zeroFrame, copy = isZero ? k.pool.takeClear() : k.pool.take(), name = k.p.nameOf(copy);
  if (!isZero) k.pool.copy(copy, frame);
  k.ops.ptepGetAndClear(mm.context, address, table, slot);
  k.ops.flushTlbOne(mm.context, address);
  k.ops.setPteAt(mm.context, address, table, slot, entryLo(name, WRITE_FLAGS), entryHi(name, highFlags(vma.prot)));
  k.pool.put(frame);
  k.reclaim.mapped(mm, page);
  k.reclaim.makeRoom();
  return isZero ? 'demandZero' : 'copy';
}

function swapIn(k: Kernel, mm: Mm, vma: Vma, page: number, table: number, slot: number, write: boolean): FaultReason {
  const frame = k.pool.take();
  k.reclaim.bringBack(slot, frame);
  place(k, mm, vma, page, table, frame, write ? WRITE_FLAGS : (vma.prot & PROT_WRITE) !== 0 ? READ_FLAGS | PTE_RW : READ_FLAGS);
  k.reclaim.makeRoom();
  return 'swapIn';
}
