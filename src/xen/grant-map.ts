/**
 * GNTTABOP_map_grant_ref: a domain maps what another grants it, at an address of its own, for devices, or both.
 *
 * Source: facts of Xen 4.17, map_grant_ref(), gnttab_map_grant_ref() (xen/common/grant_table.c).
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import { GNTPIN_writing, pinOverflows, pinsOf } from './active-grants.ts';
import type { Domain } from './domain.ts';
import { grantedFrame, reduceStatus, setStatus } from './grant-entry.ts';
import {
  GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_bad_domain, GNTST_bad_gntref, GNTST_bad_page, GNTST_general_error, GNTST_no_space,
  GNTST_okay,
} from './grant-numbers.ts';
import { createMapping } from './grant-pte.ts';
import { readItem, writeItem } from './guest-array.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT } from './numbers.ts';
import { getPageType, putPageType } from './page-type.ts';

export const MAP_BYTES = 32;
// Words of an operation.
const HOST_ADDR = 0;
const FLAGS = 2;
const REF = 3;
const DOM_AND_STATUS = 4;
const HANDLE = 5;
const DEV_BUS_ADDR = 6;

const FRAME_BYTES = 4096;
const op = new Int32Array(MAP_BYTES / 4);

/** @param hi, lo - address of the operations @returns how many are done if preempted, 0 if all are, or -XEN_EFAULT */
export function mapGrants(h: Host, hi: number, lo: number, count: number): number {
  for (let i = 0; i < count; i++) {
    if (i > 0 && h.preemptCheck()) return i;
    if (!readItem(h, hi, lo, i * MAP_BYTES, MAP_BYTES)) return -XEN_EFAULT;
    for (let k = 0; k < op.length; k++) op[k] = h.buffer[k];
    const status = mapOne(h);
    op[DOM_AND_STATUS] = (op[DOM_AND_STATUS] & 0xffff) | (status << 16);
    for (let k = 0; k < op.length; k++) h.buffer[k] = op[k];
    if (!writeItem(h, hi, lo, i * MAP_BYTES, MAP_BYTES)) return -XEN_EFAULT;
  }
  return 0;
}

function mapOne(h: Host): number {
  const flags = op[FLAGS], pins = pinsOf(flags), { domain } = h.current;
  if (pins === 0) return GNTST_bad_gntref;
  const granter = h.domain(op[DOM_AND_STATUS] & 0xffff);
  if (granter === undefined) return GNTST_bad_domain;
  const { maptrack } = domain.grants, handle = maptrack.take(h.current.number);
  if (handle < 0) return GNTST_no_space;
  const ref = op[REF] >>> 0;
  h.guard?.takeGrants(granter);
  const status = pinAndMap(h, granter, ref, flags, pins);
  h.guard?.giveGrants(granter);
  if (status !== GNTST_okay) {
    maptrack.give(handle);
    return status;
  }
  const mfn = granter.grants.active.mfn(ref);
  maptrack.set(handle, granter.id, ref, flags);
  op[DEV_BUS_ADDR] = mfn << 12;
  op[DEV_BUS_ADDR + 1] = mfn / 0x100000;
  op[HANDLE] = handle;
  return GNTST_okay;
}

function pinAndMap(h: Host, granter: Domain, ref: number, flags: number, pins: number): number {
  const { grants } = granter, { active } = grants, mapper = h.current.domain, readonly = (flags & GNTMAP_readonly) !== 0;
  if (ref >= grants.entries) return GNTST_bad_gntref;
  const before = active.pin(ref);
  if (before !== 0 && (active.domid(ref) !== mapper.id || pinOverflows(before, pins) || active.isSubPage(ref))) return GNTST_general_error;
  if (before === 0 || (!readonly && (before & GNTPIN_writing) === 0)) {
    const status = setStatus(h, grants, ref, before !== 0, readonly, true, mapper.id);
    if (status !== GNTST_okay) return status;
  }
  if (before === 0) {
    const mfn = grantedFrame(h, grants, ref);
    if (!h.frames.getPage(mfn, granter.id)) {
      reduceStatus(h, grants, ref, readonly);
      return GNTST_bad_page;
    }
    active.begin(ref, mapper.id, mfn, 0, FRAME_BYTES, false, granter.id, ref);
  }
  active.setPin(ref, before + pins);
  const status = hold(h, granter, active.mfn(ref), flags, before === 0);
  if (status === GNTST_okay) return GNTST_okay;
  active.setPin(ref, active.pin(ref) - pins);
  reduceStatus(h, grants, ref, readonly);
  return status;
}

/** Take the references that a mapping needs, and make it. A device's and the processor's have theirs each. @param held - one is held already */
function hold(h: Host, granter: Domain, mfn: number, flags: number, held: boolean): number {
  const { frames } = h, writable = (flags & GNTMAP_readonly) === 0;
  if (!held && !frames.getPage(mfn, granter.id)) return GNTST_general_error; // it was given up since, by a mapping that was overwritten
  let refs = 1, types = 0, ok = true;
  if ((flags & GNTMAP_device_map) !== 0 && writable) ok = getPageType(h, mfn, PGT_WRITABLE) === 0 && ++types > 0;
  if (ok && (flags & GNTMAP_host_map) !== 0) {
    if ((flags & GNTMAP_device_map) !== 0) ok = frames.getPage(mfn, granter.id) && ++refs > 0;
    if (ok && writable) ok = getPageType(h, mfn, PGT_WRITABLE) === 0 && ++types > 0;
    ok &&= createMapping(h, op[HOST_ADDR + 1], op[HOST_ADDR], mfn, flags) === GNTST_okay;
  }
  if (ok) return GNTST_okay;
  while (types-- > 0) putPageType(h, mfn);
  while (refs-- > 0) frames.putPage(mfn);
  return GNTST_general_error;
}
