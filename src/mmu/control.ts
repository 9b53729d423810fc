/**
 * Writes to the registers that control paging: what they refuse, and what they do to cached translations.
 *
 * Each returns FAULT_NONE, or FAULT_GP with nothing changed; in PAE paging under a second stage also an exit.
 *
 * Source: Intel SDM vol. 2, "MOV - Move to/from Control Registers"; vol. 3A, "Paging Modes and Control Bits", "PDPTE Registers",
 *         "Operations that Invalidate TLBs and Paging-Structure Caches"; vol. 3C, "Information That May Be Cached" (with CR0.PG = 0 only guest-physical
 *         mappings are used); vol. 4, "IA32_EFER".
 */
import { FAULT_GP, FAULT_NONE } from '../arch/fault.ts';
import { PDPTE_LO_RESERVED, PTE_P } from '../arch/pte.ts';
import {
  CR0_CD, CR0_DEFINED, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_WP, CR3_HI_NOFLUSH, CR3_LO_PCID, CR4_CET, CR4_LA57, CR4_OTHER, CR4_PAE,
  CR4_PCIDE, CR4_PGE, CR4_PKE, CR4_PKS, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_AMD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE,
} from '../arch/registers.ts';
import {
  FEAT_AMD, FEAT_CET, FEAT_LA57, FEAT_LONG, FEAT_NX, FEAT_PAE, FEAT_PCID, FEAT_PGE, FEAT_PKS, FEAT_PKU, FEAT_PSE, FEAT_SMAP, FEAT_SMEP, VCPU_AC,
  VCPU_CR0, VCPU_CR3_HI, VCPU_CR3_LO, VCPU_CR4, VCPU_CS64, VCPU_EFER, VCPU_FEATURES, VCPU_NESTED, VCPU_PABITS, VCPU_PDPTE, VCPU_PKRS, VCPU_PKRU,
  VCPU_TAG_PCID,
} from '../layout/vcpu.ts';
import { loadEntry } from '../memory/entry.ts';
import { readBus, wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { fastDropAll } from './fast-table.ts';
import { dropEverything, dropPcid, dropPcidAndGlobal } from './invalidate.ts';
import { recompute } from './mode.ts';
import { recomputeRights } from './rights.ts';

/** A change of these makes PAE paging read its four PDPTEs again. */
const CR0_RELOADS = CR0_CD | CR0_NW | CR0_PG;
const CR4_RELOADS = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

/** MOV to CR0. `hi` must be 0. */
export function writeCr0(s: Views, v: number, hi: number, lo: number): number {
  const w = s.w;
  const old = w[v + (VCPU_CR0 >>> 2)], cr4 = w[v + (VCPU_CR4 >>> 2)], efer = w[v + (VCPU_EFER >>> 2)];
  const value = (lo & CR0_DEFINED) | CR0_ET;
  const turnsOn = value & ~old & CR0_PG, turnsOff = old & ~value & CR0_PG;
  if (hi !== 0) return FAULT_GP;
  if (value & CR0_PG && !(value & CR0_PE)) return FAULT_GP;
  if (value & CR0_NW && !(value & CR0_CD)) return FAULT_GP;
  if (turnsOn && efer & EFER_LME && (!(cr4 & CR4_PAE) || w[v + (VCPU_CS64 >>> 2)])) return FAULT_GP;
  if (turnsOff && (cr4 & CR4_PCIDE || (efer & EFER_LMA && w[v + (VCPU_CS64 >>> 2)]))) return FAULT_GP;
  if (cr4 & CR4_CET && !(value & CR0_WP)) return FAULT_GP;
  const pae = value & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LME);
  const fault = pae && (value ^ old) & CR0_RELOADS ? loadPdptes(s, v, w[v + (VCPU_CR3_LO >>> 2)]) : FAULT_NONE;
  if (fault !== FAULT_NONE) return fault;
  w[v + (VCPU_CR0 >>> 2)] = value;
  if (turnsOn && efer & EFER_LME) w[v + (VCPU_EFER >>> 2)] = efer | EFER_LMA;
  if (turnsOff) w[v + (VCPU_EFER >>> 2)] = efer & ~EFER_LMA;
  if (turnsOff || turnsOn && w[v + (VCPU_NESTED >>> 2)]) dropEverything(w, v); // what an unpaged guest leaves are guest-physical mappings, which no linear address uses
  changed(w, v);
  return FAULT_NONE;
}

