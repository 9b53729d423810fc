/** 64-bit counters of a vCPU, kept as two words so that neither engine needs BigInt. Which there are: layout/counter.ts. */
import { CNT_COUNT } from '../layout/counter.ts';
import { VCPU_COUNTERS } from '../layout/vcpu.ts';

/** Add `n` (0 to 2^32 - 1) to a counter. @param v - word index of the vCPU block */
export function count(w: Int32Array, v: number, counter: number, n: number): void {
  const at = v + (VCPU_COUNTERS >>> 2) + counter * 2;
  const sum = (w[at] + n) | 0;
  w[at] = sum;
  if (sum >>> 0 < n) w[at + 1]++;
}

/** The same for `n` up to 2^53 - 1. */
export function countMany(w: Int32Array, v: number, counter: number, n: number): void {
  w[v + (VCPU_COUNTERS >>> 2) + counter * 2 + 1] += Math.floor(n / 0x1_0000_0000);
  count(w, v, counter, n % 0x1_0000_0000);
}

/** Value of a counter, exact up to 2^53. */
export function readCounter(w: Int32Array, v: number, counter: number): number {
  const at = v + (VCPU_COUNTERS >>> 2) + counter * 2;
  return (w[at] >>> 0) + (w[at + 1] >>> 0) * 0x1_0000_0000;
}

/** Set all counters of a vCPU to 0. */
export function resetCounters(w: Int32Array, v: number): void {
  w.fill(0, v + (VCPU_COUNTERS >>> 2), v + (VCPU_COUNTERS >>> 2) + CNT_COUNT * 2);
}
