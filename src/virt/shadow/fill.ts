/**
 * The shadow of one translation that the guest's tables have: from the root down, tables made where there are none, to the leaf.
 *
 * With CR0.WP = 0 a supervisor may write to read-only pages, while the hardware runs with WP = 1. If the page table alone makes the page read-only, its shadow
 * becomes a writable page of the supervisor; a user's access faults then, and gets the guest's own rights back. With SMEP such a page may not be
 * executed. Where SMAP is in force, or a vCPU has WP = 1, this would permit what the guest forbids, and the write is emulated.
 *
 * Source: Xen 4.17 mm/shadow/multi.c, shadow_get_and_create_l1e(), and the emulation under "CR0.WP" in sh_page_fault(); for the flip, documentation
 *         of the Linux kernel, "The x86 kvm shadow mmu", section "Memory" / "Implementation", "Emulating cr0.wp".
 */
import { ACCESS_USER, ACCESS_WRITE } from '../../arch/fault.ts';
import { PTE_A, PTE_D, PTE_G, PTE_HI_XD, PTE_P, PTE_PS, PTE_RW, PTE_US, tableIndex } from '../../arch/pte.ts';
import { CR0_WP, CR4_SMAP, CR4_SMEP } from '../../arch/registers.ts';
import { TLBD_RW } from '../../layout/tlb.ts';
import { MODE_4LEVEL, MODE_LEGACY, VCPU_CR0, VCPU_CR4 } from '../../layout/vcpu.ts';
import { LEAF_FLAT, type GuestWalk } from './guest-walk.ts';
import { hasXd, KIND_FL1, KIND_FL2, KIND_TOP3, topKind } from './kind.ts';
import { noteEntry } from './out-of-sync.ts';
import { ENTRIES } from './pages.ts';
import { flatFlags, gfnOf, put, putLeaf, putPointer } from './propagate.ts';
import type { ShadowRoot } from './root.ts';
import type { ShadowState } from './state.ts';
import { POINTER, setEntry, shadowFor } from './tables.ts';
import { WORK } from './work.ts';

/** What is to be done about a write that CR0.WP = 0 permits. */
export type WpWay = 'plain' | 'flip' | 'emulate';

/** Is the access one that only CR0.WP = 0 permits, and how is it made? */
export function wpWay(h: ShadowState, walk: GuestWalk, access: number): WpWay {
  if (!(access & ACCESS_WRITE) || access & ACCESS_USER || walk.leaf === LEAF_FLAT || walk.acc[walk.leaf] & TLBD_RW) return 'plain';
  const aboveToo = walk.leaf < walk.start && !(walk.acc[walk.leaf + 1] & TLBD_RW);
  return h.policy.wp === 'flip' && walk.leaf === 1 && !aboveToo && mayFlip(h) ? 'flip' : 'emulate';
}

/** May supervisor pages stand for user pages? Not if some vCPU would notice. */
export function mayFlip(h: ShadowState): boolean {
  return h.roots.every(r => !r.paging || (!(r.registers.get(VCPU_CR0) & CR0_WP) && !(r.registers.get(VCPU_CR4) & CR4_SMAP)));
}

/** Give up all flips: pages have the guest's rights again. */
export function dropFlips(h: ShadowState): void {
  for (const slot of [...h.flips]) setEntry(h, slot, 0, 0);
}

/** Can every table that the walk used be shadowed? Those outside memory cannot be watched. */
export function canShadow(h: ShadowState, walk: GuestWalk): boolean {
  for (let level = walk.start; level >= walk.leaf && walk.leaf !== LEAF_FLAT; level--) if (h.memory.wordAt(walk.mfnOf[level], 0) < 0) return false;
  return true;
}

/** Shadow what `walk` found, whose A and D have been set. Five pages are reserved. @param flip - see above */
export function fill(h: ShadowState, r: ShadowRoot, walk: GuestWalk, vaHi: number, vaLo: number, flip: boolean): void {
  let page = r.page;
  h.work.add(WORK.shadowFill);
  for (let level = r.registers.mode === MODE_4LEVEL ? 4 : 3; ; level--) {
    const index = tableIndex(vaHi, vaLo, level), slot = page * ENTRIES + index;
    if (level <= walk.start && level >= walk.leaf) h.floods.delete(walk.mfnOf[level]);
    if (level === 1) return fillLeaf(h, r, walk, page, slot, flip);
    if (level === 2 && walk.leaf > 1 && fillLarge(h, r, walk, slot, page)) return;
    page = level > walk.leaf ? fillTable(h, r, walk, vaLo, level, slot) : fillFlat(h, r, walk, level, slot, page);
  }
}

