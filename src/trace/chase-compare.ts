/** A modelled pointer chase beside a measured one: errors, knees, and which figures were fitted to make them agree. */
import type { CpuModel, Sourced } from '../cost/cpu-model.ts';
import { runChase, type ChaseKind, type ChaseOptions, type ChaseResult } from './chase.ts';

/** One size; without a measurement `measured` and `errorPercent` are undefined. */
export interface ComparedSize {
  readonly kind: ChaseKind;
  readonly pages: number;
  /** Cycles an access. */
  readonly measured: number | undefined;
  readonly modelled: ChaseResult;
  /** (modelled / measured - 1) * 100 */
  readonly errorPercent: number | undefined;
}

/** Run the sizes given, in their order. @throws ConfigError - from `runChase` */
export function compareChase(
  cpu: CpuModel, sizes: readonly { readonly kind: ChaseKind; readonly pages: number; readonly cycles?: number | undefined }[], options: ChaseOptions,
): ComparedSize[] {
  return sizes.map(({ kind, pages, cycles }) => {
    const modelled = runChase(cpu, kind, pages, options);
    const errorPercent = cycles === undefined ? undefined : (modelled.cyclesPerAccess / cycles - 1) * 100;
    return { kind, pages, measured: cycles, modelled, errorPercent };
  });
}

/** Median of the absolute errors, in percent; undefined if nothing was measured. */
export function medianAbsoluteError(sizes: readonly ComparedSize[]): number | undefined {
  const errors = sizes.flatMap(s => (s.errorPercent === undefined ? [] : [Math.abs(s.errorPercent)])).sort((a, b) => a - b);
  const middle = errors.length >>> 1;
  return errors.length % 2 ? errors[middle] : errors.length === 0 ? undefined : (errors[middle - 1]! + errors[middle]!) / 2;
}

const MOST_PAGES = 1 << 15; // beyond any TLB of today

/**
 * For each TLB level the smallest number of pages at which it still misses when the cycle has come round, undefined if it does not up to
 * 32768. A level that holds n pages of a cycle begins to miss at n + 1.
 *
 * Bisects, so it relies on misses not going away as pages are added; it has seen the answer miss, and the size below not.
 */
export function findKnees(cpu: CpuModel, kind: ChaseKind, options: ChaseOptions): (number | undefined)[] {
  if (kind === '64B-dense') return [];
  const seen = new Map<number, readonly number[]>();
  const misses = (pages: number, level: number): boolean => {
    if (!seen.has(pages)) seen.set(pages, runChase(cpu, kind, pages, { ...options, accesses: 1 }).tlbMisses);
    return seen.get(pages)![level]! > 0;
  };
  return cpu.tlb.map((_, level) => {
    let none = 1, some = 2;
    while (!misses(some, level)) {
      if (some >= MOST_PAGES) return undefined;
      none = some;
      some *= 2;
    }
    while (some - none > 1) {
      const middle = (none + some) >>> 1;
      if (misses(middle, level)) some = middle;
      else none = middle;
    }
    return some;
  });
}

/** A figure that says of itself that it was fitted. */
export interface FittedFigure extends Sourced {
  /** Path of the field: `caches.memoryCycles`. */
  readonly field: string;
}

/** Every figure inside `data`, a processor model or a host, whose source has the word `fitted`. */
export function fittedFigures(data: object, at: string): FittedFigure[] {
  return Object.entries(data).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value !== 'object' || value === null) return [];
    const field = Array.isArray(data) ? `${at}[${key}]` : `${at}.${key}`;
    if (!isSourced(value)) return fittedFigures(value, field);
    return /\bfitted\b/.test(value.source) ? [{ field, ...value }] : [];
  });
}

const isSourced = (value: object): value is Sourced => 'value' in value && 'from' in value && 'source' in value;
