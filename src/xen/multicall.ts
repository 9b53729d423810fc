/**
 * The hypercall multicall: a list of hypercalls, each with its result written back.
 *
 * Source: facts of Xen 4.17, do_multicall() (xen/common/multicall.c), pv_do_multicall_call() (xen/arch/x86/pv/hypercall.c); struct
 *         multicall_entry of xen/include/public/xen.h and its compat form.
 */
import { VCPU_SUBCALL } from '../layout/vcpu.ts';
import { CALLS_FROM_MULTICALL } from './counters.ts';
import { copyFromGuest, copyToGuest, ownArrayOk } from './guest-memory.ts';
import type { Serve } from './calls.ts';
import type { Host } from './host.ts';
import { HYPERVISOR_multicall, XEN_EFAULT, XEN_EINVAL } from './numbers.ts';
import { SUBCALLS } from './work.ts';

const ARGS = 5; //      arguments that calls take; an entry has room for 6
export const ENTRY_WORDS = 8; // of struct multicall_entry, each of the guest's width: operation, result, 6 arguments

/** Arguments: list of calls, count. @param at - word index @param serve - serves one */
export function multicall(h: Host, at: number, serve: Serve): number {
  if (h.inMulticall) return -XEN_EINVAL;
  const { w } = h.s, count = w[at + 2] >>> 0, wide = !h.current.domain.is32, size = ENTRY_WORDS * (wide ? 8 : 4);
  if (!ownArrayOk(h, w[at + 1], w[at], count, size)) return -XEN_EFAULT;
  h.inMulticall = true;
  try {
    return calls(h, at, count, size, serve);
  } finally {
    h.inMulticall = false;
  }
}

function calls(h: Host, at: number, count: number, size: number, serve: Serve): number {
  const { w } = h.s, wide = size === ENTRY_WORDS * 8, sub = h.current.v + (VCPU_SUBCALL >>> 2);
  let lo = w[at], hi = w[at + 1];
  for (let i = 0; i < count; i++) {
    if (i > 0 && h.preemptCheck()) return again(h, at, lo, hi, count - i);
    if (!copyFromGuest(h, hi, lo, size)) return -XEN_EFAULT;
    const entry = h.buffer.slice(0, size / 4);
    for (let k = 0; k < ARGS; k++) {
      w[sub + k * 2] = entry[wide ? 4 + k * 2 : 2 + k];
      w[sub + k * 2 + 1] = wide ? entry[5 + k * 2] : 0;
    }
    h.counters.work.add(SUBCALLS, 1);
    h.counters.charge(HYPERVISOR_multicall, w, h.current.v);
    const nr = wide && entry[1] !== 0 ? -1 : entry[0];
    const result = serve(h, nr, sub, serve);
    h.counters.count(nr, !h.preempted, w, h.current.v);
    if (!h.preempted) h.counters.add(CALLS_FROM_MULTICALL, 1);
    if (!writeResult(h, lo, hi, result, wide)) {
      h.preempted = false;
      return -XEN_EFAULT;
    }
    if (h.preempted) {
      h.preempted = false;
      return writeEntry(h, lo, hi, entry, result, sub, wide) ? again(h, at, lo, hi, count - i) : -XEN_EFAULT;
    }
    lo = (lo + size) | 0;
    if (lo >>> 0 < size) hi = (hi + 1) | 0;
  }
  return 0;
}

function writeResult(h: Host, lo: number, hi: number, result: number, wide: boolean): boolean {
  const bytes = wide ? 8 : 4, at = (lo + bytes) | 0;
  h.buffer[0] = result | 0;
  h.buffer[1] = Math.floor(result / 2 ** 32);
  return copyToGuest(h, at >>> 0 < bytes ? (hi + 1) | 0 : hi, at, bytes);
}

/** Write a call back as it has to be made again. */
function writeEntry(h: Host, lo: number, hi: number, entry: Int32Array, result: number, sub: number, wide: boolean): boolean {
  const { w } = h.s;
  entry[wide ? 2 : 1] = result | 0;
  if (wide) entry[3] = Math.floor(result / 2 ** 32);
  for (let k = 0; k < ARGS; k++) {
    entry[wide ? 4 + k * 2 : 2 + k] = w[sub + k * 2];
    if (wide) entry[5 + k * 2] = w[sub + k * 2 + 1];
  }
  h.buffer.set(entry);
  return copyToGuest(h, hi, lo, entry.length * 4);
}

function again(h: Host, at: number, lo: number, hi: number, left: number): number {
  return h.continueCall(HYPERVISOR_multicall, at, [lo, hi], [left, 0]);
}
