/** What a machine is made from, checked and turned into the numbers that `memory/plan.ts` lays out. */
import { ConfigError } from '../errors.ts';
import { ARRP_LRU, ARRP_NRU, ARRP_RANDOM, ARRP_TREE_PLRU } from '../layout/array.ts';
import {
  FEAT_AMD, FEAT_CET, FEAT_INVPCID, FEAT_LA57, FEAT_LONG, FEAT_NX, FEAT_PAE, FEAT_PAGE1G, FEAT_PCID, FEAT_PGE, FEAT_PKS, FEAT_PKU,
  FEAT_PSE, FEAT_PSE36, FEAT_SMAP, FEAT_SMEP,
} from '../layout/vcpu.ts';
import { replacementWords, treeMasks } from '../cache/array.ts';
import { figure, type CpuModel, type Geometry, type PageSize, type Replacement } from '../cost/cpu-model.ts';
import { checkHostModel, type HostModel } from '../cost/host-model.ts';
import { nestedDefault, type NestedModel } from '../cost/nested-model.ts';
import { checkCpuModel, checkNestedModel } from '../cost/preset-check.ts';
import { skylake } from '../cost/presets/skylake.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import type { ArrayPlan, StatePlan } from '../memory/plan.ts';
import type { BufferKind, MmioHandler } from '../memory/views.ts';

/** A range of physical memory. Sizes are bytes, as numbers or like `'64M'`, `'4G'`; all multiples of 4096. */
export interface ExtentOptions {
  readonly base: number | string;
  readonly bytes: number | string;
  /** `ram` has bytes; `unbacked` RAM exists but keeps no data (reads 0); `mmio` is answered by `handler`. Default `ram`. */
  readonly kind?: 'ram' | 'unbacked' | 'mmio';
  readonly node?: number;
  readonly handler?: MmioHandler;
}

const FEATURE_BITS = {
  pse: FEAT_PSE, pae: FEAT_PAE, pge: FEAT_PGE, pse36: FEAT_PSE36, nx: FEAT_NX, pages1g: FEAT_PAGE1G, long: FEAT_LONG, la57: FEAT_LA57,
  pcid: FEAT_PCID, invpcid: FEAT_INVPCID, smep: FEAT_SMEP, smap: FEAT_SMAP, pku: FEAT_PKU, pks: FEAT_PKS, cet: FEAT_CET, amd: FEAT_AMD,
} as const;

/** Features that CPUID would report; `amd` chooses AMD's rules where vendors differ. */
export type Features = { readonly [name in keyof typeof FEATURE_BITS]: boolean };

/** `ts` runs everywhere; `wasm` needs shared memory and the module; `auto` is wasm where it can be. Both leave the same bytes. */
export type EngineChoice = 'auto' | 'ts' | 'wasm';

export type Paging = '5-level' | '4-level' | 'pae' | 'legacy' | 'none';

/** What `Machine.create()` takes; everything has a default. */
export interface MachineOptions {
  /** RAM from address 0: bytes, or like `'64M'`. Default `'64M'`; not with `extents`. */
  readonly memory?: number | string;
  readonly extents?: readonly ExtentOptions[];
  /** Processor model: a preset or plain data. Default skylake. */
  readonly cpu?: CpuModel;
  /** `timed`: the TLB hierarchy as configured, with cycles. `functional`: exact outcomes, as fast as possible. Default `timed`. */
  readonly mode?: 'timed' | 'functional';
  /** Paging mode that vCPUs start in, with an empty root table; `none` is the state after reset. Default `4-level`. */
  readonly paging?: Paging;
  /** 1 to 64. Default 1. */
  readonly vcpus?: number;
  /** NUMA node of each vCPU. Default 0. */
  readonly vcpuNodes?: readonly number[];
  /** Overrides of what the processor can do. Default: everything, 1-GByte pages and LA57 as the model says. */
  readonly features?: Partial<Features>;
  /** MAXPHYADDR, 32 to 52. Default: the model's. */
  readonly physicalAddressBits?: number;
  /** Largest page the host backs memory with: larger guest pages are cached as fragments of it. Default `1g`. */
  readonly hostPage?: PageSize;
  /** Price accesses as under a hypervisor that scatters 4K frames; `hostPage` is `4k` then. Default: none. */
  readonly host?: HostModel;
  /** Price the data accesses too, not only their translation. Default false. */
  readonly dataAccesses?: boolean;
  /** vCPUs can run guests under a second stage (EPT, NPT): true for what the model has to cache it, or what it has. Default false. */
  readonly nested?: boolean | NestedModel;
  /** NUMA distances as in ACPI's SLIT: 10 = local. Default: one node. At most 8 nodes. */
  readonly distances?: readonly (readonly number[])[];
  /** Byte read where no memory and no device answers. Default 0xff. */
  readonly openBus?: number;
  readonly buffer?: BufferKind;
  /** Which engine makes accesses and invalidations. Default `auto`; `Machine.engine` tells which it is. */
  readonly engine?: EngineChoice;
  /** Compiled `pagewalk/wasm`, for hosts without files (browsers). Default: the file of the package. */
  readonly wasm?: WebAssembly.Module;
}

