/** One virtual CPU: its registers, its translations, its cached translations. The friendly door, and the fast one. */
import type { Accelerator } from '../accel/engine.ts';
import { ACCESS_ALL, ACCESS_FETCH, ACCESS_WRITE, EXIT_NPF, FAULT_NONE, FAULT_PF, faultCode, faultVector } from '../arch/fault.ts';
import { CR0_CD, CR0_ET, CR0_NW } from '../arch/registers.ts';
import { ConfigError } from '../errors.ts';
import {
  CNT_AD_SETS, CNT_DATA_CYCLES, CNT_DATA_HITS, CNT_DEPTH, CNT_FAULTS, CNT_HITS, CNT_HOST_HITS, CNT_HYPERVISOR_CYCLES, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS,
  CNT_REMOTE, CNT_SLOW, CNT_WALK_CYCLES,
} from '../layout/counter.ts';
import {
  MODE_NONE, SERVICE_FETCH, SERVICE_LOAD, SERVICE_STORE, VCPU_AC, VCPU_BYTES, VCPU_CR0, VCPU_CR2_HI, VCPU_CR2_LO, VCPU_CR3_HI, VCPU_CR3_LO, VCPU_CR4, VCPU_CS64, VCPU_EFER, VCPU_FAST, VCPU_MODE, VCPU_NEST,
  VCPU_OUT_CYCLES, VCPU_OUT_FAULT, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE, VCPU_PDPTE, VCPU_PKRS, VCPU_PKRU,
  VCPU_TLB_CYCLES, VCPU_TLB_LEVELS,
} from '../layout/vcpu.ts';
import { readBytes, writeBytes } from '../memory/bytes.ts';
import { readCounter, resetCounters } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { writeAc, writeCr0, writeCr3, writeCr4, writeEfer, writePkru, writePkrs } from '../mmu/control.ts';
import { dropEverything, invlpg, invpcid } from '../mmu/invalidate.ts';
import { recompute } from '../mmu/mode.ts';
import { repeat, repeatSlot } from '../mmu/repeat.ts';
import { recomputeRights } from '../mmu/rights.ts';
import { check64, checkPhysical, hiWord, joinWords, loWord } from './address.ts';
import { KIND_ALL, refusedKind, runBatch } from './batch.ts';
import { checkColumns, makeColumns, type AccessInput } from './columns.ts';
import { explain, probe, type Explanation, type Probe, type Root } from './explain.ts';
import { exitOf, type GuestExit } from './guest-exit.ts';
import { GuestMode } from './guest-mode.ts';
import { AccessQueue } from './queue.ts';
import { accessSpan } from './span.ts';
import { SwiftAccess } from './swift-access.ts';

/** Outcome of one access. A fault is a result, not an exception of this library. */
export type Translation =
  | { readonly ok: true; readonly paddr: bigint; readonly pageBytes: number; readonly cycles: number; readonly path: string }
  | {
    readonly ok: false; readonly vector: number; readonly errorCode: number; readonly cr2: bigint | undefined; readonly cycles: number;
    /** The second stage stopped the guest: then `vector` is above 255 and its hypervisor is told this. */
    readonly exit?: GuestExit;
  };

/** Control registers and their like; see the manual for the bits. */
export interface Registers {
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly pkru: number;
  readonly pkrs: number;
  /** EFLAGS.AC. */
  readonly ac: boolean;
  /** Page-directory-pointer-table entry registers, used by PAE paging. */
  readonly pdpte: readonly bigint[];
}

/** Accesses of one call into wasm: code that runs since before it was optimized stays as it was until it returns. */
const BATCH_MOST = 65536;
/** ... from one look into the mailbox to the next, where a thread plays the vCPU and others may wait for invalidations. */
const PLAYED_MOST = 4096;
/** ... of the first call: their kinds are looked at beforehand, and a batch begins again after each fault. */
const BATCH_FIRST = 128;

const SERVICES = ['load', 'store', 'fetch'] as const;
const SIZES = ['4k', '2m', '1g'] as const;

