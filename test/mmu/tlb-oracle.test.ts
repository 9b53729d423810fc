/**
 * The cached translations of a vCPU against an oracle written the long way (tlb-oracle.ts): a million random operations for each replacement
 * policy, with tables that change under the caches, every invalidation there is, and every answer compared.
 */
import { describe, expect, it } from 'vitest';
import type { PageSize } from '../../src/cost/cpu-model.ts';
import { Duel } from './tlb-duel.ts';
import { GEOMETRIES, modelOf } from './tlb-geometries.ts';
import { POLICIES } from './tlb-oracle-array.ts';

const OPERATIONS = 1_000_000; // for each policy
const SIZES: readonly PageSize[] = ['4k', '2m', '1g'];
const COMPARE_EVERY = 1000;
const TIMEOUT = 120_000;

describe.each(POLICIES)('%s', policy => {
  const share = Math.ceil(OPERATIONS / GEOMETRIES.length);
  let done = 0;

  it.each(GEOMETRIES.map((one, k) => [one.name, one, k] as const))('%s', (_, one, k) => {
    const duel = new Duel({ ...one, model: modelOf(one, policy), seed: 1000 * (k + 1) + POLICIES.indexOf(policy) });
    duel.run(share, COMPARE_EVERY);
    expect(duel.operations).toBe(share);
    expect(duel.comparisons).toBe(Math.floor(share / COMPARE_EVERY) + 1);
    done += duel.operations;
    expectVariety(duel, one.hostPage);
  }, TIMEOUT);

  it('came to a million operations', () => expect(done).toBeGreaterThanOrEqual(OPERATIONS));
});

/** A history in which nothing hits, or nothing faults, shows nothing. */
function expectVariety(duel: Duel, hostPage: PageSize): void {
  const { hits, walks, faults, depth } = duel.oracle.totals;
  for (let level = 1; level <= duel.oracle.levels.length; level++) expect(hits[level]).toBeGreaterThan(250);
  for (const { array, model } of duel.oracle.levels.flat()) {
    if (SIZES.indexOf(model.holds[0]) <= SIZES.indexOf(hostPage)) expect(array.replaced, model.name).toBeGreaterThan(10);
  }
  for (const cache of duel.oracle.psc.values()) expect(cache.replaced).toBeGreaterThan(10);
  expect(walks).toBeGreaterThan(10_000);
  expect(faults).toBeGreaterThan(1000);
  for (let reads = 1; reads <= 4; reads++) expect(depth[reads]).toBeGreaterThan(duel.oracle.psc.size === 0 ? 100 : 1000);
}
