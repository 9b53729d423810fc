/**
 * Segment descriptors: which ones a guest may have, and the hypercalls set_gdt and update_descriptor.
 *
 * Source: facts of Xen 4.17, check_descriptor(), validate_segdesc_page(), pv_set_gdt(), pv_destroy_gdt(), do_set_gdt(), compat_set_gdt(),
 *         do_update_descriptor() (xen/arch/x86/pv/descriptor-tables.c); xen/arch/x86/include/asm/desc.h.
 */
import { PGT_SEG_DESC, PGT_WRITABLE } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { ASKED } from './counters.ts';
import type { Domain, GuestVcpu } from './domain.ts';
import { copyFromGuest, ownArrayOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT, XEN_EINVAL } from './numbers.ts';
import { getPageType, putPageAndType, putPageType } from './page-type.ts';
import { kernelSelector } from './selector.ts';
import { ENTRIES_SEEN } from './work.ts';

const PER_FRAME = 512;
const GUEST_GDT_ENTRIES = 14 * PER_FRAME; // those above are the hypervisor's
const FLAT_KERNEL_CS = 0xe033;
const FLAT_COMPAT_KERNEL_CS = 0xe019;

// The high word of a descriptor.
const TYPE = 0xf00;
const CALL_GATE = 0xc00;
const S = 1 << 12;
const DPL_SHIFT = 13;
const DPL = 3 << DPL_SHIFT;
const PRESENT = 1 << 15;
const L = 1 << 21;
const G = 1 << 23;

/**
 * May a guest have the descriptor in words `at` and `at + 1` of `words`? If so it is changed to what it is kept as: no privilege above that of
 * the guest's kernel; call gates for no one, so that their use faults; segments from 0 of 32-bit guests that reach their window on the
 * machine-to-physical table reach all of it.
 */
function checkDescriptor(domain: Domain, words: Int32Array, at: number): boolean {
  let a = words[at], b = words[at + 1];
  if ((b & PRESENT) === 0) return true;
  const dpl = kernelSelector(domain, (b >>> DPL_SHIFT) & 3);
  b = (b & ~DPL) | (dpl << DPL_SHIFT);
  if ((b & S) !== 0) {
    if (domain.is32 && (b & L) !== 0) return false;
    if (domain.is32 && reachesWindow(domain, a, b)) {
      a |= 0xffff;
      b |= 0xf0000;
    }
  } else {
    if ((b & TYPE) === 0) return true;
    const selector = a >>> 16;
    if ((b & TYPE) !== CALL_GATE || !gateSelectorOk(domain, selector)) return false;
    b &= ~DPL;
    a = (a & 0xffff) | (((selector & ~3) | dpl) << 16);
    if ((b & (domain.is32 ? 0xe0 : 0xff)) !== 0) return false;
  }
  words[at] = a;
  words[at + 1] = b;
  return true;
}

function reachesWindow(domain: Domain, a: number, b: number): boolean {
  const base = (b & 0xff0000ff) | (a >>> 16), limit = ((b & 0xf0000) | (a & 0xffff)) + 1;
  return base === 0 && limit * ((b & G) !== 0 ? 0x1000 : 1) > domain.compatStart >>> 0;
}

/** May a gate lead to the code segment? Guests' own, those of the LDT, and the hypervisor's for guests' kernels. */
function gateSelectorOk(domain: Domain, selector: number): boolean {
  return selector >>> 3 < GUEST_GDT_ENTRIES || selector === (domain.is32 ? FLAT_COMPAT_KERNEL_CS : FLAT_KERNEL_CS) || (selector & 4) !== 0;
}

/** Validate a frame of descriptors. Those before one that is refused stay changed. @returns 0 or -XEN_EINVAL */
export function promoteDescriptors(h: Host, mfn: number): number {
  const owner = h.ownerOf(mfn)!, at = h.table(mfn), { w } = h.s;
  h.counters.work.add(ENTRIES_SEEN, PER_FRAME);
  for (let i = 0; i < PER_FRAME; i++) if (!checkDescriptor(owner, w, at + i * 2)) return -XEN_EINVAL;
  return 0;
}

/** set_gdt. Arguments: list of frames, a word each of the guest's width; entries. @param at - word index @returns 0 or -XEN_E* */
export function setGdt(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, entries = w[at + 2] >>> 0, lo = w[at], hi = w[at + 1], size = domain.is32 ? 4 : 8;
  if (entries > GUEST_GDT_ENTRIES) return -XEN_EINVAL;
  const count = Math.ceil(entries / PER_FRAME);
  if (domain.is32 && !ownArrayOk(h, hi, lo, count, size)) return -XEN_EFAULT;
  if (count > 0 && !copyFromGuest(h, hi, lo, count * size)) return -XEN_EFAULT;
  const b = h.buffer, frames = Array.from({ length: count }, (_, k) => (domain.is32 ? b[k] >>> 0 : (b[k * 2] >>> 0) + (b[k * 2 + 1] >>> 0) * 2 ** 32));
  return useGdt(h, h.current, frames, entries);
}

/** Let a vCPU have a descriptor table of these frames. @returns 0, or -XEN_EINVAL with nothing changed */
export function useGdt(h: Host, guest: GuestVcpu, frames: readonly number[], entries: number): number {
  for (const [k, mfn] of frames.entries()) {
    if (getDescriptors(h, mfn, guest.domain)) continue;
    for (const taken of frames.slice(0, k)) putPageAndType(h, taken);
    return -XEN_EINVAL;
  }
  putGdt(h, guest);
  guest.setGdt(frames, entries);
  h.flush(guest, ASKED);
  return 0;
}

function getDescriptors(h: Host, mfn: number, domain: Domain): boolean {
  if (!h.frames.getPage(mfn, domain.id)) return false;
  if (getPageType(h, mfn, PGT_SEG_DESC) === 0) return true;
  h.frames.putPage(mfn);
  return false;
}

/** Take a vCPU's descriptor table away. */
export function putGdt(h: Host, guest: GuestVcpu): void {
  for (const mfn of guest.gdt) putPageAndType(h, mfn);
  guest.setGdt([], 0);
}

const descriptor = new Int32Array(2);

/** update_descriptor. Arguments: machine address, descriptor; in a 32-bit guest two words each. @param at - word index @returns 0 or -XEN_EINVAL */
export function updateDescriptor(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, { frames } = h, step = domain.is32 ? 2 : 1, addressLo = w[at], addressHi = w[at + step];
  descriptor[0] = w[at + (domain.is32 ? 4 : 2)];
  descriptor[1] = w[at + (domain.is32 ? 6 : 3)];
  if ((addressLo & 7) !== 0 || !checkDescriptor(domain, descriptor, 0)) return -XEN_EINVAL;
  const mfn = (addressLo >>> 12) + (addressHi >>> 0) * 0x100000;
  if (!frames.getPage(mfn, domain.id)) return -XEN_EINVAL;
  const rc = getPageType(h, mfn, frames.kind(mfn) === PGT_SEG_DESC ? PGT_SEG_DESC : PGT_WRITABLE) === 0 ? 0 : -XEN_EINVAL;
  if (rc === 0) {
    storeEntry(h.s, h.table(mfn) + ((addressLo & 0xff8) >>> 2), descriptor[0], descriptor[1]);
    putPageType(h, mfn);
  }
  frames.putPage(mfn);
  return rc;
}
