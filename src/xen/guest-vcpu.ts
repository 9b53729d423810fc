/**
 * One vCPU of a domain, as the hypervisor knows it: its block in machine memory, read and written by name.
 *
 * Source: facts of Xen 4.17, struct vcpu (xen/include/xen/sched.h), struct arch_vcpu, struct pv_vcpu (xen/arch/x86/include/asm/domain.h).
 */
import {
  GUEST_BLOCKED, GUEST_CPU, GUEST_CR2_HI, GUEST_CR2_LO, GUEST_DOMAIN, GUEST_FIFO_CONTROL, GUEST_FIFO_FRAME, GUEST_FIFO_TAILS, GUEST_GDT, GUEST_GDT_ENTRIES,
  GUEST_GDT_FRAMES, GUEST_HANDLE_HEAD, GUEST_HANDLE_TAIL, GUEST_HOME, GUEST_INFO_FRAME, GUEST_KERNEL_MODE, GUEST_KERNEL_SP_HI, GUEST_KERNEL_SP_LO,
  GUEST_KERNEL_SS, GUEST_LDT, GUEST_LDT_BASE_HI, GUEST_LDT_BASE_LO, GUEST_LDT_END, GUEST_LDT_ENTRIES, GUEST_NUMBER, GUEST_OLD_PARENT, GUEST_OLD_PARTIAL, GUEST_OLD_TABLE,
  GUEST_POLL_PORT, GUEST_ROOT, GUEST_SEGMENT_BASES, GUEST_USER_GS, GUEST_USER_ROOT,
} from '../layout/guest-vcpu.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import type { Views } from '../memory/views.ts';
import type { Domain } from './domain.ts';
import { LdtPages } from './ldt-pages.ts';
import { Traps } from './traps.ts';

const NONE = -1;
const SEGMENT_BASES = 6;

/** Fill the block of a vCPU that is not started, all zero. @param at - word index @param home - that of its domain's block */
export function layGuest(w: Int32Array, at: number, domid: number, number: number, home: number): void {
  w[at + (GUEST_HOME >>> 2)] = home << 2;
  w[at + (GUEST_DOMAIN >>> 2)] = domid;
  w[at + (GUEST_NUMBER >>> 2)] = number;
  for (const none of [GUEST_HANDLE_HEAD, GUEST_HANDLE_TAIL, GUEST_INFO_FRAME, GUEST_FIFO_FRAME, GUEST_FIFO_CONTROL]) w[at + (none >>> 2)] = NONE;
  startGuest(w, at);
}

/** What a vCPU has when it starts: what its domain knows of its events and handles stays. @param at - word index */
export function startGuest(w: Int32Array, at: number): void {
  w.fill(0, at + (GUEST_CPU >>> 2), at + (GUEST_HANDLE_HEAD >>> 2));
  w.fill(0, at + (GUEST_SEGMENT_BASES >>> 2), at + (GUEST_FIFO_TAILS >>> 2));
  w.fill(NONE, at + (GUEST_LDT >>> 2), at + (GUEST_LDT_END >>> 2));
  w[at + (GUEST_KERNEL_MODE >>> 2)] = 1;
  w[at + (GUEST_OLD_PARTIAL >>> 2)] = 1;
  for (const none of [GUEST_ROOT, GUEST_USER_ROOT, GUEST_OLD_TABLE, GUEST_OLD_PARENT]) w[at + (none >>> 2)] = NONE;
}

/** One vCPU of a domain. Frames are machine frame numbers, NO_FRAME for none. Made by `Domain.addVcpu()`. */
export class GuestVcpu {
  readonly domain: Domain;
  /** The machine's vCPU that runs it, undefined if it never runs. */
  readonly cpu: Vcpu | undefined;
  /** Word index of that vCPU's block. */
  readonly v: number;
  /** Word index of its own block. */
  readonly at: number;
  /** By vector. */
  readonly traps: Traps;
  /** Pages of its local descriptor table that were used since it was set. */
  readonly ldt: LdtPages;
  private readonly s: Views;

  constructor(s: Views, domain: Domain, at: number, cpu: Vcpu | undefined) {
    this.s = s;
    this.domain = domain;
    this.at = at;
    this.cpu = cpu;
    this.v = cpu === undefined ? 0 : cpu.block >>> 2;
    this.traps = new Traps(s, at);
    this.ldt = new LdtPages(s, at);
  }

  private word(offset: number): number { return this.s.w[this.at + (offset >>> 2)]; }
  private put(offset: number, value: number): void { this.s.w[this.at + (offset >>> 2)] = value; }