/** Options with everything decided. */
export interface MachineConfig {
  readonly cpu: CpuModel;
  readonly paging: Paging;
  readonly engine: EngineChoice;
  readonly wasm: WebAssembly.Module | undefined;
  readonly extents: readonly { readonly base: number; readonly frames: number; readonly kind: 'ram' | 'unbacked' | 'mmio'; readonly node: number; readonly handler: MmioHandler | undefined }[];
  readonly plan: StatePlan;
}

const POLICY: Record<Replacement, number> = { lru: ARRP_LRU, 'tree-plru': ARRP_TREE_PLRU, nru: ARRP_NRU, random: ARRP_RANDOM };
const SIZE_CODE: Record<PageSize, number> = { '4k': 0, '2m': 1, '1g': 2 };
const SERVICES = ['load', 'store', 'fetch'];
const KNOWN = ['memory', 'extents', 'cpu', 'mode', 'paging', 'vcpus', 'vcpuNodes', 'features', 'physicalAddressBits', 'hostPage',
  'host', 'nested', 'dataAccesses', 'distances', 'openBus', 'buffer', 'engine', 'wasm'];
const KNOWN_OF_EXTENT = ['base', 'bytes', 'kind', 'node', 'handler'];

/** Bytes from a number or from text like `'64M'`. @throws ConfigError */
export function parseBytes(value: unknown, field: string): number {
  const match = typeof value === 'string' ? /^(\d+)\s*([KMGT]?)(?:i?B)?$/i.exec(value.trim()) : null;
  const bytes = match ? Number(match[1]) * 1024 ** ' KMGT'.indexOf(match[2]!.toUpperCase() || ' ') : value;
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0 || bytes > 2 ** 52) {
    throw new ConfigError(field, "bytes from 0 to 2^52, like 65536 or '64M'", value);
  }
  return bytes;
}

function integer(value: unknown, field: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new ConfigError(field, `an integer from ${least} to ${most}`, value);
  }
  return value;
}

function flag(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new ConfigError(field, 'true or false', value);
  return value;
}

function oneOf<T extends string>(value: unknown, field: string, names: readonly T[]): T {
  if (!names.includes(value as T)) throw new ConfigError(field, `one of ${names.join(', ')}`, value);
  return value as T;
}

