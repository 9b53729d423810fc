/**
 * Where everything is in machine memory: computes the regions of a configuration, once, and writes their offsets into the state.
 *
 *   header | extent table | vCPU blocks | a scratch block for each, for probes | per vCPU: probe lists, TLBs, PSCs, caches, fast table |
 *   shared caches | RAM
 */
import { ConfigError } from '../errors.ts';
import {
  ARRP_LRU, ARRP_RANDOM, ARRP_TREE_PLRU, ARR_BYTES, ARR_CAPACITY, ARR_CLOCK, ARR_DATA, ARR_HINTS, ARR_HINT_MASK, ARR_HOLDS, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_REPL_WORDS, ARR_SETS, ARR_TAGS, ARR_TOUCH,
  ARR_WAYS,
} from '../layout/array.ts';
import { EXT_MAX, EXT_STRIDE } from '../layout/extent.ts';
import { FAST_BYTES, FAST_EMPTY, FAST_STRIDE } from '../layout/fast-table.ts';
import {
  HDR_BYTES, HDR_BYTES_USED, HDR_CACHE_CYCLES, HDR_DATA, HDR_DATA_CACHES, HDR_DISTANCE, HDR_EXTENT_BASE, HDR_FLUSH_CLOCK, HDR_HOST, HDR_HOST_CYCLES,
  HDR_HOST_LEVEL, HDR_LINE_SHIFT,
  HDR_MAGIC, HDR_MEMORY_CYCLES, HDR_NODES, HDR_OPEN_BUS, HDR_PLAN, HDR_REMOTE_CYCLES, HDR_VCPUS, HDR_VCPU_BASE, HDR_VERSION, HDR_WALK_CYCLES,
  HDR_ATOMIC, LAYOUT_VERSION, MAGIC_VALUE,
} from '../layout/header.ts';
import { NEST_REFS, REF_BYTES, REF_MOST } from '../layout/nested.ts';
import {
  PROBE_BYTES, PROBE_FILL, PROBE_LEVEL_BYTES, PROBE_SERVICE_BYTES, PROBE_SIZE, MEMO_BYTES, VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_BYTES, VCPU_CACHES,
  VCPU_FAST, VCPU_FEATURES, PLAIN_BYTES, PLAIN_NEXT, PSC_BYTES, VCPU_MEMO, VCPU_MEMO_OF, VCPU_NEST, VCPU_NODE, VCPU_PABITS, VCPU_PLAIN, VCPU_PLAIN_PSC, VCPU_PROBES, VCPU_PSC, VCPU_TAG_GLOBAL, VCPU_TIMED, VCPU_TLB_CYCLES, VCPU_TLB_LEVELS,
} from '../layout/vcpu.ts';
import { TAG_GLOBAL } from '../layout/tlb.ts';
import { crc32ByTable } from './crc32.ts';
import { Views, WASM_PAGE_BYTES, type BufferKind } from './views.ts';

/** An associative array: policy is ARRP_*. */
export interface ArrayPlan {
  readonly sets: number;
  readonly ways: number;
  readonly policy: number;
}

/** A TLB structure; `holds`, `fractures` are bit masks of size codes, `serves` of services. */
export interface TlbPlan extends ArrayPlan {
  readonly holds: number;
  readonly fractures: number;
  readonly serves: number;
}

