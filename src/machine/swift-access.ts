/** Single accesses of the TypeScript engine that no memo answers: by plain.ts where it can, else the general way. */
import { MODE_4LEVEL, MODE_5LEVEL, VCPU_MODE } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { serviceOf } from '../mmu/tlb.ts';
import { Ahead } from './ahead.ts';
import { plainTlbs, type PlainTlb } from './plain.ts';
import { access } from './span.ts';

export class SwiftAccess {
  private readonly s: Views;
  private readonly v: number;
  /** By service. */
  private readonly tlbs: readonly PlainTlb[];

  /** @param v - word index of the vCPU block, whose arrays have been laid out */
  constructor(s: Views, v: number) {
    const ahead = new Ahead();
    this.s = s;
    this.v = v;
    this.tlbs = plainTlbs(s, v, ahead);
  }

  /** access() of span.ts. */
  make(vaHi: number, vaLo: number, kind: number): number {
    const { s, v } = this, mode = s.w[v + (VCPU_MODE >>> 2)], unused = mode === MODE_5LEVEL ? 7 : 16;
    if (mode < MODE_4LEVEL || (vaHi << unused) >> unused !== vaHi) return access(s, v, vaHi, vaLo, kind);
    return this.tlbs[serviceOf(kind)].single(vaHi, vaLo, kind);
  }
}
