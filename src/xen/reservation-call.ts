/**
 * The arguments of memory_op's increase_reservation, decrease_reservation and populate_physmap, in both widths.
 *
 * A 32-bit guest's list is translated in pieces of as many numbers as the hypervisor has room for.
 *
 * Source: facts of Xen 4.17, do_memory_op() (xen/common/memory.c), compat_memory_op() (xen/common/compat/memory.c).
 */
import { COMPAT_BYTES, CompatExtents, GuestExtents, WIDE_BYTES, compatArrayOk, type Extents } from './extents.ts';
import { copyFromGuest, XLAT_BYTES } from './guest-memory.ts';
import type { Host } from './host.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from './memory-struct.ts';
import { HYPERVISOR_memory_op, MEMOP_EXTENT_SHIFT, XENMEM_decrease_reservation, XENMEM_increase_reservation } from './numbers.ts';
import { adjustReservation, type Reservation } from './reservation.ts';

const COUNT_MOST = 0x3ffffff; // that a continuation can tell of
const PIECE = Math.floor((XLAT_BYTES - WIDE_LAYOUT.reservation.bytes) / WIDE_BYTES);

/** @param at - word index of the call's arguments @param hi, lo - address of the structure @param start - extents done before @returns extents done */
export function reservationCall(h: Host, at: number, op: number, hi: number, lo: number, start: number): number {
  if (h.current.domain.is32) return compatCall(h, at, op, lo, start);
  const layout = WIDE_LAYOUT.reservation, b = h.buffer;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return start;
  const count = (b[layout.nrExtents >>> 2] >>> 0) + (b[(layout.nrExtents >>> 2) + 1] >>> 0) * 2 ** 32;
  if (count > COUNT_MOST) return start;
  const r = request(h, layout, new GuestExtents(h, b[1], b[0]), count, start);
  adjustReservation(h, op, r);
  return r.preempted ? again(h, at, op, r.done) : r.done;
}

/** What the structure in `h.buffer` asks for. */
function request(h: Host, layout: typeof WIDE_LAYOUT.reservation, extents: Extents, count: number, done: number): Reservation {
  const b = h.buffer;
  return {
    extents, count, order: b[layout.extentOrder >>> 2], flags: b[layout.memFlags >>> 2], domid: b[layout.domid >>> 2] & 0xffff, done, preempted: false,
  };
}

function again(h: Host, at: number, op: number, done: number): number {
  return h.continueCall(HYPERVISOR_memory_op, at, [op | (done << MEMOP_EXTENT_SHIFT), 0]);
}

function compatCall(h: Host, at: number, op: number, lo: number, start: number): number {
  const layout = COMPAT_LAYOUT.reservation, b = h.buffer;
  for (let done = start; ;) {
    if (!copyFromGuest(h, 0, lo, layout.bytes)) return done;
    const list = b[0], total = b[layout.nrExtents >>> 2] >>> 0;
    if (total > COUNT_MOST || (list !== 0 && !compatArrayOk(h, list, total, COMPAT_BYTES))) return done;
    const end = list === 0 ? total : Math.min(done + PIECE, total);
    const r = request(h, layout, new GuestExtents(h, 0, 0), end, done);
    const piece = list === 0 ? undefined : CompatExtents.piece(h, list, done, end);
    const readable = piece === undefined || op === XENMEM_increase_reservation ? end : piece.fill();
    const part: Reservation = { ...r, extents: piece ?? r.extents, count: readable };
    adjustReservation(h, op, part);
    const told = piece === undefined || op === XENMEM_decrease_reservation ? part.done : piece.flush(part.done);
    if (told < part.done) return told;
    if (part.preempted) return again(h, at, op, part.done);
    done = part.done;
    if (done < readable || readable < end || end === total) return done;
    if (h.preemptCheck()) return again(h, at, op, done);
  }
}
