/** Two equal machines under the same random operations: one by the TypeScript engine, one by the wasm engine. */
import { Xorshift } from '../../bench/xorshift.ts';
import { layColumns, type Accelerator, type BatchColumns } from '../../src/accel/engine.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { PTE_HI_XD, PTE_PS } from '../../src/arch/pte.ts';
import {
  CR0_CD, CR0_PG, CR0_WP, CR3_HI_NOFLUSH, CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PKE, CR4_PKS, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE, EFER_SCE,
} from '../../src/arch/registers.ts';
import { LAYOUT_VERSION } from '../../src/layout/header.ts';
import {
  VCPU_OUT_CYCLES, VCPU_OUT_FAULT, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE,
} from '../../src/layout/vcpu.ts';
import { runBatch } from '../../src/machine/batch.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { access } from '../../src/machine/span.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { wordOf } from '../../src/memory/extents.ts';
import { dropEverything, dropNonGlobal, dropPcid, dropPcidAndGlobal, invlpg, invpcid } from '../../src/mmu/invalidate.ts';
import { translate } from '../../src/mmu/translate.ts';
import { sameState, stateOf } from './state.ts';

const RAM = 2 ** 20, HOLE = 2 ** 28, FAR = 2 ** 33, UNBACKED = 2 ** 36, BATCH = 64, STREAM = 512;
const KINDS = [
  ACCESS_READ, ACCESS_READ, ACCESS_READ, ACCESS_READ, ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ | ACCESS_SHADOW_STACK, ACCESS_WRITE | ACCESS_SHADOW_STACK,
];

export interface DuelOptions extends MachineOptions {
  /** Linear pages in play: few make hits, many make walks. */
  readonly pages: number;
  /** Share of operations that are not accesses. */
  readonly unrest: number;
  /** Pages of 4K only: a TLB that holds no larger one takes shorter ways. Default false. */
  readonly small?: boolean;
  /** Share of accesses that are batches of them. Default 0.05. */
  readonly batches?: number;
  /** ... and streams: long batches, mostly to pages that did not fault before. Default 0. */
  readonly streams?: number;
  /** The device throws at one in 20 of what it is asked. Default false. */
  readonly broken?: boolean;
  /** Each machine is attached to once more, as by another thread, and either makes the next access. Default false. */
  readonly twice?: boolean;
}

/** What a broken device throws, and what an access is then said to have returned. */
const NO_ANSWER = new Error('no answer'), THROWN = -1;

/** The result of an access, or THROWN. */
function outcome(access: () => number): number {
  try {
    return access();
  } catch (error) {
    if (error !== NO_ANSWER) throw error;
    return THROWN;
  }
}

/** Random numbers, the same for the same seed. */
export class Random extends Xorshift {
  constructor(seed: number) {
    super(seed | 1);
  }

  below(n: number): number {
    return (this.next() >>> 0) % n;
  }

