import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { cyclesPlots } from '../../src/report/chart-cycles.ts';
import { MOST_ROWS, mapPlot } from '../../src/report/chart-map.ts';
import { intervals, missesPlots, MOST_POINTS } from '../../src/report/chart-misses.ts';
import { walkPlots } from '../../src/report/chart-walks.ts';
import { workingSetPlot } from '../../src/report/chart-working-set.ts';
import { mapRows } from '../../src/report/map-rows.ts';
import type { Plot } from '../../src/report/plot.ts';
import { seriesLooks } from '../../src/report/series-look.ts';
import { sampleResult } from './sample-result.ts';

const result = sampleResult({ data: true });
const CANVASES = [{ width: 880, narrow: false }, { width: 400, narrow: true }] as const;

/** Widths of the marks of a bar chart: `widths[row][col]`. */
function barWidths(plot: Plot, canvas: (typeof CANVASES)[number]): number[][] {
  const widths: number[][] = [];
  const { text } = plot.draw(canvas).body;
  for (const [, width, row, col] of text.matchAll(/width="([\d.]+)" height="24" data-row="(\d+)" data-col="(\d+)"/g)) {
    (widths[Number(row)] ??= [])[Number(col)] = Number(width);
  }
  return widths;
}

function linePoints(plot: Plot, canvas: (typeof CANVASES)[number]): [number, number][][] {
  const { text } = plot.draw(canvas).body;
  return [...text.matchAll(/<polyline[^>]*points="([^"]*)"/g)]
    .map(([, points]) => points!.split(' ').map((pair) => pair.split(',').map(Number) as [number, number]));
}

describe.each(CANVASES)('charts $width wide', (canvas) => {
  it('bars of cycles are as long as their numbers', () => {
    const fields = ['tlb', 'walkStart', 'walkLoads', 'data'] as const;
    const [, plot] = cyclesPlots(result);
    const widths = barWidths(plot!, canvas);
    const unit = widths[0]![3]! / result.runs[0]!.cycles.data;
    result.runs.forEach((run, row) => fields.forEach((field, col) => {
      expect(widths[row]![col]! / unit / run.cycles.total).toBeCloseTo(run.cycles[field] / run.cycles.total, 4);
    }));
  });

  it('shares of walks fill the bar', () => {
    for (const plot of walkPlots(result)) {
      const sums = barWidths(plot, canvas).map((row) => row.reduce((a, b) => a + b, 0));
      for (const sum of sums) expect(sum).toBeCloseTo(sums[0]!, 1);
    }
    const [depths] = walkPlots(result);
    const widths = barWidths(depths!, canvas);
    const { walkDepth } = result.runs[0]!;
    expect(widths[0]![1]! / widths[0]![0]!).toBeCloseTo(walkDepth[2]! / walkDepth[1]!, 3);
  });

  it('lines of misses rise in proportion and stay inside', () => {
    const [plot] = missesPlots(result);
    const lines = linePoints(plot!, canvas);
    expect(lines).toHaveLength(4);
    result.runs.forEach((run, i) => {
      const parts = intervals(run.series);
      const rates = parts.map((part) => part.l1Misses / (part.to - part.from));
      const floor = canvas.narrow ? 206 : 246;
      const top = rates.indexOf(Math.max(...rates));
      const heights = lines[i]!.map(([, y]) => floor - y);
      const unit = heights[top]! / rates[top]!;
      heights.forEach((height, k) => expect(Math.abs(height - rates[k]! * unit)).toBeLessThan(0.2));
      for (const [x, y] of lines[i]!) expect(x >= 0 && x <= canvas.width && y >= 29 && y <= floor).toBe(true);
    });
  });

  it('the working set is straight where it grows by a power', () => {
    const points = linePoints(workingSetPlot(result), canvas)[0]!;
    expect(points).toHaveLength(result.trace.workingSet.length);
    const slope = (a: number, b: number) => (points[b]![1] - points[a]![1]) / (points[b]![0] - points[a]![0]);
    expect(slope(0, 4)).toBeCloseTo(slope(4, 8), 2);
  });
});

describe('intervals', () => {
  it('sums neighbours exactly and keeps within the limit', () => {
    for (const points of [1, 2, 119, 120, 121, 200, 1001]) {
      const { series } = sampleResult({ points }).runs[0]!;
      const parts = intervals(series);
      expect(parts.length).toBeLessThanOrEqual(MOST_POINTS);
      expect(parts.at(-1)!.to).toBe(series.at(-1)!.at);
      const walks = series.reduce((sum, point) => sum + point.walks, 0);
      expect(parts.reduce((sum, part) => sum + part.walks, 0)).toBe(walks);
    }
  });
});

describe('map', () => {
  const region = (start: string, end: string) => ({ start, end, pages: 1, loads: 2, stores: 0, fetches: 1 });

  it('orders regions by address, unsigned, and measures gaps', () => {
    const rows = mapRows([region('0xffff800000000000', '0xffff800000001000'), region('0x1000', '0x3000'),
      region('0x3000', '0x4000')], 9);
    expect(rows.map((row) => row.start)).toEqual([0x1000n, 0x3000n, 0xffff800000000000n]);
    expect(rows.map((row) => row.gap)).toEqual([0, 0, Number(0xffff800000000000n - 0x4000n)]);
  });

  it('joins the closest when there are too many, and loses no access', () => {
    const { map } = sampleResult({ regions: 60 }).trace;
    const rows = mapRows(map, MOST_ROWS);
    expect(rows).toHaveLength(MOST_ROWS);
    expect(rows.reduce((sum, row) => sum + row.regions, 0)).toBe(60);
    expect(rows.reduce((sum, row) => sum + row.loads, 0)).toBe(map.reduce((sum, part) => sum + part.loads, 0));
    expect(mapPlot(sampleResult({ regions: 60 })).data.rows).toHaveLength(MOST_ROWS);
  });

  it.each([['1000', '0x2000'], ['0x2000', '0x1000'], ['0x1000', '0x<b>']])('refuses %s to %s', (start, end) => {
    expect(() => mapRows([region(start, end)], 9)).toThrow(ConfigError);
  });
});

describe('looks', () => {
  it.each([[['a'], ['4k']], [['a', 'b', 'c', 'd'], ['4k', 'thp', '2m', '1g']],
    [Array.from({ length: 16 }, (_, i) => `cpu${i}`), ['4k', '2m']]])('differ for all runs', (cpus, pages) => {
    const { runs } = sampleResult({ cpus, pages, points: 1 });
    const looks = seriesLooks(runs).map(({ colour, dash }) => `${colour} ${dash}`);
    expect(new Set(looks).size).toBe(cpus.length * pages.length);
  });
});
