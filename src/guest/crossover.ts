/** Where one way to virtualize memory becomes dearer than another, as page tables change more often. */

/** What a workload costs at a rate of changes. */
export interface RatePoint {
  readonly updatesPerAccess: number;
  readonly cyclesPerAccess: number;
}

/**
 * The rate of changes at which two ways cost the same, by straight lines between the points of each.
 *
 * @param a, b - points in order of their rates @returns the lowest such rate that both have points around; undefined: there is none
 */
export function crossing(a: readonly RatePoint[], b: readonly RatePoint[]): number | undefined {
  const rates = [...new Set([...a, ...b].map(point => point.updatesPerAccess))].sort((x, y) => x - y);
  let last: { readonly rate: number; readonly gap: number } | undefined;
  for (const rate of rates) {
    const here = costAt(a, rate), there = costAt(b, rate);
    if (here === undefined || there === undefined) continue;
    const gap = here - there;
    if (gap === 0) return rate;
    if (last !== undefined && gap > 0 !== last.gap > 0) return last.rate + ((rate - last.rate) * last.gap) / (last.gap - gap);
    last = { rate, gap };
  }
  return undefined;
}

/** Cost at a rate, undefined outside the points. */
function costAt(points: readonly RatePoint[], rate: number): number | undefined {
  const at = points.findIndex(point => point.updatesPerAccess >= rate);
  if (at < 0) return undefined;
  const to = points[at], from = points[at - 1];
  if (to.updatesPerAccess === rate) return to.cyclesPerAccess;
  if (from === undefined) return undefined;
  const part = (rate - from.updatesPerAccess) / (to.updatesPerAccess - from.updatesPerAccess);
  return from.cyclesPerAccess + part * (to.cyclesPerAccess - from.cyclesPerAccess);
}
