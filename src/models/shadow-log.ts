/**
 * The log of a guest under shadow paging, whose shadows keep it: faults are served where the guest's accesses are made, and the guest's own
 * tables stay as they are. This is how Xen logs what a paravirtualized guest writes.
 *
 * Source: Xen 4.17, sh_enable_log_dirty(), sh_clean_dirty_bitmap() (xen/arch/x86/mm/shadow/common.c); paging_mark_dirty()
 *         (xen/arch/x86/mm/paging.c): the bitmap is one of guest frames, also where entries hold machine frames.
 */
import { FRAME_BYTES } from '../memory/extents.ts';
import { DirtyBitmap, dirtyFrames, type DirtyLog, type DirtyPages } from './dirty-log.ts';

/** What a guest under shadow paging offers: bitmaps have bit `frame & 7` of byte `frame >> 3`, of frames as its entries name them. */
export interface ShadowRounds {
  startLogDirty(): void;
  stopLogDirty(): void;
  peekLogDirty(): Uint8Array;
  cleanLogDirty(): Uint8Array;
  /** Others than the guest have written memory. @param address - as its entries name it */
  written(address: number, bytes: number): void;
  /** `logDirty`: pages noted since the start, by faults and by `written()`. */
  counters(): { readonly logDirty: number };
}

/** How frames in the guest's entries and guest frames are related; -1: not at all. Default: they are the same. */
export interface FrameNames {
  guestFrame(frame: number): number;
  machineFrame(gfn: number): number;
}

const SAME: FrameNames = { guestFrame: frame => frame, machineFrame: gfn => gfn };

export class ShadowLog implements DirtyLog {
  private readonly guest: ShadowRounds;
  private readonly frames: number;
  private readonly names: FrameNames;
  private readonly found = new DirtyBitmap();
  private counted = 0; // logDirty that is no fault of this round

  /** @param frames - guest frames there are, from 0 up @param names - of a guest that translates: its `P2mModel` */
  constructor(guest: ShadowRounds, frames: number, names = SAME) {
    this.guest = guest;
    this.frames = frames;
    this.names = names;
  }

  enable(): void {
    this.found.start(this.frames);
    this.guest.startLogDirty();
    this.counted = this.guest.counters().logDirty;
  }

  disable(): void {
    if (this.found.enabled) this.guest.stopLogDirty();
    this.found.stop();
  }

  /** Whoever makes the accesses has served them. */
  fault(): boolean {
    return false;
  }

  mark(gfn: number): void {
    const frame = this.names.machineFrame(gfn), before = this.guest.counters().logDirty;
    if (!this.found.enabled || frame < 0) return;
    this.guest.written(frame * FRAME_BYTES, FRAME_BYTES);
    this.counted += this.guest.counters().logDirty - before;
  }

  peek(): DirtyPages {
    return this.answer(() => this.guest.peekLogDirty());
  }

  clean(): DirtyPages {
    const pages = this.answer(() => this.guest.cleanLogDirty());
    this.counted = this.guest.counters().logDirty;
    return pages;
  }

  private answer(ask: () => Uint8Array): DirtyPages {
    this.found.read(); // throws if there is no log
    this.found.clear();
    const faults = this.guest.counters().logDirty - this.counted, bytes = ask(), words = new Uint32Array(Math.ceil(bytes.length / 4));
    bytes.forEach((byte, k) => { words[k >>> 2] |= byte << (8 * (k & 3)); });
    for (const frame of dirtyFrames(words)) this.found.mark(this.names.guestFrame(frame));
    return { ...this.found.read(), faults };
  }
}
