/**
 * What a kernel does to page tables and to the processor's idea of them, as a table of operations with several implementations.
 *
 * The operations, and when a kernel calls them, are those of Linux 5.10: struct pv_mmu_ops (arch/x86/include/asm/paravirt_types.h). A table is a
 * frame of the kernel, an entry two words whose address is what the platform calls a frame. `level` says what Linux has in the names: 1 pte,
 * 2 pmd, 3 pud, 4 p4d.
 */

/** What an implementation has to know of an address space. */
export class MmContext {
  /** Root table; and where the kernel and its processes have one each, that of the process. */
  root = -1;
  userRoot = -1;
  /** A hypervisor has its tables in use: entries change by its calls only. */
  pinned = false;
  /** Process-context identifier, 0: none yet. */
  pcid = 0;
}

export interface MmuOps {
  readonly name: string;
  /** Can entries map 2-MByte pages? */
  readonly largePages: boolean;
  /** Frames of a root. */
  readonly rootFrames: number;
  /** The old entry, of the last `ptepGetAndClear()`. */
  readonly oldLo: number;
  readonly oldHi: number;

  /** pgd_alloc: make an empty root. */
  pgdAlloc(mm: MmContext): void;
  /** pgd_free. */
  pgdFree(mm: MmContext): void;
  /** alloc_pte, alloc_pmd, alloc_pud: a cleared frame is about to become a table. */
  allocTable(mm: MmContext, frame: number, level: number): void;
  /** release_pte, release_pmd, release_pud: nothing refers to the table any more. */
  releaseTable(mm: MmContext, frame: number, level: number): void;

  /** set_pte: in any address space. */
  setPte(mm: MmContext, table: number, slot: number, lo: number, hi: number): void;
  /** set_pte_at: what maps `address`. */
  setPteAt(mm: MmContext, address: number, table: number, slot: number, lo: number, hi: number): void;
  /** pte_clear. */
  pteClear(mm: MmContext, address: number, table: number, slot: number): void;
  /** ptep_get_and_clear. */
  ptepGetAndClear(mm: MmContext, address: number, table: number, slot: number): void;
  /** set_pmd, set_pud, set_p4d: an entry of a table of `level`. */
  setEntry(mm: MmContext, level: number, table: number, slot: number, lo: number, hi: number): void;

  /** activate_mm, at exec: from now on this vCPU runs in `next`. */
  activateMm(next: MmContext): void;
  /** dup_mmap, at the end of fork: the copy is whole. */
  dupMmap(mm: MmContext): void;
  /** exit_mmap: the address space is about to be taken apart. */
  exitMmap(mm: MmContext): void;
  /** write_cr3 and what else a context switch is. `undefined`: the kernel's own tables. */
  switchMm(next: MmContext | undefined): void;

  /** flush_tlb_user: all that is cached of an address space. */
  flushTlbUser(mm: MmContext): void;
  /** flush_tlb_kernel: all that is cached. */
  flushTlbKernel(): void;
  /** flush_tlb_one_user. */
  flushTlbOne(mm: MmContext, address: number): void;

  /** lazy_mode.enter, leave: what is done to level-1 entries between them may be done at the end of it. */
  enterLazyMmu(): void;
  leaveLazyMmu(): void;
}
