/** The census of a trace's pages by both engines, on the same bytes: from any access on, so that windows of every size and marks that go round are met. */
import { expect, it } from 'vitest';
import type { Accelerator } from '../../src/accel/engine.ts';
import { CENSUS_BYTES, CENSUS_DONE, CENSUS_MARKS, CENSUS_WINDOWS, CENSUS_WINDOW_SHIFT, CENSUS_WINDOW_STEP, PAGE_ROW_BYTES, TOUCH_COUNT_SHIFT } from '../../src/layout/census.ts';
import { Machine } from '../../src/machine/machine.ts';
import { WASM_PAGE_BYTES } from '../../src/memory/views.ts';
import { PageCounts } from '../../src/trace/page-counts.ts';
import { Random } from './engine-duel.ts';

const PAGES = 300, MOST = 3000, FETCH = 2;
const window = (n: number): number => 2 ** (CENSUS_WINDOW_SHIFT + n * CENSUS_WINDOW_STEP);

/** How often each was called. */
const called = { countColumns: 0, countTouches: 0 };

function counting(accelerator: Accelerator): Accelerator {
  return {
    ...accelerator,
    countColumns: (...args) => { called.countColumns++; return accelerator.countColumns(...args); },
    countTouches: (...args) => { called.countTouches++; return accelerator.countTouches(...args); },
  };
}

/** One engine's, with columns and rows in its machine's memory. */
class Counted {
  readonly machine: Machine;
  readonly counts: PageCounts;
  private readonly columns;
  private readonly rows: Int32Array;
  private readonly base: number;
  private readonly offset: number;

  constructor(engine: 'ts' | 'wasm') {
    const machine = this.machine = Machine.create({ engine, memory: '1M', paging: 'none' }), { views, accelerator } = machine;
    if (accelerator) Object.assign(machine, { accelerator: counting(accelerator) });
    this.base = views.byteLength;
    this.counts = new PageCounts(machine);
    this.counts.know(0, 0); // makes room for the rows of pages, behind the counts in both
    this.offset = views.grow(MOST * 16 + 16);
    this.rows = new Int32Array(views.memory.buffer, this.offset, MOST * 4 + 4);
    this.columns = machine.columns(MOST);
  }

  /** As if so many accesses had been counted. */
  begin(done: number): void {
    this.counts.clear(PAGES);
    this.machine.views.w.set([done | 0, Math.floor(done / 2 ** 32)], (this.base + CENSUS_DONE) >>> 2);
  }

  column(accesses: readonly Access[]): void {
    const { columns } = this;
    accesses.forEach(({ page, at, kind, size }, i) => {
      columns.va.set([(page << 12) | at, 0x7f00], 2 * i);
      columns.kind[i] = kind;
      columns.size[i] = size;
    });
    for (let i = 0; (i = this.counts.columns(columns, i, accesses.length)) < accesses.length;) this.know(accesses[i]!);
  }

  /** @param n - accesses of each, of which only fetches may be several */
  touched(accesses: readonly Access[]): void {
    let at = 0;
    accesses.forEach(({ page, at: inside, kind, size, n }, i) => {
      this.rows.set([(page << 12) | inside, 0x7f00, (n << TOUCH_COUNT_SHIFT) | at, size | (kind << 16)], 4 * i);
      at += n;
    });
    this.rows.set([0, 0, at, 0], accesses.length * 4);
    const touches = { rows: this.rows, offset: this.offset, views: this.machine.views };
    for (let row = 0; (row = this.counts.touched(touches, row, at)) < accesses.length * 4;) this.know(accesses[row / 4]!);
  }

  private know({ page, at, size }: Access): void {
    for (let p = page; p << 12 < (page << 12) + at + size; p++) this.counts.know(0x7f00 * 0x100000 + p, p);
  }

  bytes(): Buffer {
    const rows = Math.ceil(CENSUS_BYTES / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
    return Buffer.from(this.machine.views.u8.slice(this.base, this.base + rows + PAGES * PAGE_ROW_BYTES));
  }
}

interface Access { readonly page: number; readonly at: number; readonly kind: number; readonly size: number; readonly n: number }

/** Accesses from number `done` on; none of several reaches over the edge of a window. */
function accesses(r: Random, done: number, many: boolean): Access[] {
  const all: Access[] = [];
  for (let k = 0; k < 2500; k++) {
    const kind = r.below(4), n = many && kind === FETCH ? 1 + r.below(Math.min(40, window(0) - (done % window(0)))) : 1;
    all.push({ page: r.below(r.chance(0.5) ? 5 : PAGES - 3), at: r.below(4096), kind, size: n > 1 || r.chance(0.8) ? 1 : 1 + r.below(9000), n });
    if (n > 1) all.push({ ...all.pop()!, at: 0 });
    done += n;
  }
  return all;
}

// A little before the edge of a window of each size, and of the largest more than once; before marks begin anew; and beyond 32 bits.
const STARTS = [0, ...Array.from({ length: CENSUS_WINDOWS }, (_, n) => window(n) - 900), 3 * window(CENSUS_WINDOWS - 1) - 700, CENSUS_MARKS * window(0) - 1500, 2 ** 33 + 5];

it.each(['column', 'touched'] as const)('%s: the same bytes from both engines, and the distinct pages of each window', door => {
  const r = new Random(7), ts = new Counted('ts'), wasm = new Counted('wasm');
  for (const start of STARTS) {
    for (const side of [ts, wasm]) side.begin(start);
    const seen = Array.from({ length: CENSUS_WINDOWS }, () => new Set<string>()); // by size: window and page
    let done = start;
    for (let round = 0; round < 2; round++) {
      const list = accesses(r, done, door === 'touched');
      for (const side of [ts, wasm]) side[door](list);
      for (const { n, page, at, size } of list) {
        for (let p = page; p << 12 < (page << 12) + at + size; p++) seen.forEach((set, w) => set.add(`${Math.floor(done / window(w))} ${p}`));
        done += n;
      }
    }
    expect([ts.counts.accesses, wasm.counts.accesses], `from ${start}`).toEqual([done, done]);
    expect(seen.map((_, w) => wasm.counts.windowPages(w)), `from ${start}`).toEqual(seen.map(set => set.size));
    expect(Buffer.compare(ts.bytes(), wasm.bytes()), `from ${start}`).toBe(0);
  }
  expect(door === 'column' ? called.countColumns : called.countTouches).toBeGreaterThan(STARTS.length);
});
