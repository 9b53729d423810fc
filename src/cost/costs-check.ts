/** Checks prices that a caller gives. */
import { ConfigError } from '../errors.ts';
import type { Figure } from './cpu-model.ts';

const MOST = 1_000_000;

/** @param at - what to call them in messages @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export function checkCosts<T extends { readonly [K in keyof T]: Figure }>(costs: T, names: readonly (keyof T & string)[], at: string): T {
  if (typeof costs !== 'object' || costs === null) throw new ConfigError(at, 'an object', costs);
  for (const name of Object.keys(costs)) if (!(names as readonly string[]).includes(name)) throw new ConfigError(`${at}.${name}`, `one of ${names.join(', ')}`, name);
  for (const name of names) checkFigure(costs[name], `${at}.${name}`, 0, MOST);
  return costs;
}

/** @param given - a figure, or whatever a caller gives for one @throws ConfigError - it is no integer in the range */
export function checkFigure(given: unknown, at: string, least: number, most: number): void {
  const value = typeof given === 'object' && given !== null ? (given as { readonly value?: unknown }).value : given;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return;
  throw new ConfigError(at, `an integer from ${least} to ${most}`, value);
}
