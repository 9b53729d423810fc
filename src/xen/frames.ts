/**
 * The rows of the frame table: who owns each machine frame, what it is used as, and how many references there are.
 *
 * Source: facts of Xen 4.17, struct page_info and its PGC_*, PGT_* flags (xen/arch/x86/include/asm/mm.h); get_page(), put_page(),
 *         page_get_owner_and_reference() (xen/arch/x86/mm.c).
 */
import { invariant } from '../errors.ts';
import { stampUse } from '../frames/references.ts';
import {
  FRAME_FLAGS, FRAME_LINEAR, FRAME_OWNER, FRAME_PARTIAL_SET, FRAME_REFS, FRAME_STAMP, FRAME_STRIDE, FRAME_TYPE, FRAME_VALIDATED, PGC_ALLOCATED, PGC_XEN_HEAP,
  PGT_COUNT, PGT_TYPE_MASK, PGT_VALIDATED, PGT_WRITABLE,
} from '../layout/frame.ts';
import { HDR_FLUSH_CLOCK, HDR_FRAME_TABLE } from '../layout/header.ts';
import { HV_FRAMES } from '../layout/hypervisor.ts';
import type { Views } from '../memory/views.ts';
import type { OwnFrames } from './own-frames.ts';

const NOBODY = -1;
const REFS_MOST = 0x7ffffffd;

/** The frame table of a machine; columns by frame number. */
export class Frames {
  /** Frames that are memory: 0 up to this. */
  readonly count: number;
  protected readonly s: Views;
  /** Word index of the row of frame 0. */
  readonly rows: number;
  /** Called when the last reference to a frame is put. */
  onFree: (mfn: number) => void = () => {};

  /** Look at the frame table of the machine. */
  constructor({ s, block }: OwnFrames) {
    this.s = s;
    this.count = s.w[block + (HV_FRAMES >>> 2)];
    this.rows = s.w[HDR_FRAME_TABLE >>> 2] >>> 2;
  }

  protected at(mfn: number, column: number): number {
    return this.rows + mfn * (FRAME_STRIDE >>> 2) + (column >>> 2);
  }

  /** Is `mfn` memory, with a row? */
  valid(mfn: number): boolean {
    return mfn >= 0 && mfn < this.count;
  }

  type(mfn: number): number { return this.s.w[this.at(mfn, FRAME_TYPE)]; }
  setType(mfn: number, type: number): void { this.s.w[this.at(mfn, FRAME_TYPE)] = type; }
  /** Have another type word, if it is still `old`. */
  swapType(mfn: number, _old: number, now: number): boolean {
    this.setType(mfn, now);
    return true;
  }

  /** Note when the last use of a frame as a page table ends: before it does. */
  stamp(_mfn: number): void {
    // With one vCPU no one asks.
  }

  /** ... when any use ends of one that is none. */
  stampUse(_mfn: number): void {
    // As above.
  }

  /** Tick at which a use of a frame ended last, whose type count is 0. */
  stampOf(mfn: number): number { return this.s.w[this.at(mfn, FRAME_STAMP)]; }
  /** PGT_* of the type alone. */
  kind(mfn: number): number { return this.type(mfn) & PGT_TYPE_MASK; }
  typeCount(mfn: number): number { return this.type(mfn) & PGT_COUNT; }
  refs(mfn: number): number { return this.s.w[this.at(mfn, FRAME_REFS)]; }
  setRefs(mfn: number, refs: number): void { this.s.w[this.at(mfn, FRAME_REFS)] = refs; }
  owner(mfn: number): number { return this.s.w[this.at(mfn, FRAME_OWNER)] & 0xffff; }
  flags(mfn: number): number { return this.s.w[this.at(mfn, FRAME_FLAGS)] >>> 16; }
  isXenHeap(mfn: number): boolean { return (this.flags(mfn) & PGC_XEN_HEAP) !== 0; }

  setOwner(mfn: number, owner: number, flags: number): void {
    this.s.w[this.at(mfn, FRAME_OWNER)] = owner | (flags << 16);
  }

  /** Entries of a page table validated so far, while it is partial. */
  validated(mfn: number): number { return this.s.w[this.at(mfn, FRAME_VALIDATED)] & 0xffff & ~FRAME_PARTIAL_SET; }
  /** Does the entry after those hold a reference? */
  partialSet(mfn: number): boolean { return (this.s.w[this.at(mfn, FRAME_VALIDATED)] & FRAME_PARTIAL_SET) !== 0; }

  setValidated(mfn: number, entries: number, partialSet: boolean): void {
    const at = this.at(mfn, FRAME_VALIDATED);
    this.s.w[at] = (this.s.w[at] & ~0xffff) | entries | (partialSet ? FRAME_PARTIAL_SET : 0);
  }

  linear(mfn: number): number { return this.s.w[this.at(mfn, FRAME_LINEAR)] >> 16; }

  setLinear(mfn: number, count: number): void {
    const at = this.at(mfn, FRAME_LINEAR);
    this.s.w[at] = (this.s.w[at] & 0xffff) | (count << 16);
  }

