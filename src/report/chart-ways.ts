/** Bars of the ways: cycles by cause, and page-table entries read for each TLB miss. */

import { CAUSE_GROUPS, groupCycles } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import type { Group } from '../compare/comparison.ts';
import { baseOf } from './findings.ts';
import { count, figureText, fixed, percent, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import { roundScale } from './scale.ts';
import { drawBars, segmentLegend } from './stacked-bars.ts';
import type { Bar, Segment } from './stacked-bars.ts';

/** Looks of parts in order: colours of the style sheet, and hatches. */
export const PAINTS: readonly Omit<Segment, 'name'>[] = [
  { paint: 'cause-0' }, { paint: 'cause-1', hatch: 0 }, { paint: 'cause-3', hatch: 2 }, { paint: 'cause-4' }, { paint: 'cause-5', hatch: 1 },
  { paint: 'cause-6', hatch: 0 }, { paint: 'cause-2' }, { paint: 'cause-7', hatch: 1 }, { paint: 'cause-9', hatch: 0 }, { paint: 'cause-8', hatch: 2 },
];

interface NamedBar extends Bar {
  readonly total: number;
  readonly say: readonly string[];
}

/** A plot of bars and the numbers in them. */
export function barsPlot(about: { readonly id: string; readonly title: string; readonly corner: string; readonly axis: string; readonly last?: string },
  segments: readonly Segment[], bars: readonly NamedBar[]): Plot {
  const { id, title, corner, axis, last } = about, most = Math.max(0, ...bars.map((bar) => bar.total));
  return {
    id, title, desc: `Bars. ${bars.map((bar) => `${bar.name}: ${bar.end}`).join('; ')}.`,
    ...(segments.length > 1 && { legend: segmentLegend(segments) }),
    data: { corner, xs: [...segments.map(({ name }) => name), ...(last === undefined ? [] : [last])], tall: false, rows: bars.map(({ name, say }) => ({ name, say })) },
    draw: (canvas) => drawBars({ axis, segments, bars, tick: short, scale: (from, to, wanted) => roundScale(most, from, to, wanted) }, canvas),
  };
}

/** Cycles by cause, a bar for each way. */
export function causesPlot({ cells }: Group, id: string): Plot {
  const grouped = cells.map((cell) => groupCycles(cell.cycles)), base = baseOf(cells);
  const used = CAUSE_GROUPS.map((_, k) => k).filter((k) => grouped.some((cycles) => cycles[k]! > 0));
  const segments = used.map((k): Segment => ({ name: CAUSE_GROUPS[k]!.name, ...PAINTS[k]! }));
  const bars = cells.map((cell, row): NamedBar => {
    const lengths = used.map((k) => grouped[row]![k]!);
    return {
      name: cell.way, lengths, labels: lengths.map(short), total: cell.total,
      end: `${short(cell.total)}${cell === base ? '' : ` (×${figureText(cell.total / base.total)})`}`,
      say: [...lengths.map((cycles) => `${count(cycles)} (${percent(cycles, cell.total)} %)`), count(cell.total)],
    };
  });
  return barsPlot({ id, title: 'Cycles by cause, a bar for each way', corner: 'Way', axis: 'cycles', last: 'all cycles' }, segments, bars);
}

/** Entries of page tables that are read for a TLB miss. */
export function referencesPlot({ cells }: Group, id: string): Plot {
  const segments: readonly Segment[] = [{ name: 'of the guest\'s tables, or the only ones', paint: 'cause-0' }, { name: 'of the host\'s tables', paint: 'cause-1', hatch: 0 }];
  const missing = cells.filter(({ misses }) => misses > 0);
  const bars = missing.map((cell): NamedBar => {
    const { references: { guest, host }, misses } = cell as CellResult, lengths = [guest / misses, host / misses], total = lengths[0]! + lengths[1]!;
    return { name: cell.way, lengths, labels: lengths.map((n) => fixed(n, 2)), end: fixed(total, 2), total, say: [...lengths.map((n) => fixed(n)), fixed(total), count(misses)] };
  });
  const plot = barsPlot({ id, title: 'References per TLB miss', corner: 'Way', axis: 'entries read for each miss', last: 'both' }, segments, bars);
  return { ...plot, data: { ...plot.data, xs: [...plot.data.xs, 'TLB misses'] } };
}
