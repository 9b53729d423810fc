/**
 * What a trace touches, whatever runs it: pages in the order of their first touch, working sets, a map of the address space.
 *
 * Memory is bounded by the pages touched, not by the length of the trace.
 */
import { CENSUS_WINDOWS, CENSUS_WINDOW_SHIFT, CENSUS_WINDOW_STEP, TOUCH_AT, TOUCH_BYTES, TOUCH_SIZE, TOUCH_WORD } from '../layout/census.ts';
import type { AccessInput } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
import type { Touches } from '../machine/touch-batch.ts';
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE } from './batch.ts';
import { PageCounts } from './page-counts.ts';
import type { MapRegion, WorkingSetPoint } from './replay-result.ts';

const WINDOWS = Array.from({ length: CENSUS_WINDOWS }, (_, n) => 1 << (CENSUS_WINDOW_SHIFT + n * CENSUS_WINDOW_STEP));
const REGION_GAP = 16; // pages: smaller holes do not split a region of the map
const MAX_REGIONS = 200;

/** A 4K page touched for the first time. */
export interface NewPage {
  /** Linear address >> 12, exact (at most 2^52). */
  readonly page: number;
  /** Index in the batch of the access that touched it. */
  readonly at: number;
}

export class Census {
  private readonly index = new Map<number, number>();
  private readonly pages: number[] = [];
  private readonly counts: PageCounts;

  /** @param machine - in whose memory it is kept @throws ConfigError - no room */
  constructor(machine: Machine) {
    this.counts = new PageCounts(machine);
  }

  /** Forget everything. */
  clear(): void {
    this.counts.clear(this.pages.length);
    this.index.clear();
    this.pages.length = 0;
  }

  /** Look at the first accesses of columns of the machine. @returns pages they touch for the first time, in order */
  add(columns: AccessInput, count: number): NewPage[] {
    const fresh: NewPage[] = [], { va, size } = columns;
    for (let i = 0; (i = this.counts.columns(columns, i, count)) < count;) this.identify(va[2 * i + 1], va[2 * i], size[i], i, fresh);
    return fresh;
  }

  /** add() of a block, where the machine's engine can reach it. @param count - its accesses */
  addTouches(touches: Touches, count: number): NewPage[] {
    const fresh: NewPage[] = [], { rows } = touches, at = (row: number): number => rows[row + (TOUCH_WORD >>> 2)] & TOUCH_AT;
    for (let row = TOUCH_BYTES >>> 2; at(row = this.counts.touched(touches, row, count)) < count;) {
      this.identify(rows[row + 1], rows[row], rows[row + (TOUCH_SIZE >>> 2)] & 0xffff, at(row), fresh);
    }
    return fresh;
  }

  /** Makes the pages of an access known. */
  private identify(hi: number, lo: number, bytes: number, at: number, fresh: NewPage[]): void {
    let page = (hi >>> 0) * 0x100000 + (lo >>> 12);
    for (let left = (lo & 0xfff) + bytes; left > 0; left -= 4096) {
      let place = this.index.get(page);
      if (place === undefined) {
        place = this.pages.length;
        this.index.set(page, place);
        this.pages.push(page);
        fresh.push({ page, at });
      }
      this.counts.know(page, place);
      page = (page + 1) % 2 ** 52;
    }
  }

  get accesses(): number {
    return this.counts.accesses;
  }

  get pages4k(): number {
    return this.pages.length;
  }

  /** Average distinct pages in windows of each size that fits the trace; the last window may be short and counts in proportion. */
  workingSet(): WorkingSetPoint[] {
    return WINDOWS.map((window, n) => ({ window, pages: this.counts.windowPages(n) / Math.ceil(this.accesses / window) }))
      .filter((p, n) => n === 0 || p.window <= this.accesses);
  }

  /** Regions of the address space, ascending; the smallest gaps are closed if there would be too many. */
  map(): MapRegion[] {
    const order = [...this.pages.keys()].sort((a, b) => this.pages[a] - this.pages[b]);
    let gap = REGION_GAP;
    let regions = this.regions(order, gap);
    while (regions.length > MAX_REGIONS) regions = this.regions(order, gap *= 4);
    return regions;
  }

  private regions(order: readonly number[], gap: number): MapRegion[] {
    const found: { first: number; last: number; ids: number[] }[] = [];
    for (const id of order) {
      const page = this.pages[id], here = found.at(-1);
      if (here && page - here.last <= gap) {
        here.last = page;
        here.ids.push(id);
      } else found.push({ first: page, last: page, ids: [id] });
    }
    const sum = (ids: number[], column: number) => ids.reduce((total, id) => total + this.counts.touches(id, column), 0);
    return found.map(r => ({
      start: hex(r.first), end: hex(r.last + 1), pages: r.ids.length, loads: sum(r.ids, 0), stores: sum(r.ids, 1), fetches: sum(r.ids, 2),
    }));
  }

  /** Accesses by kind, as in a trace's summary. */
  get kinds(): { loads: number; stores: number; fetches: number; modifies: number } {
    const [loads, stores, fetches, modifies] = [KIND_LOAD, KIND_STORE, KIND_FETCH, KIND_MODIFY].map(k => this.counts.kind(k));
    return { loads, stores, fetches, modifies };
  }
}

const hex = (page: number): string => `0x${(BigInt(page) << 12n).toString(16)}`;
