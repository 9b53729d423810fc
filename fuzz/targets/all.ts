/** Every target, by name. */
import { ConfigError } from '../../src/errors.ts';
import type { Target } from '../target.ts';
import { engines } from './engines.ts';
import { HYPERCALLS } from './hypercalls/target.ts';

export const TARGETS: readonly Target[] = [engines, ...HYPERCALLS];

/** @param field - what an error calls it @throws ConfigError - there is no such target */
export function targetOf(name: string, field = 'TARGET'): Target {
  const target = TARGETS.find(one => one.name === name);
  if (!target) throw new ConfigError(field, `a target: ${TARGETS.map(one => one.name).join(', ')}`, name);
  return target;
}
