#!/usr/bin/env node
/**
 * The `pagewalk` command.
 *
 * Exit status: 0 done; 1 a comparison found a difference, or merged results are not all; 2 bad input or options; 3 a worker thread died.
 * What is wrong is said in one line on standard error.
 */
import { ConfigError, InputError } from '../errors.ts';
import { discardTargets } from '../trace/target-file.ts';
import { WorkerError } from '../trace/worker-pool.ts';
import { packageVersion } from './version.ts';

const HELP = `pagewalk: x86 paging, TLBs and their cost

  pagewalk compare [DIR]     a program by each way to virtualize memory: native, direct, shadow, nested
  pagewalk crossover         the same ways as page tables change more and more often
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

/** Each loads what it needs alone: that takes longer than a short trace. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  async compare() {
    const { COMPARE_HELP, compareCommand } = await import('./compare.ts');
    return { help: COMPARE_HELP, run: argv => compareCommand(argv, print, tell) };
  },
  async crossover() {
    const { CROSSOVER_HELP, crossoverCommand } = await import('./crossover.ts');
    return { help: CROSSOVER_HELP, run: argv => crossoverCommand(argv, print) };
  },
  async replay() {
    const { REPLAY_HELP, replayCommand } = await import('./replay.ts');
    return { help: REPLAY_HELP, run: argv => replayCommand(argv, process.stdin, print) };
  },
  async sweep() {
    const { SWEEP_HELP, sweepCommand } = await import('./sweep.ts');
    return { help: SWEEP_HELP, run: argv => sweepCommand(argv, print, tell) };
  },
  async merge() {
    const { MERGE_HELP, mergeCommand } = await import('./merge.ts');
    return { help: MERGE_HELP, run: argv => mergeCommand(argv, print, tell) };
  },
  async convert() {
    const { CONVERT_HELP, convertCommand } = await import('./convert.ts');
    return { help: CONVERT_HELP, run: argv => convertCommand(argv, process.stdin, print, tell) };
  },
  async chase() {
    const { chase, CHASE_HELP } = await import('./chase.ts');
    return { help: CHASE_HELP, run: argv => chase(argv, print) };
  },
  async presets() {
    const { PRESETS_HELP, presetsCommand } = await import('./presets.ts');
    return { help: PRESETS_HELP, run: argv => presetsCommand(argv, print) };
  },
  async conformance() {
    const { conformance, CONFORMANCE_HELP } = await import('./conformance.ts');
    return { help: CONFORMANCE_HELP, run: argv => conformance(argv, print) };
  },
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
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) throw new ConfigError('command', `one of ${Object.keys(COMMANDS).join(', ')}`, name);
  const command = await load();
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
