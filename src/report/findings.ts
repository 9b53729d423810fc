/** What a reader wants to know of a comparison, in words: three findings, of whatever was run. */

import { moreBy } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import type { Group } from '../compare/comparison.ts';
import { wayOf } from '../compare/way.ts';
import type { WayName } from '../compare/way.ts';
import { crossoverFinding } from './crossover-finding.ts';
import { count, figureText, fixed, short } from './number-format.ts';
import { capital, list, partsOf, sumOf, WORTH } from './prose.ts';

/** A finding: a question, and its answer. */
export interface Finding {
  readonly title: string;
  readonly text: string;
}

/** The findings of one processor and page size: what the ways cost, why, and where they cross. The last is of the sweeps, if there are any. */
export function findingsOf(group: Group): readonly Finding[] {
  return [
    { title: 'What it costs', text: costs(group) },
    { title: 'Why', text: reasons(group) },
    ...group.sweeps.length > 0 ? [{ title: 'Where the ways cross', text: crossoverFinding(group.sweeps, group.cells) }] : [],
  ];
}

/** What the others are measured by: native where it was run, else what costs least. */
export function baseOf(cells: readonly CellResult[]): CellResult {
  return cells.find(({ way }) => way === 'native') ?? ranked(cells)[0]!;
}

const ranked = (cells: readonly CellResult[]): CellResult[] => [...cells].sort((a, b) => a.total - b.total);

function costs({ cells, cpu, pages }: Group): string {
  const base = baseOf(cells), others = ranked(cells.filter((cell) => cell !== base)), [best, ...rest] = others;
  const own = `${figureText(base.total / base.accesses)} cycles per access, ${short(base.total)} in all`;
  if (best === undefined) return `On ${cpu} with ${pages} pages ${title(base)} costs ${own}.`;
  const dearer = rest.length === 0 ? '' : ` ${capital(list(rest.map((cell) => `${title(cell)} takes ${times(cell.total, base.total)}`)))}.`;
  if (base.way !== 'native') return `On ${cpu} with ${pages} pages ${title(base)} is cheapest: ${own}. ${capital(title(best))} takes ${times(best.total, base.total)}.${dearer}`;
  const virtual = rest.length === 0 ? `${title(best)} takes` : `the cheapest way to virtualize memory is ${title(best)}:`;
  return `On ${cpu} with ${pages} pages ${virtual} ${times(best.total, base.total)} native's cycles (${own}).${dearer}`;
}

function reasons({ cells }: Group): string {
  const base = baseOf(cells), others = ranked(cells.filter((cell) => cell !== base));
  if (others.length === 0) return `${capital(title(base))} spends ${partsOf(moreBy(base.cycles, nothing(base)), base.total)}.`;
  return others.map((cell) => `${capital(title(cell))} ${difference(cell, base)}${entered(cell)}${references(cell, base)}.`).join(' ');
}

const nothing = (cell: CellResult): CellResult['cycles'] =>
  Object.fromEntries(Object.keys(cell.cycles).map((cause) => [cause, 0])) as unknown as CellResult['cycles'];

/** `adds 7.02 M cycles to native's: …, and saves …`. */
export function difference(cell: CellResult, base: CellResult): string {
  const all = moreBy(cell.cycles, base.cycles);
  const more = all.filter(({ cycles }) => cycles > 0), less = all.filter(({ cycles }) => cycles < 0).map(({ name, cycles }) => ({ name, cycles: -cycles }));
  const [added, saved] = [sumOf(more), sumOf(less)], than = `${wayOf(base.way).title}'s`;
  if (added === 0 && saved === 0) return `costs what ${wayOf(base.way).title} does, to the cycle`;
  const adds = `adds ${short(added)} cycles to ${than}: ${partsOf(more, added)}`, saves = `saves ${short(saved)} of ${than}: ${partsOf(less, saved)}`;
  if (saved < WORTH * added) return adds;
  return added < WORTH * saved ? saves : `${adds}; it ${saves}`;
}

function entered({ hypervisor }: CellResult): string {
  const exits = (hypervisor?.exits ?? []).filter((exit) => exit.count > 0);
  return exits.length === 0 ? '' : `. Its hypervisor was entered ${count(exits.reduce((all, exit) => all + exit.count, 0))} times: ${list(exits.map((exit) => `${exit.name} (${count(exit.count)})`))}`;
}

function references(cell: CellResult, base: CellResult): string {
  const [own, other] = [referencesPerMiss(cell), referencesPerMiss(base)];
  if (Number.isNaN(own) || Number.isNaN(other)) return '';
  const misses = cell.misses === base.misses ? `as many TLB misses as ${wayOf(base.way).title}` : `${count(cell.misses)} TLB misses, ${wayOf(base.way).title} ${count(base.misses)}`;
  return `; it has ${misses}, and reads ${fixed(own, 2)} entries for each (${wayOf(base.way).title}: ${fixed(other, 2)})`;
}

/** Page-table entries read for each TLB miss, of guest and host; NaN without misses. */
export function referencesPerMiss({ references: { guest, host }, misses }: CellResult): number {
  return misses > 0 ? (guest + host) / misses : NaN;
}

function times(cycles: number, base: number): string {
  return base > 0 ? `${figureText(cycles / base)} times` : `${short(cycles)} cycles`;
}

const title = ({ way }: { readonly way: WayName }): string => wayOf(way).title;
