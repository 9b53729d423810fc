/**
 * Guest frames that get memory when they are first touched, each by an exit to the hypervisor.
 *
 * Source: Xen 4.17, hvm_hap_nested_page_fault() (xen/arch/x86/hvm/hvm.c), p2m_pod_demand_populate() (xen/arch/x86/mm/p2m-pod.c): the frame is
 *         cleared and its entry stored; nothing is invalidated, as what is not present is not cached (Intel SDM vol. 3C, "Information That May Be Cached").
 */
import { figure } from '../cost/cpu-model.ts';
import { checkStageCosts, type StageCosts } from '../cost/stage-costs.ts';
import { CNT_HYPERVISOR_CYCLES } from '../layout/counter.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';

/** Who touched a frame that was not there: the kernel, an access of a process, or a walk that read a table in it. */
export const TOUCHES = ['kernel', 'access', 'walk'] as const;
export type Touch = (typeof TOUCHES)[number];

export class Population {
  /** Exits by who touched the frame. */
  readonly exits: Record<Touch, number> = { kernel: 0, access: 0, walk: 0 };
  /** Cycles of leaving the guest and entering it again. */
  exitCycles = 0;
  /** ... of what was done in between. */
  populateCycles = 0;
  private readonly s: Views;
  private readonly v: number; // word index of the block of the vCPU that pays
  private readonly costs: StageCosts;

  /** @throws ConfigError - costs */
  constructor(s: Views, v: number, costs: StageCosts) {
    this.s = s;
    this.v = v;
    this.costs = checkStageCosts(costs);
  }

  /** So many pages got memory, by one exit. */
  add(touch: Touch, pages: number): void {
    const { costs: { exit, populate, page }, s: { w }, v } = this, before = this.exitCycles + this.populateCycles;
    this.exits[touch]++;
    if (w[v + (VCPU_TIMED >>> 2)] === 0) return;
    this.exitCycles += figure(exit);
    this.populateCycles += figure(populate) + pages * figure(page);
    count(w, v, CNT_HYPERVISOR_CYCLES, this.exitCycles + this.populateCycles - before);
  }
}