/** MOV to CR3: loads the PDPTE registers in PAE paging; bit 63 is an instruction, not a value, when CR4.PCIDE = 1. */
export function writeCr3(s: Views, v: number, hi: number, lo: number): number {
  const w = s.w;
  const cr4 = w[v + (VCPU_CR4 >>> 2)], long = w[v + (VCPU_EFER >>> 2)] & EFER_LMA;
  const keep = cr4 & CR4_PCIDE ? hi & CR3_HI_NOFLUSH : 0;
  const newHi = hi & ~keep;
  if (newHi & beyondAddress(w, v)) return FAULT_GP;
  const fault = paeActive(w, v) ? loadPdptes(s, v, lo) : FAULT_NONE;
  if (fault !== FAULT_NONE) return fault;
  w[v + (VCPU_CR3_LO >>> 2)] = lo;
  w[v + (VCPU_CR3_HI >>> 2)] = long || cr4 & CR4_PAE ? newHi : 0;
  recompute(w, v);
  if (keep) fastDropAll(w, v); // its rows have no PCID
  else dropPcid(w, v, cr4 & CR4_PCIDE ? lo & CR3_LO_PCID : 0);
  return FAULT_NONE;
}

/** MOV to CR4. `hi` must be 0. */
export function writeCr4(s: Views, v: number, hi: number, lo: number): number {
  const w = s.w;
  const old = w[v + (VCPU_CR4 >>> 2)], efer = w[v + (VCPU_EFER >>> 2)];
  const changes = old ^ lo;
  if (hi !== 0 || lo & ~allowedCr4(w[v + (VCPU_FEATURES >>> 2)])) return FAULT_GP;
  if (efer & EFER_LMA && (old & ~lo & CR4_PAE || changes & CR4_LA57)) return FAULT_GP;
  if (lo & ~old & CR4_PCIDE && (!(efer & EFER_LMA) || w[v + (VCPU_CR3_LO >>> 2)] & CR3_LO_PCID)) return FAULT_GP;
  if (lo & CR4_CET && !(w[v + (VCPU_CR0 >>> 2)] & CR0_WP)) return FAULT_GP;
  const pae = w[v + (VCPU_CR0 >>> 2)] & CR0_PG && lo & CR4_PAE && !(efer & EFER_LMA);
  const fault = pae && changes & CR4_RELOADS ? loadPdptes(s, v, w[v + (VCPU_CR3_LO >>> 2)]) : FAULT_NONE;
  if (fault !== FAULT_NONE) return fault;
  w[v + (VCPU_CR4 >>> 2)] = lo;
  if (changes & CR4_PGE || old & ~lo & CR4_PCIDE) dropEverything(w, v);
  else if (changes & CR4_PAE || lo & ~old & CR4_SMEP) dropPcidAndGlobal(w, v, w[v + (VCPU_TAG_PCID >>> 2)]);
  changed(w, v);
  return FAULT_NONE;
}

/** WRMSR to IA32_EFER. LMA is not written but follows LME and CR0.PG. */
export function writeEfer(s: Views, v: number, hi: number, lo: number): number {
  const w = s.w;
  const old = w[v + (VCPU_EFER >>> 2)], features = w[v + (VCPU_FEATURES >>> 2)];
  const allowed = EFER_SCE | EFER_LMA | (features & FEAT_AMD ? EFER_AMD : 0) | (features & FEAT_LONG ? EFER_LME : 0) | (features & FEAT_NX ? EFER_NXE : 0);
  if (hi !== 0 || lo & ~allowed) return FAULT_GP;
  if ((lo ^ old) & EFER_LME && w[v + (VCPU_CR0 >>> 2)] & CR0_PG) return FAULT_GP;
  w[v + (VCPU_EFER >>> 2)] = (lo & ~EFER_LMA) | (old & EFER_LMA);
  changed(w, v);
  return FAULT_NONE;
}

