/**
 * The hypercall mmuext_op: pinning, base pointers, flushes, whole pages, in batches.
 *
 * Source: facts of Xen 4.17, do_mmuext_op() (xen/arch/x86/mm.c), compat_mmuext_op() (xen/arch/x86/x86_64/compat/mm.c); struct mmuext_op of
 *         xen/include/public/xen.h.
 */
import { PGT_PINNED, PGT_WRITABLE } from '../layout/frame.ts';
import { ASKED, CALLS_TO_MMUEXT_OP, NUM_MMUEXT_OPS } from './counters.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { addressOk, copyFromGuest, ownArrayOk, XLAT_BYTES } from './guest-memory.ts';
import type { Host } from './host.ts';
import { putLdt } from './ldt.ts';
import { doneBefore, writeDone } from './mmu-update.ts';
import {
  HYPERVISOR_mmuext_op, MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE, MMUEXT_FLUSH_CACHE, MMUEXT_FLUSH_CACHE_GLOBAL, MMUEXT_INVLPG_ALL,
  MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_MULTI, MMUEXT_MARK_SUPER, MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L4_TABLE, MMUEXT_SET_LDT, MMUEXT_TLB_FLUSH_ALL, MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_TLB_FLUSH_MULTI, MMUEXT_UNMARK_SUPER,
  MMUEXT_UNPIN_TABLE, MMU_UPDATE_PREEMPTED, XEN_EACCES, XEN_EFAULT, XEN_EINTR, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM, XEN_ERESTART,
  XEN_ESRCH,
} from './numbers.ts';
import { deferPut, getPageType, putOldTable, putPageAndType, putPageType, tableType } from './page-type.ts';
import { newBase, newUserBase } from './root.ts';
import { flushEvery, flushMasked, flushOwn, vcpuMask } from './va-mapping.ts';
import { PAGES, REQUESTS } from './work.ts';

/** struct mmuext_op, as 64-bit and as 32-bit guests lay it out. */
export const OP_BYTES = 24;
export const COMPAT_OP_BYTES = 12;
const LDT_MOST = 8192;
const FRAME_WORDS = 1024;
/** Operations of a 32-bit guest are read, so many at once, before the first of them is done. */
const TRANSLATED = Math.floor(XLAT_BYTES / OP_BYTES);
const COMPAT_WORDS = COMPAT_OP_BYTES / 4;

/** One operation, from the guest's structure. */
interface Op {
  command: number;
  lo: number; //  arg1: a frame or an address
  hi: number;
  lo2: number; // arg2: a frame, an address or a number
  hi2: number;
}

/** Arguments: array of operations, count, where to write how many were done (may be 0), owner of the frames. @param at - word index */
export function mmuextOp(h: Host, at: number): number {
  const a = h.s.w;
  if (putOldTable(h) !== 0) return h.continueCall(HYPERVISOR_mmuext_op, at);
  let count = a[at + 2] >>> 0, before = 0;
  const size = h.current.domain.is32 ? COMPAT_OP_BYTES : OP_BYTES;
  if (count === MMU_UPDATE_PREEMPTED >>> 0 && (a[at] | a[at + 1]) === 0) return a[at + 6];
  if (h.current.domain.is32 && (count & ~MMU_UPDATE_PREEMPTED) === 0) return ownArrayOk(h, 0, a[at], 0, size) ? 0 : -XEN_EFAULT; // whoever the owner
  if (count >= MMU_UPDATE_PREEMPTED >>> 0) {
    count -= MMU_UPDATE_PREEMPTED >>> 0;
    before = doneBefore(h, at + 4);
  } else {
    h.counters.add(CALLS_TO_MMUEXT_OP, 1);
  }
  if (!ownArrayOk(h, a[at + 1], a[at], count, size)) return -XEN_EFAULT;
  const owner = h.foreignDomain(a[at + 6] & 0xffff);
  if (owner === undefined) return -XEN_ESRCH;
  if (!h.mayControl(owner)) return -XEN_EPERM;
  return operations(h, at, count, before, owner, size);
}

