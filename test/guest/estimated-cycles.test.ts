import { describe, expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { estimatedPart, figure, type Figure } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import type { BuildOptions } from '../../src/guest/built-kernel.ts';
import type { CycleAccount } from '../../src/guest/cycle-account.ts';
import { runTree } from '../../src/guest/run-tree.ts';
import { runWorkload, Workload } from '../../src/guest/workload.ts';
import { fixture } from '../cli/pagewalk.ts';

const WAYS: Readonly<Record<string, BuildOptions>> = {
  native: {}, direct: { ops: 'xen' }, 'direct, ptwr': { ops: 'xen', policy: { batching: 'ptwr' } }, shadow: { shadow: {} }, nested: { stage: { format: 'ept' } },
  'nested, populated when touched': { stage: { format: 'npt', populate: 'lazy' } },
};
const SMALL = { accesses: 3000, interval: 300, workingSet: 64, memory: '16M' };

/** The prices of a processor with the estimated parts of all doubled. */
function doubled(cpu: (typeof presets)[string]): Required<Pick<BuildOptions, 'kernelCosts' | 'hypervisorCosts' | 'stageCosts' | 'shadowCosts'>> {
  const { kernel, hypervisor, stage, shadow } = costsOf(cpu);
  const twice = <T extends object>(costs: T): T => Object.fromEntries(Object.entries(costs as Record<string, Figure>).map(([name, price]) => [name, figure(price) + estimatedPart(price)])) as T;
  return { kernelCosts: twice(kernel), hypervisorCosts: twice(hypervisor), stageCosts: twice(stage), shadowCosts: twice(shadow) };
}

const plus = (a: CycleAccount, b: CycleAccount): number[] => Object.entries(a).map(([cause, cycles]) => cycles + b[cause as keyof CycleAccount]);

describe.each(['zen3', 'haswell', 'nehalem-e5520'])('on %s', cpu => {
  it.each(Object.entries(WAYS))('%s: what rests on estimates is what is added when their prices are doubled', (_, way) => {
    for (const change of ['protect', 'fork'] as const) {
      const options = { ...way, ...SMALL, change, cpu: presets[cpu] }, usual = runWorkload(options), dear = runWorkload({ ...options, ...doubled(presets[cpu]) });
      plus(usual.measured, usual.estimated).forEach((cycles, k) => { expect(cycles).toBeCloseTo(Object.values(dear.measured)[k], 3); });
      plus(usual.cycles, usual.estimated).forEach((cycles, k) => { expect(cycles).toBeLessThanOrEqual(Object.values(dear.cycles)[k] + 1e-3); });
      const { tlb, walkStart, walkLoads, data } = usual.estimated;
      expect([tlb, walkStart, walkLoads, data]).toEqual([0, 0, 0, 0]);
    }
  });
});

it('of a measured price nothing does, and of a sum its other part', () => {
  const { kernel, hypervisor } = costsOf(presets.haswell);
  expect([estimatedPart(kernel.exception), figure(hypervisor.fault) - estimatedPart(hypervisor.fault)]).toEqual([0, figure(kernel.exception)]);
  const { measured, estimated } = runWorkload({ ...SMALL, cpu: presets.haswell });
  expect(measured.exceptions).toBeGreaterThan(0);
  expect([estimated.exceptions, estimated.systemCalls]).toEqual([0, measured.systemCalls]);
});

it('of a caller\'s own numbers nothing does', () => {
  const { kernelCosts } = doubled(presets.zen3), { measured, estimated } = runWorkload({ ...SMALL, kernelCosts });
  expect(measured.exceptions + measured.systemCalls + measured.pages).toBeGreaterThan(0);
  expect(Object.values(estimated).every(cycles => cycles === 0)).toBe(true);
});

it('of a machine that knows no time there is nothing, by any way', () => {
  for (const way of Object.values(WAYS)) expect(Object.values(new Workload({ ...way, workingSet: 64, memory: '16M', mode: 'functional' }).stretch(900, 300).estimated).every(cycles => cycles === 0)).toBe(true);
});

it('and so it is of a whole tree', async () => {
  const tree = fixture('compile'), cpu = presets.haswell, run = (more: BuildOptions) => runTree({ tree, ops: 'xen', cpu, contents: false, ...more });
  const [usual, dear] = await Promise.all([run({}), run(doubled(cpu))]);
  plus(usual.cycles, usual.estimated).forEach((cycles, k) => { expect(cycles).toBeCloseTo(Object.values(dear.cycles)[k], 0); });
});
