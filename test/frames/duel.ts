/** Two equal machines with random frame tables under the same random runs: one by the TypeScript engine, one by the wasm engine. */
import { attach, type Accelerator } from '../../src/accel/engine.ts';
import { layFrameTable } from '../../src/frames/table.ts';
import { updateEntries, updateEntry } from '../../src/frames/update.ts';
import { dropEntries, validateEntries, validateTable } from '../../src/frames/validate.ts';
import {
  FRAME_OWNER, FRAME_REFS, FRAME_STRIDE, FRAME_TYPE, PGT_COUNT_MOST, PGT_L1_TABLE, PGT_L2_TABLE, PGT_LOCKED, PGT_PINNED, PGT_VALIDATED, PGT_WRITABLE,
} from '../../src/layout/frame.ts';
import { HDR_FRAME_LIMIT } from '../../src/layout/header.ts';
import { VCPU_OWED } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import { wordOf } from '../../src/memory/extents.ts';
import { backedPages, clearPages, comparePages, copyPages, hashPages } from '../../src/memory/pages.ts';
import type { Views } from '../../src/memory/views.ts';
import { Random } from '../wasm/engine-duel.ts';

const LOW = 128, HIGH = 2 ** 20, HIGH_FRAMES = 16, HOLE = 2 ** 19; // frames
const OWNERS = [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 0x7ff1];
const STOPS = [0, 0, 0x98, 0x400000, 0x80 | 0x800000, 0xffffff & ~0x803 & ~0x66];
const REFS = [0, 1, 2, 3, 0x3fffffff, 0x40000000, 0x40000001, 0x40000002, 0x7fffffff, -1];
const TYPES = [
  0, 0, PGT_WRITABLE | PGT_VALIDATED, PGT_L1_TABLE, PGT_L1_TABLE | PGT_VALIDATED, PGT_L1_TABLE | PGT_VALIDATED | PGT_PINNED, PGT_L2_TABLE | PGT_VALIDATED,
  PGT_WRITABLE | PGT_VALIDATED | PGT_LOCKED, PGT_L1_TABLE | PGT_VALIDATED | PGT_LOCKED, PGT_VALIDATED,
];
const COUNTS = [0, 1, 2, PGT_COUNT_MOST - 1, PGT_COUNT_MOST, PGT_COUNT_MOST + 1, 0xffffff];

export interface FrameDuelOptions {
  readonly vcpus: number;
  /** Frames above 4 GiB take part. */
  readonly high: boolean;
  /** Share of frames and entries that are not common. */
  readonly odd: number;
}

interface Side {
  readonly s: Views;
  readonly block: number;
  readonly rows: number;
}

export class FrameDuel {
  readonly ts: Side;
  readonly wasm: Side;
  readonly engine: Accelerator;
  /** How often each kind of run did something, and how many entries or requests in all. */
  readonly done = new Map<string, number>();
  /** Runs that left something to put. */
  owed = 0;
  /** What decides on the next operation. */
  random: Random;
  private readonly options: FrameDuelOptions;
  private readonly frames: number[] = [];
  private readonly tables: readonly number[];

  constructor(options: FrameDuelOptions, seed: number) {
    this.options = options;
    this.random = new Random(seed);
    this.ts = this.side();
    this.wasm = this.side();
    this.engine = attach(this.wasm.s)!;
    for (let f = 0; f < LOW; f++) this.frames.push(f);
    if (options.high) for (let f = 0; f < HIGH_FRAMES; f++) this.frames.push(HIGH + f);
    this.tables = [16, 17, 18, 19, 20].concat(options.high ? [HIGH + 1] : []);
    for (const f of this.frames) this.setRow(f);
    for (const t of this.tables) for (let i = 0; i < 512; i++) this.putEntry(t, i);
  }

  private side(): Side {
    const machine = Machine.create({
      vcpus: this.options.vcpus, mode: 'functional', paging: 'none',
      extents: [
        { base: 0, bytes: (LOW - 4) * 4096 }, // the last frames have rows but no bytes
        { base: HOLE * 4096, bytes: '16K', kind: 'unbacked' },
        { base: HIGH * 4096, bytes: HIGH_FRAMES * 4096 }, { base: (HIGH + HIGH_FRAMES) * 4096, bytes: '16K' },
      ],
    });
    const s = machine.views;
    const rows = layFrameTable(s, this.options.high ? HIGH + HIGH_FRAMES : LOW - 20) >>> 2;
    s.grow(65536); // requests
    return { s, block: machine.vcpus.at(-1)!.block, rows };
  }

