/**
 * A kernel under shadow paging: its frames are guest-physical ones, scattered over machine memory, and its tables are only what shadows are made of.
 *
 * Page faults, loads of CR3, INVLPG and stores to tables go to the hypervisor. The kernel stores by its direct map of all memory; of these stores, and of
 * its writes of whole pages, only the exits are counted: translations of a kernel's own accesses are left out in every way.
 *
 * Source of the direct map: Linux up to 4.19, Documentation/x86/x86_64/mm.txt. Of the size of the pool: Xen 4.17 tools/libs/light/libxl_create.c,
 *         libxl__get_required_paging_memory().
 */
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF, faultCode, faultVector, PFEC_I, PFEC_W } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW } from '../arch/pte.ts';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PCIDE, CR4_PGE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { checkShadowCosts, shadowCosts, type ShadowCosts } from '../cost/shadow-costs.ts';
import { figure } from '../cost/cpu-model.ts';
import { ConfigError, invariant } from '../errors.ts';
import { VCPU_CR2_HI, VCPU_CR2_LO } from '../layout/vcpu.ts';
import { joinWords } from '../machine/address.ts';
import type { AccessColumns } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import type { ShadowPolicy } from '../virt/shadow/policy.ts';
import { ACCESS_AGAIN, BY_PROCESSOR, type ShadowVcpu } from '../virt/shadow/shadow-vcpu.ts';
import { ShadowedGuest } from '../virt/shadow/shadowed-guest.ts';
import type { WorkName } from '../virt/shadow/work.ts';
import { NOT_A_PAGE_FAULT } from './bare.ts';
import { ENTRIES, PAGE_BYTES, PAGE_WORDS, type NativePlatform } from './platform.ts';

export interface ShadowedOptions {
  /** What the hypervisor may choose, but that pages of processes which were tables once are not shadowed any more. */
  readonly policy?: Partial<ShadowPolicy>;
  /** Size of the machine's memory that the guest's is made of: `4k`, in no order, or `2m`. Default `4k`. */
  readonly hostPages?: '4k' | '2m';
  /** Frames for shadows. Default: 256, and 2 for each MByte of the machine. */
  readonly poolFrames?: number;
}

const FIRST_FRAME = 1; //          guest frame 0 is never used: a root of 0 is a common mistake
const FRAMES_OF_MBYTE = 256;
const DIRECT_MAP_SLOT = 272;
const DIRECT_MAP_HI = 0xffff8800 | 0;
const TABLE = PTE_P | PTE_RW | PTE_A;
const LARGE = PTE_P | PTE_RW | PTE_A | PTE_D | PTE_PS;
const ENTRY_BYTES = 8;

export class Shadowed implements NativePlatform {
  readonly machine: Machine;
  /** The hardware's. */
  readonly cpu: Vcpu;
  readonly s: Views;
  readonly first: number;
  readonly end: number;
  readonly guest: ShadowedGuest;
  /** Price of each kind of work, in cycles. */
  readonly prices: Readonly<Record<WorkName, number>>;
  faultCode = 0;
  faultAddress = 0;
  private readonly virtual: ShadowVcpu;
  private readonly p2m: Int32Array;
  private readonly directMap: number; // its third-level table
  private readonly entry = new Uint8Array(ENTRY_BYTES);
  private readonly words = new Int32Array(this.entry.buffer);

  /** @param machine - with `paging: 'none'` @param costs - of the hypervisor's work @throws ConfigError - an option, or too little memory */
  constructor(machine: Machine, { policy, hostPages = '4k', poolFrames }: ShadowedOptions = {}, costs: ShadowCosts = shadowCosts) {
    if (hostPages !== '4k' && hostPages !== '2m') throw new ConfigError('shadow.hostPages', '4k or 2m', hostPages);
    if (policy?.unshadow === false) throw new ConfigError('shadow.policy.unshadow', 'true', false);
    const all = machine.extents[0].frames, frames = poolFrames ?? FRAMES_OF_MBYTE + 2 * Math.ceil(all / FRAMES_OF_MBYTE);
    if (poolFrames !== undefined && (!Number.isInteger(frames) || frames < 0 || frames > all)) throw new ConfigError('shadow.poolFrames', `an integer from 0 to ${all}`, poolFrames);
    const base = Math.ceil((1 + frames) / ENTRIES) * ENTRIES, end = Math.floor((all - base) / ENTRIES) * ENTRIES;
    if (end <= 0) throw new ConfigError('memory', `at least ${(base + ENTRIES) * PAGE_BYTES} bytes`, all * PAGE_BYTES);
    this.machine = machine;
    this.cpu = machine.vcpus[0];
    this.s = machine.views;
    this.end = end;
    this.p2m = Int32Array.from({ length: end }, (_, frame) => base + (hostPages === '2m' ? frame : scatter(frame)));
    this.prices = Object.fromEntries(Object.entries(checkShadowCosts(costs)).map(([kind, price]) => [kind, figure(price)])) as Record<keyof ShadowCosts, number>;
    this.guest = ShadowedGuest.create({ machine, vcpus: [this.cpu], p2m: this.p2m, pool: { first: 1, frames }, costs: this.prices, ...(policy && { policy }) });
    this.virtual = this.guest.vcpus[0];
    this.directMap = FIRST_FRAME;
    this.first = this.buildDirectMap();
    this.start();
  }

