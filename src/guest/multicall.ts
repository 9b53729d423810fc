/**
 * Hypercalls that wait to be made together: up to 32 in one multicall, whose arguments in memory wait with them.
 *
 * Source: Linux 5.10, arch/x86/xen/multicalls.c: MC_BATCH, xen_mc_flush(); a single call that waits is made as itself.
 */
import { invariant } from '../errors.ts';
import { DOMID_SELF, HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, HYPERVISOR_multicall, HYPERVISOR_update_va_mapping } from '../xen/index.ts';
import type { FramePool } from './frame-pool.ts';
import { PAGE_BYTES } from './platform.ts';
import type { XenDomain } from './xen-domain.ts';

/** Calls in a multicall at most. */
const MC_BATCH = 32;
const ENTRY_WORDS = 16; //      struct multicall_entry: operation, result, six arguments of 8 bytes
const ARGUMENT_AT = 4; //       word of its first argument
const UPDATE_WORDS = 4; //      struct mmu_update
const OP_WORDS = 6; //          struct mmuext_op
const ARGUMENT_WORDS = PAGE_BYTES / 4;

export class Multicall {
  private readonly d: XenDomain;
  private readonly list: number; //      frames of the calls, and of what they refer to
  private readonly memory: number;
  private count = 0;
  private words = 0; //                  of `memory` in use
  private open = -1; //                  the last call, if it is an mmu_update that can take more requests

  constructor(d: XenDomain, pool: FramePool) {
    this.d = d;
    this.list = pool.takeClear();
    this.memory = pool.takeClear();
  }

  /** mmu_update of one entry. @param lone - as a call of its own; else a request more of the call before, if that is one too */
  update(table: number, slot: number, lo: number, hi: number, lone: boolean): void {
    if (this.words + UPDATE_WORDS > ARGUMENT_WORDS) this.flush();
    const { d } = this, { w } = d.s, name = d.nameOf(table);
    if (lone || this.open !== this.count - 1 || this.count === 0) {
      this.add(HYPERVISOR_mmu_update, this.place(UPDATE_WORDS), 0);
      this.open = this.count - 1;
    }
    const at = d.wordOf(this.memory) + this.words;
    w[at] = (name << 12) | (slot << 3);
    w[at + 1] = Math.floor(name / 0x100000);
    w[at + 2] = lo;
    w[at + 3] = hi;
    this.words += UPDATE_WORDS;
    w[d.wordOf(this.list) + (this.count - 1) * ENTRY_WORDS + ARGUMENT_AT + 2]++;
  }

  /** mmuext_op of one operation. */
  operation(command: number, lo: number, hi: number): void {
    this.add(HYPERVISOR_mmuext_op, this.place(OP_WORDS), 1);
    const { w } = this.d.s, op = this.d.wordOf(this.memory) + this.words;
    w[op] = command;
    w[op + 1] = 0;
    w[op + 2] = lo;
    w[op + 3] = hi;
    w[op + 4] = w[op + 5] = 0;
    this.words += OP_WORDS;
  }

  /** update_va_mapping. */
  mapping(vaLo: number, vaHi: number, lo: number, hi: number, flags: number): void {
    this.room(0);
    const at = this.entry(HYPERVISOR_update_va_mapping), { w } = this.d.s;
    w[at] = vaLo;
    w[at + 1] = vaHi;
    w[at + 2] = lo;
    w[at + 3] = hi;
    w[at + 4] = flags;
  }

  /** Any call of two small numbers. */
  plain(nr: number, first: number, second: number): void {
    this.room(0);
    const at = this.entry(nr), { w } = this.d.s;
    w[at] = first;
    w[at + 2] = second;
  }

  /** Make all calls that wait. @throws InvariantError - one was refused */
  flush(): void {
    const { d, count } = this, { w } = d.s;
    if (count === 0) return;
    d.countCall(count);
    const first = d.wordOf(this.list);
    this.count = this.words = 0;
    this.open = -1;
    if (count === 1) {
      const a = first + ARGUMENT_AT;
      d.hypercall(w[first], w[a], w[a + 1], w[a + 2], w[a + 4], w[a + 6], w[a + 3]);
      return;
    }
    d.hypercall(HYPERVISOR_multicall, d.directLo(this.list), d.directHi(this.list), count, 0, 0);
    for (let k = 0; k < count; k++) {
      const at = first + k * ENTRY_WORDS;
      invariant(w[at + 2] === 0 && w[at + 3] === 0, `call ${k} of ${count}, hypercall ${w[at]}, was refused: ${w[at + 2]}`);
    }
  }

  /** Room for a call with so many words of arguments in memory. @returns low word of their address */
  private place(words: number): number {
    this.room(words);
    return this.d.directLo(this.memory) + this.words * 4;
  }

  private room(words: number): void {
    if (this.count === MC_BATCH || this.words + words > ARGUMENT_WORDS) this.flush();
  }

  /** A call of mmu_update or mmuext_op, of what is in memory at `lo`. */
  private add(nr: number, lo: number, count: number): void {
    const at = this.entry(nr), { w } = this.d.s;
    w[at] = lo;
    w[at + 1] = this.d.directHi(this.memory);
    w[at + 2] = count;
    w[at + 6] = DOMID_SELF;
  }

  /** One more call, of zeroes. @returns word index of its arguments */
  private entry(nr: number): number {
    const { w } = this.d.s, at = this.d.wordOf(this.list) + this.count++ * ENTRY_WORDS;
    for (let k = 0; k < ENTRY_WORDS; k++) w[at + k] = 0;
    w[at] = nr;
    this.open = -1;
    return at + ARGUMENT_AT;
  }
}
