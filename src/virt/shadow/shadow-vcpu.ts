/** One virtual CPU of a shadowed guest: the doors of a `Vcpu`, and what the guest sees of its registers. */
import { ACCESS_WRITE, FAULT_NONE, FAULT_PF, faultCode, faultVector } from '../../arch/fault.ts';
import { CR3_HI_NOFLUSH, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_SMEP } from '../../arch/registers.ts';
import { ConfigError, invariant } from '../../errors.ts';
import {
  MODE_4LEVEL, MODE_PAE, VCPU_AC, VCPU_CR0, VCPU_CR2_HI, VCPU_CR2_LO, VCPU_CR3_HI, VCPU_CR3_LO, VCPU_CR4, VCPU_CS64, VCPU_EFER, VCPU_PDPTE,
} from '../../layout/vcpu.ts';
import { readBytes } from '../../memory/bytes.ts';
import { FRAME_BYTES } from '../../memory/extents.ts';
import { writeAc, writeCr0, writeCr3, writeCr4, writeEfer } from '../../mmu/control.ts';
import { invpcid } from '../../mmu/invalidate.ts';
import { emulateWrite } from './emulate.ts';
import { FAULT_EMULATE, FAULT_MMIO, FAULT_RETRY, handleFault, leafSlot } from './fault.ts';
import { dropFlips, mayFlip } from './fill.ts';
import type { HardwareVcpu } from './hardware.ts';
import { roleOf } from './kind.ts';
import { look, LOOK_PERMITTED } from './look.ts';
import { resync, resyncAll } from './out-of-sync.ts';
import { ENTRIES } from './pages.ts';
import { ShadowRoot } from './root.ts';
import type { ShadowState } from './state.ts';
import { WORK } from './work.ts';

/** Outcome of an access of a shadowed guest: only what the guest may see, and who makes the access. */
export type ShadowTranslation =
  | {
    readonly ok: true;
    /** Machine address; guest-physical where the guest has no memory (`by` is `mmio`). */
    readonly paddr: bigint;
    readonly cycles: number;
    /** Who moves the bytes: the processor; the hypervisor, to which a write must be handed by `write()`; or a device that the embedder emulates. */
    readonly by: 'processor' | 'hypervisor' | 'mmio';
  }
  | { readonly ok: false; readonly vector: number; readonly errorCode: number; readonly cr2: bigint | undefined; readonly cycles: number };

/** Registers as the guest reads them. */
export interface GuestView {
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly ac: boolean;
  readonly pdpte: readonly bigint[];
}

const BY = ['processor', 'hypervisor', 'mmio'] as const;
/** See `ShadowVcpu.by`. */
export const BY_PROCESSOR = 0;
const BY_HYPERVISOR = 1, BY_MMIO = 2;
/** See `ShadowVcpu.serve()`. */
export const ACCESS_AGAIN = -1;
const FAULTS_MOST = 64;
const SPAN_MOST = 65536;
const MASK_32 = 0xffff_ffffn;

interface Piece {
  readonly pa: number;
  readonly bytes: number;
  readonly by: number;
  readonly gfn: number;
}

export class ShadowVcpu {
  /** Cycles of the hardware for the last `access()`, every attempt of it; the hypervisor's work is in the counters. */
  cycles = 0;
  /** Address that it found, see `ShadowTranslation.paddr`: low and high word; and who makes the access: 0 processor, 1 hypervisor, 2 mmio. */
  paddrLo = 0;
  paddrHi = 0;
  by = BY_PROCESSOR;
  private readonly h: ShadowState;
  private readonly r: ShadowRoot;
  private readonly hardware: HardwareVcpu;

  /** Made by `ShadowedGuest.create()`. */
  constructor(h: ShadowState, hardware: HardwareVcpu) {
    this.h = h;
    this.hardware = hardware;
    this.r = new ShadowRoot(h, hardware);
  }

