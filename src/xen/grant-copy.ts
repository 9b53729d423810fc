/**
 * GNTTABOP_copy: bytes from one frame to another, each named by a grant or, if it is the caller's own, by its number.
 *
 * What an operation looked up is kept for the next one, as long as that names the same.
 *
 * Source: facts of Xen 4.17, gnttab_copy(), gnttab_copy_one(), gnttab_copy_claim_buf(), gnttab_copy_buf_valid(), gnttab_copy_buf()
 *         (xen/common/grant_table.c), compat_grant_table_op() (xen/common/compat/grant_table.c).
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import type { Domain } from './domain.ts';
import { acquireGrant, releaseGrant, type Claim } from './grant-claim.ts';
import {
  GNTCOPY_dest_gref, GNTCOPY_source_gref, GNTST_bad_copy_arg, GNTST_bad_domain, GNTST_bad_page, GNTST_eagain, GNTST_general_error, GNTST_okay,
  GNTST_permission_denied,
} from './grant-numbers.ts';
import { readItem, writeStatus } from './guest-array.ts';
import type { Host } from './host.ts';
import { DOMID_SELF, XEN_EFAULT } from './numbers.ts';
import { getPageType, putPageType } from './page-type.ts';

const FRAME_BYTES = 4096;
export const COPY_BYTES = 40;
export const COMPAT_COPY_BYTES = 24;
const STATUS_OFFSET = 36;
const COMPAT_STATUS_OFFSET = 20;
/** A 32-bit guest's operations are read this many at a time, before any is done. */
const COMPAT_CHUNK = Math.floor((2 * FRAME_BYTES) / COPY_BYTES);

// An operation as it is kept here, in words: source, destination, length, flags, status. A side is its frame or reference, domain, offset.
const SIDE_LO = 0;
const SIDE_HI = 1;
const SIDE_DOMID = 2;
const SIDE_OFFSET = 3;
const DEST = 4;
const LENGTH = 8;
const FLAGS = 9;
const OP_WORDS = 10;
const ops = new Int32Array(COMPAT_CHUNK * OP_WORDS);
const statuses = new Int32Array(COMPAT_CHUNK);

/** One side of a copy: what was looked up for it. */
class Side implements Claim {
  domain: Domain | undefined;
  domid = 0;
  lo = 0; // frame or reference
  hi = 0;
  mfn = 0;
  offset = 0; // part of the frame that may be copied
  length = 0;
  readonly source: boolean;
  ready = false;
  private hasPage = false;
  private hasGrant = false;
  private hasType = false;

  constructor(source: boolean) {
    this.source = source;
  }

  /** Does it hold what the operation at `at` names? */
  holds(at: number, byRef: boolean): boolean {
    if (!this.ready || this.lo !== ops[at + SIDE_LO]) return false;
    return byRef ? this.hasGrant : this.hi === ops[at + SIDE_HI];
  }

  release(h: Host): void {
    if (this.hasGrant) releaseGrant(h, this.domain!, this.lo >>> 0, this.source);
    if (this.hasType) putPageType(h, this.mfn);
    if (this.hasPage) h.frames.putPage(this.mfn);
    this.ready = this.hasGrant = this.hasType = this.hasPage = false;
  }

  claim(h: Host, at: number, byRef: boolean): number {
    const domain = this.domain!, lo = ops[at + SIDE_LO];
    if (byRef) {
      const status = acquireGrant(h, domain, lo >>> 0, h.current.domain.id, this.source, true, this);
      if (status !== GNTST_okay) return status;
      this.hasGrant = true;
    } else {
      if (this.domid !== DOMID_SELF && h.behaviour.checkEachCopy) return GNTST_permission_denied;
      this.mfn = (lo >>> 0) + (ops[at + SIDE_HI] >>> 0) * 2 ** 32;
      if (!h.frames.getPage(this.mfn, domain.id)) return GNTST_bad_page;
      this.hi = ops[at + SIDE_HI];
      this.offset = 0;
      this.length = FRAME_BYTES;
    }
    this.hasPage = true;
    this.lo = lo;
    if (!this.source) {
      if (getPageType(h, this.mfn, PGT_WRITABLE) !== 0) return GNTST_general_error;
      this.hasType = true;
    }
    this.ready = true;
    return GNTST_okay;
  }
}

/** @param hi, lo - address of the operations @returns operations done if preempted, 0 if all are, or -XEN_EFAULT */
export function copyGrants(h: Host, hi: number, lo: number, count: number): number {
  const wide = !h.current.domain.is32, size = wide ? COPY_BYTES : COMPAT_COPY_BYTES, most = wide ? 1 : COMPAT_CHUNK;
  const statusAt = wide ? STATUS_OFFSET : COMPAT_STATUS_OFFSET, source = new Side(true), dest = new Side(false);
  let done = 0, rc = 0;
  while (done < count && rc === 0) {
    if (wide && done > 0 && h.preemptCheck()) break;
    const n = Math.min(count - done, most);
    if (!readOps(h, hi, lo, done * size, n, wide)) {
      rc = -XEN_EFAULT;
      break;
    }
    const copied = copyChunk(h, n, source, dest, done === 0);
    if (!wide) release(h, source, dest);
    for (let k = copied; k-- > 0;) if (!writeStatus(h, hi, lo, (done + k) * size + statusAt, statuses[k])) rc = -XEN_EFAULT;
    done += copied;
    if (copied < n) break;
  }
  release(h, source, dest);
  return rc !== 0 || done === count ? rc : done;
}

