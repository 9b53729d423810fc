/**
 * Entries of a grant table as the guest writes them, and the flags by which the hypervisor tells it that a grant is in use: in version 1 in the
 * entry itself, which others may be changing, in version 2 in a frame of their own.
 *
 * Source: facts of Xen 4.17, _set_status_v1(), _set_status_v2(), reduce_status_for_pin() (xen/common/grant_table.c); struct grant_entry_v1,
 *         union grant_entry_v2 of xen/include/public/grant_table.h.
 */
import { casEntry32 } from '../memory/entry.ts';
import { GNTPIN_writing } from './active-grants.ts';
import {
  GNTST_general_error, GNTST_okay, GTF_permit_access, GTF_readonly, GTF_reading, GTF_sub_page, GTF_transitive, GTF_type_mask, GTF_writing,
} from './grant-numbers.ts';
import type { GrantTable } from './grant-table.ts';
import type { Host } from './host.ts';

const ATTEMPTS = 5; // to change an entry that the guest keeps changing

/** Frame that an entry grants; one beyond 2^53 is not exact, and no memory. */
export function grantedFrame(h: Host, table: GrantTable, ref: number): number {
  const at = table.entryAt(h, ref), { w } = h.s;
  return table.version === 1 ? w[at + 1] >>> 0 : (w[at + 2] >>> 0) + (w[at + 3] >>> 0) * 2 ** 32;
}

/**
 * Check an entry for a use that begins, and flag it.
 *
 * @param pinned - it is in use already, by the same domain: what it is does not matter, only whether it may be written
 * @param mapping - to be mapped: not part of a page, not another domain's grant @param domid - who uses it
 * @returns GNTST_*
 */
export function setStatus(h: Host, table: GrantTable, ref: number, pinned: boolean, readonly: boolean, mapping: boolean, domid: number): number {
  return table.version === 1 ? setStatusV1(h, table, ref, pinned, readonly, mapping, domid) : setStatusV2(h, table, ref, pinned, readonly, mapping, domid);
}

const raised = (readonly: boolean): number => (readonly ? GTF_reading : GTF_reading | GTF_writing);

function setStatusV1(h: Host, table: GrantTable, ref: number, pinned: boolean, readonly: boolean, mapping: boolean, domid: number): number {
  const at = table.entryAt(h, ref), mask = mapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const entry = load(h, at);
    if (!pinned && ((entry & mask) !== GTF_permit_access || entry >>> 16 !== domid)) return GNTST_general_error;
    if (!readonly && (entry & GTF_readonly) !== 0) return GNTST_general_error;
    if (casEntry32(h.s, at, entry, entry | raised(readonly))) return GNTST_okay;
  }
  return GNTST_general_error;
}

/** The flags first and the check again: a guest that withdraws an entry looks at the flags after that. */
function setStatusV2(h: Host, table: GrantTable, ref: number, pinned: boolean, readonly: boolean, mapping: boolean, domid: number): number {
  const at = table.entryAt(h, ref);
  if (refusedV2(load(h, at), pinned, readonly, mapping, domid)) return GNTST_general_error;
  raise(h, table, ref, raised(readonly));
  if (!h.s.atomic) return GNTST_okay;
  const entry = load(h, at);
  const withdrawn = pinned ? (entry & GTF_readonly) !== 0 : refusedV2(entry, false, readonly, mapping, domid);
  if (!withdrawn) return GNTST_okay;
  clear(h, table, ref, pinned ? GTF_writing : raised(false));
  return GNTST_general_error;
}

function refusedV2(entry: number, pinned: boolean, readonly: boolean, mapping: boolean, domid: number): boolean {
  const kind = entry & (mapping ? GTF_type_mask | GTF_sub_page : GTF_type_mask);
  if (!pinned && ((kind !== GTF_permit_access && (mapping || kind !== GTF_transitive)) || entry >>> 16 !== domid)) return true;
  return !readonly && (entry & GTF_readonly) !== 0;
}

/** Clear the flags that a grant's remaining uses do not need. @param readonly - the use that ended was for reading only */
export function reduceStatus(h: Host, table: GrantTable, ref: number, readonly: boolean): void {
  if (ref >= table.entries) return;
  const pin = table.active.pin(ref);
  const flags = (pin === 0 ? GTF_reading : 0) | (!readonly && (pin & GNTPIN_writing) === 0 ? GTF_writing : 0);
  if (flags !== 0) clear(h, table, ref, flags);
}

function load(h: Host, at: number): number {
  return h.s.atomic ? Atomics.load(h.s.w, at) : h.s.w[at];
}

function raise(h: Host, table: GrantTable, ref: number, flags: number): void {
  const at = table.statusAt(h, ref), bits = flags << ((ref & 1) * 16);
  if (h.s.atomic) Atomics.or(h.s.w, at, bits);
  else h.s.w[at] |= bits;
}

function clear(h: Host, table: GrantTable, ref: number, flags: number): void {
  const at = table.version === 1 ? table.entryAt(h, ref) : table.statusAt(h, ref);
  const bits = table.version === 1 ? flags : flags << ((ref & 1) * 16);
  if (h.s.atomic) Atomics.and(h.s.w, at, ~bits);
  else h.s.w[at] &= ~bits;
}
