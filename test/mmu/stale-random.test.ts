/** Random histories: every answer, in timed and in functional mode, is one that the manual permits (stale-oracle.ts). */
import { describe, expect, it } from 'vitest';
import { History, type Tally } from './stale-history.ts';
import { GEOMETRIES, modelOf } from './tlb-geometries.ts';
import { POLICIES } from './tlb-oracle-array.ts';
import { SMALL, TAME, WILD } from './tlb-world.ts';

const HISTORIES = 12;
const OPERATIONS = 2000;
const MOODS = [{ mix: WILD, calm: false }, { mix: TAME, calm: true }, { mix: SMALL, calm: true }];
const TIMEOUT = 120_000;

describe.each(['timed', 'functional'] as const)('%s mode', mode => {
  const sum: Tally = { accesses: 0, stale: 0, staleFaults: 0, certain: 0, open: 0 };

  it.each(GEOMETRIES.map((one, k) => [one.name, one, k] as const))('%s', (_, one, k) => {
    for (let n = 0; n < HISTORIES; n++) {
      const model = modelOf(one, POLICIES[n % POLICIES.length]);
      const history = new History({ ...one, ...MOODS[n % MOODS.length], mode, model, seed: 100 * k + n });
      history.run(OPERATIONS);
      for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += history.tally[key];
    }
  }, TIMEOUT);

  it('met many stale answers, and many accesses with one permitted answer', () => {
    if (process.env['SHOW_TALLY']) console.log(mode, sum);
    expect(sum.accesses).toBeGreaterThan(0.75 * OPERATIONS * HISTORIES * GEOMETRIES.length);
    expect(sum.certain + sum.open).toBe(sum.accesses);
    expect(sum.stale).toBeGreaterThan(1000);
    expect(sum.certain).toBeGreaterThan(1000);
    expect(sum.open).toBeGreaterThan(1000);
  });
});
