#!/usr/bin/env node
/**
 * The `pagewalk` command.
 *
 * Exit status: 0 done; 1 a comparison found a difference, or merged results are not all; 2 bad input or options; 3 a worker thread died.
 * What is wrong is said in one line on standard error.
 */
import { ConfigError, InputError } from '../errors.ts';
import { chase, CHASE_HELP } from './chase.ts';
import { conformance, CONFORMANCE_HELP } from './conformance.ts';
import { CONVERT_HELP, convertCommand } from './convert.ts';
import { MERGE_HELP, mergeCommand } from './merge.ts';
import { PRESETS_HELP, presetsCommand } from './presets.ts';
import { discardTargets } from '../trace/target-file.ts';
import { WorkerError } from '../trace/worker-pool.ts';
import { REPLAY_HELP, replayCommand } from './replay.ts';
import { SWEEP_HELP, sweepCommand } from './sweep.ts';
import { packageVersion } from './version.ts';

const HELP = `pagewalk: x86 paging, TLBs and their cost

  pagewalk replay FILE...    run memory traces through TLB models; tables, charts
  pagewalk sweep PLAN        all combinations of traces, processors and page sizes; can be interrupted and shared out
  pagewalk merge FILE...     join the results of a sweep's parts; tables, CSV
  pagewalk convert IN OUT    turn a trace into another format
  pagewalk chase             a pointer chase on a processor, beside a measured one
  pagewalk presets [NAME]    the processors there are; every number of one with its source
  pagewalk conformance PATH  replay recorded behaviour of real implementations

pagewalk COMMAND --help tells the options; --version the version.`;

const print = (text: string): void => { process.stdout.write(`${text}\n`); };
/** Standard error, without what could steer a terminal. */
const tell = (text: string): void => { process.stderr.write(`${text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd')}\n`); };

interface Command {
  readonly help: string;
  run(argv: readonly string[]): number | Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  replay: { help: REPLAY_HELP, run: argv => replayCommand(argv, process.stdin, print) },
  sweep: { help: SWEEP_HELP, run: argv => sweepCommand(argv, print, tell) },
  merge: { help: MERGE_HELP, run: argv => mergeCommand(argv, print, tell) },
  convert: { help: CONVERT_HELP, run: argv => convertCommand(argv, process.stdin, print, tell) },
  chase: { help: CHASE_HELP, run: argv => chase(argv, print) },
  presets: { help: PRESETS_HELP, run: argv => presetsCommand(argv, print) },
  conformance: { help: CONFORMANCE_HELP, run: argv => conformance(argv, print) },
};

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    print(packageVersion());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new ConfigError('command', `one of ${Object.keys(COMMANDS).join(', ')}`, name);
  if (rest.includes('--help') || rest.includes('-h')) {
    print(command.help);
    return 0;
  }
  return command.run(rest);
}

/** Exit status of an error that is told in a line, without a stack; undefined for a bug. */
function statusOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown }).code;
  if (error instanceof WorkerError) return 3;
  const mistaken = error instanceof ConfigError || error instanceof InputError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
  return mistaken ? 2 : undefined;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // the reader has seen enough, as with head
  tell(`pagewalk: standard output: ${error.message}`);
  process.exit(2);
});

for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]] as const) {
  process.once(signal, () => {
    discardTargets();
    process.exit(128 + number);
  });
}

main(process.argv.slice(2)).then(
  status => { process.exitCode = status; },
  (error: unknown) => {
    const status = statusOf(error);
    if (status === undefined) throw error;
    tell(`pagewalk: ${(error as Error).message}`);
    process.exitCode = status;
    process.stdin.unref?.();
  },
);
