/**
 * The same kernel twice or three times: on a machine of its own, as a shadowed guest, and under a second stage. Whatever one is told to do the others
 * are, and what they see is compared.
 *
 * The native machine forgets every translation before each access, so that it always goes by its tables; the guests may lag behind their own as far as a TLB
 * may, and whoever drives them flushes where a kernel must.
 */
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../../src/arch/fault.ts';
import { Machine, presets } from '../../../src/index.ts';
import { VCPU_TRAIL_LO } from '../../../src/layout/vcpu.ts';
import type { MachineOptions } from '../../../src/machine/options.ts';
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import type { ShadowPolicy } from '../../../src/virt/shadow/policy.ts';
import { BY_PROCESSOR, type ShadowVcpu } from '../../../src/virt/shadow/shadow-vcpu.ts';
import { ShadowedGuest } from '../../../src/virt/shadow/shadowed-guest.ts';
import { Random } from '../../wasm/engine-duel.ts';
import { NestedTwin } from './nested-twin.ts';

export type Mode = 'legacy' | 'pae' | '4-level';
export const MODES: readonly Mode[] = ['legacy', 'pae', '4-level'];
export const KINDS = [
  ACCESS_READ, ACCESS_READ | ACCESS_USER, ACCESS_WRITE, ACCESS_WRITE | ACCESS_USER, ACCESS_FETCH, ACCESS_FETCH | ACCESS_USER, ACCESS_IMPLICIT, ACCESS_IMPLICIT | ACCESS_WRITE,
];

/** Frames of guest-physical memory: 16 MiB. */
export const FRAMES = 4096;
const MACHINE_FRAMES = 8192, POOL_FIRST = 1, P2M_FIRST = 512, BLOCK = 512;

export interface TwinOptions {
  readonly mode: Mode;
  readonly scrambled: boolean;
  readonly policy?: Partial<ShadowPolicy>;
  readonly pool?: number;
  readonly vcpus?: number;
  readonly machine?: MachineOptions;
  /** There is a third, under a second stage: NPT where `machine` has the feature `amd`, else EPT. */
  readonly nested?: boolean;
}

/** Where guest frames are: in order, or anywhere, but for the last two runs of 512, which only change places. */
export function makeP2m(scrambled: boolean, random: Random): Int32Array {
  const p2m = Int32Array.from({ length: FRAMES }, (_, gfn) => P2M_FIRST + gfn);
  if (!scrambled) return p2m;
  const mixed = FRAMES - 2 * BLOCK;
  for (let gfn = mixed - 1; gfn > 0; gfn--) {
    const other = random.below(gfn + 1);
    [p2m[gfn], p2m[other]] = [p2m[other]!, p2m[gfn]!];
  }
  for (let k = 0; k < BLOCK; k++) [p2m[mixed + k], p2m[mixed + BLOCK + k]] = [p2m[mixed + BLOCK + k]!, p2m[mixed + k]!];
  return p2m;
}

export class Twin {
  readonly native: Machine;
  readonly machine: Machine;
  readonly guest: ShadowedGuest;
  readonly nested: NestedTwin | undefined;
  readonly p2m: Int32Array;
  readonly gfnOf = new Map<number, number>();
  /** Those that act. */
  cpu: Vcpu;
  virtual: ShadowVcpu;
  /** What differed, and after which operation. */
  readonly differences: string[] = [];
  operations = 0;
  /** Frames that the native machine has ever read an entry from: whatever writes to them may change what is cached. */
  readonly tables = new Set<number>();

