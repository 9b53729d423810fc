/**
 * The common case of level-1 entries by the runs of the frame table, in the wasm engine where the machine has it. What a run leaves is done
 * the long way; nothing differs but the time.
 */
import { ACCESS_READ, FAULT_NONE } from '../arch/fault.ts';
import { PTE_P } from '../arch/pte.ts';
import { VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_OWED } from '../layout/vcpu.ts';
import { OWING, STOPPED } from '../frames/references.ts';
import { updateEntries, updateEntry } from '../frames/update.ts';
import { dropEntries, validateEntries } from '../frames/validate.ts';
import { FRAME_BYTES, wordOf } from '../memory/extents.ts';
import type { Domain } from './domain.ts';
import { CACHE_ATTRS } from './entry-flags.ts';
import { addressOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { putFromL1 } from './l1-entry.ts';

const ENTRIES = 512;
const REQUEST_SHIFT = 4;
/** Present entries with these end a run: who may have them, and on which frames, is not common. */
const STOP = CACHE_ATTRS;

/** Entries of a table, from `from` up, that were common and hold their references now, adjusted. @returns the first that was not done */
export function takeRun(h: Host, mfn: number, from: number, owner: Domain): number {
  const { s } = h, v = h.current.v, table = h.table(mfn) * 4, adjust = owner.is32 ? 0 : 1, fast = h.machine.accelerator;
  const to = fast ? fast.validateEntries(v * 4, table, from, ENTRIES, owner.id, STOP, adjust)
    : validateEntries(s, v, table, from, ENTRIES, owner.id, STOP, adjust);
  putOwed(h);
  return to;
}

/** Put entries of a table, from `to - 1` down, that are common. @returns the end of those that are left */
export function dropRun(h: Host, mfn: number, to: number, owner: Domain): number {
  const { s } = h, v = h.current.v, table = h.table(mfn) * 4, fast = h.machine.accelerator;
  const left = fast ? fast.dropEntries(v * 4, table, 0, to, owner.id) : dropEntries(s, v, table, 0, to, owner.id);
  putOwed(h);
  return left;
}

/**
 * Requests of mmu_update in guest memory at `hi:lo`, as many as are common and lie in one page.
 *
 * They are read where they are, one after the other, so that a request may change those after it, as when each is copied before it is done.
 * @returns how many are done
 */
export function updateRun(h: Host, hi: number, lo: number, count: number, owner: Domain): number {
  const { s, current } = h, cpu = current.cpu, v = current.v, adjust = owner.is32 ? 0 : 1, fast = h.machine.accelerator;
  const most = Math.min(count, (FRAME_BYTES - (lo & (FRAME_BYTES - 1))) >>> REQUEST_SHIFT, h.budget + 1);
  if ((lo & 7) !== 0 || most < 1 || cpu === undefined || !addressOk(hi)) return 0;
  const fault = cpu.access(hi, lo, ACCESS_READ);
  h.counters.work.accessed(s.w[v + (VCPU_OUT_CYCLES >>> 2)]);
  if (fault !== FAULT_NONE) return 0;
  const at = wordOf(s, s.w[v + (VCPU_OUT_HI >>> 2)], s.w[v + (VCPU_OUT_LO >>> 2)]);
  if (at < 0) return 0;
  const done = fast ? fast.updateEntries(v * 4, at * 4, most, owner.id, STOP, adjust) : updateEntries(s, v, at * 4, most, owner.id, STOP, adjust);
  if (done > 1) h.budget -= done - 1;
  putOwed(h);
  return done;
}

/** One entry, as by a request of mmu_update, if it is common. @returns whether it is done */
export function updateOne(h: Host, ptrLo: number, ptrHi: number, lo: number, hi: number, owner: Domain): boolean {
  const { s } = h, v = h.current.v, adjust = owner.is32 ? 0 : 1, fast = h.machine.accelerator;
  const how = fast ? fast.updateEntry(v * 4, ptrHi, ptrLo, hi, lo, owner.id, STOP, adjust)
    : updateEntry(s, v, ptrHi, ptrLo, hi, lo, owner.id, STOP, adjust);
  if (how === OWING) putOwed(h);
  return how !== STOPPED;
}

/** Put what a run left to its caller: the references of an entry. */
function putOwed(h: Host): void {
  const w = h.s.w, at = h.current.v + (VCPU_OWED >>> 2), lo = w[at], hi = w[at + 1];
  if ((lo & PTE_P) === 0) return;
  w[at] = w[at + 1] = 0;
  putFromL1(h, lo, hi);
}

