/**
 * Bits that hypervisor and guest share: each is looked at first and changed atomically only if it has to be, as an atomic operation costs more.
 *
 * `at` is a word index of the state.
 */
import type { Host } from './host.ts';

export function testBit(h: Host, at: number, bit: number): boolean {
  const { w } = h.s;
  return (((h.s.atomic ? Atomics.load(w, at) : w[at]) >>> bit) & 1) !== 0;
}

/** @returns whether the bit was set before */
export function testAndSetBit(h: Host, at: number, bit: number): boolean {
  const { w } = h.s, mask = 1 << bit;
  if (!h.s.atomic) {
    const was = (w[at] & mask) !== 0;
    w[at] |= mask;
    return was;
  }
  return (w[at] & mask) !== 0 || (Atomics.or(w, at, mask) & mask) !== 0;
}

/** @returns whether the bit was set before */
export function testAndClearBit(h: Host, at: number, bit: number): boolean {
  const { w } = h.s, mask = 1 << bit;
  if (!h.s.atomic) {
    const was = (w[at] & mask) !== 0;
    w[at] &= ~mask;
    return was;
  }
  return (w[at] & mask) !== 0 && (Atomics.and(w, at, ~mask) & mask) !== 0;
}
