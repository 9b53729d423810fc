/**
 * What a trace touches, whatever runs it: pages in the order of their first touch, working sets, a map of the address space.
 *
 * Memory is bounded by the pages touched, not by the length of the trace.
 */
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE, type AccessBatch } from './batch.ts';
import type { MapRegion, WorkingSetPoint } from './replay-result.ts';

const FILTER = 4096; // recently touched pages, direct-mapped: spares the hash map
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
  readonly byKind = new Float64Array(4);
  systemCalls = 0;
  private readonly index = new Map<number, number>();
  private readonly pages: number[] = [];
  private touches = new Float64Array(3 * 1024); // loads, stores, fetches of each page, as KIND_* are numbered
  private stamps = new Int32Array(WINDOWS.length * 1024); // last window of each size that saw the page, + 1
  private readonly windowPages = new Float64Array(WINDOWS.length); // distinct pages summed over windows
  private readonly filterLo = new Int32Array(FILTER); // address with bits 11:0 set: never 0
  private readonly filterHi = new Int32Array(FILTER);
  private readonly filterIndex = new Int32Array(FILTER);

  /** Look at a batch. @returns pages it touches for the first time, in order */
  add(batch: AccessBatch): NewPage[] {
    const fresh: NewPage[] = [];
    for (let i = 0; i < batch.count;) {
      const end = Math.min(batch.count, i + WINDOWS[0] - (this.accesses % WINDOWS[0]));
      this.addWindow(batch, i, end, fresh);
      i = end;
    }
    this.systemCalls += batch.events.length;
    return fresh;
  }

  /** Accesses of one smallest window: nearly all are to a page that it has seen, and that the filter knows. */
  private addWindow(batch: AccessBatch, from: number, to: number, fresh: NewPage[]): void {
    const { va, kind, size } = batch, { filterLo, filterHi, filterIndex } = this, before = this.accesses;
    const now = Math.floor(before / WINDOWS[0]) + 1, each = WINDOWS.length, slots = FILTER - 1;
    let { touches, stamps } = this, few = 0, more = 0; // accesses by kind, 16 bits each: kinds 0 and 1, 2 and 3; no processor can predict kinds
    for (let i = from; i < to; i++) {
      const lo = va[2 * i], hi = va[2 * i + 1], k = kind[i], slot = (lo >>> 12) & slots, id = filterIndex[slot];
      const one = 1 << ((k & 1) << 4), second = -(k >> 1);
      few += one & ~second;
      more += one & second;
      if (filterLo[slot] === (lo | 0xfff) && filterHi[slot] === hi && stamps[each * id] === now && k !== KIND_MODIFY && (lo & 0xfff) + size[i] <= 4096) {
        touches[3 * id + k]++;
        continue;
      }
      this.accesses = before + i - from;
      let page = (hi >>> 0) * 0x100000 + (lo >>> 12);
      for (let left = (lo & 0xfff) + size[i]; left > 0; left -= 4096) {
        this.touch(page, k, i, fresh);
        page = (page + 1) % 2 ** 52;
      }
      ({ touches, stamps } = this);
    }
    this.accesses = before + to - from;
    [few & 0xffff, few >>> 16, more & 0xffff, more >>> 16].forEach((n, k) => { this.byKind[k] += n; });
  }

  get pages4k(): number {
    return this.pages.length;
  }

  private touch(page: number, kind: number, at: number, fresh: NewPage[]): void {
    const slot = page % FILTER, lo = (page << 12) | 0xfff, hi = Math.floor(page / 0x100000) | 0;
    let id = this.filterIndex[slot];
    if (this.filterLo[slot] !== lo || this.filterHi[slot] !== hi) {
      id = this.identify(page, at, fresh);
      this.filterLo[slot] = lo;
      this.filterHi[slot] = hi;
      this.filterIndex[slot] = id;
    }
    if (kind !== KIND_MODIFY) this.touches[3 * id + kind]++;
    else {
      this.touches[3 * id + KIND_LOAD]++;
      this.touches[3 * id + KIND_STORE]++;
    }
    // Windows nest: a page seen in the current small one was seen in every larger one around it.
    for (let n = 0; n < WINDOWS.length; n++) {
      const now = Math.floor(this.accesses / WINDOWS[n]) + 1, stamp = WINDOWS.length * id + n;
      if (this.stamps[stamp] === now) return;
      this.stamps[stamp] = now;
      this.windowPages[n]++;
    }
  }

  private identify(page: number, at: number, fresh: NewPage[]): number {
    let id = this.index.get(page);
    if (id === undefined) {
      id = this.pages.length;
      this.index.set(page, id);
      this.pages.push(page);
      fresh.push({ page, at });
      if (3 * this.pages.length > this.touches.length) {
        this.touches = doubled(this.touches, new Float64Array(this.touches.length * 2));
        this.stamps = doubled(this.stamps, new Int32Array(this.stamps.length * 2));
      }
    }
    return id;
  }

  /** Average distinct pages in windows of each size that fits the trace; the last window may be short and counts in proportion. */
  workingSet(): WorkingSetPoint[] {
    return WINDOWS.map((window, n) => ({ window, pages: this.windowPages[n] / Math.ceil(this.accesses / window) }))
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
    const sum = (ids: number[], column: number) => ids.reduce((total, id) => total + this.touches[3 * id + column], 0);
    return found.map(r => ({
      start: hex(r.first), end: hex(r.last + 1), pages: r.ids.length, loads: sum(r.ids, 0), stores: sum(r.ids, 1), fetches: sum(r.ids, 2),
    }));
  }

  /** Accesses by kind, as in a trace's summary. */
  get kinds(): { loads: number; stores: number; fetches: number; modifies: number } {
    const [loads, stores, fetches, modifies] = [KIND_LOAD, KIND_STORE, KIND_FETCH, KIND_MODIFY].map(k => this.byKind[k]);
    return { loads, stores, fetches, modifies };
  }
}

const hex = (page: number): string => `0x${(BigInt(page) << 12n).toString(16)}`;

function doubled<T extends Float64Array | Int32Array>(from: T, into: T): T {
  into.set(from as never);
  return into;
}