  constructor(options: TwinOptions, random: Random) {
    const vcpus = options.vcpus ?? 1, common: MachineOptions = { cpu: presets.skylake, mode: 'timed', engine: 'auto', paging: 'none', vcpus, features: { pku: false, pks: false, cet: false, la57: false, pages1g: true }, ...options.machine };
    const features = { ...common.features, ...options.machine?.features };
    this.native = Machine.create({ ...common, features, memory: '16M' });
    this.machine = Machine.create({ ...common, features, memory: '32M' });
    this.p2m = makeP2m(options.scrambled, random);
    this.p2m.forEach((mfn, gfn) => this.gfnOf.set(mfn, gfn));
    if (P2M_FIRST + FRAMES > MACHINE_FRAMES) throw new Error('the machine is too small');
    this.guest = ShadowedGuest.create({ machine: this.machine, vcpus: this.machine.vcpus, p2m: this.p2m, pool: { first: POOL_FIRST, frames: options.pool ?? 200 }, policy: options.policy ?? {} });
    this.nested = options.nested === true ? new NestedTwin({ ...common, features }, MACHINE_FRAMES * 4096, this.p2m, options.scrambled) : undefined;
    this.cpu = this.native.vcpus[0]!;
    this.virtual = this.guest.vcpus[0]!;
  }

  use(k: number): void {
    this.cpu = this.native.vcpus[k]!;
    this.virtual = this.guest.vcpus[k]!;
    if (this.nested) this.nested.cpu = this.nested.machine.vcpus[k]!;
  }

  /** A register write or its like on all. */
  both(what: string, act: (cpu: Vcpu | ShadowVcpu) => number | void, ofShadow: (cpu: ShadowVcpu) => number | void = act): number {
    const expected = act(this.cpu), got = ofShadow(this.virtual);
    this.operations++;
    if (expected !== got) this.differences.push(`${this.operations} ${what}: native ${expected}, shadow ${got}`);
    const third = this.nested && act(this.nested.cpu);
    if (this.nested && expected !== third) this.differences.push(`${this.operations} ${what}: native ${expected}, nested ${third}`);
    return expected ?? 0;
  }

  /** One access on all. @returns whether it was permitted */
  access(va: bigint, kind: number): boolean {
    this.forget();
    const a = this.cpu.translate(va, kind);
    this.noteTables();
    const b = this.virtual.translate(va, kind);
    this.operations++;
    const seen = b.ok ? `ok 0x${this.physical(b.paddr, b.by).toString(16)}` : `${b.vector} ${b.errorCode} ${b.cr2?.toString(16)}`;
    const expected = a.ok ? `ok 0x${a.paddr.toString(16)}` : `${a.vector} ${a.errorCode} ${a.cr2?.toString(16)}`;
    if (expected !== seen) this.differences.push(`${this.operations} access 0x${va.toString(16)} ${kind}: native ${expected}, shadow ${seen}`);
    if (this.nested) this.accessNested(this.nested, va, kind, expected);
    return a.ok;
  }

  private accessNested(nested: NestedTwin, va: bigint, kind: number, expected: string): void {
    const c = nested.cpu.translate(va, kind), seen = c.ok ? `ok 0x${nested.physical(c.paddr, this.gfnOf).toString(16)}` : `${c.vector} ${c.errorCode} ${c.cr2?.toString(16)}`;
    if (expected !== seen) this.differences.push(`${this.operations} access 0x${va.toString(16)} ${kind}: native ${expected}, nested ${seen}`);
  }

  write(va: bigint, data: Uint8Array, kind: number): number {
    this.forget();
    const fault = this.both(`write 0x${va.toString(16)} ${kind}`, cpu => cpu.write(va, data, kind), cpu => this.store(cpu, va, data, kind));
    this.noteTables();
    return fault;
  }

  /** As a processor stores, past the hypervisor, where it is the processor's to store. */
  private store(cpu: ShadowVcpu, va: bigint, data: Uint8Array, kind: number): number {
    if (Number(va & 0xfffn) + data.length > 4096) return cpu.write(va, data, kind);
    const fault = cpu.access(Number(va >> 32n), Number(va & 0xffff_ffffn), kind | ACCESS_WRITE);
    if (fault !== 0) return fault;
    if (cpu.by !== BY_PROCESSOR) return cpu.write(va, data, kind);
    this.machine.write(BigInt(cpu.paddrHi) << 32n | BigInt(cpu.paddrLo >>> 0), data);
    return 0;
  }

