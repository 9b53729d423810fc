/** The working set: average distinct 4K pages in windows of so many accesses, both axes logarithmic. */

import type { ReplayResult } from '../trace/replay-result.ts';
import { drawLines } from './line-plot.ts';
import { bytes, count, figureText, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import { logScale } from './scale.ts';

/** A property of the trace alone: one line whatever the runs. */
export function workingSetPlot({ trace }: ReplayResult): Plot {
  const points = trace.workingSet.filter((point) => point.window > 0 && point.pages > 0);
  const [first, last] = [points[0], points.at(-1)];
  const windows = points.map((point) => point.window);
  const pages = points.map((point) => point.pages);
  return {
    id: 'working-set', title: 'Working set',
    desc: first === undefined || last === undefined ? 'No data.'
      : `Line chart, both axes logarithmic: on average ${figureText(first.pages)} pages of 4 KiB in `
        + `${count(first.window)} accesses, up to ${figureText(last.pages)} pages in ${count(last.window)} accesses.`,
    data: {
      corner: 'Window in accesses', tall: true, xs: windows.map(count),
      rows: points.length === 0 ? [] : [{
        name: 'Pages of 4 KiB', say: pages.map((n) => `${figureText(n)} (${bytes(n * 4096)})`),
      }],
    },
    draw: (canvas) => drawLines({
      markAll: true,
      x: {
        title: 'window in accesses', tick: short,
        scale: (from, to, wanted) => logScale(Math.min(...windows), Math.max(...windows), from, to, wanted),
      },
      y: {
        title: 'distinct 4 KiB pages in a window', tick: (n) => `${short(n)} · ${bytes(n * 4096)}`,
        scale: (from, to, wanted) => logScale(Math.min(...pages), Math.max(...pages), from, to, wanted),
      },
      lines: [{
        name: 'pages', look: { colour: 0, dash: '' },
        points: points.map((point) => [point.window, point.pages] as const),
      }],
    }, canvas),
  };
}