/** Counts since creation or `resetCounters()`. Arrays are by TLB level, cache level or size as named. */
export interface Counters {
  readonly translations: Readonly<Record<(typeof SERVICES)[number], number>>;
  readonly hits: readonly Readonly<Record<(typeof SERVICES)[number], number>>[];
  readonly missesBySize: readonly Readonly<Record<(typeof SIZES)[number], number>>[];
  readonly walks: number;
  /** Walks by entries read, 0 to 5. */
  readonly walkDepth: readonly number[];
  readonly faults: number;
  /** Entries read by where they hit: cache levels 1 to 3, memory. */
  readonly referenceHits: readonly number[];
  readonly dataHits: readonly number[];
  /** Entries read of the host's: of the second stage, or of the option `host`; likewise. */
  readonly hostHits: readonly number[];
  readonly cycles: { readonly tlb: number; readonly walkStart: number; readonly walkLoads: number; readonly data: number; readonly hypervisor: number };
  /** Entries changed to set A or D. */
  readonly adSets: number;
  readonly remoteLoads: number;
}

/** One virtual CPU of a machine. Made by `Machine.create()`. */
export class Vcpu {
  /** Byte offset of the vCPU block in machine memory, for callers that read its words (`vcpuBlock`) themselves. */
  readonly block: number;
  /** Running guests, where the machine has the option `nested`. */
  readonly guest: GuestMode;
  private readonly s: Views;
  private readonly v: number;
  private readonly scratch: number;
  /** The words of the block: results are read from here, because it takes fewer loads than by way of all of memory. */
  private words: Int32Array;
  /** Where in `words` the memos are: of loads and stores together, -1 if they have two, whose choice depends on what no processor can predict. */
  private readonly dataMemo: number;
  private readonly loadMemo: number;
  private readonly storeMemo: number;
  private readonly fetchMemo: number;
  private readonly cacheNames: readonly string[];
  private readonly wasm: Accelerator | undefined;
  private unlooked = 0; // accesses of batches since the last look into the mailbox
  private readonly swift: SwiftAccess;
  private readonly wasmAccess: Accelerator['accessAnew'] | undefined;

  /** Made by `Machine.create` and `Machine.attach`. Offsets in bytes. The first of a block resets it; others find it as it is. */
  constructor(s: Views, block: number, scratch: number, cacheNames: readonly string[], wasm: Accelerator | undefined, first = true) {
    this.s = s;
    this.block = block;
    this.guest = new GuestMode(s, block);
    this.v = block >>> 2;
    this.scratch = scratch >>> 2;
    this.cacheNames = cacheNames;
    this.wasm = wasm;
    this.wasmAccess = wasm?.accessAnew;
    this.swift = new SwiftAccess(s, this.v);
    this.words = this.blockWords();
    [this.loadMemo, this.storeMemo, this.fetchMemo] = [SERVICE_LOAD, SERVICE_STORE, SERVICE_FETCH].map(service => repeatSlot(this.words, block, service));
    this.dataMemo = this.loadMemo === this.storeMemo ? this.loadMemo : -1;
    if (!s.shared) s.replaced.push(() => { this.words = this.blockWords(); }); // shared memory stays where it was when it grows
    if (first) this.reset();
  }

  /** Registers as after a hardware reset (paging off), nothing cached. Counters stay. Source: SDM vol. 3A, "Processor State After Reset". */
  reset(): void {
    const w = this.s.w, v = this.v;
    for (const r of [VCPU_CR2_LO, VCPU_CR2_HI, VCPU_CR3_LO, VCPU_CR3_HI, VCPU_CR4, VCPU_EFER, VCPU_PKRU, VCPU_PKRS, VCPU_AC, VCPU_CS64]) w[v + (r >>> 2)] = 0;
    w[v + (VCPU_CR0 >>> 2)] = CR0_CD | CR0_NW | CR0_ET;
    w.fill(0, v + (VCPU_PDPTE >>> 2), v + (VCPU_PDPTE >>> 2) + 8);
    dropEverything(w, v);
    recompute(w, v);
    recomputeRights(w, v);
  }

