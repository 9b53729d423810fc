/**
 * The hypercall physdev_op, as far as interrupts that become events go: eoi, irq_status_query, map_pirq, unmap_pirq, get_free_pirq,
 * pirq_eoi_gmfn_v1 and _v2. Several messages of a device at once (MAP_PIRQ_TYPE_MULTI_MSI) are refused, as without interrupt remapping.
 *
 * Source: facts of Xen 4.17, do_physdev_op(), physdev_map_pirq(), physdev_unmap_pirq() (xen/arch/x86/physdev.c), allocate_and_map_msi_pirq()
 *         (xen/arch/x86/irq.c), set_pirq_eoi() (xen/arch/x86/include/asm/irq.h); xen/include/public/physdev.h.
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { deliverInterrupt, unmask } from './event-bind.ts';
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import {
  DOMID_SELF, XEN_EBUSY, XEN_EDOM, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ESRCH,
} from './numbers.ts';
import { getPageType, putPageAndType } from './page-type.ts';

const PHYSDEVOP_irq_status_query = 5;
export const PHYSDEVOP_eoi = 12;
const PHYSDEVOP_map_pirq = 13;
const PHYSDEVOP_unmap_pirq = 14;
const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17;
const PHYSDEVOP_get_free_pirq = 23;
const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28;
const MAP_PIRQ_TYPE_MSI = 0;
const MAP_PIRQ_TYPE_GSI = 1;
const MAP_PIRQ_TYPE_MSI_SEG = 3;
const MAP_PIRQ_TYPE_MULTI_MSI = 4;
const XENIRQSTAT_needs_eoi = 1;
const XENIRQSTAT_shared = 2;
const MOST_MESSAGES = 32;

/** Arguments: command, address of its structure. @param at - word index */
export function physdevOp(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, command = w[at], lo = w[at + 2], hi = w[at + 3], bytes = sizeOf(domain, command), b = h.buffer;
  if (bytes === 0) return -XEN_ENOSYS;
  if (!copyFromGuest(h, hi, lo, bytes)) return -XEN_EFAULT;
  switch (command) {
    case PHYSDEVOP_eoi: return eoi(h, domain, b[0] >>> 0);
    case PHYSDEVOP_unmap_pirq: return unmap(h, b[0] & 0xffff, b[1]);
    case PHYSDEVOP_pirq_eoi_gmfn_v1: case PHYSDEVOP_pirq_eoi_gmfn_v2:
      return useEoiMap(h, domain, (b[0] >>> 0) + (domain.is32 ? 0 : (b[1] >>> 0) * 2 ** 32), command === PHYSDEVOP_pirq_eoi_gmfn_v1);
    case PHYSDEVOP_irq_status_query: {
      if (b[0] >>> 0 >= domain.pirqs) return -XEN_EINVAL;
      b[1] = XENIRQSTAT_needs_eoi | (h.interrupts.isShared(domain, b[0]) ? XENIRQSTAT_shared : 0);
      return copyToGuest(h, hi, lo, bytes) ? 0 : -XEN_EFAULT;
    }
    case PHYSDEVOP_get_free_pirq: {
      const pirq = h.interrupts.reserve(domain, b[0] === MAP_PIRQ_TYPE_GSI);
      if (pirq < 0) return pirq;
      b[1] = pirq;
      return copyToGuest(h, hi, lo, bytes) ? 0 : -XEN_EFAULT;
    }
    default: {
      const pirq = map(h, b), rc = pirq < 0 ? pirq : 0;
      if (rc === 0) b[3] = pirq;
      return copyToGuest(h, hi, lo, bytes) ? rc : -XEN_EFAULT;
    }
  }
}

/** Bytes of a command's structure, 0 for what is not served. */
function sizeOf(domain: Domain, command: number): number {
  switch (command) {
    case PHYSDEVOP_eoi: return 4;
    case PHYSDEVOP_irq_status_query: case PHYSDEVOP_unmap_pirq: case PHYSDEVOP_get_free_pirq: return 8;
    case PHYSDEVOP_pirq_eoi_gmfn_v1: case PHYSDEVOP_pirq_eoi_gmfn_v2: return domain.is32 ? 4 : 8;
    case PHYSDEVOP_map_pirq: return domain.is32 ? 36 : 40;
    default: return 0;
  }
}

