/** Lines of the ways as page tables change more and more often. */

import { batchingLines, wayLines } from '../compare/sweep.ts';
import type { Sweep } from '../compare/sweep.ts';
import type { SweepLine } from '../compare/sweep-line.ts';
import { drawLines } from './line-plot.ts';
import type { Line } from './line-plot.ts';
import { fixed, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import { logScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { lineLegend } from './series-look.ts';

/** What lines are drawn of: cost, or how many times that of native. */
interface Measure {
  readonly id: string;
  readonly title: string;
  readonly axis: string;
  readonly of: (cost: number, native: number) => number;
}

const COST: Measure = { id: 'cost', title: 'Cycles per access', axis: 'cycles per access', of: (cost) => cost };
const RATIO: Measure = { id: 'ratio', title: 'The same, as times native', axis: 'times native', of: (cost, native) => cost / native };
/** Lines look the same in all plots. */
const NAMES = ['native', 'direct', 'shadow', 'nested', 'direct ptwr', 'direct unbatched', 'direct array'];
const NEAR = 1.02; // a rate is as near as this to the one aimed at

/** Plots of a sweep: cost, cost beside native, and how batching moves the lines of direct paging. */
export function crossoverPlots(sweep: Sweep, id: string): readonly Plot[] {
  const ways = wayLines(sweep), native = ways.find(({ way, points }) => way === 'native' && points.every(({ cyclesPerAccess }) => cyclesPerAccess > 0)), batching = batchingLines(sweep);
  const rivals = ways.filter(({ way }) => way === 'nested' || way === 'shadow');
  const ratio = native === undefined ? [] : [plotOf(RATIO, ways.filter((line) => line !== native), native, id)];
  const batches = native === undefined || batching.length < 2 ? []
    : [plotOf({ ...RATIO, id: 'batching', title: 'Direct paging by how it batches, as times native' }, [...batching, ...rivals], native, id)];
  return [plotOf(COST, ways, ways[0]!, id), ...ratio, ...batches];
}

function plotOf(measure: Measure, lines: readonly SweepLine[], native: SweepLine, id: string): Plot {
  const shown = lines.map((line) => ({
    name: measure.id === 'batching' && line.name === 'direct' ? 'direct multicall' : line.name, look: { colour: NAMES.indexOf(line.name), dash: '' },
    points: line.points.map((point, p) => [point.updatesPerAccess, measure.of(point.cyclesPerAccess, native.points[p]!.cyclesPerAccess)] as const),
  } satisfies Line));
  const rates = shown.flatMap(({ points }) => points.map(([rate]) => rate)), values = shown.flatMap(({ points }) => points.map(([, value]) => value));
  return {
    id: `${measure.id}-${id}`, title: measure.title, desc: describe(shown, measure), legend: lineLegend(shown),
    data: {
      corner: 'Updates per access', tall: true, xs: (shown[0]?.points ?? []).map(([rate]) => rate.toPrecision(2)),
      rows: shown.map(({ name, points }) => ({ name, say: points.map(([rate, value], p) => `${fixed(value)}${sameRate(rate, shown[0]!.points[p]![0]) ? '' : ` (at ${rate.toPrecision(2)})`}`) })),
    },
    draw: (canvas) => drawLines({
      x: { title: 'updates of page tables per access, logarithmic', tick: short, scale: (from, to, wanted) => logScale(Math.min(...rates) * NEAR, Math.max(...rates) / NEAR, from, to, wanted) },
      y: { title: `${measure.axis}, logarithmic`, tick: short, scale: (from, to, wanted) => stepScale(values, from, to, wanted) },
      lines: shown, markAll: true,
    }, canvas),
  };
}

const sameRate = (a: number, b: number): boolean => a <= b * NEAR && b <= a * NEAR;

/** Logarithmic from one of 1, 2, 5 times a power of ten to another; a tick at each, or at powers of ten alone where there are many. What is zero lies at the least. */
function stepScale(values: readonly number[], from: number, to: number, wanted: number): Scale {
  const positive = values.filter((value) => value > 0), [min, max] = positive.length === 0 ? [1, 1] : [Math.min(...positive), Math.max(...positive)];
  const low = Math.floor(Math.log10(min)), steps: number[] = [];
  for (let power = low; power <= Math.ceil(Math.log10(max)); power++) for (const factor of [1, 2, 5]) steps.push(Number((factor * 10 ** power).toPrecision(6)));
  const first = steps.findLastIndex((step) => step <= min * (1 + 1e-9)), last = Math.max(first + 1, steps.findIndex((step) => step >= max * (1 - 1e-9)));
  const within = steps.slice(first, last + 1), [bottom, top] = [Math.log10(within[0]!), Math.log10(within.at(-1)!)];
  const few = within.length <= wanted * 2 ? within : within.filter((step) => Number.isInteger(Math.log10(step)));
  return { at: (value) => from + ((to - from) * (Math.log10(Math.max(value, within[0]!)) - bottom)) / (top - bottom), ticks: few };
}

function describe(lines: readonly Line[], { axis }: Measure): string {
  return `Line chart of ${axis} against updates of page tables per access. ${lines.map(({ name, points }) => `${name} from ${fixed(points[0]![1])} to ${fixed(points.at(-1)![1])}`).join('; ')}.`;
}
