import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { nestedDefault } from '../../src/cost/nested-model.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { Machine } from '../../src/machine/machine.ts';
import { configure, parseBytes, type MachineOptions } from '../../src/machine/options.ts';

const HANDLER = { read: () => 0n, write: () => undefined };
const ram = { base: 0, bytes: '1M' };
const EMPTY_MODULE = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
const hole = { base: 0, bytes: 4096, kind: 'mmio' };

/** A row: the field that the message names, and options that are wrong there. */
const BAD: readonly [field: string, ...options: unknown[]][] = [
  ['options', null, 5, 'x'],
  ['memroy', { memroy: '64M' }],
  ['memory', { memory: 0 }, { memory: 4095 }, { memory: -4096 }, { memory: '1.5M' }, { memory: '64X' }, { memory: '' }, { memory: NaN }, { memory: {} },
    { memory: 1n }, { memory: true }, { memory: '8P' }, { memory: '9999999999999999999' }, { memory: 2 ** 53 }, { memory: '4G', mode: 'functional' },
    { memory: '1M', extents: [ram] }, { memory: '8G', physicalAddressBits: 32 }],
  ['extents', { extents: [] }, { extents: 'x' }, { extents: {} }],
  ['extents[0]', { extents: [null] }, { extents: [5] }, { extents: ['1M'] }, { extents: [{ base: '4G', bytes: 4096 }], physicalAddressBits: 32 },
    { extents: [{ base: 2 ** 39, bytes: 4096 }] }],
  ['extents[1]', { extents: [ram, undefined] }],
  ['extents[0].base', { extents: [{ ...ram, base: 1 }] }, { extents: [{ ...ram, base: -4096 }] }, { extents: [{ bytes: 4096 }] }, { extents: [{ ...ram, base: '1Z' }] },
    { extents: [{ ...ram, base: 0.5 }] }],
  ['extents[1].base', { extents: [ram, { ...ram, base: '1020K' }] }],
  ['extents[0].bytes', { extents: [{ base: 0 }] }, { extents: [{ base: 0, bytes: 0 }] }, { extents: [{ base: 0, bytes: 100 }] }, { extents: [{ base: 0, bytes: null }] }],
  ['extents[0].kind', { extents: [{ ...ram, kind: 'rom' }] }, { extents: [{ ...ram, kind: 7 }] }],
  ['extents[0].node', { extents: [{ ...ram, node: 1 }] }, { extents: [{ ...ram, node: -1 }] }, { extents: [{ ...ram, node: 0.5 }] }],
  ['extents[0].handler', { extents: [hole] }, { extents: [{ ...hole, handler: null }] }, { extents: [{ ...hole, handler: {} }] },
    { extents: [{ ...hole, handler: { read: HANDLER.read } }] }],
  ['extents[0].size', { extents: [{ ...ram, size: 5 }] }],
  ['cpu', { cpu: null }, { cpu: 'skylake' }, { cpu: 5 }],
  ['cpu.name', { cpu: { ...skylake, name: '' } }],
  ['mode', { mode: 'fast' }, { mode: 1 }],
  ['paging', { paging: '3-level' }, { paging: 4 }],
  ['vcpus', { vcpus: 0 }, { vcpus: 65 }, { vcpus: 1.5 }, { vcpus: '2' }, { vcpus: NaN }],
  ['vcpuNodes', { vcpuNodes: 0 }, { vcpuNodes: 'ab' }, { vcpuNodes: [0, 0] }, { vcpuNodes: { 0: 0 } }],
  ['vcpuNodes[0]', { vcpuNodes: [1] }, { vcpuNodes: ['0'] }, { vcpuNodes: [-1] }],
  ['vcpuNodes[1]', { vcpus: 2, vcpuNodes: [0, 1] }],
  ['features', { features: 5 }, { features: 'nx' }, { features: [] }, { features: true }],
  ['features.nx2', { features: { nx2: true } }],
  ['features.toString', { features: { toString: true } }],
  ['features.nx', { features: { nx: 1 } }, { features: { nx: 'yes' } }, { features: { nx: undefined } }],
  ['physicalAddressBits', { physicalAddressBits: 31 }, { physicalAddressBits: 53 }, { physicalAddressBits: 40.5 }, { physicalAddressBits: '40' }],
  ['hostPage', { hostPage: '4m' }, { hostPage: 4096 }, { hostPage: '2m', host: { title: 'x', entryCycles: 5, lastCachePercent: 9 } }],
  ['host', { host: 5 }, { host: null }],
  ['nested', { nested: 5 }, { nested: null }, { nested: true, host: { title: 'x', entryCycles: 5, lastCachePercent: 9 } }],
  ['nested.tlb[0].holds', { nested: { tlb: [{ name: 'x', sets: 1, ways: 4, replacement: 'lru', holds: [] }], hitCycles: 1, psc: {} } }],
  ['nested.tlb[1].holds', { nested: { ...nestedDefault, tlb: [...nestedDefault.tlb, { name: 'b', sets: 1, ways: 4, replacement: 'lru', holds: ['2m'] }] } }],
  ['nested.tlb[0].name', { nested: { ...nestedDefault, tlb: [{ ...nestedDefault.tlb[0]!, name: 'No Name' }] } }],
  ['nested.hitCycles', { nested: { ...nestedDefault, hitCycles: -1 } }, { nested: { ...nestedDefault, hitCycles: undefined } }],
  ['nested.psc.pde.ways', { nested: { ...nestedDefault, psc: { pde: { sets: 1, ways: 0, replacement: 'lru' } } } }],
  ['nested.size', { nested: { ...nestedDefault, size: 5 } }],
  ['nested', { nested: { ...nestedDefault, psc: { pde: { sets: 1 << 20, ways: 512, replacement: 'lru' } } } }],
  ['host.entryCycles', { host: {} }, { host: { entryCycles: -1, lastCachePercent: 9 } }],
  ['host.lastCachePercent', { host: { title: 'x', entryCycles: 5 } }, { host: { title: 'x', entryCycles: 5, lastCachePercent: 0 } }],
  ['dataAccesses', { dataAccesses: 1 }, { dataAccesses: 'yes' }],
  ['distances', { distances: [] }, { distances: 10 }, { distances: Array.from({ length: 9 }, () => Array(9).fill(10)) }],
  ['distances[0]', { distances: [[10, 20]] }, { distances: [10] }],
  ['distances[1]', { distances: [[10, 20], [20]] }],
  ['distances[0][0]', { distances: [[11]] }, { distances: [[9]] }],
  ['distances[0][1]', { distances: [[10, 9], [20, 10]] }, { distances: [[10, 255], [20, 10]] }, { distances: [[10, '20'], [20, 10]] }, { distances: [Object.assign([10], { length: 2 }), [20, 10]] }],
  ['openBus', { openBus: 256 }, { openBus: -1 }, { openBus: 0.5 }, { openBus: '0xff' }],
  ['buffer', { buffer: 'wasm' }, { buffer: true }],
  ['engine', { engine: 'js' }, { engine: true }, { engine: 'wasm', buffer: 'plain' }],
  ['wasm', { wasm: new Uint8Array(8) }, { engine: 'auto', wasm: EMPTY_MODULE }, { engine: 'wasm', wasm: EMPTY_MODULE }],
];

