/** Checks prices that a caller gives. */
import { ConfigError } from '../errors.ts';
import { figure, type Figure } from './cpu-model.ts';

const MOST = 1_000_000;

/** @param at - what to call them in messages @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export function checkCosts<T extends { readonly [K in keyof T]: Figure }>(costs: T, names: readonly (keyof T & string)[], at: string): T {
  if (typeof costs !== 'object' || costs === null) throw new ConfigError(at, 'an object', costs);
  for (const name of Object.keys(costs)) if (!(names as readonly string[]).includes(name)) throw new ConfigError(`${at}.${name}`, `one of ${names.join(', ')}`, name);
  for (const name of names) {
    const value: unknown = costs[name] === undefined ? undefined : figure(costs[name]);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST) throw new ConfigError(`${at}.${name}`, `an integer from 0 to ${MOST}`, value);
  }
  return costs;
}
