/** A block of a `.pwt` trace, from columns to sections. Which segments a trace is cut into, and which mode a slot takes, is decided here alone. */
import { ConfigError } from '../errors.ts';
import {
  MISS_GIVEN, MISS_LONG_RUN, MISS_NONE, MISS_PATH, MISS_RUN_SHIFT, MODE_LAST, MODE_OWN, MODE_PATH, MODE_REGION, PATH_NEW, PWT_ADDRESSES_MOST, PWT_GOLDEN,
  PWT_KNOWN_KIND, PWT_KNOWN_SIZE, PWT_KNOWN_VA, PWT_LAST, PWT_LENGTH_MOST, PWT_MISSES_MOST, PWT_PATHS_MOST, PWT_SHAPES_MOST, PWT_SLOT_MOST, PWT_SLOT_ROWS,
  PWT_SLOT_SHIFT, SHAPE_DATA, SHAPE_DATA_SIZES, SHAPE_OTHER, SLOT_LAST,
} from '../layout/pwt.ts';
import { KIND_FETCH, KIND_MODIFY } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { PwtModel } from './pwt-model.ts';

/** Twice as many as there can be segments. */
const INDEX_BITS = 16;
const SLOT_WORDS = 1 << (PWT_SLOT_SHIFT - 2);
/** Words kept of each slot: the distance in each mode when its address came last; of MODE_PATH, whether it was 0. */
const HABIT_WORDS = 4;

/** Bytes of one section. */
class Section {
  length = 0;
  readonly bytes: Uint8Array;

  constructor(most: number) {
    this.bytes = new Uint8Array(most);
  }

  byte(value: number): void {
    this.bytes[this.length++] = value;
  }

  varint(lo: number, hi = 0): void {
    while (hi !== 0 || lo >>> 0 > 127) {
      this.byte(lo | 128);
      lo = (lo >>> 7) | (hi << 25);
      hi >>>= 7;
    }
    this.byte(lo);
  }

