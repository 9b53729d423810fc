/**
 * The hypervisor's own work, counted by kind and, in timed mode, priced by cause. Which kind belongs to which cause:
 *
 *   trap      world switches: hypercalls, page faults, exceptions handed on, changes of the guest's mode, calls of a multicall's list
 *   validate  requests, entries looked at, stores emulated, pages cleared or copied
 *   flush     invalidations, here and on other processors
 *   copy      accesses to the guest's memory; these are among the vCPU's own cycles (TLB, walks, data) already
 */
import { figure } from '../cost/cpu-model.ts';
import type { HypervisorCosts } from '../cost/hypervisor-costs.ts';
import { HDR_VCPU_BASE } from '../layout/header.ts';
import { HV_OPEN, HV_PRICES, HV_WORK } from '../layout/hypervisor.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import type { OwnFrames } from './own-frames.ts';

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
export const MODE_SWITCHES = 12;
export const ABSENT_SEEN = 13;

/** Kinds, in the order of their numbers: its price, and its cause. */
const KINDS: readonly (readonly [price: keyof HypervisorCosts, cause: number])[] = [
  ['trap', 0], ['compatTrap', 0], ['fault', 0], ['bounce', 0], ['subcall', 0], ['request', 1], ['entry', 1], ['emulation', 1], ['page', 1], ['flush', 2],
  ['invlpg', 2], ['ipi', 2], ['modeSwitch', 0], ['absentEntry', 1],
];
const NAMES = ['traps', 'compatTraps', 'faults', 'bounces', 'subcalls', 'requests', 'entries', 'emulations', 'pages', 'flushes', 'invlpgs', 'ipis', 'modeSwitches', 'absentEntries'] as const;
export const CAUSES = ['trap', 'validate', 'flush', 'copy'] as const;
const COPY = 3;

/** How often each kind of work was done. */
export type WorkCounts = Readonly<Record<(typeof NAMES)[number], number>>;
/** Cycles by cause; 0 in functional mode. */
export type WorkCycles = Readonly<Record<(typeof CAUSES)[number], number>>;

/** What a hypervisor's work costs at other prices than it was done at. */
export function pricedWork(counts: WorkCounts, priceOf: (price: keyof HypervisorCosts) => number): Omit<WorkCycles, 'copy'> {
  const cycles = [0, 0, 0];
  KINDS.forEach(([price, cause], kind) => { cycles[cause] += counts[NAMES[kind]] * priceOf(price); });
  const [trap, validate, flush] = cycles;
  return { trap, validate, flush };
}

/** What each price is for. */
export const PRICE_CAUSES: readonly (readonly [price: keyof HypervisorCosts, cause: 'trap' | 'validate' | 'flush'])[] = KINDS.map(([price, cause]) => [price, CAUSES[cause as 0 | 1 | 2]]);

export class Work {
  private readonly s: Views;
  private readonly prices: number; // indices of 64-bit words
  private counts = 0;
  private open = 0; //               cycles by cause that no call was charged with yet
  private readonly timed: boolean; // the machine is: else nothing has a price
  private readonly causes = Uint8Array.from(KINDS, ([, cause]) => cause);

  constructor({ s, block }: OwnFrames) {
    this.s = s;
    this.prices = (block + (HV_PRICES >>> 2)) >>> 1;
    this.use(block);
    this.timed = s.w[(s.w[HDR_VCPU_BASE >>> 2] + VCPU_TIMED) >>> 2] !== 0;
  }

  /** From here on it is counted in another block. @param block - its word index */
  use(block: number): void {
    this.counts = (block + (HV_WORK >>> 2)) >>> 1;
    this.open = (block + (HV_OPEN >>> 2)) >>> 1;
  }

  /** What work of a kind costs, 0 in functional mode. */
  priceOf(kind: number): number {
    return this.timed ? this.s.d[this.prices + kind] : 0;
  }

  /** From now on work has a price. */
  price(costs: HypervisorCosts): void {
    KINDS.forEach(([name], kind) => { this.s.d[this.prices + kind] = figure(costs[name]); });
  }

  add(kind: number, times: number): void {
    const { d } = this.s;
    d[this.counts + kind] += times;
    if (this.timed) d[this.open + this.causes[kind]] += times * d[this.prices + kind];
  }

  /** An access to guest memory was made. @param cycles - what it cost the vCPU */
  accessed(cycles: number): void {
    if (this.timed) this.s.d[this.open + COPY] += cycles;
  }

  /** Charge what is open. @param sums - index of cycles by cause @returns those that the vCPU has not paid yet */
  settle(sums: number): number {
    if (!this.timed) return 0;
    const { d } = this.s, { open } = this, due = d[open] + d[open + 1] + d[open + 2];
    for (let cause = 0; cause < CAUSES.length; cause++) {
      d[sums + cause] += d[open + cause];
      d[open + cause] = 0;
    }
    return due;
  }

  /** @param blocks - word indices of all that have counters */
  read(blocks: readonly number[]): WorkCounts {
    const sum = (k: number): number => blocks.reduce((all, block) => all + this.s.d[((block + (HV_WORK >>> 2)) >>> 1) + k], 0);
    return Object.fromEntries(NAMES.map((name, k) => [name, sum(k)])) as Record<(typeof NAMES)[number], number>;
  }
}

/** Sums by cause as an object. */
export function cyclesAt(sums: Float64Array, at: number): WorkCycles {
  return Object.fromEntries(CAUSES.map((cause, k) => [cause, sums[at + k]])) as Record<(typeof CAUSES)[number], number>;
}
