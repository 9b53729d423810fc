/** How far findings depend on estimated prices, in words: what they were with all of those at half and at double. */

import { moreBy } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import { cellAt, crossingRange, estimatedShare, FACTORS } from '../compare/sensitivity.ts';
import type { CrossingRange } from '../compare/sensitivity.ts';
import type { SweepLine } from '../compare/sweep-line.ts';
import { wayOf } from '../compare/way.ts';
import { figureText } from './number-format.ts';
import { capital, list, rateRange, rateText } from './prose.ts';

const PRICES = 'all estimated prices of kernel and hypervisor';
const IF = `with ${PRICES} at half and at double`;
const EACH = ['at half', 'at double'] as const;

/** How much of the cycles rests on estimates, and whether the order of the ways does. @param base - what the others are measured by @returns a sentence or two */
export function orderText(cells: readonly CellResult[], base: CellResult): readonly string[] {
  const shares = cells.map((cell) => `${Math.round(100 * estimatedShare(cell))} % under ${title(cell)}`), rest = `Of these cycles ${list(shares)} are counts times estimated prices of kernel and hypervisor`;
  if (cells.length === 1) return [`${rest}.`];
  const orders = [1, ...FACTORS].map((factor) => order(cells.map((cell) => cellAt(cell, factor))).map(title));
  if (orders.some((names) => names.join() !== orders[0]!.join())) {
    return [`${rest}. The order of the ways depends on them: with ${PRICES} ${EACH.map((name, k) => `${name} it is, cheapest first, ${list(orders[k + 1]!)}`).join('; ')}.`];
  }
  return [`${rest}. ${sentence(`${IF} the order of the ways stays: ${list(timesTexts(cells.filter((cell) => cell !== base), base))}`)}`];
}

const order = (cells: readonly CellResult[]): CellResult[] => [...cells].sort((a, b) => a.total - b.total);

/** `direct paging takes 2.33 to 2.63 times the cycles of native`, of the first; of the others figures alone. */
function timesTexts(cells: readonly CellResult[], base: CellResult): string[] {
  return cells.map((cell, k) => {
    const times = FACTORS.map((factor) => figureText(cellAt(cell, factor).total / cellAt(base, factor).total)).join(' to ');
    return k === 0 ? `${title(cell)} takes ${times} times the cycles of ${title(base)}` : `${title(cell)} ${times}`;
  });
}

/** Whether what makes the largest difference stays what it is. @returns a sentence, or none where there is no difference */
export function reasonsText(cells: readonly CellResult[], base: CellResult): readonly string[] {
  const named = cells.filter((cell) => cell !== base).flatMap((cell) => {
    const causes = [1, ...FACTORS].map((factor) => moreBy(cellAt(cell, factor).cycles, cellAt(base, factor).cycles)[0]?.name);
    return causes[0] === undefined ? [] : [{ cell, causes }];
  });
  if (named.length === 0) return [];
  const moved = named.filter(({ causes }) => causes.some((name) => name !== causes[0]));
  if (moved.length === 0) return [sentence(`${IF} the largest cause of each difference stays the same`)];
  return [`Which cause makes the largest difference depends on estimates: ${list(moved.map(({ cell, causes }) => (
    `under ${title(cell)} ${EACH.map((name, k) => `${causes[k + 1] ?? 'none'} with ${PRICES} ${name}`).join(', ')}`)))}.`];
}

/** Whether two lines lie to each other as they do, and where they cross. @returns a sentence */
export function crossingText(a: SweepLine, b: SweepLine): string {
  const range = crossingRange(a, b);
  if (!range.same) return `That depends on estimates: with ${PRICES} ${EACH.map((name, k) => `${name} ${stateText(range, k + 1, [a, b])}`).join(', ')}.`;
  if (range.at[0] === undefined) return sentence(`${IF} that stays`);
  return sentence(`${IF} that stays, and they cross ${betweenText(range)}`);
}

/** How the crossings of some lines with another depend on estimates. @returns a sentence */
export function crossingsText(lines: readonly { readonly line: SweepLine; readonly name: string }[], rival: SweepLine): string {
  const ranges = lines.map(({ line, name }) => ({ name, range: crossingRange(line, rival) }));
  if (ranges.every(({ range: { same, at } }) => same && at[0] === undefined)) return sentence(`${IF} that stays`);
  return sentence(`${IF} they cross ${list(ranges.map(({ name, range }) => `${placeText(range)} ${name}`))}`);
}

function placeText(range: CrossingRange): string {
  if (!range.same) return EACH.map((name, k) => `${name} ${range.at[k + 1] === undefined ? 'nowhere' : `at ${rateText(range.at[k + 1]!)}`}`).join(' and ');
  return range.at[0] === undefined ? 'nowhere' : betweenText(range);
}

/** What is so at one of the prices. */
function stateText({ at, cheaper }: CrossingRange, k: number, lines: readonly SweepLine[]): string {
  const names = lines.map(({ way }) => wayOf(way).title), few = lines[0]!.name === cheaper[k] ? names[0] : names[1], rate = at[k];
  return rate === undefined ? `${few} is cheaper throughout` : `${few} is cheaper up to ${rateText(rate)}`;
}

const betweenText = ({ at }: CrossingRange): string => rateRange(at.map((rate) => rate!));

/** Where a rate lies that is reckoned of cells. @param rateOf - undefined where there is none @returns what follows after the rate itself */
export function cellRateText(cells: readonly CellResult[], rateOf: (cells: readonly CellResult[]) => number | undefined): string {
  const rates = [1, ...FACTORS].map((factor) => rateOf(cells.map((cell) => cellAt(cell, factor))));
  if (rates.includes(undefined)) return `; ${IF} there is not always such a rate`;
  return `; ${IF} ${rateRange(rates.map((rate) => rate!))}`;
}

const title = ({ way }: CellResult): string => wayOf(way).title;
const sentence = (text: string): string => `${capital(text)}.`;
