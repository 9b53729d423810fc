/**
 * What a trace touches, whatever runs it: pages in the order of their first touch, working sets, a map of the address space.
 *
 * Memory is bounded by the pages touched, not by the length of the trace.
 */
import { CENSUS_WINDOWS, CENSUS_WINDOW_SHIFT, CENSUS_WINDOW_STEP } from '../layout/census.ts';
import type { AccessInput } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
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

  /** Look at the first accesses of columns of the machine. @param touches - byte offset of the words that tell what to count, 0 = there are none @returns pages they touch for the first time, in order */
  add(columns: AccessInput, count: number, touches = 0): NewPage[] {
    const fresh: NewPage[] = [];
    for (let i = 0; (i = this.counts.count(columns, i, count, touches)) < count;) this.identify(columns, i, fresh);
    return fresh;
  }

  /** Makes the pages of an access known. */
  private identify({ va, size }: AccessInput, at: number, fresh: NewPage[]): void {
    const lo = va[2 * at], hi = va[2 * at + 1];
    let page = (hi >>> 0) * 0x100000 + (lo >>> 12);
    for (let left = (lo & 0xfff) + size[at]; left > 0; left -= 4096) {
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
