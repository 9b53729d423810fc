/**
 * Counters of what was done, since the start, in the hypervisor's block. Names are those of Xen's perfc where it has them.
 *
 * Source: Xen 4.17, xen/include/xen/perfc_defn.h, xen/arch/x86/include/asm/perfc_defn.h.
 */
import { HV_CALLS, HV_COUNTERS, HV_ENTRIES } from '../layout/hypervisor.ts';
import type { Views } from '../memory/views.ts';
import * as numbers from './numbers.ts';
import type { OwnFrames } from './own-frames.ts';

export const CALLS_TO_MMUEXT_OP = 0;
export const NUM_MMUEXT_OPS = 1;
export const CALLS_TO_MMU_UPDATE = 2;
export const NUM_PAGE_UPDATES = 3;
export const WRITABLE_MMU_UPDATES = 4;
export const CALLS_TO_UPDATE_VA = 5;
export const PAGE_FAULTS = 6;
export const COPY_USER_FAULTS = 7;
export const PTWR_EMULATIONS = 8;
export const CALLS_FROM_MULTICALL = 9;

const NAMES = [
  'calls_to_mmuext_op', 'num_mmuext_ops', 'calls_to_mmu_update', 'num_page_updates', 'writable_mmu_updates', 'calls_to_update_va', 'page_faults',
  'copy_user_faults', 'ptwr_emulations', 'calls_from_multicall',
] as const;
export type CounterName = (typeof NAMES)[number];

const HYPERCALLS = 64;
const PREFIX = 'HYPERVISOR_';
const HYPERCALL_NAMES = Object.entries(numbers).filter(([name]) => name.startsWith(PREFIX)) as [string, number][];

/** How often a hypercall was done, and how often it was entered: again after each time it was preempted. Those that multicall makes count too. */
export interface CallCount {
  readonly calls: number;
  readonly entries: number;
}

/** What `Hypervisor.counters()` returns: a copy. */
export type CounterValues = Readonly<Record<CounterName, number>> & { readonly hypercalls: Readonly<Record<string, CallCount>> };

export class Counters {
  private readonly s: Views;
  private readonly values: number; // indices of 64-bit words
  private readonly calls: number;
  private readonly entries: number;

  constructor({ s, block }: OwnFrames) {
    this.s = s;
    this.values = (block + (HV_COUNTERS >>> 2)) >>> 1;
    this.calls = (block + (HV_CALLS >>> 2)) >>> 1;
    this.entries = (block + (HV_ENTRIES >>> 2)) >>> 1;
  }

  add(counter: number, by: number): void {
    this.s.d[this.values + counter] += by;
  }

  /** A hypercall was entered. @param done - it is done, not preempted */
  count(nr: number, done: boolean): void {
    if (nr < 0 || nr >= HYPERCALLS) return;
    this.s.d[this.entries + nr]++;
    if (done) this.s.d[this.calls + nr]++;
  }

  /** All values by name; of hypercalls, those that were made. */
  read(): CounterValues {
    const { d } = this.s, hypercalls: Record<string, CallCount> = {};
    for (const [name, nr] of HYPERCALL_NAMES) {
      const entries = d[this.entries + nr];
      if (entries > 0) hypercalls[name.slice(PREFIX.length)] = { calls: d[this.calls + nr], entries };
    }
    const values = Object.fromEntries(NAMES.map((name, k) => [name, d[this.values + k]])) as Record<CounterName, number>;
    return { ...values, hypercalls };
  }
}
