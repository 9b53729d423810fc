/**
 * Which guest frames were written since the last round began.
 *
 * A frame that is clean has no writable mapping in any shadow: the first write to it faults, and no later one of the round. The guest's own entries
 * stay as they are.
 *
 * Source: Xen 4.17 mm/paging.c, paging_log_dirty_op() (clean and peek).
 */
export class LogDirty {
  on = false;
  /** Frames set in the bitmap. */
  count = 0;
  private bits: Uint8Array;
  private readonly frames: number;

  /** @param frames - of the guest */
  constructor(frames: number) {
    this.frames = frames;
    this.bits = new Uint8Array((frames + 7) >>> 3);
  }

  /** May a writable mapping of the frame be made without the round noticing less? */
  permits(gfn: number): boolean {
    return !this.on || this.has(gfn);
  }

  has(gfn: number): boolean {
    return gfn < this.frames && (this.bits[gfn >>> 3] & (1 << (gfn & 7))) !== 0;
  }

  /** The frame is being written. @returns true if it is the first time in this round */
  mark(gfn: number): boolean {
    if (!this.on || gfn >= this.frames || this.has(gfn)) return false;
    this.bits[gfn >>> 3] |= 1 << (gfn & 7);
    this.count++;
    return true;
  }

  /** A copy of the bitmap: bit `gfn & 7` of byte `gfn >> 3`. */
  peek(): Uint8Array {
    return this.bits.slice();
  }

  /** The bitmap, and an empty one from now on. */
  take(): Uint8Array {
    const taken = this.bits;
    this.bits = new Uint8Array(taken.length);
    this.count = 0;
    return taken;
  }
}
