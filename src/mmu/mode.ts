/**
 * What the control registers mean for a walk, worked out once when they change.
 *
 * Source: Intel SDM vol. 3A, "Paging Modes and Control Bits", "Reserved Bits" of each mode's entry tables; AMD APM vol. 2,
 *         "Long-Mode Page Translation" (bit 8 of PML4 and PML5 entries must be 0).
 */
import { PTE_G, PTE_HI_XD, PTE_PS } from '../arch/pte.ts';
import {
  CR0_PG, CR3_LO_PCID, CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PSE, CR4_SMEP, EFER_LMA, EFER_NXE,
} from '../arch/registers.ts';
import { TAG_CONTEXT, TAG_PCID_SHIFT } from '../layout/tlb.ts';
import {
  CTL_FETCH_CODE, CTL_NXE, CTL_PGE, CTL_PSE, FEAT_AMD, MODE_4LEVEL, MODE_5LEVEL, MODE_FLAT, MODE_LEGACY, MODE_NONE, MODE_PAE, VCPU_CR0,
  VCPU_CR3_HI, VCPU_CR3_LO, VCPU_CR4, VCPU_CTL, VCPU_EFER, VCPU_FEATURES, VCPU_MODE, VCPU_NESTED, VCPU_PABITS, VCPU_ROOT_HI, VCPU_ROOT_LO,
  VCPU_RSVD_HI, VCPU_RSVD_LO, VCPU_TAG_GLOBAL, VCPU_TAG_PCID,
} from '../layout/vcpu.ts';
import { memoDrop } from './memo.ts';

/** The paging mode that a set of register values selects. */
export function modeOf(cr0: number, cr4: number, efer: number): number {
  if (!(cr0 & CR0_PG)) return MODE_NONE;
  if (!(cr4 & CR4_PAE)) return MODE_LEGACY;
  if (!(efer & EFER_LMA)) return MODE_PAE;
  return cr4 & CR4_LA57 ? MODE_5LEVEL : MODE_4LEVEL;
}

/** Bits of an entry's high word that must be 0. Above bit 51, PAE entries reserve everything but XD; long-mode entries ignore it. */
export function reservedHi(mode: number, paBits: number, nxe: boolean): number {
  if (mode <= MODE_LEGACY) return 0;
  const addresses = 0xfffff & ~(2 ** (paBits - 32) - 1);
  return addresses | (mode === MODE_PAE ? 0x7ff00000 : 0) | (nxe ? 0 : PTE_HI_XD);
}

/** The current context, as it stands in tags. */
export const contextOf = (w: Int32Array, v: number): number => w[v + (VCPU_TAG_GLOBAL >>> 2)] & TAG_CONTEXT;

/** Recompute VCPU_MODE, the reserved bits, VCPU_CTL, the current PCID and the root. */
export function recompute(w: Int32Array, v: number): void {
  const cr3 = w[v + (VCPU_CR3_LO >>> 2)], cr4 = w[v + (VCPU_CR4 >>> 2)], efer = w[v + (VCPU_EFER >>> 2)];
  const selected = modeOf(w[v + (VCPU_CR0 >>> 2)], cr4, efer);
  const mode = selected === MODE_NONE && w[v + (VCPU_NESTED >>> 2)] ? MODE_FLAT : selected;
  const nxe = (efer & EFER_NXE) !== 0;
  memoDrop(w, v);
  const fetchCode = (cr4 & CR4_PAE && nxe) || cr4 & CR4_SMEP;
  w[v + (VCPU_MODE >>> 2)] = mode;
  w[v + (VCPU_RSVD_HI >>> 2)] = reservedHi(mode, w[v + (VCPU_PABITS >>> 2)], nxe);
  w[v + (VCPU_RSVD_LO >>> 2)] = PTE_PS | (w[v + (VCPU_FEATURES >>> 2)] & FEAT_AMD ? PTE_G : 0);
  w[v + (VCPU_CTL >>> 2)] =
    (nxe ? CTL_NXE : 0) | (cr4 & CR4_PGE ? CTL_PGE : 0) | (cr4 & CR4_PSE ? CTL_PSE : 0) | (fetchCode ? CTL_FETCH_CODE : 0);
  w[v + (VCPU_TAG_PCID >>> 2)] = contextOf(w, v) | (cr4 & CR4_PCIDE ? (cr3 & CR3_LO_PCID) << TAG_PCID_SHIFT : 0);
  w[v + (VCPU_ROOT_LO >>> 2)] = cr3 & ~0xfff;
  w[v + (VCPU_ROOT_HI >>> 2)] = mode >= MODE_4LEVEL ? w[v + (VCPU_CR3_HI >>> 2)] : 0;
}