  /** Translate for one access inside a page. @param kind - sum of ACCESS_* bits @throws ConfigError - `va` is not a 64-bit address */
  translate(va: bigint, kind: number): ShadowTranslation {
    check64(va, 'va');
    const fault = this.access(hiOf(va), loOf(va), kind), { cycles } = this;
    if (fault === FAULT_NONE) return { ok: true, paddr: join(this.paddrHi, this.paddrLo), cycles, by: BY[this.by] };
    const cr2 = faultVector(fault) === FAULT_PF >>> 16 ? this.registers.cr2 : undefined;
    return { ok: false, vector: faultVector(fault), errorCode: faultCode(fault), cr2, cycles };
  }

  /** The fast door. @returns FAULT_NONE with the address in `paddrLo`, `paddrHi` and who makes the access in `by`; or the guest's fault */
  access(vaHi: number, vaLo: number, kind: number): number {
    const { r, hardware } = this;
    if (r.registers.mode < MODE_4LEVEL) vaHi = 0;
    this.cycles = 0;
    for (let faults = 0; ; faults++) {
      invariant(faults < FAULTS_MOST, 'shadows let a permitted access through');
      const fault = hardware.access(vaHi, vaLo, kind);
      this.cycles += hardware.cycles;
      if (fault === FAULT_NONE) {
        this.paddrLo = hardware.paddrLo;
        this.paddrHi = hardware.paddrHi;
        this.by = BY_PROCESSOR;
        return FAULT_NONE;
      }
      const answer = this.serve(fault, vaHi, vaLo, kind, faults > 0);
      if (answer !== ACCESS_AGAIN) return answer;
    }
  }

  /**
   * Serve a fault of the hardware, for a caller that has it make accesses by itself.
   *
   * @param kind - of the access that faulted @param again - it has faulted before
   * @returns ACCESS_AGAIN: it is to be made once more; FAULT_NONE: somebody else makes it, see `by`; or the guest's fault
   */
  serve(fault: number, vaHi: number, vaLo: number, kind: number, again: boolean): number {
    if (faultVector(fault) !== FAULT_PF >>> 16) return fault;
    const answer = handleFault(this.h, this.r, vaHi | 0, vaLo | 0, kind, faultCode(fault), again);
    this.settle();
    if (answer === FAULT_RETRY) return ACCESS_AGAIN;
    return answer === FAULT_EMULATE || answer === FAULT_MMIO ? this.hand(answer, vaLo) : answer;
  }

  /**
   * A supervisor's access, not to a user's page, of which only the exits are of interest: by the shadow tables alone, with nothing cached, and no
   * translation counted or priced.
   *
   * @returns FAULT_NONE with who makes it in `by`, or the guest's fault
   */
  touch(vaHi: number, vaLo: number, kind: number): number {
    for (let faults = 0; ; faults++) {
      invariant(faults < FAULTS_MOST, 'shadows let a permitted access through');
      const code = look(this.h, this.r, vaHi, vaLo, kind);
      this.by = BY_PROCESSOR;
      if (code === LOOK_PERMITTED) return FAULT_NONE;
      const answer = this.serve(FAULT_PF | code, vaHi, vaLo, kind, faults > 0);
      if (answer !== ACCESS_AGAIN) return answer;
    }
  }

  /** Make the write that the last `touch()`, or `serve()`, said is the hypervisor's. @param data - bytes of one page */
  emulate(data: Uint8Array): void {
    invariant(this.by === BY_HYPERVISOR, 'the write is the hypervisor\'s');
    emulateWrite(this.h, this.r.walk.gfn, this.paddrHi * 0x100000 + (this.paddrLo >>> 12), this.paddrLo & (FRAME_BYTES - 1), data);
    this.settle();
  }

  private hand(answer: number, vaLo: number): number {
    const { gfn } = this.r.walk, frame = answer === FAULT_MMIO ? gfn : this.h.memory.mfn(gfn);
    this.by = answer === FAULT_MMIO ? BY_MMIO : BY_HYPERVISOR;
    this.paddrLo = (frame << 12) | (vaLo & 0xfff);
    this.paddrHi = Math.floor(frame / 0x100000);
    return FAULT_NONE;
  }

  /** Read linear memory; what is no memory reads as zeroes. @returns FAULT_NONE with `out` filled, or a fault with `out` untouched */
  read(va: bigint, out: Uint8Array, kind: number): number {
    const pieces: Piece[] = [], fault = this.span(va, out.length, kind, pieces);
    if (fault !== FAULT_NONE) return fault;
    let at = 0;
    for (const p of pieces) {
      if (p.by === BY_MMIO) out.fill(0, at, at + p.bytes);
      else readBytes(this.h.s, p.pa, out.subarray(at, at + p.bytes));
      at += p.bytes;
    }
    return FAULT_NONE;
  }

