/** Where the frames come from that memory hypercalls hand out. */
import { HV_SOURCE_NEXT } from '../layout/hypervisor.ts';
import type { Views } from '../memory/views.ts';
import { NO_FRAME } from './domain.ts';
import { Frames } from './frames.ts';
import type { OwnFrames } from './own-frames.ts';

const PAGE_SHIFT = 12;

/** An embedder may supply its own; what it returns is checked. */
export interface FrameSource {
  /**
   * Frames for a domain.
   *
   * @param order - 2^order frames that follow each other, the first a multiple of 2^order @param addressBits - their machine addresses are
   *   below 2^addressBits; Infinity: anywhere
   * @returns the first, or -1 if there are none
   */
  allocate(domid: number, order: number, addressBits: number): number;
  /** A free frame to share with a domain: for entries of its grant table or their status. Default: as `allocate()`. */
  allocateShared?(domid: number, use: 'grant' | 'status'): number;
  /** A frame is free again. */
  release(mfn: number): void;
}

/** All frames that the frame table calls free, in turn. */
export class FreeFrames implements FrameSource {
  private readonly frames: Frames;
  private readonly s: Views;
  private readonly next: number; // word index of where it looks next

  constructor(own: OwnFrames) {
    this.frames = new Frames(own);
    this.s = own.s;
    this.next = own.block + (HV_SOURCE_NEXT >>> 2);
  }

  allocate(_domid: number, order: number, addressBits: number): number {
    const step = 2 ** order, end = Math.min(this.frames.count, 2 ** (addressBits - PAGE_SHIFT));
    const from = Math.ceil(this.s.w[this.next] / step) * step;
    const first = this.find(from, end, step);
    return first === NO_FRAME ? this.find(0, Math.min(end, from + step), step) : first;
  }

  private find(from: number, end: number, step: number): number {
    for (let mfn = from; mfn + step <= end; mfn += step) {
      if (!this.areFree(mfn, step)) continue;
      this.s.w[this.next] = mfn + step;
      return mfn;
    }
    return NO_FRAME;
  }

  private areFree(first: number, count: number): boolean {
    for (let mfn = first; mfn < first + count; mfn++) if (!this.frames.isFree(mfn)) return false;
    return true;
  }

  release(): void {
    // The frame table knows.
  }
}
