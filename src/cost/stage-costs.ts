/**
 * What a hypervisor's own work for a guest under a second stage of translation costs. There is none while all its memory is there: the guest's
 * tables, CR3 and INVLPG are its own.
 */
import { checkCosts } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';
import { hypervisorCosts } from './hypervisor-costs.ts';
import { estimate } from './presets/sourced.ts';
import { switchesDefault, type Switches } from './switches.ts';

export interface StageCosts {
  /** The guest stopped and run again. */
  readonly exit: Figure;
  /** A guest frame that is not there found out about: whose address, its lock, a frame for it, the second stage's entry stored. */
  readonly populate: Figure;
  /** A page of the frame that it gets cleared: by p2m_pod_cache_add(), like every page of Xen's. */
  readonly page: Figure;
}

const NAMES = ['exit', 'populate', 'page'] as const satisfies readonly (keyof StageCosts)[];
const POPULATE = estimate(1500, 'hvm_hap_nested_page_fault(), p2m_pod_demand_populate() and p2m_set_entry() of Xen 4.17: some 500 instructions and five cache misses of 200 cycles; no measurement found');

/** Prices on a processor. */
export function stageCostsOf({ exit }: Switches): StageCosts {
  return { exit, populate: POPULATE, page: hypervisorCosts.page };
}

/** A server of about 3 GHz. */
export const stageCosts = stageCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkStageCosts = (costs: StageCosts): StageCosts => checkCosts(costs, NAMES, 'stageCosts');
