/**
 * memory_op's exchange: frames for others of another contiguity, chunk by chunk.
 *
 * A chunk is the larger of an input and an output extent, in frames. Its inputs are stolen, which needs that nothing refers to them, then its
 * outputs are taken from the source; if either fails, the chunk is as it was, and `nr_exchanged` tells the inputs of those before it.
 *
 * Source: facts of Xen 4.17, memory_exchange() (xen/common/memory.c).
 */
import type { Domain } from './domain.ts';
import { NO_FRAME } from './domain.ts';
import type { Extents } from './extents.ts';
import { assignFrames, freeHeld, stealFrame, takeFrames } from './heap.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOMEM, XEN_EPERM, XEN_ESRCH } from './numbers.ts';
import { addressBits, maxOrder, nameFrames, nodeBits } from './reservation.ts';

const ALL_ONES = 2n ** 64n - 1n;
const ARRAY_MOST = ALL_ONES / 8n;

/** Input or output. Counts may be anything that 64 bits hold. */
export interface ExchangeSide {
  /** The list from an index on: what the extents are numbered from is the first that is not done. */
  readonly from: (index: bigint) => Extents;
  readonly count: bigint;
  readonly order: number;
  readonly flags: number;
  readonly domid: number;
}

export interface Exchange {
  readonly input: ExchangeSide;
  readonly output: ExchangeSide;
  /** Inputs done. */
  exchanged: bigint;
  preempted: boolean;
  /** Tell the guest how many inputs are done. @returns false if that cannot be written */
  readonly report: (exchanged: bigint) => boolean;
}

/** Where the work is: lists from the first chunk on, and the orders of a chunk in extents. */
interface Chunks {
  readonly domain: Domain;
  readonly input: Extents;
  readonly output: Extents;
  readonly inOrder: number;
  readonly outOrder: number;
  readonly bits: number;
}

/** @returns 0 or -XEN_E*; with `x.preempted` set, it has to be called again */
export function exchange(h: Host, x: Exchange): number {
  const { input, output } = x;
  const early = refusal(h, x);
  if (early !== 0) return x.report(x.exchanged) ? early : -XEN_EFAULT;
  if (x.exchanged === input.count) return 0;
  const delta = output.order - input.order, inOrder = Math.max(0, delta), outOrder = Math.max(0, -delta);
  const first = x.exchanged >> BigInt(inOrder), ins = input.from(first << BigInt(inOrder)), outs = output.from(first << BigInt(outOrder));
  const late = (rc: number) => (x.report(x.exchanged) ? rc : -XEN_EFAULT);
  const listed = input.count - x.exchanged < ARRAY_MOST && output.count - (first << BigInt(outOrder)) < ARRAY_MOST;
  if (!listed || !input.from(x.exchanged).okFrom(0) || !outs.okFrom(0)) return late(-XEN_EFAULT);
  const node = nodeBits(h, output.flags);
  if (node === undefined) return late(-XEN_EINVAL);
  const domain = h.anyDomain(input.domid);
  if (domain === undefined) return late(-XEN_ESRCH);
  if (!h.mayControl(domain)) return late(-XEN_EPERM);
  const bits = Math.min(node, addressBits(h, output.flags, false)!);
  return chunks(h, x, first, { domain, input: ins, output: outs, inOrder, outOrder, bits });
}

/** What is refused before anything is looked at. */
function refusal(h: Host, { input, output, exchanged }: Exchange): number {
  if (Math.max(input.order, output.order) > maxOrder(h)) return -XEN_EPERM;
  const inOrder = BigInt(input.order), outOrder = BigInt(output.order);
  const bad = exchanged > input.count || input.domid !== output.domid || ALL_ONES >> inOrder < input.count
    || ALL_ONES >> outOrder < output.count || input.count << inOrder !== output.count << outOrder;
  return bad ? -XEN_EINVAL : 0;
}

function chunks(h: Host, x: Exchange, first: bigint, c: Chunks): number {
  const count = Number((x.input.count >> BigInt(c.inOrder)) - first), inOrder = BigInt(c.inOrder);
  for (let k = 0; k < count; k++) {
    let rc = 0;
    if (k > 0 && h.preemptCheck()) x.preempted = true;
    else rc = chunk(h, x, c, k);
    if (rc === 0 && !x.preempted) continue;
    x.exchanged = (first + BigInt(k)) << inOrder;
    return x.report(x.exchanged) ? rc : -XEN_EFAULT;
  }
  x.exchanged = x.input.count;
  return x.report(x.exchanged) ? 0 : -XEN_EFAULT;
}

function chunk(h: Host, x: Exchange, c: Chunks, k: number): number {
  const stolen: number[] = [], taken: number[] = [];
  let rc = -XEN_ENOMEM;
  try {
    rc = stealChunk(h, x, c, k, stolen) || takeChunk(h, x, c, taken);
  } finally { // also if the source is at fault
    if (rc !== 0) {
      for (const mfn of stolen) h.frames.assign(mfn, c.domain.id);
      for (const mfn of taken) freeHeld(h, mfn, x.output.order);
    }
  }
  if (rc !== 0) return rc;
  for (const mfn of stolen) freeHeld(h, mfn, 0);
  return giveChunk(h, x, c, k, taken);
}

function stealChunk(h: Host, x: Exchange, c: Chunks, k: number, stolen: number[]): number {
  for (let j = 0; j < 2 ** c.inOrder; j++) {
    if (!c.input.read(k * 2 ** c.inOrder + j)) return -XEN_EFAULT;
    const mfn = (c.input.lo >>> 0) + (c.input.hi >>> 0) * 2 ** 32;
    for (let f = 0; f < 2 ** x.input.order; f++) {
      const rc = stealFrame(h, c.domain, mfn + f);
      if (rc !== 0) return rc;
      stolen.push(mfn + f);
    }
  }
  return 0;
}

function takeChunk(h: Host, x: Exchange, c: Chunks, taken: number[]): number {
  for (let j = 0; j < 2 ** c.outOrder; j++) {
    const mfn = c.bits === 0 ? NO_FRAME : takeFrames(h, c.domain, x.output.order, c.bits);
    if (mfn === NO_FRAME) return -XEN_ENOMEM;
    taken.push(mfn);
  }
  return 0;
}

/** From here on nothing fails but the list: the frames are the domain's then, and only it is not told of them. */
function giveChunk(h: Host, x: Exchange, c: Chunks, k: number, taken: readonly number[]): number {
  let rc = 0;
  taken.forEach((mfn, j) => {
    const index = k * 2 ** c.outOrder + j;
    assignFrames(h, c.domain, mfn, x.output.order);
    if (!c.output.read(index)) {
      rc = -XEN_EFAULT;
      return;
    }
    nameFrames(h, mfn, x.output.order, c.output.lo, c.output.hi);
    if (!c.output.write(index, mfn)) rc = -XEN_EFAULT;
  });
  return rc;
}
