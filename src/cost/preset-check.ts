/**
 * Checks a processor given as plain data (a user's JSON, a preset) and returns it as a `CpuModel`.
 *
 * The result is a copy made of the very values that were checked, each read once: later changes to the data, getters
 * and prototypes cannot reach it. Every complaint is a `ConfigError` that names the exact field.
 */
import { ConfigError } from '../errors.ts';
import { figure } from './cpu-model.ts';
import type {
  CacheLevel, CpuModel, Figure, Geometry, PageSize, Replacement, Service, Sourced, TlbLevel, TlbStructure,
} from './cpu-model.ts';
import type { NestedModel, NestedTlb } from './nested-model.ts';
import { SWITCH_NAMES, type Switches } from './switches.ts';

const PAGE_SIZES: readonly PageSize[] = ['4k', '2m', '1g'];
const REPLACEMENTS: readonly Replacement[] = ['lru', 'tree-plru', 'nru', 'random'];
const SERVICES: readonly Service[] = ['load', 'store', 'fetch'];
const STANDINGS: readonly Sourced['from'][] = ['vendor', 'measured', 'estimate'];
const VENDORS: readonly CpuModel['vendor'][] = ['intel', 'amd'];

const GEOMETRY = ['sets', 'ways', 'replacement'];
const PSC = ['pde', 'pdpte', 'pml4e', 'pml5e'] as const;
const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const MAX_SETS = 1 << 20;
const MAX_WAYS = 512;
const MAX_CYCLES = 100_000;
const MAX_STRUCTURES = 16; // of all levels together
const MAX_TEXT = 1000;
/** Entries of all arrays of a model together: the state that its simulation keeps. */
const MAX_ENTRIES = 1 << 24;

/** The fields of one object, each read once, and where the object stands. */
interface Fields {
  readonly at: string;
  readonly values: ReadonlyMap<string, unknown>;
}

/**
 * @param at - what to call the data in messages: `cpu`, or a file's name
 * @returns a copy of `data`, which owes nothing to it
 * @throws ConfigError - a field is missing, unknown, of the wrong type or out of range; the message names it
 */
export function checkCpuModel(data: unknown, at = 'cpu'): CpuModel {
  const f = fieldsOf(data, at, [
    'name', 'title', 'vendor', 'physicalAddressBits', 'clockGHz', 'pages1g', 'la57', 'tlb', 'psc', 'walkCycles',
    'walkers', 'caches',
  ], ['switches']);
  const model: CpuModel = {
    name: nameIn(f, 'name'),
    title: textIn(f, 'title'),
    vendor: wordIn(f, 'vendor', VENDORS),
    physicalAddressBits: integerIn(f, 'physicalAddressBits', 32, 52),
    clockGHz: figureIn(f, 'clockGHz', 'a number of GHz from 0.001 to 100', n => n >= 0.001 && n <= 100),
    pages1g: booleanIn(f, 'pages1g'),
    la57: booleanIn(f, 'la57'),
    tlb: listIn(f, 'tlb', 1, 3, tlbLevel),
    psc: pscOf(f.values.get('psc'), `${at}.psc`),
    walkCycles: cyclesIn(f, 'walkCycles'),
    walkers: integerIn(f, 'walkers', 1, 64),
    caches: cachesOf(f.values.get('caches'), `${at}.caches`),
    ...(f.values.has('switches') ? { switches: switchesOf(f.values.get('switches'), `${at}.switches`) } : {}),
  };
  checkNames(model, at);
  checkFirstLevel(model, at);
  checkState(model, at);
  return model;
}