  /**
   * Translate one linear address the way the processor would for one access that stays inside a page.
   *
   * @param va - linear address, 0 <= va < 2^64 (the high half is ignored outside 64-bit paging)
   * @param kind - sum of ACCESS_* bits; 0 is a supervisor data read
   * @returns `paddr` in bytes, `pageBytes` of the cached translation, `cycles`; or the exception: vector 14 (#PF), 13 (#GP) or 12 (#SS)
   * @throws ConfigError - `va` is not a 64-bit address
   *
   * Memory: sets A and D in the entries used. Allocates an object; loops should call `access()`.
   * Source: Intel SDM vol. 3A, chapter "Paging".
   */
  translate(va: bigint, kind: number): Translation {
    check64(va, 'va');
    checkAccess(kind);
    const fault = this.access(hiWord(va), loWord(va), kind);
    const cycles = this.word(VCPU_OUT_CYCLES);
    if (fault !== FAULT_NONE) return this.refusal(fault, cycles);
    return { ok: true, paddr: this.paddr, pageBytes: this.pageBytes(), cycles, path: this.path() };
  }

  /**
   * The fast door: numbers in, code out, nothing allocated or checked. Results are in `paddrLo`, `paddrHi`, `cycles`.
   *
   * @param vaHi, vaLo - the address as two 32-bit words, signed or not @param kind - sum of ACCESS_* bits
   * @returns FAULT_NONE, or `vector << 16 | error code`
   */
  access(vaHi: number, vaLo: number, kind: number): number {
    let memo = kind & ACCESS_FETCH ? this.fetchMemo : this.dataMemo;
    if (memo < 0) memo = kind & ACCESS_WRITE ? this.storeMemo : this.loadMemo;
    if (repeat(this.words, memo, vaHi | 0, vaLo | 0, kind)) return FAULT_NONE;
    return this.wasmAccess === undefined ? this.swift.make(vaHi | 0, vaLo | 0, kind) : this.wasmAccess(this.block, vaHi, vaLo, kind);
  }

  /**
   * Make accesses `from` up to but not including `to` of columns: each as `access()` does, page by page; a modify loads, then stores.
   *
   * @param columns - from `Machine.columns()` of this machine @param extra - ACCESS_* bits added to each, such as ACCESS_USER
   * @returns `to`, or the index of the first access that faulted, which can be made again; `batchFault` is its fault
   * @throws ConfigError - columns of another machine, a range outside them, `extra`; or a kind above 3, perhaps after accesses before it were made
   *
   * What a device's handler throws comes through; which of the accesses before it were made is not told then.
   *
   * A thread that plays a vCPU (`Machine.play()`) looks into its mailbox after at most 4096 accesses: what others invalidate is not used longer.
   */
  runBatch(columns: AccessInput, from: number, to: number, extra = 0): number {
    checkColumns(this.s, columns, from, to);
    checkAccess(extra, 'extra');
    const isPlayed = this.s.locks.waiting !== undefined;
    if (columns.offsets === undefined && !isPlayed) return runBatch(this.s, this.v, columns, from, to, extra);
    const limit = isPlayed ? PLAYED_MOST : BATCH_MOST;
    for (let at = from, most = BATCH_FIRST; at < to; most = Math.min(most * 4, limit)) {
      const end = Math.min(to, at + most);
      if (isPlayed) this.lookBefore(end - at);
      at = columns.offsets === undefined ? runBatch(this.s, this.v, columns, at, end, extra) : this.runInWasm(columns, columns.offsets, at, end, extra);
      if (at < end) return at;
    }
    return to;
  }

  /** Look into the mailbox, if so many accesses more were too many. */
  private lookBefore(accesses: number): void {
    this.unlooked += accesses;
    if (this.unlooked <= PLAYED_MOST) return;
    this.s.locks.pass();
    this.unlooked = accesses;
  }

  private runInWasm({ kind }: AccessInput, offsets: NonNullable<AccessInput['offsets']>, from: number, to: number, extra: number): number {
    if (this.wasm!.kindBits(offsets.kind, from, to) > KIND_ALL) throw refusedKind(kind, kind.findIndex((k, i) => i >= from && k > KIND_ALL));
    return this.wasm!.runBatch(this.block, offsets.va, offsets.kind, offsets.size, offsets.pa, from, to, extra);
  }

