/** Would an access fault? The answer of `translate()` without its effects on memory, caches and counters (VCPU_OUT_* are scratch). */
import { ACCESS_STACK, FAULT_GP, FAULT_NONE, FAULT_SS } from '../arch/fault.ts';
import { MODE_4LEVEL, MODE_NONE, VCPU_MODE, VCPU_NESTED, VCPU_OUT_HIT, VCPU_OUT_REFS, VCPU_TIMED } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { fastClass, fastHit, fastRow } from './fast-table.ts';
import { canonical } from './invalidate.ts';
import { pscStart } from './psc.ts';
import { serviceOf, tlbPeek } from './tlb.ts';
import { checkLeaf, findLeaf, pageFault, walkRoot, type WalkStart } from './walk.ts';

/** What cached translations a peek believes: all that the vCPU has, or none (the tables alone). */
export type PeekFrom = 'cached' | 'tables';

/**
 * @returns FAULT_NONE or the fault that `translate()` would return now. After a walk the trail and VCPU_OUT_REFS tell what it read;
 *   VCPU_OUT_HIT is the TLB level that would hit, 0 for a walk
 */
export function peek(s: Views, v: number, vaHi: number, vaLo: number, access: number, believe: PeekFrom): number {
  const w = s.w;
  const mode = w[v + (VCPU_MODE >>> 2)];
  w[v + (VCPU_OUT_HIT >>> 2)] = w[v + (VCPU_OUT_REFS >>> 2)] = 0;
  if (mode < MODE_4LEVEL) {
    vaHi = 0;
    if (mode === MODE_NONE) return FAULT_NONE;
  } else if (!canonical(w, v, vaHi)) return access & ACCESS_STACK ? FAULT_SS : FAULT_GP;
  const timed = w[v + (VCPU_TIMED >>> 2)] !== 0;
  if (believe === 'cached') {
    const level = timed ? tlbPeek(w, v, serviceOf(access), vaHi, vaLo, access) : fastPeek(w, v, vaHi, vaLo, access);
    w[v + (VCPU_OUT_HIT >>> 2)] = level;
    if (level > 0) return FAULT_NONE;
  }
  if (w[v + (VCPU_NESTED >>> 2)]) return s.nestedWalk!(s, v, vaHi, vaLo, access, believe === 'cached' && timed, false);
  const from: WalkStart = { level: 0, lo: 0, hi: 0, acc: 0 };
  if (!walkRoot(w, v, vaLo, from)) return pageFault(w, v, access, 0);
  if (believe === 'cached' && timed) pscStart(w, v, vaHi, vaLo, from, false);
  const fault = findLeaf(s, v, vaHi, vaLo, access, from);
  return fault === FAULT_NONE ? checkLeaf(w, v, access) : fault;
}

function fastPeek(w: Int32Array, v: number, vaHi: number, vaLo: number, access: number): number {
  const table = fastClass(access);
  return table >= 0 && fastHit(w, fastRow(w, v, table, vaLo), vaHi, vaLo) ? 1 : 0;
}
