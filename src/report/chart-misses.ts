/** Misses over time: L1 TLB misses and walks per 1,000 accesses, a line for each run. */

import type { ReplayResult, ReplayRun, SeriesPoint } from '../trace/replay-result.ts';
import { drawLines } from './line-plot.ts';
import type { Line } from './line-plot.ts';
import { html } from './markup.ts';
import { count, figureText, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import { runLabel } from './run-figures.ts';
import { exactScale, roundScale } from './scale.ts';
import { seriesLegend, seriesLooks } from './series-look.ts';

/** Most points that a line is drawn with; longer series are summed up in equal groups first. */
export const MOST_POINTS = 120;

/** What happened in a stretch of accesses. */
export interface Interval {
  readonly from: number;
  readonly to: number;
  readonly l1Misses: number;
  readonly walks: number;
}

/** The series as intervals, neighbours summed so that at most `most` remain. Sums stay exact. */
export function intervals(series: readonly SeriesPoint[], most = MOST_POINTS): readonly Interval[] {
  const every = Math.max(1, Math.ceil(series.length / most));
  const out: Interval[] = [];
  let from = 0;
  for (let i = 0; i < series.length; i += every) {
    const points = series.slice(i, i + every);
    const to = points.at(-1)!.at;
    if (to <= from) continue;
    out.push({ from, to, l1Misses: sum(points, 'l1Misses'), walks: sum(points, 'walks') });
    from = to;
  }
  return out;
}

/** Two plots on the same axis of time: first-level misses, and what of them became walks. */
export function missesPlots({ trace, runs }: ReplayResult): readonly Plot[] {
  return [
    timePlot('misses-l1', 'First-level TLB misses over time', 'L1 TLB misses per 1,000 accesses', 'l1Misses', runs,
      trace.accesses),
    timePlot('misses-walks', 'Page walks over time', 'walks per 1,000 accesses', 'walks', runs, trace.accesses),
  ];
}

type Counted = 'l1Misses' | 'walks';

function timePlot(
  id: string, title: string, unit: string, counted: Counted, runs: readonly ReplayRun[], accesses: number,
): Plot {
  const shown = runs.map((run) => intervals(run.series)).map((list, i) => ({ list, run: runs[i]! }));
  const longest = shown.reduce<readonly Interval[]>((best, { list }) => (list.length > best.length ? list : best), []);
  const looks = seriesLooks(runs);
  const lines: readonly Line[] = shown.map(({ list, run }, i) => ({
    name: runLabel(run), look: looks[i]!,
    points: list.map((interval) => [(interval.from + interval.to) / 2, perThousand(interval, counted)] as const),
  }));
  const top = Math.max(0, ...lines.flatMap((line) => line.points.map(([, y]) => y)));
  const end = Math.max(accesses, longest.at(-1)?.to ?? 0);
  return {
    id, title, desc: describe(lines, unit), legend: html`${seriesLegend(runs)}`,
    data: {
      corner: 'Accesses', tall: true, xs: longest.map(({ from, to }) => `${count(from + 1)} to ${count(to)}`),
      rows: shown.map(({ list, run }) => ({
        name: runLabel(run),
        say: list.map((interval, i) => figureText(perThousand(interval, counted)) + ownTime(interval, longest[i])),
      })),
    },
    draw: (canvas) => drawLines({
      x: { title: 'accesses replayed', tick: short, scale: (from, to, wanted) => exactScale(end, from, to, wanted) },
      y: { title: unit, tick: short, scale: (from, to, wanted) => roundScale(top, from, to, wanted) },
      lines,
    }, canvas),
  };
}

function perThousand(interval: Interval, counted: Counted): number {
  return (1000 * interval[counted]) / (interval.to - interval.from);
}

/** Runs of one replay share their points in time; should one differ, its numbers say so. */
function ownTime(own: Interval, shared: Interval | undefined): string {
  return shared !== undefined && own.to === shared.to ? '' : ` (at ${count(own.to)})`;
}

function describe(lines: readonly Line[], unit: string): string {
  const parts = lines.filter((line) => line.points.length > 0).map((line) => {
    const values = line.points.map(([, y]) => y);
    return `${line.name} from ${figureText(Math.min(...values))} to ${figureText(Math.max(...values))}`;
  });
  return `Line chart of ${unit} against accesses replayed. ${parts.join('; ')}.`;
}

function sum(points: readonly SeriesPoint[], counted: Counted): number {
  return points.reduce((total, point) => total + point[counted], 0);
}
