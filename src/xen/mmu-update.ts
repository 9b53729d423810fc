/**
 * The hypercall mmu_update: changes of page-table entries and of the machine-to-physical table, in batches.
 *
 * Source: facts of Xen 4.17, do_mmu_update(), page_lock_unsafe() (xen/arch/x86/mm.c), xsm_mmu_update() (xen/include/xsm/dummy.h); struct
 *         mmu_update of xen/include/public/xen.h.
 */
import {
  MMU_PT_UPDATE_NO_TRANSLATE, MMU_UPDATE_BYTES, PGT_COUNT, PGT_VALIDATED, PGT_WRITABLE,
} from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { CALLS_TO_MMU_UPDATE, NUM_PAGE_UPDATES, TABLES, WRITABLE_MMU_UPDATES } from './counters.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { frameOf } from './entry-flags.ts';
import { arrayOk, copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { modL1, modTable } from './mod-entry.ts';
import {
  HYPERVISOR_mmu_update, MMU_MACHPHYS_UPDATE, MMU_UPDATE_PREEMPTED, XEN_EFAULT, XEN_EINTR, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ERESTART, XEN_ESRCH,
} from './numbers.ts';
import { updateRun } from './runs.ts';
import { getPageType, levelOf, putOldTable, putPageType } from './page-type.ts';
import { ENTRIES_SEEN, REQUESTS } from './work.ts';

const LEVEL_WRITABLE = 7;
const COMMANDS = 7; // the low bits of a request's address

/**
 * Arguments: array of requests, count, where to write how many were done (may be 0), domains: owner of the frames, and in the high half owner of
 * the tables + 1.
 *
 * @param at - word index of the arguments
 */
export function mmuUpdate(h: Host, at: number): number {
  const a = h.s.w;
  if (putOldTable(h) !== 0) return h.continueCall(HYPERVISOR_mmu_update, at);
  let count = a[at + 2] >>> 0, before = 0;
  const domains = a[at + 6], isNull = (a[at] | a[at + 1]) === 0;
  if (count === MMU_UPDATE_PREEMPTED >>> 0 && isNull) return domains;
  if (count >= MMU_UPDATE_PREEMPTED >>> 0) {
    count -= MMU_UPDATE_PREEMPTED >>> 0;
    before = doneBefore(h, at + 4);
  } else {
    h.counters.add(CALLS_TO_MMU_UPDATE, 1);
  }
  if (!arrayOk(a[at + 1], count, MMU_UPDATE_BYTES)) return -XEN_EFAULT;
  let tableOwner: Domain | undefined = h.current.domain;
  if (domains >>> 16 !== 0) {
    tableOwner = h.domain((domains >>> 16) - 1);
    if (tableOwner === undefined) return -XEN_ESRCH;
    if (tableOwner !== h.current.domain && tableOwner.maxVcpus === 0) return finish(h, at, before, 0, -XEN_EINVAL);
  }
  const frameOwner = h.foreignDomain(domains & 0xffff);
  if (frameOwner === undefined) return finish(h, at, before, 0, -XEN_ESRCH);
  return requests(h, at, count, before, tableOwner, frameOwner);
}

/** What a continued call, or one of the next batch, adds to. */
export function doneBefore(h: Host, at: number): number {
  const lo = h.s.w[at], hi = h.s.w[at + 1];
  return (lo | hi) !== 0 && copyFromGuest(h, hi, lo, 4) ? h.buffer[0] : 0;
}

function requests(h: Host, at: number, count: number, before: number, tableOwner: Domain, frameOwner: Domain): number {
  const permitted = (frameOwner === h.io || h.mayControl(frameOwner)) && h.mayControl(tableOwner);
  let hi = h.s.w[at + 1], lo = h.s.w[at], rc = 0, i = 0, flush = false;
  while (i < count) {
    if (h.current.oldTable !== NO_FRAME || (i > 0 && h.preemptCheck())) {
      rc = -XEN_ERESTART;
      break;
    }
    let done = frameOwner === tableOwner && permitted ? updateRun(h, hi, lo, count - i, tableOwner) : 0;
    if (done === 0) {
      const level = copyFromGuest(h, hi, lo, MMU_UPDATE_BYTES) ? request(h, tableOwner, frameOwner, permitted) : -XEN_EFAULT;
      if (level < 0) {
        rc = level;
        break;
      }
      flush ||= level > 1;
      done = 1;
    }
    i += done;
    lo = (lo + done * MMU_UPDATE_BYTES) | 0;
    if (lo >>> 0 < done * MMU_UPDATE_BYTES) hi = (hi + 1) | 0;
  }
  h.counters.add(NUM_PAGE_UPDATES, i);
  const looked = rc < 0 && rc !== -XEN_ERESTART ? i + 1 : i; // also at the one that is refused
  h.counters.work.add(REQUESTS, looked);
  h.counters.work.add(ENTRIES_SEEN, looked);
  if (rc === -XEN_ERESTART) {
    const left = (count - i) | MMU_UPDATE_PREEMPTED;
    rc = h.continueCall(HYPERVISOR_mmu_update, at, [lo, hi], [left, 0]);
  } else if (h.current.oldTable !== NO_FRAME) {
    const { w } = h.s, pLo = w[at + 4], pHi = w[at + 5];
    h.continueCall(HYPERVISOR_mmu_update, at, [0, 0], [MMU_UPDATE_PREEMPTED, 0], [0, 0], [rc, 0]);
    if (flush) h.flushAll(tableOwner.id, TABLES);
    writeDone(h, pLo, pHi, before + i);
    return HYPERVISOR_mmu_update;
  }
  if (flush) h.flushAll(tableOwner.id, TABLES);
  return finish(h, at, before, i, rc);
}

function finish(h: Host, at: number, before: number, i: number, rc: number): number {
  writeDone(h, h.s.w[at + 4], h.s.w[at + 5], before + i);
  return rc;
}

/** Tell the guest how many requests are done, if it asked; that this cannot be written is no error. */
export function writeDone(h: Host, lo: number, hi: number, done: number): void {
  if ((lo | hi) === 0) return;
  h.buffer[0] = done;
  copyToGuest(h, hi, lo, 4);
}

/**
 * The request in `h.buffer`.
 *
 * @param permitted - may the caller control both domains? @returns the level of the table that was changed, 0 if none, or -XEN_E*
 */
function request(h: Host, tableOwner: Domain, frameOwner: Domain, permitted: boolean): number {
  const b = h.buffer, ptrLo = b[0], ptrHi = b[1], lo = b[2], hi = b[3];
  const command = ptrLo & COMMANDS;
  if (command > MMU_PT_UPDATE_NO_TRANSLATE) return -XEN_ENOSYS;
  if (!permitted) return -XEN_EPERM;
  if (command === MMU_MACHPHYS_UPDATE) return renumber(h, ptrLo, ptrHi, lo, hi, tableOwner, frameOwner);
  const mfn = (ptrLo >>> 12) + (ptrHi >>> 0) * 0x100000;
  if (!h.frames.getPage(mfn, tableOwner.id)) return -XEN_EINVAL;
  const rc = change(h, mfn, h.table(mfn) + ((ptrLo & 0xff8) >>> 2), lo, hi, command, tableOwner, frameOwner);
  h.frames.putPage(mfn);
  return rc === -XEN_EINTR ? -XEN_ERESTART : rc;
}

function change(h: Host, mfn: number, at: number, lo: number, hi: number, command: number, tableOwner: Domain, frameOwner: Domain): number {
  const type = h.frames.type(mfn), level = levelOf(type);
  if ((type & PGT_VALIDATED) === 0 || (type & PGT_COUNT) === 0 || level === LEVEL_WRITABLE) return writePlain(h, mfn, at, lo, hi);
  if (level === 1) {
    const rc = modL1(h, at, lo, hi, command, tableOwner, frameOwner);
    return rc === 0 ? level : rc;
  }
  if (level > 4 || frameOwner !== tableOwner) return -XEN_EINVAL;
  const rc = modTable(h, level, at, mfn, type, lo, hi, command, tableOwner);
  return rc === 0 ? level : rc;
}

/** A frame that is no page table in use, if it may be written: the value as it is. */
function writePlain(h: Host, mfn: number, at: number, lo: number, hi: number): number {
  if (getPageType(h, mfn, PGT_WRITABLE) !== 0) return -XEN_EINVAL;
  h.counters.add(WRITABLE_MMU_UPDATES, 1);
  storeEntry(h.s, at, lo, hi);
  putPageType(h, mfn);
  return 0;
}

/** MMU_MACHPHYS_UPDATE: what a frame is called. */
function renumber(h: Host, ptrLo: number, ptrHi: number, lo: number, hi: number, tableOwner: Domain, frameOwner: Domain): number {
  if (tableOwner !== h.current.domain) return -XEN_EPERM;
  const mfn = frameOf(ptrLo, ptrHi) + (ptrHi >>> 20) * 2 ** 40;
  if (!h.frames.getPage(mfn, frameOwner.id)) return -XEN_EINVAL;
  h.m2p.set(mfn, lo, hi);
  h.frames.putPage(mfn);
  return 0;
}
