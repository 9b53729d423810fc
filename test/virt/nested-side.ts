/**
 * A guest under a second stage that looks like a machine of its own: guest-physical addresses in and out. What its second stage does not map is mapped
 * when it is asked for, to machine addresses where nothing is, as it is on a machine that has no such memory.
 */
import { VCPU_TRAIL_LO, VCPU_TRAIL_HI } from '../../src/layout/vcpu.ts';
import { exitOf } from '../../src/machine/guest-exit.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { SecondStageTables } from '../../src/models/second-stage-tables.ts';

/** Guest frames are in the upper half of memory, tables in the lower. */
const MEMORY_FRAMES = 8192, NOWHERE = 2 ** 30;
/** Physical addresses of 44 bits: as many frames as a second stage may map. */
export const NESTED_ADDRESS_BITS = 44;
const MOST_EXITS = 64;

/** What an access came to; the address is the guest's. */
export type Seen = { readonly ok: true; readonly paddr: bigint; readonly by: 'guest' } | { readonly ok: false; readonly vector: number; readonly errorCode: number; readonly cr2: bigint | undefined };

export class NestedSide {
  readonly machine: Machine;
  readonly vcpus: readonly NestedVcpu[];
  readonly tables: SecondStageTables;
  private readonly p2m: Int32Array;
  private readonly gfnOf = new Map<number, number>();
  private elsewhere = NOWHERE;

  /** @param p2m - guest frames, numbered from 0 up, in the upper half of 32 MiB */
  constructor(format: 'ept' | 'npt', p2m: Int32Array, options: MachineOptions) {
    this.machine = Machine.create({ ...options, memory: MEMORY_FRAMES * 4096, nested: true, physicalAddressBits: NESTED_ADDRESS_BITS });
    this.p2m = p2m;
    this.tables = new SecondStageTables(this.machine, { format, frames: 2 ** 32 });
    p2m.forEach((mfn, gfn) => this.place(gfn, mfn));
    this.vcpus = this.machine.vcpus.map(cpu => {
      cpu.guest.enter(this.tables.stage());
      return new NestedVcpu(cpu, this);
    });
  }

  private place(gfn: number, mfn: number): void {
    this.tables.map(gfn, mfn);
    this.gfnOf.set(mfn, gfn);
  }

  read(gpa: bigint, out: Uint8Array): void {
    this.machine.read(this.machineAddress(gpa), out);
  }

  write(gpa: bigint, data: Uint8Array): void {
    this.machine.write(this.machineAddress(gpa), data);
  }

  private machineAddress(gpa: bigint): bigint {
    return BigInt(this.p2m[Number(gpa >> 12n)]!) << 12n | gpa & 0xfffn;
  }

  guestAddress(pa: bigint): bigint {
    const gfn = this.gfnOf.get(Number(pa >> 12n));
    if (gfn === undefined) throw new Error(`machine address ${pa.toString(16)} is of no guest frame`);
    return BigInt(gfn) << 12n | pa & 0xfffn;
  }

  /** An exit: the guest's frame is where nothing is from now on. */
  admit(gpa: bigint): void {
    this.place(Number(gpa >> 12n), this.elsewhere++);
    for (const { cpu } of this.vcpus) this.forget(cpu);
  }

  /** Two guest frames change places in the machine: the caller moves the bytes, and has changed `p2m`. */
  moved(...gfns: readonly number[]): void {
    for (const gfn of gfns) this.place(gfn, this.p2m[gfn]!);
    for (const { cpu } of this.vcpus) this.forget(cpu);
  }

  private forget(cpu: Vcpu): void {
    if (this.tables.format === 'ept') return void cpu.guest.invept(2, 0n);
    cpu.guest.leave();
    cpu.guest.enter({ format: 'npt', ncr3: BigInt(this.tables.root), levels: this.tables.levels, asid: 1, tlbControl: 1 });
  }
}

/** A vCPU of it, as a guest's kernel sees it. */
export class NestedVcpu {
  readonly cpu: Vcpu;
  private readonly side: NestedSide;

  constructor(cpu: Vcpu, side: NestedSide) {
    this.cpu = cpu;
    this.side = side;
  }

  translate(va: bigint, kind: number): Seen {
    for (let exits = 0; exits < MOST_EXITS; exits++) {
      const seen = this.cpu.translate(va, kind);
      if (seen.ok) return { ok: true, paddr: this.side.guestAddress(seen.paddr), by: 'guest' };
      if (seen.exit === undefined) return { ok: false, vector: seen.vector, errorCode: seen.errorCode, cr2: seen.cr2 };
      this.side.admit(seen.exit.gpa);
    }
    throw new Error(`an access of ${va.toString(16)} exits again and again`);
  }

  write(va: bigint, data: Uint8Array, kind: number): number {
    return this.retried(() => this.cpu.write(va, data, kind));
  }

  /** What exits is made again, when the frame that it missed is there. */
  private retried(act: () => number): number {
    for (let exits = 0; exits < MOST_EXITS; exits++) {
      const fault = act();
      if (fault >>> 16 <= 255) return fault;
      this.side.admit(exitOf(this.side.machine.views.w, this.cpu.block >>> 2, fault).gpa);
    }
    throw new Error('an access exits again and again');
  }

  /** Guest frames of the tables that the last walk read. */
  trail(): number[] {
    const { w } = this.side.machine.views, lo = (this.cpu.block + VCPU_TRAIL_LO) >>> 2, hi = (this.cpu.block + VCPU_TRAIL_HI) >>> 2, found: number[] = [];
    for (let k = 0; k < 5; k++) {
      const mfn = (w[lo + k]! >>> 12) + (w[hi + k]! >>> 0) * 2 ** 20;
      if (mfn !== 0) found.push(Number(this.side.guestAddress(BigInt(mfn) << 12n) >> 12n));
    }
    return found;
  }

  get paddr(): bigint { return this.side.guestAddress(this.cpu.paddr); }
  get registers(): Vcpu['registers'] { return this.cpu.registers; }
  flush(): void { this.cpu.flush(); }
  writeCr0(value: bigint): number { return this.retried(() => this.cpu.writeCr0(value)); }
  writeCr3(value: bigint): number { return this.retried(() => this.cpu.writeCr3(value)); }
  writeCr4(value: bigint): number { return this.retried(() => this.cpu.writeCr4(value)); }
  writeEfer(value: bigint): number { return this.cpu.writeEfer(value); }
  setAc(on: boolean): void { this.cpu.setAc(on); }
  setCode64(on: boolean): void { this.cpu.setCode64(on); }
  invlpg(va: bigint): void { this.cpu.invlpg(va); }
  invpcid(type: number, pcid: bigint, va: bigint): number { return this.cpu.invpcid(type, pcid, va); }
}
