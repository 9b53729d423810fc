import { expect, it } from 'vitest';
import { list, partsOf, rateRange, rateText } from '../../src/report/prose.ts';

it('a list has its commas and its and', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(list)).toEqual(['', 'a', 'a and b', 'a, b and c']);
});

it.each([
  [1 / 74, 'one update in 74 accesses'], [0.5, 'one update in 2 accesses'], [0.949, 'one update in 1.05 accesses'], [0.96, '0.96 updates an access'], [1, '1 update an access'],
  [2.54, '2.5 updates an access'], [12_345, '12 k updates an access'], [1e-4, 'one update in 10,000 accesses'],
])('a rate of %d reads %s', (rate, text) => {
  expect(rateText(rate)).toBe(text);
});

it.each([
  [[1 / 100, 1 / 57, 1 / 172], 'at one update in 57 to 172 accesses'], [[1 / 74, 1 / 74], 'at one update in 74 accesses'],
  [[1.5, 0.5], 'between one update in 2 accesses and 1.5 updates an access'], [[2, 4], 'between 2 updates an access and 4 updates an access'],
])('rates of %j lie %s', (rates, text) => {
  expect(rateRange(rates)).toBe(text);
});

it('parts of a sum are those that are worth a word, and the largest at least', () => {
  const parts = (...cycles: number[]) => partsOf(cycles.map((amount, k) => ({ name: 'abcdefghijklmnopqrst'[k]!, cycles: amount })), 100);
  expect([parts(60, 33, 7), parts(92, 8), parts(...Array<number>(20).fill(5))]).toEqual(['a (60 %) and b (33 %)', 'a (92 %) and b (8 %)', 'a (5 %)']);
});