/** Check options and work out the plan. @throws ConfigError naming the field */
export function configure(options: MachineOptions): MachineConfig {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw new ConfigError('options', 'an object', options);
  for (const key of Object.keys(options)) if (!KNOWN.includes(key)) throw new ConfigError(key, `an option of a machine (${KNOWN.join(', ')})`, key);
  const cpu = options.cpu === undefined ? skylake : checkCpuModel(options.cpu);
  const distances = checkDistances(options.distances ?? [[10]]);
  const paBits = integer(options.physicalAddressBits ?? figure(cpu.physicalAddressBits), 'physicalAddressBits', 32, 52);
  const extents = checkExtents(options, distances.length, paBits);
  const vcpus = integer(options.vcpus ?? 1, 'vcpus', 1, 64);
  const vcpuNodes = checkNodes(options.vcpuNodes ?? [], vcpus, distances.length);
  const byte = integer(options.openBus ?? 0xff, 'openBus', 0, 255);
  const paging = oneOf(options.paging ?? '4-level', 'paging', ['5-level', '4-level', 'pae', 'legacy', 'none']);
  const features = featureBits(cpu, options.features ?? {}, paging);
  const host = options.host === undefined ? undefined : checkHostModel(options.host);
  const hostPage = oneOf(options.hostPage ?? (host ? '4k' : '1g'), 'hostPage', host ? ['4k'] : ['4k', '2m', '1g']);
  const engine = oneOf(options.engine ?? 'auto', 'engine', ['auto', 'ts', 'wasm']);
  if (options.wasm !== undefined && !(options.wasm instanceof WebAssembly.Module)) throw new ConfigError('wasm', 'a WebAssembly.Module', options.wasm);
  const plan: StatePlan = {
    ...modelPlan(cpu, host), vcpus, vcpuNodes, paBits, distances, features,
    timed: oneOf(options.mode ?? 'timed', 'mode', ['timed', 'functional']) === 'timed',
    data: flag(options.dataAccesses ?? false, 'dataAccesses'),
    hostLevel: SIZE_CODE[hostPage] + 1,
    hostCycles: host && figure(host.entryCycles),
    nested: nestedPlan(options.nested === undefined ? false : options.nested, host),
    openBus: byte * 0x01010101 | 0,
    ramBytes: extents.filter(e => e.kind === 'ram').map(e => e.frames * FRAME_BYTES),
    buffer: oneOf(options.buffer ?? 'auto', 'buffer', ['auto', 'shared', 'plain']),
    replacementWords,
    treeMasks,
  };
  return { cpu, paging, extents, plan, engine, wasm: options.wasm };
}

function featureBits(cpu: CpuModel, overrides: Partial<Features>, paging: Paging): number {
  const features: Record<string, boolean> = Object.fromEntries(Object.keys(FEATURE_BITS).map(name => [name, true]));
  Object.assign(features, { pages1g: cpu.pages1g, la57: cpu.la57 || paging === '5-level', amd: cpu.vendor === 'amd' });
  if (typeof overrides !== 'object' || Array.isArray(overrides)) throw new ConfigError('features', 'an object', overrides);
  for (const [name, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(FEATURE_BITS, name)) throw new ConfigError(`features.${name}`, `one of ${Object.keys(FEATURE_BITS).join(', ')}`, name);
    features[name] = flag(value, `features.${name}`);
  }
  return Object.entries(FEATURE_BITS).reduce((bits, [name, bit]) => (features[name] ? bits | bit : bits), 0);
}

function checkExtents(options: MachineOptions, nodes: number, paBits: number): MachineConfig['extents'] {
  if (options.memory !== undefined && options.extents !== undefined) throw new ConfigError('memory', 'either memory or extents', 'both');
  const given = options.extents ?? [{ base: 0, bytes: options.memory ?? '64M' }];
  if (!Array.isArray(given) || given.length === 0) throw new ConfigError('extents', 'a list of at least one extent', given);
  return given.map((e: ExtentOptions, k) => checkExtent(e, options.extents ? `extents[${k}]` : 'memory', nodes, paBits));
}

/** Check one extent, at creation or hot-plug. @param field - path for messages */
export function checkExtent(e: ExtentOptions, field: string, nodes: number, paBits: number): MachineConfig['extents'][number] {
  if (typeof e !== 'object' || e === null) throw new ConfigError(field, 'an object', e);
  for (const key of Object.keys(e)) if (!KNOWN_OF_EXTENT.includes(key)) throw new ConfigError(`${field}.${key}`, `a field of an extent (${KNOWN_OF_EXTENT.join(', ')})`, key);
  const base = parseBytes(e.base, `${field}.base`), bytes = parseBytes(e.bytes, field === 'memory' ? field : `${field}.bytes`);
  if (base % FRAME_BYTES !== 0) throw new ConfigError(`${field}.base`, 'a multiple of 4096', e.base);
  if (bytes % FRAME_BYTES !== 0 || bytes === 0) throw new ConfigError(field === 'memory' ? field : `${field}.bytes`, 'a multiple of 4096 above 0', e.bytes);
  if (base + bytes > 2 ** paBits) throw new ConfigError(field, `an end within ${paBits} physical address bits`, base + bytes);
  const kind = oneOf(e.kind ?? 'ram', `${field}.kind`, ['ram', 'unbacked', 'mmio']);
  const answers = e.handler && typeof e.handler.read === 'function' && typeof e.handler.write === 'function';
  if (kind === 'mmio' && !answers) throw new ConfigError(`${field}.handler`, 'an object with read() and write()', e.handler);
  const node = integer(e.node ?? 0, `${field}.node`, 0, nodes - 1);
  return { base: base / FRAME_BYTES, frames: bytes / FRAME_BYTES, kind, node, handler: e.handler };
}