  /** The fault at which the last `runBatch()` stopped. */
  get batchFault(): number { return this.word(VCPU_OUT_FAULT); }

  /** A queue of at most `capacity` accesses (1 to 2^24) for callers that do not need the answers at once. @throws ConfigError */
  queue(capacity: number): AccessQueue {
    return new AccessQueue(this, makeColumns(this.s, this.wasm !== undefined, capacity));
  }

  /**
   * An access of 1 to 65536 bytes that may cross pages: every page is checked before any is used. CR2 is the address of the part that faults.
   *
   * @returns the first piece's translation and all pieces, or the fault
   */
  accessBytes(va: bigint, bytes: number, kind: number): { readonly fault: number; readonly cycles: number; readonly pieces: readonly { readonly pa: number; readonly bytes: number }[] } {
    check64(va, 'va');
    checkAccess(kind);
    if (!Number.isInteger(bytes) || bytes < 1 || bytes > 65536) throw new ConfigError('bytes', 'an integer from 1 to 65536', bytes);
    return accessSpan(this.s, this.v, this, va, bytes, kind);
  }

  /** Read linear memory. @returns FAULT_NONE with `out` filled, or a fault with `out` untouched */
  read(va: bigint, out: Uint8Array, kind: number): number {
    const span = this.accessBytes(va, out.length, kind);
    let at = 0;
    for (const p of span.pieces) readBytes(this.s, p.pa, out.subarray(at, at += p.bytes));
    return span.fault;
  }

  /** Write linear memory; ACCESS_WRITE is added to `kind`. @returns FAULT_NONE, or a fault with nothing written */
  write(va: bigint, data: Uint8Array, kind: number): number {
    const span = this.accessBytes(va, data.length, kind | ACCESS_WRITE);
    let at = 0;
    for (const p of span.pieces) writeBytes(this.s, p.pa, data.subarray(at, at += p.bytes));
    return span.fault;
  }

  /** Translate by the tables alone, by this vCPU's root or another, with no effect on anything. @throws ConfigError - `va` */
  probe(va: bigint, kind: number, by: Root = {}): Probe {
    check64(va, 'va');
    if (by.root !== undefined) checkPhysical(by.root, 'root');
    return probe(this.s, this.v, this.scratch, hiWord(va), loWord(va), kind, by);
  }

  /** List every reference of a translation, with no effect on anything. @throws ConfigError - `va` */
  explain(va: bigint, kind: number): Explanation {
    check64(va, 'va');
    checkAccess(kind);
    return explain(this.s, this.v, this.scratch, hiWord(va), loWord(va), kind, this.cacheNames);
  }

  // Each returns FAULT_NONE, or FAULT_GP with nothing changed, and throws ConfigError for what is no 64-bit value.
  /** MOV to CR0. */
  writeCr0(value: bigint): number { return writeCr0(this.s, this.v, hiWord(check64(value, 'cr0')), loWord(value)); }
  /** MOV to CR3; bit 63 is obeyed when CR4.PCIDE = 1. PAE paging loads its PDPTE registers. */
  writeCr3(value: bigint): number { return writeCr3(this.s, this.v, hiWord(check64(value, 'cr3')), loWord(value)); }
  /** MOV to CR4. */
  writeCr4(value: bigint): number { return writeCr4(this.s, this.v, hiWord(check64(value, 'cr4')), loWord(value)); }
  /** WRMSR to IA32_EFER. */
  writeEfer(value: bigint): number { return writeEfer(this.s, this.v, hiWord(check64(value, 'efer')), loWord(value)); }

  /** WRPKRU: two bits (AD, WD) for each of 16 keys. */
  writePkru(value: number): void { writePkru(this.s, this.v, value | 0); }
  /** WRMSR IA32_PKRS. @returns FAULT_NONE or FAULT_GP */
  writePkrs(value: bigint): number { return writePkrs(this.s, this.v, hiWord(check64(value, 'pkrs')), loWord(value)); }
  /** EFLAGS.AC. */
  setAc(on: boolean): void { writeAc(this.s, this.v, on); }
  /** CS.L: whether code runs in 64-bit mode, which some control-register writes ask. */
  setCode64(on: boolean): void { this.s.w[this.v + (VCPU_CS64 >>> 2)] = on ? 1 : 0; }

