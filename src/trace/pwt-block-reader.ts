/** A block of a `.pwt` trace, from its sections to columns or to what it touches, all in the model's memory. The wasm engine has the same (wasm/pwt.ts). */
import { TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_SIZE, TOUCH_WORD } from '../layout/census.ts';
import {
  MISS_GIVEN, MISS_LONG_RUN, MISS_NONE, MISS_PATH, MISS_RUN_SHIFT, MODE_PATH, MODE_REGION, PATH_NEW, PWT_BLOCK_ACCESSES, PWT_BLOCK_KIND, PWT_BLOCK_SIZE,
  PWT_BLOCK_VA, PWT_KNOWN_KIND, PWT_KNOWN_SIZE, PWT_KNOWN_VA, PWT_LAST, PWT_LENGTH_MOST, PWT_SECTIONS, PWT_SLOT_SHIFT, SHAPE_DATA, SHAPE_DATA_SIZES,
  SHAPE_OTHER, SLOT_AT, SLOT_DISTANCE, SLOT_FROM, SLOT_LAST, SLOT_SHAPE,
} from '../layout/pwt.ts';
import { KIND_FETCH, KIND_MODIFY } from './batch.ts';
import type { PwtModel } from './pwt-model.ts';
import { PwtTouches } from './pwt-touches.ts';

/** Number of a shape. */
const SHAPE_LIMIT = 0x3ffff;
const SLOT_WORDS = 1 << (PWT_SLOT_SHIFT - 2);

/** Bytes of a section that are left: byte offsets in the model's memory. */
class Section {
  at = 0;
  end = 0;

  /** @returns where it ends */
  open(at: number, bytes: number): number {
    this.at = at;
    return (this.end = at + bytes);
  }
}

export class PwtBlockReader {
  private readonly model: PwtModel;
  private readonly paths = new Section();
  private readonly misses = new Section();
  private readonly shapes = new Section();
  private readonly addresses = new Section();
  private readonly newShapes = new Int32Array(PWT_LENGTH_MOST);
  private readonly touches: PwtTouches;
  /** Are columns wanted, or what is touched? */
  private columns = true;
  /** Slots that come as foreseen, and what the one after them does. */
  private run = 0;
  private code = 0;
  /** Something did not fit; looked at after every segment. */
  private failed = false;
  /** The number that `varint()` or `address()` took. */
  private lo = 0;
  private hi = 0;

  constructor(model: PwtModel) {
    this.model = model;
    this.touches = new PwtTouches(model);
  }

  /**
   * @param count - accesses in the block; then the bytes of its sections, which are at PWT_SECTIONS
   * @param before - accesses before the block, for what it touches; -1: columns
   * @returns false: they are of no block
   */
  read(count: number, paths: number, misses: number, shapes: number, addresses: number, before: number): boolean {
    this.failed = false;
    this.addresses.open(this.shapes.open(this.misses.open(this.paths.open(PWT_SECTIONS, paths), misses), shapes), addresses);
    this.columns = before < 0;
    this.touches.begin(before);
    let run = this.takePath();
    this.takeMiss();
    for (let done = 0; done < count && !this.failed;) {
      const followed = run > 0, { model } = this;
      let id = model.foreseen(), known = true;
      if (followed) run--;
      else {
        const what = this.takePath();
        run = this.takePath();
        known = what !== PATH_NEW;
        if (what > model.segments) return false;
        id = known ? what : this.create();
      }
      if (id === 0) return false;
      const row = model.row(id), length = model.length(row);
      if (done + length > count) return false;
      model.enter(id, followed);
      this.segment(row, length, done, known);
      done += length;
    }
    this.touches.end(count);
    const whole = [this.paths, this.misses, this.shapes, this.addresses].every(section => section.at === section.end);
    return whole && !this.failed && run === 0 && this.run === 0 && this.code === MISS_NONE;
  }

  private segment(row: number, length: number, done: number, known: boolean): void {
    const { model, touches } = this, slots = model.slots(row), slot = model.slot(row);
    if (this.columns) this.copy(model.first(row), done, length);
    else touches.open(row, done);
    if (known && slots <= this.run) {
      this.run -= slots;
      this.foreseen(slot, slots, done);
    } else this.mixed(slot, slots, done, known);
    if (!this.columns) touches.close(row, done, length);
  }

