/**
 * Counters of what was done, since the start, in the hypervisor's block. Names are those of Xen's perfc where it has them.
 *
 * Source: Xen 4.17, xen/include/xen/perfc_defn.h, xen/arch/x86/include/asm/perfc_defn.h.
 */
import { CNT_HYPERVISOR_CYCLES } from '../layout/counter.ts';
import { HV_CALLS, HV_COUNTERS, HV_CYCLES, HV_ENTRIES } from '../layout/hypervisor.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import * as numbers from './numbers.ts';
import type { OwnFrames } from './own-frames.ts';
import { CAUSES, cyclesAt, Work, type WorkCounts, type WorkCycles } from './work.ts';

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
/** What cycles are for besides hypercalls. */
export const PAGE_FAULT = HYPERCALLS;
export const MODE_SWITCH = HYPERCALLS + 1;
const UNKNOWN_CALL = HYPERCALLS + 2;
const NO_GUEST = HYPERCALLS + 3;
const PREFIX = 'HYPERVISOR_';
const HYPERCALL_NAMES = Object.entries(numbers).filter(([name]) => name.startsWith(PREFIX)) as [string, number][];
const KNOWN = new Uint8Array(HYPERCALLS);
for (const [, nr] of HYPERCALL_NAMES) KNOWN[nr] = 1;

/**
 * How often a hypercall was done, and how often it was entered: again after each time it was preempted; and its cycles. Those that multicall makes
 * count too: theirs is what they did, the world switch is the multicall's.
 */
export interface CallCount {
  readonly calls: number;
  readonly entries: number;
  readonly cycles: WorkCycles;
}

/** What `Hypervisor.counters()` returns: a copy. */
export type CounterValues = Readonly<Record<CounterName, number>> & {
  readonly hypercalls: Readonly<Record<string, CallCount>>;
  /** Cycles that are no hypercall's: of page faults, whoever served them in the end, of changes between a guest's kernel and user mode, of calls that there are not. */
  readonly cycles: { readonly pageFaults: WorkCycles; readonly modeSwitches: WorkCycles; readonly unknownCalls: WorkCycles };
  /** What all of it was made of. */
  readonly work: WorkCounts;
};

export class Counters {
  readonly work: Work;
  private readonly s: Views;
  private readonly values: number; // indices of 64-bit words
  private readonly calls: number;
  private readonly entries: number;
  private readonly cycles: number; // by hypercall, or what else, and cause

  constructor(own: OwnFrames) {
    const at = (offset: number): number => (own.block + (offset >>> 2)) >>> 1;
    this.s = own.s;
    this.work = new Work(own);
    this.values = at(HV_COUNTERS);
    this.calls = at(HV_CALLS);
    this.entries = at(HV_ENTRIES);
    this.cycles = at(HV_CYCLES);
  }

  add(counter: number, by: number): void {
    this.s.d[this.values + counter] += by;
  }

  /** A hypercall was entered. @param done - it is done, not preempted @param v - word index of the block of the vCPU that made it, and pays */
  count(nr: number, done: boolean, w: Int32Array, v: number): void {
    const known = KNOWN[nr] === 1;
    this.charge(known ? nr : UNKNOWN_CALL, w, v);
    if (!known) return;
    this.s.d[this.entries + nr]++;
    if (done) this.s.d[this.calls + nr]++;
  }

  /** Let a vCPU pay for what was done since the last time. @param what - number of a hypercall, PAGE_FAULT, MODE_SWITCH */
  charge(what: number, w: Int32Array, v: number): void {
    const due = this.work.settle(this.cycles + what * CAUSES.length);
    if (w[v + (VCPU_TIMED >>> 2)] !== 0 && due > 0) count(w, v, CNT_HYPERVISOR_CYCLES, due);
  }

  /** What was done since the last time is on no guest's account. */
  forgive(): void {
    this.work.settle(this.cycles + NO_GUEST * CAUSES.length);
  }

  /** All values by name; of hypercalls, those that were made. */
  read(): CounterValues {
    const { d } = this.s, hypercalls: Record<string, CallCount> = {};
    for (const [name, nr] of HYPERCALL_NAMES) {
      const entries = d[this.entries + nr];
      if (entries > 0) hypercalls[name.slice(PREFIX.length)] = { calls: d[this.calls + nr], entries, cycles: cyclesAt(d, this.cycles + nr * CAUSES.length) };
    }
    const values = Object.fromEntries(NAMES.map((name, k) => [name, d[this.values + k]])) as Record<CounterName, number>;
    const [pageFaults, modeSwitches, unknownCalls] = [PAGE_FAULT, MODE_SWITCH, UNKNOWN_CALL].map(what => cyclesAt(d, this.cycles + what * CAUSES.length));
    const cycles = { pageFaults, modeSwitches, unknownCalls };
    return { ...values, hypercalls, cycles, work: this.work.read() };
  }
}
