/** Where the ways cross as page tables change more often, in words, and why there or not at all. */

import { groupCycles, moreBy } from '../compare/cause.ts';
import type { Amount } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import { batchingLines, cheapest, crossingOf, ends, updateCost, wayLines } from '../compare/sweep.ts';
import type { Crossing, Sweep } from '../compare/sweep.ts';
import type { Batching, SweepLine } from '../compare/sweep-line.ts';
import { wayOf } from '../compare/way.ts';
import type { WayName } from '../compare/way.ts';
import { count, figureText, short } from './number-format.ts';
import { capital, list, partsOf, rateText, sumOf } from './prose.ts';
import { cellRateText, crossingsText, crossingText } from './sensitivity.ts';

const THEORY = 'theory expects direct paging to be cheaper with few updates, dearer with many';

/** @param sweeps - one at least; the first decides @param cells - of the program that was run, if any @returns sentences */
export function crossoverFinding(sweeps: readonly Sweep[], cells: readonly CellResult[] = []): readonly string[] {
  const [main] = sweeps, virtual = wayLines(main!).filter(({ way }) => way !== 'native');
  if (virtual.length < 2) return ['Less than two ways to virtualize memory were run: there is nothing to cross.'];
  const pairs = virtual.flatMap((a, k) => virtual.slice(k + 1).map((b) => crossingOf(a, b)));
  return [
    `A process ${workloadText(main!)}. ${capital(cheapestText(virtual))}.`, ...pairs.map(pairText), ...batchingText(sweeps), ...programText(cells),
  ];
}

/** What the process of a sweep does, as a predicate. */
export function workloadText({ workload }: Pick<Sweep, 'workload'>): string {
  const { pattern, workingSet } = workload, makes = pattern === 'chase' ? `loads from ${count(workingSet)} pages in random order` : `stores to ${count(workingSet)} pages one after another`;
  return `${makes} and now and then ${changeText(workload)}`;
}

function changeText({ change, batch: most, workingSet }: Pick<Sweep['workload'], 'change' | 'batch' | 'workingSet'>): string {
  const batch = change === 'map' ? most : Math.min(most, workingSet), pages = batch === 1 ? 'a page' : `${count(batch)} pages`, them = batch === 1 ? 'it' : 'them';
  return {
    protect: `takes the right to store from ${pages}, gives it back, and stores to ${batch === 1 ? 'it' : 'each'}`, guard: `takes all rights from ${pages} and gives them back`,
    map: `maps ${pages}, stores to ${batch === 1 ? 'it' : 'each'} and unmaps ${them}`, fork: 'forks a child that runs a small program',
  }[change];
}

function cheapestText(lines: readonly SweepLine[]): string {
  const stretches = cheapest(lines), [only] = stretches;
  if (stretches.length === 1) return `${title(only!.line)} is the cheapest way to virtualize its memory at every rate from ${rateText(rates(only!.line)[0])} to ${rateText(rates(only!.line)[1])}`;
  const texts = stretches.map(({ line, upTo }) => `${title(line)} ${upTo === undefined ? 'beyond' : `up to ${rateText(upTo)}`}`);
  return `the cheapest way to virtualize its memory is ${texts.join(', ')}`;
}

const rates = (line: SweepLine): readonly [number, number] => [ends(line)[0].updatesPerAccess, ends(line)[1].updatesPerAccess];

function pairText(pair: Crossing): string {
  const { cheaper, other, at } = pair, [few, many] = [title(cheaper), title(other)], most = rateText(rates(cheaper)[1]);
  const isDirect = cheaper.way === 'direct' || other.way === 'direct';
  const where = at === undefined ? `${capital(few)} is cheaper than ${many} throughout, up to ${most}` : `${capital(few)} is cheaper than ${many} up to ${rateText(at)}, and dearer beyond`;
  if (!isDirect) return `${where}. ${crossingText(cheaper, other)}`;
  const verdict = at !== undefined && cheaper.way === 'direct' ? `, as ${THEORY}` : `, although ${THEORY}`;
  return `${where}${verdict}. ${causesText(pair)} ${crossingText(cheaper, other)}`;
}

/** What an access and what an update cost more under direct paging or its rival, and for which causes. */
function causesText({ cheaper, other }: Crossing): string {
  const [direct, rival] = cheaper.way === 'direct' ? [cheaper, other] : [other, cheaper], [[own], [theirs]] = [ends(direct), ends(rival)];
  const [change, rivalChange] = [updateCost(direct), updateCost(rival)];
  return `With the fewest updates an access ${gapText(rival, direct, moreBy(theirs.cycles, own.cycles))}. An update costs ${figureText(total(change))} cycles under ${
    title(direct)}, ${figureText(total(rivalChange))} under ${title(rival)}: it ${gapText(direct, rival, moreBy(change, rivalChange))}.`;
}