/** The same for what caches the second stage of translation. */
export function checkNestedModel(data: unknown, at = 'nested'): NestedModel {
  const f = fieldsOf(data, at, ['tlb', 'hitCycles', 'psc']);
  const model: NestedModel = { tlb: listIn(f, 'tlb', 0, PAGE_SIZES.length, nestedTlb), hitCycles: cyclesIn(f, 'hitCycles'), psc: pscOf(f.values.get('psc'), `${at}.psc`) };
  const held = new Set<PageSize>();
  model.tlb.forEach(({ holds }, i) => {
    if (holds.some(size => held.has(size))) throw new ConfigError(`${at}.tlb[${i}].holds`, 'sizes that no other structure holds', holds);
    for (const size of holds) held.add(size);
  });
  checkEntries([...model.tlb, ...pscsOf(model.psc)], at);
  return model;
}

function nestedTlb(data: unknown, at: string): NestedTlb {
  const f = fieldsOf(data, at, ['name', 'holds', ...GEOMETRY]);
  return { name: nameIn(f, 'name'), holds: wordsIn(f, 'holds', PAGE_SIZES), ...geometryIn(f) };
}

function tlbLevel(data: unknown, at: string): TlbLevel {
  const f = fieldsOf(data, at, ['hitCycles', 'structures']);
  const level: TlbLevel = {
    hitCycles: cyclesIn(f, 'hitCycles'),
    structures: listIn(f, 'structures', 1, MAX_STRUCTURES, tlbStructure),
  };
  checkOverlap(level, at);
  return level;
}

function tlbStructure(data: unknown, at: string): TlbStructure {
  const f = fieldsOf(data, at, ['name', 'holds', 'serves', ...GEOMETRY], ['fractures']);
  return {
    name: nameIn(f, 'name'),
    holds: wordsIn(f, 'holds', PAGE_SIZES),
    serves: wordsIn(f, 'serves', SERVICES),
    ...(f.values.has('fractures') ? { fractures: wordsIn(f, 'fractures', PAGE_SIZES) } : {}),
    ...geometryIn(f),
  };
}

function pscOf(data: unknown, at: string): CpuModel['psc'] {
  const f = fieldsOf(data, at, [], PSC);
  const psc: { -readonly [K in (typeof PSC)[number]]?: Geometry } = {};
  for (const key of PSC) {
    if (f.values.has(key)) psc[key] = geometryIn(fieldsOf(f.values.get(key), `${at}.${key}`, GEOMETRY));
  }
  return psc;
}

function cachesOf(data: unknown, at: string): CpuModel['caches'] {
  const f = fieldsOf(data, at, ['lineBytes', 'levels', 'memoryCycles', 'remoteCycles']);
  return {
    lineBytes: figureIn(f, 'lineBytes', 'a power of two from 16 to 256', n => [16, 32, 64, 128, 256].includes(n)),
    levels: listIn(f, 'levels', 0, 3, cacheLevel),
    memoryCycles: cyclesIn(f, 'memoryCycles'),
    remoteCycles: cyclesIn(f, 'remoteCycles'),
  };
}

function switchesOf(data: unknown, at: string): Switches {
  const f = fieldsOf(data, at, SWITCH_NAMES);
  return Object.fromEntries(SWITCH_NAMES.map(name => [name, cyclesIn(f, name)])) as Record<keyof Switches, Figure>;
}

function cacheLevel(data: unknown, at: string): CacheLevel {
  const f = fieldsOf(data, at, ['name', 'cycles', ...GEOMETRY]);
  return { name: nameIn(f, 'name'), cycles: cyclesIn(f, 'cycles'), ...geometryIn(f) };
}

function geometryIn(f: Fields): Geometry {
  return {
    sets: integerIn(f, 'sets', 1, MAX_SETS),
    ways: integerIn(f, 'ways', 1, MAX_WAYS),
    replacement: wordIn(f, 'replacement', REPLACEMENTS),
  };
}

// Rules between fields.

/** No two structures of a level hold the same size for the same service: which one hits would be undecided. */
function checkOverlap(level: TlbLevel, at: string): void {
  const holder = new Map<string, string>();
  level.structures.forEach((s, i) => {
    for (const size of s.holds) {
      for (const service of s.serves) {
        const other = holder.get(`${size} ${service}`);
        if (other !== undefined) {
          const expected = `sizes that no other structure of the level holds for ${service}; ${other} holds ${size}`;
          throw new ConfigError(`${at}.structures[${i}].holds`, expected, s.holds);
        }
        holder.set(`${size} ${service}`, s.name);
      }
    }
  });
}

