/** Areas of an address space: which pages exist, what may be done to them, and what they are filled with. Pages are numbers of 4096 bytes. */
import { invariant } from '../errors.ts';
import type { CachedFile } from './page-cache.ts';

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

/** Pages `start` up to but not including `end`. Never changed: a list replaces it. */
export interface Vma {
  readonly start: number;
  readonly end: number;
  /** Sum of PROT_*. */
  readonly prot: number;
  /** Stores go to the file, and to all who map it. */
  readonly shared: boolean;
  /** Undefined: zeroes. */
  readonly file: CachedFile | undefined;
  /** Page of the file that `start` maps. */
  readonly offset: number;
}

/** Part of an area. */
export function slice(vma: Vma, start: number, end: number): Vma {
  return { ...vma, start, end, offset: vma.file === undefined ? 0 : vma.offset + start - vma.start };
}

/** May two areas be one? */
function continues(a: Vma, b: Vma): boolean {
  return a.end === b.start && a.prot === b.prot && a.shared === b.shared && a.file === b.file && (a.file === undefined || a.offset + a.end - a.start === b.offset);
}

/** Areas in order, none overlapping, none that could be one with its neighbour. */
export class VmaList {
  private list: Vma[] = [];

  get all(): readonly Vma[] { return this.list; }

  copyOf(other: VmaList): void {
    this.list = [...other.list];
  }

  /** The area that holds a page. */
  find(page: number): Vma | undefined {
    const vma = this.list[this.after(page)];
    return vma !== undefined && vma.start <= page ? vma : undefined;
  }

  /** Does any area have a page of this range? */
  meets(start: number, end: number): boolean {
    const vma = this.list[this.after(start)];
    return vma !== undefined && vma.start < end;
  }

  /** Add an area where none is. */
  insert(vma: Vma): void {
    invariant(vma.start < vma.end && !this.meets(vma.start, vma.end), 'areas do not overlap');
    const at = this.after(vma.start);
    this.list.splice(at, 0, vma);
    this.mergeAt(at + 1);
    this.mergeAt(at);
  }

  /** Take a range out. @returns what was in it */
  remove(start: number, end: number): Vma[] {
    const from = this.after(start), taken: Vma[] = [], kept: Vma[] = [];
    let to = from;
    for (; to < this.list.length && this.list[to].start < end; to++) {
      const vma = this.list[to];
      if (vma.start < start) kept.push(slice(vma, vma.start, start));
      taken.push(slice(vma, Math.max(vma.start, start), Math.min(vma.end, end)));
      if (vma.end > end) kept.push(slice(vma, end, vma.end));
    }
    this.list.splice(from, to - from, ...kept);
    return taken;
  }

  /** Index of the first area that ends behind a page. */
  private after(page: number): number {
    let low = 0, high = this.list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.list[middle].end <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Make area `at` one with the one before it, if it continues it. */
  private mergeAt(at: number): void {
    const a = this.list[at - 1], b = this.list[at];
    if (a === undefined || b === undefined || !continues(a, b)) return;
    this.list.splice(at - 1, 2, { ...a, end: b.end });
  }
}
