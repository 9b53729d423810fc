/**
 * The audit: all references counted again, from the tables and owners, and compared with the counts that hypercalls rely on.
 *
 *   XA1  a frame's general references are: one for PGC_ALLOCATED, one for PGT_PINNED, one for PGT_PARTIAL, one for each vCPU that uses it as a
 *        root or has still to put it, one for each present entry of a validated table that refers to it (of the entries so far, in one that is
 *        partial), and those that were reported as held elsewhere
 *   XA2  its type count is: one for PGT_PINNED, one for each such use as a root or entry of a table of the next level (or, linear, of its own),
 *        one for each level-1 entry that maps it with R/W = 1, one if it is partial, one for each
 *        vCPU that has it in its descriptor tables, one that no one puts if it is the hypervisor's or a device's
 *   XA3  what a level-1 entry maps with R/W = 1 has the type writable: no page table and no descriptor page is mapped writable
 *   XA4  what a present entry refers to belongs to the owner of the table; level-1 entries may also map what was granted, frames of a domain
 *        that a privileged one controls, and frames that are no memory where the owner is permitted
 *   XA5  a page table has a type count if and only if it is validated or partial; its type, and no other, permits what refers to it
 *   XA6  the linear count of a validated table is the number of its entries that refer to other tables of its level, or minus the number of
 *        entries of such tables that refer to it, and never both are there
 *   XA7  a domain's pages are the frames it owns, and those it shares with the hypervisor are counted apart; a frame that is no one's is called nothing in the machine-to-physical table
 *   XA8  a present entry of a validated table has none of the flags that are refused
 *
 * Grants and events have audits of their own: `grant-audit.ts`, `audit-events.ts`. References that the real Xen loses are in `Host.lost`, by name, and are counted as held.
 */
import { PTE_P, PTE_RW } from '../arch/pte.ts';
import {
  FRAME_REFS, FRAME_STRIDE, FRAME_TYPE, PGC_ALLOCATED, PGC_XEN_HEAP, PGT_COUNT, PGT_PARTIAL, PGT_PINNED, PGT_TYPE_MASK, PGT_VALIDATED,
  PGT_WRITABLE,
} from '../layout/frame.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { auditEvents, holdForEvents } from './audit-events.ts';
import { disallowed, frameOf } from './entry-flags.ts';
import { auditGrants } from './grant-audit.ts';
import type { Host } from './host.ts';
import { DOMID_IO } from './numbers.ts';
import { levelOf, tableType } from './page-type.ts';
import { guestSlot } from './xen-slots.ts';

const ENTRIES = 512;
const MOST_COMPLAINTS = 20;
const HIGHEST_TABLE = 4;

const name = (mfn: number): string => `frame 0x${mfn.toString(16)}`;

/** What was counted, by frame. */
class Recount {
  readonly refs: Int32Array;
  readonly types: Int32Array;
  readonly entries: Int32Array;
  readonly uses: Int32Array;
  readonly complaints: string[] = [];

  constructor(frames: number) {
    this.refs = new Int32Array(frames);
    this.types = new Int32Array(frames);
    this.entries = new Int32Array(frames);
    this.uses = new Int32Array(frames);
  }

  hold(mfn: number, refs: number, types: number): void {
    if (mfn < 0 || mfn >= this.refs.length) return;
    this.refs[mfn] += refs;
    this.types[mfn] += types;
  }

  complain(rule: string, what: string): void {
    if (this.complaints.length < MOST_COMPLAINTS) this.complaints.push(`${rule}: ${what}`);
  }
}

