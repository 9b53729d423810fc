import { describe, expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import { checkCpuModel } from '../../src/cost/preset-check.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen4 } from '../../src/cost/presets/zen4.ts';
import { ConfigError } from '../../src/errors.ts';

type Step = string | number;
type Box = Record<Step, unknown>;

const copy = (data: unknown): Box => structuredClone(data) as Box;

function fieldName(path: Step[]): string {
  return path.map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
}

function boxAt(data: Box, path: Step[]): Box {
  return path.reduce<Box>((box, step) => box[step] as Box, data);
}

/** `cpu.tlb[0].hitCycles` -> its steps below `cpu`. */
function steps(field: string): Step[] {
  return [...field.matchAll(/\.(\w+)|\[(\d+)\]/g)].map(m => m[1] ?? Number(m[2]));
}

/** Skylake with one field replaced. */
function broken(field: string, value: unknown): Box {
  const data = copy(skylake);
  const path = steps(field);
  boxAt(data, path.slice(0, -1))[path.at(-1)!] = value;
  return data;
}

function complaint(data: unknown, at?: string): ConfigError {
  try {
    checkCpuModel(data, at);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('no complaint');
}

/** Paths to every field and list item below `data`, leaves and boxes. */
function paths(data: unknown, at: Step[] = []): Step[][] {
  if (typeof data !== 'object' || data === null) return [];
  const keys: Step[] = Array.isArray(data) ? [...data.keys()] : Object.keys(data);
  return keys.flatMap(key => [[...at, key], ...paths((data as Box)[key], [...at, key])]);
}

describe('a preset with a hole', () => {
  it.each(Object.entries(presets))('%s: every field is missed', (_, model) => {
    let holes = 0;
    for (const path of paths(model)) {
      if ((path[0] === 'psc' && path.length === 2) || path.at(-1) === 'fractures' || path.join() === 'switches') continue; // optional: nothing is there then
      const data = copy(model);
      delete boxAt(data, path.slice(0, -1))[path.at(-1)!];
      const error = complaint(data);
      expect(error.field).toBe(`cpu${fieldName(path)}`);
      expect(error.message).toContain('got nothing');
      holes++;
    }
    expect(holes).toBeGreaterThan(150);
  });

  it('may lack a paging-structure cache', () => {
    const data = copy(zen4);
    (data.psc as Box).pml5e = undefined;
    delete (data.psc as Box).pde;
    expect(Object.keys(checkCpuModel(data).psc)).toEqual(['pdpte', 'pml4e']);
  });
});

const ring: unknown[] = [];
ring.push(ring);

// Any value of another type in any field.
it.each([
  ['null', null],
  ['a BigInt', 1n],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['a symbol', Symbol('x')],
  ['a function', () => 4],
  ['a list with a BigInt', [1n]],
  ['an object with a BigInt', { value: 1n }],
  ['a list within itself', ring],
  ['a date', new Date(0)],
  ['a map', new Map()],
])('%s is wrong everywhere', (_, value) => {
  for (const path of paths(skylake)) {
    const data = copy(skylake);
    boxAt(data, path.slice(0, -1))[path.at(-1)!] = value;
    expect(complaint(data).field.startsWith(`cpu${fieldName(path)}`), fieldName(path)).toBe(true);
  }
});

const WAYS = 'cpu.tlb[1].structures[0].ways';

// field broken, its value, field complained about if another, part of the message
const BROKEN: [field: string, value: unknown, message: string, complained?: string][] = [
  [WAYS, 0, 'an integer from 1 to 512, got 0'],
  [WAYS, 513, 'an integer from 1 to 512, got 513'],
  [WAYS, 1.5, 'an integer from 1 to 512, got 1.5'],
  [WAYS, '12', 'an integer from 1 to 512, got "12"'],
  [WAYS, -4, 'got -4'],
  [WAYS, [12], 'an object, got "a list"'],
  [`${WAYS}.value`, 0, 'an integer from 1 to 512, got 0'],
  [`${WAYS}.value`, '12', 'got "12"'],
  [`${WAYS}.from`, 'guess', 'one of vendor, measured, estimate, got "guess"'],
  ['cpu.walkCycles', { value: 9, from: 'estimate', source: 'x', estimated: 10 }, 'a number from 0 to 9, where from is estimate, got 10', 'cpu.walkCycles.estimated'],
  ['cpu.walkCycles', { value: 9, from: 'vendor', source: 'x', estimated: 1 }, 'a number from 0 to 9, where from is estimate, got 1', 'cpu.walkCycles.estimated'],
  [`${WAYS}.source`, '', 'a text'],
  [`${WAYS}.source`, '   ', 'a text'],
  [`${WAYS}.source`, 'x'.repeat(1001), 'a text'],
  ['cpu.tlb[1].structures[0].sets', 0, 'an integer from 1 to 1048576'],
  ['cpu.tlb[1].structures[0].sets', 2 ** 20 + 1, 'an integer from 1 to 1048576'],
  ['cpu.tlb[1].structures[0].replacement', 'LRU', 'one of lru, tree-plru, nru, random, got "LRU"'],
  ['cpu.tlb[1].structures[0].holds', [], 'a list of 1 to 3, got "a list of 0"'],
  ['cpu.tlb[1].structures[0].holds', '4k', 'a list of 1 to 3, got "4k"'],
  ['cpu.tlb[1].structures[0].holds', ['4k', '4K'], 'one of 4k, 2m, 1g', 'cpu.tlb[1].structures[0].holds[1]'],
  ['cpu.tlb[1].structures[0].holds', ['4k', '4k'], 'each word once', 'cpu.tlb[1].structures[0].holds[1]'],
  ['cpu.tlb[1].structures[0].serves', [], 'a list of 1 to 3'],
  ['cpu.tlb[1].structures[0].serves', ['execute'], 'one of load, store, fetch', 'cpu.tlb[1].structures[0].serves[0]'],
  ['cpu.tlb[1].structures[0].name', 'L2 TLB', 'a name'],
  ['cpu.tlb[1].structures[0].name', 'dtlb-4k', 'other than that of cpu.tlb[0].structures[0].name, got "dtlb-4k"'],
  ['cpu.caches.levels[1].name', 'stlb', 'other than that of cpu.tlb[1].structures[0].name'],
  ['cpu.tlb[1].structures[1].holds', ['2m', '1g'], 'stlb holds 2m'],
  ['cpu.tlb', [], 'a list of 1 to 3, got "a list of 0"'],
  ['cpu.tlb', Array(4).fill(skylake.tlb[0]), 'a list of 1 to 3, got "a list of 4"'],
  ['cpu.tlb[0].structures', skylake.tlb[0]!.structures.slice(0, 3), 'a structure that holds 4k and serves fetch'],
  ['cpu.tlb[0].structures[0].serves', ['load'], 'holds 4k and serves store', 'cpu.tlb[0].structures'],
  ['cpu.tlb[0].structures[0].holds', ['4k', '2m'], 'dtlb-4k holds 2m', 'cpu.tlb[0].structures[1].holds'],
  ['cpu.tlb[0].hitCycles', -1, 'an integer from 0 to 100000'],
  ['cpu.tlb[0].hitCycles', 100_001, 'an integer from 0 to 100000'],
  ['cpu.walkCycles.value', Infinity, 'an integer from 0 to 100000, got Infinity'],
  ['cpu.walkers', 0, 'an integer from 1 to 64'],
  ['cpu.clockGHz', 0, 'a number of GHz'],
  ['cpu.name', 'Sky Lake', 'a name'],
  ['cpu.title', '', 'a text'],
  ['cpu.vendor', 'via', 'one of intel, amd, got "via"'],
  ['cpu.physicalAddressBits', 31, 'an integer from 32 to 52'],
  ['cpu.physicalAddressBits', 53, 'an integer from 32 to 52'],
  ['cpu.pages1g', 1, 'true or false, got 1'],
  ['cpu.la57', 'false', 'true or false, got "false"'],
  ['cpu.psc', [], 'an object'],
  ['cpu.psc.pde.ways', 0, 'an integer from 1 to 512'],
  ['cpu.caches.lineBytes', 48, 'a power of two from 16 to 256'],
  ['cpu.caches.lineBytes', 8, 'a power of two from 16 to 256'],
  ['cpu.caches.lineBytes', 512, 'a power of two from 16 to 256'],
  ['cpu.caches.levels', Array(4).fill(skylake.caches.levels[0]), 'a list of 0 to 3'],
  ['cpu.caches.levels[2].cycles', NaN, 'an integer from 0 to 100000, got NaN'],
  // Unknown fields.
  ['cpu.tlb[1].structures[0].wais', 12, 'a known field (the nearest is ways)'],
  [`${WAYS}.form`, 'vendor', 'the nearest is from'],
  ['cpu.psc.pml4', {}, 'the nearest is pml4e'],
  ['cpu.tbl', [], 'the nearest is tlb'],
  ['cpu.caches.levels[0].hitCycles', 4, 'the nearest is cycles'],
];

it.each(BROKEN)('%s = %j: %s', (field, value, message, complained = field) => {
  const error = complaint(broken(field, value));
  expect(error.field).toBe(complained);
  expect(error.message).toContain(`${complained}: expected `);
  expect(error.message).toContain(message);
});

it.each([undefined, null, 4, 'skylake', [], 1n, () => skylake, new Date(0)])('%s is no model', data => {
  expect(complaint(data, 'my.json').field).toBe('my.json');
});

it('calls the data what the caller calls it', () => {
  expect(complaint(broken('cpu.walkers', 0), 'my.json').message).toMatch(/^my\.json\.walkers: /);
});

it('tells a misspelt field before the field that it leaves missing', () => {
  const data = broken('cpu.walkerz', 2);
  delete data.walkers;
  expect(complaint(data).field).toBe('cpu.walkerz');
});

it('bounds the state of all arrays together', () => {
  const data = broken('cpu.caches.levels[2].sets', 2 ** 20 - 4096);
  expect(checkCpuModel(data).name).toBe('skylake');
  const error = complaint(broken('cpu.caches.levels[2].sets', 2 ** 20));
  expect(error.field).toBe('cpu');
  expect(error.message).toContain('at most 16777216 entries');
});

describe('nothing but own, plain values', () => {
  it('takes __proto__ from JSON for an unknown field', () => {
    const text = JSON.stringify(skylake).replace('{"sets"', '{"__proto__":{"ways":4},"sets"');
    expect(complaint(JSON.parse(text)).field).toMatch(/\.__proto__$/);
  });

  it('inherits no field', () => {
    expect(complaint(Object.create(skylake)).field).toBe('cpu');
    expect(complaint(broken('cpu.caches', Object.create(skylake.caches))).field).toBe('cpu.caches');
  });

  it('accepts an object without prototype', () => {
    expect(checkCpuModel(Object.assign(Object.create(null), skylake))).toEqual(skylake);
  });

  it('runs no getter', () => {
    let runs = 0;
    const get = (): number => ++runs;
    const data = copy(skylake);
    Object.defineProperty(data, 'walkers', { get, enumerable: true });
    expect(complaint(data).message).toBe('cpu.walkers: expected a value, got "a getter or setter"');
    expect(runs).toBe(0);
  });

  it('refuses symbols', () => expect(complaint({ ...skylake, [Symbol('x')]: 1 }).field).toBe('cpu.Symbol(x)'));

  it('keeps nothing of the data', () => {
    const data = copy(skylake);
    const model = checkCpuModel(data);
    (data.caches as Box).lineBytes = 1;
    ((data.tlb as Box)[0] as Box).structures = [];
    expect(model).toEqual(skylake);
  });
});

it('accepts plain numbers, any number of ways and no caches', () => {
  const data = broken('cpu.caches.levels', []);
  boxAt(data, steps('cpu.tlb[1].structures[0]')).ways = 512;
  boxAt(data, steps('cpu.tlb[1].structures[0]')).replacement = 'tree-plru';
  data.walkCycles = 1;
  const model = checkCpuModel(data);
  expect(figure(model.tlb[1]!.structures[0]!.ways)).toBe(512);
  expect(model.walkCycles).toBe(1);
});