  /** The same bytes into guest-physical memory of all, by no processor. */
  poke(gpa: number, data: Uint8Array): void {
    this.native.write(BigInt(gpa), data);
    this.machine.write(BigInt(this.p2m[gpa >>> 12]! * 4096 + gpa % 4096), data);
    this.guest.written(gpa, data.length);
    this.nested?.write(gpa, data);
  }

  /** Let the machine frames of two guest frames change places, bytes and all. */
  exchange(a: number, b: number): void {
    if (a === b) return;
    this.guest.beforeRemap(a);
    this.guest.beforeRemap(b);
    const [first, second] = [this.p2m[a]!, this.p2m[b]!], pages = [new Uint8Array(4096), new Uint8Array(4096)] as const;
    this.machine.read(BigInt(first * 4096), pages[0]);
    this.machine.read(BigInt(second * 4096), pages[1]);
    this.machine.write(BigInt(first * 4096), pages[1]);
    this.machine.write(BigInt(second * 4096), pages[0]);
    [this.p2m[a], this.p2m[b]] = [second, first];
    this.gfnOf.set(second, a).set(first, b);
    this.nested?.move(a, pages[0]);
    this.nested?.move(b, pages[1]);
  }

  /** An entry as the native machine has it. */
  entry(gpa: number, bytes: number): bigint {
    const out = new Uint8Array(8);
    this.native.read(BigInt(gpa), out.subarray(0, bytes));
    return new DataView(out.buffer).getBigUint64(0, true);
  }

  /** Everything that can be compared at rest: registers, memory, and the promises of the shadows. */
  compare(): void {
    const a = this.cpu.registers, others: [string, typeof this.virtual.registers][] = [['shadow', this.virtual.registers]];
    if (this.nested) others.push(['nested', this.nested.cpu.registers]);
    for (const [way, b] of others) {
      for (const name of ['cr0', 'cr2', 'cr3', 'cr4', 'efer', 'ac'] as const) if (a[name] !== b[name]) this.differences.push(`${this.operations} ${name}: native ${a[name]}, ${way} ${b[name]}`);
      if (a.pdpte.join() !== b.pdpte.join()) this.differences.push(`${this.operations} pdpte: native ${a.pdpte}, ${way} ${b.pdpte}`);
    }
    for (const gfn of this.differingFrames()) this.differences.push(`${this.operations} frame 0x${gfn.toString(16)} differs`);
    this.differences.push(...this.guest.audit().map(line => `${this.operations} ${line}`));
  }

  differingFrames(): number[] {
    const mine = new Uint8Array(4096), its = new Uint8Array(4096), found: number[] = [];
    for (let gfn = 0; gfn < FRAMES; gfn++) {
      this.native.read(BigInt(gfn * 4096), mine);
      this.machine.read(BigInt(this.p2m[gfn]! * 4096), its);
      if (Buffer.compare(mine, its) !== 0) found.push(gfn);
      this.nested?.read(gfn * 4096, its);
      if (this.nested && Buffer.compare(mine, its) !== 0) found.push(gfn);
    }
    return found;
  }

  private noteTables(): void {
    const { w } = this.native.views, first = (this.cpu.block + VCPU_TRAIL_LO) >>> 2;
    for (let k = 0; k < 5; k++) this.tables.add(w[first + k]! >>> 12);
  }

  private forget(): void {
    this.cpu.flush();
  }

  private physical(paddr: bigint, by: string): bigint {
    if (by === 'mmio') return paddr;
    const gfn = this.gfnOf.get(Number(paddr >> 12n));
    return gfn === undefined ? -1n : BigInt(gfn) << 12n | paddr & 0xfffn;
  }
}
