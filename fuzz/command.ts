/** What the command is asked to do, checked. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../src/errors.ts';
import { IS_MODULE, TARGETS } from './targets/all.ts';

export const HELP = `npm run fuzz -- TARGET SECONDS [options]   fuzz one target, several with commas, or all of them in turn;
                                           a path ending in .js is that of a module that exports a target
npm run fuzz -- replay [MODULE] FILE...    make the operations of inputs in files, checked after each; of the target that a module exports
npm run fuzz -- list                       the targets there are

  --seed N       where chance begins; default: by the clock
  --jobs N       threads; default 1
  --corpus DIR   inputs to begin with, besides those of fuzz/corpus and fuzz/regressions; what is found of use is written there
  --crashes DIR  where findings are written; default build/crashes
  --first        end a target at its first finding, which is left as it is
  --no-coverage  go by what targets note alone, not by blocks of code

Exit status: 0 nothing was found, 1 something was, 2 bad options or files.`;

export interface FuzzCommand {
  /** Names, or paths of modules. */
  readonly targets: readonly string[];
  /** For all targets together. */
  readonly seconds: number;
  readonly seed: number;
  readonly jobs: number;
  readonly corpus: string | undefined;
  readonly crashes: string;
  readonly coverage: boolean;
  /** End at the first finding. */
  readonly first: boolean;
}

const MOST_JOBS = 256, MOST_SECONDS = 10_000_000;

/** @throws ConfigError - an option */
export function readCommand(argv: readonly string[], now: number): FuzzCommand {
  const { values, positionals } = parseArgs({
    args: [...argv], allowPositionals: true, options: {
      seed: { type: 'string' }, jobs: { type: 'string', default: '1' }, corpus: { type: 'string' }, crashes: { type: 'string', default: 'build/crashes' },
      first: { type: 'boolean', default: false }, 'no-coverage': { type: 'boolean', default: false },
    },
  });
  const [name, seconds, ...rest] = positionals;
  if (name === undefined || seconds === undefined || rest.length > 0) throw new ConfigError('arguments', 'TARGET SECONDS', positionals.join(' ') || undefined);
  return {
    targets: chosen(name), seconds: number('SECONDS', seconds, 0, MOST_SECONDS, false), jobs: number('--jobs', values.jobs, 1, MOST_JOBS),
    seed: values.seed === undefined ? now >>> 0 : number('--seed', values.seed, 0, 2 ** 32 - 1), corpus: values.corpus, crashes: values.crashes, coverage: !values['no-coverage'], first: values.first,
  };
}

function chosen(text: string): readonly string[] {
  const known = TARGETS.map(({ name }) => name), names = text === 'all' ? known : text.split(',');
  for (const name of names) if (!known.includes(name) && !IS_MODULE.test(name)) throw new ConfigError('TARGET', `all, or of ${known.join(', ')}`, name);
  return names;
}

function number(field: string, text: string, least: number, most: number, whole = true): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || (whole && !Number.isInteger(value)) || value < least || value > most) {
    throw new ConfigError(field, `a${whole ? ' whole' : ''} number from ${least} to ${most}`, text);
  }
  return value;
}