/** WRPKRU. */
export function writePkru(s: Views, v: number, value: number): void {
  s.w[v + (VCPU_PKRU >>> 2)] = value;
  rightsChanged(s.w, v);
}

/** WRMSR to IA32_PKRS; bits 63:32 must be 0. */
export function writePkrs(s: Views, v: number, hi: number, lo: number): number {
  if (hi !== 0 || !(s.w[v + (VCPU_FEATURES >>> 2)] & FEAT_PKS)) return FAULT_GP;
  s.w[v + (VCPU_PKRS >>> 2)] = lo;
  rightsChanged(s.w, v);
  return FAULT_NONE;
}

/** STAC, CLAC, POPF: EFLAGS.AC as SMAP sees it. */
export function writeAc(s: Views, v: number, set: boolean): void {
  if ((s.w[v + (VCPU_AC >>> 2)] !== 0) === set) return;
  s.w[v + (VCPU_AC >>> 2)] = set ? 1 : 0;
  rightsChanged(s.w, v);
}

/** Is PAE paging (not long mode) on? */
function paeActive(w: Int32Array, v: number): boolean {
  return (w[v + (VCPU_CR0 >>> 2)] & CR0_PG) !== 0 && (w[v + (VCPU_CR4 >>> 2)] & CR4_PAE) !== 0 && !(w[v + (VCPU_EFER >>> 2)] & EFER_LMA);
}

/** Bits of a high word beyond MAXPHYADDR, reserved in CR3 and PDPTEs. */
function beyondAddress(w: Int32Array, v: number): number {
  return ~((2 ** (w[v + (VCPU_PABITS >>> 2)] - 32)) - 1);
}

/**
 * Read the four page-directory-pointer-table entries at CR3 into their registers; all or none.
 *
 * @returns FAULT_GP if a present one has a reserved bit set; an exit if a second stage does not let them be read
 */
function loadPdptes(s: Views, v: number, cr3Lo: number): number {
  const w = s.w, reservedHi = beyondAddress(w, v);
  const loaded = new Int32Array(8);
  for (let i = 0; i < 4; i++) {
    const pa = (cr3Lo & ~0x1f) + i * 8 | 0;
    const exit = w[v + (VCPU_NESTED >>> 2)] ? s.nestedRead!(s, v, 0, pa) : readAt(s, 0, pa);
    if (exit !== FAULT_NONE) return exit;
    const lo = s.busLo, hi = s.busHi;
    if (lo & PTE_P && (lo & PDPTE_LO_RESERVED || hi & reservedHi)) return FAULT_GP;
    loaded[i * 2] = lo;
    loaded[i * 2 + 1] = hi;
  }
  w.set(loaded, v + (VCPU_PDPTE >>> 2));
  return FAULT_NONE;
}

/** Read the 8 bytes at a machine address into `busLo`, `busHi`. */
function readAt(s: Views, hi: number, lo: number): number {
  const at = wordOf(s, hi, lo);
  if (at < 0) readBus(s, hi, lo, 8);
  else loadEntry(s, at);
  return FAULT_NONE;
}

/** CR4 bits that a processor with these features accepts. */
function allowedCr4(features: number): number {
  const bit = (feature: number, bits: number) => (features & feature ? bits : 0);
  return CR4_OTHER | bit(FEAT_PSE, CR4_PSE) | bit(FEAT_PAE, CR4_PAE) | bit(FEAT_PGE, CR4_PGE) | bit(FEAT_LA57, CR4_LA57) |
    bit(FEAT_PCID, CR4_PCIDE) | bit(FEAT_SMEP, CR4_SMEP) | bit(FEAT_SMAP, CR4_SMAP) | bit(FEAT_PKU, CR4_PKE) | bit(FEAT_CET, CR4_CET) |
    bit(FEAT_PKS, CR4_PKS);
}

function changed(w: Int32Array, v: number): void {
  recompute(w, v);
  rightsChanged(w, v);
}

function rightsChanged(w: Int32Array, v: number): void {
  recomputeRights(w, v);
  fastDropAll(w, v); // its hits check nothing
}