/** Everything that decides the layout, as numbers. */
export interface StatePlan {
  readonly vcpus: number;
  readonly vcpuNodes: readonly number[];
  readonly timed: boolean;
  readonly data: boolean;
  readonly features: number;
  readonly paBits: number;
  readonly tlb: readonly { readonly cycles: number; readonly arrays: readonly TlbPlan[] }[];
  /** PDE, PDPTE, PML4E, PML5E. */
  readonly psc: readonly (ArrayPlan | undefined)[];
  readonly caches: readonly (ArrayPlan & { readonly cycles: number })[];
  readonly lineShift: number;
  readonly memoryCycles: number;
  readonly remoteCycles: number;
  readonly walkCycles: number;
  readonly hostLevel: number;
  /** Cycles of a host entry in a walk, undefined without a host stage. */
  readonly hostCycles: number | undefined;
  /** What caches the second stage, undefined in a machine without one. */
  readonly nested: { readonly tlb: StatePlan['tlb']; readonly psc: StatePlan['psc'] } | undefined;
  readonly openBus: number;
  /** SLIT rows. */
  readonly distances: readonly (readonly number[])[];
  /** Bytes of backed RAM of each extent that has bytes. */
  readonly ramBytes: readonly number[];
  readonly buffer: BufferKind;
  /** Words of replacement state a set, by policy and ways: the cache layer's business. */
  readonly replacementWords: (policy: number, ways: number) => number;
  /** Tree-PLRU in one word: for each way, the bits to keep and the bits to set when it is used. */
  readonly treeMasks: (ways: number) => readonly number[];
}

/** Two plans that lay out and mean the same have the same, 32 bits. The sort of buffer decides nothing. */
export function fingerprint(plan: StatePlan): number {
  const text = JSON.stringify({ ...plan, buffer: undefined });
  return crc32ByTable(Uint8Array.from(text, character => character.charCodeAt(0))) | 0;
}

const align = (n: number, to: number): number => Math.ceil(n / to) * to;
const SIZES = [0, 1, 2];
const HINTED_WAYS = 16; // searching fewer ways is as fast as asking a hint first

/** Hands out offsets; remembers what to write when there are bytes to write to. */
class Ruler {
  at = 0;
  readonly writes: ((w: Int32Array) => void)[] = [];

  region(bytes: number, alignment = 64): number {
    const offset = align(this.at, alignment);
    this.at = offset + bytes;
    return offset;
  }

  put(offset: number, ...values: number[]): void {
    this.writes.push(w => values.forEach((value, i) => { w[(offset >>> 2) + i] = value; }));
  }
}

/** Result of laying out a state: the bytes, the offsets of vCPU blocks and of the scratch block of each, and the word index of each RAM extent. */
export interface Layout {
  readonly views: Views;
  readonly vcpus: readonly number[];
  readonly scratch: readonly number[];
  readonly ramWords: readonly number[];
  readonly extentBase: number;
  /** Words before RAM and what was added to memory since: the state itself. */
  readonly words: number;
  /** Write what the configuration says; all other words are zero. */
  readonly write: () => void;
}

/** Lay out and create the state. @throws ConfigError - it does not fit */
export function createState(plan: StatePlan): Layout {
  const { r, ...regions } = layOut(plan);
  if (r.at > 2 ** 32) throw new ConfigError('memory', 'at most 4 GiB of backed memory and state', r.at);
  const views = new Views(r.at, plan.buffer), layout = { views, ...regions, write: writer(views, r) };
  layout.write();
  return layout;
}

function writer(views: Views, r: Ruler): () => void {
  return () => {
    for (const write of r.writes) write(views.w);
    views.w[HDR_BYTES_USED >>> 2] = Math.ceil(r.at / WASM_PAGE_BYTES);
    if (views.w[HDR_ATOMIC >>> 2]) views.w[HDR_FLUSH_CLOCK >>> 2] = 1;
    views.look();
  };
}

/** Look at a state that was created by the same plan. @throws ConfigError - it was not */
export function attachState(plan: StatePlan, memory: WebAssembly.Memory): Layout {
  const { r, ...regions } = layOut(plan), bytes = memory.buffer.byteLength;
  const header = new Ruler(), expected = new Int32Array(HDR_BYTES / 4);
  putHeader(header, plan, regions.extentBase, regions.vcpus[0]);
  for (const write of header.writes) write(expected);
  const found = bytes < r.at ? new Int32Array(HDR_BYTES / 4) : new Int32Array(memory.buffer, 0, HDR_BYTES / 4);
  if (expected.some((word, k) => word !== 0 && word !== found[k])) throw new ConfigError('memory', 'the memory of a machine made with the same options', bytes);
  const views = new Views(memory);
  return { views, ...regions, write: writer(views, r) };
}

