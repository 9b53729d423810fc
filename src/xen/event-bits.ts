/**
 * Bits that hypervisor and guest share: each is looked at first and changed atomically only if it has to be, as an atomic operation costs more.
 *
 * `at` is a word index of the state.
 */
import type { Views } from '../memory/views.ts';

export function testBit(s: Views, at: number, bit: number): boolean {
  return (((s.atomic ? Atomics.load(s.w, at) : s.w[at]) >>> bit) & 1) !== 0;
}

/** @returns whether the bit was set before */
export function testAndSetBit(s: Views, at: number, bit: number): boolean {
  const mask = 1 << bit, old = s.w[at];
  if ((old & mask) !== 0) return true;
  if (s.atomic) return (Atomics.or(s.w, at, mask) & mask) !== 0;
  s.w[at] = old | mask;
  return false;
}

/** @returns whether the bit was set before */
export function testAndClearBit(s: Views, at: number, bit: number): boolean {
  const mask = 1 << bit, old = s.w[at];
  if ((old & mask) === 0) return false;
  if (s.atomic) return (Atomics.and(s.w, at, ~mask) & mask) !== 0;
  s.w[at] = old & ~mask;
  return true;
}