describe.each(BAD)('%s', (field, ...wrong) => {
  it.each(wrong.map(o => [o]))('is named as wrong in %o', options => {
    let caught: unknown;
    try {
      Machine.create(options as MachineOptions);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConfigError);
    expect((caught as ConfigError).field).toBe(field);
    expect((caught as Error).message).toMatch(/: expected .+, got /);
  });
});

it('has a row of mistakes for every option', () => {
  let known: string[] = []; // as the message about an unknown one lists them
  try {
    configure({ other: 1 } as MachineOptions);
  } catch (error) {
    known = /\((.+)\)/.exec((error as Error).message)![1]!.split(', ');
  }
  const tried = new Set(BAD.map(([field]) => field.split(/[.[]/)[0]));
  expect(known.filter(name => !tried.has(name))).toEqual([]);
  expect(known).toHaveLength(18);
});

it.each([
  ['5-level', 'la57'], ['5-level', 'pae'], ['4-level', 'long'], ['pae', 'pae'],
] as const)('refuses %s paging without %s', (paging, feature) => {
  expect(() => Machine.create({ memory: '64K', mode: 'functional', paging, features: { [feature]: false } })).toThrow(new RegExp(`features: expected what ${paging} paging needs`));
});

it('refuses what does not fit where tables must be', () => {
  expect(() => Machine.create({ extents: [{ base: '4G', bytes: '1M' }], paging: 'pae' })).toThrow(/memory: expected RAM below 4 GiB/);
  expect(() => Machine.create({ extents: [{ base: 0, bytes: '1M', kind: 'unbacked' }] })).toThrow(/paging structures/);
  expect(() => Machine.create({ memory: '5G', mode: 'functional' })).toThrow(/at most 4 GiB of backed memory/);
});

it('takes every default for undefined', () => {
  const { paging, plan, extents, cpu } = configure({});
  expect({ paging, cpu: cpu.name, vcpus: plan.vcpus, timed: plan.timed, data: plan.data, openBus: plan.openBus, hostLevel: plan.hostLevel, buffer: plan.buffer, paBits: plan.paBits })
    .toEqual({ paging: '4-level', cpu: 'skylake', vcpus: 1, timed: true, data: false, openBus: -1, hostLevel: 3, buffer: 'auto', paBits: 39 });
  expect(extents).toEqual([{ base: 0, frames: 16384, kind: 'ram', node: 0, handler: undefined }]);
});

it.each<[unknown, number]>([
  [65536, 65536], ['4096', 4096], ['64K', 65536], ['64k', 65536], ['1M', 2 ** 20], ['1MB', 2 ** 20], ['1MiB', 2 ** 20], [' 2 G ', 2 ** 31], ['4T', 2 ** 42], [0, 0],
])('reads %o as %i bytes', (text, bytes) => {
  expect(parseBytes(text, 'x')).toBe(bytes);
});
