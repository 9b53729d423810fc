/** What walks did: how many references they made, and where those hit. Shares of each run's own walks. */

import type { ReplayResult } from '../trace/replay-result.ts';
import { count, percent } from './number-format.ts';
import type { Plot } from './plot.ts';
import { cacheLevels, referenceHits, runLabel } from './run-figures.ts';
import { roundScale } from './scale.ts';
import { drawBars, segmentLegend } from './stacked-bars.ts';
import type { Bar, Segment } from './stacked-bars.ts';

/** Steps of the ramp of one hue in the style sheet, light to dark. */
const RAMP = 6;

/** Two plots of shares: walks by number of references, references by where they hit. */
export function walkPlots({ runs }: ReplayResult): readonly Plot[] {
  const deepest = Math.max(0, ...runs.map((run) => run.walkDepth.findLastIndex((walks) => walks > 0)));
  const depths = Array.from({ length: deepest + 1 }, (_, depth) => depth)
    .filter((depth) => depth > 0 || runs.some((run) => (run.walkDepth[0] ?? 0) > 0));
  const levels = cacheLevels(runs);
  return [
    sharePlot({
      id: 'walk-depth', title: 'References per walk', of: 'walks', none: 'no walks',
      names: depths.map((depth) => (depth === 1 ? '1 reference' : `${depth} references`)),
      paints: depths.map((depth) => Math.min(depth, RAMP - 1)),
      rows: runs.map((run) => ({ name: runLabel(run), counts: depths.map((depth) => run.walkDepth[depth] ?? 0) })),
    }),
    sharePlot({
      id: 'walk-hits', title: 'Where references of walks hit', of: 'references', none: 'no references',
      names: levels,
      paints: levels.map((_, i) => Math.round(((RAMP - 1) * i) / Math.max(1, levels.length - 1))),
      rows: runs.map((run) => ({ name: runLabel(run), counts: levels.map((name) => referenceHits(run, name) || 0) })),
    }),
  ];
}

interface Shares {
  readonly id: string;
  readonly title: string;
  readonly of: string;
  readonly none: string;
  readonly names: readonly string[];
  /** Steps of the ramp, one for each name. */
  readonly paints: readonly number[];
  readonly rows: readonly { readonly name: string; readonly counts: readonly number[] }[];
}

function sharePlot({ id, title, of, none, names, paints, rows }: Shares): Plot {
  const segments: readonly Segment[] = names.map((name, i) => ({ name, paint: `ramp-${paints[i]}` }));
  const bars = rows.map((row): Bar & { readonly say: readonly string[] } => {
    const total = row.counts.reduce((a, b) => a + b, 0);
    return {
      name: row.name,
      lengths: row.counts.map((n) => (total > 0 ? (100 * n) / total : 0)),
      labels: row.counts.map((n) => (total > 0 ? roughShare(n, total) : '')),
      end: total > 0 ? '' : none,
      say: row.counts.map((n) => (total > 0 ? `${percent(n, total)} % (${count(n)})` : '0')),
    };
  });
  const words = bars.map((bar) => `${bar.name}: ${bar.end === none
    ? none : bar.say.map((say, i) => `${names[i]} ${say}`).join(', ')}`);
  return {
    id, title, desc: `Stacked bars of shares, one for each run. ${words.join('; ')}.`,
    legend: segmentLegend(segments),
    data: { corner: 'Run', xs: names, tall: false, rows: bars.map(({ name, say }) => ({ name, say })) },
    draw: (canvas) => drawBars({
      axis: `% of ${of}`, segments, bars, tick: (value) => `${value}`,
      scale: (from, to, wanted) => roundScale(100, from, to, wanted),
    }, canvas),
  };
}

/** Whole percents for a label in a bar; 100 only for all. */
function roughShare(n: number, total: number): string {
  const share = Math.round((100 * n) / total);
  return share === 100 && n < total ? '>99 %' : `${share} %`;
}
