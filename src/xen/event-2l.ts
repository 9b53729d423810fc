/**
 * Two-level event channels: a pending and a mask bit for each port in the shared info, a selector for each vCPU that says in which words to look.
 *
 * Source: facts of Xen 4.17, xen/common/event_2l.c; struct shared_info, struct vcpu_info (xen/include/public/xen.h) in both widths.
 */
import type { Domain } from './domain.ts';
import { testAndClearBit, testAndSetBit, testBit } from './event-bits.ts';
import type { Port } from './event-port.ts';
import { eventsOf } from './event-state.ts';
import type { Host } from './host.ts';

const VCPU_INFO_WORDS = 16;
const PENDING = 0x800 >>> 2; //   after 32 vcpu_infos of 64 bytes
const MASK_32 = 0x880 >>> 2;
const MASK_64 = 0xa00 >>> 2;
const UPCALL_PENDING = 0; //      a byte of vcpu_info
const SELECTOR_32 = 4 >>> 2;
const SELECTOR_64 = 8 >>> 2;

/** Word index of a vCPU's vcpu_info. */
export function vcpuInfo(h: Host, d: Domain, vcpu: number): number {
  const elsewhere = eventsOf(d).vcpuInfos.get(vcpu);
  return elsewhere === undefined ? h.table(d.sharedInfo) + vcpu * VCPU_INFO_WORDS : elsewhere >>> 2;
}

/** Tell a vCPU that there is something to look at. Source: vcpu_mark_events_pending() (xen/arch/x86/domain.c). */
export function markPending(h: Host, d: Domain, vcpu: number): void {
  testAndSetBit(h, vcpuInfo(h, d, vcpu), UPCALL_PENDING);
}

const pendingWord = (h: Host, d: Domain, port: number): number => h.table(d.sharedInfo) + PENDING + (port >>> 5);
const maskWord = (h: Host, d: Domain, port: number): number => h.table(d.sharedInfo) + (d.is32 ? MASK_32 : MASK_64) + (port >>> 5);

/** Set the selector's bit for a port. @returns whether it was set */
function select(h: Host, d: Domain, vcpu: number, port: number): boolean {
  const n = port >>> (d.is32 ? 5 : 6);
  return testAndSetBit(h, vcpuInfo(h, d, vcpu) + (d.is32 ? SELECTOR_32 : SELECTOR_64) + (n >>> 5), n & 31);
}

export function setPending2l(h: Host, d: Domain, vcpu: number, { number }: Port): void {
  if (testAndSetBit(h, pendingWord(h, d, number), number & 31)) return;
  if (!testBit(h, maskWord(h, d, number), number & 31) && !select(h, d, vcpu, number)) markPending(h, d, vcpu);
}

export function clearPending2l(h: Host, d: Domain, { number }: Port): void {
  testAndClearBit(h, pendingWord(h, d, number), number & 31);
}

export function isPending2l(h: Host, d: Domain, { number }: Port): boolean {
  return testBit(h, pendingWord(h, d, number), number & 31);
}

export function unmask2l(h: Host, d: Domain, { number, vcpu }: Port): void {
  if (testAndClearBit(h, maskWord(h, d, number), number & 31) && testBit(h, pendingWord(h, d, number), number & 31) && !select(h, d, vcpu, number)) {
    markPending(h, d, vcpu);
  }
}
