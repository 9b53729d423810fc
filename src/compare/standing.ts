/** The prices behind each group of causes, and how well they are known. */
import { estimatedPart, figure, type CpuModel, type Figure } from '../cost/cpu-model.ts';
import { costsOf } from '../cost/costs.ts';
import { nestedDefault } from '../cost/nested-model.ts';
import type { CycleAccount } from '../guest/index.ts';
import { hypervisorPrices, shadowPrices } from '../guest/price-causes.ts';
import { CAUSE_GROUPS } from './cause.ts';
import type { WayName } from './way.ts';

/** `partly`: a sum, of which some parts are estimates and others are not. `given`: a caller's own number. */
export const STANDINGS = ['vendor', 'measured', 'partly', 'estimate', 'given'] as const;
export type Standing = (typeof STANDINGS)[number];

/** Names of the prices of a group of causes, by standing. */
export interface GroupPrices {
  readonly name: string;
  readonly prices: Readonly<Record<Standing, readonly string[]>>;
}

const UNUSED: readonly string[] = ['compatTrap', 'ipi']; // by a 64-bit guest with one vCPU

type Priced = readonly [cause: keyof CycleAccount, name: string, price: Figure];

/** All groups that have a price in a way that is run. */
export function pricesOf(cpu: CpuModel, ways: readonly WayName[]): GroupPrices[] {
  const all = [...ofProcessor(cpu), ...ways.flatMap(way => ofWay(cpu, way))];
  return CAUSE_GROUPS.map(({ name, causes }) => {
    const own = all.filter(([cause]) => causes.includes(cause));
    const named = (standing: Standing): string[] => [...new Set(own.filter(([, , price]) => standingOf(price) === standing).map(([, price]) => price))];
    return { name, prices: Object.fromEntries(STANDINGS.map(standing => [standing, named(standing)])) as Record<Standing, string[]> };
  }).filter(({ prices }) => STANDINGS.some(standing => prices[standing].length > 0));
}

/** Standings that the prices of a group have, best first. */
export const standingsOf = ({ prices }: GroupPrices): readonly Standing[] => STANDINGS.filter(standing => prices[standing].length > 0);

function standingOf(price: Figure): Standing {
  if (typeof price === 'number') return 'given';
  return price.from === 'estimate' && estimatedPart(price) < figure(price) ? 'partly' : price.from;
}

function ofProcessor({ tlb, walkCycles, caches }: CpuModel): Priced[] {
  const loads: readonly (readonly [string, Figure])[] = [...caches.levels.map(({ name, cycles }) => [name, cycles] as const), ['memory', caches.memoryCycles]];
  return [
    ...tlb.map(({ hitCycles }, k): Priced => ['tlb', `hit in TLB level ${k + 1}`, hitCycles]), ['walkStart', 'start of a walk', walkCycles],
    ...loads.map(([name, price]): Priced => ['walkLoads', name, price]),
  ];
}

const NESTED: Priced = ['walkStart', 'hit in the nested TLB', nestedDefault.hitCycles];

function ofWay(cpu: CpuModel, way: WayName): Priced[] {
  const { kernel, hypervisor, shadow } = costsOf(cpu), page: Priced = ['pages', 'page', kernel.page];
  const faults: Priced[] = [['exceptions', 'exception', kernel.exception], ['systemCalls', 'systemCall', kernel.systemCall], page];
  const switches: Priced[] = [['rootLoads', 'rootLoad', kernel.rootLoad], ['invlpgs', 'invlpg', kernel.invlpg]];
  if (way === 'direct') return [page, ...hypervisorPrices.filter(([name]) => !UNUSED.includes(name)).map(([name, cause]): Priced => [cause, name, hypervisor[name]])];
  if (way === 'shadow') return [...faults, ...shadowPrices.map(([name, cause]): Priced => [cause, name, shadow[name]])];
  return [...faults, ...switches, ...(way === 'nested' ? [NESTED] : [])];
}