  /** The distance to an address from another, zigzag. */
  distance(lo: number, hi: number, fromLo: number, fromHi: number): void {
    const low = (lo - fromLo) | 0, high = (hi - fromHi - (lo >>> 0 < fromLo >>> 0 ? 1 : 0)) | 0, sign = high >> 31;
    this.varint((low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
  }
}

export class PwtBlockWriter {
  readonly paths = new Section(PWT_PATHS_MOST);
  readonly misses = new Section(PWT_MISSES_MOST);
  readonly shapes = new Section(PWT_SHAPES_MOST);
  readonly addresses = new Section(PWT_ADDRESSES_MOST);
  private readonly model = new PwtModel();
  /** Segments by a hash of their accesses. */
  private readonly index = new Int32Array(1 << INDEX_BITS);
  private readonly habits = new Int32Array(PWT_SLOT_MOST * HABIT_WORDS);
  private readonly newShapes = new Int32Array(PWT_LENGTH_MOST);
  /** Slots foreseen since the last that was not. */
  private run = 0;

  /** Fills the sections. @throws ConfigError - an access of size 0 */
  write(batch: AccessBatch): void {
    for (const section of [this.paths, this.misses, this.shapes, this.addresses]) section.length = 0;
    if (batch.count === 0) return;
    const { model, paths } = this;
    let run = 0;
    for (let at = 0; at < batch.count;) {
      const length = this.cut(batch, at), place = this.find(batch, at, length), foreseen = model.foreseen();
      let id = this.index[place];
      const known = id !== 0, followed = known && id === foreseen;
      if (followed) run++;
      else {
        paths.varint(run);
        paths.varint(known ? id : PATH_NEW);
        run = 0;
        if (!known) id = this.create(batch, at, length, place);
      }
      const row = model.row(id);
      model.enter(id, followed);
      this.slots(batch, at, length, model.slot(row), known);
      at += length;
    }
    paths.varint(run);
    this.miss(MISS_NONE);
  }

  /** Accesses in the segment that begins here: up to a jump. */
  private cut({ va, kind, size, count }: AccessBatch, at: number): number {
    const most = Math.min(count, at + PWT_LENGTH_MOST);
    let fetched = false, end = 0, k = at;
    for (; k < most; k++) {
      if (kind[k] !== KIND_FETCH) continue;
      if (k > at && (!fetched || va[2 * k] !== end || va[2 * k + 1] !== va[2 * at + 1])) break;
      fetched = true;
      end = (va[2 * k] + size[k]) | 0;
    }
    return k - at;
  }

  /** @returns where the index has this segment, or where it would be */
  private find({ va, kind, size }: AccessBatch, at: number, length: number): number {
    let hash = kind[at] === KIND_FETCH ? va[2 * at] ^ va[2 * at + 1] : 0;
    for (let k = at; k < at + length; k++) hash = Math.imul(hash ^ (hash >>> 15) ^ (kind[k] | (size[k] << 2)), PWT_GOLDEN);
    const { index, model } = this, { w, u8, u16 } = model;
    for (let place = hash >>> (32 - INDEX_BITS); ; place = (place + 1) & (index.length - 1)) {
      const id = index[place], row = model.row(id);
      if (id === 0) return place;
      if (model.length(row) !== length) continue;
      const known = model.first(row), first = (PWT_KNOWN_VA >>> 2) + known * 2;
      let k = kind[at] === KIND_FETCH && (w[first] !== va[2 * at] || w[first + 1] !== va[2 * at + 1]) ? length + 1 : 0;
      while (k < length && u8[PWT_KNOWN_KIND + known + k] === kind[at + k] && u16[(PWT_KNOWN_SIZE >>> 1) + known + k] === size[at + k]) k++;
      if (k === length) return place;
    }
  }

  /** @param place - for it in the index @returns the number of the new segment */
  private create(batch: AccessBatch, at: number, length: number, place: number): number {
    const { va, kind, size } = batch, { model, shapes } = this;
    shapes.byte(length);
    for (let k = 0; k < length; k++) {
      if (size[at + k] === 0) throw new ConfigError('batch.size', '1 to 65535 bytes', 0);
      this.newShapes[k] = kind[at + k] | (size[at + k] << 2);
      this.shape(kind[at + k], size[at + k]);
    }
    model.base();
    let { lo, hi } = model;
    if (kind[at] === KIND_FETCH) {
      this.addresses.distance(va[2 * at], va[2 * at + 1], lo, hi);
      [lo, hi] = [va[2 * at], va[2 * at + 1]];
    }
    if (model.makeRoom(length)) {
      this.index.fill(0);
      place = this.find(batch, at, length);
    }
    return (this.index[place] = model.create(this.newShapes, length, lo, hi));
  }

  private shape(kind: number, size: number): void {
    const log2 = 31 - Math.clz32(size), short = kind === KIND_FETCH ? size < SHAPE_DATA : size === 1 << log2 && log2 < SHAPE_DATA_SIZES;
    if (!short) {
      this.shapes.byte(SHAPE_OTHER);
      this.shapes.varint(kind | (size << 2));
    } else this.shapes.byte(kind === KIND_FETCH ? size : SHAPE_DATA + 8 * (kind === KIND_MODIFY ? 2 : kind) + log2);
  }

  private slots({ va, kind }: AccessBatch, at: number, length: number, first: number, known: boolean): void {
    const { model } = this;
    for (let k = at, slot = first, { path, data } = model; k < at + length; k++) {
      if (kind[k] === KIND_FETCH) continue;
      const lo = va[2 * k], hi = va[2 * k + 1];
      if (!known) {
        this.addresses.distance(lo, hi, model.w[PWT_LAST >>> 2], model.w[(PWT_LAST >>> 2) + 1]);
        model.learn(slot, MODE_REGION, lo, hi);
        this.usual(slot, path, lo, hi);
      } else {
        const mode = this.usual(slot, path, lo, hi);
        model.next(slot, path);
        if (model.lo === lo && model.hi === hi) this.run++;
        else this.missed(slot, path, mode, lo, hi);
      }
      model.commit(slot, data, lo, hi);
      slot += SLOT_WORDS;
      path += 2;
      data += 2;
    }
  }

  private missed(slot: number, path: number, mode: number, lo: number, hi: number): void {
    const { model } = this, { w } = model;
    if (w[path] === lo && w[path + 1] === hi) {
      this.miss(MISS_PATH);
      model.learn(slot, MODE_PATH, lo, hi);
    } else {
      this.miss(MISS_GIVEN + mode);
      this.addresses.distance(lo, hi, w[slot + (SLOT_LAST >>> 2)], w[slot + (SLOT_LAST >>> 2) + 1]);
      model.learn(slot, mode, lo, hi);
    }
  }

  /** The mode that would have foreseen this address by the distance of the last time; keeps the distances. */
  private usual(slot: number, path: number, lo: number, hi: number): number {
    const { w } = this.model, { habits } = this, habit = ((slot - (PWT_SLOT_ROWS >>> 2)) / SLOT_WORDS) * HABIT_WORDS;
    const region = (lo - w[this.model.region(lo, hi) >>> 2]) | 0, own = (lo - w[slot + (SLOT_LAST >>> 2)]) | 0, last = (lo - w[PWT_LAST >>> 2]) | 0;
    const mode = region === habits[habit] ? MODE_REGION : own === habits[habit + 1] ? MODE_OWN : last === habits[habit + 2] ? MODE_LAST : habits[habit + 3];
    habits[habit] = region;
    habits[habit + 1] = own;
    habits[habit + 2] = last;
    habits[habit + 3] = w[path] === lo && w[path + 1] === hi ? MODE_PATH : MODE_OWN;
    return mode;
  }

  /** Ends a run of foreseen slots. */
  private miss(code: number): void {
    const { misses, run } = this;
    misses.byte(code | (Math.min(run, MISS_LONG_RUN) << MISS_RUN_SHIFT));
    if (run >= MISS_LONG_RUN) misses.varint(run - MISS_LONG_RUN);
    this.run = 0;
  }
}
