/** Which cause of a CycleAccount each price of a hypervisor is for. */
import type { HypervisorCosts } from '../cost/hypervisor-costs.ts';
import type { ShadowCosts } from '../cost/shadow-costs.ts';
import { PRICE_CAUSES } from '../xen/work.ts';
import type { CycleAccount } from './cycle-account.ts';
import { SHADOW_CAUSES } from './shadow-cycles.ts';

const OF_WORK = { trap: 'hypervisorTrap', validate: 'hypervisorValidate', flush: 'hypervisorFlush' } as const;

/** For paravirtualized guests. */
export const hypervisorPrices: readonly (readonly [price: keyof HypervisorCosts, cause: keyof CycleAccount])[] = PRICE_CAUSES.map(([price, cause]) => [price, OF_WORK[cause]]);

/** For guests whose tables are shadowed. */
export const shadowPrices = Object.entries(SHADOW_CAUSES) as readonly (readonly [price: keyof ShadowCosts, cause: keyof CycleAccount])[];