/** @returns what does not hold, in prose; empty: all is well */
export function audit(h: Host): string[] {
  const r = new Recount(h.frames.count);
  eachUsed(h, mfn => countFrame(h, r, mfn));
  for (const domain of h.domains.values()) for (const guest of domain.vcpus) countVcpu(h, r, guest);
  for (const { mfn, refs, types } of h.lost) r.hold(mfn, refs, types);
  holdForEvents(h, (mfn, refs, types) => r.hold(mfn, refs, types));
  for (const report of h.holders) report((mfn, refs, types) => r.hold(mfn, refs, types));
  compareFree(h, r);
  const owned = new Map<number, number>(), shared = new Map<number, number>();
  eachUsed(h, mfn => {
    compareFrame(h, r, mfn);
    const pages = h.frames.isXenHeap(mfn) ? shared : owned, owner = h.frames.owner(mfn);
    pages.set(owner, (pages.get(owner) ?? 0) + 1);
  });
  for (const { id, totalPages, xenPages } of h.domains.values()) {
    if ((owned.get(id) ?? 0) !== totalPages) r.complain('XA7', `domain ${id} has ${totalPages} pages, counted ${owned.get(id) ?? 0}`);
    if ((shared.get(id) ?? 0) !== xenPages) r.complain('XA7', `domain ${id} has ${xenPages} shared pages, counted ${shared.get(id) ?? 0}`);
  }
  auditEvents(h, (rule, what) => r.complain(rule, what));
  auditGrants(h, (rule, what) => r.complain(rule, what));
  return r.complaints;
}

/** Frames that have references. Most have none: constants are locals here, and rows are stepped through. */
function eachUsed(h: Host, what: (mfn: number) => void): void {
  const w = h.s.w, stride = FRAME_STRIDE >>> 2, first = h.frames.rows + (FRAME_REFS >>> 2), { count } = h.frames;
  for (let mfn = 0, at = first; mfn < count; mfn++, at += stride) if (w[at] !== 0) what(mfn);
}

function compareFree(h: Host, r: Recount): void {
  const w = h.s.w, stride = FRAME_STRIDE >>> 2, rows = h.frames.rows, { count } = h.frames, { refs, types } = r, names = h.m2p.wide;
  const refsAt = FRAME_REFS >>> 2, typeAt = FRAME_TYPE >>> 2;
  for (let mfn = 0, row = rows; mfn < count; mfn++, row += stride) {
    if (w[row + refsAt] !== 0) continue;
    if (w[row + typeAt] !== 0 || refs[mfn] !== 0 || types[mfn] !== 0) compareFrame(h, r, mfn);
    if ((w[names + mfn * 2] & w[names + mfn * 2 + 1]) !== -1) r.complain('XA7', `${name(mfn)} is free and called 0x${(w[names + mfn * 2] >>> 0).toString(16)}`);
  }
}

function countVcpu(h: Host, r: Recount, guest: Domain['vcpus'][number]): void {
  if (guest.domain.is32) {
    const at = h.table(guest.root);
    if ((h.s.w[at] & PTE_P) !== 0) r.hold(frameOf(h.s.w[at], h.s.w[at + 1]), 1, 1);
  } else {
    r.hold(guest.root, 1, 1);
  }
  r.hold(guest.userRoot, 1, 1);
  for (const mfn of [...guest.gdt, ...guest.ldt.values()]) r.hold(mfn, 1, 1);
  if (guest.oldTable !== NO_FRAME) r.hold(guest.oldTable, 1, guest.oldPartial ? 0 : 1);
}

/** What a frame's own flags hold of it, and what its entries hold of others. */
function countFrame(h: Host, r: Recount, mfn: number): void {
  const { frames } = h, type = frames.type(mfn), flags = frames.flags(mfn), level = levelOf(type);
  if (flags & PGC_ALLOCATED) r.hold(mfn, 1, 0);
  if ((flags & PGC_XEN_HEAP) !== 0 || frames.owner(mfn) === DOMID_IO) r.hold(mfn, 0, 1); // writable for good
  if (type & PGT_PINNED) r.hold(mfn, 1, 1);
  if (type & PGT_PARTIAL) r.hold(mfn, 1, 1);
  if (level < 1 || level > HIGHEST_TABLE) return;
  const used = (type & PGT_COUNT) !== 0, whole = (type & PGT_VALIDATED) !== 0, partial = (type & PGT_PARTIAL) !== 0;
  if (used !== (whole || partial) || (whole && partial)) r.complain('XA5', `${name(mfn)} has type word 0x${(type >>> 0).toString(16)}`);
  if (!whole && !partial) return;
  const end = whole ? ENTRIES : frames.validated(mfn), at = h.table(mfn), owner = h.ownerOf(mfn);
  if (owner === undefined) return r.complain('XA4', `${name(mfn)} is a page table of domain ${frames.owner(mfn)}, which there is not`);
  for (let i = 0; i < end; i++) countEntry(h, r, mfn, level, i, h.s.w[at + i * 2], h.s.w[at + i * 2 + 1], owner);
  if (partial && frames.partialSet(mfn)) r.hold(frameOf(h.s.w[at + end * 2], h.s.w[at + end * 2 + 1]), 1, 0);
}

