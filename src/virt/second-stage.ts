/**
 * The second stage: from a guest-physical to a machine address, by EPT or NPT tables and what is cached of them.
 *
 * `n` is the word index of the host block (layout/nested.ts), in which a guest-physical address takes the place of a linear one. NPT entries
 * are ordinary ones, and an access in the second stage is one of user mode with CR0.WP = 1; EPT entries have a format and rights of their own.
 *
 * Source: Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)"; AMD APM vol. 2, "Nested Paging".
 */
import { EPT_A, EPT_D } from '../arch/ept.ts';
import { EXIT_EPT_VIOLATION, FAULT_NONE, PFEC_P } from '../arch/fault.ts';
import { CNT_AD_SETS, CNT_DEPTH, CNT_HITS } from '../layout/counter.ts';
import {
  HOSTD_NX, HOSTD_NXU, NEST_CTL, NEST_EPT, NEST_FORMAT, NEST_HITS, NEST_REF_COUNT, NEST_REFS, NESTC_AD, REF_BYTES, REF_GUEST, REF_HOST,
  REF_PA_HI, REF_PA_LO, REF_VALUE_HI, REF_VALUE_LO,
} from '../layout/nested.ts';
import { TLBD_D } from '../layout/tlb.ts';
import {
  MODE_4LEVEL, SERVICE_LOAD, VCPU_MODE, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO, VCPU_OUT_HI, VCPU_OUT_LEVEL, VCPU_OUT_LO, VCPU_OUT_REFS,
  VCPU_OUT_SIZE, VCPU_OUT_START, VCPU_TIMED, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO,
} from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { dropFaulting } from '../mmu/invalidate.ts';
import { pscFill, pscStart } from '../mmu/psc.ts';
import { refused } from '../mmu/rights.ts';
import { addressHi, addressLo, lookupLevel, probeList, tlbFill } from '../mmu/tlb.ts';
import { findLeaf, markEntries, pageFault, walkRoot, type WalkStart } from '../mmu/walk.ts';
import { EPT_ALL, findEptLeaf } from './ept-walk.ts';

/** Scratch of the second-stage walk in progress. */
const from: WalkStart = { level: 0, lo: 0, hi: 0, acc: 0 };

/**
 * Translate a guest-physical address.
 *
 * @param guestLevel - of the guest entry that is sought, 0 for the page itself @param access - ACCESS_* bits as the second stage sees them
 * @param cached, use - as of `NestedWalk`
 * @returns FAULT_NONE with VCPU_OUT_LO/HI, VCPU_OUT_SIZE and VCPU_OUT_DATA_* of the host block; else EXIT_EPT_* or, for NPT, a #PF whose
 *   error code is that of the nested page fault
 */
export function secondStage(
  s: Views, n: number, guestLevel: number, gpaHi: number, gpaLo: number, access: number, cached: boolean, use: boolean,
): number {
  const w = s.w;
  if (cached && lookupLevel(w, n, probeList(w, n, SERVICE_LOAD, 1), gpaHi, gpaLo, access, use)) {
    w[n + (NEST_HITS >>> 2)]++;
    if (use) count(w, n, CNT_HITS, 1);
  } else {
    const fault = walk(s, n, guestLevel, gpaHi, gpaLo, access, cached, use);
    if (fault !== FAULT_NONE) {
      if (use) dropFaulting(w, n, gpaHi, gpaLo);
      return fault;
    }
  }
  w[n + (VCPU_OUT_LO >>> 2)] = addressLo(w[n + (VCPU_OUT_DATA_LO >>> 2)], gpaLo, w[n + (VCPU_OUT_SIZE >>> 2)]);
  w[n + (VCPU_OUT_HI >>> 2)] = addressHi(w[n + (VCPU_OUT_DATA_HI >>> 2)]);
  return FAULT_NONE;
}

