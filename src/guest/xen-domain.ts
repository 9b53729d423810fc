/**
 * A kernel in a paravirtualized domain: its frames are scattered over machine memory (P2M), and it sees all of them in a direct map, page
 * tables read-only.
 *
 * Source: Linux 5.10, xen_setup_kernel_pagetable() (arch/x86/xen/mmu_pv.c); the direct map is at its place of that kernel's memory map.
 */
import { ACCESS_USER, FAULT_PF, faultCode, faultVector } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US } from '../arch/pte.ts';
import type { HypervisorCosts } from '../cost/hypervisor-costs.ts';
import { ConfigError, invariant } from '../errors.ts';
import { VCPU_CALL, VCPU_CALL_ARGS } from '../layout/vcpu.ts';
import type { AccessColumns } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { HYPERVISOR_vm_assist, Hypervisor, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables, type Domain } from '../xen/index.ts';
import { NOT_A_PAGE_FAULT } from './bare.ts';
import { ENTRIES, type Platform } from './platform.ts';

const IO_FRAMES = 1; //        frame 0 is no one's
const OWN_LEAST = 1024; //     frames of the hypervisor for tables of its own, besides a 64th of memory for the machine-to-physical table
const LEAST = 64; //          frames of the domain
const STRIDE = 0x9e3779b1; //  odd: multiplied by it, numbers below a power of two are in another order
export const DIRECT_MAP_SLOT = 272;
const DIRECT_MAP_HI = 0xffff8800 | 0;
const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;
const PAGE = PTE_P | PTE_RW | PTE_A | PTE_D;

/** How many hypercalls were made with so many calls in them. */
export type BatchSizes = Map<number, number>;

/** Domain 0 of a hypervisor on a machine, with all memory that the hypervisor leaves. */
export class XenDomain implements Platform {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly s: Views;
  readonly xen: Hypervisor;
  readonly domain: Domain;
  readonly first: number;
  readonly end: number;
  /** Root table that only has the kernel's part. */
  readonly kernelRoot = 0;
  faultCode = 0;
  faultAddress = 0;
  /** Hypercalls made, by the calls in them: 1 is one that is no multicall. */
  readonly batches: BatchSizes = new Map();
  private readonly p2m: Int32Array;
  private readonly m2p: Int32Array;
  private readonly readOnly: Uint8Array;
  private readonly call: number; // word index

  /** @param machine - with `paging: 'none'` @param costs - of the hypervisor's work; default `hypervisorCosts` @throws ConfigError - costs, or too little memory */
  constructor(machine: Machine, costs?: HypervisorCosts) {
    this.machine = machine;
    this.cpu = machine.vcpus[0];
    this.s = machine.views;
    this.call = (this.cpu.block + VCPU_CALL) >>> 2;
    const all = machine.extents[0].frames, own = OWN_LEAST + Math.ceil(all / 64), frames = all - own;
    if (frames < LEAST) throw new ConfigError('memory', `at least ${Math.ceil(((OWN_LEAST + LEAST) * 64) / 63) * 4096} bytes`, all * 4096);
    this.end = frames - IO_FRAMES;
    this.p2m = new Int32Array(this.end);
    this.m2p = new Int32Array(frames);
    this.readOnly = new Uint8Array(this.end);
    this.scatter();
    this.first = this.buildDirectMap();
    this.xen = Hypervisor.create(machine, { frames, own: { first: frames, frames: own }, ioFrames: IO_FRAMES, ...(costs && { costs }) });
    this.domain = this.xen.createDomain({ id: 0, privileged: true, p2m: Array.from(this.p2m, (mfn, pfn) => [pfn, mfn, 1] as const) });
    this.xen.startVcpu(this.domain, this.cpu, this.nameOf(this.kernelRoot));
    this.countCall(1);
    this.xen.hypercall(this.cpu, HYPERVISOR_vm_assist, BigInt(VMASST_CMD_enable), BigInt(VMASST_TYPE_writable_pagetables));
  }

  /** A hypercall is made. @param calls - in it */
  countCall(calls: number): void {
    this.batches.set(calls, (this.batches.get(calls) ?? 0) + 1);
  }

  nameOf(frame: number): number { return this.p2m[frame]; }
  frameOf(name: number): number { return this.m2p[name]; }
  wordOf(frame: number): number { return wordOf(this.s, 0, this.p2m[frame] << 12); }

