/** The tables of an address space as its kernel builds, reads and frees them: four levels, of which the lower half is a process's. */
import { PTE_A, PTE_D, PTE_HI_ADDR, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../arch/pte.ts';
import type { FramePool } from './frame-pool.ts';
import type { MmContext, MmuOps } from './mmu-ops.ts';
import { ENTRIES, type Platform } from './platform.ts';
import { holdsPage } from './rights.ts';

const ROOT_LEVEL = 4;
/** Slots of a root table that are a process's. */
export const USER_SLOTS = 256;
const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

/** Pages that an entry of a table of `level` spans. */
const spanOf = (level: number): number => ENTRIES ** (level - 1);
/** Which entry of a table of `level` a page is found by. */
export const slotOf = (page: number, level: number): number => Math.floor(page / spanOf(level)) % ENTRIES;

/** Name of the frame in an entry. */
export const nameIn = (lo: number, hi: number): number => (lo >>> 12) + (hi & PTE_HI_ADDR) * 0x100000;
/** Words of an entry. */
export const entryLo = (name: number, flags: number): number => (name << 12) | flags;
export const entryHi = (name: number, flags = 0): number => Math.floor(name / 0x100000) | flags;

const NO_TABLE = -1;
/** A larger page is there instead of a table. */
export const LARGE_PAGE = -2;

/** Called with a table and the first page that it spans. */
export type TableVisit = (table: number, first: number) => void;

export class PageTables {
  /** Tables there are now, roots not counted. */
  tables = 0;
  private readonly p: Platform;
  private readonly ops: MmuOps;
  private readonly pool: FramePool;

  constructor(p: Platform, ops: MmuOps, pool: FramePool) {
    this.p = p;
    this.ops = ops;
    this.pool = pool;
  }

  /** Table of `level` that a page is found by, NO_TABLE, or LARGE_PAGE. */
  find(mm: MmContext, page: number, level = 1): number {
    return this.walk(mm, page, level, false);
  }

  /** ... made if it is not there. Not in lazy mode, which would not see what it has just made. */
  make(mm: MmContext, page: number, level = 1): number {
    return this.walk(mm, page, level, true);
  }

  /** Word index of an entry. */
  at(table: number, slot: number): number {
    return this.p.wordOf(table) + slot * 2;
  }

  /** The frame of the table or page that an entry refers to. */
  frameAt(table: number, slot: number): number {
    const at = this.at(table, slot), { w } = this.p.s;
    return this.p.frameOf(nameIn(w[at], w[at + 1]));
  }

  private walk(mm: MmContext, page: number, level: number, make: boolean): number {
    const { w } = this.p.s;
    let table = mm.root;
    for (let l = ROOT_LEVEL; l > level; l--) {
      const slot = slotOf(page, l), at = this.at(table, slot), lo = w[at];
      if ((lo & PTE_P) !== 0) {
        if ((lo & PTE_PS) !== 0) return LARGE_PAGE;
        table = this.p.frameOf(nameIn(lo, w[at + 1]));
        continue;
      }
      if (!make) return NO_TABLE;
      const below = this.create(mm, l - 1);
      this.link(mm, l, table, slot, below);
      table = below;
    }
    return table;
  }

  /** A clear frame that is to be a table. */
  create(mm: MmContext, level: number): number {
    const table = this.pool.takeClear();
    this.tables++;
    this.ops.allocTable(mm, table, level);
    return table;
  }

  /** Let an entry refer to a table. */
  link(mm: MmContext, level: number, table: number, slot: number, below: number): void {
    const name = this.p.nameOf(below);
    this.ops.setEntry(mm, level, table, slot, entryLo(name, TABLE), entryHi(name));
  }

  /** Free a table that nothing refers to. */
  release(mm: MmContext, table: number, level: number): void {
    this.ops.releaseTable(mm, table, level);
    this.pool.put(table);
    this.tables--;
  }

  /** The frame that is mapped at a page; -1: it is not in memory. */
  frameOfPage(mm: MmContext, page: number): number {
    const table = this.find(mm, page), level = table === LARGE_PAGE ? 2 : 1;
    if (table === NO_TABLE) return -1;
    const holder = level === 2 ? this.find(mm, page, 2) : table, slot = slotOf(page, level);
    if (!holdsPage(this.p.s.w[this.at(holder, slot)])) return -1;
    return this.frameAt(holder, slot) + (level === 2 ? page % ENTRIES : 0);
  }

  /** Visit the level-1 tables that span any page of `from` up to `to`, in order. */
  eachLeaf(mm: MmContext, from: number, to: number, visit: TableVisit): void {
    this.each(mm.root, ROOT_LEVEL, 0, from, to, 1, visit);
  }

  /** Visit the level-2 tables likewise. */
  eachMiddle(mm: MmContext, from: number, to: number, visit: TableVisit): void {
    this.each(mm.root, ROOT_LEVEL, 0, from, to, 2, visit);
  }

  private each(table: number, level: number, first: number, from: number, to: number, wanted: number, visit: TableVisit): void {
    if (level === wanted) return visit(table, first);
    const span = spanOf(level), { w } = this.p.s;
    const start = Math.max(0, Math.floor((from - first) / span)), end = Math.min(level === ROOT_LEVEL ? USER_SLOTS : ENTRIES, Math.ceil((to - first) / span));
    for (let slot = start; slot < end; slot++) {
      const lo = w[this.at(table, slot)];
      if ((lo & (PTE_P | PTE_PS)) === PTE_P) this.each(this.frameAt(table, slot), level - 1, first + slot * span, from, to, wanted, visit);
    }
  }

  /** Visit every table of a process, the roots not, those below first. */
  eachTable(mm: MmContext, visit: (table: number, level: number) => void): void {
    this.below(mm.root, ROOT_LEVEL, visit);
  }

  private below(table: number, level: number, visit: (table: number, level: number) => void): void {
    const { w } = this.p.s;
    for (let slot = 0, end = level === ROOT_LEVEL ? USER_SLOTS : ENTRIES; slot < end; slot++) {
      if ((w[this.at(table, slot)] & (PTE_P | PTE_PS)) !== PTE_P) continue;
      const next = this.frameAt(table, slot);
      if (level > 2) this.below(next, level - 1, visit);
      visit(next, level - 1);
    }
  }

  /**
   * Free the tables that no area needs any more: those whose whole span `isNeeded` denies, of those that span any page of the range. Their
   * entries are clear.
   *
   * Source: Linux 5.10, free_pgd_range() (mm/memory.c).
   */
  free(mm: MmContext, from: number, to: number, isNeeded: (start: number, end: number) => boolean): void {
    this.freeBelow(mm, mm.root, ROOT_LEVEL, 0, from, to, isNeeded);
  }

  private freeBelow(mm: MmContext, table: number, level: number, first: number, from: number, to: number, isNeeded: (start: number, end: number) => boolean): void {
    const span = spanOf(level), { w } = this.p.s;
    const start = Math.max(0, Math.floor((from - first) / span)), end = Math.min(level === ROOT_LEVEL ? USER_SLOTS : ENTRIES, Math.ceil((to - first) / span));
    for (let slot = start; slot < end; slot++) {
      if ((w[this.at(table, slot)] & (PTE_P | PTE_PS)) !== PTE_P) continue;
      const next = this.frameAt(table, slot), base = first + slot * span;
      if (level > 2) this.freeBelow(mm, next, level - 1, base, from, to, isNeeded);
      if (isNeeded(base, base + span)) continue;
      this.ops.setEntry(mm, level, table, slot, 0, 0);
      this.release(mm, next, level - 1);
    }
  }
}
