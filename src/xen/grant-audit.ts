/**
 * The audit of grants: what is in use, counted again from the mappings.
 *
 *   XG1  the pin of an active entry counts the mappings of it that domains' handles stand for, by kind, and nothing else between calls
 *   XG2  an entry that is in use is used by the domain whose handles stand for it, and the bytes used lie in one frame
 *   XG3  a domain that is not privileged maps another's frame no more often, and no more writable, than its handles say; less often where it
 *        overwrote such an entry, which leaves the handle to it for good
 *   XG4  the frames of a table, and of its status in version 2, are the hypervisor's, shared with its domain, and as many as there are entries for
 *   XG5  a handle is in use, or in the list of one vCPU, once
 *   XG6  a domain that is dead has frames left, none of them allocated or a page table, and no handles: what refers to its frames are entries of
 *        others' level-1 tables and others' devices, which XA4 and XG3 tie to handles, and to domains that control it
 *
 * A mapping for a device holds a reference of the frame, and a type count if it is writable; one for the processor holds what its entry does.
 */
import { PTE_P, PTE_RW } from '../arch/pte.ts';
import { PGC_ALLOCATED, PGT_VALIDATED } from '../layout/frame.ts';
import { pinsOf } from './active-grants.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { frameOf } from './entry-flags.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from './grant-numbers.ts';
import { statusFramesFor } from './grant-table.ts';
import type { Host } from './host.ts';
import { levelOf } from './page-type.ts';

const ENTRIES = 512;
const FRAME_BYTES = 4096;
const HIGHEST_TABLE = 4;
type Complain = (rule: string, what: string) => void;
type Hold = (mfn: number, refs: number, types: number) => void;

interface Mapping {
  readonly granter: Domain;
  readonly ref: number;
  readonly flags: number;
}

/** What a domain's handles stand for; those of grants of domains that are gone are left out. */
function* mappings(h: Host, domain: Domain): Generator<Mapping> {
  const { maptrack } = domain.grants;
  for (let handle = 0; handle < maptrack.limit; handle++) {
    const flags = maptrack.flags(handle), granter = h.domain(maptrack.domid(handle));
    if (flags !== 0 && granter !== undefined) yield { granter, ref: maptrack.ref(handle), flags };
  }
}

/** Frame of a grant in use; NO_FRAME: there is no such grant. */
function usedFrame({ grants }: Domain, ref: number): number {
  return ref < grants.entries ? grants.active.mfn(ref) : NO_FRAME;
}

/** Tell which references mappings for devices hold. */
export function holdForDevices(h: Host, hold: Hold): void {
  for (const domain of h.domains.values()) {
    for (const { granter, ref, flags } of mappings(h, domain)) {
      if ((flags & GNTMAP_device_map) !== 0) hold(usedFrame(granter, ref), 1, (flags & GNTMAP_readonly) !== 0 ? 0 : 1);
    }
  }
}

/** Does a domain use a frame by a grant? */
export function isGranted(h: Host, mfn: number, domain: Domain): boolean {
  for (const { granter, ref } of mappings(h, domain)) if (usedFrame(granter, ref) === mfn) return true;
  return false;
}

/** Complain of what does not hold. */
export function auditGrants(h: Host, complain: Complain): void {
  const pins = new Map<Domain, Int32Array>();
  for (const domain of h.domains.values()) pins.set(domain, new Int32Array(domain.grants.entries));
  for (const domain of h.domains.values()) {
    for (const { granter, ref, flags } of mappings(h, domain)) {
      const { active, entries } = granter.grants, where = `grant ${ref} of domain ${granter.id}`;
      if (ref >= entries) {
        complain('XG1', `${where} is mapped, and not there`);
        continue;
      }
      pins.get(granter)![ref] += pinsOf(flags);
      if (active.domid(ref) !== domain.id) complain('XG2', `${where} is mapped by domain ${domain.id}, and in use by ${active.domid(ref)}`);
    }
    compareTable(h, domain, complain);
    compareHandles(domain, complain);
    if (domain.dead) compareDead(h, domain, complain);
    if (!domain.privileged) compareEntries(h, domain, complain);
  }
  for (const [domain, counted] of pins) comparePins(domain, counted, complain);
}

