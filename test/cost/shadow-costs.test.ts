import { expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { figure } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { checkShadowCosts, shadowCosts, type ShadowCosts } from '../../src/cost/shadow-costs.ts';
import { switchesDefault } from '../../src/cost/switches.ts';
import { WORK } from '../../src/virt/shadow/work.ts';

it.each(Object.entries(presets))('on %s every kind of work has a price with a source, and exits cost more than an exit', (_, cpu) => {
  const { shadow } = costsOf(cpu), exit = figure((cpu.switches ?? switchesDefault).exit);
  expect(Object.keys(shadow).sort()).toEqual(Object.keys(WORK).sort());
  for (const [name, price] of Object.entries(shadow)) {
    expect(price, name).toMatchObject({ source: expect.stringMatching(/\w{4}/) as string });
    if (name.startsWith('exit')) expect(figure(price), name).toBeGreaterThan(exit);
  }
});

it.each([
  [{ unsync: -1 }, 'shadowCosts.unsync: expected an integer from 0 to 1000000, got -1'], [{ unsync: 0.5 }, 'shadowCosts.unsync'], [{ unsync: undefined }, 'shadowCosts.unsync'],
  [{ exits: 5 }, 'shadowCosts.exits: expected one of exitPageFault'],
])('costs with %j are refused', (change, message) => {
  expect(() => checkShadowCosts({ ...shadowCosts, ...change } as ShadowCosts)).toThrow(message);
});
