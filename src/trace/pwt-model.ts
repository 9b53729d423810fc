/**
 * What writer and reader of `.pwt` learn from a trace, so that only what neither could foresee needs to be stored.
 *
 * A trace is cut into segments: fetches that follow each other and their data accesses, from one jump to the next. A program takes few
 * different ones, over and over. Of each segment the model knows all but the data addresses, which it foresees, slot by slot, from one other
 * address (MODE_* in src/layout/pwt.ts); and it keeps a history of the latest segments. Where the trace repeats a path of the history, that
 * path is followed: what came then is what comes next.
 *
 * It is all in one memory (src/layout/pwt.ts), as the same code in wasm/pwt.ts works on it. When there is no room for a segment, everything is
 * forgotten.
 */
import {
  MODE_LAST, MODE_OWN, MODE_REGION, PWT_BEFORE, PWT_BYTES, PWT_CONTEXT, PWT_CONTEXT_SHIFT, PWT_DATA, PWT_DATA_ADDRESSES, PWT_DATA_HERE,
  PWT_FOLLOWERS, PWT_FOLLOWER_BITS, PWT_GOLDEN, PWT_HERE, PWT_HISTORY, PWT_HISTORY_SEGMENTS, PWT_KNOWN_KIND, PWT_KNOWN_MOST, PWT_KNOWN_SIZE,
  PWT_KNOWN_VA, PWT_LAST, PWT_LENGTH_MOST, PWT_MATCH, PWT_PATH, PWT_REGIONS, PWT_REGION_BITS, PWT_REGION_SHIFT, PWT_SEGMENTS, PWT_SEGMENT_MOST,
  PWT_SEGMENT_ROWS, PWT_SEGMENT_SHIFT, PWT_SLOTS, PWT_SLOT_MOST, PWT_SLOT_ROWS, PWT_SLOT_SHIFT, PWT_USED, SEG_AT, SEG_END, SEG_LENGTH, SEG_RECENT,
  SEG_SLOT, SEG_SLOTS, SEG_TOGETHER, SLOT_AT, SLOT_DISTANCE, SLOT_FROM, SLOT_LAST, SLOT_REGION, SLOT_SHAPE,
} from '../layout/pwt.ts';
import { KIND_FETCH } from './batch.ts';

/** The model. Rows, slots and cells are word indices of `w`. */
export class PwtModel {
  readonly w: Int32Array;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  /** The address that `next()` foresees, or that `base()` is. */
  lo = 0;
  hi = 0;
  /** Of the segment entered last: where its data addresses are in the history, and those that it may repeat. */
  data = 0;
  path = 0;

  /** @param buffer - PWT_BYTES zero bytes, from `base` on */
  constructor(buffer: ArrayBufferLike = new ArrayBuffer(PWT_BYTES), base = 0) {
    this.w = new Int32Array(buffer, base, PWT_BYTES >>> 2);
    this.u8 = new Uint8Array(buffer, base, PWT_BYTES);
    this.u16 = new Uint16Array(buffer, base, PWT_BYTES >>> 1);
  }

  get segments(): number {
    return this.w[PWT_SEGMENTS >>> 2];
  }

  /** Segment that comes next if the path is followed, 0 = there is none. */
  foreseen(): number {
    const match = this.w[PWT_MATCH >>> 2];
    return match === 0 ? 0 : this.w[(PWT_HISTORY >>> 2) + (match - 1) * 2];
  }

  row(id: number): number {
    return (PWT_SEGMENT_ROWS >>> 2) + (id << (PWT_SEGMENT_SHIFT - 2));
  }

  length(row: number): number {
    return this.w[row + (SEG_LENGTH >>> 2)];
  }

  /** First access of a segment in the columns of those known. */
  first(row: number): number {
    return this.w[row + (SEG_AT >>> 2)];
  }

  /** First slot of a segment. */
  slot(row: number): number {
    return (PWT_SLOT_ROWS >>> 2) + (this.w[row + (SEG_SLOT >>> 2)] << (PWT_SLOT_SHIFT - 2));
  }

  /** Its fetches if they are all in one page and one is its first access, else 0. */
  together(row: number): number {
    return this.w[row + (SEG_TOGETHER >>> 2)];
  }

