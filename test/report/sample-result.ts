/** Replay results that look like real ones and depend on nothing but the options. */

import type {
  BySize, Cycles, MapRegion, ReplayResult, ReplayRun, SeriesPoint, TlbCounts, WorkingSetPoint,
} from '../../src/trace/replay-result.ts';

/** What to vary. */
export interface SampleOptions {
  readonly name?: string;
  readonly accesses?: number;
  readonly cpus?: readonly string[];
  readonly pages?: readonly string[];
  /** Points of the series. */
  readonly points?: number;
  /** Scales all misses; 0 for none. */
  readonly missing?: number;
  /** Counts data accesses too. */
  readonly data?: boolean;
  readonly regions?: number;
}

/** `missing` of a thousand accesses miss L1 for each policy, before the phases of the program. */
const MISS_RATE: Readonly<Record<string, number>> = { '4k': 38, 'thp': 9, '2m': 4.1, '1g': 0.9 };

/** A trace of a compiler, two processors and two policies unless asked otherwise. */
export function sampleResult(options: SampleOptions = {}): ReplayResult {
  const { accesses = 10_000_000, cpus = ['skylake', 'zen3'], pages = ['4k', '2m'], points = 200 } = options;
  const { missing = 1, data = false, regions = 9, name = 'gcc.pwt.gz' } = options;
  const runs = cpus.flatMap((cpu, c) => pages.map((policy) => {
    const rate = (MISS_RATE[policy] ?? 20) * missing * (1 + 0.35 * c) / (1 + 0.12 * c * c);
    return sampleRun(cpu, policy, { accesses, points, rate, data, three: c % 3 === 1 });
  }));
  const loads = Math.round(accesses * 0.31);
  const stores = Math.round(accesses * 0.14);
  return {
    version: 1,
    trace: {
      name, format: 'pwt', accesses, loads, stores, fetches: accesses - loads - stores, modifies: 1234,
      systemCalls: 87, skipped: 0, pages4k: 21_934,
      workingSet: sampleWorkingSet(accesses), map: sampleMap(regions, accesses),
    },
    runs, seconds: 2.375, rate: (accesses * runs.length) / 2.375,
  };
}

interface RunOptions {
  readonly accesses: number;
  readonly points: number;
  readonly rate: number;
  readonly data: boolean;
  readonly three: boolean;
}

function sampleRun(cpu: string, pages: string, { accesses, points, rate, data, three }: RunOptions): ReplayRun {
  const series = sampleSeries(accesses, points, rate);
  const l1 = series.reduce((sum, point) => sum + point.l1Misses, 0);
  const walks = series.reduce((sum, point) => sum + point.walks, 0);
  const depths = pages === '4k' ? [0.82, 0.15, 0.02, 0.01] : [0.93, 0.06, 0.01];
  const walkDepth = [0, ...split(walks, depths), 0, 0].slice(0, 6);
  const references = walkDepth.reduce((sum, n, depth) => sum + n * depth, 0);
  const [inL1 = 0, inL2 = 0, inL3 = 0, memory = 0] = split(references, [0.41, 0.33, 0.21, 0.05]);
  const translations = accesses + 5120;
  const size = pages === '4k' ? 0 : pages === '1g' ? 2 : 1;
  const cycles = sampleCycles(l1, walks, [inL1, inL2, inL3, memory], data ? accesses * 4.6 : 0);
  return {
    cpu, cpuTitle: `Sample ${cpu} (core)`, clockGHz: 3.8, pages, translations,
    tlb: [sampleTlb(1, translations, l1, size), sampleTlb(2, l1, walks, size)],
    walks, walkDepth, references,
    referenceHits: three
      ? [{ where: 'L1', count: inL1 }, { where: 'L2', count: inL2 + inL3 }, { where: 'memory', count: memory }]
      : [{ where: 'L1', count: inL1 }, { where: 'L2', count: inL2 }, { where: 'L3', count: inL3 },
        { where: 'memory', count: memory }],
    cycles, series, mapped: bySize(size, pages === '4k' ? 21_934 : pages === '1g' ? 3 : 71),
    tableBytes: pages === '4k' ? 245_760 : 40_960,
  };
}

