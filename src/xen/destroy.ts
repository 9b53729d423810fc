/**
 * The end of a domain, in stages, each of which may be preempted and goes on where it was: mappings of others' grants, event channels, roots and
 * descriptor tables of its vCPUs; then its frames, whose pins and allocations are put. What then is still a validated table, of the highest level
 * first, is so only by referring to itself or because it is partial: it is devalidated whatever its count.
 *
 * Source: facts of Xen 4.17, domain_kill(), domain_teardown() (xen/common/domain.c), domain_relinquish_resources(), relinquish_memory()
 *         (xen/arch/x86/domain.c), vcpu_destroy_pagetables(), devalidate_page() (xen/arch/x86/mm.c).
 */
import { PTE_P } from '../arch/pte.ts';
import { PGT_PARTIAL, PGT_PINNED, PGT_TYPE_MASK, PGT_VALIDATED } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { TABLES } from './counters.ts';
import { demoteTable } from './demote.ts';
import { putGdt } from './descriptor.ts';
import { NO_FRAME, type Domain, type GuestVcpu } from './domain.ts';
import { frameOf } from './entry-flags.ts';
import { destroyEvents } from './event-bind.ts';
import { releaseMappings } from './grant-release.ts';
import { setClaim } from './heap.ts';
import type { Host } from './host.ts';
import { putLdt } from './ldt.ts';
import { XEN_EINTR, XEN_ERESTART } from './numbers.ts';
import { putOldTable, putPageAndType, tableType } from './page-type.ts';
import { putInterrupts } from './physdev-op.ts';
import { putRoot } from './root.ts';
import { putVcpuInfos } from './vcpu-op.ts';
import { wake } from './wake.ts';

const ENTRIES = 512;
const DONE = -1;

/** Some of a stage's work, from `from` on. @returns where to go on after a preemption, or DONE */
type Stage = (h: Host, domain: Domain, from: number) => number;

const STAGES: readonly Stage[] = [
  releaseMappings,
  destroyEvents,
  putAllRoots,
  (h, domain) => {
    for (const guest of domain.vcpus) {
      putLdt(h, guest);
      putGdt(h, guest);
    }
    putInterrupts(h, domain);
    return DONE;
  },
  (h, domain, from) => relinquish(h, domain, from, true, 0),
  (h, domain, from) => relinquish(h, domain, from, false, 4),
  (h, domain, from) => relinquish(h, domain, from, false, 3),
  (h, domain, from) => relinquish(h, domain, from, false, 2),
];

/** Go on killing a domain, as far as the budget allows. @param idle - who does it @returns whether it is done */
export function destroyDomain(h: Host, domain: Domain, idle: GuestVcpu): boolean {
  const { current } = h;
  domain.dying = true;
  setClaim(h, domain, 0);
  for (; domain.teardownStage < STAGES.length; domain.teardownStage++) {
    h.current = idle;
    domain.teardownFrom = STAGES[domain.teardownStage](h, domain, Math.max(domain.teardownFrom, 0));
    h.current = current;
    if (domain.teardownFrom !== DONE) return false;
  }
  putVcpuInfos(h, domain);
  h.flushAll(domain.id, TABLES);
  for (const guest of domain.vcpus) wake(h, guest); // a thread that plays it is not to sleep for ever
  domain.dropVcpus();
  domain.dead = true;
  h.forget(domain);
  return true;
}

function putAllRoots(h: Host, domain: Domain, from: number): number {
  for (let k = from; k < domain.vcpus.length; k++) if (!putRoots(h, domain.vcpus[k])) return k;
  return DONE;
}

/** A vCPU walks no tables any more. @returns false: preempted, the rest is put when this is called again */
function putRoots(h: Host, guest: GuestVcpu): boolean {
  h.current = guest;
  if (putOldTable(h) !== 0) return false;
  const root = takeRoot(h, guest);
  if (root !== NO_FRAME && putRoot(h, root) !== 0) return false;
  const user = guest.userRoot;
  guest.userRoot = NO_FRAME;
  return user === NO_FRAME || putRoot(h, user) === 0;
}

/** The kernel's root, whose references are the caller's to put now. */
function takeRoot(h: Host, guest: GuestVcpu): number {
  const { root } = guest;
  if (!guest.domain.is32) {
    guest.root = NO_FRAME;
    return root;
  }
  if (root === NO_FRAME) return NO_FRAME; // it never ran
  const at = h.table(root), lo = h.s.w[at], hi = h.s.w[at + 1];
  storeEntry(h.s, at, 0, 0);
  return (lo & PTE_P) === 0 ? NO_FRAME : frameOf(lo, hi);
}

/** Put what the domain itself holds of its frames, or of those that are the hypervisor's. @param level - of tables to be devalidated, 0: none */
function relinquish(h: Host, domain: Domain, from: number, xenHeap: boolean, level: number): number {
  const { frames } = h;
  for (let mfn = from; mfn < frames.count; mfn++) {
    if (frames.owner(mfn) !== domain.id || frames.isXenHeap(mfn) !== xenHeap || !frames.getPage(mfn, domain.id)) continue;
    if (!unpin(h, mfn)) return mfn;
    frames.putAllocated(mfn);
    if (level !== 0 && (frames.type(mfn) & PGT_TYPE_MASK) === tableType(level) && !devalidate(h, mfn, level)) return mfn;
    frames.putPage(mfn);
    if (h.preemptCheck()) return mfn + 1;
  }
  return DONE;
}

/** Put a frame's pin. @returns false: preempted, and the caller's general reference is put */
function unpin(h: Host, mfn: number): boolean {
  const { frames } = h, type = frames.type(mfn);
  if ((type & PGT_PINNED) === 0) return true;
  frames.setType(mfn, type & ~PGT_PINNED);
  const rc = putPageAndType(h, mfn);
  if (rc === 0) return true;
  if (rc === -XEN_EINTR) frames.setType(mfn, frames.type(mfn) | PGT_PINNED);
  else frames.putPage(mfn); // that of the pin: the table is partial now, and has its own
  frames.putPage(mfn);
  return false;
}

/** Put a table's entries whatever its count. @returns false: preempted, and the caller's general reference is put, or PGT_PARTIAL's */
function devalidate(h: Host, mfn: number, level: number): boolean {
  const { frames } = h, type = frames.type(mfn), partial = (type & PGT_PARTIAL) !== 0;
  if ((type & (PGT_VALIDATED | PGT_PARTIAL)) === 0) return true;
  frames.setType(mfn, type & ~(PGT_VALIDATED | PGT_PARTIAL));
  if (!partial) frames.setValidated(mfn, ENTRIES, false);
  const rc = demoteTable(h, mfn, level);
  if (rc === 0) {
    if (!partial) return true;
    frames.setType(mfn, frames.type(mfn) - 1);
    frames.putPage(mfn);
    return true;
  }
  if (rc === -XEN_ERESTART) {
    frames.setType(mfn, (frames.type(mfn) + (partial ? 0 : 1)) | PGT_PARTIAL);
    if (partial) frames.putPage(mfn);
    return false;
  }
  frames.setType(mfn, frames.type(mfn) | PGT_VALIDATED);
  if (partial) frames.putPage(mfn);
  frames.putPage(mfn);
  return false;
}
