/**
 * Predicts the next access of a trace from those before it. Writer and reader of `.pwt` run the same model, so that
 * only what it did not foresee needs to be stored.
 *
 * An instruction is a fetch and the data accesses after it. What comes next is looked up twice: by the instruction and
 * the number of data accesses since its fetch (SHORT), and by these and the recent taken branches (LONG). An entry
 * holds the shape (kind and size) and address of the access seen there last; a SHORT entry also how its data moved:
 *
 *   candidate  of a fetch                  of data
 *   0          address in the LONG entry   last one near the one seen here, plus the distance from it (stack, records)
 *   1          address in the SHORT entry  the one seen here, plus its last step (arrays)
 *   2          end of the last fetch       address in the LONG entry (repeated calls)
 *   3          as 2                        last data access, plus the distance from it (pointers)
 *
 * Tables have a fixed size and no tags: two contexts that share an entry only predict worse.
 */
import { KIND_FETCH } from './batch.ts';

const LONG_BITS = 16;
const SHORT_BITS = 15;
const REGION_BITS = 6;
/** Bytes, as a power of two, within which accesses count as near. */
const REGION_SHIFT = 20;
/** Bits of history that a taken branch shifts the earlier ones by, and those it contributes. */
const HISTORY_SHIFT = 11;
const HISTORY_BITS = 15;
/** Data accesses of an instruction told apart. */
const SLOT_LIMIT = 15;

/** Words of an entry: shape (0: empty), address; in SHORT also step, region and usual candidate, two distances. */
const SHAPE = 0;
const LO = 1;
const HI = 2;
const STEP = 3;
const REGION = 4;
const USUAL = 5;
const NEAR = 6;
const AHEAD = 7;
const LONG_WORDS_LOG2 = 2;
const SHORT_WORDS_LOG2 = 3;

/** A shape is `kind | size << 2`. */
const KIND_MASK = 3;
const SHAPE_DEFAULT = KIND_FETCH | (4 << 2);

const GOLDEN = 0x9e3779b1;
const MIX_SLOT = 0x85ebca6b;
const MIX_SHORT = 0x2c1b3c6d;
const MIX_LONG = 0x297a2d39;

/** The model: `predict()`, then any of `usual`, `candidate` and `base`, then `update()`, for each access. */
export class PwtModel {
  /** The shapes expected next, after `predict()`. */
  first = SHAPE_DEFAULT;
  second = SHAPE_DEFAULT;
  /** Address that `candidate()` or `base()` found. */
  lo = 0;
  hi = 0;

  private readonly long = new Int32Array(1 << (LONG_BITS + LONG_WORDS_LOG2));
  private readonly short = new Int32Array(1 << (SHORT_BITS + SHORT_WORDS_LOG2));
  /** Last data address near each region, two words. */
  private readonly regions = new Int32Array(2 << REGION_BITS);
  private longAt = 0;
  private shortAt = 0;
  private pcLo = 0;
  /** Address after the last fetch. */
  private endLo = 0;
  private endHi = 0;
  private slot = 0;
  private history = 0;
  private dataLo = 0;
  private dataHi = 0;

  /** Looks up the context of the next access: sets `first` and `second`, and what `usual` and `candidate` go by. */
  predict(): void {
    const key = (Math.imul(this.pcLo, GOLDEN) + Math.imul(this.slot, MIX_SLOT)) | 0;
    const path = key ^ this.history;
    const longAt = (Math.imul(path ^ (path >>> 15), MIX_LONG) >>> (32 - LONG_BITS)) << LONG_WORDS_LOG2;
    const shortAt = (Math.imul(key ^ (key >>> 15), MIX_SHORT) >>> (32 - SHORT_BITS)) << SHORT_WORDS_LOG2;
    const seen = this.short[shortAt + SHAPE];
    const onPath = this.long[longAt + SHAPE];
    this.longAt = longAt;
    this.shortAt = shortAt;
    this.second = seen !== 0 ? seen : SHAPE_DEFAULT;
    this.first = onPath !== 0 ? onPath : this.second;
  }

  /** The candidate to try for an access of this shape. */
  usual(shape: number): number {
    if ((shape & KIND_MASK) !== KIND_FETCH) return this.short[this.shortAt + USUAL];
    if (this.long[this.longAt + SHAPE] !== 0) return 0;
    return this.short[this.shortAt + SHAPE] !== 0 ? 1 : 2;
  }

