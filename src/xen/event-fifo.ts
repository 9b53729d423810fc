/**
 * FIFO event channels: a word for each port in frames of the guest's, linked into queues by priority whose heads are in a control block.
 *
 * Source: facts of Xen 4.17, xen/common/event_fifo.c; xen/include/public/event_channel.h, "FIFO ABI".
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import type { Domain } from './domain.ts';
import { markPending } from './event-2l.ts';
import { testAndClearBit, testAndSetBit, testBit } from './event-bits.ts';
import type { Port } from './event-port.ts';
import { FIFO_PORTS, type EventPorts } from './event-ports.ts';
import type { FifoVcpu } from './fifo-vcpu.ts';
import type { Host } from './host.ts';
import { XEN_EINVAL, XEN_ENOSPC } from './numbers.ts';
import { getPageType, putPageAndType } from './page-type.ts';
import { wakePollers } from './wake.ts';

const PENDING = 31;
const MASKED = 30;
const LINKED = 29;
const BUSY = 28;
export const FIFO_LINK_BITS = 17;
const LINK_MASK = (1 << FIFO_LINK_BITS) - 1;
export const FIFO_PRIORITIES = 16;
const WORDS_PER_FRAME = 1024;
const FRAME_BYTES = 4096;
/** Bytes of a control block: a word of ready bits, one reserved, 16 heads. */
const CONTROL_BYTES = 72;
const HEADS = 2;
const LINK_TRIES = 4; // what a guest may do to a linked word fails the exchange at most this often

/** Word index of a port's word, -1 if its frame is not there. */
function wordOf(h: Host, events: EventPorts, port: number): number {
  const frame = events.fifoFrame(Math.floor(port / WORDS_PER_FRAME));
  return frame < 0 ? -1 : h.table(frame) + (port % WORDS_PER_FRAME);
}

/** Is a free port still in a queue of the guest's? */
export function isBusyFifo(h: Host, events: EventPorts, port: Port): boolean {
  const word = wordOf(h, events, port.number);
  return word >= 0 && testBit(h.s, word, LINKED);
}

export function setPendingFifo(h: Host, d: Domain, vcpu: number, port: Port): void {
  const events = d.events, word = wordOf(h, events, port.number), fifo = events.fifoVcpu(vcpu);
  if (word < 0) {
    port.pending = true; // for when the frame comes
    return;
  }
  if (fifo.control < 0) return;
  const was = testAndSetBit(h.s, word, PENDING);
  if (!testBit(h.s, word, MASKED) && !testAndSetBit(h.s, word, LINKED)) enqueue(h, d, events, vcpu, fifo, port);
  if (!was) wakePollers(h, d, port.number);
}

/** Put a port, just marked as linked, at the end of its queue. */
function enqueue(h: Host, d: Domain, events: EventPorts, vcpu: number, fifo: FifoVcpu, port: Port): void {
  const { number, priority } = port, old = events.fifoVcpu(port.lastVcpu);
  if (old.tail(port.lastPriority) === number) old.setTail(port.lastPriority, 0); // that queue is empty now
  port.lastVcpu = vcpu;
  port.lastPriority = priority;
  const tail = fifo.tail(priority), linked = tail !== 0 && setLink(h, wordOf(h, events, tail), number);
  if (!linked) Atomics.store(h.s.w, fifo.control + HEADS + priority, number);
  fifo.setTail(priority, number);
  if (!linked && !testAndSetBit(h.s, fifo.control, priority)) markPending(h, d, vcpu);
}

/** Make a word link to a port, if it is linked itself. @returns whether it is */
function setLink(h: Host, word: number, port: number): boolean {
  const { w } = h.s;
  for (let tries = 0; tries <= LINK_TRIES; tries++) {
    const old = Atomics.load(w, word);
    if (!(old & (1 << LINKED))) {
      if (tries > 0) testAndClearBit(h.s, word, BUSY);
      return false;
    }
    if (Atomics.compareExchange(w, word, old, (old & ~((1 << BUSY) | LINK_MASK)) | port) === old) return true;
    testAndSetBit(h.s, word, BUSY); // keeps the guest from unmasking
  }
  testAndClearBit(h.s, word, BUSY);
  return true;
}

export function clearPendingFifo(h: Host, d: Domain, port: Port): void {
  const word = wordOf(h, d.events, port.number);
  if (word >= 0) testAndClearBit(h.s, word, PENDING);
}

export function isPendingFifo(h: Host, d: Domain, port: Port): boolean {
  const word = wordOf(h, d.events, port.number);
  return word >= 0 && testBit(h.s, word, PENDING);
}

export function unmaskFifo(h: Host, d: Domain, port: Port): void {
  const word = wordOf(h, d.events, port.number);
  if (word < 0) return;
  testAndClearBit(h.s, word, MASKED);
  if (testBit(h.s, word, PENDING)) setPendingFifo(h, d, port.vcpu, port);
}

/** Take a frame of a domain's to write to. @returns false if it is not theirs, or cannot be writable */
function takeFrame(h: Host, d: Domain, hi: number, lo: number): boolean {
  if (hi !== 0 || !h.frames.getPage(lo >>> 0, d.id)) return false;
  if (getPageType(h, lo >>> 0, PGT_WRITABLE) === 0) return true;
  h.frames.putPage(lo >>> 0);
  return false;
}

/** Is a control block at `offset` of a frame whole and aligned? */
export const controlFits = (offset: number): boolean => offset <= FRAME_BYTES - CONTROL_BYTES && (offset & 7) === 0;

/** Give a vCPU its control block. @returns 0 or -XEN_EINVAL */
export function mapControl(h: Host, d: Domain, fifo: FifoVcpu, hi: number, lo: number, offset: number): number {
  if (fifo.control >= 0 || !takeFrame(h, d, hi, lo)) return -XEN_EINVAL;
  fifo.setControl(lo >>> 0, h.table(lo >>> 0) + (offset >>> 2));
  return 0;
}

/** Add a frame to the event array; events that came while it was missing are raised, bound or not. @returns 0 or -XEN_E* */
export function expandArray(h: Host, d: Domain, hi: number, lo: number): number {
  const events = d.events, first = events.fifo!.length * WORDS_PER_FRAME;
  if (first >= FIFO_PORTS) return -XEN_ENOSPC;
  if (!takeFrame(h, d, hi, lo)) return -XEN_EINVAL;
  events.addFifoFrame(lo >>> 0);
  for (let n = first; n < first + WORDS_PER_FRAME && n < events.valid; n++) {
    const port = events.port(n);
    if (port.pending) setPendingFifo(h, d, port.vcpu, port);
  }
  return 0;
}

/** Let go of everything, for a return to two levels or the end of the domain. */
export function destroyFifo(h: Host, d: Domain): void {
  const events = d.events;
  for (const { frame } of events.fifoVcpus()) if (frame >= 0) putPageAndType(h, frame);
  for (const frame of events.fifo ?? []) putPageAndType(h, frame);
  events.endFifo();
}
