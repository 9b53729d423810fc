/**
 * The hypervisor's own work, counted by kind and, in timed mode, priced by cause. Which kind belongs to which cause:
 *
 *   trap      world switches: hypercalls, page faults, exceptions handed on, calls of a multicall's list
 *   validate  requests, entries looked at, stores emulated, pages cleared or copied
 *   flush     invalidations, here and on other processors
 *   copy      accesses to the guest's memory; these are among the vCPU's own cycles (TLB, walks, data) already
 */
import { figure } from '../cost/cpu-model.ts';
import type { HypervisorCosts } from '../cost/hypervisor-costs.ts';

export const TRAPS = 0;
export const COMPAT_TRAPS = 1;
export const FAULTS = 2;
export const BOUNCES = 3;
export const SUBCALLS = 4;
export const REQUESTS = 5;
export const ENTRIES_SEEN = 6;
export const EMULATIONS = 7;
export const PAGES = 8;
export const FLUSHES = 9;
export const INVLPGS = 10;
export const IPIS = 11;

/** Kinds, in the order of their numbers: its price, and its cause. */
const KINDS: readonly (readonly [price: keyof HypervisorCosts, cause: number])[] = [
  ['trap', 0], ['compatTrap', 0], ['fault', 0], ['bounce', 0], ['subcall', 0], ['request', 1], ['entry', 1], ['emulation', 1], ['page', 1], ['flush', 2],
  ['invlpg', 2], ['ipi', 2],
];
const NAMES = ['traps', 'compatTraps', 'faults', 'bounces', 'subcalls', 'requests', 'entries', 'emulations', 'pages', 'flushes', 'invlpgs', 'ipis'] as const;
export const CAUSES = ['trap', 'validate', 'flush', 'copy'] as const;
const COPY = 3;

/** How often each kind of work was done. */
export type WorkCounts = Readonly<Record<(typeof NAMES)[number], number>>;
/** Cycles by cause; 0 in functional mode. */
export type WorkCycles = Readonly<Record<(typeof CAUSES)[number], number>>;

export class Work {
  private readonly counts = new Float64Array(KINDS.length);
  private readonly prices = new Float64Array(KINDS.length);
  private readonly causes = Uint8Array.from(KINDS, ([, cause]) => cause);
  /** Cycles by cause that no call was charged with yet. */
  readonly open = new Float64Array(CAUSES.length);

  /** From now on work has a price. */
  price(costs: HypervisorCosts): void {
    KINDS.forEach(([name], kind) => { this.prices[kind] = figure(costs[name]); });
  }

  add(kind: number, times: number): void {
    this.counts[kind] += times;
    this.open[this.causes[kind]] += times * this.prices[kind];
  }

  /** An access to guest memory was made. @param cycles - what it cost the vCPU */
  accessed(cycles: number): void {
    this.open[COPY] += cycles;
  }

  /** Charge what is open. @param sums - cycles by cause, from `at` on @returns those that the vCPU has not paid yet */
  settle(sums: Float64Array, at: number): number {
    const { open } = this, due = open[0] + open[1] + open[2];
    for (let cause = 0; cause < CAUSES.length; cause++) {
      sums[at + cause] += open[cause];
      open[cause] = 0;
    }
    return due;
  }

  read(): WorkCounts {
    return Object.fromEntries(NAMES.map((name, k) => [name, this.counts[k]])) as Record<(typeof NAMES)[number], number>;
  }
}

/** Sums by cause as an object. */
export function cyclesAt(sums: Float64Array, at: number): WorkCycles {
  return Object.fromEntries(CAUSES.map((cause, k) => [cause, sums[at + k]])) as Record<(typeof CAUSES)[number], number>;
}