function comparePins({ id, grants }: Domain, counted: Int32Array, complain: Complain): void {
  counted.forEach((pin, ref) => {
    const got = grants.active.pin(ref);
    if (got !== pin) complain('XG1', `grant ${ref} of domain ${id} has pin 0x${(got >>> 0).toString(16)}, counted 0x${(pin >>> 0).toString(16)}`);
    if (got !== 0 && grants.active.start(ref) + grants.active.length(ref) > FRAME_BYTES) complain('XG2', `grant ${ref} of domain ${id} goes beyond its frame`);
  });
  if (grants.v2Operations !== 0) complain('XG1', `domain ${id} has ${grants.v2Operations} uses of grants in progress`);
}

function compareTable(h: Host, { id, grants }: Domain, complain: Complain): void {
  const { frames, statusFrames, version } = grants, expected = version === 1 ? 0 : statusFramesFor(frames.length);
  if (statusFrames.length !== expected) complain('XG4', `domain ${id} has ${statusFrames.length} status frames for ${frames.length} frames of version ${version}`);
  for (const mfn of [...frames, ...statusFrames]) {
    if (h.frames.owner(mfn) !== id || !h.frames.isXenHeap(mfn)) complain('XG4', `frame 0x${mfn.toString(16)} is in the table of domain ${id}, and not shared with it`);
  }
}

function compareHandles({ id, grants }: Domain, complain: Complain): void {
  const { maptrack } = grants, seen = new Uint8Array(maptrack.limit);
  for (const handle of maptrack.free()) {
    if (seen[handle] !== 0 || maptrack.flags(handle) !== 0) return complain('XG5', `handle ${handle} of domain ${id} is free twice, or in use`);
    seen[handle] = 1;
  }
  for (let handle = 0; handle < maptrack.limit; handle++) {
    if (seen[handle] === 0 && maptrack.flags(handle) === 0) return complain('XG5', `handle ${handle} of domain ${id} is neither free nor in use`);
  }
}

function compareDead(h: Host, { id, grants, totalPages, xenPages, vcpus }: Domain, complain: Complain): void {
  if (totalPages + xenPages === 0) complain('XG6', `domain ${id} is dead and has no frames, and is known`);
  if (grants.maptrack.limit !== 0 || vcpus.length !== 0) complain('XG6', `domain ${id} is dead and has ${grants.maptrack.limit} handles, ${vcpus.length} vCPUs`);
  for (let mfn = 0; mfn < h.frames.count; mfn++) {
    if (h.frames.refs(mfn) === 0 || h.frames.owner(mfn) !== id) continue;
    const allocated = (h.frames.flags(mfn) & PGC_ALLOCATED) !== 0, level = levelOf(h.frames.type(mfn)), isTable = level >= 1 && level <= HIGHEST_TABLE && h.frames.typeCount(mfn) !== 0;
    if (allocated || isTable) complain('XG6', `domain ${id} is dead, and its frame 0x${mfn.toString(16)} ${allocated ? 'is allocated' : 'is a page table'}`);
  }
}

/** Entries that map others' frames, against the handles. Bits of a key: the frame, and whether writable. */
function compareEntries(h: Host, domain: Domain, complain: Complain): void {
  const left = new Map<number, number>(), { frames } = h, { w } = h.s;
  const key = (mfn: number, writable: boolean): number => mfn * 2 + (writable ? 1 : 0);
  for (const { granter, ref, flags } of mappings(h, domain)) {
    const k = key(usedFrame(granter, ref), (flags & GNTMAP_readonly) === 0);
    if ((flags & GNTMAP_host_map) !== 0) left.set(k, (left.get(k) ?? 0) + 1);
  }
  for (let table = 0; table < frames.count; table++) {
    const type = frames.type(table);
    if (levelOf(type) !== 1 || (type & PGT_VALIDATED) === 0 || frames.refs(table) === 0 || frames.owner(table) !== domain.id) continue;
    for (let at = h.table(table), end = at + ENTRIES * 2; at < end; at += 2) {
      const mfn = frameOf(w[at], w[at + 1]);
      if ((w[at] & PTE_P) === 0 || !frames.valid(mfn) || frames.refs(mfn) === 0 || frames.owner(mfn) === domain.id || h.ownerOf(mfn) === h.io) continue;
      const k = key(mfn, (w[at] & PTE_RW) !== 0), n = left.get(k) ?? 0;
      if (n === 0) complain('XG3', `domain ${domain.id} maps frame 0x${mfn.toString(16)} without a handle, in table 0x${table.toString(16)}`);
      left.set(k, n - 1);
    }
  }
}
