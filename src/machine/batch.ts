/** Many accesses a call: the loop over a batch of a trace, with everything that a single access does. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { ConfigError } from '../errors.ts';
import { VCPU_OUT_FAULT, VCPU_OUT_HI, VCPU_OUT_LO } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { access } from './span.ts';
import { runSwift, swift } from './swift-batch.ts';

/** What each KIND_* of a trace asks for: load, store, fetch, and the load of a modify (its store follows). */
export const ACCESS_OF_KIND = [ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ];
const MODIFY = 3;
/** All bits of a kind. */
export const KIND_ALL = 3;

/** Accesses as columns: addresses as low and high words, kinds 0 to 3, bytes from 1 to 65535. */
export interface Columns {
  readonly va: Int32Array;
  readonly kind: Uint8Array;
  readonly size: Uint16Array;
  /** Results, if wanted: the physical address of the first byte, as low and high words. The row of an access whose first page faults is left alone. */
  readonly pa?: Int32Array | undefined;
}

/**
 * Make accesses `from` up to but not including `to`. One that crosses pages makes a translation in each; a modify loads, then stores.
 *
 * @param v - word index of the vCPU block @param extra - ACCESS_* bits added to each, such as ACCESS_USER
 * @returns `to`, or the index of the first access that faulted (it can be made again), with the fault in VCPU_OUT_FAULT
 */
export function runBatch(s: Views, v: number, columns: Columns, from: number, to: number, extra: number): number {
  if (swift(s.w, v, extra)) return runSwift(s, v, columns, from, to, extra);
  for (let i = from; i < to; i++) {
    const fault = one(s, v, columns, i, extra);
    if (fault !== FAULT_NONE) return stopped(s.w, v, i, fault);
  }
  return to;
}

/** The error for a kind that there is not. */
export function refusedKind(kind: Uint8Array, i: number): ConfigError {
  return new ConfigError(`columns.kind[${i}]`, `0 to ${KIND_ALL}`, kind[i]);
}

/** Leave the fault that ended a batch. @returns `i` */
export function stopped(w: Int32Array, v: number, i: number, fault: number): number {
  w[v + (VCPU_OUT_FAULT >>> 2)] = fault;
  return i;
}

/** Access `i` with all its pages. @throws ConfigError - its kind */
export function one(s: Views, v: number, { va, kind, size, pa }: Columns, i: number, extra: number): number {
  const lo = va[2 * i], hi = va[2 * i + 1], k = kind[i], w = s.w;
  if (k > KIND_ALL) throw refusedKind(kind, i);
  const what = ACCESS_OF_KIND[k] | extra;
  let fault = access(s, v, hi, lo, what);
  if (pa !== undefined && fault === FAULT_NONE) {
    pa[2 * i] = w[v + (VCPU_OUT_LO >>> 2)];
    pa[2 * i + 1] = w[v + (VCPU_OUT_HI >>> 2)];
  }
  if ((lo & 0xfff) + size[i] > 4096 && fault === FAULT_NONE) fault = rest(s, v, hi, lo, size[i], what);
  if (k === MODIFY && fault === FAULT_NONE) {
    fault = access(s, v, hi, lo, ACCESS_WRITE | extra);
    if ((lo & 0xfff) + size[i] > 4096 && fault === FAULT_NONE) fault = rest(s, v, hi, lo, size[i], ACCESS_WRITE | extra);
  }
  return fault;
}

/** The pages of an access after its first. */
function rest(s: Views, v: number, hi: number, lo: number, size: number, what: number): number {
  for (let left = (lo & 0xfff) + size - 4096; left > 0; left -= 4096) {
    lo = (lo & ~0xfff) + 4096 | 0;
    if (lo === 0) hi = hi + 1 | 0;
    const fault = access(s, v, hi, lo, what);
    if (fault !== FAULT_NONE) return fault;
  }
  return FAULT_NONE;
}
