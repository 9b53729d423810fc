/** Sentences made of figures. */

import type { Amount } from '../compare/cause.ts';
import { figureText, short } from './number-format.ts';

/** Parts of a sum that are worth a word. */
export const WORTH = 0.08;

/** `a`, `a and b`, `a, b and c`. */
export function list(texts: readonly string[]): string {
  return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}

/** With its first letter in upper case. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The amounts that are worth it, each with its share of the whole; the largest at least. Amounts are positive, largest first. */
export function partsOf(amounts: readonly Amount[], whole: number): string {
  const worth = amounts.filter(({ cycles }) => cycles >= WORTH * whole);
  const shown = worth.length > 0 ? worth : amounts.slice(0, 1);
  return list(shown.map(({ name, cycles }) => `${name} (${Math.round((100 * cycles) / whole)} %)`));
}

/** All of the amounts together. */
export const sumOf = (amounts: readonly Amount[]): number => amounts.reduce((all, { cycles }) => all + cycles, 0);

const SEVERAL = 0.95; // updates an access, from which on a rate is said so
const accessesText = (perAccess: number): string => figureText(Number((1 / perAccess).toPrecision(3)));

/** A rate as people say it: `one update in 74 accesses`, `2.5 updates an access`. */
export function rateText(perAccess: number): string {
  if (perAccess < SEVERAL) return `one update in ${accessesText(perAccess)} accesses`;
  const many = short(Number(perAccess.toPrecision(2)));
  return `${many} ${many === '1' ? 'update' : 'updates'} an access`;
}

/** Where rates lie: `at one update in 74 accesses`, `at one update in 40 to 170 accesses`, `between one update in 2 accesses and 1.5 updates an access`. */
export function rateRange(rates: readonly number[]): string {
  const [from, to] = [Math.min(...rates), Math.max(...rates)], [least, most] = [rateText(from), rateText(to)];
  if (least === most) return `at ${least}`;
  return to < SEVERAL ? `at one update in ${accessesText(to)} to ${accessesText(from)} accesses` : `between ${least} and ${most}`;
}