  nameOf(frame: number): number { return frame; }
  frameOf(name: number): number { return name; }
  wordOf(frame: number): number { return wordOf(this.s, Math.floor(this.p2m[frame] / 0x100000), this.p2m[frame] << 12); }

  storeEntry(frame: number, slot: number, lo: number, hi: number): void {
    if (this.isDirect(frame, slot * ENTRY_BYTES)) storeEntry(this.s, this.wordOf(frame) + slot * 2, lo, hi);
    else this.emulate(lo, hi);
  }

  /** Entry by entry while the frame is one of the tables that the hypervisor follows, then all that is left. */
  writePage(frame: number, words: Int32Array): void {
    let at = 0;
    while (at < PAGE_WORDS && !this.isDirect(frame, at * 4)) {
      this.emulate(words[at], words[at + 1]);
      at += 2;
    }
    this.s.w.set(at === 0 ? words : words.subarray(at), this.wordOf(frame) + at);
  }

  addKernelHalf(root: number): void {
    this.storeEntry(root, DIRECT_MAP_SLOT, (this.directMap << 12) | TABLE, 0);
  }

  loadRoot(frame: number, low: number, high: number): void {
    const fault = this.virtual.writeCr3(joinWords(high | Math.floor(frame / 0x100000), (frame << 12) | low));
    invariant(fault === FAULT_NONE, 'the kernel loads roots that can be loaded');
  }

  invlpg(address: number): void { this.virtual.invlpg(BigInt(address)); }
  flush(): void { this.virtual.flush(); }
  enablePcids(): boolean { return this.virtual.writeCr4(this.virtual.registers.cr4 | BigInt(CR4_PCIDE)) === FAULT_NONE; }

  run(columns: AccessColumns, from: number, to: number): number {
    const { cpu } = this;
    for (let at = from; ;) {
      at = cpu.runBatch(columns, at, to, ACCESS_USER);
      if (at === to) return to;
      const fault = cpu.batchFault, code = faultCode(fault), hi = this.word(VCPU_CR2_HI), lo = this.word(VCPU_CR2_LO);
      const kind = ACCESS_USER | (code & PFEC_W ? ACCESS_WRITE : 0) | (code & PFEC_I ? ACCESS_FETCH : 0);
      const answer = this.virtual.serve(fault, hi, lo, kind, false);
      if (answer === ACCESS_AGAIN) continue;
      invariant(answer !== FAULT_NONE, 'no page of a process is a table, or no memory');
      this.faultCode = faultVector(answer) === faultVector(FAULT_PF) ? faultCode(answer) : NOT_A_PAGE_FAULT;
      this.faultAddress = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
      return at;
    }
  }

  enterKernel(): void {
    // No exit: a guest's calls and exceptions are its own.
  }

  leaveKernel(): void {
    // Likewise.
  }

  private word(field: number): number { return this.s.w[(this.cpu.block + field) >>> 2]; }

  /** The kernel is about to write to a frame. @returns false: the hypervisor has to make the write */
  private isDirect(frame: number, offset: number): boolean {
    const fault = this.virtual.touch(DIRECT_MAP_HI + Math.floor(frame / 0x100000) | 0, (frame << 12) | offset, ACCESS_WRITE);
    invariant(fault === FAULT_NONE, 'the direct map has all memory');
    return this.virtual.by === BY_PROCESSOR;
  }

  private emulate(lo: number, hi: number): void {
    this.words[0] = lo;
    this.words[1] = hi;
    this.virtual.emulate(this.entry);
  }

  /** All memory by large pages. @returns the first frame behind its tables */
  private buildDirectMap(): number {
    const put = (table: number, slot: number, frame: number, flags: number): void => storeEntry(this.s, this.wordOf(table) + slot * 2, (frame << 12) | flags, Math.floor(frame / 0x100000));
    const large = Math.ceil(this.end / ENTRIES), middles = Math.ceil(large / ENTRIES), first = this.directMap + 1;
    for (let k = 0; k < middles; k++) put(this.directMap, k, first + k, TABLE);
    for (let k = 0; k < large; k++) put(first + Math.floor(k / ENTRIES), k % ENTRIES, k * ENTRIES, LARGE);
    put(first + middles, DIRECT_MAP_SLOT, this.directMap, TABLE);
    return first + middles + 1;
  }

  /** In 4-level paging, with a root that has the direct map, until the kernel loads one. */
  private start(): void {
    const { virtual } = this, faults = [
      virtual.writeCr4(BigInt(CR4_PAE | CR4_PGE)), virtual.writeEfer(BigInt(EFER_LME | EFER_NXE)), virtual.writeCr3(BigInt(this.first - 1) << 12n),
      virtual.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    invariant(faults.every(fault => fault === FAULT_NONE), 'the guest can use 64-bit paging');
    virtual.setCode64(true);
    this.guest.resetCounters(); // how it came here is no part of what is compared
    this.cpu.resetCounters();
  }
}

/** Within 2 MBytes frames are in no order. */
const scatter = (frame: number): number => frame - (frame % ENTRIES) + (((frame % ENTRIES) * 5 + 3) % ENTRIES);