function sampleSeries(accesses: number, points: number, rate: number): readonly SeriesPoint[] {
  const out: SeriesPoint[] = [];
  let from = 0;
  for (let i = 1; i <= points; i++) {
    const at = Math.round((accesses * i) / points);
    const t = i / points;
    const phase = 0.45 + 0.3 * Math.sin(9 * t) ** 2 + (t > 0.55 && t < 0.72 ? 1.1 : 0) + 0.12 * Math.sin(71 * t + rate);
    const l1Misses = Math.round((at - from) * rate * phase / 1000);
    const walks = Math.round(l1Misses * (0.16 + 0.07 * Math.cos(5 * t)));
    out.push({ at, l1Misses, walks, cycles: l1Misses * 7 + walks * 31, newPages: Math.round(4000 / (i * i)) });
    from = at;
  }
  return out;
}

function sampleTlb(level: number, searched: number, misses: number, size: number): TlbCounts {
  const [loadMisses = 0, storeMisses = 0, fetchMisses = 0] = split(misses, [0.62, 0.26, 0.12]);
  const [loadHits = 0, storeHits = 0, fetchHits = 0] = split(Math.max(0, searched - misses), [0.31, 0.14, 0.55]);
  return {
    level, loadHits, storeHits, fetchHits, loadMisses, storeMisses, fetchMisses, missesBySize: bySize(size, misses),
  };
}

function sampleCycles(l1: number, walks: number, hits: readonly number[], data: number): Cycles {
  const tlb = (l1 - walks) * 7;
  const walkStart = walks * 9;
  const walkLoads = hits.reduce((sum, n, i) => sum + n * [4, 12, 42, 210][i]!, 0);
  return { tlb, walkStart, walkLoads, data, total: tlb + walkStart + walkLoads + data };
}

function sampleWorkingSet(accesses: number): readonly WorkingSetPoint[] {
  const out: WorkingSetPoint[] = [];
  for (let window = 100; window <= accesses && window <= 1e9; window *= 10) {
    for (const size of [window, 3 * window]) {
      if (size <= accesses) out.push({ window: size, pages: Math.min(21_934, 1.9 * size ** 0.53) });
    }
  }
  return out;
}

const REGIONS: readonly (readonly [start: bigint, pages: number, touched: number])[] = [
  [0x400000n, 412, 398], [0x7b2000n, 60, 41], [0x1c9f000n, 9850, 9713], [0x7f31c4000000n, 8192, 6230],
  [0x7f31d2a11000n, 1720, 1102], [0x7f31d3400000n, 2048, 2048], [0x7f31d5c00000n, 460, 310], [0x7ffd1c3e2000n, 33, 33],
  [0x7ffd1c5f1000n, 2, 1], [0xffff888000000000n, 65_536, 4096],
];

function sampleMap(regions: number, accesses: number): readonly MapRegion[] {
  return Array.from({ length: regions }, (_, i) => {
    const [base, pages, touched] = REGIONS[i % REGIONS.length]!;
    const start = base + 0x10000000000n * BigInt(Math.floor(i / REGIONS.length));
    const loads = Math.round(accesses * 0.31 / (1.9 ** i + 1));
    return {
      start: `0x${start.toString(16)}`, end: `0x${(start + BigInt(pages * 4096)).toString(16)}`, pages: touched, loads,
      stores: i % 4 === 0 ? 0 : Math.round(loads * 0.4), fetches: i % 4 === 0 ? loads * 2 : 0,
    };
  });
}

function bySize(size: number, n: number): BySize {
  return [size === 0 ? n : 0, size === 1 ? n : 0, size === 2 ? n : 0];
}

/** Whole parts of `n`; the first takes what rounding leaves. */
function split(n: number, shares: readonly number[]): number[] {
  const rest = shares.slice(1).map((share) => Math.floor(n * share));
  return [n - rest.reduce((sum, part) => sum + part, 0), ...rest];
}
