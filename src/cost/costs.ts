/** The prices of what software does on a processor, besides its accesses: each way to virtualize memory has some. */
import type { CpuModel } from './cpu-model.ts';
import { hypervisorCostsOf, type HypervisorCosts } from './hypervisor-costs.ts';
import { kernelCostsOf, type KernelCosts } from './kernel-costs.ts';
import { shadowCostsOf, type ShadowCosts } from './shadow-costs.ts';
import { stageCostsOf, type StageCosts } from './stage-costs.ts';
import { switchesDefault } from './switches.ts';

export interface Costs {
  /** Of a kernel on a processor of its own, or a virtual one. */
  readonly kernel: KernelCosts;
  /** Of a hypervisor for paravirtualized guests. */
  readonly hypervisor: HypervisorCosts;
  /** Of a hypervisor for guests under a second stage. */
  readonly stage: StageCosts;
  /** ... whose tables it shadows. */
  readonly shadow: ShadowCosts;
}

/** The prices on a processor; by `switchesDefault` where it does not tell its switches. */
export function costsOf({ switches = switchesDefault }: CpuModel): Costs {
  return { kernel: kernelCostsOf(switches), hypervisor: hypervisorCostsOf(switches), stage: stageCostsOf(switches), shadow: shadowCostsOf(switches) };
}
