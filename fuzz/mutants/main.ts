/**
 * `npm run mutants`: breaks one rule of the engine at a time, in a copy, and tells what notices.
 *
 *   npm run mutants -- [--only WORD] [--jobs N] [--fuzz SECONDS] [--stages A,B] [--out FILE] [--recordings FOLDER] [--check | --control]
 *
 * A mutant is tried with a glance of fuzzing, the tests next to its file, recordings, the tests of its folder, fuzzing, all tests, until something
 * notices it. Each has a line of JSON in FILE (default build/mutants.jsonl); run again, those that were noticed are left out, and survivors tried
 * again. `--check` only compiles them; `--control` tries the engine unbroken, once a folder: what notices that is wrong itself.
 * Exit status: 0 at least 95 of 100 were noticed (of `--control`: nothing was), 1 fewer were, 2 bad options.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../../bench/table.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { MUTANTS } from './all.ts';
import type { Mutant } from './mutant.ts';
import { build, STAGES, tryStage, type Stage, type StageOptions } from './stages.ts';
import { whyUnnoticed } from './survivors.ts';
import { Tree } from './tree.ts';

/** What became of a mutant. */
interface Verdict {
  readonly file: string;
  readonly rule: string;
  /** The stage that noticed it; `survived`, or `invalid`: it does not compile. */
  readonly noticed: Stage | 'survived' | 'invalid';
  readonly by: string;
  readonly seconds: number;
}

const ENOUGH = 0.95, RECORDINGS = '../shared/conformance';

async function judge(tree: Tree, mutant: Mutant, stages: readonly Stage[], options: StageOptions): Promise<Verdict> {
  const start = performance.now(), { file, rule } = mutant;
  const verdict = (noticed: Verdict['noticed'], by: string): Verdict => ({ file, rule, noticed, by, seconds: Math.round((performance.now() - start) / 1000) });
  tree.put(mutant);
  try {
    const wrong = await build(tree, mutant);
    if (wrong !== undefined) return verdict('invalid', wrong.slice(0, 400));
    for (const stage of stages) {
      const by = await tryStage(tree, mutant, stage, options);
      if (by !== undefined) return verdict(stage, by.slice(0, 200));
    }
    return verdict('survived', '');
  } finally {
    tree.restore(mutant);
  }
}

function readVerdicts(file: string): Verdict[] {
  if (!existsSync(file)) return [];
  if (statSync(file).isDirectory()) throw new ConfigError('--out', 'a file', file);
  return readFileSync(file, 'utf8').split('\n').filter(line => line !== '').map((line, k) => {
    try {
      return JSON.parse(line) as Verdict;
    } catch {
      throw new InputError(file, `line ${k + 1}`, 'a line of JSON', line.slice(0, 40));
    }
  });
}

const isOf = (verdict: Verdict, { file, rule }: Mutant): boolean => verdict.file === file && verdict.rule === rule;

/** The first of each folder with the rule unbroken. */
function unbroken(mutants: readonly Mutant[]): Mutant[] {
  const firsts = new Map(mutants.map(mutant => [dirname(mutant.file), mutant]).reverse() as [string, Mutant][]);
  return [...firsts.values()].map(mutant => ({ ...mutant, rule: 'nothing is broken', replace: mutant.find }));
}

function report(verdicts: readonly Verdict[]): number {
  const valid = verdicts.filter(({ noticed }) => noticed !== 'invalid'), survivors = valid.filter(({ noticed }) => noticed === 'survived');
  console.log(table(['noticed by', 'mutants'], [...STAGES, 'survived', 'invalid'].map(name => [name, String(verdicts.filter(({ noticed }) => noticed === name).length)])));
  for (const { file, rule } of survivors) console.log(`survived: ${file}: ${rule}: ${whyUnnoticed(file, rule)}`);
  for (const { file, rule, by } of verdicts.filter(({ noticed }) => noticed === 'invalid')) console.log(`invalid: ${file}: ${rule}: ${by}`);
  const share = valid.length === 0 ? 1 : 1 - survivors.length / valid.length;
  console.log(`${(share * 100).toFixed(1)} of 100 were noticed`);
  return share >= ENOUGH ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: {
    only: { type: 'string', default: '' }, jobs: { type: 'string', default: '1' }, fuzz: { type: 'string', default: '60' }, out: { type: 'string', default: 'build/mutants.jsonl' },
    stages: { type: 'string', default: STAGES.join(',') }, recordings: { type: 'string', default: RECORDINGS }, check: { type: 'boolean', default: false },
    control: { type: 'boolean', default: false },
  } });
  const jobs = Number(values.jobs), fuzzSeconds = Number(values.fuzz), stages = values.check ? [] : values.stages.split(',') as Stage[];
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64) throw new ConfigError('--jobs', 'a whole number from 1 to 64', values.jobs);
  if (!(fuzzSeconds >= 0)) throw new ConfigError('--fuzz', 'seconds', values.fuzz);
  for (const stage of stages) if (!STAGES.includes(stage)) throw new ConfigError('--stages', `of ${STAGES.join(', ')}`, stage);
  const kept = !values.check && !values.control, done = kept ? readVerdicts(values.out) : [], chosen = (values.control ? unbroken(MUTANTS) : MUTANTS).filter(({ file, rule }) => `${file} ${rule}`.includes(values.only));
  const verdicts = done.filter(({ noticed }) => noticed !== 'survived'), left = chosen.filter(mutant => !verdicts.some(one => isOf(one, mutant)));
  if (chosen.length === 0) throw new ConfigError('--only', 'a word of a file or rule', values.only);
  const options = { fuzzSeconds, recordings: existsSync(values.recordings) ? values.recordings : undefined };
  await Promise.all(Array.from({ length: jobs }, async () => {
    const tree = new Tree();
    try {
      for (let mutant = left.shift(); mutant; mutant = left.shift()) {
        const verdict = await judge(tree, mutant, stages, options);
        verdicts.push(verdict);
        if (values.check) continue;
        console.log(`${verdict.noticed.padEnd(11)} ${mutant.file}: ${mutant.rule} (${verdict.seconds} s) ${verdict.by}`);
        if (!kept) continue;
        mkdirSync(dirname(values.out), { recursive: true });
        appendFileSync(values.out, `${JSON.stringify(verdict)}\n`);
      }
    } finally {
      tree.remove();
    }
  }));
  if (kept) return report(verdicts);
  if (values.control) return verdicts.every(({ noticed }) => noticed === 'survived') ? 0 : 1;
  const invalid = verdicts.filter(({ noticed }) => noticed === 'invalid');
  for (const { file, rule, by } of invalid) console.log(`${file}: ${rule}: ${by}`);
  console.log(`${verdicts.length - invalid.length} of ${verdicts.length} compile`);
  return invalid.length === 0 ? 0 : 1;
}

main().then(status => { process.exitCode = status; }, (error: unknown) => {
  const { code } = error as { code?: unknown };
  if (!(error instanceof ConfigError || error instanceof InputError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS')))) throw error;
  console.error(`mutants: ${(error as Error).message}`);
  process.exitCode = 2;
});
