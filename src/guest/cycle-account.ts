/** All cycles of a run by what they were for: nothing is counted twice, and nothing is left out. */
import { figure } from '../cost/cpu-model.ts';
import type { KernelCosts } from '../cost/kernel-costs.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import { FAULT_REASONS } from './figures.ts';
import type { BuiltKernel } from './built-kernel.ts';
import { shadowCycles } from './shadow-cycles.ts';

/**
 * Cycles by cause.
 *
 * Of the processor: `tlb`, `walkStart`, `walkLoads`, `data`. Of the kernel: `exceptions` and `systemCalls` where they are its own,
 * `rootLoads`, `invlpgs`, `pages` cleared and copied. Of a hypervisor, over all it did: `hypervisorTrap`, in which exits are, `hypervisorValidate`,
 * `hypervisorFlush`, with the interrupts that make other processors flush, `hypervisorPopulate`, frames that get memory when they are touched; where it
 * shadows also `hypervisorEmulate` (stores made in the guest's stead), `hypervisorShadow` (walks of the guest's tables, shadows made, filled and given
 * up), `hypervisorSync` (tables let out of sync and caught up with). Refills after a flush are walks, and among those.
 */
export type CycleAccount = Readonly<Record<(typeof CAUSES)[number], number>>;

const CAUSES = [
  'tlb', 'walkStart', 'walkLoads', 'data', 'exceptions', 'systemCalls', 'rootLoads', 'invlpgs', 'pages', 'hypervisorTrap', 'hypervisorValidate', 'hypervisorFlush',
  'hypervisorPopulate', 'hypervisorEmulate', 'hypervisorShadow', 'hypervisorSync',
] as const;
const HYPERVISOR = ['trap', 'validate', 'flush'] as const;

/** @returns zeroes of a machine in functional mode, which knows no time */
export function cycleAccount({ kernel, native, shadow, xen, stage, costs: { kernel: costs } }: BuiltKernel): CycleAccount {
  const { cpu, s } = kernel.p, { cycles } = cpu.counters(), { figures, pool } = kernel, timed = s.w[(cpu.block + VCPU_TIMED) >>> 2] !== 0;
  const by = (price: keyof KernelCosts, times: number): number => (timed ? figure(costs[price]) * times : 0);
  const own = native === undefined ? 0 : 1; // exceptions, calls and roots of a paravirtualized kernel are its hypervisor's
  const direct = shadow === undefined ? 1 : 0; // loads of roots and INVLPG of a shadowed one too
  const faults = FAULT_REASONS.reduce((sum, reason) => sum + figures.faults[reason], 0), calls = Object.values(figures.systemCalls).reduce((sum, many) => sum + many, 0);
  const [trap, validate, flush] = HYPERVISOR.map(cause => {
    if (xen === undefined) return 0;
    const { hypercalls, cycles: others } = xen.domain.xen.counters();
    return [...Object.values(hypercalls).map(call => call.cycles), ...Object.values(others)].reduce((sum, account) => sum + account[cause], 0);
  });
  return {
    tlb: cycles.tlb, walkStart: cycles.walkStart, walkLoads: cycles.walkLoads, data: cycles.data,
    exceptions: by('exception', own * faults), systemCalls: by('systemCall', own * calls),
    rootLoads: by('rootLoad', direct * (native?.counts.rootLoads ?? 0)), invlpgs: by('invlpg', direct * (native?.counts.invlpgs ?? 0)), pages: by('page', pool.clears + pool.copies),
    hypervisorTrap: trap + (stage?.population.exitCycles ?? 0), hypervisorValidate: validate, hypervisorFlush: flush,
    hypervisorPopulate: stage?.population.populateCycles ?? 0, hypervisorEmulate: 0, hypervisorShadow: 0, hypervisorSync: 0,
    ...(shadow !== undefined && timed && shadowCycles(shadow.guest.counters(), shadow.prices)),
  };
}

/** What was spent since. */
export function subtract(account: CycleAccount, before: CycleAccount): CycleAccount {
  return Object.fromEntries(CAUSES.map(cause => [cause, account[cause] - before[cause]])) as Record<(typeof CAUSES)[number], number>;
}

/** All of them. */
export const totalCycles = (account: CycleAccount): number => CAUSES.reduce((sum, cause) => sum + account[cause], 0);