  /** Low word of the address of a frame in the direct map; the high word is `directHi`. */
  directLo(frame: number): number { return frame << 12; }
  directHi(frame: number): number { return DIRECT_MAP_HI + Math.floor(frame / 0x100000); }

  storeEntry(frame: number, slot: number, lo: number, hi: number): void {
    invariant(this.readOnly[frame] === 0, `frame ${frame} can be written in the direct map`);
    storeEntry(this.s, this.wordOf(frame) + slot * 2, lo, hi);
  }

  /** Note what the direct map is about to allow. @returns low word of its entry */
  directEntry(frame: number, readOnly: boolean): number {
    this.readOnly[frame] = readOnly ? 1 : 0;
    return (this.p2m[frame] << 12) | (readOnly ? PAGE & ~PTE_RW : PAGE);
  }

  loadRoot(): void {
    throw new TypeError('roots of a paravirtualized kernel are loaded by hypercall');
  }

  invlpg(): void {
    throw new TypeError('addresses of a paravirtualized kernel are invalidated by hypercall');
  }

  /**
   * Make a hypercall of four arguments, of which those that are addresses have high words.
   *
   * @throws InvariantError - it was refused: this kernel knows the rules
   */
  hypercall(nr: number, lo: number, hi: number, second: number, third: number, fourth: number, secondHi = 0): void {
    const { w } = this.s, args = this.call + ((VCPU_CALL_ARGS - VCPU_CALL) >>> 2);
    w[this.call] = nr;
    w[this.call + 1] = 0;
    w[args] = lo;
    w[args + 1] = hi;
    w[args + 2] = second;
    w[args + 3] = secondHi;
    w[args + 4] = third;
    w[args + 5] = 0;
    w[args + 6] = fourth;
    w[args + 7] = 0;
    const rc = this.xen.dispatch(this.cpu);
    invariant(rc === 0, `hypercall ${nr} was refused: ${rc}`);
  }

  run(columns: AccessColumns, from: number, to: number): number {
    const at = this.cpu.runBatch(columns, from, to, ACCESS_USER);
    if (at < to) this.takeFault();
    return at;
  }

  private takeFault(): void {
    const given = this.xen.pageFault(this.cpu, this.cpu.batchFault, 0n);
    this.faultCode = faultVector(given) === faultVector(FAULT_PF) ? faultCode(given) : NOT_A_PAGE_FAULT;
    this.faultAddress = Number(this.xen.cr2(this.cpu));
  }

  enterKernel(): void {
    this.xen.setMode(this.cpu, 'kernel');
  }

  leaveKernel(): void {
    const done = this.xen.setMode(this.cpu, 'user');
    invariant(done, 'a process has a root table');
  }

  /** Decide which machine frame each frame is: any but the first, in no order. */
  private scatter(): void {
    let size = 1;
    while (size < this.end) size *= 2;
    for (let k = 0, frame = 0; k < size; k++) {
      const mfn = (Math.imul(k, STRIDE) & (size - 1)) + IO_FRAMES;
      if (mfn >= this.m2p.length) continue;
      this.p2m[frame] = mfn;
      this.m2p[mfn] = frame++;
    }
  }

  /** Tables, in the first frames, that map all frames; before there is a hypervisor to ask. @returns the first frame behind them */
  private buildDirectMap(): number {
    const leaves = Math.ceil(this.end / ENTRIES), middles = Math.ceil(leaves / ENTRIES);
    const [level3, level2, level1] = [1, 2, 2 + middles], tables = level1 + leaves;
    const put = (table: number, slot: number, frame: number, flags: number) => storeEntry(this.s, this.wordOf(table) + slot * 2, (this.p2m[frame] << 12) | flags, 0);
    put(this.kernelRoot, DIRECT_MAP_SLOT, level3, TABLE);
    for (let k = 0; k < middles; k++) put(level3, k, level2 + k, TABLE);
    for (let k = 0; k < leaves; k++) put(level2 + Math.floor(k / ENTRIES), k % ENTRIES, level1 + k, TABLE);
    for (let k = 0; k < this.end; k++) put(level1 + Math.floor(k / ENTRIES), k % ENTRIES, k, 0 | (k < tables ? PAGE & ~PTE_RW : PAGE));
    this.readOnly.fill(1, 0, tables);
    return tables;
  }
}