  private copy(at: number, done: number, length: number): void {
    const { w, u8, u16 } = this.model;
    const va = (PWT_KNOWN_VA >>> 2) + at * 2, size = (PWT_KNOWN_SIZE >>> 1) + at, kind = PWT_KNOWN_KIND + at;
    const outVa = (PWT_BLOCK_VA >>> 2) + done * 2, outSize = (PWT_BLOCK_SIZE >>> 1) + done, outKind = PWT_BLOCK_KIND + done;
    for (let k = 0; k < length; k++) {
      w[outVa + 2 * k] = w[va + 2 * k];
      w[outVa + 2 * k + 1] = w[va + 2 * k + 1];
      u16[outSize + k] = u16[size + k];
      u8[outKind + k] = u8[kind + k];
    }
  }

  /** Slots whose addresses come as foreseen: `next()` and `commit()` of the model as one loop. */
  private foreseen(first: number, slots: number, done: number): void {
    const { model, touches, columns } = this, { w } = model, out = (PWT_BLOCK_VA >>> 2) + done * 2, end = first + slots * SLOT_WORDS;
    let { path, data } = model, touch = touches.take(slots);
    for (let slot = first; slot < end; slot += SLOT_WORDS) {
      const from = w[slot + (SLOT_FROM >>> 2)], cell = from !== 0 ? from >>> 2 : path, low = w[slot + (SLOT_DISTANCE >>> 2)], lo = (w[cell] + low) | 0;
      const hi = (w[cell + 1] + w[slot + (SLOT_DISTANCE >>> 2) + 1] + (lo >>> 0 < low >>> 0 ? 1 : 0)) | 0, at = w[slot + (SLOT_AT >>> 2)];
      model.commit(slot, data, lo, hi);
      if (columns) {
        w[out + at * 2] = lo;
        w[out + at * 2 + 1] = hi;
      } else {
        w[touch] = lo;
        w[touch + 1] = hi;
        w[touch + (TOUCH_WORD >>> 2)] = (1 << TOUCH_COUNT_SHIFT) | (done + at);
        w[touch + (TOUCH_SIZE >>> 2)] = w[slot + (SLOT_SHAPE >>> 2)];
        touch += TOUCH_BYTES >>> 2;
      }
      path += 2;
      data += 2;
    }
  }

  /** Slots of which some are missed, or of a new segment. */
  private mixed(first: number, slots: number, done: number, known: boolean): void {
    const { model } = this, { w, path, data } = model, out = (PWT_BLOCK_VA >>> 2) + done * 2;
    for (let k = 0; k < slots; k++) {
      const slot = first + k * SLOT_WORDS;
      if (known && this.run > 0) {
        this.run--;
        model.next(slot, path + 2 * k);
      } else {
        if (known) this.miss(slot, path + 2 * k);
        else this.given(slot);
        if (known) this.takeMiss();
      }
      const { lo, hi } = model, at = w[slot + (SLOT_AT >>> 2)];
      model.commit(slot, data + 2 * k, lo, hi);
      if (this.columns) {
        w[out + at * 2] = lo;
        w[out + at * 2 + 1] = hi;
      } else this.touches.put(lo, hi, (1 << TOUCH_COUNT_SHIFT) | (done + at), w[slot + (SLOT_SHAPE >>> 2)]);
    }
  }

  /** A slot whose address is not as foreseen. */
  private miss(slot: number, path: number): void {
    const { model, code } = this, { w } = model;
    if (code === MISS_PATH) this.learn(slot, MODE_PATH, w[path], w[path + 1]);
    else if (code >= MISS_GIVEN) {
      this.takeAddress(w[slot + (SLOT_LAST >>> 2)], w[slot + (SLOT_LAST >>> 2) + 1]);
      this.learn(slot, code - MISS_GIVEN, this.lo, this.hi);
    } else this.failed = true;
  }

