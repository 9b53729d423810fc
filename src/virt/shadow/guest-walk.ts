/**
 * The walk through a guest's own tables, by its own registers, and the A and D bits that a processor would set in them.
 *
 * What an entry means is judged by `mmu/walk.ts`; here is where the tables are.
 */
import { ACCESS_WRITE, FAULT_NONE } from '../../arch/fault.ts';
import { PTE_A, PTE_D, PTE_LO_ADDR, tableIndex } from '../../arch/pte.ts';
import { TLBD_HI_ADDR } from '../../layout/tlb.ts';
import { MODE_FLAT, MODE_LEGACY, MODE_NONE, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_LEVEL, VCPU_TRAIL_ACC } from '../../layout/vcpu.ts';
import { casEntry, casEntry32, markOnBus } from '../../memory/entry.ts';
import { checkLeaf, DOWN, pageFault, RIGHTS_ALL, useEntry, walkRoot, type WalkStart } from '../../mmu/walk.ts';
import type { GuestRegisters } from './registers.ts';
import { revalidate } from './revalidate.ts';
import type { ShadowState } from './state.ts';
import { WORK } from './work.ts';

/** `leaf` of a guest without paging: above every level that it could have. */
export const LEAF_FLAT = 4;
const LEVELS = 6;

export class GuestWalk {
  /** Level of the first entry read, of the leaf (LEAF_FLAT: none was) or of the entry that ended the walk. */
  start = 0;
  leaf = 0;
  /** By level: guest and machine frame of the table (-1: no memory), offset of the entry in it, the entry, and rights down to it as TLBD_*. */
  readonly gfnOf = new Float64Array(LEVELS);
  readonly mfnOf = new Float64Array(LEVELS);
  readonly offset = new Int32Array(LEVELS);
  readonly lo = new Int32Array(LEVELS);
  readonly hi = new Int32Array(LEVELS);
  readonly acc = new Int32Array(LEVELS);
  /** Guest frame of the page that the address is in. */
  gfn = 0;
  /** Bytes of an entry. */
  size = 8;
  private readonly from: WalkStart = { level: 0, lo: 0, hi: 0, acc: 0 };

  /** Find and check. @returns FAULT_NONE or the #PF; nothing is marked */
  run(h: ShadowState, g: GuestRegisters, vaHi: number, vaLo: number, access: number): number {
    const { s: { w }, v } = g, { from } = this;
    this.start = this.leaf = LEAF_FLAT;
    this.gfn = vaLo >>> 12;
    if (g.mode === MODE_FLAT || g.mode === MODE_NONE) return FAULT_NONE;
    const found = walkRoot(w, v, vaLo, from);
    this.start = this.leaf = from.level;
    if (!found) {
      this.leaf = from.level + 1;
      return pageFault(w, v, access, 0);
    }
    const fault = this.descend(h, g, vaHi, vaLo, access);
    if (fault !== FAULT_NONE) return fault;
    const data = w[v + (VCPU_OUT_DATA_LO >>> 2)], inside = 2 ** (g.mode === MODE_LEGACY && this.leaf === 2 ? 10 : 9 * (this.leaf - 1)) - 1;
    this.gfn = (((data >>> 12) & ~inside) | ((vaLo >>> 12) & inside)) + (w[v + (VCPU_OUT_DATA_HI >>> 2)] & TLBD_HI_ADDR) * 0x100000;
    return checkLeaf(w, v, access);
  }

  private descend(h: ShadowState, g: GuestRegisters, vaHi: number, vaLo: number, access: number): number {
    const { s: { w }, v } = g, legacy = g.mode === MODE_LEGACY;
    let lo = this.from.lo, hi = this.from.hi, acc = RIGHTS_ALL;
    this.size = legacy ? 4 : 8;
    for (let level = this.start; ; level--) {
      const gfn = (lo >>> 12) + (hi & TLBD_HI_ADDR) * 0x100000, mfn = h.memory.mfn(gfn);
      const offset = (legacy ? (vaLo >>> (level === 1 ? 10 : 20)) & 0xffc : tableIndex(vaHi, vaLo, level) << 3);
      h.memory.load(mfn, offset, this.size);
      h.work.add(WORK.walkReference);
      this.leaf = level;
      this.gfnOf[level] = gfn;
      this.mfnOf[level] = mfn;
      this.offset[level] = offset;
      this.lo[level] = lo = h.memory.lo;
      this.hi[level] = hi = h.memory.hi;
      const step = useEntry(w, v, level, lo, hi, acc, access);
      this.acc[level] = acc = w[v + level - 1 + (VCPU_TRAIL_ACC >>> 2)];
      if (step !== DOWN) {
        if (step === FAULT_NONE) this.leaf = w[v + (VCPU_OUT_LEVEL >>> 2)];
        return step;
      }
      lo &= PTE_LO_ADDR;
    }
  }

  /** Set A in every entry used, and D in the leaf of a write; their shadows follow. @returns false if another processor changed one: walk again */
  mark(h: ShadowState, access: number): boolean {
    if (this.leaf === LEAF_FLAT) return true;
    for (let level = this.start; level >= this.leaf; level--) {
      const bits = level === this.leaf && access & ACCESS_WRITE ? PTE_A | PTE_D : PTE_A, lo = this.lo[level];
      if ((lo & bits) === bits) continue;
      if (!this.markAt(h, level, lo, bits)) return false;
      if (!(lo & PTE_A)) h.work.add(WORK.setAccessed);
      if (bits & ~lo & PTE_D) h.work.add(WORK.setDirty);
    }
    return true;
  }

  private markAt(h: ShadowState, level: number, lo: number, bits: number): boolean {
    const mfn = this.mfnOf[level], offset = this.offset[level], hi = this.hi[level], at = h.memory.wordAt(mfn, offset);
    this.lo[level] |= bits;
    if (at < 0) {
      if (mfn >= 0) markOnBus(h.s, Math.floor(mfn / 0x100000), (mfn << 12) | offset, lo, bits);
      return true;
    }
    if (!(this.size === 4 ? casEntry32(h.s, at, lo, lo | bits) : casEntry(h.s, at, lo, hi, lo | bits, hi))) return false;
    markDirty(h, this.gfnOf[level]);
    if (!h.outOfSync.has(mfn)) revalidate(h, mfn, offset, this.size);
    return true;
  }
}

/** A guest frame is being written. */
export function markDirty(h: ShadowState, gfn: number): void {
  if (h.dirty.mark(gfn)) h.work.add(WORK.logDirty);
}
