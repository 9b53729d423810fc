/** The same guest on several machines: each engine, timed and functional; and what each says of an access, as the oracle's text. */
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_PF } from '../../src/arch/fault.ts';
import { CR4_LA57, CR4_PAE, CR4_PKE, CR4_PKS, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE } from '../../src/arch/registers.ts';
import { FAST_USED } from '../../src/layout/fast-table.ts';
import { REF_BYTES, REF_GUEST, REF_HOST, REF_PA_HI, REF_PA_LO, NEST_REFS } from '../../src/layout/nested.ts';
import { VCPU_FAST_USED, VCPU_NEST, VCPU_OUT_HIT, VCPU_OUT_REFS, VCPU_OUT_SIZE } from '../../src/layout/vcpu.ts';
import { exitOf } from '../../src/machine/guest-exit.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { readEntry } from '../../src/memory/entry.ts';
import { wordOf } from '../../src/memory/extents.ts';
import { fastDropPage } from '../../src/mmu/fast-table.ts';
import type { Stage as GuestStage } from '../../src/virt/host-block.ts';
import { flushAsid, invept, INVEPT_GLOBAL, TLB_FLUSH_ALL } from '../../src/virt/invalidate.ts';
import { exitText, pageFaultText, reached, type Access, type Guest, type Reference } from './nested-oracle.ts';
import type { Stage } from './second-stage-oracle.ts';
import { RAM, type Words } from './nested-world.ts';

const KIND = { read: 0, write: ACCESS_WRITE, fetch: ACCESS_FETCH, 'shadow read': ACCESS_SHADOW_STACK, 'shadow write': ACCESS_SHADOW_STACK | ACCESS_WRITE } as const;
const BY = { user: ACCESS_USER, supervisor: 0, implicit: ACCESS_IMPLICIT } as const;

export class Engine {
  readonly name: string;
  readonly timed: boolean;
  readonly machine: Machine;
  private readonly first: number; // word index of machine address 0

  constructor(options: MachineOptions) {
    this.name = `${options.engine} ${options.mode}`;
    this.timed = options.mode === 'timed';
    this.machine = Machine.create({ memory: RAM, paging: 'none', nested: true, ...options });
    this.first = wordOf(this.machine.views, 0, 0);
  }

  /** Does it run guests under their second stage? Else the guest has the processor to itself. */
  protected get stageful(): boolean {
    return true;
  }

  private get cpu() {
    return this.machine.vcpus[0]!;
  }

  /** Take over the 8 bytes at a word index. */
  copy(words: Words, at: number): void {
    this.machine.views.w[this.first + at] = words.halves[at]!;
    this.machine.views.w[this.first + at + 1] = words.halves[at + 1]!;
  }

  /** @returns the first of the watched words that is not as it ought to be, -1 if all are */
  different(words: Words, watched: readonly number[]): number {
    const { w } = this.machine.views, { first } = this;
    for (const at of watched) if (w[first + at] !== words.halves[at] || w[first + at + 1] !== words.halves[at + 1]) return at;
    return -1;
  }

  /** Begin to run a guest. @returns undefined, or why MOV to CR3 was refused */
  enter(guest: Guest, stage: Stage): string | undefined {
    const { cpu } = this, { mode } = guest, long = mode === '4-level' || mode === '5-level', on = (yes: boolean, bits: number) => (yes ? bits : 0);
    if (this.stageful) cpu.guest.leave();
    cpu.reset();
    if (this.stageful) cpu.guest.enter(this.stageOf(stage, 3));
    cpu.setAc(guest.ac);
    this.must(cpu.writeEfer(BigInt(on(long, EFER_LME) | on(guest.nxe, EFER_NXE))));
    this.must(cpu.writeCr4(BigInt(on(guest.smep, CR4_SMEP) | on(guest.smap, CR4_SMAP) | on(mode === '5-level', CR4_LA57)
      | on(mode === 'legacy' && guest.pse, CR4_PSE) | on(long || mode === 'pae', CR4_PAE) | on(guest.keys?.pke === true, CR4_PKE) | on(guest.keys?.pks === true, CR4_PKS))));
    if (guest.keys) {
      cpu.writePkru(guest.keys.pkru);
      this.must(cpu.writePkrs(BigInt(guest.keys.pkrs >>> 0)));
    }
    if (mode === 'flat') return undefined;
    this.must(cpu.writeCr3(guest.root));
    const fault = cpu.writeCr0(BigInt((0x80000001 | on(guest.wp, 1 << 16)) >>> 0));
    if (mode !== 'pae') this.must(fault);
    return fault === 0 ? undefined : this.faultText(fault);
  }

