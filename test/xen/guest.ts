/**
 * A small guest for tests: a domain of 1024 frames that its kernel sees at one address each, all writable but its page tables, in both widths.
 */
import { GUEST_CR2_HI, GUEST_CR2_LO } from '../../src/layout/guest-vcpu.ts';
import { HV_BYTES, HV_COUNTERS } from '../../src/layout/hypervisor.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { EngineChoice, MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import type { Domain } from '../../src/xen/domain.ts';
import type { GrantLimits } from '../../src/xen/grant-table.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import type { HypervisorOptions } from '../../src/xen/hypervisor-options.ts';
import { DOMID_SELF, HYPERVISOR_mmuext_op, HYPERVISOR_mmu_update, HYPERVISOR_update_va_mapping, HYPERVISOR_vm_assist } from '../../src/xen/numbers.ts';

const FRAMES = 4096; // memory; the hypervisor's own frames are beyond
const OWN = 2048;
export const FIRST = 0x400; // first frame of the guest
const OWNED = 1024;
export const P = 1n, RW = 2n, US = 4n, A = 0x20n, D = 0x40n, NX = 1n << 63n;
export const TABLE = P | RW | US | A | D, DATA = P | RW | US | A | D, READ = P | US | A;
/** The last frame of the guest holds what calls read and write. */
export const ARGS = FIRST + OWNED - 1;

export interface GuestOptions extends Partial<HypervisorOptions> {
  readonly wide?: boolean;
  readonly engine?: EngineChoice;
  readonly iomem?: readonly (readonly [number, number])[];
  readonly grants?: GrantLimits;
  readonly vcpus?: number;
  readonly privileged?: boolean;
  readonly mode?: 'timed' | 'functional';
}

/** What a guest's machine is made with. */
export const machineOptions = (engine: EngineChoice, vcpus = 1, mode: 'timed' | 'functional' = 'functional'): MachineOptions =>
  ({ extents: [{ base: 0, bytes: (FRAMES + OWN) * 4096 }], mode, paging: 'none', openBus: 0, engine, vcpus });

export class Guest {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  readonly cpu: Vcpu;
  readonly domain: Domain;
  readonly wide: boolean;
  readonly base: bigint;
  /** Frames of the guest's tables: its root first. */
  readonly tables: number[] = [];
  readonly sharedInfo = 0x300;
  /** Level-1 tables that map the frames, in order. */
  readonly level1: number[] = [];

  constructor(options: GuestOptions = {}) {
    const { wide = true, engine = 'ts', iomem = [], grants = {}, vcpus = 1, privileged = true, mode = 'functional', ...rest } = options;
    this.wide = wide;
    this.machine = Machine.create(machineOptions(engine, vcpus, mode));
    this.xen = Hypervisor.create(this.machine, { frames: FRAMES, own: { first: FRAMES, frames: OWN }, ...rest });
    this.base = wide ? 0xffffffff80000000n : 0x40000000n;
    const root = wide ? this.build64() : this.build32();
    this.domain = this.xen.createDomain({
      id: 0, privileged, is32: !wide, maxVcpus: vcpus, sharedInfo: this.sharedInfo, iomem, grants, p2m: [[0, FIRST, OWNED]], ...(wide ? {} : { compatStart: 0xf5800000 }),
    });
    this.cpu = this.machine.vcpus[0];
    for (const cpu of this.machine.vcpus) this.xen.startVcpu(this.domain, cpu, root);
    this.xen.hypercall(this.cpu, HYPERVISOR_vm_assist, 0n, 2n);
  }

  private take(): number {
    const mfn = FIRST + this.tables.length;
    this.tables.push(mfn);
    return mfn;
  }

  private build64(): number {
    const [l4, l3, l2] = [this.take(), this.take(), this.take()];
    this.put(l4, 511, l3, TABLE);
    this.put(l3, 510, l2, TABLE);
    this.mapAll(l2, 0);
    return l4;
  }

  private build32(): number {
    const l3 = this.take(), seconds = [this.take(), this.take(), this.take(), this.take()];
    seconds.forEach((l2, k) => this.put(l3, k, l2, P));
    this.mapAll(seconds[1], 0);
    return l3;
  }

  private mapAll(l2: number, slot: number): void {
    for (let k = 0; k < OWNED / 512; k++) this.put(l2, slot + k, this.take(), TABLE);
    this.level1.push(...this.tables.slice(-OWNED / 512));
    const data = this.wide ? DATA | (1n << 52n) : DATA, read = this.wide ? READ | (1n << 52n) : READ;
    for (let k = 0; k < OWNED; k++) this.put(this.level1[k >>> 9], k & 511, FIRST + k, this.tables.includes(FIRST + k) ? read : data);
  }

