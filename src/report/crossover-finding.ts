/** Where the ways cross as page tables change more often, in words, and why there or not at all. */

import { groupCycles, moreBy } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import { batchingLines, crossingOf, ends, updateCost, wayLines } from '../compare/sweep.ts';
import type { Crossing, Sweep } from '../compare/sweep.ts';
import type { SweepLine } from '../compare/sweep-line.ts';
import { wayOf } from '../compare/way.ts';
import type { WayName } from '../compare/way.ts';
import { count, figureText } from './number-format.ts';
import { capital, list, partsOf, rateText, sumOf } from './prose.ts';

/** @param sweeps - one at least; the first decides @param cells - of the program that was run, if any */
export function crossoverFinding(sweeps: readonly Sweep[], cells: readonly CellResult[] = []): string {
  const [main] = sweeps, virtual = wayLines(main!).filter(({ way }) => way !== 'native');
  if (virtual.length < 2) return 'One way to virtualize memory was run, and has none to cross.';
  const pairs = virtual.flatMap((a, k) => virtual.slice(k + 1).map((b) => crossingOf(a, b)));
  return [
    `Where a process ${workloadText(main!)}:`,
    ...pairs.map((pair) => `${pairText(pair)}${reasonText(pair)}`),
    ...sweeps.map(batchingText),
    programText(cells),
  ].filter((text) => text !== '').join(' ');
}

/** What the process of a sweep does, as a predicate. */
export function workloadText({ workload: { pattern, workingSet, change, batch } }: Pick<Sweep, 'workload'>): string {
  const makes = pattern === 'chase' ? `loads from ${count(workingSet)} pages in random order` : `stores to ${count(workingSet)} pages one after another`;
  const pages = batch === 1 ? 'a page' : `${count(batch)} pages`;
  const changes = {
    protect: `takes the right to store from ${pages}, gives it back and stores to each`, guard: `takes all rights from ${pages} and gives them back`,
    map: `maps ${pages}, stores to each and unmaps them`, fork: 'forks a child that runs a small program',
  }[change];
  return `${makes} and now and then ${changes}`;
}

function pairText({ cheaper, other, at }: Crossing): string {
  const [few, many] = [title(cheaper), title(other)], [, last] = ends(cheaper);
  if (at === undefined) return `${capital(few)} is cheaper than ${many} at every rate up to ${rateText(last.updatesPerAccess)}.`;
  return `${capital(few)} is cheaper than ${many} up to ${rateText(at)}, and dearer beyond.`;
}

/** Causes of where a crossing with direct paging is, or is not; and whether theory expects it. */
function reasonText({ cheaper, other, at }: Crossing): string {
  const [direct, rival] = cheaper.way === 'direct' ? [cheaper, other] : [other, cheaper];
  if (direct.way !== 'direct') return '';
  const asExpected = at !== undefined && cheaper === direct;
  const [[own], [theirs]] = [ends(direct), ends(rival)], [change, rivalChange] = [updateCost(direct), updateCost(rival)];
  const verdict = asExpected ? ' So theory expects.' : ` Theory expects direct paging cheaper with few updates and dearer with many; here it is not so.`;
  const rare = gapText(rival, direct, moreBy(theirs.cycles, own.cycles)), each = gapText(direct, rival, moreBy(change, rivalChange));
  return `${verdict} With the fewest updates ${rare} an access; an update costs ${figureText(total(change))} cycles under ${title(direct)} and ${
    figureText(total(rivalChange))} under ${title(rival)}: ${each}.`;
}

/** `nested paging costs 14.9 cycles more (loads of walks (97 %))`, of whichever sign. */
function gapText(a: SweepLine, b: SweepLine, more: ReturnType<typeof moreBy>): string {
  const all = sumOf(more), sign = Math.sign(all);
  if (all === 0) return `${title(a)} costs no cycle more or less`;
  const same = more.map(({ name, cycles }) => ({ name, cycles: cycles * sign })).filter(({ cycles }) => cycles > 0);
  return `${title(sign > 0 ? a : b)} costs ${figureText(Math.abs(all))} cycles more, for ${partsOf(same, sumOf(same))}`;
}

/** How batching moves the crossing of direct paging with the first of the other ways. */
function batchingText(sweep: Sweep): string {
  const lines = batchingLines(sweep), rival = wayLines(sweep).find(({ way }) => way === 'nested') ?? wayLines(sweep).find(({ way }) => way === 'shadow');
  if (lines.length < 2 || rival === undefined) return '';
  const crossings = lines.map((line) => {
    const { cheaper, at } = crossingOf(line, rival);
    const name = line.batching ?? 'multicall';
    if (at !== undefined) return `${name}: ${rateText(at)}`;
    return `${name}: none, it is ${cheaper === line ? 'cheaper' : 'dearer'} throughout`;
  });
  return `How direct paging batches moves its crossing with ${title(rival)} where the process ${workloadText(sweep)}: ${list(crossings)}.`;
}

/** The rate up to which the program itself would be better off with direct paging than with nested, by what both cost it. */
function programText(cells: readonly CellResult[]): string {
  const [native, direct, nested] = (['native', 'direct', 'nested'] as const).map((name: WayName) => cells.find(({ way }) => way === name));
  if (native === undefined || direct === undefined || direct.entries === 0) return '';
  const own = `The program itself changed an entry in ${count(direct.accesses / direct.entries)} accesses and missed the TLB once in ${count(native.accesses / native.misses)}`;
  if (nested === undefined) return `${own}.`;
  const walks = (nested.total - native.total) / native.accesses, change = (direct.total - native.total) / direct.entries;
  if (walks <= 0 || change <= 0) return `${own}.`;
  return `${own}: at ${figureText(change)} cycles that direct paging adds for each entry, it would be better off than with nested paging up to ${rateText(walks / change)}.`;
}

const title = ({ way }: SweepLine): string => wayOf(way).title;
const total = (cycles: SweepLine['points'][number]['cycles']): number => groupCycles(cycles).reduce((a, b) => a + b, 0);
