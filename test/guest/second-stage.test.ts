import { expect, it } from 'vitest';
import { FEAT_AMD, VCPU_FEATURES } from '../../src/layout/vcpu.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { buildKernel, type StageOptions } from '../../src/guest/index.ts';

it.each<[string, StageOptions, 'ept' | 'npt']>([
  ['skylake', {}, 'ept'], ['zen3', {}, 'npt'], ['skylake', { format: 'npt' }, 'npt'], ['zen3', { format: 'ept' }, 'ept'],
])('a second stage on %s with %j is %s, and rules of entries are those of its maker', (cpu, stage, format) => {
  const { p } = buildKernel({ cpu: presets[cpu], stage, memory: '8M' }).kernel;
  expect(p.cpu.guest.format).toBe(format);
  expect((p.s.w[(p.cpu.block + VCPU_FEATURES) >>> 2] & FEAT_AMD) !== 0).toBe(format === 'npt');
});
