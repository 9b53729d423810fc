import { expect, it } from 'vitest';
import { GEOMETRIES, modelOf } from '../mmu/tlb-geometries.ts';
import { Random } from '../mmu/tlb-random.ts';
import { presets } from '../../src/index.ts';
import { History, type Tally } from './nested-history.ts';

const MODELS = [presets.skylake, presets.zen3, modelOf(GEOMETRIES[1]!, 'lru'), modelOf(GEOMETRIES[5]!, 'random')];

it.each((['ept', 'npt'] as const).flatMap(format => (['flat', '4-level', '5-level'] as const).map(mode => [format, mode] as const)))('%s, guests %s: every answer is one that the manual permits, and both engines leave the same bytes', (format, mode) => {
  const sum: Tally = { certain: 0, open: 0, stale: 0, invalidations: 0, switches: 0 };
  for (let seed = 0; seed < 8; seed++) {
    const history = new History(new Random(seed * 31 + mode.length + (format === 'ept' ? 0 : 7)), format, mode, { cpu: MODELS[seed % MODELS.length]! });
    history.run(700);
    expect(history.same, `state after history ${seed}`).toBe(true);
    for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += history.tally[key];
  }
  expect(sum.certain).toBeGreaterThan(800);
  expect(sum.open).toBeGreaterThan(800);
  expect(sum.stale).toBeGreaterThan(4);
});
