/** What a guest kernel runs on: one vCPU and memory, however they are virtualized. */
import type { Vcpu } from '../machine/vcpu.ts';
import type { AccessColumns } from '../machine/columns.ts';
import type { Machine } from '../machine/machine.ts';
import type { Views } from '../memory/views.ts';

/**
 * The door between the kernel and its vCPU and memory. The kernel counts its frames from 0; what entries call them, and where their bytes
 * are, is the platform's: machine frames, frames behind a P2M table, guest-physical frames under a second stage.
 */
export interface Platform {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly s: Views;
  /** Frames that the kernel may use: `first` up to but not including `end`. */
  readonly first: number;
  readonly end: number;
  /** What entries call a frame. */
  nameOf(frame: number): number;
  /** The frame that entries call so. */
  frameOf(name: number): number;
  /** Word index of a frame's bytes in machine memory. */
  wordOf(frame: number): number;
  /** The kernel stores an entry in a frame by an instruction of its own. */
  storeEntry(frame: number, slot: number, lo: number, hi: number): void;
  /** The kernel fills a page by instructions of its own, where these may be somebody else's business. */
  writePage?(frame: number, words: Int32Array): void;
  /** MOV to CR3. @param frame - root table @param low - bits 11:0 @param high - bits 63:52, at their place in the high word */
  loadRoot(frame: number, low: number, high: number): void;
  /** INVLPG of a user address. */
  invlpg(address: number): void;
  /** Make accesses in user mode. @returns `to`, or the index of the first that faulted, with `fault` and `faultAddress` */
  run(columns: AccessColumns, from: number, to: number): number;
  /** Error code of the page fault that the guest saw. */
  readonly faultCode: number;
  readonly faultAddress: number;
  /** The vCPU goes from user mode to the kernel by a system call, or by a fault that `run()` told of. */
  enterKernel(): void;
  /** ... and back. */
  leaveKernel(): void;
}

/** ... a kernel that owns its page tables. */
export interface NativePlatform extends Platform {
  /** A cleared frame is to be a root: what of it is the kernel's. */
  addKernelHalf(root: number): void;
  /** Invalidate everything. */
  flush(): void;
  /** Set CR4.PCIDE. @returns false: the processor has no PCIDs */
  enablePcids(): boolean;
}

/** Bytes of a page, words of one, entries of a table. */
export const PAGE_BYTES = 4096;
export const PAGE_WORDS = 1024;
export const ENTRIES = 512;

/** High and low word of a linear address below 2^47. */
export const hiOf = (address: number): number => Math.floor(address / 2 ** 32);
export const loOf = (address: number): number => address | 0;