  slots(row: number): number {
    return this.w[row + (SEG_SLOTS >>> 2)];
  }

  /** Puts a segment into the history and foresees the next. @param followed - it was the one foreseen */
  enter(id: number, followed: boolean): void {
    const { w } = this, row = this.row(id), here = w[PWT_HERE >>> 2], next = (here + 1) & (PWT_HISTORY_SEGMENTS - 1), recent = w[row + (SEG_RECENT >>> 2)];
    const match = w[PWT_MATCH >>> 2], context = (w[PWT_CONTEXT >>> 2] << PWT_CONTEXT_SHIFT) ^ id;
    const follower = (PWT_FOLLOWERS >>> 2) + (Math.imul(context, PWT_GOLDEN) >>> (32 - PWT_FOLLOWER_BITS));
    let dataHere = w[PWT_DATA_HERE >>> 2];
    if (dataHere + PWT_LENGTH_MOST > PWT_DATA_ADDRESSES) dataHere = 0;
    const data = PWT_DATA + (dataHere << 3);
    if (followed) {
      w[PWT_PATH >>> 2] = w[(PWT_HISTORY >>> 2) + (match - 1) * 2 + 1];
      w[PWT_MATCH >>> 2] = (match & (PWT_HISTORY_SEGMENTS - 1)) + 1;
    } else {
      w[PWT_PATH >>> 2] = recent === 0 ? PWT_DATA : w[(PWT_HISTORY >>> 2) + ((recent - 2) & (PWT_HISTORY_SEGMENTS - 1)) * 2 + 1];
      w[PWT_MATCH >>> 2] = w[follower] !== 0 ? w[follower] : recent;
    }
    w[(PWT_HISTORY >>> 2) + here * 2] = id;
    w[(PWT_HISTORY >>> 2) + here * 2 + 1] = data;
    w[follower] = next + 1;
    w[row + (SEG_RECENT >>> 2)] = next + 1;
    w[PWT_HERE >>> 2] = next;
    w[PWT_DATA_HERE >>> 2] = dataHere + this.slots(row);
    w[PWT_CONTEXT >>> 2] = context;
    w[PWT_BEFORE >>> 2] = id;
    this.data = data >>> 2;
    this.path = w[PWT_PATH >>> 2] >>> 2;
  }

  /** Sets `lo` and `hi` to the address foreseen in a slot. @param path - where the path has this slot's address */
  next(slot: number, path: number): void {
    const { w } = this, from = w[slot + (SLOT_FROM >>> 2)], cell = from !== 0 ? from >>> 2 : path, low = w[slot + (SLOT_DISTANCE >>> 2)];
    const lo = (w[cell] + low) | 0;
    this.hi = (w[cell + 1] + w[slot + (SLOT_DISTANCE >>> 2) + 1] + (lo >>> 0 < low >>> 0 ? 1 : 0)) | 0;
    this.lo = lo;
  }

  /** From now on a slot's address is foreseen in this mode; the one that comes now becomes its last. `commit()` must follow. */
  learn(slot: number, mode: number, lo: number, hi: number): void {
    const { w } = this, region = this.region(lo, hi);
    const from = mode === MODE_REGION ? region : mode === MODE_OWN ? (slot << 2) + SLOT_LAST : mode === MODE_LAST ? PWT_LAST : 0;
    const cell = from >>> 2, low = from === 0 ? 0 : (lo - w[cell]) | 0;
    w[slot + (SLOT_FROM >>> 2)] = from;
    w[slot + (SLOT_DISTANCE >>> 2)] = low;
    w[slot + (SLOT_DISTANCE >>> 2) + 1] = from === 0 ? 0 : (hi - w[cell + 1] - (lo >>> 0 < w[cell] >>> 0 ? 1 : 0)) | 0;
    w[slot + (SLOT_REGION >>> 2)] = region;
  }

  /** Byte offset of the last address in the region of this one. */
  region(lo: number, hi: number): number {
    const number = (lo >>> PWT_REGION_SHIFT) | (hi << (32 - PWT_REGION_SHIFT));
    return PWT_REGIONS + ((Math.imul(number, PWT_GOLDEN) >>> (32 - PWT_REGION_BITS)) << 3);
  }