/** The entry at `level` points at the shadow of the guest's next table. @returns that shadow */
function fillTable(h: ShadowState, r: ShadowRoot, walk: GuestWalk, vaLo: number, level: number, slot: number): number {
  const { role } = r, legacy = r.registers.mode === MODE_LEGACY, kind = level - 1;
  const part = legacy ? (kind === 2 ? vaLo >>> 30 : (vaLo >>> 21) & 1) : 0;
  const child = shadowFor(h, walk.mfnOf[kind], kind, role, part);
  if (level > walk.start) put(h, h.pages.first + child, POINTER | PTE_A | PTE_D, 0);
  else putPointer(h, role, child, walk.lo[level], walk.hi[level], false);
  setEntry(h, slot, h.outLo, h.outHi);
  if (kind === topKind(role)) h.pages.pin(child);
  return child;
}

/** The entry at `level` points at a flat table, for the guest's leaf at or above it. @returns that table */
function fillFlat(h: ShadowState, r: ShadowRoot, walk: GuestWalk, level: number, slot: number, page: number): number {
  const run = 512 ** (level - 1), global = isGlobal(walk) ? 1 : 0;
  const child = shadowFor(h, walk.gfn - walk.gfn % run, level === 3 ? KIND_FL2 : KIND_FL1, 0, global);
  if (walk.leaf === level) putPointer(h, r.role, child, walk.lo[level], walk.hi[level], true);
  else put(h, h.pages.first + child, h.pages.kind[page] === KIND_TOP3 ? POINTER | PTE_A | PTE_D : flatFlags(0), 0);
  setEntry(h, slot, h.outLo, h.outHi);
  return child;
}

const isGlobal = (walk: GuestWalk): boolean => walk.leaf !== LEAF_FLAT && (walk.lo[walk.leaf] & PTE_G) !== 0;

function fillLeaf(h: ShadowState, r: ShadowRoot, walk: GuestWalk, page: number, slot: number, flip: boolean): void {
  const { pages } = h;
  if (pages.kind[page] === KIND_FL1) {
    putFlatLeaf(h, walk.gfn, pages.part[page]);
    setEntry(h, slot, h.outLo, h.outHi);
    return;
  }
  const lo = walk.lo[1], hi = walk.hi[1];
  noteEntry(h, page, walk.offset[1] / walk.size, lo, hi);
  if (!flip) {
    putLeaf(h, r.role, gfnOf(lo, hi), lo, hi);
    setEntry(h, slot, h.outLo, h.outHi);
    return;
  }
  const smep = h.roots.some(other => other.registers.get(VCPU_CR4) & CR4_SMEP) && lo & PTE_US;
  put(h, h.memory.mfn(walk.gfn), PTE_P | PTE_RW | PTE_A | PTE_D, smep || (hasXd(r.role) && hi & PTE_HI_XD) ? PTE_HI_XD : 0);
  setEntry(h, slot, h.outLo, h.outHi);
  h.flips.add(slot);
  h.work.add(WORK.wpFlip);
}

/** The shadow of one frame of a flat table. */
export function putFlatLeaf(h: ShadowState, gfn: number, part: number): void {
  putLeaf(h, 0, gfn, flatFlags(part), 0);
}

/** A large page as it is, if the machine frames are in order and nothing has to be told about one of them. @returns true if it was set */
function fillLarge(h: ShadowState, r: ShadowRoot, walk: GuestWalk, slot: number, page: number): boolean {
  const first = walk.gfn - walk.gfn % ENTRIES;
  if (!mayBeLarge(h, first)) return false;
  putLarge(h, first, walk.leaf === 2 ? r.role : 0, walk.leaf === 2 ? walk.lo[2] : flatFlags(flatPart(h, page)), walk.leaf === 2 ? walk.hi[2] : 0);
  setEntry(h, slot, h.outLo, h.outHi);
  return true;
}

const flatPart = (h: ShadowState, page: number): number => (h.pages.kind[page] === KIND_FL2 ? h.pages.part[page] : 0);

/** @param lo, hi - flags of the guest's leaf */
export function putLarge(h: ShadowState, gfn: number, role: number, lo: number, hi: number): void {
  putLeaf(h, role, gfn, lo, hi);
  h.outLo |= PTE_PS;
}

/** May the 512 guest frames from `gfn` on be one large page? */
export function mayBeLarge(h: ShadowState, gfn: number): boolean {
  const mfn = h.memory.mfn(gfn);
  if (!h.policy.superpages || h.dirty.on || mfn < 0 || mfn % ENTRIES !== 0) return false;
  for (let k = 0; k < ENTRIES; k++) if (h.memory.mfn(gfn + k) !== mfn + k || h.pages.isTable(mfn + k)) return false;
  return true;
}
