/**
 * The hypercall grant_table_op: a command, and an array of its operations. Each operation gets a status of its own; the call as a whole fails
 * only where the array cannot be reached.
 *
 * Source: facts of Xen 4.17, do_grant_table_op() (xen/common/grant_table.c), compat_grant_table_op() (xen/common/compat/grant_table.c).
 */
import { FLUSH_BYTES, flushGrants, type FlushProgress } from './grant-cache.ts';
import { COMPAT_COPY_BYTES, COPY_BYTES, copyGrants } from './grant-copy.ts';
import { MAP_BYTES, mapGrants } from './grant-map.ts';
import {
  GNTTABOP_cache_flush, GNTTABOP_CMD_MASK, GNTTABOP_copy, GNTTABOP_get_status_frames, GNTTABOP_get_version, GNTTABOP_map_grant_ref,
  GNTTABOP_query_size, GNTTABOP_set_version, GNTTABOP_setup_table, GNTTABOP_swap_grant_ref, GNTTABOP_transfer, GNTTABOP_unmap_and_replace,
  GNTTABOP_unmap_grant_ref,
} from './grant-numbers.ts';
import { getStatusFrames, getVersion, querySize, setupTable } from './grant-setup.ts';
import { COMPAT_TRANSFER_BYTES, TRANSFER_BYTES, transferGrants } from './grant-transfer.ts';
import { UNMAP_BYTES, unmapGrants } from './grant-unmap.ts';
import { setVersion, SWAP_BYTES, swapGrants } from './grant-version.ts';
import { hiBeyond } from './guest-array.ts';
import { arrayOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { HYPERVISOR_grant_table_op, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from './numbers.ts';
import { REQUESTS } from './work.ts';

/** Arguments: command, array of its operations, count. @param at - word index */
export function grantTableOp(h: Host, at: number): number {
  const { w } = h.s, command = w[at] & GNTTABOP_CMD_MASK, resumed = w[at] & ~GNTTABOP_CMD_MASK, lo = w[at + 2], hi = w[at + 3], count = w[at + 4];
  if (count < 0 || (resumed !== 0 && command !== GNTTABOP_cache_flush)) return -XEN_EINVAL;
  const size = sizeOf(h, command);
  if (size === 0) return single(h, command, hi, lo, count);
  if (!arrayOk(hi, count, size)) return -XEN_EFAULT;
  const progress = { ref: resumed };
  const done = several(h, command, hi, lo, count, progress);
  if (done >= 0) h.counters.work.add(REQUESTS, done === 0 ? count : done);
  if (done < 0 || (done === 0 && progress.ref === 0)) return done;
  const offset = done * size;
  return h.continueCall(HYPERVISOR_grant_table_op, at, [progress.ref | command, 0], [(lo + offset) | 0, hiBeyond(hi, lo, offset)], [count - done, 0]);
}

/** Bytes of an operation, 0 for commands that take one only. */
function sizeOf(h: Host, command: number): number {
  const wide = !h.current.domain.is32;
  switch (command) {
    case GNTTABOP_map_grant_ref: return MAP_BYTES;
    case GNTTABOP_unmap_grant_ref: case GNTTABOP_unmap_and_replace: return UNMAP_BYTES;
    case GNTTABOP_transfer: return wide ? TRANSFER_BYTES : COMPAT_TRANSFER_BYTES;
    case GNTTABOP_copy: return wide ? COPY_BYTES : COMPAT_COPY_BYTES;
    case GNTTABOP_swap_grant_ref: return SWAP_BYTES;
    case GNTTABOP_cache_flush: return FLUSH_BYTES;
    default: return 0;
  }
}

function single(h: Host, command: number, hi: number, lo: number, count: number): number {
  switch (command) {
    case GNTTABOP_setup_table: return setupTable(h, hi, lo, count);
    case GNTTABOP_query_size: return querySize(h, hi, lo, count);
    case GNTTABOP_set_version: return setVersion(h, hi, lo);
    case GNTTABOP_get_version: return getVersion(h, hi, lo);
    case GNTTABOP_get_status_frames: return getStatusFrames(h, hi, lo, count);
    default: return -XEN_ENOSYS;
  }
}

/** @returns operations done if preempted, 0 if all are (or `progress` tells that one is under way), or -XEN_E* */
function several(h: Host, command: number, hi: number, lo: number, count: number, progress: FlushProgress): number {
  switch (command) {
    case GNTTABOP_map_grant_ref: return mapGrants(h, hi, lo, count);
    case GNTTABOP_unmap_grant_ref: return unmapGrants(h, hi, lo, count, false);
    case GNTTABOP_unmap_and_replace: return unmapGrants(h, hi, lo, count, true);
    case GNTTABOP_transfer: return transferGrants(h, hi, lo, count);
    case GNTTABOP_copy: return copyGrants(h, hi, lo, count);
    case GNTTABOP_swap_grant_ref: return swapGrants(h, hi, lo, count);
    default: return flushGrants(h, hi, lo, count, progress);
  }
}
