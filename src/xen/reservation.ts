/**
 * memory_op's increase_reservation, decrease_reservation and populate_physmap: a domain gets frames, or gives some back.
 *
 * Each goes through a list of extents of 2^order frames and ends at the first it cannot do; the result is how many are done.
 *
 * Source: facts of Xen 4.17, increase_reservation(), decrease_reservation(), populate_physmap(), guest_remove_page(), max_order(),
 *         propagate_node(), construct_memop_from_reservation() (xen/common/memory.c), guest_physmap_add_page() (xen/arch/x86/mm/physmap.c).
 */
import type { Domain } from './domain.ts';
import type { Extents } from './extents.ts';
import { NO_FRAME } from './domain.ts';
import { allocateFor } from './heap.ts';
import type { Host } from './host.ts';
import {
  XENMEMF_exact_node_request, XENMEMF_populate_on_demand, XENMEMF_vnode, XENMEM_decrease_reservation, XENMEM_increase_reservation,
} from './numbers.ts';
import { REQUESTS } from './work.ts';

const DOMU_MAX_ORDER = 9;
const MOST_MAX_ORDER = 12; // of a domain with privilege or devices
const LARGEST_ORDER = 18; //  of anything
const PAGE_SHIFT = 12;
const NODES_MOST = 64;
const NO_NODE = 0xff;
const NEVER = 0; // address bits that no frame has

/** What is asked for, and what came of it. */
export interface Reservation {
  readonly extents: Extents;
  readonly count: number;
  readonly order: number;
  readonly flags: number;
  readonly domid: number;
  /** Extents done, from earlier calls too. */
  done: number;
  preempted: boolean;
}

/** Do it. @param op - XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap */
export function adjustReservation(h: Host, op: number, r: Reservation): void {
  if (r.done >= r.count) return;
  const domain = h.anyDomain(r.domid), bits = addressBits(h, r.flags, true), exact = nodeBits(h, r.flags);
  if (domain === undefined || bits === undefined || exact === undefined || !h.mayControl(domain)) return;
  const most = Math.min(bits, exact), isDecrease = op === XENMEM_decrease_reservation, isIncrease = op === XENMEM_increase_reservation;
  if (!(isIncrease && r.extents.isNull) && !r.extents.okFrom(r.done)) return;
  const onDemand = !isDecrease && !isIncrease && (r.flags & XENMEMF_populate_on_demand) !== 0;
  if (r.order >>> 0 > (onDemand ? LARGEST_ORDER : maxOrder(h))) return;
  for (const first = r.done; r.done < r.count; r.done++) {
    if (r.done !== first && h.preemptCheck()) {
      r.preempted = true;
      return;
    }
    h.counters.work.add(REQUESTS, 2 ** r.order);
    const ok = isDecrease ? removeExtent(h, domain, r) : isIncrease ? addExtent(h, domain, r, most)
      : onDemand ? demandExtent(h, domain, r) : populateExtent(h, domain, r, most);
    if (!ok) return;
  }
}

/** Largest extent that the caller may ask for. */
export function maxOrder(h: Host): number {
  const { domain } = h.current;
  return domain.privileged || domain.iomem.length > 0 ? MOST_MAX_ORDER : DOMU_MAX_ORDER;
}

/** How many bits the addresses may have; Infinity: any. @param checked - too few are refused, with undefined */
export function addressBits(h: Host, flags: number, checked: boolean): number | undefined {
  const bits = flags & 0xff;
  if (!checked) return bits === 0 ? Infinity : Math.max(bits, PAGE_SHIFT + 1);
  if (bits === 0 || bits >= Math.ceil(Math.log2(h.frames.count)) + PAGE_SHIFT) return Infinity;
  return bits <= PAGE_SHIFT ? undefined : bits;
}

/** The NUMA node asked for: there is one, number 0. @returns Infinity; NEVER if only another will do; undefined if it may not be asked for */
export function nodeBits(h: Host, flags: number): number | undefined {
  const node = ((flags >>> 8) - 1) & NO_NODE, exact = (flags & XENMEMF_exact_node_request) !== 0;
  if ((flags & XENMEMF_vnode) !== 0 || node === NO_NODE) return Infinity;
  if (!h.current.domain.privileged) return exact ? undefined : Infinity;
  if (node >= NODES_MOST) return undefined;
  return exact && node !== 0 ? NEVER : Infinity;
}

function addExtent(h: Host, domain: Domain, r: Reservation, bits: number): boolean {
  const first = bits === NEVER ? NO_FRAME : allocateFor(h, domain, r.order, bits);
  if (first === NO_FRAME) return false;
  return r.extents.isNull || r.extents.write(r.done, first);
}

function populateExtent(h: Host, domain: Domain, r: Reservation, bits: number): boolean {
  if (!r.extents.read(r.done)) return false;
  const { lo, hi } = r.extents, first = bits === NEVER ? NO_FRAME : allocateFor(h, domain, r.order, bits);
  if (first === NO_FRAME) return false;
  nameFrames(h, first, r.order, lo, hi);
  return r.extents.write(r.done, first);
}

/** Populating on demand is for other kinds of guests: of these, nothing happens. */
function demandExtent(h: Host, domain: Domain, r: Reservation): boolean {
  return r.extents.read(r.done) && domain !== h.current.domain;
}

/** Call frames by the numbers from `hi:lo` up. */
export function nameFrames(h: Host, first: number, order: number, lo: number, hi: number): void {
  for (let k = 0; k < 2 ** order; k++) {
    const low = (lo >>> 0) + k;
    h.m2p.set(first + k, low | 0, low >= 2 ** 32 ? (hi + 1) | 0 : hi);
  }
}

/** Frames before the first that cannot be given back are gone all the same. */
function removeExtent(h: Host, domain: Domain, r: Reservation): boolean {
  if (!r.extents.read(r.done)) return false;
  const first = (r.extents.lo >>> 0) + (r.extents.hi >>> 0) * 2 ** 32;
  for (let k = 0; k < 2 ** r.order; k++) {
    if (!h.frames.getPage(first + k, domain.id)) return false;
    h.frames.putAllocated(first + k);
    h.frames.putPage(first + k);
  }
  return true;
}
