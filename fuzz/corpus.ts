/** Inputs in files: a folder for each target. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, InputError } from '../src/errors.ts';
import { fitted, hashOf, parseInput, printInput, type Input, type Recorded } from './input.ts';
import type { Target } from './target.ts';
import { targetOf } from './targets/all.ts';

const EXTENSION = '.fuzz';

/** @throws InputError - the file is no input */
export function readRecorded(file: string): Recorded {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(file, 'the file', 'one that can be read', (error as NodeJS.ErrnoException).code ?? '');
  }
  return parseInput(text, file, (name, words) => {
    const target = targetOf(name);
    if (!target.parse) throw new ConfigError('do', `op and bytes, as operations of ${name} have no names`, words);
    return target.parse(words);
  });
}

/** Files of inputs below a folder, in order; none where there is no folder. */
export function recordedFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith(EXTENSION)).sort().map(name => join(folder, name));
}

/** What a target begins with: its own seeds, and those of its files. */
export function readCorpus(target: Target, folders: readonly string[]): Input[] {
  const files = folders.flatMap(recordedFiles).map(readRecorded).filter(recorded => recorded.target === target.name);
  return [...target.seeds?.() ?? [], ...files.map(({ input }) => fitted(input, target.headBytes, target.recordBytes))];
}

/** Write an input to a file of its own. @returns its path */
export function writeInput(folder: string, target: Target, about: string, input: Input): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${target.name}-${hashOf(input)}${EXTENSION}`);
  writeFileSync(file, printInput({ target: target.name, about, input }, target.explain?.bind(target)));
  return file;
}
