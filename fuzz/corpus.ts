/** Inputs in files: a folder for each target. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, InputError } from '../src/errors.ts';
import { fitted, hashOf, parseInput, printInput, type Input, type Recorded } from './input.ts';
import type { Target } from './target.ts';
import { targetOf } from './targets/all.ts';

const EXTENSION = '.fuzz';

/** @param of - the target whose it is, if not that of the name in the file @throws InputError - the file is no input */
export function readRecorded(file: string, of?: Target): Recorded {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(file, 'the file', 'one that can be read', (error as NodeJS.ErrnoException).code ?? '');
  }
  return parseInput(text, file, (name, words) => {
    const target = of ?? targetOf(name);
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
  const files = folders.flatMap(recordedFiles).map(file => readRecorded(file)).filter(recorded => recorded.target === target.name);
  return [...target.seeds?.() ?? [], ...files.map(({ input }) => fitted(input, target.headBytes, target.recordBytes))];
}

/** Make a folder, if there is none, that inputs can be written to. @param option - what named it @throws ConfigError - they cannot be */
export function makeFolder(folder: string, option: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new ConfigError(option, 'a folder that can be written', `${folder} (${(error as NodeJS.ErrnoException).code ?? ''})`);
  }
}

/** Write an input to a file of its own. @returns its path */
export function writeInput(folder: string, target: Target, about: string, input: Input): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${target.name}-${hashOf(input)}${EXTENSION}`);
  writeFileSync(file, printInput({ target: target.name, about, input }, target.explain?.bind(target)));
  return file;
}