function countEntry(h: Host, r: Recount, table: number, level: number, i: number, lo: number, hi: number, owner: Domain): void {
  if ((lo & PTE_P) === 0 || !guestSlot(owner, level, h.frames.type(table), i)) return;
  const { frames } = h, mfn = frameOf(lo, hi), where = `entry ${i} of ${name(table)} (level ${level})`;
  if (level > 1 && owner.is32 && level === 3 ? false : disallowed(owner, level, lo, hi)) r.complain('XA8', `${where} is 0x${(lo >>> 0).toString(16)}`);
  if (level === 1) return countMapping(h, r, mfn, lo, owner, where);
  if (mfn === table) return;
  if (!frames.valid(mfn) || frames.refs(mfn) === 0 || frames.owner(mfn) !== owner.id) return r.complain('XA4', `${where} refers to ${name(mfn)}, which is not its owner's`);
  const kind = frames.kind(mfn);
  r.hold(mfn, 1, 1);
  if (kind === tableType(level)) {
    r.entries[table]++;
    r.uses[mfn]++;
    if ((lo & PTE_RW) !== 0) r.complain('XA5', `${where} is linear and writable`);
  } else if (kind !== tableType(level - 1)) {
    r.complain('XA5', `${where} refers to ${name(mfn)} with type word 0x${(frames.type(mfn) >>> 0).toString(16)}`);
  }
}

function countMapping(h: Host, r: Recount, mfn: number, lo: number, owner: Domain, where: string): void {
  const { frames } = h;
  if (!frames.valid(mfn) || frames.owner(mfn) === DOMID_IO) {
    if (!owner.mayMapIo(mfn)) r.complain('XA4', `${where} maps ${name(mfn)}, which is no memory and not permitted`);
    return;
  }
  const writable = (lo & PTE_RW) !== 0, theirs = frames.refs(mfn) !== 0 && frames.owner(mfn) === owner.id;
  if (!theirs && !owner.privileged && !h.isGranted(mfn, owner)) r.complain('XA4', `${where} maps ${name(mfn)} of domain ${frames.owner(mfn)}`);
  r.hold(mfn, 1, writable ? 1 : 0);
  if (writable && frames.kind(mfn) !== PGT_WRITABLE) r.complain('XA3', `${where} maps ${name(mfn)} writable, with type word 0x${(frames.type(mfn) >>> 0).toString(16)}`);
}

function compareFrame(h: Host, r: Recount, mfn: number): void {
  const { frames } = h, type = frames.type(mfn);
  if (frames.refs(mfn) !== r.refs[mfn]) r.complain('XA1', `${name(mfn)} has ${frames.refs(mfn)} references, counted ${r.refs[mfn]}`);
  if ((type & PGT_COUNT) !== r.types[mfn]) r.complain('XA2', `${name(mfn)} has type count ${type & PGT_COUNT}, counted ${r.types[mfn]} (type word 0x${(type >>> 0).toString(16)})`);
  const isTable = levelOf(type & PGT_TYPE_MASK) >= 2 && levelOf(type & PGT_TYPE_MASK) <= HIGHEST_TABLE;
  if (!isTable || (type & PGT_VALIDATED) === 0) return;
  const expected = r.entries[mfn] - r.uses[mfn];
  if (frames.linear(mfn) !== expected || (r.entries[mfn] > 0 && r.uses[mfn] > 0)) {
    r.complain('XA6', `${name(mfn)} has linear count ${frames.linear(mfn)}, with ${r.entries[mfn]} entries and ${r.uses[mfn]} uses`);
  }
}
