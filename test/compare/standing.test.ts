import { expect, it } from 'vitest';
import { CAUSE_GROUPS } from '../../src/compare/cause.ts';
import { pricesOf, standingsOf, type GroupPrices } from '../../src/compare/standing.ts';
import { WAYS } from '../../src/compare/way.ts';
import { costsOf } from '../../src/cost/costs.ts';
import type { CpuModel, Figure, Sourced } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';

const group = (groups: readonly GroupPrices[], name: string) => groups.find(one => one.name === name)?.prices;

it('all groups of causes but data have prices, each of one standing', () => {
  for (const cpu of Object.values(presets)) {
    const groups = pricesOf(cpu, WAYS);
    expect(groups.map(({ name }) => name)).toEqual(CAUSE_GROUPS.map(({ name }) => name).filter(name => name !== 'data'));
    for (const one of groups) expect(standingsOf(one).length, one.name).toBeGreaterThan(0);
  }
});

it('as the presets and prices have them', () => {
  const groups = pricesOf(presets.haswell, ['native', 'direct']), from = (price: Figure) => (price as Sourced).from, { kernel, hypervisor } = costsOf(presets.haswell);
  expect(from(kernel.exception)).toBe('measured');
  expect(group(groups, 'exceptions and system calls')).toMatchObject({ measured: ['exception'], partly: [], [from(kernel.systemCall)]: expect.arrayContaining(['systemCall']) as string[] });
  expect(group(groups, 'world switches')!.partly).toContain('fault'); // a measured exception and the hypervisor's own code
  expect(group(groups, 'world switches')![from(hypervisor.bounce) as 'estimate']).toContain('bounce');
  expect(group(groups, 'shadow tables')).toBeUndefined();
});

it('of the ways that are run only, and of no guest of 32 bits', () => {
  expect(pricesOf(presets.zen3, ['nested']).map(({ name }) => name)).not.toContain('world switches');
  const starts = (way: 'native' | 'nested') => group(pricesOf(presets.zen3, [way]), 'TLB and starting walks')!.estimate;
  expect([starts('native'), starts('nested')]).toEqual([['start of a walk'], ['start of a walk', 'hit in the nested TLB']]);
  expect(group(pricesOf(presets.zen3, ['shadow']), 'world switches')!.estimate).toContain('exitCr3');
  expect(JSON.stringify(pricesOf(presets.zen3, WAYS))).not.toMatch(/compatTrap|ipi/);
});

it('a caller\'s own numbers are given', () => {
  const cpu: CpuModel = { ...presets.zen3, walkCycles: 20, switches: { ...presets.zen3.switches!, exception: 900 } }, groups = pricesOf(cpu, ['native', 'direct']);
  expect(group(groups, 'TLB and starting walks')!.given).toEqual(['start of a walk']);
  expect(group(groups, 'exceptions and system calls')!.given).toEqual(['exception']);
  expect(group(groups, 'world switches')!.partly).toContain('fault');
});
