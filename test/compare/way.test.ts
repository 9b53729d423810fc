import { expect, it } from 'vitest';
import { buildOf, WAYS } from '../../src/compare/way.ts';
import { presets } from '../../src/cost/presets/all.ts';

const { 'nehalem-e5520': intel, zen3: amd } = presets;

it('a way builds what it says: the second stage of the processor\'s maker, and pages of the size that is asked for in guest and host', () => {
  expect(Object.fromEntries(WAYS.map(way => [way, buildOf(way, amd, '4k')]))).toEqual({
    native: { cpu: amd, pages: '4k' }, direct: { ops: 'xen', cpu: amd, pages: '4k' },
    shadow: { shadow: { hostPages: '4k' }, cpu: amd, pages: '4k' }, nested: { stage: { format: 'npt', hostPages: '4k' }, cpu: amd, pages: '4k' },
  });
  expect(buildOf('nested', intel, '2m')).toEqual({ stage: { format: 'ept', hostPages: '2m' }, cpu: intel, pages: 'thp' });
  expect(buildOf('shadow', intel, '2m')).toEqual({ shadow: { hostPages: '2m' }, cpu: intel, pages: 'thp' });
});
