/** Reading the command line: lists, numbers, processors, with errors that name the option. */
import { ConfigError } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { checkCpuModel } from '../cost/preset-check.ts';
import { findPreset } from '../cost/presets/all.ts';
import type { EngineChoice } from '../machine/options.ts';
import { readJson } from './json-file.ts';

/** Values separated by commas, each one of `known`. @throws ConfigError */
export function listOf<T extends string>(text: string, option: string, known: readonly T[]): T[] {
  const parts = text.split(',').map(part => part.trim());
  for (const part of parts) if (!known.includes(part as T)) throw new ConfigError(option, `one or more of ${known.join(', ')}`, part);
  return [...new Set(parts as T[])];
}

/** One of `known`. @throws ConfigError */
export function oneOf<T extends string>(text: string, option: string, known: readonly T[]): T {
  if (!known.includes(text as T)) throw new ConfigError(option, `one of ${known.join(', ')}`, text);
  return text as T;
}

/** A whole number in a range. @throws ConfigError */
export function integerOf(text: string, option: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) throw new ConfigError(option, `a whole number from ${least} to ${most}`, text);
  return value;
}

/** `--engine`. @throws ConfigError */
export function engineOf(text: string): EngineChoice {
  return oneOf<EngineChoice>(text, '--engine', ['auto', 'wasm', 'ts']);
}

const MAX_THREADS = 512;

/** `--jobs`. @throws ConfigError */
export function threadsOf(text: string): number {
  return integerOf(text, '--jobs', 1, MAX_THREADS);
}

/** A size of memory, as a text that machines take: `64M`. @throws ConfigError */
export function memoryOf(text: string): string {
  if (!/^\d+[KMGT]?$/.test(text)) throw new ConfigError('--memory', 'a size, as 256M', text);
  return text;
}

/** Processors by preset name, or by the path of a JSON file with one. @throws ConfigError, InputError */
export function cpusOf(text: string): CpuModel[] {
  const models = text.split(',').map(part => part.trim()).map(part => (/\.json$/i.test(part) ? readModel(part) : findPreset(part)));
  models.forEach((model, k) => {
    if (models.findIndex(other => other.name === model.name) !== k) throw new ConfigError('--cpu', 'each processor once', model.name);
  });
  return models;
}

/** A processor from a JSON file. @throws ConfigError, InputError */
export function readModel(path: string): CpuModel {
  return checkCpuModel(readJson(path, 'a processor'), path);
}
