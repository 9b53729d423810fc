/**
 * What a trace touches, whatever runs it: pages in the order of their first touch, working sets, a map of the address space.
 *
 * Memory is bounded by the pages touched, not by the length of the trace.
 */
import { CENSUS_ACCESSES, CENSUS_KIND, CENSUS_KINDS, CENSUS_NOW, CENSUS_SIZE, CENSUS_VA, CENSUS_WINDOW_PAGES, PAGE_TOUCHES } from '../layout/census.ts';
import type { EngineChoice } from '../machine/options.ts';
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE, type AccessBatch } from './batch.ts';
import { PageCounts } from './page-counts.ts';
import type { MapRegion, WorkingSetPoint } from './replay-result.ts';

const WINDOWS = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24];
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
  accesses = 0;
  systemCalls = 0;
  private readonly index = new Map<number, number>();
  private readonly pages: number[] = [];
  private readonly counts: PageCounts;

  /** @param engine - what counts; `ts`, or wasm where it can be */
  constructor(engine: EngineChoice = 'auto') {
    this.counts = new PageCounts(engine);
  }

  /** Look at a batch. @returns pages it touches for the first time, in order */
  add(batch: AccessBatch): NewPage[] {
    const fresh: NewPage[] = [], { count, events } = batch;
    for (let at = 0; at < count; at += CENSUS_ACCESSES) this.addPart(batch, at, Math.min(count, at + CENSUS_ACCESSES), fresh);
    this.systemCalls += events.length;
    return fresh;
  }

  /** As many accesses as the columns hold. */
  private addPart({ va, kind, size }: AccessBatch, first: number, last: number, fresh: NewPage[]): void {
    const { counts } = this, [window] = WINDOWS;
    counts.w.set(va.subarray(2 * first, 2 * last), CENSUS_VA >>> 2);
    counts.u8.set(kind.subarray(first, last), CENSUS_KIND);
    counts.u16.set(size.subarray(first, last), CENSUS_SIZE >>> 1);
    for (let i = first; i < last;) {
      const end = Math.min(last, i + window - (this.accesses % window));
      for (let n = 0; n < WINDOWS.length; n++) counts.w[(CENSUS_NOW >>> 2) + n] = Math.floor(this.accesses / WINDOWS[n]) + 1;
      this.accesses += end - i;
      while ((i = first + counts.count(i - first, end - first)) < end) this.identify(va[2 * i], va[2 * i + 1], size[i], i, fresh);
    }
  }

  /** Makes the pages of an access known. */
  private identify(lo: number, hi: number, size: number, at: number, fresh: NewPage[]): void {
    let page = (hi >>> 0) * 0x100000 + (lo >>> 12);
    for (let left = (lo & 0xfff) + size; left > 0; left -= 4096) {
      let place = this.index.get(page);
      if (place === undefined) {
        place = this.pages.length;
        this.index.set(page, place);
        this.pages.push(page);
        fresh.push({ page, at });
      }
      this.counts.know(page, this.counts.row(place));
      page = (page + 1) % 2 ** 52;
    }
  }

  get pages4k(): number {
    return this.pages.length;
  }

  /** Average distinct pages in windows of each size that fits the trace; the last window may be short and counts in proportion. */
  workingSet(): WorkingSetPoint[] {
    return WINDOWS.map((window, n) => ({ window, pages: this.counts.at(CENSUS_WINDOW_PAGES + 8 * n) / Math.ceil(this.accesses / window) }))
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
    const sum = (ids: number[], column: number) => ids.reduce((total, id) => total + this.counts.at(this.counts.row(id) + PAGE_TOUCHES + 8 * column), 0);
    return found.map(r => ({
      start: hex(r.first), end: hex(r.last + 1), pages: r.ids.length, loads: sum(r.ids, 0), stores: sum(r.ids, 1), fetches: sum(r.ids, 2),
    }));
  }

  /** Accesses by kind, as in a trace's summary. */
  get kinds(): { loads: number; stores: number; fetches: number; modifies: number } {
    const [loads, stores, fetches, modifies] = [KIND_LOAD, KIND_STORE, KIND_FETCH, KIND_MODIFY].map(k => this.counts.at(CENSUS_KINDS + 8 * k));
    return { loads, stores, fetches, modifies };
  }
}

const hex = (page: number): string => `0x${(BigInt(page) << 12n).toString(16)}`;
