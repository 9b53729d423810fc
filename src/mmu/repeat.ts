/**
 * The page of a memo again, answered where the access is made: what `translate()` and `charge()` do for it, on the words of the vCPU block
 * alone. Most accesses of a program are of this kind, and need not go to an engine then.
 */
import { ACCESS_RIGHTS } from '../arch/fault.ts';
import { CNT_HITS } from '../layout/counter.ts';
import { TLBD_HI_ADDR } from '../layout/tlb.ts';
import {
  MEMO_ENTRY, MEMO_SIZE_SHIFT, RIGHTS_FORBID, RIGHTS_NEED, VCPU_COUNTERS, VCPU_MEMO_OF, VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_HIT, VCPU_OUT_LO,
  VCPU_OUT_SIZE, VCPU_RIGHTS, VCPU_TLB_CYCLES,
} from '../layout/vcpu.ts';

const FETCH_SHIFT = 4, WRITE_SHIFT = 1;

/**
 * Make an access if its memo answers it.
 *
 * @param b - the words of a vCPU block @param slot - of the access's memo, from `repeatSlot()`
 * @returns false if it does not, with nothing changed
 */
export function repeat(b: Int32Array, slot: number, vaHi: number, vaLo: number, access: number): boolean {
  if (b[slot] !== (vaLo | 0xfff) || b[slot + 1] !== vaHi) return false;
  const lo = b[slot + (MEMO_ENTRY >>> 2)], hi = b[slot + (MEMO_ENTRY >>> 2) + 1], row = (VCPU_RIGHTS >>> 2) + ((access & ACCESS_RIGHTS) << 1);
  if ((~lo & b[row + (RIGHTS_NEED >>> 2)]) | (lo & b[row + (RIGHTS_FORBID >>> 2)])) return false; // no memo holds a page with a protection key in force
  const fetch = (access >>> FETCH_SHIFT) & 1, service = (fetch << 1) | ((access >>> WRITE_SHIFT) & ~fetch & 1); // no branches, as no processor can predict kinds
  b[VCPU_OUT_LO >>> 2] = (lo & ~0xfff) | (vaLo & 0xfff);
  b[VCPU_OUT_HI >>> 2] = hi & TLBD_HI_ADDR;
  b[VCPU_OUT_SIZE >>> 2] = hi >>> MEMO_SIZE_SHIFT;
  b[VCPU_OUT_HIT >>> 2] = 1;
  b[VCPU_OUT_CYCLES >>> 2] = b[VCPU_TLB_CYCLES >>> 2]; // data accesses are not priced where there are memos
  const counter = (VCPU_COUNTERS >>> 2) + (CNT_HITS + service) * 2, sum = (b[counter] + 1) | 0;
  b[counter] = sum;
  if (sum === 0) b[counter + 1]++;
  return true;
}

/**
 * Word index in a vCPU block of the memo that a service uses; 0, which is no memo, if it uses none. It is the same for life.
 *
 * @param b - the words of the block @param block - its byte offset
 */
export function repeatSlot(b: Int32Array, block: number, service: number): number {
  return (b[(VCPU_MEMO_OF >>> 2) + service] - block) >>> 2;
}