/** Where everything is. */
function layOut(plan: StatePlan): Omit<Layout, 'views' | 'write'> & { readonly r: Ruler } {
  const r = new Ruler();
  r.region(HDR_BYTES);
  const extentBase = r.region(EXT_MAX * EXT_STRIDE);
  const vcpus = plan.vcpuNodes.map(() => r.region(VCPU_BYTES, 4096));
  const scratch = vcpus.map(() => r.region(VCPU_BYTES, 4096)); // threads play their vCPUs beside each other
  const shared = plan.caches.length > 2 && plan.timed ? layArray(r, plan.caches[2], false, plan) : 0;
  for (let k = 0; k < plan.vcpus; k++) layVcpu(r, plan, vcpus[k], plan.vcpuNodes[k], shared);
  putHeader(r, plan, extentBase, vcpus[0]);
  const words = r.at >>> 2, ramWords = plan.ramBytes.map(bytes => r.region(bytes, 4096) >>> 2);
  return { r, vcpus, scratch, ramWords, extentBase, words };
}

function putHeader(r: Ruler, plan: StatePlan, extentBase: number, firstVcpu: number): void {
  r.put(HDR_MAGIC, MAGIC_VALUE);
  r.put(HDR_VERSION, LAYOUT_VERSION);
  r.put(HDR_PLAN, fingerprint(plan));
  r.put(HDR_VCPUS, plan.vcpus);
  r.put(HDR_VCPU_BASE, firstVcpu);
  r.put(HDR_EXTENT_BASE, extentBase);
  r.put(HDR_OPEN_BUS, plan.openBus);
  r.put(HDR_DATA_CACHES, plan.caches.length);
  r.put(HDR_CACHE_CYCLES, ...plan.caches.map(c => c.cycles));
  r.put(HDR_MEMORY_CYCLES, plan.memoryCycles);
  r.put(HDR_REMOTE_CYCLES, plan.remoteCycles);
  r.put(HDR_LINE_SHIFT, plan.lineShift);
  r.put(HDR_WALK_CYCLES, plan.walkCycles);
  r.put(HDR_NODES, plan.distances.length);
  r.put(HDR_ATOMIC, plan.vcpus > 1 ? 1 : 0);
  r.put(HDR_HOST_LEVEL, plan.hostLevel);
  r.put(HDR_HOST, plan.hostCycles === undefined ? 0 : 1);
  r.put(HDR_HOST_CYCLES, plan.hostCycles ?? 0);
  r.put(HDR_DATA, plan.data ? 1 : 0);
  r.writes.push(w => plan.distances.forEach((row, from) => row.forEach((d, to) => {
    const byte = HDR_DISTANCE + from * 8 + to;
    w[byte >>> 2] |= d << (8 * (byte & 3));
  })));
}

function layVcpu(r: Ruler, plan: StatePlan, v: number, node: number, shared: number): void {
  putProcessor(r, plan, v, node);
  r.put(v + VCPU_MEMO_OF, ...(plan.timed ? memoSlots(plan) : [0, 0, 0]).map(slot => v + slot));
  if (!plan.timed) {
    const fast = r.region(FAST_BYTES);
    r.put(v + VCPU_FAST, fast);
    r.writes.push(w => { for (let row = fast; row < fast + FAST_BYTES; row += FAST_STRIDE) w[row >>> 2] = FAST_EMPTY; });
    layHost(r, plan, v, node, []);
    return;
  }
  layTlbs(r, plan, v);
  const psc = plan.psc.map(p => (p ? layArray(r, p, true, plan) : 0));
  r.put(v + VCPU_PSC, ...psc);
  if (plan.psc.slice(0, 2).every(p => p?.ways === 4 && isPlain(p, ARRP_LRU))) {
    gather(r, v + VCPU_PLAIN_PSC, () => psc[0], [ARR_TAGS, ARR_DATA, ARR_REPL, ARR_MASK]);
    gather(r, v + VCPU_PLAIN_PSC + PSC_BYTES, () => psc[1], [ARR_TAGS, ARR_DATA, ARR_REPL, ARR_MASK]);
  }
  const caches = plan.caches.map((c, level) => (level === 2 ? shared : layArray(r, c, false, plan)));
  r.put(v + VCPU_CACHES, ...caches);
  layHost(r, plan, v, node, caches);
}