function release(h: Host, source: Side, dest: Side): void {
  source.release(h);
  dest.release(h);
  source.domain = dest.domain = undefined;
}

function readOps(h: Host, hi: number, lo: number, offset: number, n: number, wide: boolean): boolean {
  const b = h.buffer, size = wide ? COPY_BYTES : COMPAT_COPY_BYTES, side = wide ? 4 : 2, last = side * 2;
  for (let k = 0; k < n; k++) {
    if (!readItem(h, hi, lo, offset + k * size, size)) return false;
    const at = k * OP_WORDS;
    for (let word = 0, to = at; word < last; word += side, to += DEST) {
      const where = b[word + side / 2];
      ops[to + SIDE_LO] = b[word];
      ops[to + SIDE_HI] = wide ? b[word + 1] : 0;
      ops[to + SIDE_DOMID] = where & 0xffff;
      ops[to + SIDE_OFFSET] = where >>> 16;
    }
    ops[at + LENGTH] = b[last] & 0xffff;
    ops[at + FLAGS] = b[last] >>> 16;
  }
  return true;
}

/** @param first - nothing was done before in this call @returns how many of the operations are done */
function copyChunk(h: Host, n: number, source: Side, dest: Side, first: boolean): number {
  for (let k = 0; k < n; k++) {
    if (k > 0 && h.preemptCheck()) return k;
    let status = copyOne(h, k * OP_WORDS, source, dest);
    // Xen tries for as long as the entry keeps changing. Here, where another vCPU's guest may keep changing it, the second time is the last.
    if (status > 0 && !(first && k === 0)) return k;
    if (status > 0) status = GNTST_eagain;
    if (status !== GNTST_okay) {
      source.release(h);
      dest.release(h);
    }
    statuses[k] = status;
  }
  return n;
}

function copyOne(h: Host, at: number, source: Side, dest: Side): number {
  const bySource = (ops[at + FLAGS] & GNTCOPY_source_gref) !== 0, byDest = (ops[at + FLAGS] & GNTCOPY_dest_gref) !== 0;
  const known = source.domain !== undefined && dest.domain !== undefined;
  const ownSource = bySource || ops[at + SIDE_DOMID] === DOMID_SELF, ownDest = byDest || ops[at + DEST + SIDE_DOMID] === DOMID_SELF;
  if (!known || source.domid !== ops[at + SIDE_DOMID] || dest.domid !== ops[at + DEST + SIDE_DOMID]) {
    release(h, source, dest);
    const status = lookUp(h, source, at, ownSource) || lookUp(h, dest, at + DEST, ownDest);
    if (status !== GNTST_okay) return status;
  }
  if (!source.holds(at, bySource)) {
    source.release(h);
    const status = source.claim(h, at, bySource);
    if (status !== GNTST_okay) return status;
  }
  if (!dest.holds(at + DEST, byDest)) {
    dest.release(h);
    const status = dest.claim(h, at + DEST, byDest);
    if (status !== GNTST_okay) return status;
  }
  return copyBytes(h, source, ops[at + SIDE_OFFSET], dest, ops[at + DEST + SIDE_OFFSET], ops[at + LENGTH]);
}

/** Find the domain of a side. @param own - its frame is named by a grant, or is the caller's */
function lookUp(h: Host, side: Side, at: number, own: boolean): number {
  const domid = ops[at + SIDE_DOMID];
  if (!own && !h.behaviour.checkEachCopy) return GNTST_permission_denied;
  side.domain = domid === DOMID_SELF ? h.current.domain : h.domain(domid);
  side.domid = domid;
  return side.domain === undefined ? GNTST_bad_domain : GNTST_okay;
}

function copyBytes(h: Host, source: Side, from: number, dest: Side, to: number, length: number): number {
  if (from + length > FRAME_BYTES || to + length > FRAME_BYTES) return GNTST_bad_copy_arg;
  if (from < source.offset || from + length > source.offset + source.length) return GNTST_general_error;
  if (to < dest.offset || to + length > dest.offset + dest.length) return GNTST_general_error;
  const fromAt = h.table(source.mfn) * 4 + from, toAt = h.table(dest.mfn) * 4 + to, { u8 } = h.s;
  if (toAt < 0) return GNTST_okay; // frames without bytes: what is written is lost, and zero is read
  if (fromAt < 0) u8.fill(0, toAt, toAt + length);
  else if (source.mfn === dest.mfn && to > from && to < from + length) copyOver(u8, fromAt, toAt, length);
  else u8.copyWithin(toAt, fromAt, fromAt + length);
  return GNTST_okay;
}

const STEP = 8;

/** Copy to a place that overlaps what follows the source, as Xen's memcpy() does: 8 bytes at a time, then single ones, upwards. */
function copyOver(u8: Uint8Array, from: number, to: number, length: number): void {
  const whole = length & ~(STEP - 1);
  for (let k = 0; k < whole; k += STEP) u8.copyWithin(to + k, from + k, from + k + STEP);
  for (let k = whole; k < length; k++) u8[to + k] = u8[from + k];
}
