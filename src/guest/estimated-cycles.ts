/** How many of the cycles of a run rest on estimates: counts of what was done times the estimated part of its price. */
import { estimatedPart, figure, type Figure } from '../cost/cpu-model.ts';
import type { WorkName } from '../virt/shadow/work.ts';
import { pricedWork } from '../xen/work.ts';
import type { BuiltKernel } from './built-kernel.ts';
import { totalCycles, type CycleAccount } from './cycle-account.ts';
import { shadowCycles } from './shadow-cycles.ts';

const NOTHING = { hypervisorTrap: 0, hypervisorValidate: 0, hypervisorFlush: 0, hypervisorPopulate: 0, hypervisorEmulate: 0, hypervisorShadow: 0, hypervisorSync: 0 };

/**
 * Of an account the part that was priced by estimates, of the kernel's and the hypervisor's prices. Those of the processor itself (TLB, walks, data) are
 * not in it, whatever their standing.
 *
 * @param account - of the same kernel, at the same time
 */
export function estimatedCycles(built: BuiltKernel, account: CycleAccount): CycleAccount {
  const { kernel } = built.costs, part = (cycles: number, price: Figure): number => cycles * ratio(estimatedPart(price), figure(price));
  return {
    tlb: 0, walkStart: 0, walkLoads: 0, data: 0,
    exceptions: part(account.exceptions, kernel.exception), systemCalls: part(account.systemCalls, kernel.systemCall), rootLoads: part(account.rootLoads, kernel.rootLoad),
    invlpgs: part(account.invlpgs, kernel.invlpg), pages: part(account.pages, kernel.page), ...NOTHING, ...(totalCycles(account) > 0 && ofHypervisor(built, account)),
  };
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

function ofHypervisor({ xen, stage, shadow, costs }: BuiltKernel, account: CycleAccount): Partial<CycleAccount> {
  if (xen !== undefined) return ofXen(xen.domain.xen.counters().work, costs.hypervisor, account);
  if (shadow !== undefined) {
    const estimates = Object.fromEntries(Object.entries(costs.shadow).map(([name, price]) => [name, estimatedPart(price)])) as Record<WorkName, number>;
    return { ...shadowCycles(shadow.guest.counters(), estimates) };
  }
  if (stage === undefined) return {};
  const { exit, populate, page } = costs.stage, { hypervisorTrap, hypervisorPopulate } = account;
  const exits = Object.values(stage.population.exits).reduce((sum, many) => sum + many, 0), cleared = hypervisorPopulate - exits * figure(populate);
  return {
    hypervisorTrap: hypervisorTrap * ratio(estimatedPart(exit), figure(exit)),
    hypervisorPopulate: exits * estimatedPart(populate) + cleared * ratio(estimatedPart(page), figure(page)),
  };
}

/** By the shares of the work of each cause: work for nobody is counted, and in no account. */
function ofXen(work: Parameters<typeof pricedWork>[0], costs: BuiltKernel['costs']['hypervisor'], account: CycleAccount): Partial<CycleAccount> {
  const all = pricedWork(work, price => figure(costs[price])), estimates = pricedWork(work, price => estimatedPart(costs[price]));
  return {
    hypervisorTrap: account.hypervisorTrap * ratio(estimates.trap, all.trap), hypervisorValidate: account.hypervisorValidate * ratio(estimates.validate, all.validate),
    hypervisorFlush: account.hypervisorFlush * ratio(estimates.flush, all.flush),
  };
}
