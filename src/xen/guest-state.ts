/**
 * Hypercalls that only say what a guest's kernel has, for whoever delivers its exceptions and switches its stacks: stack_switch, set_trap_table,
 * set_segment_base.
 *
 * Source: facts of Xen 4.17, do_stack_switch(), do_set_segment_base() (xen/arch/x86/pv/misc-hypercalls.c), do_set_trap_table(),
 *         compat_set_trap_table() (xen/arch/x86/pv/callback.c); struct trap_info of xen/include/public/arch-x86/xen.h.
 */
import { copyFromGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { HYPERVISOR_set_trap_table, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from './numbers.ts';
import { kernelSelector } from './selector.ts';

const SEGBASE_FS = 0;
const SEGBASE_GS_USER_SEL = 3;

/** Arguments: stack selector, stack pointer. @param at - word index */
export function stackSwitch(h: Host, at: number): number {
  const { w } = h.s, guest = h.current;
  guest.kernelSs = kernelSelector(guest.domain, w[at]) & 0xffff;
  guest.kernelSpLo = w[at + 2];
  guest.kernelSpHi = w[at + 3];
  return 0;
}

/** Is an address canonical, with 48 bits? @param hi - its high word */
const isCanonical = (hi: number): boolean => hi >> 15 === hi >> 31;

/**
 * Argument: a list of traps, ended by one with address 0; none: all traps are taken away. Those before one that is refused stay.
 *
 * @param at - word index
 */
export function setTrapTable(h: Host, at: number): number {
  const { w } = h.s, guest = h.current, wide = !guest.domain.is32, size = wide ? 16 : 8, b = h.buffer;
  let lo = w[at], hi = w[at + 1];
  if ((lo | hi) === 0) {
    guest.traps.clear();
    return 0;
  }
  for (;;) {
    if (!copyFromGuest(h, hi, lo, size)) return -XEN_EFAULT;
    const addressLo = wide ? b[2] : b[1], addressHi = wide ? b[3] : 0;
    if ((addressLo | addressHi) === 0) return 0;
    if (wide && !isCanonical(addressHi)) return -XEN_EINVAL;
    guest.traps.set(b[0] & 0xff, { flags: (b[0] >>> 8) & 0xff, selector: kernelSelector(guest.domain, b[0] >>> 16), addressLo, addressHi });
    lo = (lo + size) | 0;
    if (lo >>> 0 < size) hi = (hi + 1) | 0;
    if (h.preemptCheck()) return h.continueCall(HYPERVISOR_set_trap_table, at, [lo, hi]);
  }
}

/** Arguments: which, address; or for the user's GS its selector, that whoever runs the guest loads. @param at - word index */
export function setSegmentBase(h: Host, at: number): number {
  const { w } = h.s, guest = h.current, which = w[at] >>> 0, lo = w[at + 2], hi = w[at + 3];
  if (guest.domain.is32) return -XEN_ENOSYS;
  if (which === SEGBASE_GS_USER_SEL) {
    const selector = lo & 0xffff;
    guest.userGs = selector > 3 ? selector | 3 : selector;
    return 0;
  }
  if (which > SEGBASE_GS_USER_SEL || !isCanonical(hi)) return -XEN_EINVAL;
  guest.segmentBases[(which - SEGBASE_FS) * 2] = lo;
  guest.segmentBases[(which - SEGBASE_FS) * 2 + 1] = hi;
  return 0;
}
