/**
 * A page fault of the hardware while a shadowed guest runs: the guest's own, one that the shadows are to blame for, or a write that is the
 * hypervisor's to make.
 *
 * Source: Xen 4.17 mm/shadow/multi.c, sh_page_fault().
 */
import { ACCESS_USER, ACCESS_WRITE, FAULT_NONE, PFEC_RSVD } from '../../arch/fault.ts';
import { PTE_P, tableIndex } from '../../arch/pte.ts';
import { invariant } from '../../errors.ts';
import { MODE_4LEVEL, VCPU_CR2_HI, VCPU_CR2_LO } from '../../layout/vcpu.ts';
import { pageFault } from '../../mmu/walk.ts';
import { canShadow, fill, wpWay } from './fill.ts';
import { markDirty, type GuestWalk } from './guest-walk.ts';
import { KIND_L1, MAGIC_LO } from './kind.ts';
import { maySkip, unsync } from './out-of-sync.ts';
import { ENTRIES } from './pages.ts';
import { propagate } from './propagate.ts';
import type { ShadowRoot } from './root.ts';
import type { ShadowState } from './state.ts';
import { reserve, setEntry } from './tables.ts';
import { unshadow } from './unshadow.ts';
import { WORK } from './work.ts';

/** What is to be done about a fault: these, or a fault of the guest. */
export const FAULT_RETRY = -1;
/** The access is permitted, and the hypervisor makes it: the guest frame is in the walk. */
export const FAULT_EMULATE = -2;
/** ... where the guest has no memory. */
export const FAULT_MMIO = -3;

const NONE = -1;
const PAGES_OF_A_WALK = 5;
const WALKS_MOST = 64;

/** @param code - the hardware's error code @param access - ACCESS_* @param again - the access has faulted before */
export function handleFault(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number, access: number, code: number, again: boolean): number {
  const { walk, registers: { s: { w }, v } } = r;
  h.work.add(WORK.exitPageFault);
  if (code & PFEC_RSVD && isMagic(h, r, vaHi, vaLo)) {
    h.work.add(WORK.fastNotPresent);
    return inject(h, r, vaHi, vaLo, pageFault(w, v, access, 0));
  }
  reserve(h, PAGES_OF_A_WALK);
  if (r.page < 0) r.load(false);
  for (let walks = 0; ; walks++) {
    invariant(walks < WALKS_MOST, 'a walk of the guest\'s tables ends');
    const fault = walk.run(h, r.registers, vaHi, vaLo, access);
    if (fault !== FAULT_NONE) {
      h.work.add(WORK.guestFault);
      noteAbsent(h, r, walk, vaHi, vaLo);
      return inject(h, r, vaHi, vaLo, fault);
    }
    if (walk.mark(h, access)) break;
  }
  return permitted(h, r, vaHi, vaLo, access, again);
}

/** The guest's tables permit the access: shadow it, or say who makes it. */
function permitted(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number, access: number, again: boolean): number {
  const { walk } = r, mfn = h.memory.mfn(walk.gfn), write = (access & ACCESS_WRITE) !== 0;
  if (mfn < 0) {
    h.work.add(WORK.mmio);
    return FAULT_MMIO;
  }
  if (r.page < 0 || !canShadow(h, walk)) return FAULT_EMULATE;
  if (write && h.isInSyncTable(mfn) && !giveWay(h, mfn, access, again)) return FAULT_EMULATE;
  const way = wpWay(h, walk, access);
  if (way === 'emulate') {
    h.work.add(WORK.emulatedWp);
    return FAULT_EMULATE;
  }
  if (write) markDirty(h, walk.gfn);
  h.lastCleared = NONE;
  fill(h, r, walk, vaHi, vaLo, way === 'flip');
  return FAULT_RETRY;
}

/** A guest's table is to be written: may it be, without the hypervisor? @returns false if not */
function giveWay(h: ShadowState, mfn: number, access: number, again: boolean): boolean {
  if (h.policy.unshadow && access & ACCESS_USER && !again) { // a table that its own mapping needs would come back each time
    unshadow(h, mfn, WORK.unshadowUser);
    if (!h.isInSyncTable(mfn)) return true;
  }
  if (!maySkip(h, mfn)) return false;
  unsync(h, mfn);
  return true;
}

/** Hand a #PF to the guest. */
function inject(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number, fault: number): number {
  const { s: { w }, v } = r.registers;
  w[v + (VCPU_CR2_LO >>> 2)] = vaLo;
  w[v + (VCPU_CR2_HI >>> 2)] = vaHi;
  h.lastCleared = NONE;
  return fault;
}

/** Slot of the shadow's level-1 entry for an address, -1 if the shadow does not reach so far. */
export function leafSlot(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number): number {
  const { pages, s } = h;
  let page = r.page;
  if (page < 0) return -1;
  for (let level = r.registers.mode === MODE_4LEVEL ? 4 : 3; ; level--) {
    const slot = page * ENTRIES + tableIndex(vaHi, vaLo, level), at = pages.wordOf(slot);
    if (level === 1) return slot;
    if (!(s.w[at] & PTE_P)) return -1;
    page = pages.pageOf(s.w[at], s.w[at + 1]);
    if (page < 0 || h.writable.large.has(slot)) return -1;
  }
}

/** Is the shadow entry magic, of a table that it is not behind? */
function isMagic(h: ShadowState, r: ShadowRoot, vaHi: number, vaLo: number): boolean {
  const slot = leafSlot(h, r, vaHi, vaLo);
  if (slot < 0 || h.magicHi === 0) return false;
  const at = h.pages.wordOf(slot);
  return h.s.w[at] === MAGIC_LO && h.s.w[at + 1] === h.magicHi && !h.outOfSync.has(h.pages.of[Math.floor(slot / ENTRIES)]);
}

/** The walk may have ended at a level-1 entry that is not present: next time the shadow says so. */
function noteAbsent(h: ShadowState, r: ShadowRoot, walk: GuestWalk, vaHi: number, vaLo: number): void {
  if (walk.leaf !== 1 || walk.lo[1] & PTE_P || h.magicHi === 0) return;
  const slot = leafSlot(h, r, vaHi, vaLo), page = Math.floor(slot / ENTRIES);
  if (slot < 0 || h.pages.kind[page] !== KIND_L1 || h.pages.of[page] !== walk.mfnOf[1] || h.outOfSync.has(walk.mfnOf[1])) return;
  propagate(h, page, slot % ENTRIES, walk.lo[1], walk.hi[1]);
  setEntry(h, slot, h.outLo, h.outHi);
}
