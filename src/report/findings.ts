/** What a reader wants to know of a comparison, in words: three findings, of whatever was run. */

import { moreBy } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import type { Group } from '../compare/comparison.ts';
import { wayOf } from '../compare/way.ts';
import type { WayName } from '../compare/way.ts';
import { crossoverFinding } from './crossover-finding.ts';
import { count, figureText, fixed, short } from './number-format.ts';
import { orderText, reasonsText } from './sensitivity.ts';
import { capital, list, partsOf, sumOf, WORTH } from './prose.ts';

/** A finding: a question, and its answer in a few sentences or more. */
export interface Finding {
  readonly title: string;
  readonly points: readonly string[];
}

/** The findings of one processor and page size: what the ways cost, why, and where they cross. The last is of the sweeps, if there are any. */
export function findingsOf(group: Group): readonly Finding[] {
  const base = baseOf(group.cells);
  return [
    { title: 'What it costs', points: [...costs(group), ...base.total > 0 ? orderText(group.cells, base) : []] },
    { title: 'Why', points: [...reasons(group), ...reasonsText(group.cells, base)] },
    ...group.sweeps.length > 0 ? [{ title: 'Where the ways cross', points: crossoverFinding(group.sweeps, group.cells) }] : [],
  ];
}

/** What the others are measured by: native where it was run, else what costs least. */
export function baseOf(cells: readonly CellResult[]): CellResult {
  return cells.find(({ way }) => way === 'native') ?? ranked(cells)[0]!;
}

const ranked = (cells: readonly CellResult[]): CellResult[] => [...cells].sort((a, b) => a.total - b.total);

function costs({ cells, cpu, pages }: Group): readonly string[] {
  const base = baseOf(cells), [best, ...rest] = ranked(cells.filter((cell) => cell !== base)), where = `On ${cpu} with ${pages} pages`;
  const own = `${figureText(base.total / base.accesses)} cycles an access, ${short(base.total)} in all`;
  if (best === undefined) return [`${where} ${title(base)} costs ${own}.`];
  const others = list([...base.way === 'native' ? [] : [best], ...rest].map((cell) => `${title(cell)} takes ${times(cell.total, base.total)}`));
  if (base.way !== 'native') return [`${where} ${title(base)} is the cheapest of the ways that were run: ${own}. ${capital(others)}.`];
  const first = rest.length === 0 ? `${title(best)} takes` : `the cheapest way to virtualize memory is ${title(best)}:`;
  return [`${where} ${first} ${times(best.total, base.total)} the cycles of native (${own}).${others === '' ? '' : ` ${capital(others)}.`}`];
}

function reasons({ cells }: Group): readonly string[] {
  const base = baseOf(cells), others = ranked(cells.filter((cell) => cell !== base));
  if (others.length === 0) return [`${capital(title(base))} spends them on ${partsOf(moreBy(base.cycles, nothing(base)), base.total)}.`];
  const isLarge = cells.some(({ promotions }) => promotions > 0), small = cells[0]!.pages === '4k' || isLarge ? [] : [NONE_LARGE];
  return [...others.map((cell) => `${capital(title(cell))} ${difference(cell, base)}${entered(cell)}${references(cell, base)}.${peculiarities(cell, isLarge)}`), ...small];
}

const NONE_LARGE = 'No guest had a large page: no region of 2M had enough pages in use for one. What differs from 4k pages is the host\'s.';

const nothing = (cell: CellResult): CellResult['cycles'] =>
  Object.fromEntries(Object.keys(cell.cycles).map((cause) => [cause, 0])) as unknown as CellResult['cycles'];

/** `adds 7.02 M cycles to native's: …; it saves …`. */
function difference(cell: CellResult, base: CellResult): string {
  const all = moreBy(cell.cycles, base.cycles);
  const more = all.filter(({ cycles }) => cycles > 0), less = all.filter(({ cycles }) => cycles < 0).map(({ name, cycles }) => ({ name, cycles: -cycles }));
  const [added, saved] = [sumOf(more), sumOf(less)], than = `${wayOf(base.way).title}'s`;
  if (added === 0 && saved === 0) return `costs what ${wayOf(base.way).title} does, to the cycle`;
  const adds = `adds ${short(added)} cycles to ${than}: ${partsOf(more, added)}`, saves = `saves ${short(saved)} of ${than}: ${partsOf(less, saved)}`;
  if (saved < WORTH * added) return adds;
  return added < WORTH * saved ? saves : `${adds}; it ${saves}`;
}

/** What is so by the way's nature, and explains its figures. @param isLarge - the program has large pages where it may */
function peculiarities({ way }: CellResult, isLarge: boolean): string {
  const handed = way === 'direct' ? ' Exceptions and system calls of its guest go by the hypervisor, and are world switches.' : '';
  return `${handed}${!isLarge || wayOf(way).largePages ? '' : ' Its guest has no large pages: Xen lets it map none.'}`;
}

function entered({ hypervisor }: CellResult): string {
  const exits = (hypervisor?.exits ?? []).filter((exit) => exit.count > 0);
  if (exits.length === 0) return '';
  return `. Its hypervisor was entered ${count(exits.reduce((all, exit) => all + exit.count, 0))} times: ${list(exits.map((exit) => `${exit.name} (${count(exit.count)})`))}`;
}

function references(cell: CellResult, base: CellResult): string {
  const [own, other] = [referencesPerMiss(cell), referencesPerMiss(base)];
  if (Number.isNaN(own) || Number.isNaN(other)) return '';
  return `. It missed the TLB ${count(cell.misses)} times and read ${fixed(own, 2)} entries for each; ${title(base)} ${count(base.misses)} times, ${fixed(other, 2)} entries`;
}

/** Page-table entries read for each TLB miss, of guest and host; NaN without misses. */
export function referencesPerMiss({ references: { guest, host }, misses }: CellResult): number {
  return misses > 0 ? (guest + host) / misses : NaN;
}

function times(cycles: number, base: number): string {
  return base > 0 ? `${figureText(cycles / base)} times` : `${short(cycles)} cycles`;
}

const title = ({ way }: { readonly way: WayName }): string => wayOf(way).title;