  /** Is it what the block says now? */
  isCurrent(): boolean { return this.word(GUEST_CPU) >>> 2 === this.v; }
  get number(): number { return this.word(GUEST_NUMBER); }
  /** Root table of the guest kernel; for a 32-bit guest the hypervisor's own level-4 table, whose slot 0 holds the guest's root. */
  get root(): number { return this.word(GUEST_ROOT); }
  set root(mfn: number) { this.put(GUEST_ROOT, mfn); }
  /** Root table of the guest's user mode (64-bit guests). */
  get userRoot(): number { return this.word(GUEST_USER_ROOT); }
  set userRoot(mfn: number) { this.put(GUEST_USER_ROOT, mfn); }
  get kernelMode(): boolean { return this.s.w[this.at + (GUEST_KERNEL_MODE >>> 2)] !== 0; }
  set kernelMode(kernel: boolean) { this.put(GUEST_KERNEL_MODE, kernel ? 1 : 0); }
  // CR2 as the guest sees it: that of the last fault it was given, whatever faults the hypervisor took since.
  get cr2Lo(): number { return this.word(GUEST_CR2_LO); }
  set cr2Lo(lo: number) { this.put(GUEST_CR2_LO, lo); }
  get cr2Hi(): number { return this.word(GUEST_CR2_HI); }
  set cr2Hi(hi: number) { this.put(GUEST_CR2_HI, hi); }
  get ldtBaseLo(): number { return this.word(GUEST_LDT_BASE_LO); }
  set ldtBaseLo(lo: number) { this.put(GUEST_LDT_BASE_LO, lo); }
  get ldtBaseHi(): number { return this.word(GUEST_LDT_BASE_HI); }
  set ldtBaseHi(hi: number) { this.put(GUEST_LDT_BASE_HI, hi); }
  get ldtEntries(): number { return this.word(GUEST_LDT_ENTRIES); }
  set ldtEntries(entries: number) { this.put(GUEST_LDT_ENTRIES, entries); }
  get gdtEntries(): number { return this.word(GUEST_GDT_ENTRIES); }
  get kernelSs(): number { return this.word(GUEST_KERNEL_SS); }
  set kernelSs(selector: number) { this.put(GUEST_KERNEL_SS, selector); }
  get kernelSpLo(): number { return this.word(GUEST_KERNEL_SP_LO); }
  set kernelSpLo(lo: number) { this.put(GUEST_KERNEL_SP_LO, lo); }
  get kernelSpHi(): number { return this.word(GUEST_KERNEL_SP_HI); }
  set kernelSpHi(hi: number) { this.put(GUEST_KERNEL_SP_HI, hi); }
  /** Selector of the user's GS. */
  get userGs(): number { return this.word(GUEST_USER_GS); }
  set userGs(selector: number) { this.put(GUEST_USER_GS, selector); }
  /** It waits for an event; and the port it waits for besides: 0 none, -1 any. */
  get blocked(): boolean { return this.word(GUEST_BLOCKED) !== 0; }
  set blocked(waits: boolean) { this.put(GUEST_BLOCKED, waits ? 1 : 0); }
  get pollPort(): number { return this.word(GUEST_POLL_PORT); }
  set pollPort(port: number) { this.put(GUEST_POLL_PORT, port); }

  // A table whose type reference (or, with oldPartial, whose partial type) is still to be put, before anything else is done for this vCPU;
  // and the table of the same level that referred to it, for the count of linear entries. Xen's old_guest_table and old_guest_ptpg.
  get oldTable(): number { return this.s.w[this.at + (GUEST_OLD_TABLE >>> 2)]; }
  set oldTable(mfn: number) { this.put(GUEST_OLD_TABLE, mfn); }
  get oldParent(): number { return this.word(GUEST_OLD_PARENT); }
  set oldParent(mfn: number) { this.put(GUEST_OLD_PARENT, mfn); }
  get oldPartial(): boolean { return this.word(GUEST_OLD_PARTIAL) !== 0; }
  set oldPartial(partial: boolean) { this.put(GUEST_OLD_PARTIAL, partial ? 1 : 0); }

  /** Bases of FS, the user's GS and the kernel's, in two words each, as last set by hypercall: a view of them. */
  get segmentBases(): Int32Array {
    const at = this.at + (GUEST_SEGMENT_BASES >>> 2);
    return this.s.w.subarray(at, at + SEGMENT_BASES);
  }

  /** Frames of its descriptor table, each with a type reference as PGT_SEG_DESC: a view of them. */
  get gdt(): Int32Array {
    const at = this.at + (GUEST_GDT >>> 2);
    return this.s.w.subarray(at, at + this.word(GUEST_GDT_FRAMES));
  }

  /** Have another descriptor table. @param frames - at most 14 */
  setGdt(frames: readonly number[], entries: number): void {
    this.put(GUEST_GDT_FRAMES, frames.length);
    this.put(GUEST_GDT_ENTRIES, entries);
    this.gdt.set(frames);
  }
}
