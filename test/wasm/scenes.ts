/** Machines and moods in which both engines are held to each other. */
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import type { DuelOptions } from './engine-duel.ts';
import { flat, four } from './models.ts';

const host = { title: 'a host', entryCycles: 7, lastCachePercent: 40 };
const two = { distances: [[10, 21], [23, 10]] };
const random = (cpu: CpuModel): CpuModel => ({ ...cpu, caches: { ...cpu.caches, levels: cpu.caches.levels.map(c => ({ ...c, sets: 3, ways: 5 })) } });

const twelve: CpuModel = { // a first level of 12 ways: its tree lacks leaves
  ...four,
  tlb: four.tlb.map((level, l) => (l > 0 ? level : { ...level, structures: level.structures.map(t => (t.holds.includes('4k') ? { ...t, sets: 4, ways: 12 } : t)) })),
};

const calm = { pages: 60, unrest: 0.01 }, busy = { pages: 300, unrest: 0.15 };
export const SCENES: Record<string, DuelOptions> = {
  'skylake': { cpu: presets.skylake, ...calm },
  'skylake, restless': { cpu: presets.skylake, ...busy },
  'skylake, 4K pages': { cpu: presets.skylake, small: true, ...calm },
  'skylake, 4K pages, restless': { cpu: presets.skylake, small: true, ...busy },
  'skylake, 4K pages, many': { cpu: presets.skylake, small: true, pages: 4000, unrest: 0.003 },
  'narrow paging-structure caches, 4K pages, many': { cpu: four, small: true, pages: 4000, unrest: 0.002 },
  'narrow paging-structure caches, 4K pages, two vCPUs': { cpu: four, small: true, vcpus: 2, pages: 300, unrest: 0.01 },
  'no caches, 4K pages, many': { cpu: flat, small: true, pages: 4000, unrest: 0.002 },
  'attached twice': { cpu: presets.skylake, twice: true, vcpus: 2, ...busy },
  'attached twice, no caches, 4K pages, many': { cpu: flat, small: true, twice: true, streams: 0.02, pages: 4000, unrest: 0.002 },
  'attached twice, no caches, 4K pages, two vCPUs': { cpu: flat, small: true, twice: true, vcpus: 2, streams: 0.02, pages: 1500, unrest: 0.01 },
  'attached twice, functional': { mode: 'functional', twice: true, ...busy },
  'no caches, 4K pages, a device that throws': { cpu: flat, small: true, broken: true, pages: 1500, unrest: 0.005 },
  'a device that throws': { cpu: presets.skylake, broken: true, ...busy },
  'functional, a device that throws': { mode: 'functional', broken: true, ...busy },
  'a first level of 12 ways, 4K pages, many': { cpu: twelve, small: true, pages: 4000, unrest: 0.002 },
  'haswell, 4K pages, 5 levels': { cpu: presets.haswell, paging: '5-level', small: true, ...calm },
  'zen 3': { cpu: presets.zen3, ...calm },
  'zen 3, restless, data': { cpu: presets.zen3, dataAccesses: true, ...busy },
  'zen 4, 5 levels': { cpu: presets.zen4, paging: '5-level', ...calm },
  'golden cove, 5 levels, restless, data': { cpu: presets.goldencove, paging: '5-level', dataAccesses: true, ...busy },
  'haswell on 2M host pages': { cpu: presets.haswell, hostPage: '2m', ...calm },
  'skylake on 4K host pages, restless': { cpu: presets.skylake, hostPage: '4k', ...busy },
  'under a host': { cpu: presets.skylake, host, dataAccesses: true, ...calm },
  'under a host with small caches, restless': { cpu: random(presets.zen3), host, ...busy },
  'two nodes': { cpu: presets.skylake, ...two, vcpus: 2, vcpuNodes: [0, 1], ...calm },
  'two nodes, small caches, restless, data': { cpu: random(presets.skylake), ...two, vcpus: 2, vcpuNodes: [0, 1], dataAccesses: true, ...busy },
  'PAE': { paging: 'pae', cpu: presets.zen2, ...calm },
  'PAE, restless, two vCPUs': { paging: 'pae', vcpus: 2, ...busy },
  '32-bit paging': { paging: 'legacy', ...calm },
  '32-bit paging, restless, two vCPUs': { paging: 'legacy', vcpus: 2, dataAccesses: true, ...busy },
  '32-bit paging on 4K host pages': { paging: 'legacy', hostPage: '4k', cpu: presets.icelake, ...calm },
  '32-bit paging without PSE-36': { paging: 'legacy', features: { pse36: false }, ...busy },
  'no 1-GByte pages, AMD rules, 40 bits': { features: { pages1g: false, amd: true }, physicalAddressBits: 40, ...calm },
  'no paging at first': { paging: 'none', ...busy },
  'functional': { mode: 'functional', ...calm },
  'functional, restless': { mode: 'functional', ...busy },
  'functional, 5 levels, two vCPUs': { mode: 'functional', paging: '5-level', vcpus: 2, ...calm },
  'functional PAE': { mode: 'functional', paging: 'pae', ...busy },
  'functional 32-bit paging': { mode: 'functional', paging: 'legacy', ...busy },
};
