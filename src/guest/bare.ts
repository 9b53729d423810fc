/** A kernel on a machine of its own. */
import { ACCESS_USER, FAULT_PF, faultCode, faultVector } from '../arch/fault.ts';
import { CR4_PCIDE } from '../arch/registers.ts';
import { invariant } from '../errors.ts';
import { VCPU_CR2_HI, VCPU_CR2_LO } from '../layout/vcpu.ts';
import type { AccessColumns } from '../machine/columns.ts';
import { joinWords } from '../machine/address.ts';
import type { Machine } from '../machine/machine.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import type { NativePlatform } from './platform.ts';

export const LAST_VECTOR = 255;
const FIRST_FRAME = 16; // below are the tables that the machine starts with

/** The machine's first vCPU, in 4-level paging, and its memory from address 0: frames are machine frames. */
export class Bare implements NativePlatform {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly s: Views;
  readonly first: number;
  readonly end: number;
  faultCode = 0;
  faultAddress = 0;

  /** @param first, end - frames that the kernel may use */
  constructor(machine: Machine, first = FIRST_FRAME, end = machine.extents[0].frames) {
    this.first = first;
    this.end = end;
    this.machine = machine;
    this.cpu = machine.vcpus[0];
    this.s = machine.views;
  }

  nameOf(frame: number): number { return frame; }
  frameOf(name: number): number { return name; }
  wordOf(frame: number): number { return wordOf(this.s, Math.floor(frame / 0x100000), frame << 12); }

  storeEntry(frame: number, slot: number, lo: number, hi: number): void {
    storeEntry(this.s, this.wordOf(frame) + slot * 2, lo, hi);
  }

  loadRoot(frame: number, low: number, high: number): void {
    const fault = this.cpu.writeCr3(joinWords(high | Math.floor(frame / 0x100000), (frame << 12) | low));
    invariant(fault === 0, 'the kernel loads roots that can be loaded');
  }

  addKernelHalf(): void {
    // The kernel's own accesses are not made by tables.
  }

  invlpg(address: number): void { this.cpu.invlpg(BigInt(address)); }
  flush(): void { this.cpu.flush(); }
  enablePcids(): boolean { return this.cpu.writeCr4(this.cpu.registers.cr4 | BigInt(CR4_PCIDE)) === 0; }

  run(columns: AccessColumns, from: number, to: number): number {
    const at = this.cpu.runBatch(columns, from, to, ACCESS_USER);
    if (at < to) this.takeFault();
    return at;
  }

  protected takeFault(): void {
    const { w } = this.s, v = this.cpu.block >>> 2, fault = this.cpu.batchFault;
    invariant(faultVector(fault) <= LAST_VECTOR, 'no second stage stops this kernel');
    this.faultCode = faultVector(fault) === faultVector(FAULT_PF) ? faultCode(fault) : NOT_A_PAGE_FAULT;
    this.faultAddress = (w[v + (VCPU_CR2_HI >>> 2)] >>> 0) * 2 ** 32 + (w[v + (VCPU_CR2_LO >>> 2)] >>> 0);
  }

  enterKernel(): void {
    // The processor's own doing, which costs no translation.
  }

  leaveKernel(): void {
    // Likewise.
  }
}

/** What the kernel is told where an access raised another exception than a page fault, such as #GP. */
export const NOT_A_PAGE_FAULT = -1;
