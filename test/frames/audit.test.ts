/**
 * A small hypervisor that is nothing but the runs: tables become validated, change and are given up at random. An oracle, written entry by
 * entry in the words of the rules, says what each run must do; all references are recounted from the tables.
 */
import { expect, it } from 'vitest';
import { PGT_COUNT, PGT_L1_TABLE, PGT_TYPE_MASK, PGT_VALIDATED, PGT_WRITABLE } from '../../src/layout/frame.ts';
import { Random } from '../wasm/engine-duel.ts';
import { at, DOMAIN, entry, FRAMES, FrameWorld, MODES } from './world.ts';

const TABLES = [16, 17, 18, 19, 20, 21], DATA_FROM = 32, DATA = 24;
const FOREIGN_FRAME = DATA_FROM + DATA, PWT = 8n, STOP = 8, STEPS = 6000;
const KEPT_FREE = 0xfff0_0000_0000_0e64n | 0x100n; // flags that change freely: 63:52, 11:9, G, D, A, U/S

class Hypervisor {
  readonly x: FrameWorld;
  readonly counts = { validated: 0, refused: 0, dropped: 0, updated: 0, declined: 0 };
  private readonly random: Random;
  private readonly validated = new Set<number>();

  constructor(mode: (typeof MODES)[number], seed: number) {
    this.x = new FrameWorld(mode);
    this.random = new Random(seed);
    for (let f = 0; f < FRAMES; f++) this.x.setFrame(f, { owner: f === FOREIGN_FRAME ? 8 : DOMAIN, refs: 1, type: 0 });
    for (const t of TABLES) for (let i = 0; i < 512; i++) this.x.setEntry(t, i, this.value());
  }

  private value(): bigint {
    const r = this.random, some = (bits: bigint, p: number): bigint => (r.chance(p) ? bits : 0n);
    const frame = r.chance(0.002) ? r.of([FOREIGN_FRAME, FRAMES, 2 ** 30]) : r.chance(0.03) ? r.of(TABLES) : DATA_FROM + r.below(DATA);
    const writable = TABLES.includes(frame) ? 0.01 : 0.6;
    return entry(frame, some(1n, 0.7) | some(2n, writable) | some(4n, 0.7) | some(0x20n, 0.5) | some(0x100n, 0.3) | some(1n << 52n, 0.3) | some(1n << 63n, 0.2) | some(PWT, 0.001));
  }

  /** May the runs take what an entry maps? */
  private allowed(e: bigint): boolean {
    const frame = Number((e >> 12n) & 0xff_ffff_ffffn);
    if (frame >= FRAMES || frame === FOREIGN_FRAME || (e & PWT) !== 0n) return false;
    if ((e & 2n) === 0n) return true;
    const { type } = this.x.frame(frame);
    return (type & PGT_TYPE_MASK) === PGT_WRITABLE || type === 0;
  }

  private kept(e: bigint): bigint {
    if ((e & 1n) === 0n) return e;
    if ((e & 4n) === 0n) e |= 1n << 52n;
    if ((e & (1n << 52n)) === 0n) e |= 0x100n;
    return e | 4n;
  }

  private validate(table: number): void {
    const before = Array.from({ length: 512 }, (_, i) => this.x.entry(table, i));
    const first = before.findIndex(e => (e & 1n) !== 0n && !this.allowed(e)), good = first < 0 ? 512 : first;
    // The table is one from here on: no entry of it may map it writable. An entry that did is refused.
    const { type, refs } = this.x.frame(table);
    if (type !== 0 && (type & PGT_TYPE_MASK) !== PGT_L1_TABLE) return;
    this.x.setFrame(table, { type: PGT_L1_TABLE | 1, refs: refs + 1 });
    const selfish = before.findIndex(e => (e & 3n) === 3n && Number((e >> 12n) & 0xff_ffff_ffffn) === table);
    const end = selfish < 0 ? good : Math.min(good, selfish);
    expect(this.x.validateTable(table, STOP, 1)).toBe(end === 512 ? 512 : 0);
    before.forEach((e, i) => { if (this.x.entry(table, i) !== (i < end ? this.kept(e) : e)) throw new Error(`entry ${i} was adjusted wrongly`); });
    if (end === 512) this.validated.add(table);
    this.x.setFrame(table, end === 512 ? { type: PGT_L1_TABLE | PGT_VALIDATED | 1 } : { type: 0, refs: this.x.frame(table).refs - 1 });
    this.counts[end === 512 ? 'validated' : 'refused']++;
  }

