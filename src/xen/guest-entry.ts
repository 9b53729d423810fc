/**
 * The entries that map a linear address, read as the hypervisor reads them: through the root table's slot that refers to the root itself, so
 * that the processor walks, and sets A in, the tables above.
 *
 * Source: facts of Xen 4.17, map_guest_l1e() (xen/arch/x86/pv/mm.c), guest_get_eff_kern_l1e() (xen/arch/x86/pv/mm.h), l1_linear_offset(),
 *         __linear_l1_table.
 */
import { ACCESS_READ, FAULT_NONE } from '../arch/fault.ts';
import { PTE_P, PTE_PS } from '../arch/pte.ts';
import { VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_LO } from '../layout/vcpu.ts';
import { wordOf } from '../memory/extents.ts';
import { frameOf } from './entry-flags.ts';
import { addressOk } from './guest-memory.ts';
import type { Host } from './host.ts';

const LINEAR_HI = 0xffff8100 | 0; // root slot 258
const ENTRY_MASK = ~7;

/** Address of the level-1 entry of `hi:lo` in the linear page table: its high word, and its low word. */
const linearHi = (hi: number): number => LINEAR_HI | ((hi & 0xffff) >>> 9);
const linearLo = (hi: number, lo: number): number => ((lo >>> 9) | (hi << 23)) & ENTRY_MASK;

/** Word index of the memory that the supervisor reads at `hi:lo`; -1: a fault, or no bytes. */
function readable(h: Host, hi: number, lo: number): number {
  const { s } = h, v = h.current.v;
  const fault = h.current.cpu!.access(hi, lo, ACCESS_READ);
  h.counters.work.accessed(s.w[v + (VCPU_OUT_CYCLES >>> 2)]);
  if (fault !== FAULT_NONE) return -1;
  return wordOf(s, s.w[v + (VCPU_OUT_HI >>> 2)], s.w[v + (VCPU_OUT_LO >>> 2)]);
}

/** Frame of the level-1 table that maps `hi:lo`, -1 if there is none. */
export function tableFor(h: Host, hi: number, lo: number): number {
  if (!addressOk(hi)) return -1;
  const h1 = linearHi(hi), l1 = linearLo(hi, lo);
  const at = readable(h, linearHi(h1), linearLo(h1, l1));
  if (at < 0 || (h.s.w[at] & (PTE_P | PTE_PS)) !== PTE_P) return -1;
  return frameOf(h.s.w[at], h.s.w[at + 1]);
}

/** Word index of the level-1 entry that maps `hi:lo`, -1 if it cannot be read. */
export function entryFor(h: Host, hi: number, lo: number): number {
  return addressOk(hi) ? readable(h, linearHi(hi), linearLo(hi, lo)) : -1;
}
