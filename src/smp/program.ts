/** Programs: what a vCPU of a cluster does, and how one is driven from step to step. */
import { ConfigError } from '../errors.ts';
import { HDR_HYPERVISOR } from '../layout/header.ts';
import { Machine } from '../machine/machine.ts';
import type { MachineOptions } from '../machine/options.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { Hypervisor } from '../xen/hypervisor.ts';

/** What a program is given. Its machine is attached to the memory, and so is the hypervisor, if there is one. */
export interface Context {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  /** Number of the vCPU. */
  readonly number: number;
  readonly xen: Hypervisor | undefined;
  readonly data: unknown;
}

/**
 * A program: a generator function, whose every `yield` is a moment at which the vCPU looks into its mailbox, at which it can be stopped, and at
 * which another has its turn where there is one thread only. A plain function is one step. What it returns has to be plain data.
 */
export type Program = (context: Context) => unknown;

/** Where a program is: a module that exports it, and what it is given as `data`. */
export interface ProgramRef {
  readonly module: string | URL;
  /** Default `run`. */
  readonly name?: string;
  /** Plain data. */
  readonly data?: unknown;
}

/** What became of a program. */
export type Outcome =
  | { readonly how: 'returned'; readonly value: unknown }
  | { readonly how: 'stopped' }
  | { readonly how: 'failed'; readonly error: string }
  /** Its thread ended. `sound`: nothing was left half done, others go on; if not, the machine is broken, and this is the reason. */
  | { readonly how: 'died'; readonly why: string; readonly sound: boolean }
  /** It goes on still. */
  | { readonly how: 'late' };

/** @throws ConfigError - the module has no such function */
export async function load({ module, name = 'run' }: ProgramRef): Promise<Program> {
  const exported = ((await import(String(module))) as Record<string, unknown>)[name];
  if (typeof exported !== 'function') throw new ConfigError('name', `a function that ${String(module)} exports`, name);
  return exported as Program;
}

/** Attach to a machine's memory as one of its vCPUs. @throws ConfigError - the options, or there is no such vCPU */
export function contextOf(memory: WebAssembly.Memory, options: MachineOptions, number: number, data: unknown): Context {
  const machine = Machine.attach(memory, options), cpu = machine.vcpus[number];
  if (cpu === undefined) throw new ConfigError('number', `a vCPU of the machine, below ${machine.vcpus.length}`, number);
  return { machine, cpu, number, xen: machine.views.w[HDR_HYPERVISOR >>> 2] === 0 ? undefined : Hypervisor.attach(machine), data };
}

/** A program that has begun. */
export class Steps {
  outcome: Outcome | undefined;
  private readonly steps: Iterator<unknown> | undefined;

  /** Begin: a program that is no generator does all it does. */
  constructor(program: Program, context: Context) {
    try {
      const first = program(context);
      if (isIterator(first)) this.steps = first;
      else this.outcome = { how: 'returned', value: first };
    } catch (error) {
      this.outcome = failed(error);
    }
  }

  /** Go on to the next `yield`. */
  next(): void {
    if (this.outcome !== undefined) return;
    try {
      const { done, value } = this.steps!.next();
      if (done) this.outcome = { how: 'returned', value };
    } catch (error) {
      this.outcome = failed(error);
    }
  }

  /** Go on no more: `finally` is obeyed. */
  stop(): void {
    if (this.outcome !== undefined) return;
    this.outcome = { how: 'stopped' };
    try {
      this.steps!.return?.();
    } catch (error) {
      this.outcome = failed(error);
    }
  }
}

function isIterator(value: unknown): value is Iterator<unknown> {
  return typeof value === 'object' && value !== null && 'next' in value && typeof value.next === 'function' && Symbol.iterator in value;
}

const failed = (error: unknown): Outcome => ({ how: 'failed', error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