/** Names head the columns of tables, so TLB structures and caches share one name space. */
function checkNames(model: CpuModel, at: string): void {
  const seen = new Map<string, string>();
  const note = (name: string, field: string): void => {
    const first = seen.get(name);
    if (first !== undefined) throw new ConfigError(field, `a name other than that of ${first}`, name);
    seen.set(name, field);
  };
  model.tlb.forEach((level, l) => {
    level.structures.forEach((s, i) => note(s.name, `${at}.tlb[${l}].structures[${i}].name`));
  });
  model.caches.levels.forEach((level, l) => note(level.name, `${at}.caches.levels[${l}].name`));
}

/** Every access must have a first-level structure that a 4k translation can go into. */
function checkFirstLevel(model: CpuModel, at: string): void {
  const structures = model.tlb[0]?.structures ?? [];
  for (const service of SERVICES) {
    if (structures.some(s => s.holds.includes('4k') && s.serves.includes(service))) continue;
    const got = structures.map(s => s.name);
    throw new ConfigError(`${at}.tlb[0].structures`, `a structure that holds 4k and serves ${service}`, got);
  }
}

function checkState(model: CpuModel, at: string): void {
  const structures = model.tlb.reduce((sum, level) => sum + level.structures.length, 0);
  if (structures > MAX_STRUCTURES) throw new ConfigError(`${at}.tlb`, `at most ${MAX_STRUCTURES} structures in all levels`, structures);
  checkEntries([...model.tlb.flatMap(level => level.structures), ...model.caches.levels, ...pscsOf(model.psc)], at);
}

const pscsOf = (psc: CpuModel['psc']): Geometry[] => PSC.flatMap(key => psc[key] ?? []);

function checkEntries(arrays: readonly Geometry[], at: string): void {
  const entries = arrays.reduce((sum, g) => sum + figure(g.sets) * figure(g.ways), 0);
  if (entries > MAX_ENTRIES) throw new ConfigError(at, `at most ${MAX_ENTRIES} entries (sets * ways) in all`, entries);
}

// One field.

function integerIn(f: Fields, key: string, min: number, max: number): Figure {
  const holds = (n: number): boolean => Number.isInteger(n) && n >= min && n <= max;
  return figureIn(f, key, `an integer from ${min} to ${max}`, holds);
}

function cyclesIn(f: Fields, key: string): Figure {
  return integerIn(f, key, 0, MAX_CYCLES);
}

/** A number, or a number with its source; NaN and infinities satisfy no `holds`. */
function figureIn(f: Fields, key: string, expected: string, holds: (n: number) => boolean): Figure {
  const data = f.values.get(key);
  const at = `${f.at}.${key}`;
  if (typeof data === 'number' && holds(data)) return data;
  if (typeof data !== 'object' || data === null) throw wrong(at, expected, data);
  const sourced = fieldsOf(data, at, ['value', 'from', 'source'], ['estimated']);
  const value = sourced.values.get('value'), estimated = sourced.values.get('estimated');
  if (typeof value !== 'number' || !holds(value)) throw wrong(`${at}.value`, expected, value);
  const checked: Sourced = { value, from: wordIn(sourced, 'from', STANDINGS), source: textIn(sourced, 'source') };
  if (estimated === undefined) return checked;
  const part = typeof estimated === 'number' && estimated >= 0 && estimated <= value;
  if (!part || checked.from !== 'estimate') throw wrong(`${at}.estimated`, `a number from 0 to ${value}, where from is estimate`, estimated);
  return { ...checked, estimated };
}

function booleanIn(f: Fields, key: string): boolean {
  const data = f.values.get(key);
  if (typeof data !== 'boolean') throw wrong(`${f.at}.${key}`, 'true or false', data);
  return data;
}

