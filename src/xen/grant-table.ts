/**
 * A domain's grant table: the frames it shares with the hypervisor, in which it writes what it grants, and the hypervisor's own records of what
 * is in use.
 *
 * Source: facts of Xen 4.17, struct grant_table, grant_table_init(), gnttab_grow_table(), gnttab_populate_status_frames(),
 *         gnttab_unpopulate_status_frames() (xen/common/grant_table.c).
 */
import { ConfigError } from '../errors.ts';
import { PGC_HELD } from '../layout/frame.ts';
import { ActiveGrants } from './active-grants.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { takeFrames } from './heap.ts';
import type { Host } from './host.ts';
import { Maptrack } from './maptrack.ts';
import { XEN_EBUSY, XEN_ENOMEM } from './numbers.ts';

const FRAME_WORDS = 1024;
const V1_SHIFT = 9; //     log2 of the entries in a frame: 8 bytes each,
const V2_SHIFT = 8; //     16 bytes,
const STATUS_SHIFT = 11; // and 2 bytes of status

/** What a domain's grant table may come to. */
export interface GrantLimits {
  /** Frames of entries. Default 64. */
  readonly maxFrames?: number;
  /** Pages of 256 mappings each. Default 1024. */
  readonly maxMaptrackFrames?: number;
  /** Highest version of entries: 1 or 2. Default 2. */
  readonly maxVersion?: number;
}

export class GrantTable {
  readonly maxFrames: number;
  readonly maxVersion: number;
  /** Version of the entries: 1, or 2. */
  version = 1;
  /** Frames of entries, and of version 2 those of their status. */
  readonly frames: number[] = [];
  readonly statusFrames: number[] = [];
  /** Uses in progress of grants that only version 2 can express. */
  v2Operations = 0;
  readonly active = new ActiveGrants();
  readonly maptrack: Maptrack;

  constructor({ maxFrames = 64, maxMaptrackFrames = 1024, maxVersion = 2 }: GrantLimits) {
    this.maxFrames = maxFrames;
    this.maxVersion = maxVersion;
    this.maptrack = new Maptrack(maxMaptrackFrames);
  }

  /** References there are. */
  get entries(): number {
    return this.frames.length << (this.version === 1 ? V1_SHIFT : V2_SHIFT);
  }

  /** Word index of an entry. */
  entryAt(h: Host, ref: number): number {
    if (this.version === 1) return h.table(this.frames[ref >>> V1_SHIFT]) + (ref & ((1 << V1_SHIFT) - 1)) * 2;
    return h.table(this.frames[ref >>> V2_SHIFT]) + (ref & ((1 << V2_SHIFT) - 1)) * 4;
  }

  /** Word index of an entry's status, which is one half of the word. Of version 2. */
  statusAt(h: Host, ref: number): number {
    return h.table(this.statusFrames[ref >>> STATUS_SHIFT]) + ((ref & ((1 << STATUS_SHIFT) - 1)) >>> 1);
  }

  /** Add frames, given by the hypervisor, to the end. */
  add(h: Host, domain: Domain, frames: readonly number[]): void {
    for (const mfn of frames) h.shareFrame(domain, mfn);
    this.frames.push(...frames);
    this.active.grow(this.frames.length << V1_SHIFT);
  }
}

/** Status frames for so many frames of entries. */
export const statusFramesFor = (frames: number): number => Math.ceil(frames * 2 ** (V2_SHIFT - STATUS_SHIFT));

/** New frames of the hypervisor's, zeroed; undefined if there are not so many. @throws ConfigError - the source is at fault; those taken are free again */
function allocate(h: Host, domain: Domain, count: number, use: 'grant' | 'status'): number[] | undefined {
  const frames: number[] = [];
  let whole = false;
  try {
    for (let mfn = 0; frames.length < count && (mfn = takeShared(h, domain, use)) !== NO_FRAME;) {
      clearFrame(h, mfn);
      frames.push(mfn);
    }
    whole = frames.length >= count;
  } finally {
    if (!whole) free(h, frames);
  }
  return whole ? frames : undefined;
}

/** A frame of the source, held. @throws ConfigError - it is not free */
function takeShared(h: Host, domain: Domain, use: 'grant' | 'status'): number {
  if (h.source.allocateShared === undefined) return takeFrames(h, domain, 0, Infinity);
  const mfn = h.source.allocateShared(domain.id, use);
  if (mfn === NO_FRAME) return mfn;
  if (!Number.isInteger(mfn) || !h.frames.valid(mfn) || !h.frames.isFree(mfn)) throw new ConfigError('source.allocateShared()', 'a free frame', mfn);
  h.frames.setOwner(mfn, 0, PGC_HELD);
  h.flushFreed();
  return mfn;
}

/** Frames that were taken are to be shared now. */
function unhold(h: Host, frames: readonly number[]): void {
  for (const mfn of frames) h.frames.setOwner(mfn, 0, 0);
}

function free(h: Host, frames: readonly number[]): void {
  for (const mfn of frames) h.release(mfn, false);
}

export function clearFrame(h: Host, mfn: number): void {
  const at = h.table(mfn);
  h.s.w.fill(0, at, at + FRAME_WORDS);
}

/** Let a table have at least so many frames. @returns false, with nothing changed: there is no memory for them */
export function growTable(h: Host, domain: Domain, count: number): boolean {
  const { grants } = domain, shared = allocate(h, domain, count - grants.frames.length, 'grant');
  if (shared === undefined) return false;
  let whole = grants.version === 1;
  try {
    whole ||= addStatusFrames(h, domain, count);
  } finally {
    if (!whole) free(h, shared);
  }
  if (!whole) return false;
  unhold(h, shared);
  grants.add(h, domain, shared);
  return true;
}

function addStatusFrames(h: Host, domain: Domain, count: number): boolean {
  const { statusFrames } = domain.grants, added = allocate(h, domain, statusFramesFor(count) - statusFrames.length, 'status');
  if (added === undefined) return false;
  unhold(h, added);
  for (const mfn of added) h.shareFrame(domain, mfn);
  statusFrames.push(...added);
  return true;
}

/** Status frames for a table that becomes version 2. @returns 0 or -XEN_ENOMEM */
export function populateStatus(h: Host, domain: Domain): number {
  return addStatusFrames(h, domain, domain.grants.frames.length) ? 0 : -XEN_ENOMEM;
}

/** Take the status frames back from a table that becomes version 1. @returns 0; -XEN_EBUSY, nothing changed: one is mapped */
export function unpopulateStatus(h: Host, domain: Domain): number {
  const { statusFrames } = domain.grants;
  if (statusFrames.some(mfn => h.frames.refs(mfn) !== 1)) return -XEN_EBUSY;
  for (const mfn of statusFrames) if (h.frames.clearAllocated(mfn)) h.frames.putPage(mfn);
  free(h, statusFrames);
  statusFrames.length = 0;
  return 0;
}