/** The host block: what caches the second stage; its loads go through the vCPU's own data caches. */
function layHost(r: Ruler, plan: StatePlan, v: number, node: number, caches: readonly number[]): void {
  if (!plan.nested) return;
  const n = r.region(VCPU_BYTES, 4096);
  r.put(v + VCPU_NEST, n);
  r.put(n + NEST_REFS, r.region(REF_MOST * REF_BYTES));
  putProcessor(r, plan, n, node);
  r.put(n + VCPU_MEMO_OF, n, n, n);
  if (!plan.timed) return;
  layTlbs(r, { ...plan, tlb: plan.nested.tlb, data: true }, n);
  r.put(n + VCPU_PSC, ...plan.nested.psc.map(p => (p ? layArray(r, p, true, plan) : 0)));
  r.put(n + VCPU_CACHES, ...caches);
}

function putProcessor(r: Ruler, plan: StatePlan, v: number, node: number): void {
  r.put(v + VCPU_TAG_GLOBAL, TAG_GLOBAL);
  r.put(v + VCPU_FEATURES, plan.features);
  r.put(v + VCPU_PABITS, plan.paBits);
  r.put(v + VCPU_NODE, node);
  r.put(v + VCPU_TIMED, plan.timed ? 1 : 0);
}

function layTlbs(r: Ruler, plan: StatePlan, v: number): void {
  const probes = r.region(PROBE_BYTES);
  const list: number[] = [];
  plan.tlb.forEach((level, l) => {
    const offsets = level.arrays.map(t => layArray(r, t, true, plan));
    list.push(...offsets);
    level.arrays.forEach((t, k) => r.put(offsets[k] + ARR_HOLDS, t.holds));
    for (let service = 0; service < 3; service++) {
      const at = probes + service * PROBE_SERVICE_BYTES + l * PROBE_LEVEL_BYTES;
      const serving = level.arrays.map((t, k) => ({ t, offset: offsets[k] })).filter(x => (x.t.serves >>> service) & 1);
      r.put(at, serving.length);
      r.put(at + PROBE_SIZE, ...SIZES.map(size => serving.find(x => (x.t.holds >>> size) & 1)?.offset ?? 0));
      r.put(at + PROBE_FILL, ...SIZES.map(size => heldAs(serving.map(x => x.t), size, l === 0)));
    }
  });
  for (let service = 0; service < 3; service++) {
    const at = v + VCPU_PLAIN + service * PLAIN_BYTES, list = probes + service * PROBE_SERVICE_BYTES;
    const levels = plan.tlb.map(level => level.arrays.filter(t => (t.serves >>> service) & 1 && t.holds & 1));
    if (plan.data || plan.tlb.length !== 2 || levels.some((arrays, l) => arrays.length !== 1 || !isPlain(arrays[0], l === 0 ? ARRP_TREE_PLRU : ARRP_LRU))) continue;
    for (let l = 0; l < 2; l++) {
      const array = (w: Int32Array) => w[(list + l * PROBE_LEVEL_BYTES + PROBE_SIZE) >>> 2];
      gather(r, at + l * PLAIN_NEXT, array, [ARR_TAGS, ARR_DATA, ARR_REPL, ARR_TOUCH, ARR_MASK, ARR_WAYS]);
    }
  }
  r.put(v + VCPU_PROBES, probes);
  r.put(v + VCPU_TLB_LEVELS, plan.tlb.length);
  r.put(v + VCPU_ARRAYS, list.length);
  r.put(v + VCPU_ARRAY_LIST, ...list);
  r.put(v + VCPU_TLB_CYCLES, ...plan.tlb.map(level => level.cycles));
}