function operations(h: Host, at: number, count: number, before: number, owner: Domain, size: number): number {
  const { w } = h.s, op: Op = { command: 0, lo: 0, hi: 0, lo2: 0, hi2: 0 };
  let lo = w[at], hi = w[at + 1], rc = 0, i = 0;
  const doneLo = w[at + 4], doneHi = w[at + 5];
  for (; i < count; i++) {
    if (h.current.oldTable !== NO_FRAME || (i > 0 && h.preemptCheck())) rc = -XEN_ERESTART;
    else if (!(size === OP_BYTES ? copyFromGuest(h, hi, lo, size) : translated(h, lo, i, count))) rc = -XEN_EFAULT;
    else rc = operation(h, readOp(h, op, size), owner);
    if (rc !== 0) break;
    lo = (lo + size) | 0;
    if (lo >>> 0 < size) hi = (hi + 1) | 0;
  }
  if (rc === -XEN_ERESTART) rc = h.continueCall(HYPERVISOR_mmuext_op, at, [lo, hi], [(count - i) | MMU_UPDATE_PREEMPTED, 0]);
  else if (h.current.oldTable !== NO_FRAME) rc = h.continueCall(HYPERVISOR_mmuext_op, at, [0, 0], [MMU_UPDATE_PREEMPTED, 0], [0, 0], [rc, 0]);
  h.counters.add(NUM_MMUEXT_OPS, i);
  h.counters.work.add(REQUESTS, Math.min(i + 1, count));
  writeDone(h, doneLo, doneHi, before + i);
  return rc;
}

const ahead = new Int32Array(TRANSLATED * COMPAT_WORDS);
let readable = 0; // operations that `ahead` has

/** Operation `i` of a 32-bit guest, at `lo`, to `h.buffer`: as it was before those that it was read with. @returns false if it could not be read */
function translated(h: Host, lo: number, i: number, count: number): boolean {
  const k = i % TRANSLATED;
  if (k === 0) {
    for (readable = 0; readable < Math.min(TRANSLATED, count - i); readable++) {
      if (!copyFromGuest(h, 0, lo + readable * COMPAT_OP_BYTES, COMPAT_OP_BYTES)) break;
      for (let word = 0; word < COMPAT_WORDS; word++) ahead[readable * COMPAT_WORDS + word] = h.buffer[word];
    }
  }
  for (let word = 0; word < COMPAT_WORDS; word++) h.buffer[word] = ahead[k * COMPAT_WORDS + word];
  return k < readable;
}

function readOp(h: Host, op: Op, size: number): Op {
  const b = h.buffer, wide = size === OP_BYTES;
  op.command = b[0];
  op.lo = wide ? b[2] : b[1];
  op.hi = wide ? b[3] : 0;
  op.lo2 = wide ? b[4] : b[2];
  op.hi2 = wide ? b[5] : 0;
  return op;
}

const number = (lo: number, hi: number): number => (lo >>> 0) + (hi >>> 0) * 2 ** 32;

function operation(h: Host, op: Op, owner: Domain): number {
  if (op.command >= MMUEXT_PIN_L1_TABLE && op.command <= MMUEXT_PIN_L4_TABLE) {
    return op.command === MMUEXT_PIN_L4_TABLE && owner.is32 ? 0 : pin(h, number(op.lo, op.hi), op.command + 1, owner);
  }
  switch (op.command) {
    case MMUEXT_UNPIN_TABLE: return unpin(h, number(op.lo, op.hi), owner);
    case MMUEXT_CLEAR_PAGE: return clearPage(h, number(op.lo, op.hi), owner);
    case MMUEXT_COPY_PAGE: return copyPage(h, number(op.lo, op.hi), number(op.lo2, op.hi2), owner);
    case MMUEXT_MARK_SUPER: case MMUEXT_UNMARK_SUPER: return -XEN_EOPNOTSUPP;
    case MMUEXT_NEW_USER_BASEPTR: if (h.current.domain.is32) return -XEN_EINVAL;
  }
  if (!isOwn(op.command)) return -XEN_ENOSYS;
  return owner === h.current.domain ? ownOperation(h, op) : -XEN_EPERM;
}

/** Operations on the caller itself. */
function isOwn(command: number): boolean {
  return (command >= MMUEXT_NEW_BASEPTR && command <= MMUEXT_SET_LDT) || command === MMUEXT_NEW_USER_BASEPTR || command === MMUEXT_FLUSH_CACHE_GLOBAL;
}