function checkNodes(given: readonly number[], vcpus: number, nodes: number): number[] {
  if (!Array.isArray(given) || given.length > vcpus) throw new ConfigError('vcpuNodes', `a list of at most ${vcpus} nodes, one for each vCPU`, given);
  return Array.from({ length: vcpus }, (_, k) => integer(given[k] ?? 0, `vcpuNodes[${k}]`, 0, nodes - 1));
}

function checkDistances(rows: readonly (readonly number[])[]): readonly (readonly number[])[] {
  if (!Array.isArray(rows) || rows.length < 1 || rows.length > 8) throw new ConfigError('distances', '1 to 8 rows', rows);
  rows.forEach((row, k) => {
    if (!Array.isArray(row) || row.length !== rows.length) throw new ConfigError(`distances[${k}]`, `${rows.length} numbers`, row);
    rows.forEach((_, to) => integer(row[to], `distances[${k}][${to}]`, 10, k === to ? 10 : 254)); // by `rows`: a hole in `row` would be skipped
  });
  return rows;
}

const arrayPlan = (g: Geometry): ArrayPlan => ({ sets: figure(g.sets), ways: figure(g.ways), policy: POLICY[g.replacement] });
const mask = (names: readonly string[], bit: (name: string) => number): number => names.reduce((bits, name) => bits | (1 << bit(name)), 0);

function nestedPlan(nested: boolean | NestedModel, host: HostModel | undefined): StatePlan['nested'] {
  if (nested === false) return undefined;
  if (host) throw new ConfigError('nested', 'false with host, which stands for a second stage', nested);
  const model = checkNestedModel(nested === true ? nestedDefault : nested);
  const tlb = model.tlb.map(t => ({ ...arrayPlan(t), holds: mask(t.holds, name => SIZE_CODE[name as PageSize]), fractures: 0, serves: 7 }));
  return { tlb: [{ cycles: figure(model.hitCycles), arrays: tlb }], psc: [model.psc.pde, model.psc.pdpte, model.psc.pml4e, model.psc.pml5e].map(g => g && arrayPlan(g)) };
}

/** The part of the plan that the processor model decides. */
function modelPlan(cpu: CpuModel, host: HostModel | undefined) {
  const sizes = (list: readonly PageSize[]) => mask(list, name => SIZE_CODE[name as PageSize]);
  const psc = [cpu.psc.pde, cpu.psc.pdpte, cpu.psc.pml4e, cpu.psc.pml5e];
  return {
    tlb: cpu.tlb.map(level => ({
      cycles: figure(level.hitCycles),
      arrays: level.structures.map(t => ({
        ...arrayPlan(t), holds: sizes(t.holds), fractures: sizes(t.fractures ?? []), serves: mask(t.serves, name => SERVICES.indexOf(name)),
      })),
    })),
    psc: psc.map(g => (g ? arrayPlan(g) : undefined)),
    caches: cpu.caches.levels.map((c, level) => {
      const plan = { ...arrayPlan(c), cycles: figure(c.cycles) };
      return level < 2 || !host ? plan : { ...plan, sets: Math.max(1, Math.round((plan.sets * figure(host.lastCachePercent)) / 100)) };
    }),
    lineShift: Math.log2(figure(cpu.caches.lineBytes)),
    memoryCycles: figure(cpu.caches.memoryCycles),
    remoteCycles: figure(cpu.caches.remoteCycles),
    walkCycles: figure(cpu.walkCycles),
  };
}