  private get requests(): number {
    return this.ts.s.byteLength - 65536;
  }

  private odd(): boolean {
    return this.random.chance(this.options.odd);
  }

  /** A random row: mostly the domain's, referenced, and writable or without a type. */
  private setRow(frame: number): void {
    const r = this.random;
    const owner = this.odd() ? r.of(OWNERS) : 7, flags = r.below(4), refs = this.odd() ? r.of(REFS) : 1 + r.below(3);
    let type = this.odd() ? r.of(TYPES) | r.of(COUNTS) : r.of([0, PGT_WRITABLE | PGT_VALIDATED | r.below(3)]);
    if (this.tables.includes(frame) && !this.odd()) type = PGT_L1_TABLE | PGT_VALIDATED | (1 + r.below(2));
    for (const { s, rows } of [this.ts, this.wasm]) {
      const row = rows + frame * (FRAME_STRIDE >>> 2);
      s.w[row + (FRAME_OWNER >>> 2)] = owner | (flags << 16);
      s.w[row + (FRAME_TYPE >>> 2)] = type;
      s.w[row + (FRAME_REFS >>> 2)] = refs;
    }
  }

  /** A random entry as two words: mostly present, of a frame in play, with innocent flags. */
  private entry(): [lo: number, hi: number] {
    const r = this.random, frame = this.odd() && this.odd() ? r.of([LOW - 1, HIGH - 1, HIGH * 2, r.next() >>> 0]) : r.of(this.frames);
    let lo = (frame << 12) | (r.chance(0.85) ? 1 : 0) | (r.chance(0.4) ? 2 : 0) | (r.chance(0.8) ? 4 : 0) | (r.next() & 0xf60);
    let hi = Math.floor(frame / HIGH) | (r.next() & r.next() & 0xbff00000);
    if (this.odd() && this.odd()) lo ^= r.next() & 0xfff;
    if (this.odd() && this.odd()) hi ^= r.next();
    if (r.chance(0.02)) [lo, hi] = [r.next() & ~1, r.next()];
    return [lo, hi];
  }

  private putEntry(table: number, i: number): void {
    const [lo, hi] = this.entry();
    for (const { s } of [this.ts, this.wasm]) {
      const at = wordOf(s, Math.floor(table / HIGH), (table << 12) | 0) + i * 2;
      s.w[at] = lo;
      s.w[at + 1] = hi;
    }
  }

  /** `from` and `to`, often close. */
  private range(): [number, number] {
    const r = this.random, a = r.below(513), b = r.chance(0.7) ? Math.min(512, a + r.below(12)) : r.below(513);
    return a < b ? [a, b] : [b, a];
  }

  private same<T>(what: string, a: T, b: T): void {
    if (a !== b) throw new Error(`${what}: TypeScript ${a}, wasm ${b}`);
  }

  private count(what: string, n: number): void {
    this.done.set(what, (this.done.get(what) ?? 0) + n);
  }

  private run(): void {
    const r = this.random, { s, block } = this.ts, v = block >>> 2, e = this.engine, table = this.at(r.of(this.tables));
    const [from, to] = this.range(), owner = r.chance(0.95) ? 7 : r.of(OWNERS), stop = r.of(STOPS), adjust = r.below(2);
    if (r.chance(0.5)) {
      const a = validateEntries(s, v, table, from, to, owner, stop, adjust);
      this.same(`validate ${from} to ${to}`, a, e.validateEntries(block, table, from, to, owner, stop, adjust));
      this.count('validate', a - from);
    } else if (r.chance(0.9)) {
      const a = dropEntries(s, v, table, from, to, owner);
      this.same(`drop ${from} to ${to}`, a, e.dropEntries(block, table, from, to, owner));
      this.count('drop', to - a);
    } else {
      const a = validateTable(s, v, table, owner, stop, adjust);
      this.same('validate a table', a, e.validateTable(block, table, owner, stop, adjust));
      this.count('table', a);
    }
  }

  /** Byte offset of a frame. */
  private at(frame: number): number {
    return wordOf(this.ts.s, Math.floor(frame / HIGH), (frame << 12) | 0) * 4;
  }

