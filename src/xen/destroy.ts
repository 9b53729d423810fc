/**
 * The end of a domain: roots are not in use any more, pins and allocations are put, and what then is still a validated table, of the highest
 * level first, is so only by referring to itself or because it is partial: it is devalidated whatever its count.
 *
 * Source: facts of Xen 4.17, domain_kill() (xen/common/domain.c), domain_relinquish_resources(), relinquish_memory() (xen/arch/x86/domain.c),
 *         vcpu_destroy_pagetables(), devalidate_page() (xen/arch/x86/mm.c).
 */
import { PTE_P } from '../arch/pte.ts';
import { PGT_PARTIAL, PGT_PINNED, PGT_TYPE_MASK, PGT_VALIDATED } from '../layout/frame.ts';
import { storeEntry } from '../memory/entry.ts';
import { demoteTable } from './demote.ts';
import { putGdt } from './descriptor.ts';
import { NO_FRAME, type Domain, type GuestVcpu } from './domain.ts';
import { frameOf } from './entry-flags.ts';
import { destroyEvents } from './event-bind.ts';
import { releaseMappings } from './grant-release.ts';
import type { Host } from './host.ts';
import { putOldTable, putPageAndType, tableType } from './page-type.ts';
import { putInterrupts } from './physdev-op.ts';
import { putVcpuInfos } from './vcpu-op.ts';
import { wake } from './wake.ts';

const ENTRIES = 512;
const LEVELS = [4, 3, 2];

/** Kill a domain, at once and whole. @param idle - who does it */
export function destroyDomain(h: Host, domain: Domain, idle: GuestVcpu): void {
  const { current } = h;
  domain.dying = true;
  releaseMappings(h, domain);
  destroyEvents(h, domain);
  putVcpuInfos(h, domain);
  putInterrupts(h, domain);
  h.unpreempted(() => {
    for (const guest of domain.vcpus) putRoots(h, guest);
    h.current = idle;
    relinquish(h, domain, frame => h.frames.isXenHeap(frame), 0);
    for (const level of LEVELS) relinquish(h, domain, frame => !h.frames.isXenHeap(frame), level);
  });
  h.current = current;
  h.flushAll(domain.id);
  for (const guest of domain.vcpus) wake(h, guest); // a thread that plays it is not to sleep for ever
  domain.vcpus.length = 0;
  domain.dead = true;
  h.forget(domain);
}

/** A vCPU walks no tables any more. */
function putRoots(h: Host, guest: GuestVcpu): void {
  h.current = guest;
  putOldTable(h);
  putGdt(h, guest);
  const { root, userRoot } = guest;
  guest.root = guest.userRoot = NO_FRAME;
  if (guest.domain.is32) {
    const at = h.table(root), lo = h.s.w[at], hi = h.s.w[at + 1];
    storeEntry(h.s, at, 0, 0);
    if ((lo & PTE_P) !== 0) putPageAndType(h, frameOf(lo, hi));
    return;
  }
  if (root !== NO_FRAME) putPageAndType(h, root);
  if (userRoot !== NO_FRAME) putPageAndType(h, userRoot);
}

/** Put what the domain itself holds of some of its frames. @param level - of the tables to be devalidated, 0: none */
function relinquish(h: Host, domain: Domain, which: (mfn: number) => boolean, level: number): void {
  const { frames } = h;
  for (let mfn = 0; mfn < frames.count; mfn++) {
    if (frames.owner(mfn) !== domain.id || !which(mfn) || !frames.getPage(mfn, domain.id)) continue;
    if ((frames.type(mfn) & PGT_PINNED) !== 0) {
      frames.setType(mfn, frames.type(mfn) & ~PGT_PINNED);
      putPageAndType(h, mfn);
    }
    frames.putAllocated(mfn);
    if (level !== 0 && (frames.type(mfn) & PGT_TYPE_MASK) === tableType(level)) devalidate(h, mfn, level);
    frames.putPage(mfn);
  }
}

function devalidate(h: Host, mfn: number, level: number): void {
  const { frames } = h, type = frames.type(mfn);
  if ((type & (PGT_VALIDATED | PGT_PARTIAL)) === 0) return;
  frames.setType(mfn, type & ~(PGT_VALIDATED | PGT_PARTIAL));
  if ((type & PGT_PARTIAL) === 0) frames.setValidated(mfn, ENTRIES, false);
  demoteTable(h, mfn, level);
  if ((type & PGT_PARTIAL) === 0) return;
  frames.setType(mfn, frames.type(mfn) - 1);
  frames.putPage(mfn);
}