  /** The registers as they are now. */
  get registers(): Registers {
    const pair = (lo: number, hi: number) => joinWords(this.word(hi), this.word(lo));
    return {
      cr0: joinWords(0, this.word(VCPU_CR0)), cr2: pair(VCPU_CR2_LO, VCPU_CR2_HI), cr3: pair(VCPU_CR3_LO, VCPU_CR3_HI),
      cr4: joinWords(0, this.word(VCPU_CR4)), efer: joinWords(0, this.word(VCPU_EFER)),
      pkru: this.word(VCPU_PKRU) >>> 0, pkrs: this.word(VCPU_PKRS) >>> 0, ac: this.word(VCPU_AC) !== 0,
      pdpte: [0, 8, 16, 24].map(at => pair(VCPU_PDPTE + at, VCPU_PDPTE + at + 4)),
    };
  }

  /** INVLPG. */
  invlpg(va: bigint): void {
    const hi = hiWord(check64(va, 'va')), lo = loWord(va);
    if (this.wasm) this.wasm.invlpg(this.block, hi, lo);
    else invlpg(this.s.w, this.v, hi, lo);
  }

  /** INVPCID with both halves of its descriptor. @param type - 0 address, 1 one PCID, 2 everything, 3 everything but global. @returns FAULT_NONE, FAULT_GP or FAULT_UD. @throws ConfigError - not 64 bits, or no integer */
  invpcid(type: number, pcid: bigint, va: bigint): number {
    check64(pcid, 'pcid');
    if (!Number.isInteger(type)) throw new ConfigError('type', 'an integer', type);
    const hi = hiWord(check64(va, 'va')), lo = loWord(va), d0Lo = loWord(pcid), d0Hi = hiWord(pcid);
    return this.wasm ? this.wasm.invpcid(this.block, type, d0Lo, d0Hi, hi, lo) : invpcid(this.s.w, this.v, type, d0Lo, d0Hi, hi, lo);
  }

  /**
   * Byte offset of this vCPU's fast table in machine memory, 0 in timed mode. How to probe it: the export `fastTable`. The offset is for
   * life; the typed arrays over `machine.views` are replaced when memory is hot-plugged.
   */
  get fastTable(): number { return this.word(VCPU_FAST); }

  /** Forget every cached translation. */
  flush(): void {
    if (this.wasm) this.wasm.dropEverything(this.block);
    else dropEverything(this.s.w, this.v);
  }

  /** Physical address of the last `access()`, if it did not fault and no batch came after it: its low word. */
  get paddrLo(): number { return this.words[VCPU_OUT_LO >>> 2]; }
  /** ... its high word. */
  get paddrHi(): number { return this.words[VCPU_OUT_HI >>> 2]; }
  /** ... and both. */
  get paddr(): bigint { return joinWords(this.paddrHi, this.paddrLo); }
  /** Cycles of the last `access()`, if no batch came after it; 0 in functional mode. */
  get cycles(): number { return this.words[VCPU_OUT_CYCLES >>> 2]; }

