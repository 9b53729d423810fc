/**
 * The pointer chase: one 8-byte load a page in a random cycle, every load's address depending on the one before, so that nothing overlaps
 * and cycles per access are latencies. The program that made `../shared/hardware/zen3-chase.csv`, run on a simulated machine.
 *
 * The load in page k is at line offset 64 * (k mod 64), which spreads the lines over all sets of a virtually indexed first-level cache.
 */
import { FAULT_NONE } from '../arch/fault.ts';
import { ConfigError, invariant } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import type { HostModel } from '../cost/host-model.ts';
import { Machine } from '../machine/machine.ts';
import type { Counters, Vcpu } from '../machine/vcpu.ts';

/**
 * What is mapped, named as in the recorded files:
 *
 *   4K               - 4K pages on contiguous guest frames
 *   4K-shuffled      - 4K pages on guest frames picked from all over 1 GiB: how the recorded program picked them is not said, but that its
 *                      cost nears that of `4K` only at 262144 pages, which are 1 GiB, fits this
 *   4K-stride-in-2M  - a load every 4 KiB inside 2M pages
 *   2M, 2M-spread    - a load in each 2M page, at the same or at a random 4K offset
 *   64B-dense        - as many lines, packed, with paging off: the data caches alone
 */
export const CHASE_KINDS = ['4K', '4K-shuffled', '4K-stride-in-2M', '2M', '2M-spread', '64B-dense'] as const;
export type ChaseKind = (typeof CHASE_KINDS)[number];

/** Most pages of a chase. */
export const CHASE_MAX_PAGES = 1 << 20;

export interface ChaseOptions {
  /** Hypervisor that the chase runs under. Default: none. */
  readonly host?: HostModel | undefined;
  /** Seed of the cycle and of shuffled frames, an integer. Default 1. */
  readonly seed?: number;
  /** Least number of accesses to measure; laps are whole. Default 16384. */
  readonly accesses?: number;
  /** Laps before measuring, from 1. Default 2: one fills the caches, one lets replacement settle. */
  readonly warmLaps?: number;
}

/** All figures but the first three are means of one access. */
export interface ChaseResult {
  readonly kind: ChaseKind;
  readonly pages: number;
  /** Accesses measured. */
  readonly accesses: number;
  readonly cyclesPerAccess: number;
  /** The same by cause; their sum is `cyclesPerAccess`. */
  readonly cycles: { readonly tlb: number; readonly walk: number; readonly data: number };
  /** Misses of TLB level 1, 2, 3. */
  readonly tlbMisses: readonly number[];
  readonly walksPerAccess: number;
  /** Loads answered by cache level 1, 2, 3 and memory: of the data, of guest entries, of host entries. */
  readonly dataHits: readonly number[];
  readonly entryHits: readonly number[];
  readonly hostHits: readonly number[];
}

const TABLE_BYTES = 16 << 20; //             of backed memory: tables of 2^20 pages need 8 MiB
const DATA_FRAME = 1 << 18; //               data at 1 GiB: never backed, the loads are only priced
const DATA_VA_HI = 0x10; //                  ... and at the linear address 64 GiB, if paging is on
const PAGES_2M = 512;
const SHUFFLED_FRAMES = 1 << 18; //          pool of `4K-shuffled`, or as many as there are pages

/**
 * Chase on a machine of its own.
 *
 * @param pages - 1 to CHASE_MAX_PAGES: pages touched, lines for `64B-dense`
 * @throws ConfigError - kind, pages or an option
 */
export function runChase(cpu: CpuModel, kind: ChaseKind, pages: number, options: ChaseOptions = {}): ChaseResult {
  if (!CHASE_KINDS.includes(kind)) throw new ConfigError('kind', `one of ${CHASE_KINDS.join(', ')}`, kind);
  const from1 = (value: number, field: string, most: number): number => {
    if (!Number.isInteger(value) || value < 1 || value > most) throw new ConfigError(field, `an integer from 1 to ${most}`, value);
    return value;
  };
  from1(pages, 'pages', CHASE_MAX_PAGES);
  const warmLaps = from1(options.warmLaps ?? 2, 'warmLaps', 1000);
  const laps = Math.ceil(from1(options.accesses ?? 16384, 'accesses', 1 << 30) / pages);
  const random = mulberry32(options.seed ?? 1);
  const addresses = layOut(kind, pages, random);
  const machine = createMachine(cpu, kind, addresses, options.host);
  const tour = inOrder(addresses, sattolo(pages, random));
  const vcpu = machine.vcpus[0]!;
  for (let lap = 0; lap < warmLaps; lap++) chaseLap(vcpu, tour);
  vcpu.resetCounters();
  for (let lap = 0; lap < laps; lap++) chaseLap(vcpu, tour);
  return summary(kind, pages, laps * pages, vcpu.counters());
}

