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

const DOUBTFUL = /from memory|not looked up|not read by us|repeated in the field|not verified/i;
/** Numbers of a text, `2,000` as 2000, without those of years, dates and names. */
const numbersOf = (text: string): number[] => (text.replace(/(\d),(\d{3})/g, '$1$2').match(/(?<![\w.-])\d+(?![\w]*-|[.]\d)/g) ?? []).map(Number);
const standsIn = (value: number, text: string): boolean => {
  const numbers = numbersOf(text);
  return numbers.includes(value) || numbers.some((one, k) => k > 0 && one + numbers[k - 1]! === value); // or the sum of two side by side
};

/** What a source must say by its standing: where a figure stands, and that it stands there; or numbers or code that an estimate is made of. */
function checkSource(price: Sourced, name: string): void {
  const { value, from, source } = price;
  expect(Number.isInteger(value) && value > 0, name).toBe(true);
  expect(['vendor', 'measured', 'estimate'], name).toContain(from);
  expect(source, name).not.toMatch(DOUBTFUL);
  if (from === 'estimate') return expect(source, name).toMatch(/\d.* cycle|\d.* instructions|\b\d{2,}\b/);
  expect(source, name).toMatch(/\b(19|20)\d\d\b/);
  expect(source, name).toMatch(/\btable\b|\bsection\b|\bcommit\b|\bmailing list\b|linux-mm|Google\+/);
  expect(standsIn(value, source), `${name}: ${value} in: ${source}`).toBe(true);
}

it.each<[string, number, Sourced['from'], string]>([
  ['a source without a place', 84, 'measured', 'Somebody (2022): 42 and 42'], ['a figure that is not there', 85, 'measured', 'Somebody (2022), table 3: 42 and 42'],
  ['an estimate of nothing', 100, 'estimate', 'so it is everywhere'], ['memory', 84, 'estimate', 'Somebody (2022), table 3: 84 cycles; from memory'],
])('refuses %s', (_, value, from, source) => {
  expect(() => checkSource({ value, from, source }, 'x')).toThrow();
});

describe.each(Object.entries(presets))('%s', (_, model) => {
  const { kernel, hypervisor, stage, shadow } = costsOf(model), switches = model.switches!;

  it('has a kernel, a hypervisor and a second stage to pay, each price with its standing and source', () => {
    expect([checkKernelCosts(kernel), checkHypervisorCosts(hypervisor), checkStageCosts(stage)]).toEqual([kernel, hypervisor, stage]);
    for (const costs of [kernel, hypervisor, stage, shadow, switches]) for (const [name, price] of Object.entries(costs as object)) checkSource(price as Sourced, name);
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

/** As their sources have them: see src/cost/presets. Nothing else of the switches is called measured. */
it('measured are those of which a measurement was found', () => {
  const measured = Object.values(presets).flatMap(({ name, switches }) => Object.entries(switches!).filter(([, price]) => (price as Sourced).from !== 'estimate').map(([what, price]) => [name, what, (price as Sourced).value]));
  expect(measured).toEqual([
    ['nehalem-e5520', 'exit', 2000], ['haswell', 'exception', 1045], ['skylake', 'syscall', 42 + 42], ['skylake', 'exit', 1529], ['skylake', 'rootLoad', 191],
    ['skylake', 'invlpg', 200], ['icelake', 'syscall', 45 + 32], ['zen2', 'syscall', 53 + 46], ['zen3', 'syscall', 83 + 55],
  ]);
});

it('a processor that does not tell has the general prices, and one that does its own', () => {
  const { switches: _, ...rest } = findPreset('zen3');
  expect(costsOf(rest)).toEqual({ kernel: kernelCosts, hypervisor: hypervisorCosts, stage: stageCosts, shadow: shadowCosts });
  const own = Object.fromEntries(SWITCH_NAMES.map((name, k) => [name, 100 + k])) as Record<keyof Switches, number>;
  const { kernel, hypervisor, stage } = costsOf(checkCpuModel({ ...rest, switches: own } satisfies CpuModel));
  expect([kernel.systemCall, kernel.exception, stage.exit, kernel.rootLoad, hypervisor.flush, kernel.invlpg, hypervisor.ipi]).toEqual([100, 101, 102, 103, 104, 105, 106]);
  expect(hypervisor.trap).toEqual({ value: 270, from: 'estimate', estimated: 170, source: expect.stringMatching(/^100, given; and 170: some 150 instructions of lstar_enter/) as string });
});

it('a part of an estimate stays one in the prices that are made of it', () => {
  const exit: Sourced = { value: 1000, from: 'estimate', source: 'x', estimated: 300 };
  const { stage, shadow } = costsOf(checkCpuModel({ ...findPreset('zen3'), switches: { ...switchesDefault, exit } }));
  expect([stage.exit, shadow.exitPageFault]).toMatchObject([exit, { value: 1100, estimated: 400 }]);
});

it.each([[{ exit: -1 }, 'stageCosts.exit'], [{ page: undefined }, 'stageCosts.page'], [{ walk: 1 }, 'stageCosts.walk'], [{ populate: 1.5 }, 'stageCosts.populate'],
  [{ exit: null }, 'stageCosts.exit: expected an integer from 0 to 1000000, got null'], [{ page: '5' }, 'stageCosts.page: expected an integer from 0 to 1000000, got "5"']])('prices of a second stage are refused with %j', (wrong, field) => {
  expect(() => checkStageCosts({ ...stageCosts, ...wrong } as StageCosts)).toThrow(field);
});

it.each([['exit', -1], ['exit', 1e6], ['syscall', '5']])('switches are refused with %s: %j', (name, value) => {
  expect(() => checkCpuModel({ ...findPreset('zen3'), switches: { ...switchesDefault, [name]: value } })).toThrow(`cpu.switches.${name}`);
});