/** Copy an array's offset and words of its header to `to`, once the headers are written. */
function gather(r: Ruler, to: number, array: (w: Int32Array) => number, fields: readonly number[]): void {
  r.writes.push(w => {
    const a = array(w);
    [a, ...fields.map(field => w[(a + field) >>> 2])].forEach((value, k) => { w[(to >>> 2) + k] = value; });
  });
}

/** Has an array the shape that VCPU_PLAIN is about? */
function isPlain(a: ArrayPlan, policy: number): boolean {
  return a.policy === policy && (a.sets & (a.sets - 1)) === 0 && a.ways % 4 === 0 && a.ways <= 12;
}

/**
 * Slot of the memo of each service. A slot serves services that use the very same first-level structures: then the entry touched last is the
 * same for all of them. Services that share some structures but not all have no memo, nor has anyone if accesses are priced after the hit.
 */
function memoSlots(plan: StatePlan): number[] {
  const arrays = plan.tlb[0]?.arrays ?? [];
  const used = SIZES.map(service => arrays.map(t => (t.serves >>> service) & 1));
  const same = (s: number, t: number) => used[s].every((uses, k) => uses === used[t][k]);
  const apart = (s: number, t: number) => used[s].every((uses, k) => !(uses && used[t][k]));
  return used.map((_, s) => {
    const sound = !plan.data && used.every((_, t) => same(s, t) || apart(s, t));
    return sound ? VCPU_MEMO + used.findIndex((_, t) => same(s, t)) * MEMO_BYTES : 0;
  });
}

/** Size code a page of size code `size` is held as among these structures, -1 for not at all. */
function heldAs(arrays: readonly TlbPlan[], size: number, first: boolean): number {
  if (arrays.some(t => (t.holds >>> size) & 1)) return size;
  for (let smaller = size - 1; smaller >= 0; smaller--) {
    if (arrays.some(t => (t.holds >>> smaller) & 1 && (first || (t.fractures >>> size) & 1))) return smaller;
  }
  return -1;
}

function layArray(r: Ruler, a: ArrayPlan, withData: boolean, plan: StatePlan): number {
  const header = r.region(ARR_BYTES);
  const entries = a.sets * a.ways, words = plan.replacementWords(a.policy, a.ways);
  r.put(header + ARR_SETS, a.sets);
  r.put(header + ARR_WAYS, a.ways);
  r.put(header + ARR_MASK, (a.sets & (a.sets - 1)) === 0 ? a.sets - 1 : -1);
  r.put(header + ARR_POLICY, a.policy);
  r.put(header + ARR_TAGS, r.region(entries * 8));
  r.put(header + ARR_DATA, withData ? r.region(entries * 8) : 0);
  r.put(header + ARR_REPL, r.region(a.sets * words * 4));
  r.put(header + ARR_REPL_WORDS, words);
  r.put(header + ARR_CAPACITY, entries);
  if (a.policy === ARRP_TREE_PLRU && words === 1) {
    const masks = r.region(a.ways * 8);
    r.put(header + ARR_TOUCH, masks);
    r.put(masks, ...plan.treeMasks(a.ways));
  }
  if (withData && a.ways >= HINTED_WAYS) {
    const hints = 2 ** Math.ceil(Math.log2(entries * 4));
    r.put(header + ARR_HINTS, r.region(hints * 4));
    r.put(header + ARR_HINT_MASK, hints - 1);
  }
  if (a.policy === ARRP_RANDOM) r.put(header + ARR_CLOCK, (0x9e3779b9 ^ (header * 0x85ebca6b)) | 1); // any seed but 0; differs by array
  return header;
}
