/**
 * A domain's grant table: the frames it shares with the hypervisor, in which it writes what it grants, and the hypervisor's own records of what
 * is in use.
 *
 * Source: facts of Xen 4.17, struct grant_table, grant_table_init(), gnttab_grow_table(), gnttab_populate_status_frames(),
 *         gnttab_unpopulate_status_frames() (xen/common/grant_table.c).
 */
import { ConfigError } from '../errors.ts';
import {
  DOMAIN_GRANT_FRAMES, DOMAIN_GRANT_LIST, DOMAIN_GRANT_MAX_FRAMES, DOMAIN_GRANT_MAX_VERSION, DOMAIN_GRANT_V2_USES, DOMAIN_GRANT_VERSION,
  DOMAIN_MAPTRACK_MOST, DOMAIN_STATUS_FRAMES,
} from '../layout/domain.ts';
import { PGC_HELD } from '../layout/frame.ts';
import type { Views } from '../memory/views.ts';
import { ActiveGrants } from './active-grants.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { takeFrames } from './heap.ts';
import type { Host } from './host.ts';
import { Maptrack, MAPTRACK_PER_PAGE } from './maptrack.ts';
import { XEN_EBUSY, XEN_ENOMEM } from './numbers.ts';
import { PAGE_WORDS, type OwnFrames } from './own-frames.ts';
import type { PagedTable } from './paged-table.ts';

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

const DEFAULTS: Required<GrantLimits> = { maxFrames: 64, maxMaptrackFrames: 1024, maxVersion: 2 };
const MOST_FRAMES = 32767; // what Xen's boot parameters take

/** @throws ConfigError - a limit */
export function checkLimits({ maxFrames = 0, maxMaptrackFrames = 0, maxVersion = 2 }: GrantLimits): void {
  if (maxVersion !== 1 && maxVersion !== 2) throw new ConfigError('grants.maxVersion', '1 or 2', maxVersion);
  for (const [name, frames] of Object.entries({ maxFrames, maxMaptrackFrames })) {
    if (!Number.isInteger(frames) || frames < 0 || frames > MOST_FRAMES) throw new ConfigError(`grants.${name}`, `an integer from 0 to ${MOST_FRAMES}`, frames);
  }
}

/** Let a domain's block have an empty grant table. @param domain - its word index */
export function layGrants(w: Int32Array, domain: number, limits: GrantLimits): void {
  const { maxFrames, maxMaptrackFrames, maxVersion } = { ...DEFAULTS, ...limits };
  w[domain + (DOMAIN_GRANT_MAX_FRAMES >>> 2)] = maxFrames;
  w[domain + (DOMAIN_GRANT_MAX_VERSION >>> 2)] = maxVersion;
  w[domain + (DOMAIN_GRANT_VERSION >>> 2)] = 1;
  w[domain + (DOMAIN_MAPTRACK_MOST >>> 2)] = maxMaptrackFrames * MAPTRACK_PER_PAGE;
}

export class GrantTable {
  readonly active: ActiveGrants;
  readonly maptrack: Maptrack;
  private readonly own: OwnFrames;
  private readonly s: Views;
  private readonly domain: number;

  /** @param domain - word index of the domain's block @param vcpus - blocks of its vCPUs */
  constructor(own: OwnFrames, domain: number, vcpus: PagedTable) {
    this.own = own;
    this.s = own.s;
    this.domain = domain;
    this.active = new ActiveGrants(own, domain);
    this.maptrack = new Maptrack(own, domain, vcpus);
  }

  private word(offset: number): number { return this.s.w[this.domain + (offset >>> 2)]; }
  private put(offset: number, value: number): void { this.s.w[this.domain + (offset >>> 2)] = value; }

  get maxFrames(): number { return this.word(DOMAIN_GRANT_MAX_FRAMES); }
  get maxVersion(): number { return this.word(DOMAIN_GRANT_MAX_VERSION); }
  /** Version of the entries: 1, or 2. */
  get version(): number { return this.s.w[this.domain + (DOMAIN_GRANT_VERSION >>> 2)]; }
  set version(version: number) { this.put(DOMAIN_GRANT_VERSION, version); }
  /** Uses in progress of grants that only version 2 can express. */
  get v2Operations(): number { return this.word(DOMAIN_GRANT_V2_USES); }
  set v2Operations(uses: number) { this.put(DOMAIN_GRANT_V2_USES, uses); }

  /** Frames of entries: a view of the list of them. */
  get frames(): Int32Array {
    const at = this.s.w[this.domain + (DOMAIN_GRANT_LIST >>> 2)] >>> 2;
    return this.s.w.subarray(at, at + this.s.w[this.domain + (DOMAIN_GRANT_FRAMES >>> 2)]);
  }

  /** ... and of version 2 those of their status. */
  get statusFrames(): Int32Array {
    const at = this.statusList();
    return this.s.w.subarray(at, at + this.word(DOMAIN_STATUS_FRAMES));
  }

  private statusList(): number {
    return (this.s.w[this.domain + (DOMAIN_GRANT_LIST >>> 2)] >>> 2) + this.maxFrames;
  }

