/**
 * Lists of frame numbers that memory_op reads and writes.
 *
 * Those of a 64-bit guest are used where they are, one number after the other. Those of a 32-bit guest have half the width, and are translated
 * in pieces: read before anything is done with a piece, written after all of it. What a fault of the list leaves done differs by that.
 *
 * Source: facts of Xen 4.17, __copy_from_guest_offset() (xen/include/xen/guest_access.h), compat_memory_op() (xen/common/compat/memory.c),
 *         compat_array_access_ok() (xen/arch/x86/include/asm/x86_64/uaccess.h).
 */
import { addressOk, copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';

export const WIDE_BYTES = 8;
export const COMPAT_BYTES = 4;

/** Numbers by their index. */
export interface Extents {
  /** Where the list is told to be nowhere. */
  readonly isNull: boolean;
  /** The number last read. */
  lo: number;
  hi: number;
  /** May the list be used from this index on, by its address alone? */
  okFrom(index: number): boolean;
  /** @returns false if it cannot be read */
  read(index: number): boolean;
  /** @returns false if it cannot be written */
  write(index: number, mfn: number): boolean;
}

/** Low and high word of an address and `bytes` more, which are less than 2^52. */
export const lowAfter = (lo: number, bytes: number): number => ((lo >>> 0) + bytes) | 0;
export const highAfter = (hi: number, lo: number, bytes: number): number => (hi + Math.floor(((lo >>> 0) + bytes) / 2 ** 32)) | 0;

/** A list of 8-byte numbers in guest memory. */
export class GuestExtents implements Extents {
  lo = 0;
  hi = 0;
  private readonly h: Host;
  private readonly atHi: number;
  private readonly atLo: number;

  constructor(h: Host, atHi: number, atLo: number) {
    this.h = h;
    this.atHi = atHi;
    this.atLo = atLo;
  }

  get isNull(): boolean { return (this.atHi | this.atLo) === 0; }

  /** The list from an index on. */
  from(index: bigint): GuestExtents {
    const at = (BigInt(this.atHi) << 32n) + BigInt(this.atLo >>> 0) + index * BigInt(WIDE_BYTES);
    return new GuestExtents(this.h, Number(BigInt.asIntN(32, at >> 32n)), Number(BigInt.asIntN(32, at)));
  }

  okFrom(index: number): boolean {
    return addressOk(highAfter(this.atHi, this.atLo, index * WIDE_BYTES));
  }

  read(index: number): boolean {
    const { h } = this, bytes = index * WIDE_BYTES;
    if (!copyFromGuest(h, highAfter(this.atHi, this.atLo, bytes), lowAfter(this.atLo, bytes), WIDE_BYTES)) return false;
    this.lo = h.buffer[0];
    this.hi = h.buffer[1];
    return true;
  }

  write(index: number, mfn: number): boolean {
    const { h } = this, bytes = index * WIDE_BYTES;
    h.buffer[0] = mfn | 0;
    h.buffer[1] = Math.floor(mfn / 2 ** 32);
    return copyToGuest(h, highAfter(this.atHi, this.atLo, bytes), lowAfter(this.atLo, bytes), WIDE_BYTES);
  }
}

/** A piece of a list of 4-byte numbers. */
export class CompatExtents implements Extents {
  readonly isNull = false;
  readonly hi = 0;
  lo = 0;
  private readonly h: Host;
  private readonly at: number;
  private readonly first: number;
  private readonly values: Uint32Array;

  /** @param at - address of the list @param first - index of the first of the values */
  private constructor(h: Host, at: number, first: number, values: Uint32Array) {
    this.h = h;
    this.at = at;
    this.first = first;
    this.values = values;
  }

  /** The piece from index `first` up to `end`, all 0. */
  static piece(h: Host, at: number, first: number, end: number): CompatExtents {
    return new CompatExtents(h, at, first, new Uint32Array(Math.max(0, end - first)));
  }

  /** The same numbers from an index on. */
  from(index: bigint): CompatExtents {
    return new CompatExtents(this.h, this.at, this.first - Number(index), this.values);
  }

  /** Fill the piece from the list. @returns the index that it could not be read at, or its end */
  fill(): number {
    const { h, first, values } = this;
    for (let k = 0; k < values.length; k++) {
      const bytes = (first + k) * COMPAT_BYTES;
      if (!copyFromGuest(h, highAfter(0, this.at, bytes), lowAfter(this.at, bytes), COMPAT_BYTES)) return first + k;
      values[k] = h.buffer[0];
    }
    return first + values.length;
  }

  /** Write the piece, up to index `end`, to the list. @returns the index that could not be written, or `end` */
  flush(end: number): number {
    const { h, first, values } = this;
    for (let index = first; index < end; index++) {
      const bytes = index * COMPAT_BYTES;
      h.buffer[0] = values[index - first];
      if (!copyToGuest(h, highAfter(0, this.at, bytes), lowAfter(this.at, bytes), COMPAT_BYTES)) return index;
    }
    return end;
  }

  okFrom(): boolean { return true; }

  read(index: number): boolean {
    this.lo = this.values[index - this.first] | 0;
    return true;
  }

  write(index: number, mfn: number): boolean {
    this.values[index - this.first] = mfn;
    return true;
  }
}

/** May a 32-bit guest's array be where it is told to be, by its addresses alone? */
export function compatArrayOk(h: Host, at: number, count: number, size: number): boolean {
  const bytes = (count >>> 0) * size;
  return count >>> 0 < Math.floor(0xffffffff / size) && (at >>> 0) + (bytes === 0 ? 0 : bytes - 1) < h.current.domain.compatStart >>> 0;
}