function ownOperation(h: Host, op: Op): number {
  const { domain } = h.current;
  switch (op.command) {
    case MMUEXT_NEW_BASEPTR: return newBase(h, number(op.lo, op.hi));
    case MMUEXT_NEW_USER_BASEPTR: return newUserBase(h, number(op.lo, op.hi));
    case MMUEXT_TLB_FLUSH_LOCAL: flushOwn(h, false, 0, 0); return 0;
    case MMUEXT_INVLPG_LOCAL: flushOwn(h, true, op.hi, op.lo); return 0;
    case MMUEXT_TLB_FLUSH_ALL: flushEvery(h, false, 0, 0); return 0;
    case MMUEXT_INVLPG_ALL: flushEvery(h, true, op.hi, op.lo); return 0;
    case MMUEXT_TLB_FLUSH_MULTI: case MMUEXT_INVLPG_MULTI: {
      const vcpus = vcpuMask(h, op.hi2, op.lo2);
      if (vcpus === undefined) return -XEN_EINVAL;
      flushMasked(h, vcpus, op.command === MMUEXT_INVLPG_MULTI, op.hi, op.lo);
      return 0;
    }
    case MMUEXT_FLUSH_CACHE: return domain.iomem.length > 0 ? 0 : -XEN_EACCES;
    case MMUEXT_FLUSH_CACHE_GLOBAL: return domain.iomem.length > 0 ? 0 : -XEN_EINVAL;
    default: return setLdt(h, op);
  }
}

/** MMUEXT_SET_LDT: nothing of the table is looked at before a selector is loaded. */
function setLdt(h: Host, op: Op): number {
  const entries = op.lo2 >>> 0, guest = h.current;
  if (entries > LDT_MOST || (entries !== 0 && ((op.lo & 0xfff) !== 0 || !addressOk(op.hi)))) return -XEN_EINVAL;
  const lo = entries === 0 ? 0 : op.lo, hi = entries === 0 ? 0 : op.hi;
  if (lo === guest.ldtBaseLo && hi === guest.ldtBaseHi && entries === guest.ldtEntries) return 0;
  if (putLdt(h, guest)) h.flush(guest, ASKED);
  guest.ldtBaseLo = lo;
  guest.ldtBaseHi = hi;
  guest.ldtEntries = entries;
  return 0;
}

function pin(h: Host, mfn: number, level: number, owner: Domain): number {
  const { frames } = h;
  if (!frames.getPage(mfn, owner.id)) return -XEN_EINVAL;
  const rc = getPageType(h, mfn, tableType(level));
  if (rc !== 0) {
    if (mfn !== h.current.oldTable) frames.putPage(mfn);
    return rc === -XEN_EINTR ? -XEN_ERESTART : rc;
  }
  const pinned = (frames.type(mfn) & PGT_PINNED) !== 0;
  if (!pinned) frames.setType(mfn, frames.type(mfn) | PGT_PINNED);
  if (!pinned && !owner.dying) return 0;
  if (!pinned) frames.setType(mfn, frames.type(mfn) & ~PGT_PINNED);
  if (level === 1) putPageAndType(h, mfn);
  else deferPut(h, mfn, NO_FRAME, false);
  return pinned ? -XEN_EINVAL : 0;
}

function unpin(h: Host, mfn: number, owner: Domain): number {
  const { frames } = h;
  if (!frames.getPage(mfn, owner.id)) return -XEN_EINVAL;
  const type = frames.type(mfn);
  if ((type & PGT_PINNED) === 0) {
    frames.putPage(mfn);
    return -XEN_EINVAL;
  }
  frames.setType(mfn, type & ~PGT_PINNED);
  const rc = putPageAndType(h, mfn);
  if (rc !== 0) deferPut(h, mfn, NO_FRAME, rc === -XEN_ERESTART);
  frames.putPage(mfn);
  return 0;
}

/** Take a frame to be written whole: it has to be memory. Source: get_page_from_gfn() (xen/arch/x86/include/asm/p2m.h), p2m_mmio_direct. */
function getWritable(h: Host, mfn: number, owner: Domain): boolean {
  if (owner === h.io || !h.frames.getPage(mfn, owner.id)) return false;
  if (getPageType(h, mfn, PGT_WRITABLE) === 0) return true;
  h.frames.putPage(mfn);
  return false;
}

function putWritable(h: Host, mfn: number): void {
  putPageType(h, mfn);
  h.frames.putPage(mfn);
}

function clearPage(h: Host, mfn: number, owner: Domain): number {
  if (!getWritable(h, mfn, owner)) return -XEN_EINVAL;
  const at = h.table(mfn);
  h.s.w.fill(0, at, at + FRAME_WORDS);
  h.counters.work.add(PAGES, 1);
  putWritable(h, mfn);
  return 0;
}

function copyPage(h: Host, to: number, from: number, owner: Domain): number {
  if (!h.frames.getPage(from, owner.id)) return -XEN_EINVAL;
  const ok = getWritable(h, to, owner);
  if (ok) {
    const source = h.table(from);
    h.s.w.copyWithin(h.table(to), source, source + FRAME_WORDS);
    h.counters.work.add(PAGES, 1);
    putWritable(h, to);
  }
  h.frames.putPage(from);
  return ok ? 0 : -XEN_EINVAL;
}