/** `costs 14.9 cycles more under nested paging, for loads of walks (97 %)`, of whichever sign; where something is less, both sums with their parts. */
function gapText(a: SweepLine, b: SweepLine, more: readonly Amount[]): string {
  const all = sumOf(more), sign = Math.sign(all);
  if (all === 0) return `costs the same under ${title(a)} and ${title(b)}`;
  const signed = more.map(({ name, cycles }) => ({ name, cycles: cycles * sign })), added = signed.filter(({ cycles }) => cycles > 0);
  const saved = signed.filter(({ cycles }) => cycles < 0).map(({ name, cycles }) => ({ name, cycles: -cycles })), gross = sumOf(added);
  const [net, plus] = [figureText(Math.abs(all)), figureText(gross)], where = `costs ${net} cycles more under ${title(sign > 0 ? a : b)}`;
  if (net === plus) return `${where}, for ${partsOf(added, gross)}`;
  return `${where}: ${plus} more for ${partsOf(added, gross)}, ${figureText(sumOf(saved))} less for ${partsOf(saved, sumOf(saved))}`;
}

/** How batching moves the crossing of direct paging with nested paging, or with shadow paging where there is no other. */
function batchingText(sweeps: readonly Sweep[]): readonly string[] {
  return sweeps.flatMap((sweep, k) => {
    const lines = batchingLines(sweep), rival = wayLines(sweep).find(({ way }) => way === 'nested') ?? wayLines(sweep).find(({ way }) => way === 'shadow');
    if (lines.length < 2 || rival === undefined) return [];
    const pairs = lines.map((line) => ({ line, ...crossingOf(line, rival) })), rates = pairs.flatMap(({ at }) => (at === undefined ? [] : [at]));
    const named = lines.map((line) => ({ line, name: batchName(line) }));
    const where = k === 0 ? '' : `where the process instead ${changeText(sweep.workload)}, `;
    if (rates.length === 0) {
      const sides = new Set(pairs.map(batchSide)), side = sides.size === 1 ? `${[...sides][0]} throughout` : list(pairs.map(batchText));
      return [capital(`${where}no batching makes direct paging cross ${title(rival)}: it is ${side}. ${crossingsText(named, rival)}`)];
    }
    const moves = `batching moves the crossing of direct paging with ${title(rival)}${rates.length > 1 ? ` by a factor of ${short(Math.max(...rates) / Math.min(...rates))}` : ''}`;
    return [capital(`${where}${moves}: ${list(pairs.map(batchText))}. ${crossingsText(named, rival)}`)];
  });
}

const BATCHED: Readonly<Record<Batching, string>> = {
  ptwr: 'with stores that are emulated (ptwr)', unbatched: 'with a hypercall each', multicall: 'with multicalls', array: 'with arrays of mmu_update',
};

interface BatchCrossing extends Crossing {
  readonly line: SweepLine;
}

const batchName = ({ batching }: SweepLine): string => BATCHED[batching ?? 'multicall'];
const batchSide = ({ line, cheaper }: BatchCrossing): string => (cheaper === line ? 'cheaper' : 'dearer');

function batchText(pair: BatchCrossing): string {
  return `${pair.at === undefined ? `${batchSide(pair)} throughout` : rateText(pair.at)} ${batchName(pair.line)}`;
}

/** The rate up to which the program itself would be better off with direct paging than with nested, by what both cost it. */
function programText(cells: readonly CellResult[]): readonly string[] {
  const [native, direct] = (['native', 'direct'] as const).map((name) => cellOf(cells, name));
  if (native === undefined || direct === undefined || direct.entries === 0) return [];
  const own = `The program that was run changed an entry in ${count(direct.accesses / direct.entries)} accesses and missed the TLB once in ${count(native.accesses / native.misses)}`;
  const costs = programCosts(cells);
  if (costs === undefined) return [`${own}.`];
  const { walks, change } = costs, depends = cellRateText(cells, (at) => { const other = programCosts(at); return other && other.walks / other.change; });
  return [`${own}. For each entry direct paging adds ${figureText(change)} cycles to native's, nested paging ${figureText(walks)} for each access: the two would cost it the same at ${rateText(walks / change)}${depends}.`];
}

const cellOf = (cells: readonly CellResult[], name: WayName): CellResult | undefined => cells.find(({ way }) => way === name);

/** Cycles that nested paging adds to native's for each access, and direct paging for each entry changed; undefined unless both add some. */
function programCosts(cells: readonly CellResult[]): { readonly walks: number; readonly change: number } | undefined {
  const [native, direct, nested] = (['native', 'direct', 'nested'] as const).map((name) => cellOf(cells, name));
  if (native === undefined || direct === undefined || nested === undefined) return undefined;
  const walks = (nested.total - native.total) / native.accesses, change = (direct.total - native.total) / direct.entries;
  return walks > 0 && change > 0 ? { walks, change } : undefined;
}

const title = ({ way }: SweepLine): string => wayOf(way).title;
const total = (cycles: SweepLine['points'][number]['cycles']): number => groupCycles(cycles).reduce((a, b) => a + b, 0);