  private drop(table: number): void {
    expect(this.x.drop(table)).toBe(0);
    this.x.setFrame(table, { type: PGT_L1_TABLE, refs: this.x.frame(table).refs - 1 });
    this.validated.delete(table);
    this.counts.dropped++;
  }

  private update(): void {
    const r = this.random, requests: [bigint, bigint][] = [];
    const places = new Set<number>();
    while (requests.length < 8) {
      const table = r.of(TABLES), i = r.below(512);
      if (!places.has(table * 512 + i)) requests.push([at(table, i, r.of([0, 0, 2, 3])), this.value()]);
      places.add(table * 512 + i);
    }
    const old = requests.map(([ptr]) => this.x.entry(Number(ptr >> 12n), Number(ptr & 0xfffn) >> 3));
    const common = requests.map(([ptr, value], k) => this.validated.has(Number(ptr >> 12n)) && ((value & 1n) === 0n || ((value & PWT) === 0n && (this.allowed(value)
      || ((this.kept(value) ^ old[k]!) & ~KEPT_FREE) === 0n))));
    const n = common.includes(false) ? common.indexOf(false) : 8;
    expect(this.x.updateAll(requests, STOP, 1)).toBe(n);
    requests.forEach(([ptr, value], k) => {
      const ad = (ptr & 7n) === 2n ? old[k]! & 0x60n : 0n, now = this.x.entry(Number(ptr >> 12n), Number(ptr & 0xfffn) >> 3);
      if (now !== (k < n ? this.kept(value) | ad : old[k])) throw new Error(`request ${k} of ${n}: 0x${now.toString(16)}`);
    });
    this.counts.updated += n;
    if (n < 8) this.counts.declined++;
  }

  step(): void {
    const r = this.random, table = r.of(TABLES);
    if (r.chance(0.7)) this.update();
    else if (!this.validated.has(table)) {
      for (let k = r.below(40); k > 0; k--) this.x.setEntry(table, r.below(512), this.value());
      this.validate(table);
    } else if (r.chance(0.3)) this.drop(table);
    expect(this.x.owed()).toBe(0n);
  }

  /** Recount every reference from the validated tables. */
  audit(): void {
    const refs = new Array<number>(FRAMES).fill(1), uses = new Array<number>(FRAMES).fill(0);
    for (const table of this.validated) {
      refs[table]++;
      for (let i = 0; i < 512; i++) {
        const e = this.x.entry(table, i), frame = Number((e >> 12n) & 0xff_ffff_ffffn);
        if ((e & 1n) === 0n) continue;
        refs[frame]++;
        if (e & 2n) uses[frame]++;
      }
    }
    for (let f = 0; f < FRAMES; f++) {
      const frame = this.x.frame(f), isTable = (frame.type & PGT_TYPE_MASK) === PGT_L1_TABLE && (frame.type & PGT_COUNT) !== 0;
      expect(frame.refs, `references of frame ${f}`).toBe(refs[f]);
      if (isTable) expect(uses[f], `a table is mapped writable, frame ${f}`).toBe(0);
      else expect(frame.type & PGT_COUNT, `type uses of frame ${f}`).toBe(uses[f]);
    }
  }
}

it.each(MODES)('$engine, vCPUs $vcpus: the counts are those of the tables, always', mode => {
  const h = new Hypervisor(mode, 4711);
  for (let k = 0; k < STEPS; k++) {
    h.step();
    if (k % 20 === 0) h.audit();
  }
  h.audit();
  for (const [what, n] of Object.entries(h.counts)) expect(n, what).toBeGreaterThan(100);
});