  /**
   * Write linear memory, and shadow anew what it changes in the guest's tables: the way for every write that `access()` says is the
   * hypervisor's, and for any other. What is no memory is not written.
   *
   * @returns FAULT_NONE, or a fault with nothing written
   */
  write(va: bigint, data: Uint8Array, kind: number): number {
    const pieces: Piece[] = [], fault = this.span(va, data.length, kind | ACCESS_WRITE, pieces), { h } = this;
    if (fault !== FAULT_NONE) return fault;
    let at = 0;
    for (const p of pieces) {
      const mfn = Math.floor(p.pa / FRAME_BYTES);
      if (p.by !== BY_MMIO) emulateWrite(h, p.gfn, mfn, p.pa % FRAME_BYTES, data.subarray(at, at + p.bytes));
      at += p.bytes;
    }
    this.settle();
    return FAULT_NONE;
  }

  /** Every page of a span, before any is used. */
  private span(va: bigint, bytes: number, kind: number, pieces: Piece[]): number {
    check64(va, 'va');
    if (bytes < 1 || bytes > SPAN_MOST) throw new ConfigError('bytes', `an integer from 1 to ${SPAN_MOST}`, bytes);
    for (let done = 0; done < bytes;) {
      const here = BigInt.asUintN(64, va + BigInt(done)), n = Math.min(bytes - done, FRAME_BYTES - Number(here & 0xfffn));
      const fault = this.access(hiOf(here), loOf(here), kind);
      if (fault !== FAULT_NONE) return fault;
      pieces.push({ pa: this.paddrHi * 2 ** 32 + (this.paddrLo >>> 0), bytes: n, by: this.by, gfn: this.by === BY_PROCESSOR ? NO_FRAME : this.r.walk.gfn });
      done += n;
    }
    return FAULT_NONE;
  }

  // Writes of the guest to its registers. Each returns FAULT_NONE, or FAULT_GP with nothing changed, and throws ConfigError for what is no 64-bit value.
  /** MOV to CR0. */
  writeCr0(value: bigint): number {
    const { s, v } = this.r.registers, fault = writeCr0(s, v, hiOf(check64(value, 'cr0')), loOf(value));
    this.h.work.add(WORK.exitCr0);
    return this.changed(fault, false, this.r.registers.mode === MODE_PAE);
  }

  /** MOV to CR3. */
  writeCr3(value: bigint): number {
    const { registers } = this.r, keep = (registers.get(VCPU_CR4) & CR4_PCIDE) !== 0 && (hiOf(value) & CR3_HI_NOFLUSH) !== 0;
    const fault = writeCr3(registers.s, registers.v, hiOf(check64(value, 'cr3')), loOf(value));
    this.h.work.add(WORK.exitCr3);
    if (fault === FAULT_NONE) {
      if (!keep) resyncAll(this.h);
      this.r.load(keep);
    }
    this.settle();
    return fault;
  }

  /** MOV to CR4. */
  writeCr4(value: bigint): number {
    const { registers } = this.r, old = registers.get(VCPU_CR4), changes = old ^ loOf(check64(value, 'cr4'));
    const fault = writeCr4(registers.s, registers.v, hiOf(value), loOf(value));
    this.h.work.add(WORK.exitCr4);
    if (fault === FAULT_NONE && changes & CR4_SMEP) dropFlips(this.h);
    return this.changed(fault, (changes & (CR4_PGE | CR4_PAE | CR4_PCIDE | CR4_SMEP)) !== 0, registers.mode === MODE_PAE);
  }

  /** WRMSR to IA32_EFER. */
  writeEfer(value: bigint): number {
    const { s, v } = this.r.registers, fault = writeEfer(s, v, hiOf(check64(value, 'efer')), loOf(value));
    this.h.work.add(WORK.exitEfer);
    return this.changed(fault, false, false);
  }

  /** EFLAGS.AC: no exit, the hardware has the same. */
  setAc(on: boolean): void {
    writeAc(this.r.registers.s, this.r.registers.v, on);
    this.hardware.setAc(on);
  }

