/** What software does has prices on every processor, each with its source. */
import { describe, expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { figure, type CpuModel, type Sourced } from '../../src/cost/cpu-model.ts';
import { checkHypervisorCosts, hypervisorCosts } from '../../src/cost/hypervisor-costs.ts';
import { checkKernelCosts, kernelCosts } from '../../src/cost/kernel-costs.ts';
import { checkCpuModel } from '../../src/cost/preset-check.ts';
import { findPreset, presets } from '../../src/cost/presets/all.ts';
import { shadowCosts } from '../../src/cost/shadow-costs.ts';
import { checkStageCosts, stageCosts, type StageCosts } from '../../src/cost/stage-costs.ts';
import { SWITCH_NAMES, switchesDefault, type Switches } from '../../src/cost/switches.ts';

describe.each(Object.entries(presets))('%s', (_, model) => {
  const { kernel, hypervisor, stage } = costsOf(model), switches = model.switches!;

  it('has a kernel, a hypervisor and a second stage to pay, each price with its standing and source', () => {
    expect([checkKernelCosts(kernel), checkHypervisorCosts(hypervisor), checkStageCosts(stage)]).toEqual([kernel, hypervisor, stage]);
    for (const costs of [kernel, hypervisor, stage, switches]) for (const [name, price] of Object.entries(costs as object)) {
      const { value, from, source } = price as Sourced;
      expect(value, name).toBeGreaterThan(0);
      expect(['vendor', 'measured', 'estimate'], name).toContain(from);
      expect(source.length, name).toBeGreaterThan(20);
    }
  });

  it('pays everywhere for the same instructions', () => {
    const { syscall, exception, exit, rootLoad, flush, invlpg, ipi } = switches;
    expect([kernel.systemCall, kernel.exception, kernel.rootLoad, kernel.invlpg, stage.exit, hypervisor.flush, hypervisor.invlpg, hypervisor.ipi])
      .toEqual([syscall, exception, rootLoad, invlpg, exit, flush, invlpg, ipi]);
    const above = (name: 'trap' | 'fault' | 'modeSwitch', of: Switches[keyof Switches]) => figure(hypervisor[name]) - figure(of);
    expect([above('trap', syscall), above('fault', exception), above('modeSwitch', rootLoad)]).toEqual([170, 300, 30]);
    for (const [name, of] of [['trap', syscall], ['fault', exception], ['modeSwitch', rootLoad]] as const) expect((hypervisor[name] as Sourced).source).toContain((of as Sourced).source);
    expect((hypervisor.trap as Sourced).from).toBe('estimate'); // a part of it is one
  });
});

/** As their sources have them: see src/cost/presets. */
it.each([['nehalem-e5520', 'exit', 2000], ['haswell', 'exception', 1045], ['skylake', 'exit', 1529]] as const)('%s: %s was measured, %i cycles', (name, what, cycles) => {
  expect(findPreset(name).switches![what]).toMatchObject({ value: cycles, from: 'measured' });
});

it('a processor that does not tell has the general prices, and one that does its own', () => {
  const { switches: _, ...rest } = findPreset('zen3');
  expect(costsOf(rest)).toEqual({ kernel: kernelCosts, hypervisor: hypervisorCosts, stage: stageCosts, shadow: shadowCosts });
  const own = Object.fromEntries(SWITCH_NAMES.map((name, k) => [name, 100 + k])) as Record<keyof Switches, number>;
  const { kernel, hypervisor, stage } = costsOf(checkCpuModel({ ...rest, switches: own } satisfies CpuModel));
  expect([kernel.systemCall, kernel.exception, stage.exit, kernel.rootLoad, hypervisor.flush, kernel.invlpg, hypervisor.ipi]).toEqual([100, 101, 102, 103, 104, 105, 106]);
  expect(hypervisor.trap).toEqual({ value: 270, from: 'estimate', estimated: 170, source: '100, given; and 170: registers saved and restored, the call looked up' });
});

it.each([[{ exit: -1 }, 'stageCosts.exit'], [{ page: undefined }, 'stageCosts.page'], [{ walk: 1 }, 'stageCosts.walk'], [{ populate: 1.5 }, 'stageCosts.populate']])('prices of a second stage are refused with %j', (wrong, field) => {
  expect(() => checkStageCosts({ ...stageCosts, ...wrong } as StageCosts)).toThrow(field);
});

it.each([['exit', -1], ['exit', 1e6], ['syscall', '5']])('switches are refused with %s: %j', (name, value) => {
  expect(() => checkCpuModel({ ...findPreset('zen3'), switches: { ...switchesDefault, [name]: value } })).toThrow(`cpu.switches.${name}`);
});
