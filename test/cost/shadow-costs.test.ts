import { expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { shadowCosts, shadowPrices, type ShadowCosts } from '../../src/cost/shadow-costs.ts';
import { worldSwitch } from '../../src/cost/world-switch.ts';
import { WORK } from '../../src/virt/shadow/work.ts';

it('every preset has a price of a world switch of its own making, and other processors have one', () => {
  const unknown = worldSwitch('mine');
  for (const { name } of Object.values(presets)) expect(worldSwitch(name), name).not.toBe(unknown);
  expect(worldSwitch('toString')).toBe(unknown);
  expect(figure(worldSwitch('nehalem-e5520'))).toBeGreaterThan(figure(worldSwitch('skylake')));
});

it('every kind of work has a price with a source, and exits cost a world switch at least', () => {
  const costs = shadowCosts('zen3'), prices = shadowPrices(costs);
  expect(Object.keys(prices).sort()).toEqual(Object.keys(WORK).sort());
  for (const [name, price] of Object.entries(costs)) expect(price, name).toMatchObject({ value: prices[name as keyof ShadowCosts], from: 'estimate', source: expect.stringMatching(/\w{4}/) as string });
  for (const [name, price] of Object.entries(prices)) expect(price > figure(worldSwitch('zen3')), name).toBe(/^exit|^emulated|^mmio/.test(name));
});

it.each([
  [{ unsync: -1 }, 'shadow.costs.unsync: expected an integer from 0 to 1000000, got -1'], [{ unsync: 0.5 }, 'shadow.costs.unsync'], [{ unsync: undefined }, 'shadow.costs.unsync'],
  [{ exits: 5 }, 'shadow.costs.exits: expected one of exitPageFault'],
])('costs with %j are refused', (change, message) => {
  expect(() => shadowPrices({ ...shadowCosts('zen3'), ...change } as ShadowCosts)).toThrow(message);
});

it('costs may be plain numbers', () => {
  expect(shadowPrices({ ...shadowCosts('zen3'), flush: 7 }).flush).toBe(7);
  expect(() => shadowPrices(5 as unknown as ShadowCosts)).toThrow('shadow.costs: expected an object');
});
