import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { attach } from '../../src/accel/engine.ts';
import * as fault from '../../src/arch/fault.ts';
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { Machine } from '../../src/machine/machine.ts';
import { GEOMETRIES, modelOf } from '../mmu/tlb-geometries.ts';
import { calls, Duel, type DuelOptions } from './engine-duel.ts';
import { flat, four } from './models.ts';

const host = { title: 'a host', entryCycles: 7, lastCachePercent: 40 };
const two = { distances: [[10, 21], [23, 10]] };
const random = (cpu: CpuModel): CpuModel => ({ ...cpu, caches: { ...cpu.caches, levels: cpu.caches.levels.map(c => ({ ...c, sets: 3, ways: 5 })) } });

const twelve: CpuModel = { // a first level of 12 ways: its tree lacks leaves
  ...four,
  tlb: four.tlb.map((level, l) => (l > 0 ? level : { ...level, structures: level.structures.map(t => (t.holds.includes('4k') ? { ...t, sets: 4, ways: 12 } : t)) })),
};

const calm = { pages: 60, unrest: 0.01 }, busy = { pages: 300, unrest: 0.15 };
const SCENES: Record<string, DuelOptions> = {
  'skylake': { cpu: presets.skylake, ...calm },
  'skylake, restless': { cpu: presets.skylake, ...busy },
  'skylake, 4K pages': { cpu: presets.skylake, small: true, ...calm },
  'skylake, 4K pages, restless': { cpu: presets.skylake, small: true, ...busy },
  'skylake, 4K pages, many': { cpu: presets.skylake, small: true, pages: 4000, unrest: 0.003 },
  'narrow paging-structure caches, 4K pages, many': { cpu: four, small: true, pages: 4000, unrest: 0.002 },
  'narrow paging-structure caches, 4K pages, two vCPUs': { cpu: four, small: true, vcpus: 2, pages: 300, unrest: 0.01 },
  'no caches, 4K pages, many': { cpu: flat, small: true, pages: 4000, unrest: 0.002 },
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

/** Exports by the beginning of their names, and the test that holds them to the TypeScript engine. */
const HELD_ELSEWHERE = ['test/wasm/array.test.ts', 'test/frames/duel.ts', 'test/trace/pwt-twin.test.ts', 'src/trace/page-counts.ts', 'test/wasm/touches.test.ts'];

function duel(options: DuelOptions, seed: number, operations: number): Duel {
  const d = new Duel(options, seed);
  for (let part = 0; part < 8; part++) {
    d.run(operations / 8);
    expect(d.differences(), `part ${part}`).toEqual([]);
  }
  expect(d.wasm.heard).toEqual(d.ts.heard);
  return d;
}

describe('both engines return the same codes and leave byte-identical state', () => {
  it.each(Object.entries(SCENES))('%s', (name, options) => {
    const d = duel(options, name.length * 7919 + options.pages, 40_000);
    expect(d.outcomes.get(fault.FAULT_NONE)).toBeGreaterThan(1000);
    if (options.paging !== 'none') expect(d.outcomes.size).toBeGreaterThan(5);
  });

  const shapes = GEOMETRIES.flatMap((g, k) => (['lru', 'tree-plru', 'nru', 'random'] as const).map(policy => [g.name, policy, g, k] as const));
  it.each(shapes)('%s, %s', (_, policy, g, k) => {
    const paging = g.levels === 5 ? '5-level' : '4-level';
    duel({ cpu: modelOf(g, policy), hostPage: g.hostPage, paging, pages: g.addresses, unrest: k % 2 ? 0.1 : 0.02 }, 100 + k, 24_000);
  });
});

it('called every function that the wasm exports, a million times in all', () => {
  const exported = WebAssembly.Module.exports(new WebAssembly.Module(readFileSync('wasm/pagewalk.wasm'))).map(e => e.name).sort();
  const elsewhere = exported.filter(name => HELD_ELSEWHERE.some(file => readFileSync(file, 'utf8').includes(`.${name}(`)));
  expect(exported.filter(name => !calls[name]).filter(name => !elsewhere.includes(name))).toEqual([]);
  expect(Object.values(calls).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(1_000_000);
});

describe('attaching', () => {
  it('needs shared memory', () => expect(attach(Machine.create({ buffer: 'plain' }).views)).toBeUndefined());

  it('needs the layout that the module was compiled for', () => {
    const { views } = Machine.create();
    views.w[1]++;
    expect(attach(views)).toBeUndefined();
  });

  it('takes a compiled module, too', () => {
    const module = new WebAssembly.Module(readFileSync('wasm/pagewalk.wasm'));
    expect(attach(Machine.create().views, module)?.layoutVersion()).toBeGreaterThan(0);
  });
});

it('has the numbers of arch/fault.ts', () => {
  const value: Record<string, number> = {};
  for (const [, name, text] of readFileSync('wasm/fault.ts', 'utf8').matchAll(/^export const (\w+) = (.*);$/gm)) {
    value[name!] = text!.split(' | ').reduce((bits, term) => {
      const [x, shift = '0'] = term.split(' << ');
      return bits | ((value[x!] ?? Number(x)) << Number(shift));
    }, 0);
  }
  expect(Object.keys(value).length).toBeGreaterThan(15);
  expect(fault).toMatchObject(value);
});
