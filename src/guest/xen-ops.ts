/**
 * The operations of a paravirtualized kernel: hypercalls for tables that are pinned, stores for those that are not.
 *
 * Source: Linux 5.10, arch/x86/xen/mmu_pv.c: xen_set_pte(), xen_set_pte_at() with update_va_mapping as in 2.6.32, xen_alloc_ptpage(),
 *         xen_pgd_pin(), xen_pgd_unpin(), xen_activate_mm(), xen_dup_mmap(), xen_exit_mmap(), xen_write_cr3(); of pinning each level-1 table
 *         by itself (split page-table locks) nothing is done.
 */
import {
  HYPERVISOR_stack_switch, MMUEXT_INVLPG_LOCAL, MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_PIN_L4_TABLE, MMUEXT_TLB_FLUSH_LOCAL,
  MMUEXT_UNPIN_TABLE, UVMF_LOCAL, UVMF_TLB_FLUSH,
} from '../xen/index.ts';
import { FAULT_NONE } from '../arch/fault.ts';
import { joinWords } from '../machine/address.ts';
import { ConfigError, invariant } from '../errors.ts';
import type { FramePool } from './frame-pool.ts';
import type { MmContext, MmuOps } from './mmu-ops.ts';
import { Multicall } from './multicall.ts';
import { PageTables, USER_SLOTS } from './page-tables.ts';
import { ENTRIES, hiOf, loOf } from './platform.ts';
import type { XenDomain } from './xen-domain.ts';

/**
 * How a pinned level-1 entry is changed in lazy mode: `multicall`: a call each, 32 in a multicall; `array`: a request each of one mmu_update;
 * `unbatched`: a hypercall each; `ptwr`: by storing, which faults, and the hypervisor emulates the store.
 */
export const BATCHINGS = ['multicall', 'array', 'unbatched', 'ptwr'] as const;
/** `late`: when the address space is first used; `early`: when it is made. */
export const PINNINGS = ['late', 'early'] as const;

export interface XenPolicy {
  readonly batching?: (typeof BATCHINGS)[number];
  readonly pinning?: (typeof PINNINGS)[number];
}

const ROOT_LEVEL = 4;
const XEN_SLOTS = 16; //     of a root table, from USER_SLOTS on
const KERNEL_SS = 0xe02b; // FLAT_KERNEL_SS of xen/include/public/arch-x86/xen-x86_64.h
const STACK_BYTES = 16384;

export class XenOps implements MmuOps {
  readonly name = 'xen';
  readonly largePages = false; // Xen lets no paravirtualized guest map them
  readonly rootFrames = 2;
  oldLo = 0;
  oldHi = 0;
  /** Entries stored into tables that are not pinned, without a hypercall. */
  stores = 0;
  /** Entries changed by storing into a table that is: faults that the hypervisor emulates. */
  emulated = 0;
  readonly calls: Multicall;
  private readonly d: XenDomain;
  private readonly pool: FramePool;
  private readonly tables: PageTables;
  private readonly batching: (typeof BATCHINGS)[number];
  private readonly early: boolean;
  private readonly bytes = new Uint8Array(8);
  private readonly words = new Int32Array(this.bytes.buffer);
  private current: MmContext | undefined;
  private lazy = false;

  /** @throws ConfigError - no such policy */
  constructor(d: XenDomain, pool: FramePool, policy: XenPolicy = {}) {
    const { batching = 'multicall', pinning = 'late' } = policy;
    if (!BATCHINGS.includes(batching)) throw new ConfigError('batching', BATCHINGS.join(', '), batching);
    if (!PINNINGS.includes(pinning)) throw new ConfigError('pinning', PINNINGS.join(', '), pinning);
    this.d = d;
    this.pool = pool;
    this.batching = batching;
    this.early = pinning === 'early';
    this.calls = new Multicall(d, pool);
    this.tables = new PageTables(d, this, pool);
  }

  pgdAlloc(mm: MmContext): void {
    mm.root = this.pool.takeClear();
    mm.userRoot = this.pool.takeClear();
    const { w } = this.d.s, from = this.d.wordOf(this.d.kernelRoot), to = this.d.wordOf(mm.root);
    const kernel = (USER_SLOTS + XEN_SLOTS) * 2, end = ENTRIES * 2;
    for (let k = kernel; k < end; k++) w[to + k] = w[from + k];
    if (this.early) this.pin(mm);
  }

  pgdFree(mm: MmContext): void {
    if (mm.pinned) this.unpin(mm);
    this.pool.put(mm.root);
    this.pool.put(mm.userRoot);
  }

  allocTable(mm: MmContext, frame: number): void {
    if (!mm.pinned) return;
    this.protect(frame, true);
    this.issue();
  }

  releaseTable(mm: MmContext, frame: number): void {
    if (!mm.pinned) return;
    this.protect(frame, false);
    this.issue();
  }

