/**
 * Root tables: what a vCPU walks in its guest's kernel and user mode.
 *
 * Source: facts of Xen 4.17, new_guest_cr3(), the commands MMUEXT_NEW_BASEPTR and MMUEXT_NEW_USER_BASEPTR of do_mmuext_op()
 *         (xen/arch/x86/mm.c), setup_compat_l4() (xen/arch/x86/pv/domain.c), dom0_construct_pv() (xen/arch/x86/pv/dom0_build.c).
 */
import { PTE_A, PTE_P, PTE_RW, PTE_US } from '../arch/pte.ts';
import { ConfigError } from '../errors.ts';
import { MMU_NORMAL_PT_UPDATE, PGT_PINNED } from '../layout/frame.ts';
import { ASKED } from './counters.ts';
import { NO_FRAME, type GuestVcpu } from './domain.ts';
import type { Host } from './host.ts';
import { putLdt } from './ldt.ts';
import { modTable } from './mod-entry.ts';
import { XEN_EINTR, XEN_ERESTART } from './numbers.ts';
import { deferPut, putOldTable, putPageAndType, tableType } from './page-type.ts';
import { getTable } from './table-entry.ts';
import { fillM2p, fillRootSlots, zapM2p } from './xen-slots.ts';

const MONITOR_FLAGS = PTE_P | PTE_RW | PTE_US | PTE_A;
const ROOT_LEVEL = 4;

/** Validate, pin (unless it is) and use a first root table. @throws ConfigError - it is not valid */
export function startRoot(h: Host, guest: GuestVcpu, root: number): void {
  const { domain } = guest, level = domain.is32 ? 3 : ROOT_LEVEL;
  const pinned = getTable(h, root, tableType(level), domain);
  if (pinned !== 0) {
    putOldTable(h);
    throw new ConfigError('root', 'a root table that can be validated', pinned);
  }
  if ((h.frames.type(root) & PGT_PINNED) === 0) h.frames.setType(root, h.frames.type(root) | PGT_PINNED);
  else putPageAndType(h, root);
  if (domain.is32) {
    guest.root = h.own.frameAt(h.own.need(1));
    fillRootSlots(h, domain, guest.root, h.table(guest.root));
    newBase(h, root);
  } else {
    getTable(h, root, tableType(level), domain);
    guest.root = root;
    fillM2p(h, h.table(root));
  }
}

/**
 * Let the processor walk the root of the mode that the guest is in. Global translations, which are those of the guest's user mode, stay.
 *
 * Source: facts of Xen 4.17, _toggle_guest_pt() (xen/arch/x86/pv/domain.c).
 */
export function switchRoot({ cpu, domain, kernelMode, root, userRoot }: GuestVcpu): void {
  cpu?.writeCr3(BigInt(kernelMode || domain.is32 ? root : userRoot) << 12n);
}

/** Let the processor walk another root, and forget what it cached. */
export function loadRoot(h: Host, guest: GuestVcpu): void {
  if (guest.cpu === undefined) return;
  switchRoot(guest);
  h.flush(guest, ASKED);
}

/** A new root for the guest's kernel. @returns 0 or -XEN_E* */
export function newBase(h: Host, mfn: number): number {
  const guest = h.current, { domain } = guest;
  if (domain.is32) return newCompatBase(h, mfn);
  if (putOldTable(h) !== 0) return -XEN_ERESTART;
  const old = guest.root;
  if (old === mfn) {
    loadRoot(h, guest);
    return 0;
  }
  const rc = getTable(h, mfn, tableType(ROOT_LEVEL), domain);
  if (rc !== 0) return rc === -XEN_EINTR ? -XEN_ERESTART : rc;
  if (!domain.m2pStrict) fillM2p(h, h.table(mfn));
  guest.root = mfn;
  putLdt(h, guest);
  loadRoot(h, guest);
  return old === NO_FRAME ? 0 : putRoot(h, old);
}

function newCompatBase(h: Host, mfn: number): number {
  const guest = h.current, monitor = guest.root, lo = (mfn << 12) | MONITOR_FLAGS, hi = (mfn / 0x100000) | 0;
  const rc = modTable(h, ROOT_LEVEL, h.table(monitor), monitor, 0, lo, hi, MMU_NORMAL_PT_UPDATE, guest.domain);
  if (rc !== 0) return rc === -XEN_EINTR ? -XEN_ERESTART : rc;
  putLdt(h, guest);
  loadRoot(h, guest);
  return 0;
}

/** A new root for the guest's user mode; frame 0: none. @returns 0 or -XEN_E* */
export function newUserBase(h: Host, mfn: number): number {
  const guest = h.current, { domain } = guest, old = guest.userRoot;
  if (old === mfn || (old === NO_FRAME && mfn === 0)) return 0;
  if (mfn !== 0) {
    const rc = getTable(h, mfn, tableType(ROOT_LEVEL), domain);
    if (rc !== 0) return rc === -XEN_EINTR ? -XEN_ERESTART : rc;
    if (domain.m2pStrict) zapM2p(h, h.table(mfn));
  }
  guest.userRoot = mfn === 0 ? NO_FRAME : mfn;
  return old === NO_FRAME ? 0 : putRoot(h, old);
}

/** Put a root's references, later if preempted. @returns 0 or -XEN_ERESTART */
export function putRoot(h: Host, mfn: number): number {
  const rc = putPageAndType(h, mfn);
  if (rc === 0) return 0;
  deferPut(h, mfn, NO_FRAME, rc === -XEN_ERESTART);
  return -XEN_ERESTART;
}
