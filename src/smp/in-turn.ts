/**
 * The deterministic mode: the programs of all vCPUs in one thread, step by step, in an order that a seed decides. The same seed leaves the same
 * bytes. A vCPU reads its letters before each of its steps, or when someone waits for that.
 */
import { ConfigError } from '../errors.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineOptions } from '../machine/options.ts';
import { contextOf, Steps, type Outcome, type Program } from './program.ts';

export interface InTurnOptions {
  /** What the machine was made with, with its functions. */
  readonly machine?: MachineOptions;
  /** 32 bits that decide whose turn it is. */
  readonly seed: number;
  /** Steps after which all are stopped. Default: none. */
  readonly steps?: number;
  /** Called after each step with the number of the vCPU that made it. */
  readonly onStep?: (number: number) => void;
}

/** What a vCPU does: its number is the place in the list. */
export interface TurnProgram {
  readonly run: Program;
  readonly data?: unknown;
}

/** @returns what became of the programs, in their order @throws ConfigError - an option, more programs than vCPUs */
export function runInTurn(machine: Machine, programs: readonly TurnProgram[], { machine: options = {}, seed, steps = Infinity, onStep }: InTurnOptions): Outcome[] {
  if (programs.length > machine.vcpus.length) throw new ConfigError('programs', `at most one for each of ${machine.vcpus.length} vCPUs`, programs.length);
  if (!Number.isInteger(seed)) throw new ConfigError('seed', 'an integer', seed);
  if (!(steps >= 0)) throw new ConfigError('steps', 'a number of steps', steps);
  const contexts = programs.map(({ data }, number) => contextOf(machine.views.memory, options, number, data));
  const all = programs.map(({ run }, number) => new Steps(run, contexts[number]));
  const live = all.map((_, number) => number).filter(number => all[number].outcome === undefined);
  for (let random = start(seed), done = 0; live.length > 0 && done < steps; done++) {
    random = next(random);
    const place = (random >>> 0) % live.length, number = live[place], { machine: own, cpu } = contexts[number];
    own.look(cpu);
    all[number].next();
    if (all[number].outcome !== undefined) live.splice(place, 1);
    onStep?.(number);
  }
  for (const number of live) all[number].stop();
  return all.map(({ outcome }) => outcome!);
}

const start = (seed: number): number => Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;

/** Marsaglia's xorshift of 32 bits. */
function next(x: number): number {
  x ^= x << 13;
  x ^= x >>> 17;
  return x ^ (x << 5);
}
