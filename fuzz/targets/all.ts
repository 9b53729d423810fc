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
import { races } from './hypercalls/races.ts';
import { vcpus } from './hypercalls/vcpus.ts';
import { guests } from './guests.ts';
import { shadow } from './shadow.ts';
import { snapshots } from './snapshots.ts';
import { traces } from './traces.ts';
import { walk } from './walk.ts';

export const TARGETS: readonly Target[] = [engines, frames, walk, tlb, stale, guests, shadow, ...HYPERCALLS, vcpus, races, snapshots, traces, cli];

/** What names a module rather than a target. */
export const IS_MODULE = /\.m?js$/;

/** A target by its name, or the one that a module exports as `target`, by its path. @throws ConfigError - there is no such target */
export async function findTarget(name: string): Promise<Target> {
  if (!IS_MODULE.test(name)) return targetOf(name);
  const loaded = await import(pathToFileURL(resolve(name)).href).catch((error: unknown) => {
    throw new ConfigError('TARGET', 'a module that can be loaded', `${name} (${String(error).split('\n')[0]})`);
  }) as { target?: Target };
  if (typeof loaded.target?.run !== 'function' || typeof loaded.target.name !== 'string') throw new ConfigError('TARGET', 'a module that exports a target as `target`', name);
  return loaded.target;
}

/** @param field - what an error calls it @throws ConfigError - there is no such target */
export function targetOf(name: string, field = 'TARGET'): Target {
  const target = TARGETS.find(one => one.name === name);
  if (!target) throw new ConfigError(field, `a target: ${TARGETS.map(one => one.name).join(', ')}`, name);
  return target;
}
