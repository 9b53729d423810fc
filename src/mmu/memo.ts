/**
 * Memos: the first-level TLB entry that was touched last, kept beside the arrays.
 *
 * Repeating a hit on the entry touched last changes no replacement state (stamps, trees and referenced bits are all idempotent), so it need
 * not be searched for. A slot is emptied by whatever else could change the answer: a miss of its services, any invalidation, any change of
 * a control register or of rights.
 *
 * An entry that was found behind a smaller one whose rights did not permit the access is not kept: another access may find the smaller one.
 *
 * Layout in `layout/vcpu.ts`, VCPU_MEMO; which service uses which slot is decided in `memory/plan.ts`.
 */
import { TLBD_HI_ADDR } from '../layout/tlb.ts';
import { MEMO_ENTRY, MEMO_SIZE_SHIFT, UNPLAIN_KEYS, VCPU_MEMO, VCPU_MEMO_OF, VCPU_UNPLAIN } from '../layout/vcpu.ts';

/** Word index of the slot that a service uses; that of the vCPU block, which never matches, if it uses none. */
export function memoSlot(w: Int32Array, v: number, service: number): number {
  return w[v + (VCPU_MEMO_OF >>> 2) + service] >>> 2;
}

/** Is the slot about the page of a linear address? */
export function memoMatches(w: Int32Array, slot: number, vaHi: number, vaLo: number): boolean {
  return w[slot] === (vaLo | 0xfff) && w[slot + 1] === vaHi;
}

/** Remember a hit: data words of the entry, its size code, and the physical address it gave. */
export function memoPut(w: Int32Array, v: number, slot: number, vaHi: number, vaLo: number, size: number, dataLo: number, paHi: number, paLo: number): void {
  if (slot === v || w[v + (VCPU_UNPLAIN >>> 2)] & UNPLAIN_KEYS) return;
  w[slot] = vaLo | 0xfff;
  w[slot + 1] = vaHi;
  w[slot + (MEMO_ENTRY >>> 2)] = (paLo & ~0xfff) | (dataLo & 0xfff);
  w[slot + (MEMO_ENTRY >>> 2) + 1] = (paHi & TLBD_HI_ADDR) | (size << MEMO_SIZE_SHIFT);
}

/** Empty a slot. */
export function memoClear(w: Int32Array, v: number, slot: number): void {
  if (slot === v) return;
  w[slot] = w[slot + 1] = 0;
}

/** Empty all. */
export function memoDrop(w: Int32Array, v: number): void {
  const m = v + (VCPU_MEMO >>> 2);
  w[m] = w[m + 1] = w[m + 4] = w[m + 5] = w[m + 8] = w[m + 9] = 0;
}
