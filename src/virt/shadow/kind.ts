/**
 * What a shadow table is a shadow of.
 *
 * The hardware has four levels of 512 entries whatever the guest has. A table of a 4-level guest has one shadow. 32-bit paging has 1024 entries of
 * half the size: its page table, 4 MiB, becomes two, and its page directory, 4 GiB, becomes four, each guest entry two neighbours in them.
 * PAE paging has no third-level table but four registers, and both 32-bit kinds have no fourth: every vCPU has two tables of its own for these.
 * What has no guest table under it (a large page, or memory without paging) gets a flat one, which maps guest frames in order.
 *
 * Source: Xen 4.17 mm/shadow/private.h, "Shadow type" (SH_type_*), and mm/shadow/multi.c, the comment before shadow_l1_index(), for three levels of hardware.
 */
import { PTE_P } from '../../arch/pte.ts';
import { CR0_PE, CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA, EFER_LME, EFER_NXE } from '../../arch/registers.ts';
import {
  CTL_NXE, CTL_PSE, MODE_4LEVEL, MODE_LEGACY, MODE_PAE, VCPU_BYTES, VCPU_CR0, VCPU_CR4, VCPU_CTL, VCPU_EFER, VCPU_FEATURES, VCPU_MODE, VCPU_PABITS,
} from '../../layout/vcpu.ts';
import { recompute } from '../../mmu/mode.ts';

export const KIND_FREE = 0;
export const KIND_L1 = 1; //  to KIND_L4: of a guest table of that level
export const KIND_L2 = 2;
export const KIND_L4 = 4;
export const KIND_FL1 = 5; // flat, over 2 MiB of guest frames
export const KIND_FL2 = 6; // ... 1 GiB
export const KIND_TOP3 = 7; //a vCPU's own
export const KIND_TOP4 = 8;

/** Level at which the hardware uses a table, by kind. */
export const LEVEL_OF: readonly number[] = [0, 1, 2, 3, 4, 1, 2, 3, 4];

/** Is it a shadow of a guest's table? */
export const isOfGuest = (kind: number): boolean => kind !== KIND_FREE && kind <= KIND_L4;

// A role is what decides what a guest's entries mean: MODE_*, and two bits of control registers.
const ROLE_MODE = 7;
const ROLE_NXE = 8;
const ROLE_PSE = 16;

/** Role of the tables that a vCPU with these registers uses. @param w, v - its register file */
export function roleOf(w: Int32Array, v: number): number {
  const ctl = w[v + (VCPU_CTL >>> 2)], mode = w[v + (VCPU_MODE >>> 2)];
  return mode | (mode !== MODE_LEGACY && ctl & CTL_NXE ? ROLE_NXE : 0) | (mode === MODE_LEGACY && ctl & CTL_PSE ? ROLE_PSE : 0);
}

export const modeOfRole = (role: number): number => role & ROLE_MODE;
export const hasXd = (role: number): boolean => (role & ROLE_NXE) !== 0;
/** Bytes of an entry of the guest. */
export const entryBytes = (role: number): number => (modeOfRole(role) === MODE_LEGACY ? 4 : 8);

/** Which kinds the hardware finds first in a role: such shadows are kept when nothing refers to them, so that the next switch to them finds them. */
export const topKind = (role: number): number => (modeOfRole(role) === MODE_4LEVEL ? KIND_L4 : KIND_L2);

/** A register file by which entries of a role are judged. @param features, paBits - of the guest's processor */
export function judgeOf(role: number, features: number, paBits: number): Int32Array {
  const w = new Int32Array(VCPU_BYTES >>> 2), mode = modeOfRole(role);
  w[VCPU_FEATURES >>> 2] = features;
  w[VCPU_PABITS >>> 2] = paBits;
  w[VCPU_CR0 >>> 2] = CR0_PE | CR0_PG;
  w[VCPU_CR4 >>> 2] = (mode >= MODE_PAE ? CR4_PAE : 0) | (role & ROLE_PSE ? CR4_PSE : 0);
  w[VCPU_EFER >>> 2] = (mode === MODE_4LEVEL ? EFER_LME | EFER_LMA : 0) | (role & ROLE_NXE ? EFER_NXE : 0);
  recompute(w, 0);
  return w;
}

/** Index in a shadow table of the guest's entry number `index`, -1 if another part has it. The entry of a legacy directory is two from there on. */
export function shadowIndex(kind: number, role: number, part: number, index: number): number {
  if (modeOfRole(role) !== MODE_LEGACY) return index;
  if (kind === KIND_L1) return index >>> 9 === part ? index & 511 : -1;
  return index >>> 8 === part ? (index << 1) & 511 : -1;
}

/** Entry number in the guest's table of a shadow table's entry. */
export function guestIndex(kind: number, role: number, part: number, index: number): number {
  if (modeOfRole(role) !== MODE_LEGACY) return index;
  return kind === KIND_L1 ? part << 9 | index : part << 8 | index >>> 1;
}

/** How many entries of a shadow a guest's entry has. */
export const spread = (kind: number, role: number): number => (kind === KIND_L2 && modeOfRole(role) === MODE_LEGACY ? 2 : 1);

/** The low word of a magic entry, whose high word has reserved bits. */
export const MAGIC_LO = PTE_P;