/** Where to load, and what to map there. Pages are of `size` (size code, -1 = paging off); each line `at` is an offset from DATA_VA. */
interface Places {
  readonly size: number;
  /** First guest frame of each page to map, by page; frames count from DATA_FRAME. */
  readonly frames: Int32Array;
  /** Physical memory that the frames are in. */
  readonly bytes: number;
  /** Byte offsets of the lines from the start of the data, low and high word. */
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

function layOut(kind: ChaseKind, pages: number, random: () => number): Places {
  const lo = new Int32Array(pages), hi = new Int32Array(pages);
  const stride = kind === '64B-dense' ? 64 : kind === '2M' || kind === '2M-spread' ? PAGES_2M * 4096 : 4096;
  for (let k = 0; k < pages; k++) {
    let at = k * stride;
    if (kind !== '64B-dense') at += (k % 64) * 64;
    if (kind === '2M-spread') at += below(random, PAGES_2M) * 4096;
    lo[k] = at | 0;
    hi[k] = Math.floor(at / 2 ** 32);
  }
  if (kind === '64B-dense') return { size: -1, frames: new Int32Array(0), bytes: Math.ceil(pages / 64) * 4096, lo, hi };
  const size = kind === '4K' || kind === '4K-shuffled' ? 0 : 1;
  const mapped = Math.ceil((pages * stride) / (size === 0 ? 4096 : PAGES_2M * 4096));
  const pool = kind === '4K-shuffled' ? Math.max(mapped, SHUFFLED_FRAMES) : mapped;
  const frames = Int32Array.from({ length: pool }, (_, k) => k * (size === 0 ? 1 : PAGES_2M));
  if (kind === '4K-shuffled') shuffle(frames, random);
  return { size, frames: frames.subarray(0, mapped), bytes: pool * (size === 0 ? 4096 : PAGES_2M * 4096), lo, hi };
}

function createMachine(cpu: CpuModel, kind: ChaseKind, p: Places, host: HostModel | undefined): Machine {
  const machine = Machine.create({
    cpu, dataAccesses: true, paging: kind === '64B-dense' ? 'none' : '4-level', ...(host ? { host } : {}),
    extents: [{ base: 0, bytes: TABLE_BYTES }, { base: DATA_FRAME * 4096, bytes: p.bytes, kind: 'unbacked' }],
  });
  if (p.size < 0) return machine;
  const space = machine.addressSpace();
  p.frames.forEach((frame, k) => {
    const at = k * space.framesOf(p.size) * 4096;
    space.map(DATA_VA_HI + Math.floor(at / 2 ** 32), at | 0, p.size, DATA_FRAME + frame, { write: true });
  });
  return machine;
}

/** Linear addresses in the order of the cycle, as two words each. */
interface Tour {
  readonly hi: Int32Array;
  readonly lo: Int32Array;
}

function inOrder(p: Places, next: Int32Array): Tour {
  const hi = new Int32Array(next.length), lo = new Int32Array(next.length);
  const baseHi = p.size < 0 ? 0 : DATA_VA_HI, baseLo = p.size < 0 ? DATA_FRAME * 4096 : 0;
  for (let n = 0, k = 0; n < next.length; n++, k = next[k]!) {
    hi[n] = baseHi + p.hi[k]!;
    lo[n] = baseLo + p.lo[k]!;
  }
  return { hi, lo };
}

/** Once round the cycle. The hot loop: allocates nothing. */
function chaseLap(vcpu: Vcpu, tour: Tour): void {
  const { hi, lo } = tour;
  let faults = 0;
  for (let n = 0; n < hi.length; n++) faults |= vcpu.access(hi[n]!, lo[n]!, 0);
  invariant(faults === FAULT_NONE, 'every page of a chase is mapped');
}

function summary(kind: ChaseKind, pages: number, accesses: number, c: Counters): ChaseResult {
  const each = (n: number): number => n / accesses;
  const cycles = { tlb: each(c.cycles.tlb), walk: each(c.cycles.walkStart + c.cycles.walkLoads), data: each(c.cycles.data) };
  return {
    kind, pages, accesses, cycles,
    cyclesPerAccess: cycles.tlb + cycles.walk + cycles.data,
    tlbMisses: c.missesBySize.map(m => each(m['4k'] + m['2m'] + m['1g'])),
    walksPerAccess: each(c.walks),
    dataHits: c.dataHits.map(each), entryHits: c.referenceHits.map(each), hostHits: c.hostHits.map(each),
  };
}

/**
 * A random cyclic permutation of 0 ... n - 1: `next[k]` follows k, and all are on one cycle.
 *
 * Source: Sandra Sattolo, "An algorithm to generate a random cyclic permutation", Information Processing Letters 22 (1986).
 */
export function sattolo(n: number, random: () => number): Int32Array {
  const next = Int32Array.from({ length: n }, (_, k) => k);
  for (let i = n - 1; i > 0; i--) swap(next, i, below(random, i));
  return next;
}

/** Fisher and Yates. */
function shuffle(list: Int32Array, random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) swap(list, i, below(random, i + 1));
}

function swap(list: Int32Array, i: number, j: number): void {
  const held = list[i]!;
  list[i] = list[j]!;
  list[j] = held;
}

const below = (random: () => number, n: number): number => Math.floor((random() / 2 ** 32) * n);

/** Tommy Ettinger's mulberry32, public domain: 32-bit numbers from a 32-bit seed. */
export function mulberry32(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}
