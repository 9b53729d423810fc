/** What guests' kernels and their hypervisors were entered for: faults by reason, exits, hypercalls by kind and by batch. */

import type { CellResult } from '../compare/cell.ts';
import type { Group } from '../compare/comparison.ts';
import { FAULT_REASONS } from '../guest/figures.ts';
import type { FaultReason } from '../guest/figures.ts';
import { barsPlot, PAINTS } from './chart-ways.ts';
import { count, percent, short } from './number-format.ts';
import type { Plot } from './plot.ts';
import type { Segment } from './stacked-bars.ts';

const REASONS: Readonly<Record<FaultReason, string>> = {
  demandZero: 'a page of zeroes', zeroPage: 'the shared page of zeroes', file: 'a page of a file', fileCopy: 'a copy of a file\'s page', copy: 'copy on write',
  reuse: 'copy on write, no one left to share with', swapIn: 'swapped in', spurious: 'permitted by now', refused: 'refused',
};

/** Faults that guests' kernels served, by what they did about them: a bar for each way. */
export function faultsPlot({ cells }: Group, id: string): Plot {
  const used = FAULT_REASONS.filter((reason) => cells.some(({ faults }) => faults[reason] > 0));
  const segments = used.map((reason, k): Segment => ({ name: REASONS[reason], ...PAINTS[k]! }));
  const bars = used.length === 0 ? [] : cells.map(({ way, faults }) => {
    const lengths = used.map((reason) => faults[reason]), total = lengths.reduce((a, b) => a + b, 0);
    return { name: way, lengths, labels: lengths.map(count), end: count(total), total, say: [...lengths.map((n) => `${count(n)} (${percent(n, total)} %)`), count(total)] };
  });
  return barsPlot({ id, title: 'Faults of the guest by reason', corner: 'Way', axis: 'page faults that the guest\'s kernel served', last: 'all' }, segments, bars);
}

/** Why hypervisors were entered, and what hypercalls they got. Empty without any. */
export function hypervisorPlots({ cells }: Group, id: string): readonly Plot[] {
  const exits = cells.flatMap(({ way, hypervisor }) => (hypervisor?.exits ?? []).filter((exit) => exit.count > 0)
    .map((exit) => simpleBar(`${way}: ${exit.name}`, exit.count, count)));
  if (exits.length === 0) return [];
  const exitsPlot = barsPlot({ id: `exits-${id}`, title: 'Exits to the hypervisor by reason', corner: 'Way and reason', axis: 'exits' }, one('exits', 6), exits);
  return [exitsPlot, ...cells.flatMap((cell) => hypercallPlots(cell, id))];
}

function hypercallPlots({ way, hypervisor }: CellResult, id: string): readonly Plot[] {
  if (hypervisor === undefined || hypervisor.hypercalls.length === 0) return [];
  const { hypercalls, batches } = hypervisor, about = (name: string) => `${name}-${way}-${id}`;
  return [
    barsPlot({ id: about('calls'), title: `Hypercalls of ${way} paging by kind`, corner: 'Hypercall', axis: 'calls, alone or in a multicall' }, one('calls', 7),
      [...hypercalls].sort((a, b) => b.calls - a.calls).map(({ name, calls }) => simpleBar(name, calls, count))),
    barsPlot({ id: about('call-cycles'), title: 'Their cycles', corner: 'Hypercall', axis: 'cycles' }, one('cycles', 6),
      hypercalls.map(({ name, cycles }) => simpleBar(name, cycles, short))),
    barsPlot({ id: about('batches'), title: 'Hypercalls by the number of calls in them', corner: 'Calls in it', axis: 'hypercalls' }, one('hypercalls', 4),
      classes(batches).map(({ name, many }) => simpleBar(name, many, count))),
  ];
}

const one = (name: string, paint: number): readonly Segment[] => [{ name, ...PAINTS[paint]! }];

function simpleBar(name: string, value: number, text: (n: number) => string) {
  return { name, lengths: [value], labels: [''], end: text(value), total: value, say: [count(value)] };
}

/** Batch sizes in classes: 1, then up to each power of two; all up to the largest that there is. */
function classes(batches: readonly { readonly size: number; readonly hypercalls: number }[]): readonly { readonly name: string; readonly many: number }[] {
  const most = Math.max(...batches.map(({ size }) => size)), all: { name: string; many: number }[] = [];
  for (let from = 1, to = 1; from <= most; from = to + 1, to *= 2) {
    const many = batches.filter(({ size }) => size >= from && size <= to).reduce((sum, { hypercalls }) => sum + hypercalls, 0);
    all.push({ name: from === to ? `${from}` : `${from} to ${to}`, many });
  }
  return all;
}