function textIn(f: Fields, key: string): string {
  const data = f.values.get(key);
  if (typeof data === 'string' && data.trim() !== '' && data.length <= MAX_TEXT) return data;
  throw wrong(`${f.at}.${key}`, `a text of 1 to ${MAX_TEXT} characters`, data);
}

function nameIn(f: Fields, key: string): string {
  const data = f.values.get(key);
  if (typeof data === 'string' && NAME.test(data)) return data;
  throw wrong(`${f.at}.${key}`, 'a name of up to 64 lower case letters, digits and dashes', data);
}

function wordIn<W extends string>(f: Fields, key: string, words: readonly W[]): W {
  return wordOf(f.values.get(key), `${f.at}.${key}`, words);
}

function wordsIn<W extends string>(f: Fields, key: string, words: readonly W[]): W[] {
  const list = listIn(f, key, 1, words.length, (data, at) => wordOf(data, at, words));
  list.forEach((word, i) => {
    if (list.indexOf(word) !== i) throw wrong(`${f.at}.${key}[${i}]`, 'each word once', word);
  });
  return list;
}

function wordOf<W extends string>(data: unknown, at: string, words: readonly W[]): W {
  const word = words.find(w => w === data);
  if (word === undefined) throw wrong(at, `one of ${words.join(', ')}`, data);
  return word;
}

function listIn<T>(f: Fields, key: string, min: number, max: number, item: (data: unknown, at: string) => T): T[] {
  const data = f.values.get(key);
  const at = `${f.at}.${key}`;
  if (!Array.isArray(data)) throw wrong(at, `a list of ${min} to ${max}`, data);
  const { length } = data;
  if (length < min || length > max) throw new ConfigError(at, `a list of ${min} to ${max}`, `a list of ${length}`);
  return Array.from({ length }, (_, i) => item(own(data, String(i), `${at}[${i}]`), `${at}[${i}]`));
}

// One object.

/** Reads the own fields of a plain object. Unknown ones are told before missing ones: a typing mistake makes both. */
function fieldsOf(data: unknown, at: string, required: readonly string[], optional: readonly string[] = []): Fields {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw wrong(at, 'an object', data);
  const prototype: unknown = Object.getPrototypeOf(data);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw wrong(at, 'a plain object', data);
  const known = [...required, ...optional];
  const values = new Map<string, unknown>();
  for (const key of Reflect.ownKeys(data)) {
    const field = `${at}.${String(key).slice(0, 40)}`;
    if (typeof key === 'symbol' || !known.includes(key)) throw unknownField(field, String(key), known);
    values.set(key, own(data, key, field));
  }
  for (const key of required) {
    if (values.get(key) === undefined) throw wrong(`${at}.${key}`, 'a value: a preset has no holes', undefined);
  }
  for (const key of optional) if (values.get(key) === undefined) values.delete(key);
  return { at, values };
}

function own(data: object, key: string, at: string): unknown {
  const property = Object.getOwnPropertyDescriptor(data, key);
  if (property !== undefined && !('value' in property)) {
    throw new ConfigError(at, 'a value', 'a getter or setter');
  }
  return property?.value;
}

function unknownField(field: string, key: string, known: readonly string[]): ConfigError {
  const distances = known.map(k => distance(key.slice(0, 40), k));
  const nearest = known[distances.indexOf(Math.min(...distances))] ?? '';
  return new ConfigError(field, `a known field (the nearest is ${nearest})`, `unknown field ${key.slice(0, 40)}`);
}

/** Edit distance, to guess which field a misspelt one was meant to be. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** A `ConfigError` for data of unknown shape, some of which (cycles, BigInt inside) cannot be printed as JSON. */
function wrong(field: string, expected: string, got: unknown): ConfigError {
  if (typeof got !== 'object' || got === null) return new ConfigError(field, expected, got);
  return new ConfigError(field, expected, Array.isArray(got) ? 'a list' : 'an object');
}
