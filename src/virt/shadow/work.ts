/**
 * The hypervisor's own work for a shadowed guest, counted by kind; in timed mode each kind has a price and is charged to the processor.
 *
 * Exits come first, then why a page fault was taken, then what was done about it. One page fault may have several reasons: the first write to a
 * page of a table is a shadow fill, an unsync and sets a D bit.
 *
 * Source: Xen 4.17 asm/perfc_defn.h, the counters shadow_*, for what is worth telling apart.
 */
import { CNT_HYPERVISOR_CYCLES } from '../../layout/counter.ts';
import { VCPU_TIMED } from '../../layout/vcpu.ts';
import { ConfigError } from '../../errors.ts';
import { count } from '../../memory/counters.ts';
import type { Views } from '../../memory/views.ts';

const NAMES = [
  'exitPageFault', 'exitCr0', 'exitCr3', 'exitCr4', 'exitEfer', 'exitInvlpg', 'exitInvpcid', 'fastNotPresent', 'guestFault', 'shadowFill', 'emulatedWrite',
  'emulatedWp', 'wpFlip', 'unsync', 'resync', 'setAccessed', 'setDirty', 'logDirty', 'mmio', 'unshadowCleared', 'unshadowFlood', 'unshadowNotEntries', 'unshadowUser',
  'unshadowRemapped', 'walkReference', 'entryShadowed', 'tableMade', 'tableFreed', 'poolReclaim', 'writableGuessed', 'writableScanned', 'scannedEntry', 'flush', 'invlpg',
] as const;

/** Kinds of work. */
export type WorkName = (typeof NAMES)[number];
/** How often each kind of work was done. */
export type ShadowCounts = Readonly<Record<WorkName, number>>;

/** Numbers of the kinds, by name. */
export const WORK = Object.fromEntries(NAMES.map((name, k) => [name, k])) as Readonly<Record<WorkName, number>>;

const MOST = 1_000_000;

export class ShadowWork {
  private readonly counts = new Float64Array(NAMES.length);
  private readonly prices = new Float64Array(NAMES.length);
  /** Cycles that no vCPU was charged with yet. */
  private open = 0;
  /** All cycles so far, 0 without prices. */
  cycles = 0;

  /** From now on these kinds have a price, in cycles; those left out keep theirs, 0 at first. @throws ConfigError naming the kind */
  price(costs: Partial<Record<WorkName, number>>): void {
    for (const [name, cycles] of Object.entries(costs)) {
      if (!Object.hasOwn(WORK, name)) throw new ConfigError(`costs.${name}`, `one of ${NAMES.join(', ')}`, name);
      if (!Number.isInteger(cycles) || cycles < 0 || cycles > MOST) throw new ConfigError(`costs.${name}`, `an integer from 0 to ${MOST}`, cycles);
    }
    for (const [name, cycles] of Object.entries(costs)) this.prices[WORK[name as WorkName]] = cycles;
  }

  add(kind: number, times = 1): void {
    this.counts[kind] += times;
    this.open += times * this.prices[kind];
  }

  /** Charge what is open to a vCPU, if it is timed. @param v - word index of its block */
  settle(s: Views, v: number): void {
    if (this.open === 0) return;
    if (s.w[v + (VCPU_TIMED >>> 2)] !== 0) {
      count(s.w, v, CNT_HYPERVISOR_CYCLES, this.open);
      this.cycles += this.open;
    }
    this.open = 0;
  }

  read(): ShadowCounts {
    return Object.fromEntries(NAMES.map((name, k) => [name, this.counts[k]])) as Record<WorkName, number>;
  }

  reset(): void {
    this.counts.fill(0);
    this.cycles = this.open = 0;
  }
}