  /** The address of a slot that came. @param data - where the history has it */
  commit(slot: number, data: number, lo: number, hi: number): void {
    const { w } = this, region = w[slot + (SLOT_REGION >>> 2)] >>> 2;
    w[slot + (SLOT_LAST >>> 2)] = w[region] = w[PWT_LAST >>> 2] = w[data] = lo;
    w[slot + (SLOT_LAST >>> 2) + 1] = w[region + 1] = w[(PWT_LAST >>> 2) + 1] = w[data + 1] = hi;
  }

  /** Sets `lo` and `hi` to what the address of a new segment that begins with a fetch is relative to. */
  base(): void {
    const end = this.row(this.w[PWT_BEFORE >>> 2]) + (SEG_END >>> 2);
    this.lo = this.w[end];
    this.hi = this.w[end + 1];
  }

  /** Forgets everything if a segment of this length would not fit. @returns whether it did */
  makeRoom(length: number): boolean {
    const { w } = this;
    const fits = w[PWT_SEGMENTS >>> 2] < PWT_SEGMENT_MOST && w[PWT_USED >>> 2] + length <= PWT_KNOWN_MOST && w[PWT_SLOTS >>> 2] + length <= PWT_SLOT_MOST;
    if (!fits) w.fill(0, 0, PWT_HISTORY >>> 2);
    return !fits;
  }

  /**
   * A new segment, for which there is room.
   *
   * @param shapes - `kind | size << 2` of each access @param lo, hi - where the first fetch is, if that is the first access; else `base()`
   * @returns its number
   */
  create(shapes: ArrayLike<number>, length: number, lo: number, hi: number): number {
    const { w, u8, u16 } = this, id = w[PWT_SEGMENTS >>> 2] + 1, at = w[PWT_USED >>> 2], slot = w[PWT_SLOTS >>> 2], row = this.row(id);
    let endLo = lo, endHi = hi, slots = 0;
    for (let k = 0; k < length; k++) {
      const kind = shapes[k] & 3, size = shapes[k] >>> 2, va = (PWT_KNOWN_VA >>> 2) + (at + k) * 2, fetch = kind === KIND_FETCH;
      w[va] = fetch ? endLo : 0;
      w[va + 1] = fetch ? endHi : 0;
      u16[(PWT_KNOWN_SIZE >>> 1) + at + k] = size;
      u8[PWT_KNOWN_KIND + at + k] = kind;
      if (fetch) {
        endLo = (endLo + size) | 0;
        if (endLo >>> 0 < size) endHi = (endHi + 1) | 0;
      } else {
        const row = (PWT_SLOT_ROWS >>> 2) + ((slot + slots++) << (PWT_SLOT_SHIFT - 2));
        w[row + (SLOT_AT >>> 2)] = k;
        w[row + (SLOT_SHAPE >>> 2)] = size | (kind << 16);
      }
    }
    w[row + (SEG_AT >>> 2)] = at;
    w[row + (SEG_LENGTH >>> 2)] = length;
    w[row + (SEG_SLOT >>> 2)] = slot;
    w[row + (SEG_SLOTS >>> 2)] = slots;
    w[row + (SEG_RECENT >>> 2)] = 0;
    w[row + (SEG_TOGETHER >>> 2)] = (shapes[0] & 3) === KIND_FETCH && samePage(lo, hi, endLo, endHi) ? length - slots : 0;
    w[row + (SEG_END >>> 2)] = endLo;
    w[row + (SEG_END >>> 2) + 1] = endHi;
    w[PWT_SEGMENTS >>> 2] = id;
    w[PWT_USED >>> 2] = at + length;
    w[PWT_SLOTS >>> 2] = slot + slots;
    return id;
  }
}

/** Are an address and the one before another in the same page? */
function samePage(lo: number, hi: number, endLo: number, endHi: number): boolean {
  return (lo ^ (endLo - 1)) >>> 12 === 0 && hi === (endLo === 0 ? endHi - 1 | 0 : endHi);
}