  /** Write an entry past the hypervisor: before it exists. */
  private put(table: number, slot: number, mfn: number, flags: bigint): void {
    writeEntry(this.machine.views, table * 4096 + slot * 8, (BigInt(mfn) << 12n) | flags);
  }

  entry(table: number, slot: number): bigint {
    return readEntry(this.machine.views, table * 4096 + slot * 8);
  }

  /** A frame of the guest that is no table and that nothing else uses. */
  free(k: number): number {
    return FIRST + 64 + k;
  }

  /** Where the kernel sees a frame. */
  va(mfn: number): bigint {
    return this.base + BigInt(mfn - FIRST) * 4096n;
  }

  /** Leave words of 4 or 8 bytes where calls read them. @returns their address */
  words(bytes: 4 | 8, ...values: bigint[]): bigint {
    const data = new Uint8Array(values.length * bytes), view = new DataView(data.buffer);
    values.forEach((value, k) => { if (bytes === 8) view.setBigUint64(k * 8, BigInt.asUintN(64, value), true); else view.setUint32(k * 4, Number(BigInt.asUintN(32, value)), true); });
    this.xen.write(this.cpu, this.va(ARGS), data);
    return this.va(ARGS);
  }

  /** mmu_update of entries `[table, slot, value, command]`. */
  update(...requests: (readonly [table: number, slot: number, value: bigint, command?: number])[]): number {
    const at = this.words(8, ...requests.flatMap(([table, slot, value, command = 0]) => [(BigInt(table) << 12n) | BigInt(slot * 8 + command), value]));
    return Number(this.xen.hypercall(this.cpu, HYPERVISOR_mmu_update, at, BigInt(requests.length), 0n, BigInt(DOMID_SELF)));
  }

  /** mmuext_op of one operation. */
  ext(command: number, arg1 = 0n, arg2 = 0n): number {
    const at = this.wide ? this.words(8, BigInt(command), arg1, arg2) : this.words(4, BigInt(command), arg1, arg2);
    return Number(this.xen.hypercall(this.cpu, HYPERVISOR_mmuext_op, at, 1n, 0n, BigInt(DOMID_SELF)));
  }

  pin(level: number, mfn: number): number { return this.ext(level - 1, BigInt(mfn)); }
  unpin(mfn: number): number { return this.ext(4, BigInt(mfn)); }

  /** update_va_mapping, with a flush of the address. */
  map(va: bigint, value: bigint, flags = 2n): number {
    const args = this.wide ? [va, value, flags] : [va, value & 0xffffffffn, value >> 32n, flags];
    return Number(this.xen.hypercall(this.cpu, HYPERVISOR_update_va_mapping, ...args));
  }

  /** Make a frame read-only for the kernel, so that it can become a page table, with the given entries. */
  table(mfn: number, entries: readonly (readonly [slot: number, value: bigint])[] = []): number {
    for (const [slot, value] of entries) {
      const data = new Uint8Array(8);
      new DataView(data.buffer).setBigUint64(0, value, true);
      this.xen.write(this.cpu, this.va(mfn) + BigInt(slot * 8), data);
    }
    if (this.map(this.va(mfn), (BigInt(mfn) << 12n) | READ) !== 0) throw new Error(`frame 0x${mfn.toString(16)} stays writable`);
    return mfn;
  }

  /** Every byte of machine memory but the vCPU's scratch, for "nothing changed". */
  bytes(): Uint8Array {
    const { views } = this.machine, all = views.u8.slice(), from = this.cpu.block;
    all.fill(0, from, from + 4096);
    return this.settled(all, 0);
  }

  /**
   * Take away from a copy of machine memory what a call may change whatever it answers: the counters, and CR2 as its guest sees it.
   *
   * @param base - byte offset in machine memory of the copy's first byte
   */
  settled<T extends Uint8Array>(copy: T, base: number): T {
    const block = this.xen.host.own.block * 4 - base;
    copy.fill(0, block + HV_COUNTERS, block + HV_BYTES);
    for (const { at } of this.domain.vcpus) copy.fill(0, at * 4 - base + GUEST_CR2_LO, at * 4 - base + GUEST_CR2_HI + 4);
    return copy;
  }
}

export const entryOf = (mfn: number, flags: bigint): bigint => (BigInt(mfn) << 12n) | flags;
