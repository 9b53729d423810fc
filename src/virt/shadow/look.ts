/** What the hardware would say to a supervisor's access, by the shadow tables alone. */
import { ACCESS_WRITE, PFEC_P, PFEC_RSVD, PFEC_W } from '../../arch/fault.ts';
import { PTE_P, PTE_PS, PTE_RW, tableIndex } from '../../arch/pte.ts';
import { MODE_4LEVEL } from '../../layout/vcpu.ts';
import { ENTRIES } from './pages.ts';
import type { ShadowRoot } from './root.ts';
import type { ShadowState } from './state.ts';

/** It is permitted. */
export const LOOK_PERMITTED = -1;

/** @param access - a load or store of a supervisor, to an address that is not a user's @returns LOOK_PERMITTED, or the error code of the #PF */
export function look(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number, access: number): number {
  const { pages, s: { w } } = h, write = access & ACCESS_WRITE;
  let { page } = r, rights = PTE_RW;
  for (let level = r.registers.mode === MODE_4LEVEL ? 4 : 3; page >= 0; level--) {
    const at = pages.wordOf(page * ENTRIES + tableIndex(vaHi, vaLo, level)), lo = w[at], hi = w[at + 1];
    if (!(lo & PTE_P)) break;
    if (!h.isMapping(lo, hi)) return PFEC_P | PFEC_RSVD | (write ? PFEC_W : 0);
    rights &= lo;
    if (level === 1 || lo & PTE_PS) return write && !rights ? PFEC_P | PFEC_W : LOOK_PERMITTED;
    page = pages.pageOf(lo, hi);
  }
  return write ? PFEC_W : 0;
}