/** Who may map and unmap PIRQs of a domain, and which it is. @returns -XEN_E* where not */
function controlled(h: Host, domid: number): Domain | number {
  const target = domid === DOMID_SELF ? h.current.domain : h.domain(domid);
  if (target === undefined) return -XEN_ESRCH;
  return h.current.domain.privileged ? target : -XEN_EPERM;
}

/** @param b - struct physdev_map_pirq @returns the PIRQ, or -XEN_E* */
function map(h: Host, b: Int32Array): number {
  const target = controlled(h, b[0] & 0xffff), { domain } = h.current, [, type, index, pirq, bus, devfn, entry] = b;
  const table = (b[h.current.domain.is32 ? 7 : 8] | b[h.current.domain.is32 ? 8 : 9]) !== 0;
  if (type === MAP_PIRQ_TYPE_MULTI_MSI && table) return -XEN_EINVAL;
  if (typeof target === 'number') return target;
  switch (type) {
    case MAP_PIRQ_TYPE_GSI: return h.interrupts.mapLine(domain, target, index, pirq);
    case MAP_PIRQ_TYPE_MULTI_MSI:
      if (pirq < 0 && (entry <= 0 || entry > MOST_MESSAGES)) return -XEN_EDOM;
      if (entry !== 1) return -XEN_EOPNOTSUPP;
      return h.interrupts.mapMessage(domain, target, bus & 0xff, devfn & 0xff, 0, pirq);
    case MAP_PIRQ_TYPE_MSI: case MAP_PIRQ_TYPE_MSI_SEG:
      if (index !== -1) return -XEN_EINVAL; // an interrupt by its number: none is made that way
      return h.interrupts.mapMessage(domain, target, bus & 0xff, devfn & 0xff, table ? entry : 0, pirq);
    default: return -XEN_EINVAL;
  }
}

function unmap(h: Host, domid: number, pirq: number): number {
  const target = controlled(h, domid);
  if (typeof target === 'number') return target;
  return pirq < 0 || pirq >= target.pirqs ? -XEN_EINVAL : h.interrupts.unmap(target, pirq);
}

function eoi(h: Host, d: Domain, pirq: number): number {
  const events = d.events, port = events.pirqs.get(pirq);
  if (pirq >= d.pirqs || (port === 0 && !h.interrupts.has(d, pirq))) return -XEN_EINVAL;
  if (d.eoiUnmasks && port !== 0) unmask(h, d, port);
  h.interrupts.eoi(d, pirq);
  deliverInterrupt(h, h.interrupts.irqOf(d, pirq));
  return 0;
}

/** A frame of the guest's is to tell which PIRQs need an end; once. @param unmasks - signalling the end unmasks the port, too */
function useEoiMap(h: Host, d: Domain, mfn: number, unmasks: boolean): number {
  if (!h.frames.getPage(mfn, d.id)) return -XEN_EINVAL;
  if (getPageType(h, mfn, PGT_WRITABLE) !== 0) {
    h.frames.putPage(mfn);
    return -XEN_EINVAL;
  }
  if (d.eoiFrame !== NO_FRAME) {
    putPageAndType(h, mfn);
    return -XEN_EBUSY;
  }
  d.eoiFrame = mfn;
  d.eoiUnmasks = unmasks;
  return 0;
}

/** Tell which references these frames hold, for the audit. */
export function holdForEoiMaps(h: Host, hold: (mfn: number, refs: number, types: number) => void): void {
  for (const { eoiFrame } of h.domains.values()) if (eoiFrame !== NO_FRAME) hold(eoiFrame, 1, 1);
}

/** Let go of a domain's interrupts, at its end: its ports are closed. */
export function putInterrupts(h: Host, d: Domain): void {
  if (d.eoiFrame !== NO_FRAME) putPageAndType(h, d.eoiFrame);
  d.eoiFrame = NO_FRAME;
  d.eoiUnmasks = false;
  h.interrupts.forget(d);
}
