import { describe, expect, it } from 'vitest';
import { spread } from '../../src/report/line-plot.ts';
import { exactScale, logScale, niceTicks, roundScale } from '../../src/report/scale.ts';

describe('scale', () => {
  it('makes ticks of 1, 2 or 5 times a power of ten that reach the maximum', () => {
    expect(niceTicks(83, 5)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(niceTicks(0.41, 8)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5]);
    expect(niceTicks(0, 5)).toEqual([0, 1]);
    for (let max = 1e-7; max < 1e13; max *= 1.7) {
      const ticks = niceTicks(max, 5);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(max * (1 - 1e-9));
      expect(ticks.length).toBeLessThanOrEqual(11);
      expect(Number(ticks[1]!.toExponential().split('e')[0])).toBeOneOf([1, 2, 5]);
    }
  });

  it('places values in proportion', () => {
    const round = roundScale(83, 200, 0, 5);
    expect([round.at(0), round.at(50), round.at(100)]).toEqual([200, 100, 0]);
    const exact = exactScale(1e10, 0, 500, 8);
    expect(exact.at(1e10)).toBe(500);
    expect(exact.ticks.every((tick) => tick <= 1e10)).toBe(true);
  });

  it('spans whole decades, at least one', () => {
    const one = logScale(100, 100, 0, 100, 4);
    expect(one.ticks).toEqual([100, 1000]);
    const many = logScale(1, 1e10, 0, 100, 4);
    expect(many.ticks).toEqual([1, 1000, 1e6, 1e9]);
    expect(many.at(1e5)).toBeCloseTo(50);
  });

  it('moves labels apart, in order and within bounds', () => {
    const places = spread([100, 100, 100, 20], 15, 0, 110);
    expect(places).toEqual([80, 95, 110, 20]);
  });
});
