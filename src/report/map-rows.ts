/** The regions of a trace, made ready for drawing: gaps between them, and close neighbours taken together. */

import { ConfigError } from '../errors.ts';
import type { MapRegion } from '../trace/replay-result.ts';

/** One row of the map: a region or several close ones. Sizes in bytes. */
export interface MapRow {
  readonly start: bigint;
  readonly end: bigint;
  readonly regions: number;
  readonly pages: number;
  readonly loads: number;
  readonly stores: number;
  readonly fetches: number;
  /** Distance from the row before; 0 for the first. */
  readonly gap: number;
}

/** Span of addresses from the first to the last byte. */
export function spanBytes(row: MapRow): number {
  return Number(row.end - row.start);
}

/**
 * Rows in the order of addresses, at most `most`: while there are more, the two with the least between them become one.
 *
 * @throws ConfigError - an address is not hexadecimal with 0x, or a region ends before it starts
 */
export function mapRows(map: readonly MapRegion[], most: number): readonly MapRow[] {
  const rows = map.map(rowOf).sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const closest = rows.slice(1).map((row, i) => ({ i: i + 1, gap: row.start - rows[i]!.end }))
    .sort((a, b) => (a.gap < b.gap ? -1 : a.gap > b.gap ? 1 : a.i - b.i));
  const joined = new Set(closest.slice(0, Math.max(0, rows.length - most)).map(({ i }) => i));
  const out: MapRow[] = [];
  rows.forEach((row, i) => {
    const before = out.at(-1);
    if (before !== undefined && joined.has(i)) out[out.length - 1] = join(before, row);
    else out.push({ ...row, gap: before === undefined ? 0 : Math.max(0, Number(row.start - before.end)) });
  });
  return out;
}

function rowOf(region: MapRegion, i: number): MapRow {
  const start = address(region.start, `trace.map[${i}].start`);
  const end = address(region.end, `trace.map[${i}].end`);
  if (end <= start) throw new ConfigError(`trace.map[${i}].end`, 'an address above start', region.end);
  const { pages, loads, stores, fetches } = region;
  return { start, end, regions: 1, pages, loads, stores, fetches, gap: 0 };
}

function address(text: string, field: string): bigint {
  if (!/^0x[0-9a-f]{1,17}$/i.test(text)) throw new ConfigError(field, 'a hexadecimal address with 0x', text);
  return BigInt(text);
}

function join(a: MapRow, b: MapRow): MapRow {
  return {
    start: a.start, end: a.end > b.end ? a.end : b.end, regions: a.regions + b.regions, pages: a.pages + b.pages,
    loads: a.loads + b.loads, stores: a.stores + b.stores, fetches: a.fetches + b.fetches, gap: a.gap,
  };
}
