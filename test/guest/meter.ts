/**
 * A second reckoning of what a kernel's run costs: each access and each event is noted where it happens, by the platform's own door, and nothing
 * is taken from the account that it is to be compared with.
 */
import { ACCESS_USER, FAULT_NONE } from '../../src/arch/fault.ts';
import { figure } from '../../src/cost/cpu-model.ts';
import type { HypervisorCosts } from '../../src/cost/hypervisor-costs.ts';
import type { StageCosts } from '../../src/cost/stage-costs.ts';
import type { BuiltKernel } from '../../src/guest/built-kernel.ts';
import type { Hypervisor } from '../../src/xen/hypervisor.ts';
import type { WorkCounts } from '../../src/xen/work.ts';
import { ACCESS_OF_KIND } from '../../src/machine/batch.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What each kind of a hypervisor's work is called in its prices. */
const PRICE: Readonly<Record<keyof WorkCounts, keyof HypervisorCosts>> = {
  traps: 'trap', compatTraps: 'compatTrap', faults: 'fault', bounces: 'bounce', subcalls: 'subcall', requests: 'request', entries: 'entry', emulations: 'emulation',
  pages: 'page', flushes: 'flush', invlpgs: 'invlpg', ipis: 'ipi', modeSwitches: 'modeSwitch', absentEntries: 'absentEntry',
};

/** Cycles of counted work. */
export function priced(work: WorkCounts, costs: HypervisorCosts): number {
  return (Object.keys(PRICE) as (keyof WorkCounts)[]).reduce((sum, kind) => sum + work[kind] * figure(costs[PRICE[kind]]), 0);
}

export class Meter {
  /** Cycles of the accesses of processes, and of their kernel's where those are made by the processor. */
  accesses = 0;
  exceptions = 0;
  systemCalls = 0;
  rootLoads = 0;
  invlpgs = 0;
  private readonly built: BuiltKernel;
  private readonly start: { readonly pages: number; readonly work: number; readonly copy: number; readonly exits: number; readonly shadow: number };
  private readonly costs: { readonly hypervisor: HypervisorCosts; readonly stage: StageCosts };

  constructor(built: BuiltKernel, costs: Meter['costs']) {
    this.built = built;
    this.costs = costs;
    this.start = { pages: this.pages, work: this.work, copy: this.copy, exits: this.exits, shadow: this.shadow };
    this.listen();
  }

  private listen(): void {
    const p = this.built.kernel.p as Mutable<BuiltKernel['kernel']['p']>, { run, loadRoot, invlpg, enterKernel } = p;
    let faulted = false;
    p.run = (columns: AccessColumns, from: number, to: number) => {
      for (let at = from; at < to; at++) {
        const fault = p.cpu.access(columns.va[2 * at + 1], columns.va[2 * at], ACCESS_OF_KIND[columns.kind[at]] | ACCESS_USER);
        this.accesses += p.cpu.cycles; // of this access, as it says itself
        if (fault === FAULT_NONE) continue;
        const before = this.spent, done = run.call(p, columns, at, at + 1); // once more, for the kernel to be told
        this.accesses += this.spent - before;
        faulted = done === at;
        if (faulted) return at;
      }
      return to;
    };
    const xen = this.built.xen?.domain.xen as Mutable<Hypervisor> | undefined;
    if (xen !== undefined) {
      const { write } = xen;
      xen.write = (...args) => { // a store of the kernel's, which faults and is emulated: its walk is the kernel's access
        const before = this.spent, given = write.apply(xen, args);
        this.accesses += this.spent - before;
        return given;
      };
    }
    p.loadRoot = (...args) => { this.rootLoads++; loadRoot.apply(p, args); };
    p.invlpg = address => { this.invlpgs++; invlpg.call(p, address); };
    p.enterKernel = () => {
      if (faulted) this.exceptions++;
      else this.systemCalls++;
      faulted = false;
      enterKernel.call(p);
    };
  }

  /** Cycles of the processor, a hypervisor's not among them. */
  private get spent(): number {
    const { tlb, walkStart, walkLoads, data } = this.built.kernel.p.cpu.counters().cycles;
    return tlb + walkStart + walkLoads + data - this.copy;
  }

  private get pages(): number { return this.built.kernel.pool.clears + this.built.kernel.pool.copies; }

  /** Cycles of the accesses that a hypervisor made to its guest's memory. */
  private get copy(): number {
    if (this.built.xen === undefined) return 0;
    const { hypercalls, cycles } = this.built.xen.domain.xen.counters();
    return [...Object.values(hypercalls).map(call => call.cycles), ...Object.values(cycles)].reduce((sum, { copy }) => sum + copy, 0);
  }

  private get work(): number {
    return this.built.xen === undefined ? 0 : priced(this.built.xen.domain.xen.counters().work, this.costs.hypervisor);
  }

  /** What the vCPU was charged with for its shadows, and for nothing else. */
  private get shadow(): number {
    return this.built.shadow === undefined ? 0 : this.built.kernel.p.cpu.counters().cycles.hypervisor;
  }

  private get exits(): number {
    const exits: Readonly<Record<string, number>> = this.built.stage?.population.exits ?? {};
    return Object.values(exits).reduce((sum, many) => sum + many, 0);
  }

  /** All cycles since the meter began. @param hostPages - pages that one exit populates */
  total(hostPages: number): number {
    const { built: { native, costs: { kernel: kernelCosts } }, start, costs: { stage } } = this, by = (name: keyof typeof kernelCosts): number => figure(kernelCosts[name]);
    const loads = this.built.shadow === undefined ? this.rootLoads * by('rootLoad') + this.invlpgs * by('invlpg') : 0; // exits, where they are the hypervisor's
    const own = native === undefined ? 0 : this.exceptions * by('exception') + this.systemCalls * by('systemCall') + loads;
    const exit = figure(stage.exit) + figure(stage.populate) + hostPages * figure(stage.page);
    return this.accesses + this.copy - start.copy + own + (this.pages - start.pages) * by('page') + this.work - start.work + this.shadow - start.shadow + (this.exits - start.exits) * exit;
  }
}
