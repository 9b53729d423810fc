/**
 * Copies from and to a guest's memory, through the tables the vCPU runs on, as the hypervisor makes them: with supervisor rights, after a
 * check that the address is not the hypervisor's.
 *
 * Source: facts of Xen 4.17, access_ok() and compat_access_ok() (xen/arch/x86/include/asm/x86_64/uaccess.h), copy_from_guest_ll(),
 *         copy_to_guest_ll() (xen/arch/x86/usercopy.c), guest_handle_okay() (xen/arch/x86/include/asm/guest_access.h).
 */
import { ACCESS_READ, ACCESS_WRITE, FAULT_NONE, FAULT_PF, faultVector } from '../arch/fault.ts';
import { VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_LO } from '../layout/vcpu.ts';
import { readBus, wordOf, writeBus } from '../memory/extents.ts';
import { COPY_USER_FAULTS, PAGE_FAULTS } from './counters.ts';
import type { Host } from './host.ts';

/** Room for structures of a 32-bit guest in the form that 64-bit guests have. Source: COMPAT_ARG_XLAT_SIZE (xen/arch/x86/include/asm/x86_64/uaccess.h). */
export const XLAT_BYTES = 8192;
const GUEST_LOW_HI = 0x8000; //               addresses below 2^47 are the guest's
const HYPERVISOR_END_HI = 0xffff8800; // ... and those from here up (as the high word)

/** Is the address of a 64-bit guest not the hypervisor's? That it is canonical is for the access itself to find out. */
export function addressOk(hi: number): boolean {
  const high = hi >>> 0;
  return high < GUEST_LOW_HI || high >= HYPERVISOR_END_HI;
}

/** May an array begin at `hi:lo`, by its address alone? Of where it ends the fault of reaching it tells. */
export function arrayOk(hi: number, count: number, size: number): boolean {
  return (count === 0 || count < 0xffff_ffff_ffff / size) && addressOk(hi);
}

/**
 * May an array of structures in a form of its own for 32-bit guests begin at `hi:lo`? Theirs must end before the hypervisor's addresses.
 */
export function ownArrayOk(h: Host, hi: number, lo: number, count: number, size: number): boolean {
  const { domain } = h.current;
  if (!domain.is32) return arrayOk(hi, count, size);
  return count < Math.floor(0xffffffff / size) && (lo >>> 0) + Math.max(count * size - 1, 0) < domain.compatStart >>> 0;
}

/** Copy `bytes` (at most 4096) at linear address `hi:lo` into `h.bytes`. @returns false if they cannot be read */
export function copyFromGuest(h: Host, hi: number, lo: number, bytes: number): boolean {
  if (!addressOk(hi)) return false;
  return (lo & 0xfff) + bytes <= 0x1000 ? readPiece(h, hi, lo, bytes, 0) : readAcross(h, hi, lo, bytes);
}

function readAcross(h: Host, hi: number, lo: number, bytes: number): boolean {
  const room = 0x1000 - (lo & 0xfff), next = (lo + room) | 0;
  return readPiece(h, hi, lo, room, 0) && readPiece(h, next === 0 ? (hi + 1) | 0 : hi, next, bytes - room, room);
}

/** Copy the first `bytes` (at most 4096) of `h.bytes` to the guest. @returns false if not all could be written; those of a first page may be */
export function copyToGuest(h: Host, hi: number, lo: number, bytes: number): boolean {
  if (!addressOk(hi)) return false;
  return (lo & 0xfff) + bytes <= 0x1000 ? writePiece(h, hi, lo, bytes, 0) : writeAcross(h, hi, lo, bytes);
}

function writeAcross(h: Host, hi: number, lo: number, bytes: number): boolean {
  const room = 0x1000 - (lo & 0xfff), next = (lo + room) | 0;
  return writePiece(h, hi, lo, room, 0) && writePiece(h, next === 0 ? (hi + 1) | 0 : hi, next, bytes - room, room);
}

const FAULT = -2;
const NO_BYTES = -1;

/** Word index of what the vCPU reaches at `hi:lo`; NO_BYTES if no memory has it, and FAULT. */
function reach(h: Host, hi: number, lo: number, kind: number): number {
  const { s, current } = h, { v } = current, fault = current.cpu!.access(hi, lo, kind);
  h.counters.work.accessed(s.w[v + (VCPU_OUT_CYCLES >>> 2)]);
  return fault === FAULT_NONE ? wordOf(s, s.w[v + (VCPU_OUT_HI >>> 2)], s.w[v + (VCPU_OUT_LO >>> 2)]) : refused(h, fault);
}

function refused(h: Host, fault: number): number {
  if (faultVector(fault) === faultVector(FAULT_PF)) {
    h.counters.add(PAGE_FAULTS, 1);
    h.counters.add(COPY_USER_FAULTS, 1);
  }
  return FAULT;
}

// What is rare is in functions of its own: compilers put small functions into their callers, and this is in all that hypercalls do.

/** Bytes within a page, to `h.bytes` from `to` on. */
function readPiece(h: Host, hi: number, lo: number, bytes: number, to: number): boolean {
  const at = reach(h, hi, lo, ACCESS_READ);
  if (at < 0 || ((lo | bytes | to) & 3) !== 0) return readBytes(h, at, lo, bytes, to);
  const { buffer } = h, { w } = h.s, end = at + (bytes >>> 2);
  for (let k = at, put = to >>> 2; k < end; k++, put++) buffer[put] = w[k];
  return true;
}

function readBytes(h: Host, at: number, lo: number, bytes: number, to: number): boolean {
  if (at < 0) return at === NO_BYTES && copyBus(h, bytes, to, false);
  const byte = at * 4 + (lo & 3), { u8 } = h.s;
  for (let b = 0; b < bytes; b++) h.bytes[to + b] = u8[byte + b];
  return true;
}

/** Bytes within a page, of `h.bytes` from `from` on. */
function writePiece(h: Host, hi: number, lo: number, bytes: number, from: number): boolean {
  const at = reach(h, hi, lo, ACCESS_WRITE);
  if (at < 0 || ((lo | bytes | from) & 3) !== 0) return writeBytes(h, at, lo, bytes, from);
  const { buffer } = h, { w } = h.s, end = at + (bytes >>> 2);
  for (let k = at, get = from >>> 2; k < end; k++, get++) w[k] = buffer[get];
  return true;
}

function writeBytes(h: Host, at: number, lo: number, bytes: number, from: number): boolean {
  if (at < 0) return at === NO_BYTES && copyBus(h, bytes, from, true);
  const byte = at * 4 + (lo & 3), { u8 } = h.s;
  for (let b = 0; b < bytes; b++) u8[byte + b] = h.bytes[from + b];
  return true;
}

/** The same where no memory is: a device, or the open bus. */
function copyBus(h: Host, bytes: number, from: number, write: boolean): true {
  const { s } = h, { v } = h.current, paLo = s.w[v + (VCPU_OUT_LO >>> 2)], paHi = s.w[v + (VCPU_OUT_HI >>> 2)];
  for (let b = 0; b < bytes; b++) {
    if (write) {
      writeBus(s, paHi, paLo + b, 1, BigInt(h.bytes[from + b]));
      continue;
    }
    readBus(s, paHi, paLo + b, 1);
    h.bytes[from + b] = s.busLo;
  }
  return true;
}