  /** What was counted since creation or `resetCounters()`. Allocates. */
  counters(): Counters {
    const at = (n: number) => readCounter(this.s.w, this.v, n);
    const by = <K extends string>(names: readonly K[], first: number) => Object.fromEntries(names.map((name, k) => [name, at(first + k)])) as Record<K, number>;
    const levels = Array.from({ length: this.word(VCPU_TLB_LEVELS) }, (_, l) => l);
    const list = (n: number, first: number) => Array.from({ length: n }, (_, k) => at(first + k));
    const hits = levels.map(l => by(SERVICES, CNT_HITS + l * 3));
    const answered = (l: number) => SERVICES.reduce((sum, _, k) => sum + at(CNT_HITS + l * 3 + k), 0);
    const first = (k: number) => at(CNT_SLOW + k) + at(CNT_HITS + k);
    const nest = this.word(VCPU_NEST), ofSecondStage = (n: number) => (nest === 0 ? 0 : readCounter(this.s.w, nest >>> 2, n));
    return {
      translations: { load: first(0), store: first(1), fetch: first(2) },
      hits,
      missesBySize: levels.map(l => by(SIZES, CNT_MISS_SIZE + l * 3)),
      walks: list(6, CNT_DEPTH).reduce((sum, n) => sum + n), walkDepth: list(6, CNT_DEPTH), faults: at(CNT_FAULTS),
      referenceHits: list(4, CNT_REF_HITS), dataHits: list(4, CNT_DATA_HITS), hostHits: list(4, CNT_HOST_HITS).map((count, k) => count + ofSecondStage(CNT_REF_HITS + k)),
      cycles: {
        tlb: levels.reduce((sum, l) => sum + answered(l) * this.word(VCPU_TLB_CYCLES + l * 4), 0),
        walkStart: at(CNT_WALK_CYCLES), walkLoads: at(CNT_LOAD_CYCLES), data: at(CNT_DATA_CYCLES), hypervisor: at(CNT_HYPERVISOR_CYCLES),
      },
      adSets: at(CNT_AD_SETS), remoteLoads: at(CNT_REMOTE),
    };
  }

  /** Sums of `counters()`, for those who ask often: translations that the first TLB level did not have, walks, and all cycles. */
  totals(): { readonly l1Misses: number; readonly walks: number; readonly cycles: number } {
    const { w } = this.s, sum = (first: number, n: number): number => {
      let total = 0;
      for (let k = first; k < first + n; k++) total += readCounter(w, this.v, k);
      return total;
    };
    let cycles = sum(CNT_WALK_CYCLES, 1) + sum(CNT_LOAD_CYCLES, 1) + sum(CNT_DATA_CYCLES, 1);
    for (let l = 0; l < this.word(VCPU_TLB_LEVELS); l++) cycles += sum(CNT_HITS + l * 3, 3) * this.word(VCPU_TLB_CYCLES + l * 4);
    return { l1Misses: sum(CNT_SLOW, 3), walks: sum(CNT_DEPTH, 6), cycles };
  }

  /** Set all counts to 0. */
  resetCounters(): void {
    resetCounters(this.s.w, this.v);
    if (this.word(VCPU_NEST) !== 0) resetCounters(this.s.w, this.word(VCPU_NEST) >>> 2);
  }

  private blockWords(): Int32Array {
    return new Int32Array(this.s.memory.buffer, this.block, VCPU_BYTES >>> 2);
  }

  private word(field: number): number {
    return this.words[field >>> 2];
  }

  private pageBytes(): number {
    return this.word(VCPU_MODE) === MODE_NONE ? 4096 : 4096 * 512 ** this.word(VCPU_OUT_SIZE);
  }

  private path(): string {
    if (this.word(VCPU_MODE) === MODE_NONE) return 'unpaged';
    const hit = this.word(VCPU_OUT_HIT);
    if (this.word(VCPU_TLB_LEVELS) === 0) return hit ? 'fast table' : `walk ${this.word(VCPU_OUT_REFS)} loads`;
    const missed = Array.from({ length: hit > 0 ? hit - 1 : this.word(VCPU_TLB_LEVELS) }, (_, l) => `tlb${l + 1}-`);
    return [...missed, hit > 0 ? `tlb${hit}+` : `walk ${this.word(VCPU_OUT_REFS)} loads`].join(' ');
  }

  private refusal(fault: number, cycles: number): Translation {
    const cr2 = fault >>> 16 === FAULT_PF >>> 16 ? joinWords(this.word(VCPU_CR2_HI), this.word(VCPU_CR2_LO)) : undefined;
    const refused = { ok: false, vector: faultVector(fault), errorCode: faultCode(fault), cr2, cycles } as const;
    return fault >>> 16 < EXIT_NPF >>> 16 ? refused : { ...refused, exit: exitOf(this.s.w, this.v, fault) };
  }
}

/** @throws ConfigError - not a sum of ACCESS_* bits */
function checkAccess(kind: unknown, field = 'kind'): void {
  if (typeof kind !== 'number' || (kind & ACCESS_ALL) !== kind) throw new ConfigError(field, 'a sum of ACCESS_* bits', kind);
}
