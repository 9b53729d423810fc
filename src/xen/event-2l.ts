/**
 * Two-level event channels: a pending and a mask bit for each port in the shared info, a selector for each vCPU that says in which words to look.
 *
 * Source: facts of Xen 4.17, xen/common/event_2l.c; struct shared_info, struct vcpu_info (xen/include/public/xen.h) in both widths.
 */
import type { Domain } from './domain.ts';
import { testAndClearBit, testAndSetBit, testBit } from './event-bits.ts';
import type { Port } from './event-port.ts';
import type { Host } from './host.ts';
import { wake, wakePollers } from './wake.ts';

export const VCPU_INFO_BYTES = 64;
export const VCPUS_IN_SHARED_INFO = 32;
const PENDING = 0x800 >>> 2; //   after 32 vcpu_infos of 64 bytes
const MASK_32 = 0x880 >>> 2;
const MASK_64 = 0xa00 >>> 2;
const UPCALL_PENDING = 0; //      a byte of vcpu_info, and the next: events are masked
const UPCALL_MASK = 0xff00;
const UPCALL_MASK_BIT = 8;
const SELECTOR_32 = 4 >>> 2;
const SELECTOR_64 = 8 >>> 2;

/** Of a vCPU beyond those in the shared info that has registered none, or of a domain without a shared info: what it is told is lost. */
const NOWHERE = -1;

/** Word index of a vCPU's vcpu_info, or NOWHERE. Source: vcpu_info_reset() (xen/common/domain.c), whose dummy_vcpu_info no guest sees. */
export function vcpuInfo(d: Domain, vcpu: number): number {
  const elsewhere = d.events.infoAt(vcpu), { sharedAt } = d;
  return elsewhere >= 0 ? elsewhere : vcpu < VCPUS_IN_SHARED_INFO && sharedAt !== 0 ? sharedAt + vcpu * (VCPU_INFO_BYTES / 4) : NOWHERE;
}

/** Tell a vCPU that there is something to look at. Source: vcpu_mark_events_pending() (xen/arch/x86/domain.c). */
export function markPending(h: Host, d: Domain, vcpu: number): void {
  mark(h, d, vcpu, vcpuInfo(d, vcpu));
}

/** @param info - word index of its vcpu_info */
function mark(h: Host, d: Domain, vcpu: number, info: number): void {
  if (info !== NOWHERE && !testAndSetBit(h.s, info, UPCALL_PENDING) && vcpu < d.vcpus.length) tell(h, d, vcpu);
}

function tell(h: Host, d: Domain, vcpu: number): void {
  wake(h, d.vcpus[vcpu]);
  if (h.deliveries.size > 0) h.deliveries.get(d)?.told(vcpu);
}

/** Has a vCPU something to look at, whether its kernel lets events through or not? */
export function isUpcallPending(h: Host, d: Domain, vcpu: number): boolean {
  const info = vcpuInfo(d, vcpu);
  return info !== NOWHERE && d.vcpus[vcpu] !== undefined && testBit(h.s, info, UPCALL_PENDING);
}

/** Call a kernel's event handler, if it has something to look at and lets it through: events are masked then. @returns whether it is called */
export function takeUpcall(h: Host, d: Domain, vcpu: number): boolean {
  if (d.vcpus[vcpu] === undefined || !eventsAwaited(h, d, vcpu)) return false;
  testAndSetBit(h.s, vcpuInfo(d, vcpu), UPCALL_MASK_BIT);
  return true;
}

/** Let events through to a vCPU. */
export function enableEvents(h: Host, d: Domain, vcpu: number): void {
  const at = vcpuInfo(d, vcpu);
  if (at !== NOWHERE) Atomics.and(h.s.w, at, ~UPCALL_MASK);
}

/** Is there something to look at, and let through? Source: local_events_need_delivery() (xen/arch/x86/include/asm/event.h). */
export function eventsAwaited(h: Host, d: Domain, vcpu: number): boolean {
  const at = vcpuInfo(d, vcpu), flags = at === NOWHERE ? 0 : Atomics.load(h.s.w, at);
  return (flags & 0xff) !== 0 && (flags & UPCALL_MASK) === 0;
}

/** The vcpu_info of a vCPU that had none: events are masked. @param at - word index */
export function startInfo(h: Host, at: number): void {
  h.s.w.fill(0, at, at + VCPU_INFO_BYTES / 4);
  h.s.w[at] = 0x100;
}

/** Let a vCPU look at all ports. */
export function selectAll(h: Host, d: Domain, vcpu: number): void {
  const at = vcpuInfo(d, vcpu) + (d.is32 ? SELECTOR_32 : SELECTOR_64);
  h.s.w.fill(-1, at, at + (d.is32 ? 1 : 2));
}

/** From the word of a port's pending bit to that of its mask bit. */
const toMask = (wide: boolean): number => (wide ? MASK_64 : MASK_32) - PENDING;

/** Set the selector's bit for a port, and tell the vCPU if it was not set. */
function select(h: Host, d: Domain, vcpu: number, port: number, wide: boolean): void {
  const n = port >>> (wide ? 6 : 5), info = vcpuInfo(d, vcpu);
  if (info !== NOWHERE && !testAndSetBit(h.s, info + (wide ? SELECTOR_64 : SELECTOR_32) + (n >>> 5), n & 31)) mark(h, d, vcpu, info);
}

export function setPending2l(h: Host, d: Domain, vcpu: number, { number }: Port): void {
  const { s } = h, shared = d.sharedAt;
  if (shared === 0) return;
  const pending = shared + PENDING + (number >>> 5), bit = number & 31, wide = !d.is32;
  if (testAndSetBit(s, pending, bit)) return;
  if (!testBit(s, pending + toMask(wide), bit)) select(h, d, vcpu, number, wide);
  wakePollers(h, d, number);
}

export function clearPending2l(h: Host, d: Domain, { number }: Port): void {
  const shared = d.sharedAt;
  if (shared !== 0) testAndClearBit(h.s, shared + PENDING + (number >>> 5), number & 31);
}

export function isPending2l(h: Host, d: Domain, { number }: Port): boolean {
  const shared = d.sharedAt;
  return shared !== 0 && testBit(h.s, shared + PENDING + (number >>> 5), number & 31);
}

export function unmask2l(h: Host, d: Domain, { number, vcpu }: Port): void {
  const shared = d.sharedAt;
  if (shared === 0) return;
  const pending = shared + PENDING + (number >>> 5), bit = number & 31, wide = !d.is32;
  if (testAndClearBit(h.s, pending + toMask(wide), bit) && testBit(h.s, pending, bit)) select(h, d, vcpu, number, wide);
}