  /** References there are. */
  get entries(): number {
    return this.s.w[this.domain + (DOMAIN_GRANT_FRAMES >>> 2)] << (this.version === 1 ? V1_SHIFT : V2_SHIFT);
  }

  /** Word index of an entry. */
  entryAt(h: Host, ref: number): number {
    const { w } = this.s, list = w[this.domain + (DOMAIN_GRANT_LIST >>> 2)] >>> 2;
    if (this.version === 1) return h.table(w[list + (ref >>> V1_SHIFT)]) + (ref & ((1 << V1_SHIFT) - 1)) * 2;
    return h.table(w[list + (ref >>> V2_SHIFT)]) + (ref & ((1 << V2_SHIFT) - 1)) * 4;
  }

  /** Word index of an entry's status, which is one half of the word. Of version 2. */
  statusAt(h: Host, ref: number): number {
    return h.table(this.s.w[this.statusList() + (ref >>> STATUS_SHIFT)]) + ((ref & ((1 << STATUS_SHIFT) - 1)) >>> 1);
  }

  /** Make room to keep what so many frames of entries take. @returns false, with nothing changed: there is no memory for it, or they are too many */
  reserve(frames: number): boolean {
    if (frames > this.maxFrames) return false;
    if (this.s.w[this.domain + (DOMAIN_GRANT_LIST >>> 2)] === 0 && frames > 0) {
      const list = this.own.allocate(this.listPages());
      if (list === 0) return false;
      this.put(DOMAIN_GRANT_LIST, list << 2);
    }
    return this.active.grow(frames << V1_SHIFT);
  }

  /** Add frames, given by the hypervisor, to the end. @throws ConfigError - there is no memory to keep them, or they are too many */
  add(h: Host, domain: Domain, frames: readonly number[]): void {
    const before = this.s.w[this.domain + (DOMAIN_GRANT_FRAMES >>> 2)], after = before + frames.length;
    if (!this.reserve(after)) throw new ConfigError('grants.frames', `at most ${this.maxFrames} frames, and memory for what is known of them`, after);
    for (const mfn of frames) h.shareFrame(domain, mfn);
    this.put(DOMAIN_GRANT_FRAMES, after);
    this.frames.set(frames, before);
  }

  /** Add frames of status to the end. Room for as many as there may be is made with that for entries. */
  addStatus(frames: readonly number[]): void {
    const before = this.word(DOMAIN_STATUS_FRAMES);
    this.put(DOMAIN_STATUS_FRAMES, before + frames.length);
    this.statusFrames.set(frames, before);
  }

  clearStatus(): void {
    this.put(DOMAIN_STATUS_FRAMES, 0);
  }

  /** Let go of everything, with the domain. */
  clear(): void {
    const list = this.s.w[this.domain + (DOMAIN_GRANT_LIST >>> 2)] >>> 2;
    if (list !== 0) this.own.free(list, this.listPages());
    this.put(DOMAIN_GRANT_LIST, 0);
    this.put(DOMAIN_GRANT_FRAMES, 0);
    this.put(DOMAIN_STATUS_FRAMES, 0);
    this.active.clear();
    this.maptrack.clear();
  }

  private listPages(): number {
    return Math.ceil((this.maxFrames + statusFramesFor(this.maxFrames)) / PAGE_WORDS);
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

function free(h: Host, frames: Iterable<number>): void {
  for (const mfn of frames) h.release(mfn, false);
}

export function clearFrame(h: Host, mfn: number): void {
  const at = h.table(mfn);
  h.s.w.fill(0, at, at + FRAME_WORDS);
}

/** Let a table have at least so many frames. @returns false, with nothing changed: there is no memory for them */
export function growTable(h: Host, domain: Domain, count: number): boolean {
  const { grants } = domain;
  if (!grants.reserve(count)) return false;
  const shared = allocate(h, domain, count - grants.frames.length, 'grant');
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
  domain.grants.addStatus(added);
  return true;
}

/** Status frames for a table that becomes version 2. @returns 0 or -XEN_ENOMEM */
export function populateStatus(h: Host, domain: Domain): number {
  return addStatusFrames(h, domain, domain.grants.frames.length) ? 0 : -XEN_ENOMEM;
}

/**
 * Take the status frames back from a table that becomes version 1.
 *
 * A guest may have given one back, with the reference of PGC_ALLOCATED; it has that again if the frame is mapped still.
 * Source: Xen 4.17, gnttab_unpopulate_status_frames() (xen/common/grant_table.c).
 *
 * @returns 0; -XEN_EBUSY: one is mapped
 */
export function unpopulateStatus(h: Host, domain: Domain): number {
  const { statusFrames } = domain.grants, { frames } = h;
  for (const [k, mfn] of statusFrames.entries()) {
    if (frames.refs(mfn) === (frames.isAllocated(mfn) ? 1 : 0)) continue;
    if (!frames.isAllocated(mfn)) frames.allocateAgain(mfn);
    for (const earlier of statusFrames.slice(0, k)) if (frames.refs(earlier) === 0) h.shareAgain(domain, earlier);
    return -XEN_EBUSY;
  }
  for (const mfn of statusFrames) if (frames.clearAllocated(mfn)) frames.putPage(mfn);
  free(h, statusFrames);
  domain.grants.clearStatus();
  return 0;
}
