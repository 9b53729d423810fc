/**
 * The hypervisor's own frames, in which it keeps all it knows: what processors and guests see (the machine-to-physical table and its window)
 * from the start of the range, everything else from its end, page by page. In the last frames is the hypervisor's block, with a bit for each
 * frame that is in use: whoever attaches to the memory knows what is free.
 */
import { ConfigError } from '../errors.ts';
import { HDR_HYPERVISOR } from '../layout/header.ts';
import { HV_BYTES, HV_HEAP_LOCK, HV_OWN_FIRST, HV_OWN_FRAMES, HV_OWN_NEXT } from '../layout/hypervisor.ts';
import { RANK_HEAP } from '../layout/lock.ts';
import { FRAME_BYTES, wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';

/** Where the hypervisor's own frames are: in one extent of the machine, with bytes. */
export interface OwnRange {
  readonly first: number;
  readonly frames: number;
}

export const PAGE_WORDS = FRAME_BYTES / 4;

/** Word index of a frame's bytes. @throws ConfigError - it has none */
export function tableAt(s: Views, mfn: number): number {
  const at = wordOf(s, Math.floor(mfn / 0x100000), (mfn * FRAME_BYTES) | 0);
  if (at < 0) throw new ConfigError('own', 'frames with bytes', mfn);
  return at;
}

export class OwnFrames {
  readonly s: Views;
  /** Word index of the hypervisor's block. */
  readonly block: number;
  readonly first: number;
  readonly frames: number;
  private readonly base: number; // word index of the first frame

  /** Lay the hypervisor's block. @throws ConfigError - the range, or the machine has a hypervisor */
  static create(s: Views, { first, frames }: OwnRange): OwnFrames {
    if (s.w[HDR_HYPERVISOR >>> 2] !== 0) throw new ConfigError('machine', 'a machine without a hypervisor', undefined);
    if (!Number.isInteger(first) || first < 0) throw new ConfigError('own.first', 'a frame of the machine', first);
    const pages = Math.ceil((HV_BYTES + Math.ceil(frames / 32) * 4) / FRAME_BYTES);
    if (!Number.isInteger(frames) || frames <= pages) throw new ConfigError('own.frames', `more than ${pages} frames`, frames);
    const base = tableAt(s, first), block = base + (frames - pages) * PAGE_WORDS;
    for (let k = 0; k < frames; k++) if (tableAt(s, first + k) !== base + k * PAGE_WORDS) throw new ConfigError('own', 'frames of one extent', first + k);
    s.w.fill(0, block, block + pages * PAGE_WORDS);
    s.w[block + (HV_OWN_FIRST >>> 2)] = first;
    s.w[block + (HV_OWN_FRAMES >>> 2)] = frames;
    s.w[HDR_HYPERVISOR >>> 2] = block << 2;
    const own = new OwnFrames(s);
    own.mark(frames - pages, pages, true);
    return own;
  }

  /** Look at those of a hypervisor that is there. @throws ConfigError - there is none */
  constructor(s: Views) {
    const block = s.w[HDR_HYPERVISOR >>> 2] >>> 2;
    if (block === 0) throw new ConfigError('machine', 'a machine with a hypervisor', undefined);
    this.s = s;
    this.block = block;
    this.first = s.w[block + (HV_OWN_FIRST >>> 2)];
    this.frames = s.w[block + (HV_OWN_FRAMES >>> 2)];
    this.base = tableAt(s, this.first);
  }

  /** Is any frame from `first` to `last` one of the range? */
  overlaps(first: number, last: number): boolean {
    return first < this.first + this.frames && last >= this.first;
  }

  /** Contiguous zeroed frames from the start, for good. @returns the first @throws ConfigError - too few are left */
  take(frames: number, alignment = 1): number {
    const { w } = this.s, at = this.block + (HV_OWN_NEXT >>> 2);
    const next = Math.ceil((this.first + w[at]) / alignment) * alignment - this.first;
    if (!this.areFree(next, frames)) throw new ConfigError('own.frames', `${frames} more frames for the hypervisor`, this.frames - w[at]);
    w[at] = next + frames;
    this.use(next, frames);
    return this.first + next;
  }

  /** Zeroed pages that follow each other. @returns word index of the first; 0: there are not so many */
  allocate(pages: number): number {
    if (!this.s.atomic) return this.find(pages);
    this.s.locks.take(this.block + (HV_HEAP_LOCK >>> 2), RANK_HEAP);
    const at = this.find(pages);
    this.s.locks.give(this.block + (HV_HEAP_LOCK >>> 2));
    return at;
  }

  private find(pages: number): number {
    const { w } = this.s, bits = this.block + (HV_BYTES >>> 2);
    for (let page = this.frames - pages; page >= 0; page--) {
      if ((page & 31) === 31 && w[bits + (page >>> 5)] === -1) page -= 31;
      else if (this.areFree(page, pages)) return this.use(page, pages);
    }
    return 0;
  }

  /** The same for a hypervisor in the making. @throws ConfigError - there are not so many */
  need(pages: number): number {
    const at = this.allocate(pages);
    if (at === 0) throw new ConfigError('own.frames', `${pages} more frames for what the hypervisor knows`, this.frames);
    return at;
  }

  /** Give back pages that were allocated. @param at - word index of the first */
  free(at: number, pages: number): void {
    if (this.s.atomic) this.s.locks.take(this.block + (HV_HEAP_LOCK >>> 2), RANK_HEAP);
    this.mark((at - this.base) / PAGE_WORDS, pages, false);
    if (this.s.atomic) this.s.locks.give(this.block + (HV_HEAP_LOCK >>> 2));
  }

  /** Frame of a page. @param at - its word index */
  frameAt(at: number): number {
    return this.first + (at - this.base) / PAGE_WORDS;
  }

  /** Word index of one of the frames. */
  wordAt(mfn: number): number {
    return this.base + (mfn - this.first) * PAGE_WORDS;
  }

  private areFree(from: number, pages: number): boolean {
    const { w } = this.s, bits = this.block + (HV_BYTES >>> 2);
    if (from < 0 || from + pages > this.frames) return false;
    for (let page = from; page < from + pages; page++) if ((w[bits + (page >>> 5)] & (1 << page)) !== 0) return false;
    return true;
  }

  /** Mark pages as in use, and clear them. @returns word index of the first */
  private use(from: number, pages: number): number {
    const at = this.base + from * PAGE_WORDS;
    this.mark(from, pages, true);
    this.s.w.fill(0, at, at + pages * PAGE_WORDS);
    return at;
  }

  private mark(from: number, pages: number, used: boolean): void {
    const { w } = this.s, bits = this.block + (HV_BYTES >>> 2);
    for (let page = from; page < from + pages; page++) {
      if (used) w[bits + (page >>> 5)] |= 1 << page;
      else w[bits + (page >>> 5)] &= ~(1 << page);
    }
  }
}
