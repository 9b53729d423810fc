/** Every target, by name. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../src/errors.ts';
import type { Target } from '../target.ts';
import { stale, tlb } from './cached.ts';
import { cli } from './cli.ts';
import { engines } from './engines.ts';
import { frames } from './frames.ts';
import { HYPERCALLS } from './hypercalls/target.ts';
import { vcpus } from './hypercalls/vcpus.ts';
import { guests } from './guests.ts';
import { shadow } from './shadow.ts';
import { snapshots } from './snapshots.ts';
import { traces } from './traces.ts';
import { walk } from './walk.ts';

export const TARGETS: readonly Target[] = [engines, frames, walk, tlb, stale, guests, shadow, ...HYPERCALLS, vcpus, snapshots, traces, cli];

/** A target by its name, or the one that a module exports as `target`, by its path. @throws ConfigError - there is no such target */
export async function findTarget(name: string): Promise<Target> {
  if (!/\.m?js$/.test(name)) return targetOf(name);
  const { target } = await import(pathToFileURL(resolve(name)).href) as { target?: Target };
  if (target === undefined) throw new ConfigError('TARGET', 'a module that exports `target`', name);
  return target;
}

/** @param field - what an error calls it @throws ConfigError - there is no such target */
export function targetOf(name: string, field = 'TARGET'): Target {
  const target = TARGETS.find(one => one.name === name);
  if (!target) throw new ConfigError(field, `a target: ${TARGETS.map(one => one.name).join(', ')}`, name);
  return target;
}
