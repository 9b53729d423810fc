/**
 * Memory pressure: which pages leave memory when there are more than there may be, and how soon they are back.
 *
 * Pages are looked at in the order in which they were mapped: one that was accessed since the last look gets a second chance. Its A bit is
 * cleared and its cached translation with it, so that what is evicted does not depend on what some processor happens to have cached.
 * Source: the clock algorithm; refault distance as in Linux 5.10, mm/workingset.c.
 */
import { PTE_A, PTE_D, PTE_P } from '../arch/pte.ts';
import { invariant } from '../errors.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import type { CachedFile } from './page-cache.ts';
import { slotOf } from './page-tables.ts';
import { PAGE_BYTES, PAGE_WORDS } from './platform.ts';
import { isHidden, isSwap, swapEntry, swapSlot } from './rights.ts';

const QUEUE_SLACK = 4096; // entries before the queue's head that may stay

/** A page outside memory, and how many entries mean it. */
interface Swapped {
  readonly words: Int32Array;
  readonly evictedAt: number;
  uses: number;
}

export class Reclaim {
  private readonly k: Kernel;
  private readonly slots: (Swapped | undefined)[] = [];
  private readonly freeSlots: number[] = [];
  /** Mapped pages, the oldest first from `head` on. */
  private queue: { readonly mm: Mm; readonly page: number }[] = [];
  private head = 0;
  /** When pages of files left memory, by name and page. */
  private readonly left = new Map<string, number>();

  constructor(k: Kernel) {
    this.k = k;
  }

  /** Pages outside memory. */
  get swapped(): number { return this.slots.length - this.freeSlots.length; }

  /** A page was mapped. */
  mapped(mm: Mm, page: number): void {
    if (this.k.options.limitPages === Infinity || mm.queued.has(page)) return;
    mm.queued.add(page);
    this.queue.push({ mm, page });
  }

  /** A page of a file is needed that may have to be read. */
  fileFault(file: CachedFile, page: number): void {
    const key = `${page} ${file.name}`, at = this.left.get(key);
    if (at === undefined || file.pages.has(page)) return;
    this.left.delete(key);
    this.k.figures.countRefault(this.k.figures.evictions - at - 1);
  }

  /** An entry more means a page outside memory. */
  share(slot: number): void {
    this.slots[slot]!.uses++;
  }

  /** ... or one less. */
  forget(slot: number): void {
    const swapped = this.slots[slot];
    invariant(swapped !== undefined, `swap slot ${slot} is in use`);
    if (--swapped.uses > 0) return;
    this.slots[slot] = undefined;
    this.freeSlots.push(slot);
  }

  /** Fill a frame with a page that was outside memory, for one of the entries that mean it. */
  bringBack(slot: number, frame: number): void {
    const { pool, figures } = this.k, swapped = this.slots[slot];
    invariant(swapped !== undefined, `swap slot ${slot} is in use`);
    pool.write(frame, swapped.words);
    figures.countRefault(figures.evictions - swapped.evictedAt - 1);
    this.forget(slot);
  }

  /** What a page holds that is outside memory; undefined: it is not. */
  wordsOfPage(mm: Mm, page: number): Int32Array | undefined {
    const { k } = this, table = k.tables.find(mm.context, page), lo = table < 0 ? 0 : k.p.s.w[k.tables.at(table, slotOf(page, 1))];
    return isSwap(lo) ? this.slots[swapSlot(lo)]!.words : undefined;
  }

  /** Evict until there are no more pages than there may be, or each was looked at: what was just accessed stays. */
  makeRoom(): void {
    const { limitPages } = this.k.options;
    if (limitPages === Infinity) return;
    for (let looks = this.queue.length - this.head; looks > 0 && this.pages > limitPages; looks--) this.look();
    if (this.head > QUEUE_SLACK && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
  }

  /** Pages of processes and files in memory. */
  private get pages(): number {
    return this.k.framesInUse - this.k.tables.tables - this.k.roots * this.k.ops.rootFrames;
  }

  /** Look at the oldest page: it stays on the queue, or leaves it. */
  private look(): void {
    const oldest = this.queue[this.head++], { mm, page } = oldest;
    if (this.keep(mm, page)) this.queue.push(oldest);
    else mm.queued.delete(page);
  }

  /** @returns false: the page is not mapped, or not any more */
  private keep(mm: Mm, page: number): boolean {
    const { k } = this, table = mm.alive ? k.tables.find(mm.context, page) : -1, slot = slotOf(page, 1);
    if (table < 0) return false;
    const at = k.tables.at(table, slot), { w } = k.p.s, lo = w[at], hi = w[at + 1];
    if (isHidden(lo)) return true;
    if ((lo & PTE_P) === 0) return false;
    const frame = k.tables.frameAt(table, slot), vma = mm.vmas.find(page)!;
    if (frame === k.zeroFrame) return false;
    if ((lo & PTE_A) !== 0) {
      k.ops.setPteAt(mm.context, page * PAGE_BYTES, table, slot, lo & ~PTE_A, hi);
      k.ops.flushTlbOne(mm.context, page * PAGE_BYTES);
      return true;
    }
    const number = vma.offset + page - vma.start, isOfFile = vma.file?.pages.get(number) === frame;
    if (!isOfFile && k.pool.count(frame) > 1) return true; // shared after a fork: not for long
    if (isOfFile) this.unmapFile(mm, page, table, vma.file, number, frame, (lo & PTE_D) !== 0);
    else this.swapOut(mm, page, table, frame);
    return false;
  }

  /** A page of a file leaves memory when nobody maps it, unless something was stored in it: there is no disk to keep that. */
  private unmapFile(mm: Mm, page: number, table: number, file: CachedFile, number: number, frame: number, dirty: boolean): void {
    const { k } = this;
    if (dirty) file.written.add(number);
    this.clear(mm, page, table, 0);
    k.pool.put(frame);
    if (k.pool.count(frame) > 1 || file.written.has(number)) return;
    k.cache.drop(file, number);
    this.left.set(`${number} ${file.name}`, k.figures.evictions++);
  }

  private swapOut(mm: Mm, page: number, table: number, frame: number): void {
    const { k } = this, at = k.p.wordOf(frame);
    const slot = this.freeSlots.pop() ?? this.slots.length;
    this.slots[slot] = { words: k.p.s.w.slice(at, at + PAGE_WORDS), evictedAt: k.figures.evictions++, uses: 1 };
    this.clear(mm, page, table, swapEntry(slot));
    k.pool.put(frame);
  }

  private clear(mm: Mm, page: number, table: number, entry: number): void {
    const { k } = this;
    mm.resident--;
    k.figures.entries++;
    k.ops.setPteAt(mm.context, page * PAGE_BYTES, table, slotOf(page, 1), entry, 0);
    k.ops.flushTlbOne(mm.context, page * PAGE_BYTES);
  }
}