  /** Take a reference, whoever the owner is. @returns the owner, or -1 with none taken: the frame is free, or has too many */
  getOwner(mfn: number): number {
    const at = this.at(mfn, FRAME_REFS), refs = this.s.w[at];
    if (refs <= 0 || refs >= REFS_MOST) return NOBODY;
    this.s.w[at] = refs + 1;
    return this.owner(mfn);
  }

  /** Take a reference to a frame of `domid`. @returns false with none taken if it is not theirs */
  getPage(mfn: number, domid: number): boolean {
    if (!this.valid(mfn)) return false;
    const at = this.at(mfn, FRAME_REFS), refs = this.s.w[at];
    if (refs <= 0 || refs >= REFS_MOST || this.owner(mfn) !== domid) return false;
    this.s.w[at] = refs + 1;
    return true;
  }

  /** Take a further reference to a frame that has one. */
  getAgain(mfn: number): void {
    const at = this.at(mfn, FRAME_REFS);
    invariant(this.s.w[at] > 0, 'has a reference', mfn);
    this.s.w[at]++;
  }

  /** Put a reference; the frame is freed with the last one. */
  putPage(mfn: number): void {
    const at = this.at(mfn, FRAME_REFS), refs = this.s.w[at];
    invariant(refs > 0, 'has a reference to put', mfn);
    this.s.w[at] = refs - 1;
    if (refs === 1) this.onFree(mfn);
  }

  /** Give a free frame to a domain, with the reference of PGC_ALLOCATED. */
  assign(mfn: number, domid: number, flags = 0): void {
    this.setType(mfn, 0);
    this.setValidated(mfn, 0, false);
    this.setLinear(mfn, 0);
    this.setOwner(mfn, domid, flags | PGC_ALLOCATED);
    this.setRefs(mfn, 1);
  }

  /** Make a frame writable for good, with a type count that no one puts. */
  setWritable(mfn: number): void {
    this.setType(mfn, PGT_WRITABLE | PGT_VALIDATED | 1);
  }

  /** Is it no one's, and not on its way to someone? */
  isFree(mfn: number): boolean {
    return this.refs(mfn) === 0 && this.flags(mfn) === 0;
  }

  /** Take PGC_ALLOCATED away with its reference, if it is there; whoever asks holds another. Source: put_page_alloc_ref() (xen/include/xen/mm.h). */
  putAllocated(mfn: number): void {
    if (this.clearAllocated(mfn)) this.putPage(mfn);
  }

  isAllocated(mfn: number): boolean { return (this.flags(mfn) & PGC_ALLOCATED) !== 0; }

  /** Give PGC_ALLOCATED back, with its reference, to a frame that has others. */
  allocateAgain(mfn: number): void {
    this.getAgain(mfn);
    this.setOwner(mfn, this.owner(mfn), this.flags(mfn) | PGC_ALLOCATED);
  }

  /** Take PGC_ALLOCATED away, without its reference. @returns whether it was there */
  clearAllocated(mfn: number): boolean {
    const flags = this.flags(mfn);
    this.setOwner(mfn, this.owner(mfn), flags & ~PGC_ALLOCATED);
    return (flags & PGC_ALLOCATED) !== 0;
  }
}

/**
 * The same for several vCPUs: references and types change by compare-and-swap. A reference is taken first, and then it is looked whose the frame
 * is: as long as there is one, that does not change.
 */
export class SharedFrames extends Frames {
  override type(mfn: number): number { return Atomics.load(this.s.w, this.at(mfn, FRAME_TYPE)); }

  override swapType(mfn: number, old: number, now: number): boolean {
    return Atomics.compareExchange(this.s.w, this.at(mfn, FRAME_TYPE), old, now) === old;
  }

  override setType(mfn: number, type: number): void { Atomics.store(this.s.w, this.at(mfn, FRAME_TYPE), type); }

  override stamp(mfn: number): void {
    this.s.w[this.at(mfn, FRAME_STAMP)] = Atomics.load(this.s.w, HDR_FLUSH_CLOCK >>> 2);
  }

  override stampUse(mfn: number): void { stampUse(this.s.w, this.at(mfn, FRAME_TYPE)); }

  override getOwner(mfn: number): number {
    return this.take(mfn) ? this.owner(mfn) : NOBODY;
  }

  override getPage(mfn: number, domid: number): boolean {
    if (!this.valid(mfn) || this.owner(mfn) !== domid || !this.take(mfn)) return false;
    if (this.owner(mfn) === domid) return true;
    this.putPage(mfn);
    return false;
  }

  override getAgain(mfn: number): void {
    invariant(Atomics.add(this.s.w, this.at(mfn, FRAME_REFS), 1) > 0, 'has a reference', mfn);
  }

  override putPage(mfn: number): void {
    const refs = Atomics.sub(this.s.w, this.at(mfn, FRAME_REFS), 1);
    invariant(refs > 0, 'has a reference to put', mfn);
    if (refs === 1) this.onFree(mfn);
  }

  private take(mfn: number): boolean {
    const at = this.at(mfn, FRAME_REFS), { w } = this.s;
    for (let refs = Atomics.load(w, at); ;) {
      if (refs <= 0 || refs >= REFS_MOST) return false;
      const now = Atomics.compareExchange(w, at, refs, refs + 1);
      if (now === refs) return true;
      refs = now;
    }
  }
}
