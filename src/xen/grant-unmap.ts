/**
 * GNTTABOP_unmap_grant_ref and GNTTABOP_unmap_and_replace: mappings are taken away in batches; the references they held are put after the
 * batch, when nothing cached can use them any more.
 *
 * Source: facts of Xen 4.17, unmap_common(), unmap_common_complete(), gnttab_unmap_grant_ref(), gnttab_unmap_and_replace()
 *         (xen/common/grant_table.c).
 */
import { GRANTS } from './counters.ts';
import { pinsOf } from './active-grants.ts';
import { reduceStatus } from './grant-entry.ts';
import {
  GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_bad_dev_addr, GNTST_bad_handle, GNTST_okay,
} from './grant-numbers.ts';
import { replaceMapping } from './grant-pte.ts';
import { readItem, writeStatus } from './guest-array.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT } from './numbers.ts';
import { putPageType } from './page-type.ts';

export const UNMAP_BYTES = 24;
const BATCH = 32; // operations between two flushes
const STATUS_OFFSET = 20;
// Words of an operation; the second address is that for devices, or that of the mapping to be put in place.
const HOST_ADDR = 0;
const SECOND_ADDR = 2;
const HANDLE = 4;

// What is left to do for each operation of a batch, four words: GNTMAP_* that were taken away, the frame, the granting domain, its reference.
const batch = new Int32Array(BATCH * 4);
const DONE = 0;
const MFN = 1;
const DOMID = 2;
const REF = 3;

/** @param replace - the second address is that of another mapping @returns operations done if preempted, 0 if all are, or -XEN_EFAULT */
export function unmapGrants(h: Host, hi: number, lo: number, count: number, replace: boolean): number {
  for (let done = 0; done < count;) {
    const n = Math.min(count - done, BATCH);
    let i = 0, fault = false;
    while (i < n && !fault) {
      const offset = (done + i) * UNMAP_BYTES;
      if (!readItem(h, hi, lo, offset, UNMAP_BYTES)) fault = true;
      else fault = !writeStatus(h, hi, lo, offset + STATUS_OFFSET, unmapOne(h, i++ * 4, replace));
    }
    h.flushAll(h.current.domain.id, GRANTS);
    for (let k = 0; k < i; k++) complete(h, k * 4);
    if (fault) return -XEN_EFAULT;
    done += n;
    if (done < count && h.preemptCheck()) return done;
  }
  return 0;
}

/** The operation in `h.buffer`. @param at - where to note what is left to do @returns GNTST_* */
function unmapOne(h: Host, at: number, replace: boolean): number {
  const b = h.buffer, { domain } = h.current, { maptrack } = domain.grants, handle = b[HANDLE] >>> 0;
  batch[at + DONE] = 0;
  const flags = handle < maptrack.limit ? maptrack.flags(handle) : 0;
  if (flags === 0) return GNTST_bad_handle;
  const granter = h.domain(maptrack.domid(handle)), ref = maptrack.ref(handle);
  if (granter === undefined) {
    domain.crashed = `it unmaps a grant of domain ${maptrack.domid(handle)}, which is gone`;
    return GNTST_bad_handle;
  }
  if (ref >= granter.grants.entries) return GNTST_bad_handle;
  const mfn = granter.grants.active.mfn(ref);
  batch[at + MFN] = mfn;
  batch[at + DOMID] = granter.id;
  batch[at + REF] = ref;
  const device = (flags & GNTMAP_device_map) !== 0 && !replace && (b[SECOND_ADDR] | b[SECOND_ADDR + 1]) !== 0;
  if (device && (b[SECOND_ADDR] !== mfn << 12 || b[SECOND_ADDR + 1] !== Math.trunc(mfn / 0x100000))) return GNTST_bad_dev_addr;
  let left = flags;
  if ((flags & GNTMAP_host_map) !== 0 && (b[HOST_ADDR] | b[HOST_ADDR + 1]) !== 0) {
    const newLo = replace ? b[SECOND_ADDR] : 0, newHi = replace ? b[SECOND_ADDR + 1] : 0;
    const status = replaceMapping(h, b[HOST_ADDR + 1], b[HOST_ADDR], mfn, newHi, newLo, flags);
    if (status !== GNTST_okay) return status;
    left &= ~GNTMAP_host_map;
  }
  if (device) left &= ~GNTMAP_device_map;
  if (left === flags) return GNTST_okay;
  batch[at + DONE] = (left ^ flags) | (flags & GNTMAP_readonly);
  const inUse = (left & (GNTMAP_device_map | GNTMAP_host_map)) !== 0;
  maptrack.setFlags(handle, inUse ? left : 0);
  if (!inUse) maptrack.give(handle);
  return GNTST_okay;
}

/** Put the references and pins of what an operation took away. */
function complete(h: Host, at: number): void {
  const done = batch[at + DONE];
  if (done === 0) return;
  const granter = h.domain(batch[at + DOMID])!, { grants } = granter, ref = batch[at + REF] >>> 0, mfn = batch[at + MFN] >>> 0;
  h.guard?.takeGrants(granter);
  grants.active.setPin(ref, grants.active.pin(ref) - pinsOf(done));
  reduceStatus(h, grants, ref, (done & GNTMAP_readonly) !== 0);
  h.guard?.giveGrants(granter);
  releaseMapping(h, mfn, done, true); // the last of a domain that is dead ends it, and its table with it
}

/** Put the references that a mapping, by GNTMAP_*, has of its frame. @param host - those of the processor's mapping too */
export function releaseMapping(h: Host, mfn: number, flags: number, host: boolean): void {
  const writable = (flags & GNTMAP_readonly) === 0;
  let refs = ((flags & GNTMAP_device_map) !== 0 ? 1 : 0) + (host && (flags & GNTMAP_host_map) !== 0 ? 1 : 0);
  for (; refs > 0; refs--) {
    if (writable) putPageType(h, mfn);
    h.frames.putPage(mfn);
  }
}
