/** Processors for which batches take the shortest ways. */
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';

/** Paging-structure caches of 8 sets of four ways. */
export const four: CpuModel = {
  ...presets.skylake,
  psc: Object.fromEntries(Object.entries(presets.skylake.psc).map(([name, g]) => [name, { ...g!, replacement: 'lru' as const, sets: 8, ways: 4 }])),
};

/** ... and no caches: every entry of a walk costs the same. */
export const flat: CpuModel = { ...four, caches: { ...four.caches, levels: [] } };