  private update(): void {
    const r = this.random, { s, block } = this.ts, v = block >>> 2, e = this.engine, n = 1 + r.below(r.chance(0.8) ? 4 : 40);
    const owner = r.chance(0.98) ? 7 : 8, stop = r.of(STOPS), adjust = r.below(2), at = this.requests;
    for (let k = 0; k < n; k++) {
      const table = this.odd() ? r.of(this.frames) : r.of(this.tables), [lo, hi] = this.entry();
      const ptr = [(table << 12) | (r.below(512) << 3) | (this.odd() ? r.below(8) : r.of([0, 0, 2, 3])), Math.floor(table / HIGH) | (this.odd() && this.odd() ? r.next() : 0)];
      for (const side of [this.ts, this.wasm]) side.s.w.set([...ptr, lo, hi], (at >>> 2) + k * 4);
    }
    const w = s.w, q = at >>> 2;
    if (n === 1) {
      const a = updateEntry(s, v, w[q + 1]!, w[q]!, w[q + 3]!, w[q + 2]!, owner, stop, adjust);
      this.same('update an entry', a, e.updateEntry(block, w[q + 1]!, w[q]!, w[q + 3]!, w[q + 2]!, owner, stop, adjust));
      this.count('update', a === 0 ? 0 : 1);
      return;
    }
    const a = updateEntries(s, v, at, n, owner, stop, adjust);
    this.same(`update ${n} entries`, a, e.updateEntries(block, at, n, owner, stop, adjust));
    this.count('update', a);
  }

  private pages(): void {
    const r = this.random, { s } = this.ts, e = this.engine, n = 1 + r.below(6);
    const pick = (): [number, number] => {
      const f = r.of([24 + r.below(LOW - 24), 24 + r.below(LOW - 24), HIGH + 2 + r.below(HIGH_FRAMES + 2), HOLE]); // no tables: they would stay empty
      return [Math.floor(f / HIGH), (f << 12) | 0];
    };
    const [aHi, aLo] = pick(), [bHi, bLo] = r.chance(0.3) ? [aHi, aLo + 4096 * r.below(4) | 0] : pick();
    this.count('pages', n);
    switch (r.below(5)) {
      case 0: return this.same('clear', clearPages(s, aHi, aLo, n), e.clearPages(aHi, aLo, n));
      case 1: return this.same('copy', copyPages(s, aHi, aLo, bHi, bLo, n), e.copyPages(aHi, aLo, bHi, bLo, n));
      case 2: return this.same('hash', hashPages(s, aHi, aLo, n), e.hashPages(aHi, aLo, n));
      case 3: return this.same('pages with bytes', backedPages(s, aHi, aLo, n), e.backedPages(aHi, aLo, n));
      default: return this.same('compare', comparePages(s, aHi, aLo, bHi, bLo, n), e.comparePages(aHi, aLo, bHi, bLo, n));
    }
  }

  private settle(): void {
    const at = (this.ts.block + VCPU_OWED) >>> 2, a = this.ts.s.w, b = this.wasm.s.w;
    this.same('owed, low word', a[at], b[at]);
    this.same('owed, high word', a[at + 1], b[at + 1]);
    if (a[at] !== 0) this.owed++;
    for (const w of [a, b]) w[at] = w[at + 1] = 0;
  }

  /** Make `n` operations. @throws at the first difference in a result */
  play(n: number): void {
    for (let k = 0; k < n; k++) this.step();
  }

  step(): void {
    const r = this.random, what = r.below(100);
    if (what < 12) this.setRow(r.of(this.frames));
    else if (what < 24) this.putEntry(r.of(this.tables), r.below(512));
    else if (what < 60) this.run();
    else if (what < 99) this.update();
    else this.pages();
    this.settle();
  }

  /** Byte offsets at which the two states differ, the first few. */
  differences(): number[] {
    const a = this.ts.s.u8, b = this.wasm.s.u8;
    if (Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0) return [];
    const found: number[] = [];
    for (let i = 0; i < a.length && found.length < 8; i++) if (a[i] !== b[i]) found.push(i);
    return found;
  }

  get limit(): number {
    return this.ts.s.w[HDR_FRAME_LIMIT >>> 2]!;
  }
}
