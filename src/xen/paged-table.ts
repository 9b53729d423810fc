/** A table of rows that grows by pages of the hypervisor's own frames. Its two words (TABLE_*) are in the block of whose it is. */
import { invariant } from '../errors.ts';
import { TABLE_DIRECTORY, TABLE_PAGES } from '../layout/hypervisor.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { PAGE_WORDS, type OwnFrames } from './own-frames.ts';

export class PagedTable {
  private readonly own: OwnFrames;
  private readonly s: Views;
  private readonly at: number;
  private readonly stride: number;
  private readonly shift: number;
  private readonly mask: number;
  private readonly directoryPages: number;
  /** Word indices of the pages that were looked at, for users who know how large their rows are. */
  readonly pages: number[] = [];

  /** @param at - word index of its two words @param rowBytes - a power of two from 4 to 4096 @param most - rows it may ever have */
  constructor(own: OwnFrames, at: number, rowBytes: number, most: number) {
    this.own = own;
    this.s = own.s;
    this.at = at;
    this.stride = rowBytes >>> 2;
    this.shift = Math.log2(FRAME_BYTES / rowBytes);
    this.mask = FRAME_BYTES / rowBytes - 1;
    this.directoryPages = Math.ceil(this.pagesFor(most) / PAGE_WORDS);
  }

  /** Rows there is room for. */
  get capacity(): number {
    return this.s.w[this.at + (TABLE_PAGES >>> 2)] << this.shift;
  }

  /** Word index of a row that there is room for. */
  row(index: number): number {
    const page = this.pages[index >>> this.shift];
    return (page === undefined ? this.lookAt(index >>> this.shift) : page) + (index & this.mask) * this.stride;
  }

  /** Word index of a page. Pages stay where they are until all are let go of, with the domain whose they are. */
  lookAt(page: number): number {
    const { w } = this.s, directory = w[this.at + (TABLE_DIRECTORY >>> 2)] >>> 2;
    invariant(page < w[this.at + (TABLE_PAGES >>> 2)], `a table has a page ${page}`);
    while (this.pages.length <= page) this.pages.push(w[directory + this.pages.length] >>> 2);
    return this.pages[page];
  }

  /** Make room for at least `rows`; new ones are zero. @returns false, with nothing changed: there is no memory for them, or more than it may have */
  reserve(rows: number): boolean {
    const { w } = this.s, before = w[this.at + (TABLE_PAGES >>> 2)], pages = this.pagesFor(rows);
    if (pages <= before) return true;
    if (pages > this.directoryPages * PAGE_WORDS) return false;
    if (before === 0) {
      const directory = this.own.allocate(this.directoryPages);
      if (directory === 0) return false;
      w[this.at + (TABLE_DIRECTORY >>> 2)] = directory << 2;
    }
    for (let page = before; page < pages; page++) {
      if (this.addPage(page)) continue;
      this.shrink(before);
      return false;
    }
    return true;
  }

  /** Let go of all pages. */
  clear(): void {
    this.shrink(0);
  }

  private addPage(page: number): boolean {
    const { w } = this.s, at = this.own.allocate(1);
    if (at === 0) return false;
    w[(w[this.at + (TABLE_DIRECTORY >>> 2)] >>> 2) + page] = at << 2;
    w[this.at + (TABLE_PAGES >>> 2)] = page + 1;
    return true;
  }

  private shrink(pages: number): void {
    const { w } = this.s, directory = w[this.at + (TABLE_DIRECTORY >>> 2)] >>> 2;
    for (let page = w[this.at + (TABLE_PAGES >>> 2)] - 1; page >= pages; page--) this.own.free(w[directory + page] >>> 2, 1);
    w[this.at + (TABLE_PAGES >>> 2)] = pages;
    this.pages.length = Math.min(this.pages.length, pages);
    if (pages > 0 || directory === 0) return;
    this.own.free(directory, this.directoryPages);
    w[this.at + (TABLE_DIRECTORY >>> 2)] = 0;
  }

  private pagesFor(rows: number): number {
    return (rows + this.mask) >>> this.shift;
  }
}
