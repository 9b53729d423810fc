/**
 * The registers that a shadowed guest sees, kept apart from those of the hardware: a register file of its own, written by the rules of
 * `mmu/control.ts`, that translates nothing.
 */
import { CR0_CD, CR0_ET, CR0_NW } from '../../arch/registers.ts';
import { VCPU_CR0, VCPU_FEATURES, VCPU_MODE, VCPU_NESTED, VCPU_PABITS } from '../../layout/vcpu.ts';
import { FAULT_NONE } from '../../arch/fault.ts';
import { FRAME_BYTES } from '../../memory/extents.ts';
import { Views, WASM_PAGE_BYTES } from '../../memory/views.ts';
import { recompute } from '../../mmu/mode.ts';
import { recomputeRights } from '../../mmu/rights.ts';
import type { GuestMemory } from './physical-map.ts';

const BLOCK = 8192;

export class GuestRegisters {
  readonly s: Views;
  /** Word index of the block in `s`. */
  readonly v = BLOCK >>> 2;

  /** Registers as after reset. Page-directory-pointer-table entries are read through the P2M. @param features - FEAT_* @param paBits - MAXPHYADDR */
  constructor(memory: GuestMemory, features: number, paBits: number) {
    const s = this.s = new Views(WASM_PAGE_BYTES, 'plain'), { w } = s, { v } = this;
    w[v + (VCPU_FEATURES >>> 2)] = features;
    w[v + (VCPU_PABITS >>> 2)] = paBits;
    w[v + (VCPU_NESTED >>> 2)] = 1; // without paging its addresses are guest-physical
    w[v + (VCPU_CR0 >>> 2)] = CR0_CD | CR0_NW | CR0_ET;
    s.nestedRead = (_s, _v, gpaHi, gpaLo) => {
      memory.load(memory.mfn(gpaHi * 0x100000 + (gpaLo >>> 12)), gpaLo & (FRAME_BYTES - 1), 8);
      s.busLo = memory.lo;
      s.busHi = memory.hi;
      return FAULT_NONE;
    };
    recompute(w, v);
    recomputeRights(w, v);
  }

  /** A word of the block. @param field - VCPU_* */
  get(field: number): number {
    return this.s.w[this.v + (field >>> 2)];
  }

  get mode(): number {
    return this.get(VCPU_MODE);
  }
}
