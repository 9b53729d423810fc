/**
 * What the shadow of a guest's entry is.
 *
 * An entry whose A is 0 has none, so that the first use is seen; a leaf whose D is 0 is read-only, so that the first write is. Otherwise rights
 * are the guest's, level by level, and the frame is the P2M's. A leaf is read-only too if its frame is a table whose shadows follow every write, or is clean
 * in a round of log-dirty. A and D of shadow entries are set from the start: the hardware never writes to shadows.
 *
 * Source: Xen 4.17 mm/shadow/multi.c, _sh_propagate() and the validate_gl1e() family; mm/shadow/types.h, "Fast-path shadow magic entries".
 */
import { FAULT_NONE } from '../../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_ADDR, PTE_HI_XD, PTE_P, PTE_PCD, PTE_PWT, PTE_RW, PTE_US } from '../../arch/pte.ts';
import { MODE_LEGACY } from '../../layout/vcpu.ts';
import { DOWN, RIGHTS_ALL, useEntry } from '../../mmu/walk.ts';
import { entryBytes, hasXd, KIND_FL1, KIND_FL2, KIND_L1, MAGIC_LO, modeOfRole } from './kind.ts';
import type { ShadowState } from './state.ts';

/** What a guest's entry is to its level, besides a leaf of 4K or a pointer. */
const ENTRY_ABSENT = 0;
export const ENTRY_RESERVED = 1;
const ENTRY_POINTER = 2;
export const ENTRY_LEAF = 3;

/** Judge a guest's entry of a role and level. */
export function judgeEntry(h: ShadowState, role: number, level: number, lo: number, hi: number): number {
  if (!(lo & PTE_P)) return ENTRY_ABSENT;
  const step = useEntry(h.judge(role), 0, level, lo, hi, RIGHTS_ALL, 0);
  return step === DOWN ? ENTRY_POINTER : step === FAULT_NONE ? ENTRY_LEAF : ENTRY_RESERVED;
}

/** Guest frame that an entry names. */
export const gfnOf = (lo: number, hi: number): number => (lo >>> 12) + (hi & PTE_HI_ADDR) * 0x100000;

/** First guest frame of a large leaf, seen from shadow entry `index` of its table: the second half of a 4-MByte page has an odd one. */
export function largeGfn(role: number, level: number, index: number, lo: number, hi: number): number {
  if (modeOfRole(role) === MODE_LEGACY) return (lo >>> 22) * 1024 + ((lo >>> 13) & 0xff) * 0x100000 + (index & 1) * 512;
  const gfn = gfnOf(lo, hi);
  return gfn - gfn % 512 ** (level - 1);
}

/** R/W, U/S, XD of a guest's entry, to which caching attributes are added; present. */
const rightsLo = (lo: number): number => PTE_P | PTE_A | (lo & (PTE_RW | PTE_US | PTE_PWT | PTE_PCD));
const rightsHi = (role: number, hi: number): number => (hasXd(role) ? hi & PTE_HI_XD : 0);

/** Put an entry with a frame into `outLo`, `outHi`. */
export function put(h: ShadowState, mfn: number, lo: number, hi: number): void {
  h.outLo = lo | mfn << 12;
  h.outHi = hi | Math.floor(mfn / 0x100000);
}

function putNothing(h: ShadowState): void {
  h.outLo = h.outHi = 0;
}

/** The shadow of a leaf for a guest frame. @param lo, hi - the guest's flags */
export function putLeaf(h: ShadowState, role: number, gfn: number, lo: number, hi: number): void {
  const mfn = h.memory.mfn(gfn);
  if (mfn < 0) return putNothing(h);
  const writable = lo & PTE_RW && lo & PTE_D && h.dirty.permits(gfn) && !h.isInSyncTable(mfn);
  put(h, mfn, (rightsLo(lo) & ~PTE_RW) | (lo & PTE_G) | (writable ? PTE_RW | PTE_D : 0), rightsHi(role, hi));
}

/** The shadow of an entry above the leaves that points at a shadow table. @param large - the guest's entry is a leaf, whose D counts */
export function putPointer(h: ShadowState, role: number, page: number, lo: number, hi: number, large: boolean): void {
  const flags = rightsLo(lo) & ~(large && !(lo & PTE_D) ? PTE_RW : 0);
  put(h, h.pages.first + page, flags | PTE_D, rightsHi(role, hi));
}

/** Flags of the entries of flat tables: everything is permitted, what restricts is above. */
export const flatFlags = (part: number): number => PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | (part ? PTE_G : 0);

/**
 * Work out the shadow of a guest's entry as far as shadows that there are serve: into `outLo`, `outHi`, 0 if there is none yet.
 *
 * @param page, index - where it will be @param lo, hi - the guest's entry
 */
export function propagate(h: ShadowState, page: number, index: number, lo: number, hi: number): void {
  const { pages } = h, kind = pages.kind[page], role = pages.role[page];
  putNothing(h);
  const what = judgeEntry(h, role, kind, lo, hi);
  if (what === ENTRY_ABSENT && kind === KIND_L1 && h.magicHi !== 0) {
    h.outLo = MAGIC_LO;
    h.outHi = h.magicHi;
  }
  if (what < ENTRY_POINTER || !(lo & PTE_A)) return;
  if (kind === KIND_L1) putLeaf(h, role, gfnOf(lo, hi), lo, hi);
  else if (what === ENTRY_POINTER) {
    const mfn = h.memory.mfn(gfnOf(lo, hi));
    const child = mfn < 0 ? -1 : pages.find(mfn, kind - 1, role, entryBytes(role) === 4 ? index & 1 : 0);
    if (child >= 0) putPointer(h, role, child, lo, hi, false);
  } else {
    const flat = kind === 2 ? KIND_FL1 : KIND_FL2;
    const child = pages.find(largeGfn(role, kind, index, lo, hi), flat, 0, lo & PTE_G ? 1 : 0);
    if (child >= 0) putPointer(h, role, child, lo, hi, true);
  }
}