  /** A stage as VM entry or VMRUN takes it. @param id - VPID or ASID */
  stageOf(stage: Stage, id: number, tlbControl = 0): GuestStage {
    const { format, root, levels, nxe, accessedDirty, executeOnly, modeBasedExecute, pagingWrite, advancedExitInfo } = stage;
    if (format === 'npt') return { format, ncr3: root, levels, nxe, asid: id, tlbControl };
    const eptp = root | 6n | BigInt(levels - 1) << 3n | (accessedDirty ? 1n << 6n : 0n);
    return { format, vpid: id, eptp, executeOnly, modeBasedExecute, pagingWrite, advancedExitInfo };
  }

  /** The entry at a word index. */
  entry(at: number): bigint {
    return readEntry(this.machine.views, at * 4);
  }

  private must(fault: number): void {
    if (fault !== 0) throw new Error(`${this.name}: fault ${fault.toString(16)}`);
  }

  /** Forget all that is cached; in functional mode of one address, as it remembers nothing else of it. */
  flush(format: Stage['format'], va: bigint): void {
    const { w } = this.machine.views, v = this.cpu.block >>> 2;
    if (!this.timed) {
      w[v + (VCPU_FAST_USED >>> 2)] &= FAST_USED; // no other row is of the same page, large or not: clearing them all takes long
      fastDropPage(w, v, Number(va >> 32n) | 0, Number(va & 0xffffffffn) | 0);
    }
    else if (format === 'npt') flushAsid(w, v, TLB_FLUSH_ALL, 3);
    else invept(w, v, INVEPT_GLOBAL, 0, 0);
  }

  access({ va, by, kind }: Access): string {
    const { cpu } = this, fault = cpu.access(Number(va >> 32n) | 0, Number(va & 0xffffffffn) | 0, KIND[kind] | BY[by]);
    if (fault !== 0) return this.faultText(fault);
    return reached(cpu.paddr, this.word(VCPU_OUT_SIZE));
  }

  private faultText(fault: number): string {
    const { cpu } = this;
    if (fault >>> 16 > 255) {
      const { reason, info, gpa } = exitOf(this.machine.views.w, cpu.block >>> 2, fault);
      return exitText(reason, info, gpa);
    }
    if (fault >>> 16 === FAULT_PF >>> 16) return pageFaultText(fault & 0xffff, cpu.registers.cr2);
    return `fault ${fault.toString(16)}`;
  }

  private word(field: number): number {
    return this.machine.views.w[(this.cpu.block + field) >>> 2]!;
  }

  /** Entries that the last access read; 0 where a TLB answered. */
  get read(): number {
    return this.word(VCPU_OUT_HIT) === 0 ? this.word(VCPU_OUT_REFS) : 0;
  }

  /** The first reference of the last access that is not among those of a full walk. */
  stray(full: FullList): string | undefined {
    const { w } = this.machine.views, list = w[(this.word(VCPU_NEST) + NEST_REFS) >>> 2]!;
    for (let k = 0; k < this.read; k++) {
      const row = (list + k * REF_BYTES) >>> 2, at = (field: number) => w[row + (field >>> 2)]!;
      const pa = (at(REF_PA_HI) >>> 0) * 2 ** 32 + (at(REF_PA_LO) >>> 0);
      if (full.pa[at(REF_GUEST) * 8 + at(REF_HOST)] !== pa) return `${at(REF_GUEST)} ${at(REF_HOST)} ${pa.toString(16)}`;
    }
    return undefined;
  }
}

/** The references of a full walk, each of which the two levels name. */
export class FullList {
  readonly pa = new Float64Array(48);
  length = 0;

  set(references: readonly Reference[]): void {
    this.pa.fill(-1);
    this.length = references.length;
    for (const { guest, host, pa } of references) this.pa[guest * 8 + host] = Number(pa);
  }
}
