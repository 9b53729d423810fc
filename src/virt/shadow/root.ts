/**
 * What one vCPU of a shadowed guest stands on: the registers the guest sees, the hardware's, and the table that the hardware's CR3 points at.
 *
 * The hardware is always in 4-level paging with CR0.WP, EFER.NXE and the rights bits of CR4 that the guest has set; PCIDs are the guest's. A 4-level guest's
 * root is the shadow of the guest's own. Other guests have two tables of the vCPU: the entries of the lower are the guest's PDPTE registers (PAE),
 * the four parts of its page directory (32-bit paging), or all memory (no paging).
 *
 * Source: Xen 4.17 mm/shadow/multi.c, sh_update_cr3(); mm/shadow/common.c, sh_update_paging_modes().
 */
import { PTE_A, PTE_D, PTE_P } from '../../arch/pte.ts';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR3_LO_PCID, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE } from '../../arch/registers.ts';
import { ConfigError } from '../../errors.ts';
import { MODE_4LEVEL, MODE_FLAT, MODE_LEGACY, MODE_PAE, VCPU_CR3_LO, VCPU_CR4, VCPU_PDPTE, VCPU_ROOT_HI, VCPU_ROOT_LO } from '../../layout/vcpu.ts';
import { GuestWalk } from './guest-walk.ts';
import type { HardwareVcpu } from './hardware.ts';
import { KIND_L2, KIND_L4, KIND_TOP3, KIND_TOP4, roleOf } from './kind.ts';
import { ENTRIES } from './pages.ts';
import { gfnOf, put } from './propagate.ts';
import { GuestRegisters } from './registers.ts';
import type { ShadowState } from './state.ts';
import { blank, destroy, POINTER, reserve, setEntry, shadowFor } from './tables.ts';

const NOFLUSH = 1n << 63n;
const NONE = -1;

export class ShadowRoot {
  readonly hardware: HardwareVcpu;
  readonly registers: GuestRegisters;
  readonly walk = new GuestWalk();
  /** Table that walks of the shadow begin with: of level 4 for a 4-level guest, else of level 3. NONE: the guest's root is not in memory. */
  page = NONE;
  /** See kind.ts. */
  role = 0;
  private readonly h: ShadowState;
  private readonly top3: number;
  private readonly top4: number;
  private hardwareCr4 = CR4_PAE;

  constructor(h: ShadowState, hardware: HardwareVcpu) {
    this.h = h;
    this.hardware = hardware;
    this.registers = new GuestRegisters(h.memory, h.features, h.paBits);
    this.top3 = h.pages.take(0, KIND_TOP3, 0, 0, false);
    this.top4 = h.pages.take(0, KIND_TOP4, 0, 0, false);
    h.pages.roots[this.top4] = 1;
    put(h, h.pages.first + this.top3, POINTER | PTE_A | PTE_D, 0);
    setEntry(h, this.top4 * ENTRIES, h.outLo, h.outHi);
    hardware.reset();
    const faults = [
      hardware.writeCr4(BigInt(CR4_PAE)), hardware.writeEfer(BigInt(EFER_LME | EFER_NXE)), hardware.writeCr3(this.address(this.top4)),
      hardware.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (faults.some(fault => fault !== 0)) throw new ConfigError('vcpus', 'processors with 4-level paging and NX', 'others');
    hardware.setCode64(true);
    h.roots.push(this);
    this.load(false);
  }

  /** Does the guest page at all? */
  get paging(): boolean {
    return this.registers.mode >= MODE_LEGACY;
  }

  /** Shadow what the guest's CR3 and mode say now, and make the hardware use it. @param keep - what is cached need not go (CR3 written with bit 63) */
  load(keep: boolean): void {
    const { h, registers } = this, { mode } = registers;
    reserve(h, 2);
    this.role = roleOf(registers.s.w, registers.v);
    const before = this.page;
    const page = mode === MODE_4LEVEL ? this.rootOfGuest() : this.top3;
    if (page !== NONE && page !== this.top3) h.pages.roots[page]++;
    this.page = page;
    if (mode === MODE_PAE || mode === MODE_LEGACY) this.linkKnown();
    else blank(h, this.top3);
    this.pointHardware(keep);
    this.leave(before);
  }

  /** The guest's root is no longer shadowed, for a change of its frame: the next access looks again. */
  detach(): void {
    const before = this.page;
    if (before === this.top3) return;
    this.page = NONE;
    this.pointHardware(false);
    this.leave(before);
  }

  /** A table is no longer the root of this vCPU. */
  private leave(page: number): void {
    const { pages } = this.h;
    if (page === NONE || page === this.top3) return;
    pages.roots[page]--;
    if (!pages.isKept(page)) destroy(this.h, page);
  }

  /** Make the hardware's CR4 and AC what the guest's are, as far as they decide rights and what is cached. */
  follow(): void {
    const cr4 = this.registers.get(VCPU_CR4), rights = this.registers.mode === MODE_FLAT ? 0 : cr4 & (CR4_SMEP | CR4_SMAP);
    const wanted = CR4_PAE | (cr4 & (CR4_PGE | CR4_PCIDE)) | rights;
    if (wanted === this.hardwareCr4) return;
    this.hardwareCr4 = wanted;
    if (this.hardware.writeCr4(BigInt(wanted)) !== 0) throw new ConfigError('vcpus', 'processors that have the guest\'s features', 'others');
  }

  private rootOfGuest(): number {
    const { h, registers } = this, gfn = gfnOf(registers.get(VCPU_ROOT_LO), registers.get(VCPU_ROOT_HI)), mfn = h.memory.mfn(gfn);
    if (h.memory.wordAt(mfn, 0) < 0) return NONE;
    const page = shadowFor(h, mfn, KIND_L4, this.role, 0);
    h.pages.pin(page);
    return page;
  }

  /** Point at those second-level shadows that there are already; others come when they are needed. */
  private linkKnown(): void {
    const { h, registers } = this, pae = registers.mode === MODE_PAE;
    for (let k = 0; k < 4; k++) {
      const lo = registers.get(pae ? VCPU_PDPTE + k * 8 : VCPU_ROOT_LO), hi = pae ? registers.get(VCPU_PDPTE + k * 8 + 4) : 0;
      const page = pae && !(lo & PTE_P) ? NONE : h.pages.find(h.memory.mfn(gfnOf(lo, hi)), KIND_L2, this.role, pae ? 0 : k);
      h.outLo = h.outHi = 0;
      if (page >= 0) {
        h.pages.pin(page);
        put(h, h.pages.first + page, POINTER | PTE_A | PTE_D, 0);
      }
      setEntry(h, this.top3 * ENTRIES + k, h.outLo, h.outHi);
    }
  }

  private pointHardware(keep: boolean): void {
    const { registers } = this, pcide = (registers.get(VCPU_CR4) & CR4_PCIDE) !== 0;
    this.follow();
    const page = this.page === NONE || this.page === this.top3 ? this.top4 : this.page;
    const pcid = pcide ? registers.get(VCPU_CR3_LO) & CR3_LO_PCID : 0;
    this.hardware.writeCr3(this.address(page) | BigInt(pcid) | (keep && pcide ? NOFLUSH : 0n));
  }

  private address(page: number): bigint {
    return BigInt(this.h.pages.first + page) << 12n;
  }
}
