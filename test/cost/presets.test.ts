import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import type { CpuModel, PageSize, Service } from '../../src/cost/cpu-model.ts';
import { checkCpuModel } from '../../src/cost/preset-check.ts';
import { findPreset, presets } from '../../src/cost/presets/all.ts';
import { SWITCH_NAMES } from '../../src/cost/switches.ts';
import { ConfigError } from '../../src/errors.ts';

it('finds one preset for each file, under the name of the file', () => {
  const files = readdirSync('src/cost/presets').map(file => file.replace('.ts', ''));
  expect(Object.keys(presets).sort()).toEqual(files.filter(file => file !== 'all' && file !== 'sourced').sort());
  for (const model of Object.values(presets)) expect(findPreset(model.name)).toBe(model);
});

it.each(['', 'Skylake', 'skylakes', '__proto__', 'toString'])('finds no preset %j and lists those there are', name => {
  expect(() => findPreset(name)).toThrow(ConfigError);
  for (const known of Object.keys(presets)) expect(() => findPreset(name)).toThrow(known);
});

it.each(Object.entries(presets))('%s passes the check unchanged', (_, model) => {
  expect(checkCpuModel(model)).toEqual(model);
  expect(checkCpuModel(JSON.parse(JSON.stringify(model)))).toEqual(model);
});

/** Every number under `data` with its path; the numbers of a preset must all be the `value` of a sourced figure. */
function numbers(data: unknown, at: string, owner: object | undefined, found: [string, object | undefined][]): void {
  if (typeof data === 'number') found.push([at, owner]);
  if (typeof data !== 'object' || data === null) return;
  for (const [key, value] of Object.entries(data)) numbers(value, `${at}.${key}`, data, found);
}

it.each(Object.entries(presets))('%s says where every figure is from', (name, model) => {
  const found: [string, object | undefined][] = [];
  numbers(model, name, undefined, found);
  const structures = model.tlb.flatMap(level => level.structures).length;
  const geometries = structures + Object.keys(model.psc).length + model.caches.levels.length;
  expect(found.length).toBe(7 + SWITCH_NAMES.length + model.tlb.length + 2 * geometries + model.caches.levels.length);
  for (const [at, owner] of found) {
    expect(at).toMatch(/\.value$/);
    const sourced = owner as { from?: unknown; source?: unknown };
    expect(['vendor', 'measured', 'estimate'], at).toContain(sourced.from);
    expect(String(sourced.source ?? '').length, at).toBeGreaterThanOrEqual(10);
    expect(String(sourced.source), at).not.toMatch(/from memory|not looked up|not read by us|not verified/i);
  }
});

/** Entries, sets * ways, that a level has for `size` and `service`; 0 if it holds none. */
function entries(model: CpuModel, level: number, size: PageSize, service: Service): number {
  const holding = model.tlb[level]?.structures.filter(s => s.holds.includes(size) && s.serves.includes(service)) ?? [];
  expect(holding.length).toBeLessThanOrEqual(1);
  return holding.reduce((sum, s) => sum + figure(s.sets) * figure(s.ways), 0);
}

// Entries for 4k, 2m and 1g pages, from section 1 of ../shared/hardware/tlb-params.md and the CPUID leaves cited.
const TLB: [name: string, level: number, service: Service, expected: number[]][] = [
  ['nehalem-e5520', 0, 'load', [64, 32, 0]],
  ['nehalem-e5520', 0, 'fetch', [128, 7, 0]],
  ['nehalem-e5520', 1, 'load', [512, 0, 0]],
  ['nehalem-e5520', 1, 'fetch', [512, 0, 0]],
  ['haswell', 0, 'store', [64, 32, 4]],
  ['haswell', 0, 'fetch', [128, 8, 0]],
  ['haswell', 1, 'load', [1024, 1024, 0]],
  ['skylake', 0, 'load', [64, 32, 4]],
  ['skylake', 0, 'fetch', [128, 8, 0]],
  ['skylake', 1, 'fetch', [1536, 1536, 16]],
  ['icelake', 0, 'load', [64, 32, 8]],
  ['icelake', 0, 'store', [16, 16, 16]],
  ['icelake', 0, 'fetch', [128, 16, 0]],
  ['icelake', 1, 'load', [2048, 1024, 1024]],
  ['goldencove', 0, 'load', [96, 32, 8]],
  ['goldencove', 0, 'store', [16, 16, 16]],
  ['goldencove', 0, 'fetch', [256, 32, 0]],
  ['goldencove', 1, 'store', [2048, 1024, 1024]],
  ['zen2', 0, 'load', [64, 64, 64]],
  ['zen2', 1, 'load', [2048, 2048, 0]],
  ['zen2', 1, 'fetch', [512, 512, 0]],
  ['zen3', 0, 'load', [64, 64, 64]],
  ['zen3', 0, 'fetch', [64, 64, 64]],
  ['zen3', 1, 'store', [2048, 2048, 64]],
  ['zen3', 1, 'fetch', [512, 512, 0]],
  ['zen4', 0, 'load', [72, 72, 72]],
  ['zen4', 0, 'fetch', [64, 64, 64]],
  ['zen4', 1, 'load', [3072, 3072, 64]],
];

it.each(TLB)('%s, level %i, %s: entries %j', (name, level, service, expected) => {
  const model = findPreset(name);
  expect((['4k', '2m', '1g'] as const).map(size => entries(model, level, size, service))).toEqual(expected);
});

// Capacity in KiB and whole latency of each cache level, then physical bits, 1g pages, 5-level paging.
const REST: [name: string, kib: number[], cycles: number[], bits: number, pages1g: boolean, la57: boolean][] = [
  ['nehalem-e5520', [32, 256, 8192], [4, 10, 40], 40, false, false],
  ['haswell', [32, 256, 8192], [4, 12, 36], 39, true, false],
  ['skylake', [32, 256, 8192], [4, 12, 44], 39, true, false],
  ['icelake', [48, 1280, 43008], [5, 14, 70], 46, true, true],
  ['goldencove', [48, 1280, 30720], [5, 15, 64], 46, true, false],
  ['zen2', [32, 512, 16384], [4, 12, 45], 48, true, false],
  ['zen3', [32, 512, 32768], [4, 13, 50], 48, true, false],
  ['zen4', [32, 1024, 32768], [4, 14, 54], 52, true, true],
];

describe('caches and address sizes', () => {
  it('has a row for each preset', () => expect(REST.map(row => row[0]).sort()).toEqual(Object.keys(presets).sort()));

  it.each(REST)('%s', (name, kib, cycles, bits, pages1g, la57) => {
    const { caches, physicalAddressBits, ...model } = findPreset(name);
    const line = figure(caches.lineBytes);
    expect(caches.levels.map(c => (figure(c.sets) * figure(c.ways) * line) / 1024)).toEqual(kib);
    expect(caches.levels.map(c => figure(c.cycles))).toEqual(cycles);
    expect(figure(caches.memoryCycles)).toBeGreaterThan(cycles[2]!);
    expect([figure(physicalAddressBits), model.pages1g, model.la57]).toEqual([bits, pages1g, la57]);
    expect(model.psc.pml5e !== undefined).toBe(la57);
  });
});
