/**
 * Counters of what was done, since the start, in the hypervisor's block. Names are those of Xen's perfc where it has them.
 *
 * Source: Xen 4.17, xen/include/xen/perfc_defn.h, xen/arch/x86/include/asm/perfc_defn.h.
 */
import { CNT_HYPERVISOR_CYCLES } from '../layout/counter.ts';
import { HV_ACCOUNTS, HV_CALLS, HV_COUNTERS, HV_CYCLES, HV_ENTRIES, HV_SHOOTDOWNS } from '../layout/hypervisor.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import * as numbers from './numbers.ts';
import { PAGE_WORDS, type OwnFrames } from './own-frames.ts';
import { CAUSES, cyclesAt, IPIS, Work, type WorkCounts, type WorkCycles } from './work.ts';

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

/** Why vCPUs have to invalidate what they have cached. */
export const ASKED = 0; //   a guest asked for it, or changed what its vCPUs walk or load from
export const TABLES = 1; //  tables above level 1 changed
export const RETYPED = 2; // a frame is used as something else
export const REUSED = 3; //  freed frames are handed out again
export const GRANTS = 4; //  a mapping of a grant was taken away
const SHOOTDOWN_CAUSES = ['asked', 'tables', 'retyped', 'reused', 'grants'] as const;

/** Invalidations that other vCPUs were asked for, those that the clock showed to be unnecessary, and what the former cost the one that asked. */
export interface Shootdowns {
  readonly sent: number;
  readonly filtered: number;
  readonly cycles: number;
}

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
  /** Invalidations on other vCPUs than that which made the call, by cause. */
  readonly shootdowns: Readonly<Record<(typeof SHOOTDOWN_CAUSES)[number], Shootdowns>>;
};

/**
 * Let each vCPU of a machine with several count on a page of its own: what many threads add to one number gets lost. @throws ConfigError - no memory
 */
export function layAccounts(own: OwnFrames, vcpus: number): void {
  if (own.s.atomic) own.s.w[own.block + (HV_ACCOUNTS >>> 2)] = own.need(vcpus) << 2;
}

export class Counters {
  readonly work: Work;
  private readonly s: Views;
  private readonly block: number; // word indices of the hypervisor's block, and of all that have counters
  private readonly blocks: readonly number[];
  private values = 0; // indices of 64-bit words, of the block that is used now
  private calls = 0;
  private entries = 0;
  private cycles = 0; // by hypercall, or what else, and cause
  private shootdowns = 0;

  constructor(own: OwnFrames, vcpus: number) {
    const accounts = own.s.w[own.block + (HV_ACCOUNTS >>> 2)] >>> 2;
    this.s = own.s;
    this.work = new Work(own);
    this.block = own.block;
    this.blocks = [own.block, ...(accounts === 0 ? [] : Array.from({ length: vcpus }, (_, k) => accounts + k * PAGE_WORDS))];
    this.use(own.block);
  }

  /** From here on it is counted for a vCPU of the machine. @param number - undefined: for none */
  useOf(number: number | undefined): void {
    this.use(number === undefined || this.blocks.length === 1 ? this.block : this.blocks[number + 1]);
  }

  private use(block: number): void {
    const at = (offset: number): number => (block + (offset >>> 2)) >>> 1;
    this.values = at(HV_COUNTERS);
    this.calls = at(HV_CALLS);
    this.entries = at(HV_ENTRIES);
    this.cycles = at(HV_CYCLES);
    this.shootdowns = at(HV_SHOOTDOWNS);
    this.work.use(block);
  }

  /** Another vCPU was asked for an invalidation. */
  sent(cause: number): void {
    this.s.d[this.shootdowns + cause]++;
  }

  /** ... need not be asked. */
  filtered(cause: number, times: number): void {
    this.s.d[this.shootdowns + SHOOTDOWN_CAUSES.length + cause] += times;
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

  /** All values by name; of hypercalls, those that were made. While other threads make calls, what was counted somewhere on the way. */
  read(): CounterValues {
    const hypercalls: Record<string, CallCount> = {}, causes = CAUSES.length;
    const cyclesOf = (what: number): WorkCycles => cyclesAt(Float64Array.from({ length: causes }, (_, k) => this.sum(HV_CYCLES, what * causes + k)), 0);
    for (const [name, nr] of HYPERCALL_NAMES) {
      const entries = this.sum(HV_ENTRIES, nr);
      if (entries > 0) hypercalls[name.slice(PREFIX.length)] = { calls: this.sum(HV_CALLS, nr), entries, cycles: cyclesOf(nr) };
    }
    const values = Object.fromEntries(NAMES.map((name, k) => [name, this.sum(HV_COUNTERS, k)])) as Record<CounterName, number>;
    const [pageFaults, modeSwitches, unknownCalls] = [PAGE_FAULT, MODE_SWITCH, UNKNOWN_CALL].map(cyclesOf);
    const shootdowns = Object.fromEntries(SHOOTDOWN_CAUSES.map((name, cause) => {
      const sent = this.sum(HV_SHOOTDOWNS, cause), filtered = this.sum(HV_SHOOTDOWNS, SHOOTDOWN_CAUSES.length + cause);
      return [name, { sent, filtered, cycles: sent * this.work.priceOf(IPIS) }];
    })) as Record<(typeof SHOOTDOWN_CAUSES)[number], Shootdowns>;
    return { ...values, hypercalls, cycles: { pageFaults, modeSwitches, unknownCalls }, work: this.work.read(this.blocks), shootdowns };
  }

  private sum(offset: number, k: number): number {
    let sum = 0;
    for (const block of this.blocks) sum += this.s.d[((block + (offset >>> 2)) >>> 1) + k];
    return sum;
  }
}
