/**
 * Which pages of a domain were written, as a toolstack asks for it.
 *
 * Source: Xen 4.17, paging_log_dirty_op() (xen/arch/x86/mm/paging.c), struct xen_domctl_shadow_op and its stats (xen/include/public/domctl.h).
 */
import { ConfigError } from '../errors.ts';
import type { Vcpu } from '../machine/vcpu.ts';

/** An answer to a peek or a clean: copies. */
export interface DirtyPages {
  /** A bit for each guest frame: that of frame f is bit f % 32 of word f / 32. */
  readonly bitmap: Uint32Array;
  /** Pages in it, and faults taken for it, since the last clean. */
  readonly dirty: number;
  readonly faults: number;
}

export interface DirtyLog {
  /** Begin, with nothing dirty. @throws ConfigError - it has begun already */
  enable(): void;
  /** End; what was found is forgotten. */
  disable(): void;
  /** A fault of the guest: @returns true if it was this log's, and the access is to be made again */
  fault(cpu: Vcpu, fault: number): boolean;
  /** The hypervisor, or a device, has written a page past the guest's tables; or another frame is there now. */
  mark(gfn: number): void;
  /** XEN_DOMCTL_SHADOW_OP_PEEK: what is dirty. @throws ConfigError - it has not begun */
  peek(): DirtyPages;
  /** XEN_DOMCTL_SHADOW_OP_CLEAN: the same, and from now on nothing is. @throws ConfigError - it has not begun */
  clean(): DirtyPages;
}

/** Frames whose bits are set in a bitmap, in order. */
export function dirtyFrames(bitmap: Uint32Array): number[] {
  const frames: number[] = [];
  bitmap.forEach((word, k) => {
    for (let left = word; left !== 0; left &= left - 1) frames.push(k * 32 + 31 - Math.clz32(left & -left));
  });
  return frames;
}

/** The bitmap of a log, with its counts. */
export class DirtyBitmap {
  private words = new Uint32Array(0);
  private dirty = 0;
  private on = false;
  faults = 0;

  get enabled(): boolean {
    return this.on;
  }

  /** @param frames - bits there are */
  start(frames: number): void {
    if (this.on) throw new ConfigError('log', 'a domain whose writes are not logged', 'a second log');
    this.on = true;
    this.words = new Uint32Array(Math.ceil(frames / 32));
    this.clear();
  }

  stop(): void {
    this.on = false;
  }

  /** @returns whether it was clean */
  mark(gfn: number): boolean {
    const bit = 1 << gfn % 32, k = gfn >>> 5;
    if (!this.on || (this.words[k] & bit) !== 0 || k >= this.words.length) return false;
    this.words[k] |= bit;
    this.dirty++;
    return true;
  }

  read(): DirtyPages {
    if (!this.on) throw new ConfigError('log', 'a domain whose writes are logged', 'no log');
    return { bitmap: this.words.slice(), dirty: this.dirty, faults: this.faults };
  }

  clear(): void {
    this.words.fill(0);
    this.dirty = this.faults = 0;
  }
}
