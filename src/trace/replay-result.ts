/** What a replay measured: plain JSON, the only thing that reports read. */

/** Counts by structure size, in the order 4k, 2m, 1g. */
export type BySize = readonly [number, number, number];

/** One TLB level, for one kind of access. */
export interface TlbCounts {
  /** 1 = searched first. */
  readonly level: number;
  readonly loadHits: number;
  readonly storeHits: number;
  readonly fetchHits: number;
  readonly loadMisses: number;
  readonly storeMisses: number;
  readonly fetchMisses: number;
  /** Misses by the size of the page that was then found. */
  readonly missesBySize: BySize;
}

/** Cycles by cause; they add up to `total`. */
export interface Cycles {
  readonly tlb: number; //        hits in TLB levels beyond the free first one
  readonly walkStart: number; //  fixed cost of walks
  readonly walkLoads: number; //  loads of paging-structure entries
  readonly data: number; //       the accesses themselves; 0 unless asked for
  readonly total: number;
}

/** A point of a time series: sums over the accesses since the point before. */
export interface SeriesPoint {
  /** Accesses replayed up to here. */
  readonly at: number;
  readonly l1Misses: number;
  readonly walks: number;
  readonly cycles: number;
  /** Distinct 4K pages touched for the first time. */
  readonly newPages: number;
}

/** One process image under one processor and one page size. */
export interface ReplayRun {
  readonly cpu: string;
  readonly cpuTitle: string;
  readonly clockGHz: number;
  /** Page size policy: `4k`, `2m`, `1g`, `thp`. */
  readonly pages: string;
  /** Translations made: an access that crosses a page makes one for each part, a modify one load and one store. */
  readonly translations: number;
  readonly tlb: readonly TlbCounts[];
  readonly walks: number;
  /** Walks by number of references made: index 0 to 5. */
  readonly walkDepth: readonly number[];
  readonly references: number;
  /** Where the references hit: names of the cache levels, then `memory`. */
  readonly referenceHits: readonly { readonly where: string; readonly count: number }[];
  readonly cycles: Cycles;
  readonly series: readonly SeriesPoint[];
  /** Pages mapped, by size, and bytes of paging structures built for them. */
  readonly mapped: BySize;
  readonly tableBytes: number;
}

/** A contiguous piece of the address space that the trace touched. */
export interface MapRegion {
  /** Hexadecimal linear addresses with 0x; `end` is exclusive. */
  readonly start: string;
  readonly end: string;
  /** Distinct 4K pages touched inside. */
  readonly pages: number;
  readonly loads: number;
  readonly stores: number;
  readonly fetches: number;
}

/** Average number of distinct 4K pages in windows of `window` accesses. */
export interface WorkingSetPoint {
  readonly window: number;
  readonly pages: number;
}

export interface TraceSummary {
  /** File name without folders, or `-` for standard input. */
  readonly name: string;
  readonly format: string;
  readonly accesses: number;
  readonly loads: number;
  readonly stores: number;
  readonly fetches: number;
  readonly modifies: number;
  readonly systemCalls: number;
  readonly skipped: number;
  /** Distinct 4K pages touched. */
  readonly pages4k: number;
  readonly workingSet: readonly WorkingSetPoint[];
  readonly map: readonly MapRegion[];
}

/** All of one `pagewalk replay`. */
export interface ReplayResult {
  readonly version: 1;
  readonly trace: TraceSummary;
  readonly runs: readonly ReplayRun[];
  readonly seconds: number;
  /** Accesses a second, all runs together: `accesses * runs / seconds`. */
  readonly rate: number;
}