  /** Sets `lo` and `hi` to a candidate, 0 to 3, for an access of this shape. */
  candidate(shape: number, which: number): void {
    const { long, short, longAt, shortAt } = this;
    if ((shape & KIND_MASK) === KIND_FETCH) {
      this.lo = which === 0 ? long[longAt + LO] : which === 1 ? short[shortAt + LO] : this.endLo;
      this.hi = which === 0 ? long[longAt + HI] : which === 1 ? short[shortAt + HI] : this.endHi;
    } else if (which === 0) {
      const region = short[shortAt + REGION];
      this.lo = (this.regions[region] + short[shortAt + NEAR]) | 0;
      this.hi = this.regions[region + 1];
    } else if (which === 1) {
      this.lo = (short[shortAt + LO] + short[shortAt + STEP]) | 0;
      this.hi = short[shortAt + HI];
    } else if (which === 2) {
      this.lo = long[longAt + LO];
      this.hi = long[longAt + HI];
    } else {
      this.lo = (this.dataLo + short[shortAt + AHEAD]) | 0;
      this.hi = this.dataHi;
    }
  }

  /** Sets `lo` and `hi` to the address that a given one is stored relative to. */
  base(shape: number): void {
    if ((shape & KIND_MASK) === KIND_FETCH) this.candidate(shape, 2);
    else if (this.short[this.shortAt + SHAPE] !== 0) {
      this.lo = this.short[this.shortAt + LO];
      this.hi = this.short[this.shortAt + HI];
    } else {
      this.lo = this.dataLo;
      this.hi = this.dataHi;
    }
  }

  /** Learns the access that came, after `predict()`. @param foreseen - it had the first shape and the usual address */
  update(shape: number, lo: number, hi: number, foreseen: boolean): void {
    const { long, short, longAt, shortAt } = this;
    if ((shape & KIND_MASK) === KIND_FETCH) this.updateFetch(shape, lo, hi);
    else {
      if (!foreseen) this.chooseUsual(shape, lo, hi);
      const mixed = Math.imul((lo >>> REGION_SHIFT) ^ (hi << (32 - REGION_SHIFT)), GOLDEN);
      const region = (mixed >>> (32 - REGION_BITS)) << 1;
      short[shortAt + STEP] = (lo - short[shortAt + LO]) | 0;
      short[shortAt + REGION] = region;
      short[shortAt + NEAR] = (lo - this.regions[region]) | 0;
      short[shortAt + AHEAD] = (lo - this.dataLo) | 0;
      this.regions[region] = lo;
      this.regions[region + 1] = hi;
      this.dataLo = lo;
      this.dataHi = hi;
      if (this.slot < SLOT_LIMIT) this.slot++;
    }
    short[shortAt + SHAPE] = shape;
    short[shortAt + LO] = lo;
    short[shortAt + HI] = hi;
    long[longAt + SHAPE] = shape;
    long[longAt + LO] = lo;
    long[longAt + HI] = hi;
  }

  private updateFetch(shape: number, lo: number, hi: number): void {
    if (lo !== this.endLo) {
      this.history = (this.history << HISTORY_SHIFT) ^ (Math.imul(lo, GOLDEN) >>> (32 - HISTORY_BITS));
    }
    const end = (lo + (shape >>> 2)) | 0;
    this.pcLo = lo;
    this.endLo = end;
    this.endHi = end >>> 0 < lo >>> 0 ? (hi + 1) | 0 : hi;
    this.slot = 0;
  }

  /** Next time tries the candidate that would have been right, the steadier first. */
  private chooseUsual(shape: number, lo: number, hi: number): void {
    if (this.is(shape, 0, lo, hi)) this.short[this.shortAt + USUAL] = 0;
    else if (this.is(shape, 2, lo, hi)) this.short[this.shortAt + USUAL] = 2;
    else if (this.is(shape, 1, lo, hi)) this.short[this.shortAt + USUAL] = 1;
    else if (this.is(shape, 3, lo, hi)) this.short[this.shortAt + USUAL] = 3;
  }

  private is(shape: number, which: number, lo: number, hi: number): boolean {
    this.candidate(shape, which);
    return this.lo === lo && this.hi === hi;
  }
}
