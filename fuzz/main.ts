/** `npm run fuzz`: see HELP of command.ts. */
import { join } from 'node:path';
import { ConfigError, InputError } from '../src/errors.ts';
import { table } from '../bench/table.ts';
import { HELP, readCommand, type FuzzCommand } from './command.ts';
import { makeFolder, readCorpus, writeInput } from './corpus.ts';
import { Findings } from './findings.ts';
import type { Progress } from './fuzzer.ts';
import { Pool } from './pool.ts';
import { replayFile } from './replay.ts';
import { findTarget, IS_MODULE, TARGETS } from './targets/all.ts';

const HERE = ['fuzz/corpus', 'fuzz/regressions'];

interface Row extends Progress {
  readonly target: string;
  readonly findings: number;
  /** CPU seconds of the process, all its threads together. */
  readonly cpu: number;
}

async function fuzzTarget(from: string, command: FuzzCommand, seconds: number): Promise<Row> {
  const target = await findTarget(from), findings = new Findings(target, from, command.crashes, text => console.log(text)), { corpus, jobs, seed, coverage, first } = command;
  const pool = new Pool(target, {
    from, seed, jobs, coverage, first, ms: seconds * 1000, corpus: readCorpus(target, corpus === undefined ? HERE : [...HERE, join(corpus, target.name)]),
    onKept: input => { if (corpus !== undefined) writeInput(join(corpus, target.name), target, '', input); }, onFound: found => findings.add(found),
  });
  const before = process.cpuUsage(), progress = await pool.run(), { user, system } = process.cpuUsage(before);
  return { target: target.name, ...progress, findings: findings.size, cpu: (user + system) / 1e6 };
}

async function fuzz(argv: readonly string[]): Promise<number> {
  const command = readCommand(argv, Date.now()), rows: Row[] = [];
  makeFolder(command.crashes, '--crashes');
  if (command.corpus !== undefined) makeFolder(command.corpus, '--corpus');
  console.log(`seed ${command.seed}`);
  for (const target of command.targets) rows.push(await fuzzTarget(target, command, command.seconds / command.targets.length));
  console.log(table(['target', 'seconds', 'inputs', 'operations', 'operations/s', '... of CPU time', 'new coverage', 'findings'], rows.map(row => [
    row.target, (row.ms / 1000).toFixed(1), String(row.inputs), String(row.operations), String(Math.round((row.operations * 1000) / Math.max(1, row.ms))), String(Math.round(row.operations / row.cpu)), String(row.fresh), String(row.findings),
  ])));
  return rows.some(({ findings }) => findings > 0) ? 1 : 0;
}

async function replay(words: readonly string[]): Promise<number> {
  const from = IS_MODULE.test(words[0] ?? '') ? words[0] : undefined, files = from === undefined ? words : words.slice(1);
  if (files.length === 0) throw new ConfigError('FILE', 'files of inputs', undefined);
  let bad = 0;
  for (const file of files) {
    const { found } = await replayFile(file, from);
    if (found) bad++;
    console.log(found ? `${file}: ${found.message}\n${found.stack}` : `${file}: holds`);
  }
  return bad > 0 ? 1 : 0;
}

async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === 'list') {
    for (const { name: target, about } of TARGETS) console.log(`${target.padEnd(14)} ${about}`);
    return 0;
  }
  return name === 'replay' ? replay(rest) : fuzz([name, ...rest]);
}

main(process.argv.slice(2)).then(status => { process.exitCode = status; }, (error: unknown) => {
  const { code } = error as { code?: unknown }, told = error instanceof ConfigError || error instanceof InputError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
  if (!told) throw error;
  console.error(`fuzz: ${(error as Error).message}`);
  process.exitCode = 2;
});