  /** CS.L: whether the guest runs 64-bit code, which some control-register writes ask. */
  setCode64(on: boolean): void {
    this.r.registers.s.w[this.r.registers.v + (VCPU_CS64 >>> 2)] = on ? 1 : 0;
  }

  /** INVLPG: the page table that has the page, if it is out of sync, is so no more. */
  invlpg(va: bigint): void {
    const { h, r } = this, linear = r.registers.mode < MODE_4LEVEL ? check64(va, 'va') & MASK_32 : check64(va, 'va');
    h.work.add(WORK.exitInvlpg);
    const slot = leafSlot(h, r, hiOf(linear), loOf(linear));
    if (slot >= 0) resync(h, h.pages.of[Math.floor(slot / ENTRIES)]);
    h.work.add(WORK.invlpg);
    this.hardware.invlpg(linear);
    this.settle();
  }

  /** INVPCID. @param type - 0 address, 1 one PCID, 2 everything, 3 everything but global @returns FAULT_NONE, FAULT_GP or FAULT_UD */
  invpcid(type: number, pcid: bigint, va: bigint): number {
    const { s, v, mode } = this.r.registers, linear = mode < MODE_4LEVEL ? check64(va, 'va') & MASK_32 : check64(va, 'va');
    const fault = invpcid(s.w, v, type, loOf(check64(pcid, 'pcid')), hiOf(pcid), hiOf(linear), loOf(linear));
    this.h.work.add(WORK.exitInvpcid);
    if (fault === FAULT_NONE) {
      resyncAll(this.h);
      this.hardware.invpcid(type, pcid, linear);
    }
    this.settle();
    return fault;
  }

  /** Forget everything cached: no instruction, but what an embedder does between runs. */
  flush(): void {
    resyncAll(this.h);
    this.h.flushDue = true;
    this.settle();
  }

  /** The registers as the guest sees them. */
  get registers(): GuestView {
    const { registers } = this.r, pair = (lo: number, hi: number) => join(registers.get(hi), registers.get(lo));
    return {
      cr0: join(0, registers.get(VCPU_CR0)), cr2: pair(VCPU_CR2_LO, VCPU_CR2_HI), cr3: pair(VCPU_CR3_LO, VCPU_CR3_HI),
      cr4: join(0, registers.get(VCPU_CR4)), efer: join(0, registers.get(VCPU_EFER)), ac: registers.get(VCPU_AC) !== 0,
      pdpte: [0, 8, 16, 24].map(at => pair(VCPU_PDPTE + at, VCPU_PDPTE + at + 4)),
    };
  }

  /** After a write to a control register. @param flushes - it flushes as such @param pdptes - it may have loaded PDPTE registers */
  private changed(fault: number, flushes: boolean, pdptes: boolean): number {
    const { h, r } = this;
    if (fault === FAULT_NONE) {
      const other = roleOf(r.registers.s.w, r.registers.v) !== r.role;
      if (flushes || other) resyncAll(h);
      if (other) h.flushDue = true;
      if (other || pdptes) r.load(false);
      else r.follow();
      if (h.flips.size > 0 && !mayFlip(h)) dropFlips(h);
    }
    this.settle();
    return fault;
  }

  /** Before the guest goes on: what the processors have cached is made true, and the work is charged. */
  settle(): void {
    const { h } = this;
    if (h.flushDue) {
      for (const r of h.roots) {
        h.work.add(WORK.flush);
        r.hardware.flush();
      }
      h.flushDue = false;
    }
    h.work.settle(h.s, this.hardware.block >>> 2);
  }
}

const NO_FRAME = 2 ** 40; // of a write that needed no hypervisor: its page was noted as written when its mapping was made

const hiOf = (value: bigint): number => Number((value >> 32n) & 0xffffffffn) | 0;
const loOf = (value: bigint): number => Number(value & 0xffffffffn) | 0;
const join = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

function check64(value: unknown, field: string): bigint {
  if (typeof value !== 'bigint' || value < 0n || value >> 64n !== 0n) throw new ConfigError(field, 'a bigint from 0 to 2^64 - 1', value);
  return value;
}
