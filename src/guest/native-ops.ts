/**
 * The operations of a kernel that owns its page tables: stores, INVLPG, MOV to CR3.
 *
 * With PCID, an address space keeps what is cached of it while others run; bit 63 of CR3 is set unless something of it has to go.
 * Source: Linux 5.10, switch_mm_irqs_off() (arch/x86/mm/tlb.c); Intel SDM vol. 3A, "Process-Context Identifiers (PCIDs)".
 */
import { CR3_HI_NOFLUSH } from '../arch/registers.ts';
import { ConfigError } from '../errors.ts';
import type { FramePool } from './frame-pool.ts';
import type { MmContext, MmuOps } from './mmu-ops.ts';
import type { NativePlatform } from './platform.ts';

const PCIDS = 4096;

/** How often what was done. */
export interface NativeCounts {
  stores: number;
  rootLoads: number;
  invlpgs: number;
  /** Loads of CR3 that kept what was cached. */
  kept: number;
}

export class NativeOps implements MmuOps {
  readonly name = 'native';
  readonly largePages = true;
  readonly rootFrames = 1;
  readonly counts: NativeCounts = { stores: 0, rootLoads: 0, invlpgs: 0, kept: 0 };
  oldLo = 0;
  oldHi = 0;
  private readonly p: NativePlatform;
  private readonly pool: FramePool;
  private readonly kernelRoot: number;
  private readonly pcid: boolean;
  /** By PCID: whose translations are cached under it, if none of them is stale. */
  private readonly cached: (MmContext | undefined)[] = [];
  private nextPcid = 1;
  private current: MmContext | undefined;

  /** @throws ConfigError - PCID on a processor without */
  constructor(p: NativePlatform, pool: FramePool, pcid: boolean) {
    this.p = p;
    this.pool = pool;
    this.pcid = pcid;
    this.kernelRoot = this.newRoot();
    p.loadRoot(this.kernelRoot, 0, 0);
    if (pcid && !p.enablePcids()) throw new ConfigError('pcid', 'a processor that has PCIDs', pcid);
  }

  pgdAlloc(mm: MmContext): void {
    mm.root = this.newRoot();
  }

  pgdFree(mm: MmContext): void {
    if (this.cached[mm.pcid] === mm) this.cached[mm.pcid] = undefined;
    this.pool.put(mm.root);
  }

  allocTable(): void {
    // A table is a frame like others.
  }

  releaseTable(): void {
    // Likewise.
  }

  setPte(_mm: MmContext, table: number, slot: number, lo: number, hi: number): void {
    this.counts.stores++;
    this.p.storeEntry(table, slot, lo, hi);
  }

  setPteAt(mm: MmContext, _address: number, table: number, slot: number, lo: number, hi: number): void {
    this.setPte(mm, table, slot, lo, hi);
  }

  pteClear(mm: MmContext, _address: number, table: number, slot: number): void {
    this.setPte(mm, table, slot, 0, 0);
  }

  ptepGetAndClear(mm: MmContext, _address: number, table: number, slot: number): void {
    const at = this.p.wordOf(table) + slot * 2, { w } = this.p.s;
    this.oldLo = w[at];
    this.oldHi = w[at + 1];
    this.setPte(mm, table, slot, 0, 0);
  }

  setEntry(mm: MmContext, _level: number, table: number, slot: number, lo: number, hi: number): void {
    this.setPte(mm, table, slot, lo, hi);
  }

  activateMm(next: MmContext): void {
    this.switchMm(next);
  }

  dupMmap(): void {
    // The copy can be used as it is.
  }

  exitMmap(mm: MmContext): void {
    if (this.current === mm) this.switchMm(undefined);
  }

  switchMm(next: MmContext | undefined): void {
    this.current = next;
    this.load();
  }

  flushTlbUser(mm: MmContext): void {
    if (this.cached[mm.pcid] === mm) this.cached[mm.pcid] = undefined;
    if (mm === this.current) this.load();
  }

  flushTlbKernel(): void {
    this.cached.length = 0;
    this.p.flush();
  }

  flushTlbOne(mm: MmContext, address: number): void {
    if (mm === this.current) {
      this.counts.invlpgs++;
      this.p.invlpg(address);
    } else if (this.cached[mm.pcid] === mm) {
      this.cached[mm.pcid] = undefined;
    }
  }

  enterLazyMmu(): void {
    // Stores are as cheap one by one.
  }

  leaveLazyMmu(): void {
    // Likewise.
  }

  private newRoot(): number {
    const root = this.pool.takeClear();
    this.p.addKernelHalf(root);
    return root;
  }

  private load(): void {
    const mm = this.current;
    this.counts.rootLoads++;
    if (!this.pcid || mm === undefined) return this.p.loadRoot(mm?.root ?? this.kernelRoot, 0, 0);
    if (mm.pcid === 0) {
      mm.pcid = this.nextPcid;
      this.nextPcid = (this.nextPcid % (PCIDS - 1)) + 1;
    }
    const keep = this.cached[mm.pcid] === mm;
    if (keep) this.counts.kept++;
    this.cached[mm.pcid] = mm;
    this.p.loadRoot(mm.root, mm.pcid, keep ? CR3_HI_NOFLUSH : 0);
  }
}