  setPte(mm: MmContext, table: number, slot: number, lo: number, hi: number): void {
    if (!mm.pinned) return this.store(table, slot, lo, hi);
    if (this.batching === 'ptwr') return this.emulate(table, slot, lo, hi);
    this.calls.update(table, slot, lo, hi, this.batching !== 'array');
    if (!this.lazy || this.batching === 'unbatched') this.calls.flush();
  }

  setPteAt(mm: MmContext, address: number, table: number, slot: number, lo: number, hi: number): void {
    if (!mm.pinned || this.lazy || mm !== this.current || this.batching === 'ptwr') return this.setPte(mm, table, slot, lo, hi);
    this.calls.mapping(loOf(address), hiOf(address), lo, hi, UVMF_LOCAL);
    this.calls.flush();
  }

  pteClear(mm: MmContext, address: number, table: number, slot: number): void {
    this.setPteAt(mm, address, table, slot, 0, 0);
  }

  ptepGetAndClear(mm: MmContext, address: number, table: number, slot: number): void {
    const at = this.d.wordOf(table) + slot * 2, { w } = this.d.s;
    this.oldLo = w[at];
    this.oldHi = w[at + 1];
    this.pteClear(mm, address, table, slot);
  }

  setEntry(mm: MmContext, level: number, table: number, slot: number, lo: number, hi: number): void {
    const both = level === ROOT_LEVEL && table === mm.root;
    if (!mm.pinned) {
      this.store(table, slot, lo, hi);
      if (both) this.store(mm.userRoot, slot, lo, hi);
      return;
    }
    this.calls.update(table, slot, lo, hi, true);
    if (both) this.calls.update(mm.userRoot, slot, lo, hi, true);
    this.issue();
  }

  activateMm(next: MmContext): void {
    if (!next.pinned) this.pin(next);
    this.switchMm(next);
  }

  dupMmap(mm: MmContext): void {
    if (!mm.pinned) this.pin(mm);
  }

  exitMmap(mm: MmContext): void {
    if (this.current === mm) this.switchMm(undefined);
    if (mm.pinned && !this.early) this.unpin(mm);
  }

  switchMm(next: MmContext | undefined): void {
    const { calls, d } = this;
    calls.flush();
    calls.operation(MMUEXT_NEW_BASEPTR, d.nameOf(next?.root ?? d.kernelRoot), 0);
    calls.operation(MMUEXT_NEW_USER_BASEPTR, next === undefined ? 0 : d.nameOf(next.userRoot), 0);
    calls.plain(HYPERVISOR_stack_switch, KERNEL_SS, STACK_BYTES);
    calls.flush();
    this.current = next;
  }

  flushTlbUser(mm: MmContext): void {
    if (mm === this.current) this.flushTlbKernel();
  }

  flushTlbKernel(): void {
    this.calls.operation(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    this.issue();
  }

  flushTlbOne(mm: MmContext, address: number): void {
    if (mm !== this.current) return;
    this.calls.operation(MMUEXT_INVLPG_LOCAL, loOf(address), hiOf(address));
    this.issue();
  }

  enterLazyMmu(): void {
    this.lazy = true;
  }

  leaveLazyMmu(): void {
    this.lazy = false;
    this.calls.flush();
  }

  /** Make the calls that wait, unless more may come. */
  private issue(): void {
    if (!this.lazy || this.batching === 'unbatched') this.calls.flush();
  }

  private store(table: number, slot: number, lo: number, hi: number): void {
    this.stores++;
    this.d.storeEntry(table, slot, lo, hi);
  }

  private emulate(table: number, slot: number, lo: number, hi: number): void {
    this.calls.flush();
    this.emulated++;
    this.words[0] = lo;
    this.words[1] = hi;
    const fault = this.d.xen.write(this.d.cpu, joinWords(this.d.directHi(table), this.d.directLo(table) + slot * 8), this.bytes);
    invariant(fault === FAULT_NONE, 'a store to a level-1 table is emulated');
  }

  /** Let the direct map show a frame read-only, or writable. */
  private protect(frame: number, readOnly: boolean, flush = false): void {
    this.calls.mapping(this.d.directLo(frame), this.d.directHi(frame), this.d.directEntry(frame, readOnly), 0, flush ? UVMF_TLB_FLUSH | UVMF_LOCAL : UVMF_LOCAL);
  }

  private pin(mm: MmContext): void {
    const { calls, d } = this;
    this.tables.eachTable(mm, table => this.protect(table, true));
    for (const root of [mm.root, mm.userRoot]) this.protect(root, true, true);
    for (const root of [mm.root, mm.userRoot]) calls.operation(MMUEXT_PIN_L4_TABLE, d.nameOf(root), 0);
    calls.flush();
    mm.pinned = true;
  }

  private unpin(mm: MmContext): void {
    const { calls, d } = this;
    for (const root of [mm.root, mm.userRoot]) calls.operation(MMUEXT_UNPIN_TABLE, d.nameOf(root), 0);
    this.tables.eachTable(mm, table => this.protect(table, false));
    for (const root of [mm.root, mm.userRoot]) this.protect(root, false);
    calls.flush();
    mm.pinned = false;
  }
}
