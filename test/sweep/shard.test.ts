import { describe, expect, it } from 'vitest';
import { shardRange } from '../../src/sweep/shard.ts';

const sum = (of: readonly number[]): number => of.reduce((total, n) => total + n, 0);
const ranges = (weights: readonly number[], parts: number) => Array.from({ length: parts }, (_, k) => shardRange(weights, { part: k + 1, parts }));

/** Numbers that look random and are the same every time. */
function weightsOf(seed: number, n: number): number[] {
  let state = seed;
  return Array.from({ length: n }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return 1 + (state >> 8) % (seed % 3 === 0 ? 1000 : 30);
  });
}

describe('shards', () => {
  it('are disjoint and together everything, for any number of parts', () => {
    let cases = 0;
    for (let n = 0; n <= 24; n++) for (let parts = 1; parts <= 30; parts++) {
      const found = ranges(weightsOf(n + parts, n), parts);
      expect(found[0][0]).toBe(0);
      expect(found.at(-1)![1]).toBe(n);
      for (let k = 1; k < parts; k++) expect(found[k][0]).toBe(found[k - 1][1]);
      for (const [from, to] of found) expect(to - from).toBeGreaterThanOrEqual(parts <= n ? 1 : 0);
      cases++;
    }
    expect(cases).toBe(25 * 30);
  });

  it('of equal cells differ by one at most', () => {
    for (let n = 1; n <= 40; n++) for (let parts = 1; parts <= n; parts++) {
      const sizes = ranges(Array.from({ length: n }, () => 7), parts).map(([from, to]) => to - from);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });

  it('weigh the same, give or take a cell', () => {
    for (let seed = 1; seed < 60; seed++) {
      const weights = weightsOf(seed, 100), most = Math.max(...weights);
      for (const parts of [2, 3, 4, 7]) {
        for (const [from, to] of ranges(weights, parts)) expect(Math.abs(sum(weights.slice(from, to)) - sum(weights) / parts)).toBeLessThanOrEqual(most);
      }
    }
  });

  it('give a heavy cell a part of its own, and the rest to the others', () => {
    expect(ranges([1000, 1, 1, 1, 1], 3)).toEqual([[0, 1], [1, 3], [3, 5]]);
    expect(ranges([1, 1, 1, 1, 1000], 3)).toEqual([[0, 3], [3, 4], [4, 5]]);
  });
});
