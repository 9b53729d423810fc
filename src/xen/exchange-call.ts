/**
 * The argument of memory_op's exchange, in both widths.
 *
 * Source: facts of Xen 4.17, do_memory_op(), memory_exchange() (xen/common/memory.c), compat_memory_op() (xen/common/compat/memory.c).
 */
import { exchange, type Exchange, type ExchangeSide } from './exchange.ts';
import { COMPAT_BYTES, CompatExtents, GuestExtents, WIDE_BYTES, compatArrayOk, highAfter, lowAfter } from './extents.ts';
import { copyFromGuest, copyToGuest, XLAT_BYTES } from './guest-memory.ts';
import type { Host } from './host.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from './memory-struct.ts';
import { HYPERVISOR_memory_op, XENMEM_exchange, XEN_E2BIG, XEN_EFAULT, XEN_EINVAL } from './numbers.ts';

/** @param at - word index of the call's arguments @param hi, lo - address of the structure @param start - must be 0 @returns 0 or -XEN_E* */
export function exchangeCall(h: Host, at: number, hi: number, lo: number, start: number): number {
  if (h.current.domain.is32) return compatCall(h, at, lo, start);
  const layout = WIDE_LAYOUT.exchange;
  if (start !== 0) return -XEN_EINVAL;
  if (!copyFromGuest(h, hi, lo, layout.bytes)) return -XEN_EFAULT;
  const x: Exchange = {
    input: wideSide(h, 0), output: wideSide(h, layout.out), exchanged: wideNumber(h, layout.nrExchanged), preempted: false,
    report: exchanged => {
      h.buffer[0] = Number(BigInt.asIntN(32, exchanged));
      h.buffer[1] = Number(BigInt.asIntN(32, exchanged >> 32n));
      return copyToGuest(h, highAfter(hi, lo, layout.nrExchanged), lowAfter(lo, layout.nrExchanged), 8);
    },
  };
  const rc = exchange(h, x);
  return rc === 0 && x.preempted ? h.continueCall(HYPERVISOR_memory_op, at, [XENMEM_exchange, 0]) : rc;
}

function wideNumber(h: Host, offset: number): bigint {
  const b = h.buffer;
  return (BigInt(b[(offset >>> 2) + 1] >>> 0) << 32n) | BigInt(b[offset >>> 2] >>> 0);
}

function wideSide(h: Host, offset: number): ExchangeSide {
  const layout = WIDE_LAYOUT.reservation, b = h.buffer, list = new GuestExtents(h, b[(offset >>> 2) + 1], b[offset >>> 2]);
  return {
    from: index => list.from(index), count: wideNumber(h, offset + layout.nrExtents), order: b[(offset + layout.extentOrder) >>> 2] >>> 0,
    flags: b[(offset + layout.memFlags) >>> 2], domid: b[(offset + layout.domid) >>> 2] & 0xffff,
  };
}

/** What a 32-bit guest's structure says of one side. */
interface CompatSide {
  readonly list: number;
  readonly count: number;
  readonly order: number;
  readonly flags: number;
  readonly domid: number;
}

function compatSide(h: Host, offset: number): CompatSide {
  const layout = COMPAT_LAYOUT.reservation, b = h.buffer;
  return {
    list: b[offset >>> 2], count: b[(offset + layout.nrExtents) >>> 2] >>> 0, order: b[(offset + layout.extentOrder) >>> 2] >>> 0,
    flags: b[(offset + layout.memFlags) >>> 2], domid: b[(offset + layout.domid) >>> 2] & 0xffff,
  };
}

/** A 32-bit guest's exchange is done in pieces that there is room for; but after the first the call is refused, as with an extent to start at. */
function compatCall(h: Host, at: number, lo: number, start: number): number {
  const layout = COMPAT_LAYOUT.exchange;
  if (!copyFromGuest(h, 0, lo, layout.bytes)) return -XEN_EFAULT;
  const input = compatSide(h, 0), output = compatSide(h, layout.out), first = h.buffer[layout.nrExchanged >>> 2] >>> 0;
  const delta = (output.order - input.order) | 0, inOrder = delta > 0 ? delta & 31 : 0, outOrder = delta < 0 ? -delta & 31 : 0;
  if (compatRefused(input, output, first, delta)) return -XEN_EINVAL;
  if (!compatArrayOk(h, input.list, input.count, COMPAT_BYTES) || !compatArrayOk(h, output.list, output.count, COMPAT_BYTES)) return -XEN_EFAULT;
  const room = Math.floor((XLAT_BYTES - WIDE_LAYOUT.exchange.bytes) / (((1 << (inOrder + outOrder)) >>> 0) + 1) / WIDE_BYTES);
  if (room === 0) return -XEN_E2BIG;
  const end = Math.min(first + room * 2 ** inOrder, input.count), outEnd = (end / 2 ** inOrder) * 2 ** outOrder;
  const ins = CompatExtents.piece(h, input.list, first, end), outFirst = (first / 2 ** inOrder) * 2 ** outOrder;
  const outs = CompatExtents.piece(h, output.list, outFirst, outEnd);
  if (ins.fill() < end || outs.fill() < outEnd) return -XEN_EFAULT;
  if (start !== 0) return -XEN_EINVAL;
  const x: Exchange = {
    input: { ...input, from: index => ins.from(index), count: BigInt(end) }, output: { ...output, from: index => outs.from(index), count: BigInt(outEnd) },
    exchanged: BigInt(first), preempted: false, report: () => true,
  };
  const rc = exchange(h, x);
  if (rc < 0) return rc;
  const done = Number(x.exchanged), outDone = (done / 2 ** inOrder) * 2 ** outOrder, told = outs.flush(outDone) === outDone;
  h.buffer[0] = done;
  if (!copyToGuest(h, highAfter(0, lo, layout.nrExchanged), lowAfter(lo, layout.nrExchanged), 4) || !told) return -XEN_EFAULT;
  if (x.preempted) return h.continueCall(HYPERVISOR_memory_op, at, [XENMEM_exchange, 0]);
  return end < input.count ? -XEN_EINVAL : 0;
}

/** Shifts count modulo 32 here, as the processor's do. */
function compatRefused(input: CompatSide, output: CompatSide, first: number, delta: number): boolean {
  return first > input.count || (delta > 0 && (first & ((1 << delta) - 1)) !== 0)
    || 0xffffffff >>> input.order < input.count || 0xffffffff >>> output.order < output.count
    || input.count << input.order !== output.count << output.order;
}
