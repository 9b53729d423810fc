/** The presets by name. Each lives in the file of its name, every figure with its source (see `sourced.ts`). */
import { ConfigError } from '../../errors.ts';
import type { CpuModel } from '../cpu-model.ts';
import { goldencove } from './goldencove.ts';
import { haswell } from './haswell.ts';
import { icelake } from './icelake.ts';
import { nehalemE5520 } from './nehalem-e5520.ts';
import { skylake } from './skylake.ts';
import { zen2 } from './zen2.ts';
import { zen3 } from './zen3.ts';
import { zen4 } from './zen4.ts';

const ALL: readonly CpuModel[] = [nehalemE5520, haswell, skylake, icelake, goldencove, zen2, zen3, zen4];

export const presets: Readonly<Record<string, CpuModel>> = Object.fromEntries(ALL.map(model => [model.name, model]));

/** @throws ConfigError - there is no preset of this name; the message lists those there are */
export function findPreset(name: string): CpuModel {
  const model = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (model === undefined) throw new ConfigError('cpu', `one of ${Object.keys(presets).join(', ')}`, name);
  return model;
}