  chance(p: number): boolean {
    return this.below(100_000) < p * 100_000;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** How often each function of the wasm engine was called in the duels of this file. */
export const calls: Record<string, number> = {};

/** The functions of a machine's engine, counted. @param any - chooses the machine at each call */
function counting(any: () => Machine): Accelerator {
  return Object.fromEntries((Object.keys(any().accelerator!) as (keyof Accelerator)[]).map(name => {
    calls[name] ??= 0;
    return [name, (...args: number[]) => { calls[name]!++; return (any().accelerator![name] as (...args: number[]) => unknown)(...args); }];
  })) as unknown as Accelerator;
}

interface Side {
  readonly machine: Machine;
  /** Itself, and who is attached to its memory. */
  readonly machines: readonly Machine[];
  readonly columns: BatchColumns;
  readonly heard: string[];
}

export class Duel {
  readonly ts: Side;
  readonly wasm: Side;
  readonly engine: Accelerator;
  /** How often each result code came back. */
  readonly outcomes = new Map<number, number>();
  /** What decides on the next operation. */
  random: Random;
  private readonly options: DuelOptions;
  private readonly tables: readonly number[];
  private readonly vas: [number, number][] = [];
  /** Places of `vas` that a stream did not fault at when it was there last. */
  private readonly good = new Set<number>();
  private readonly nodes: number;

  constructor(options: DuelOptions, seed: number) {
    this.random = new Random(seed);
    this.options = options;
    this.nodes = options.distances?.length ?? 1;
    this.ts = this.side('ts');
    this.wasm = this.side('wasm');
    this.engine = counting(() => this.any(this.wasm));
    if (this.engine.layoutVersion() !== LAYOUT_VERSION) throw new Error('the wasm engine is of another layout');
    const near = Array.from({ length: 20 }, (_, k) => 0x40000 + k * 0x1000), far = Array.from({ length: 8 }, (_, k) => FAR + k * 0x1000);
    this.tables = [...near, ...far, HOLE, UNBACKED, 2 ** 40];
    for (const table of this.tables.slice(0, 28)) for (let k = 0; k < 1024; k += 2) this.putEntry(table + k * 4);
    for (let k = 0; k < options.pages; k++) this.vas.push(this.randomVa());
    for (const vcpu of this.ts.machine.vcpus.keys()) this.enter(vcpu);
  }

  private side(engine: 'ts' | 'wasm'): Side {
    const { pages: _, unrest: __, small: ___, batches: ____, streams: _____, broken, twice, ...options } = this.options;
    const heard: string[] = [];
    const heardIs = (what: string) => {
      if (heard.push(what) % 20 === 0 && broken) throw NO_ANSWER;
    };
    const handler = {
      // A device whose reads are entries that point at RAM now and then.
      read: (offset: number, bytes: number) => {
        heardIs(`read ${offset} ${bytes}`);
        return offset % 24 === 0 ? 0n : 0x40067n + BigInt((offset % 19) * 0x1000);
      },
      write: (offset: number, bytes: number, value: bigint) => heardIs(`write ${offset} ${bytes} ${value}`),
    };
    const last = this.nodes - 1;
    const all: MachineOptions = {
      ...options, engine,
      extents: [
        { base: 0, bytes: RAM }, { base: HOLE, bytes: 0x10000, kind: 'mmio', handler },
        { base: FAR, bytes: '64K', node: last }, { base: UNBACKED, bytes: '1G', kind: 'unbacked', node: last },
      ],
    };
    const machine = Machine.create(all), columns = layColumns(machine.views, STREAM);
    return { machine, machines: twice ? [machine, Machine.attach(machine.views.memory, all)] : [machine], columns, heard };
  }

  private any({ machines }: Side): Machine {
    return machines.length === 1 ? machines[0]! : this.random.of(machines);
  }

  private both(make: (machine: Machine, side: Side) => number): void {
    const a = make(this.ts.machine, this.ts), b = make(this.wasm.machine, this.wasm);
    if (a !== b) throw new Error(`TypeScript ${a}, wasm ${b}`);
  }

  /** A new entry in both machines at `pa`, 8 bytes: often a table, often a page, sometimes nonsense. */
  private putEntry(pa: number): void {
    const r = this.random;
    const { small, broken } = this.options, large = r.chance(0.08) && !small;
    const page = r.below(2 ** 6) * 2 ** 30 + (large && r.chance(0.9) ? 0 : r.below(2 ** 18) * 4096);
    const at = broken && r.chance(0.1) ? HOLE : !large && r.chance(0.95) ? r.of(r.chance(0.98) ? this.tables.slice(0, 28) : this.tables) : page;
    let flags = (r.next() & 0x160) | (large ? PTE_PS : 0); // A, D, G
    if (r.chance(0.98)) flags |= 1;
    if (r.chance(0.92)) flags |= 2;
    if (r.chance(0.92)) flags |= 4;
    if (r.chance(0.01)) flags |= r.next() & (small ? 0xf7f : 0xfff);
    let hi = Math.floor(at / 2 ** 32);
    if (r.chance(0.04)) hi |= PTE_HI_XD;
    if (r.chance(0.15)) hi |= r.below(16) << 27;
    if (r.chance(0.01)) hi |= r.next();
    for (const { machine } of [this.ts, this.wasm]) {
      const word = wordOf(machine.views, Math.floor(pa / 2 ** 32), pa | 0);
      machine.views.w[word] = at | flags;
      machine.views.w[word + 1] = this.options.paging === 'legacy' ? (at ^ 0x3000) | (flags ^ 0x22) : hi;
    }
  }

  private randomVa(): [number, number] {
    const r = this.random;
    const index = () => r.of([0, 1, 2, 3, 7, 300, 511]);
    const lo = (index() << 30) | (index() << 21) | (index() << 12);
    let hi = (index() >>> 2) | (index() << 7) | (this.options.paging === '5-level' ? index() << 16 : 0);
    hi = this.options.paging === '5-level' ? (hi << 7) >> 7 : (hi << 16) >> 16;
    if (r.chance(0.02)) hi ^= 1 << (15 + r.below(16));
    return [hi, lo];
  }

  private cpus(k: number): [Vcpu, Vcpu] {
    return [this.ts.machine.vcpus[k]!, this.wasm.machine.vcpus[k]!];
  }

  /** Bring a vCPU of both machines to the paging mode of the options, with one of the tables as its root. */
  private enter(k: number): void {
    const paging = this.options.paging ?? '4-level', long = paging === '4-level' || paging === '5-level';
    const extra = this.random.next() & this.random.next() & (CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PKS);
    const base = paging === 'legacy' ? CR4_PSE : CR4_PAE | (paging === '5-level' ? CR4_LA57 : 0);
    const root = this.random.of(this.tables.slice(0, 4));
    for (const cpu of this.cpus(k)) {
      cpu.reset();
      if (paging === 'none') continue;
      cpu.writeEfer(BigInt(EFER_SCE | (paging === 'legacy' ? 0 : EFER_NXE) | (long ? EFER_LME : 0)));
      cpu.writeCr4(BigInt(base | extra));
      cpu.writeCr3(BigInt(paging === 'pae' ? this.pdptes(root) : root));
      cpu.writeCr0(BigInt((CR0_PG | CR0_WP | 1) >>> 0));
    }
  }

  /** Four page-directory-pointer-table entries without reserved bits. */
  private pdptes(root: number): number {
    for (const { machine: { views } } of [this.ts, this.wasm]) {
      for (let k = 0; k < 4; k++) {
        views.w[(wordOf(views, 0, root)) + k * 2] = (this.tables[k + 4]!) | (k === 3 ? 0 : 1);
        views.w[(wordOf(views, 0, root)) + k * 2 + 1] = 0;
      }
    }
    return root;
  }

  private kind(): number {
    const r = this.random;
    return r.of(KINDS) | (r.chance(0.7) ? ACCESS_USER : 0) | (r.chance(0.05) ? ACCESS_IMPLICIT : 0) | (r.chance(0.05) ? ACCESS_STACK : 0);
  }

  private address(): [number, number] {
    const r = this.random, [hi, lo] = r.of(this.vas);
    return [hi, lo | r.below(4096)];
  }

  private access(k: number): void {
    const [hi, lo] = this.address(), kind = this.kind(), block = this.ts.machine.vcpus[k]!.block;
    const whole = this.random.chance(0.8);
    const machine = this.any(this.ts), { views } = machine, door = machine.vcpus[k]!; // the vCPU's own door answers repeated accesses itself (mmu/repeat.ts)
    const a = outcome(() => !whole ? translate(views, block >>> 2, hi, lo, kind) : this.random.chance(0.5) ? door.access(hi, lo, kind) : access(views, block >>> 2, hi, lo, kind));
    const make = !whole ? this.engine.translate : this.random.chance(0.5) ? this.engine.access : this.engine.accessAnew;
    const b = outcome(() => make(block, hi, lo, kind));
    if (a !== b) throw new Error(`access ${hi}:${lo} kind ${kind}: TypeScript ${a.toString(16)}, wasm ${b.toString(16)}`);
    this.outcomes.set(a, (this.outcomes.get(a) ?? 0) + 1);
    if (a === 0) this.sameResults(block, whole);
  }

  private sameResults(block: number, whole: boolean): void {
    const a = this.ts.machine.views.w, b = this.wasm.machine.views.w, walked = a[(block + VCPU_OUT_HIT) >>> 2] === 0;
    const left = [VCPU_OUT_LO, VCPU_OUT_HI, VCPU_OUT_SIZE, VCPU_OUT_HIT, ...(whole ? [VCPU_OUT_CYCLES] : []), ...(walked ? [VCPU_OUT_REFS] : [])];
    const other = left.find(field => a[(block + field) >>> 2] !== b[(block + field) >>> 2]);
    if (other !== undefined) throw new Error(`result ${other} of an access: TypeScript ${a[(block + other) >>> 2]}, wasm ${b[(block + other) >>> 2]}`);
  }

  private batch(k: number): number {
    const r = this.random, n = 1 + r.below(BATCH), wanted = r.chance(0.8), extra = r.chance(0.5) ? ACCESS_USER : 0, near = r.chance(0.5);
    let [hi, lo] = this.address();
    for (let i = 0; i < n; i++) {
      if (!near || r.chance(0.1)) [hi, lo] = this.address();
      else lo = (lo & ~0xfff) | r.below(4096);
      const kind = r.of([0, 0, 0, 1, 2, 3]), size = r.chance(0.95) ? 1 + r.below(8) : 1 + r.below(20000);
      for (const { columns } of [this.ts, this.wasm]) {
        columns.va[i * 2] = lo;
        columns.va[i * 2 + 1] = hi;
        columns.kind[i] = kind;
        columns.size[i] = size;
      }
    }
    const block = this.ts.machine.vcpus[k]!.block, { offsets } = this.wasm.columns;
    const columns = wanted ? this.ts.columns : { ...this.ts.columns, pa: undefined };
    this.both(m => m === this.ts.machine ? columns.kind.subarray(0, n).reduce((bits, kind) => bits | kind, 0) : this.engine.kindBits(offsets.kind, 0, n));
    // A batch goes on after each fault, as a caller that handles faults would.
    for (let from = 0; from < n; from++) {
      const a = outcome(() => runBatch(this.any(this.ts).views, block >>> 2, columns, from, n, extra));
      const b = outcome(() => this.engine.runBatch(block, offsets.va, offsets.kind, offsets.size, wanted ? offsets.pa : 0, from, n, extra));
      if (a !== b) throw new Error(`batch: TypeScript stops at ${a}, wasm at ${b}`);
      if (a === THROWN) { // what was noted before must be counted by now
        if (this.differences().length > 0) throw new Error(`batch in which a device threw: ${this.differences().join(' ')}`);
        break;
      }
      if (a < n) this.both(({ views }) => views.w[(block + VCPU_OUT_FAULT) >>> 2]!);
      from = a;
    }
    return n;
  }

  /** Up to 512 accesses, whose choices are made by a few numbers: less work than the accesses themselves. @returns how many */
  private stream(k: number): number {
    const r = this.random, { vas } = this, n = STREAM >>> r.below(3), good = [...this.good], known = good.length > 0 && r.chance(0.85), many = known ? good.length : vas.length;
    const first = r.below(many), span = 1 + r.below(known ? many : Math.min(16, many)), stores = r.below(4) * 64, { va, kind, size } = this.ts.columns, places: number[] = [];
    let x = r.next() | 1;
    for (let i = 0; i < n; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      const at = (first + (x >>> 8) % span) % many, place = known ? good[at]! : at, [hi, lo] = vas[place]!;
      places.push(place);
      va[i * 2] = lo | (x >>> 20);
      va[i * 2 + 1] = hi;
      kind[i] = (x & 0xff) < stores ? 1 : 0;
      size[i] = 1 + (x & 7);
    }
    this.wasm.columns.va.set(va.subarray(0, n * 2));
    this.wasm.columns.kind.set(kind.subarray(0, n));
    this.wasm.columns.size.set(size.subarray(0, n));
    return this.runStream(k, n, places, r.chance(0.7) ? ACCESS_USER : 0, known ? 0 : 4);
  }

  /** @param most - faults after which it ends @returns how many accesses were made */
  private runStream(k: number, n: number, places: readonly number[], extra: number, most: number): number {
    const block = this.ts.machine.vcpus[k]!.block, { offsets } = this.wasm.columns, bad = new Set<number>();
    let from = 0;
    for (; from < n && bad.size <= most; from++) {
      const a = outcome(() => runBatch(this.any(this.ts).views, block >>> 2, this.ts.columns, from, n, extra));
      const b = outcome(() => this.engine.runBatch(block, offsets.va, offsets.kind, offsets.size, offsets.pa, from, n, extra));
      if (a !== b) throw new Error(`stream: TypeScript stops at ${a}, wasm at ${b}`);
      if (a === THROWN) break;
      from = a;
      if (a < n) bad.add(places[a]!);
    }
    const made = Math.min(from, n);
    for (let i = 0; i < made; i++) this.good.add(places[i]!);
    for (const place of bad) this.good.delete(place);
    return made;
  }

  private invalidate(k: number): void {
    const r = this.random, block = this.ts.machine.vcpus[k]!.block, v = block >>> 2, w = this.ts.machine.views.w, e = this.engine;
    const [hi, lo] = this.address(), pcid = r.below(4);
    switch (r.below(10)) {
      case 0: dropEverything(w, v); e.dropEverything(block); break;
      case 1: dropNonGlobal(w, v); e.dropNonGlobal(block); break;
      case 2: dropPcid(w, v, pcid); e.dropPcid(block, pcid); break;
      case 3: dropPcidAndGlobal(w, v, pcid << 13); e.dropPcidAndGlobal(block, pcid << 13); break;
      case 4: case 5: {
        const type = r.below(6) - 1, high = r.chance(0.1) ? 1 : 0;
        this.both(m => m === this.ts.machine ? invpcid(w, v, type, pcid, high, hi, lo) : e.invpcid(block, type, pcid, high, hi, lo));
        break;
      }
      default: invlpg(w, v, hi, lo); e.invlpg(block, hi, lo);
    }
  }

  private control(k: number): void {
    const r = this.random, toggle = (value: bigint, bits: number): bigint => value ^ BigInt(bits >>> 0);
    const what = r.below(12), bits4 = r.of([CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PKE, CR4_PKS, CR4_PCIDE, CR4_PCIDE, CR4_PSE]);
    const bits0 = r.of([CR0_WP, CR0_WP, CR0_WP, CR0_CD, CR0_PG]), root = r.of(this.tables.slice(0, 4)), word = r.next();
    const pcid = r.below(4), keep = r.chance(0.5) ? BigInt(CR3_HI_NOFLUSH >>> 0) << 32n : 0n;
    if (what === 0) return this.enter(k);
    const results = this.cpus(k).map((cpu): number => {
      const { cr0, cr4, efer } = cpu.registers;
      if (what < 5) return cpu.writeCr3(BigInt(root | (cr4 & BigInt(CR4_PCIDE) ? pcid : 0)) | keep);
      if (what < 7) return cpu.writeCr4(toggle(cr4, bits4));
      if (what === 7) return cpu.writeCr0(toggle(cr0, bits0));
      if (what === 8) return cpu.writeEfer(toggle(efer, EFER_NXE));
      if (what === 9) return cpu.writePkrs(BigInt(word >>> 0));
      if (what === 10) cpu.writePkru(word);
      else cpu.setAc((word & 1) !== 0);
      return 0;
    });
    if (results[0] !== results[1]) throw new Error(`control register write: ${results.join(' and ')}`);
  }

  /** Make about `n` operations. @throws at the first difference in a result */
  run(n: number): void {
    for (let done = 0; done < n; done += this.step());
  }

  /** Make one operation. @returns how many it counts as */
  step(): number {
    const r = this.random, { unrest, batches = 0.05, streams = 0 } = this.options, k = r.below(this.ts.machine.vcpus.length);
    if (streams > 0 && r.chance(streams)) return 1 + this.stream(k);
    if (!r.chance(unrest)) {
      if (r.chance(batches)) return 1 + this.batch(k);
      this.access(k);
    } else if (r.chance(0.4)) this.putEntry(r.of(this.tables.slice(0, 28)) + r.of([0, 1, 2, 3, 7, 300, 511]) * 8);
    else if (r.chance(0.6)) this.invalidate(k);
    else this.control(k);
    return 1;
  }

  /** The memory of both machines was made what it was: so is all else. */
  rewound(): void {
    for (const { machine: { views }, heard } of [this.ts, this.wasm]) {
      views.look();
      heard.length = 0;
    }
    this.good.clear();
  }

  /** Byte offsets at which the two states differ, the first few. */
  differences(): number[] {
    if (sameState(this.ts.machine, this.wasm.machine)) return [];
    const a = stateOf(this.ts.machine), b = stateOf(this.wasm.machine);
    const found: number[] = [];
    for (let i = 0; i < a.length && found.length < 8; i++) if (a[i] !== b[i]) found.push(i);
    return found;
  }
}
