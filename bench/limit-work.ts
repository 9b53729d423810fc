/**
 * The work of the native limit (limit.c) again: its processor, page tables, address streams and checksum, number for number.
 *
 * A0: 72-byte steps through 16 pages. A1: random over 512 pages. A2: random over 256 Ki pages with 2 MiB of level-1 tables, a part of which
 * faults. Kinds are 70 % load, 25 % store, 5 % fetch, all by user code.
 */
import { Machine, type CpuModel, type Geometry, type MachineOptions } from '../dist/index.js';
import { Xorshift } from './xorshift.ts';

export const STREAMS = ['A0', 'A1', 'A2'] as const;
export type Stream = (typeof STREAMS)[number];
/** Accesses over which limit.c counts and hashes. */
export const COUNTED = 4194304;

const PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, TABLES = 0x10000, TABLE_BYTES = 0x1000;
/** Level-1 tables to validate, by kind: where the first of each is. */
export const VALIDATED = { at: [0x300000, 0x340000, 0x380000], tables: 64 } as const;
const BEYOND_HI = 0x100; // an address without a frame, 2^40
const PRESENT_RW_USER = 7, RW = 2, PRESENT = 1, GLOBAL = 0x100, XD_HI = 1 << 31;
const VA_HI = 0x7f12; // and low words 0 to 2^30 - 1
const PCID = 5n, CR4_PCIDE = 1n << 17n;
const FNV_START = 2166136261 | 0, FNV_PRIME = 16777619;

const geometry = (sets: number, ways: number, replacement: Geometry['replacement']): Geometry => ({ sets, ways, replacement });

/** limit.c's fixed hierarchy as plain data. */
export const LIMIT_MODEL: CpuModel = {
  name: 'limit', title: 'the native limit', vendor: 'intel', physicalAddressBits: 48, clockGHz: 1, pages1g: true, la57: false,
  tlb: [
    { hitCycles: 1, structures: [{ name: 'l1', ...geometry(16, 4, 'tree-plru'), holds: ['4k'], serves: ['load', 'store', 'fetch'] }] },
    { hitCycles: 8, structures: [{ name: 'l2', ...geometry(128, 12, 'lru'), holds: ['4k'], serves: ['load', 'store', 'fetch'] }] },
  ],
  psc: { pde: geometry(8, 4, 'lru'), pdpte: geometry(1, 4, 'lru') },
  walkCycles: 10, walkers: 1,
  caches: { lineBytes: 64, levels: [], memoryCycles: 15, remoteCycles: 0 },
};

/** What a run of a whole stream does: checksum() of limit.c, and its counters. */
export interface StreamCounts {
  readonly checksum: string;
  readonly l1: number;
  readonly l2: number;
  readonly walks: number;
  readonly references: number;
  readonly faults: number;
  readonly cycles: number;
}

/** As limit.c prints them, where it cannot be compiled. */
export const RECORDED: Record<Stream, StreamCounts> = {
  A0: { checksum: '68b0a7eb', l1: 4194288, l2: 0, walks: 16, references: 19, faults: 0, cycles: 4194733 },
  A1: { checksum: 'b052b7cd', l1: 524310, l2: 3669482, walks: 512, references: 515, faults: 0, cycles: 29893011 },
  A2: { checksum: 'd4b30bf1', l1: 1026, l2: 23327, walks: 4169951, references: 8079826, faults: 84106, cycles: 171495142 },
};

/** A machine with limit.c's processor and page tables, in its address space. */
export function limitMachine(options: MachineOptions = {}): Machine {
  const machine = Machine.create({ memory: '16M', cpu: LIMIT_MODEL, ...options });
  buildTables(machine);
  const [cpu] = machine.vcpus;
  if (cpu.writeCr4(cpu.registers.cr4 | CR4_PCIDE) !== 0 || cpu.writeCr3(BigInt(PML4) | PCID) !== 0) throw new Error('the machine refused its control registers');
  return machine;
}

/** setup() of limit.c. */
function buildTables(machine: Machine): void {
  const { w, lowWord } = machine.views;
  const put = (pa: number, lo: number, hi: number) => {
    w[lowWord + (pa >>> 2)] = lo;
    w[lowWord + (pa >>> 2) + 1] = hi;
  };
  put(PML4 + (VA_HI >>> 7) * 8, PDPT | PRESENT_RW_USER, 0);
  put(PDPT + ((VA_HI << 2) & 0x1ff) * 8, PD | PRESENT_RW_USER, 0);
  const random = new Xorshift(0x12345678);
  for (let i = 0; i < 512; i++) {
    put(PD + i * 8, (TABLES + i * TABLE_BYTES) | PRESENT_RW_USER, 0);
    for (let j = 0; j < 512; j++) {
      const upper = random.next() & 15, frame = (upper << 28) | (random.next() & 0xfffffff);
      let lo = (frame << 12) | PRESENT_RW_USER, hi = frame >>> 20;
      if (i >= 2) {
        const q = random.next() & 63;
        if (q === 0) lo &= ~RW;
        else if (q === 1) lo &= ~PRESENT;
        else if (q === 2) hi |= XD_HI;
        else if (q < 8) lo |= GLOBAL;
      }
      put(TABLES + i * TABLE_BYTES + j * 8, lo, hi);
    }
  }
  const [whole, half, fails] = VALIDATED.at;
  for (let at = 0; at < VALIDATED.tables * TABLE_BYTES; at += 8) {
    const frame = random.next() & 0xffff, lo = (frame << 12) | (PRESENT_RW_USER & ~RW) | (random.next() & 3 ? RW : 0), last = at % TABLE_BYTES === TABLE_BYTES - 8;
    put(whole + at, lo, 0);
    put(half + at, random.next() & 1 ? lo : 0, 0);
    put(fails + at, last ? PRESENT_RW_USER : lo, last ? BEYOND_HI : 0);
  }
}

/** Columns that a stream is written to. */
interface StreamColumns {
  readonly va: Int32Array;
  readonly kind: Uint8Array;
  readonly size: Uint16Array;
}

/** stream() of limit.c, a piece at a time. */
export class StreamSource {
  private readonly stream: Stream;
  private readonly random: Xorshift;
  private sequence = 0;

  constructor(stream: Stream) {
    this.stream = stream;
    this.random = new Xorshift(0x9e3779b9 + STREAMS.indexOf(stream));
  }

  /** Write the next `n` accesses, of 8 bytes each. */
  fill(to: StreamColumns, n: number): void {
    for (let i = 0; i < n; i++) {
      to.va[2 * i] = this.offset();
      to.va[2 * i + 1] = VA_HI;
      const k = (this.random.next() >>> 0) % 20;
      to.kind[i] = k < 14 ? 0 : k < 19 ? 1 : 2;
      to.size[i] = 8;
    }
  }

  private offset(): number {
    if (this.stream === 'A0') return (this.sequence = (this.sequence + 72) & 0xffff);
    const page = this.random.next() & (this.stream === 'A1' ? 511 : 0x3ffff);
    return (page << 12) | (this.random.next() & 0xff8);
  }
}

/** checksum() of limit.c: physical addresses (all ones where an access faulted), then its counters. */
export class Checksum {
  private h = FNV_START;

  add(words: Int32Array, n = words.length): void {
    let h = this.h;
    for (let i = 0; i < n; i++) h = Math.imul(h ^ words[i], FNV_PRIME);
    this.h = h;
  }

  get hex(): string {
    return (this.h >>> 0).toString(16).padStart(8, '0');
  }
}
