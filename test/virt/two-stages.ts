/** A guest's tables and its host's, built entry by entry: what each stage maps is said by the test, not by the engine. */
import { EPT_A, EPT_D, EPT_PS, EPT_RWX } from '../../src/arch/ept.ts';
import { PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../src/arch/pte.ts';
import { Machine, presets, type MachineOptions } from '../../src/index.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';

export type Format = 'ept' | 'npt';
export type GuestMode = 'flat' | 'legacy' | 'pae' | '4-level' | '5-level';
/** Level of the leaf: 1 = 4K, 2 = 2M (4M in 32-bit paging), 3 = 1G. */
export type Leaf = 1 | 2 | 3;

const TOP: Readonly<Record<GuestMode, number>> = { flat: 0, legacy: 2, pae: 3, '4-level': 4, '5-level': 5 };
const GIB = 2 ** 30, FRAME = 4096;

/** Guest-physical memory begins here, so that no guest-physical address of its tables is by chance a machine address. */
export const GUEST_BASE = GIB;

export class TwoStages {
  readonly format: Format;
  readonly hostLevels: 4 | 5;
  readonly hostLeaf: Leaf;
  readonly mode: GuestMode;
  readonly options: MachineOptions;
  readonly machine: Machine;
  readonly hostRoot: number;
  readonly guestRoot: number;
  private readonly spread: number;
  private nextFrame = 1; // of host tables, from the bottom; the guest's memory is above 2M
  private nextGuest = GUEST_BASE + 0x200000;

  /** @param spread - guest-physical distance of one table of the guest from the next; more than a frame only by multiples of a host entry's reach */
  constructor(format: Format, hostLevels: 4 | 5, hostLeaf: Leaf, mode: GuestMode, options: MachineOptions = {}, spread = FRAME) {
    this.spread = spread;
    this.format = format;
    this.hostLevels = hostLevels;
    this.hostLeaf = hostLeaf;
    this.mode = mode;
    this.options = { memory: '64M', cpu: presets.skylake, paging: 'none', nested: true, features: { la57: true, pages1g: true, amd: format === 'npt' }, ...options };
    this.machine = Machine.create(this.options);
    this.hostRoot = this.frame();
    this.guestRoot = mode === 'flat' ? 0 : this.guestFrame();
  }

  /** Another root of the same tables. */
  copyHostRoot(): number {
    const root = this.frame();
    for (let k = 0; k < 512; k++) this.write(root + k * 8, this.read(this.hostRoot + k * 8));
    return root;
  }

  private frame(): number {
    return this.nextFrame++ * 4096;
  }

  /** A fresh guest frame, which the host maps. @returns its guest-physical address */
  guestFrame(): number {
    const gpa = this.nextGuest;
    this.nextGuest += this.spread;
    this.hostMap(gpa);
    return gpa;
  }

  /** Machine address of a guest-physical one: 4K pages change places in pairs, larger ones are in order. */
  machineOf(gpa: number): number {
    const region = this.spread - this.spread % GIB, offset = region === 0 ? gpa - GUEST_BASE : (gpa - GUEST_BASE) % region;
    return this.hostLeaf === 1 ? offset ^ 0x1000 : offset;
  }

  /** Entries of the host on the way to a guest-physical address, root first, made where missing. @returns their machine addresses */
  hostMap(gpa: number): number[] {
    const rights = this.format === 'ept' ? EPT_RWX : PTE_P | PTE_RW | PTE_US;
    const leafBits = (this.format === 'ept' ? 6 << 3 : 0) | (this.hostLeaf > 1 ? (this.format === 'ept' ? EPT_PS : PTE_PS) : 0);
    const below = 4096 * 512 ** (this.hostLeaf - 1);
    const start = gpa - gpa % below;
    return this.path(this.hostRoot, this.hostLevels, this.hostLeaf, gpa, 9, 8, pa => pa, rights, () => this.frame(), this.machineOf(start) - this.machineOf(start) % below, rights | leafBits);
  }

  /** Map a page of the guest. @returns machine addresses of its entries, root first */
  guestMap(va: number, leaf: Leaf, gpa: number, bits = PTE_P | PTE_RW | PTE_US): number[] {
    if (this.mode === 'flat') return [];
    const legacy = this.mode === 'legacy', at = (pa: number) => this.machineOf(pa);
    return this.path(this.guestRoot, TOP[this.mode], leaf, va, legacy ? 10 : 9, legacy ? 4 : 8, at, bits, () => this.guestFrame(), gpa, bits | (leaf > 1 ? PTE_PS : 0));
  }

  private path(root: number, top: number, leaf: number, address: number, bits: number, bytes: number, at: (pa: number) => number, rights: number, table: () => number, target: number, leafBits: number): number[] {
    const entries: number[] = [];
    let here = root;
    for (let level = top; level >= leaf; level--) {
      const index = Math.floor(address / (4096 * 2 ** (bits * (level - 1)))) % 2 ** bits;
      const entry = at(here + index * bytes);
      entries.push(entry);
      const pdpte = this.mode === 'pae' && level === 3 && at !== undefined && root === this.guestRoot;
      let value = this.read(entry, bytes);
      if (level === leaf) this.write(entry, BigInt(target) | BigInt(leafBits), bytes);
      else if (value === 0n) {
        value = BigInt(table()) | BigInt(pdpte ? PTE_P : rights);
        this.write(entry, value, bytes);
      }
      here = Number(value & 0xfffff_ffff_f000n);
    }
    return entries;
  }

  read(pa: number, bytes = 8): bigint {
    const value = readEntry(this.machine.views, pa - pa % 8);
    return bytes === 8 ? value : BigInt.asUintN(32, value >> BigInt(pa % 8 * 8));
  }

  write(pa: number, value: bigint, bytes = 8): void {
    if (bytes === 8) writeEntry(this.machine.views, pa, value);
    else {
      const shift = BigInt(pa % 8 * 8), whole = readEntry(this.machine.views, pa - pa % 8);
      writeEntry(this.machine.views, pa - pa % 8, (whole & ~(0xffffffffn << shift)) | (value << shift));
    }
  }

  /** Put the vCPU into the guest's mode, with its tables, under the second stage. @param eptBits - further bits of the EPT pointer */
  enter(eptBits = 0, cpu = this.machine.vcpus[0]): void {
    const { mode } = this;
    const long = mode === '4-level' || mode === '5-level';
    this.enterStage(eptBits, cpu);
    if (mode === 'flat') return;
    const faults = [
      cpu.writeCr4(BigInt((mode === 'legacy' ? 1 << 4 : 1 << 5) | (mode === '5-level' ? 1 << 12 : 0))),
      cpu.writeEfer(long ? 0x100n : 0n), cpu.writeCr3(BigInt(this.guestRoot)), cpu.writeCr0(0x8001_0001n),
    ];
    if (faults.some(f => f !== 0)) throw new Error(`set-up: ${faults}`);
    cpu.setCode64(long);
  }

  enterStage(eptBits = 0, cpu = this.machine.vcpus[0]): void {
    const root = BigInt(this.hostRoot);
    cpu.guest.enter(this.format === 'npt'
      ? { format: 'npt', ncr3: root, levels: this.hostLevels }
      : { format: 'ept', eptp: root | BigInt(6 | (this.hostLevels - 1) << 3 | eptBits) });
  }
}

export const HOST_AD = { ept: EPT_A | EPT_D, npt: PTE_A | PTE_D } as const;
