/** Where the cycles go: a bar for each run, stacked by cause, in cycles per access. */

import type { Cycles, ReplayResult } from '../trace/replay-result.ts';
import { fixed, figureText, percent, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import { runLabel } from './run-figures.ts';
import { roundScale } from './scale.ts';
import { drawBars, segmentLegend } from './stacked-bars.ts';
import type { Segment } from './stacked-bars.ts';

const CAUSES: readonly (Segment & { readonly field: Exclude<keyof Cycles, 'total'> })[] = [
  { field: 'tlb', name: 'later TLB levels', paint: 'cause-0' },
  { field: 'walkStart', name: 'starting walks', paint: 'cause-1', hatch: 0 },
  { field: 'walkLoads', name: 'loads of walks', paint: 'cause-2', hatch: 1 },
  { field: 'data', name: 'data accesses', paint: 'cause-3', hatch: 2 },
];

/** Cycles of translation; and, if some run counted data accesses, the same bars with those. */
export function cyclesPlots(result: ReplayResult): readonly Plot[] {
  const translation = CAUSES.filter(({ field }) => field !== 'data');
  const plots = [plotOf(result, translation, 'cycles', 'Cycles of translation per access, by cause')];
  if (result.runs.some((run) => run.cycles.data > 0)) {
    plots.push(plotOf(result, CAUSES, 'cycles-data', 'The same with the data accesses themselves'));
  }
  return plots;
}

function plotOf({ trace, runs }: ReplayResult, causes: typeof CAUSES, id: string, title: string): Plot {
  const bars = runs.map((run) => {
    const lengths = causes.map(({ field }) => (trace.accesses > 0 ? run.cycles[field] / trace.accesses : 0));
    const total = lengths.reduce((a, b) => a + b, 0);
    return {
      name: runLabel(run), lengths, labels: lengths.map(figureText), end: figureText(total), total,
      say: [...lengths.map((value) => `${fixed(value)} (${percent(value, total)} %)`), fixed(total)],
    };
  });
  const most = Math.max(0, ...bars.map((bar) => bar.total));
  return {
    id, title,
    desc: 'Stacked bars, one for each run. '
      + `${bars.map((bar) => `${bar.name}: ${bar.end} cycles per access`).join('; ')}.`,
    legend: segmentLegend(causes),
    data: {
      corner: 'Run', xs: [...causes.map(({ name }) => name), 'total'], tall: false,
      rows: bars.map(({ name, say }) => ({ name, say })),
    },
    draw: (canvas) => drawBars({
      axis: 'cycles per access', segments: causes, bars, tick: short,
      scale: (from, to, wanted) => roundScale(most, from, to, wanted),
    }, canvas),
  };
}
