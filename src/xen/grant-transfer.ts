/**
 * GNTTABOP_transfer: a domain gives a frame away to one that has said, by an entry of its grant table, that it takes one.
 *
 * Source: facts of Xen 4.17, gnttab_transfer(), gnttab_prepare_for_transfer() (xen/common/grant_table.c), steal_page() (xen/arch/x86/mm.c),
 *         compat_grant_table_op() (xen/common/compat/grant_table.c).
 */
import { casEntry32 } from '../memory/entry.ts';
import { GRANTS } from './counters.ts';
import type { Domain } from './domain.ts';
import {
  GNTST_bad_domain, GNTST_bad_page, GNTST_general_error, GNTST_okay, GTF_accept_transfer, GTF_transfer_committed, GTF_transfer_completed,
} from './grant-numbers.ts';
import { stealFrame } from './heap.ts';
import { readItem, writeStatus } from './guest-array.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT } from './numbers.ts';

export const TRANSFER_BYTES = 24;
export const COMPAT_TRANSFER_BYTES = 16;
const STATUS_OFFSET = 16;
const COMPAT_STATUS_OFFSET = 12;
/** A 32-bit guest's operations are read this many at a time, before any is done. */
const COMPAT_CHUNK = Math.floor(8192 / TRANSFER_BYTES);
const ATTEMPTS = 5; // to change an entry that the guest keeps changing

// An operation in words, as it is kept here: frame, domain, reference; and its status.
const OP_WORDS = 4;
const ops = new Int32Array(COMPAT_CHUNK * OP_WORDS);
const statuses = new Int32Array(COMPAT_CHUNK);

/** @param hi, lo - address of the operations @returns operations done if preempted, 0 if all are, or -XEN_EFAULT */
export function transferGrants(h: Host, hi: number, lo: number, count: number): number {
  const wide = !h.current.domain.is32, size = wide ? TRANSFER_BYTES : COMPAT_TRANSFER_BYTES;
  const statusAt = wide ? STATUS_OFFSET : COMPAT_STATUS_OFFSET;
  let done = 0, rc = 0;
  while (done < count && rc === 0) {
    if (wide && done > 0 && h.preemptCheck()) return done;
    const n = Math.min(count - done, wide ? 1 : COMPAT_CHUNK);
    if (!readOps(h, hi, lo, done * size, n, wide)) return -XEN_EFAULT;
    let k = 0;
    for (; k < n && (k === 0 || !h.preemptCheck()); k++) statuses[k] = transferOne(h, k * OP_WORDS);
    for (let i = k; i-- > 0;) if (!writeStatus(h, hi, lo, (done + i) * size + statusAt, statuses[i])) rc = -XEN_EFAULT;
    done += k;
    if (k < n) break;
  }
  return rc !== 0 || done === count ? rc : done;
}

function readOps(h: Host, hi: number, lo: number, offset: number, n: number, wide: boolean): boolean {
  const b = h.buffer, size = wide ? TRANSFER_BYTES : COMPAT_TRANSFER_BYTES;
  for (let k = 0; k < n; k++) {
    if (!readItem(h, hi, lo, offset + k * size, size)) return false;
    const at = k * OP_WORDS;
    ops[at] = b[0];
    ops[at + 1] = wide ? b[1] : 0;
    ops[at + 2] = b[wide ? 2 : 1] & 0xffff;
    ops[at + 3] = b[wide ? 3 : 2];
  }
  return true;
}

function transferOne(h: Host, at: number): number {
  const { frames } = h, giver = h.current.domain, mfn = (ops[at] >>> 0) + (ops[at + 1] >>> 0) * 2 ** 32;
  if (stealFrame(h, giver, mfn) !== 0) return GNTST_bad_page;
  giver.totalPages--;
  h.flushAll(giver.id, GRANTS);
  const taker = h.domain(ops[at + 2]), ref = ops[at + 3] >>> 0;
  let status = GNTST_bad_domain;
  if (taker !== undefined) {
    const room = !taker.dying && taker.totalPages < taker.maxPages;
    status = room && commit(h, taker, giver, ref) ? GNTST_okay : GNTST_general_error;
  }
  if (taker === undefined || status !== GNTST_okay) {
    h.release(mfn, true);
    return status;
  }
  taker.totalPages++;
  frames.assign(mfn, taker.id);
  complete(h, taker, ref, mfn);
  return GNTST_okay;
}

/** Claim the taker's entry, if it is for a frame of the giver. */
function commit(h: Host, taker: Domain, giver: Domain, ref: number): boolean {
  const { grants } = taker;
  if (ref >= grants.entries) return false;
  const at = grants.entryAt(h, ref), expected = GTF_accept_transfer | (giver.id << 16);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const entry = h.s.atomic ? Atomics.load(h.s.w, at) : h.s.w[at];
    if (entry !== expected) return false;
    if (casEntry32(h.s, at, entry, entry | GTF_transfer_committed)) return true;
  }
  return false;
}

/** The entry has said what the frame is to be called; now it says which frame it is. */
function complete(h: Host, taker: Domain, ref: number, mfn: number): void {
  const { grants } = taker, at = grants.entryAt(h, ref), { w } = h.s, frame = grants.version === 1 ? at + 1 : at + 2;
  h.m2p.set(mfn, w[frame], grants.version === 1 ? 0 : w[frame + 1]);
  w[frame] = mfn;
  if (grants.version !== 1) w[frame + 1] = mfn / 2 ** 32;
  if (h.s.atomic) Atomics.or(w, at, GTF_transfer_completed);
  else w[at] |= GTF_transfer_completed;
}