function walk(s: Views, n: number, guestLevel: number, gpaHi: number, gpaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w;
  const ept = w[n + (NEST_FORMAT >>> 2)] === NEST_EPT;
  const noted = w[n + (NEST_REF_COUNT >>> 2)];
  let changed = 0;
  do {
    w[n + (NEST_REF_COUNT >>> 2)] = noted;
    let fault = findHostLeaf(s, n, ept, gpaHi, gpaLo, access, cached, use);
    note(w, n, guestLevel);
    if (fault === FAULT_NONE && refused(w, n, w[n + (VCPU_OUT_DATA_LO >>> 2)] | TLBD_D, access) !== 0) {
      fault = ept ? EXIT_EPT_VIOLATION : pageFault(w, n, access, PFEC_P);
    }
    if (use) count(w, n, CNT_DEPTH + w[n + (VCPU_OUT_REFS >>> 2)], 1);
    if (fault !== FAULT_NONE) return fault;
    if (!use) break;
    if (!ept) changed = markEntries(s, n, access);
    else if (w[n + (NEST_CTL >>> 2)] & NESTC_AD) changed = markEntries(s, n, access, EPT_A, EPT_D);
  } while (changed < 0);
  w[n + (VCPU_OUT_SIZE >>> 2)] = w[n + (VCPU_OUT_LEVEL >>> 2)] - 1;
  if (!use) return FAULT_NONE;
  if (changed > 0) count(w, n, CNT_AD_SETS, changed);
  if (!w[n + (VCPU_TIMED >>> 2)]) return FAULT_NONE;
  pscFill(w, n, gpaHi, gpaLo);
  tlbFill(w, n, SERVICE_LOAD, gpaHi, gpaLo, w[n + (VCPU_OUT_SIZE >>> 2)]);
  return FAULT_NONE;
}

function findHostLeaf(s: Views, n: number, ept: boolean, gpaHi: number, gpaLo: number, access: number, cached: boolean, use: boolean): number {
  const w = s.w;
  w[n + (VCPU_OUT_REFS >>> 2)] = w[n + (VCPU_OUT_START >>> 2)] = 0;
  if (w[n + (VCPU_MODE >>> 2)] === MODE_4LEVEL && gpaHi >>> 16 !== 0) { // beyond what four levels translate
    w[n + (VCPU_OUT_DATA_LO >>> 2)] = HOSTD_NX | HOSTD_NXU;
    return ept ? EXIT_EPT_VIOLATION : pageFault(w, n, access, 0);
  }
  walkRoot(w, n, gpaLo, from);
  if (ept) from.acc = EPT_ALL;
  if (cached) pscStart(w, n, gpaHi, gpaLo, from, use);
  return ept ? findEptLeaf(s, n, gpaHi, gpaLo, from) : findLeaf(s, n, gpaHi, gpaLo, access, from);
}

/** Add what the walk just read to the list of references. */
function note(w: Int32Array, n: number, guestLevel: number): void {
  for (let level = w[n + (VCPU_OUT_START >>> 2)], k = w[n + (VCPU_OUT_REFS >>> 2)]; k > 0; level--, k--) noteEntry(w, n, n, guestLevel, level, level);
}

/** Add the entry at `level` of the trail of block `b` to the list of references. */
export function noteEntry(w: Int32Array, n: number, b: number, guestLevel: number, hostLevel: number, level: number): void {
  const row = (w[n + (NEST_REFS >>> 2)] >>> 2) + w[n + (NEST_REF_COUNT >>> 2)]++ * (REF_BYTES >>> 2), t = b + level - 1;
  w[row + (REF_GUEST >>> 2)] = guestLevel;
  w[row + (REF_HOST >>> 2)] = hostLevel;
  w[row + (REF_PA_LO >>> 2)] = w[t + (VCPU_TRAIL_LO >>> 2)];
  w[row + (REF_PA_HI >>> 2)] = w[t + (VCPU_TRAIL_HI >>> 2)];
  w[row + (REF_VALUE_LO >>> 2)] = w[t + (VCPU_TRAIL_VALUE_LO >>> 2)];
  w[row + (REF_VALUE_HI >>> 2)] = w[t + (VCPU_TRAIL_VALUE_HI >>> 2)];
}
