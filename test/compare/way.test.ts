import { expect, it } from 'vitest';
import { buildOf, WAYS } from '../../src/compare/way.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { buildKernel } from '../../src/guest/index.ts';

const { 'nehalem-e5520': intel, zen3: amd } = presets;

it('a way builds what it says: the second stage of the processor\'s maker, and pages of the size that is asked for in guest and host', () => {
  expect(Object.fromEntries(WAYS.map(way => [way, buildOf(way, amd, '4k')]))).toEqual({
    native: { cpu: amd, pages: '4k' }, direct: { ops: 'xen', cpu: amd, pages: '4k' },
    shadow: { shadow: { hostPages: '4k' }, cpu: amd, pages: '4k' }, nested: { stage: { hostPages: '4k' }, cpu: amd, pages: '4k' },
  });
  expect(buildOf('nested', intel, '2m')).toEqual({ stage: { hostPages: '2m' }, cpu: intel, pages: 'thp' });
  expect([intel, amd].map(cpu => buildKernel(buildOf('nested', cpu, '4k')).kernel.p.cpu.guest.format)).toEqual(['ept', 'npt']);
  expect(buildOf('shadow', intel, '2m')).toEqual({ shadow: { hostPages: '2m' }, cpu: intel, pages: 'thp' });
});