  /** A slot of a new segment. */
  private given(slot: number): void {
    const { w } = this.model;
    this.takeAddress(w[PWT_LAST >>> 2], w[(PWT_LAST >>> 2) + 1]);
    this.learn(slot, MODE_REGION, this.lo, this.hi);
  }

  private learn(slot: number, mode: number, lo: number, hi: number): void {
    this.model.learn(slot, mode, lo, hi);
    this.model.lo = lo;
    this.model.hi = hi;
  }

  /** A segment that was not known. @returns its number; 0 with `failed` */
  private create(): number {
    const { model, shapes, newShapes } = this, length = shapes.at < shapes.end ? model.u8[shapes.at++] : 0;
    if (length === 0 || length > PWT_LENGTH_MOST) return this.refused();
    for (let k = 0; k < length; k++) {
      newShapes[k] = this.takeShape();
      if (newShapes[k] >>> 2 === 0) return this.refused();
    }
    model.base();
    let { lo, hi } = model;
    if ((newShapes[0] & 3) === KIND_FETCH) {
      this.takeAddress(lo, hi);
      ({ lo, hi } = this);
    }
    model.makeRoom(length);
    return model.create(newShapes, length, lo, hi);
  }

  private refused(): number {
    this.failed = true;
    return 0;
  }

  /** @returns `kind | size << 2`; size 0: malformed */
  private takeShape(): number {
    const { shapes } = this;
    if (shapes.at === shapes.end) return 0;
    const byte = this.model.u8[shapes.at++];
    if (byte < SHAPE_DATA) return KIND_FETCH | (byte << 2);
    if (byte === SHAPE_OTHER) {
      this.varint(shapes);
      return this.hi !== 0 || this.lo >>> 0 > SHAPE_LIMIT ? 0 : this.lo;
    }
    const which = (byte - SHAPE_DATA) >>> 3, log2 = (byte - SHAPE_DATA) & 7;
    return which > 2 || log2 >= SHAPE_DATA_SIZES ? 0 : (which === 2 ? KIND_MODIFY : which) | (1 << (log2 + 2));
  }

  /** @returns at most PWT_BLOCK_ACCESSES; 0 with `failed` */
  private takePath(): number {
    return this.small(this.paths);
  }

  private small(section: Section): number {
    this.varint(section);
    return this.hi === 0 && this.lo >>> 0 <= PWT_BLOCK_ACCESSES ? this.lo : this.refused();
  }

  private takeMiss(): void {
    const { misses } = this;
    if (misses.at === misses.end) {
      this.failed = true;
      return;
    }
    const byte = this.model.u8[misses.at++], run = byte >>> MISS_RUN_SHIFT;
    this.run = run === MISS_LONG_RUN ? run + this.small(misses) : run;
    this.code = byte & ((1 << MISS_RUN_SHIFT) - 1);
    if (this.code > MISS_GIVEN + MODE_PATH) this.failed = true;
  }

  /** Sets `lo` and `hi` to this address + a signed distance, zigzag. */
  private takeAddress(lo: number, hi: number): void {
    this.varint(this.addresses);
    const sign = -(this.lo & 1), low = ((this.lo >>> 1) | (this.hi << 31)) ^ sign, sum = (lo + low) | 0;
    this.hi = (hi + ((this.hi >>> 1) ^ sign) + (sum >>> 0 < low >>> 0 ? 1 : 0)) | 0;
    this.lo = sum;
  }

  /** Sets `lo` and `hi` to a number of up to 64 bits, 7 a byte, lowest first; the bits above are lost. */
  private varint(section: Section): void {
    const { u8 } = this.model;
    let lo = 0, hi = 0;
    for (let shift = 0; shift < 70 && section.at < section.end; shift += 7) {
      const byte = u8[section.at++], part = byte & 127;
      if (shift < 32) lo |= part << shift;
      if (shift === 28) hi = part >>> 4;
      else if (shift > 28) hi |= part << (shift - 32);
      if (byte < 128) {
        this.lo = lo;
        this.hi = hi;
        return;
      }
    }
    this.lo = this.hi = 0;
    this.failed = true;
  }
}
