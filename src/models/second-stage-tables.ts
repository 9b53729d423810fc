/**
 * Tables of a second stage in EPT or NPT format, built in machine memory: the machine frame of each guest frame, pages of 4K and 2M.
 *
 * Source: Intel SDM vol. 3C, "EPT Translation Mechanism", "Accessed and Dirty Flags for EPT"; AMD APM vol. 2, "Nested Paging". That writes are
 *         kept away page by page, and large pages broken up for it: Xen 4.17, hap_enable_log_dirty() (xen/arch/x86/mm/hap/hap.c).
 */
import { EPT_A, EPT_D, EPT_MEMTYPE_SHIFT, EPT_PS, EPT_RWX, EPT_W, EPTP_AD, EPTP_LEVELS_SHIFT, EPTQ_READABLE, EPTQ_WRITABLE, EPTQ_WRITE } from '../arch/ept.ts';
import { EXIT_EPT_VIOLATION, EXIT_NPF, PFEC_P, PFEC_W } from '../arch/fault.ts';
import { PTE_A, PTE_D, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../arch/pte.ts';
import { ConfigError } from '../errors.ts';
import { NEST_EXIT_GPA_HI, NEST_EXIT_GPA_LO, NEST_EXIT_LO } from '../layout/nested.ts';
import { VCPU_NEST } from '../layout/vcpu.ts';
import type { Machine } from '../machine/machine.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { readEntry, writeEntry } from '../memory/entry.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import type { Stage } from '../virt/host-block.ts';
import { flushAsid, TLB_FLUSH_ALL } from '../virt/invalidate.ts';
import { NO_FRAME, type Translation } from './translation.ts';

const ENTRIES = 512;
const WRITE_BACK = 6;
const ADDRESS = 0xfffff_ffff_f000n;
/** A bit that processors ignore in entries of either format: the guest may not write this page, whoever asks for what. */
const READ_ONLY = 1n << 11n;

/** The bits of a format that differ. */
interface Bits {
  readonly table: bigint;
  readonly leaf: bigint;
  readonly large: bigint;
  readonly write: bigint;
  readonly present: bigint;
  readonly accessed: bigint;
  readonly dirty: bigint;
}

const BITS: Readonly<Record<'ept' | 'npt', Bits>> = {
  ept: {
    table: BigInt(EPT_RWX), leaf: BigInt(EPT_RWX | (WRITE_BACK << EPT_MEMTYPE_SHIFT)), large: BigInt(EPT_PS), write: BigInt(EPT_W), present: BigInt(EPT_RWX),
    accessed: BigInt(EPT_A), dirty: BigInt(EPT_D),
  },
  npt: {
    table: BigInt(PTE_P | PTE_RW | PTE_US), leaf: BigInt(PTE_P | PTE_RW | PTE_US), large: BigInt(PTE_PS), write: BigInt(PTE_RW), present: BigInt(PTE_P),
    accessed: BigInt(PTE_A), dirty: BigInt(PTE_D),
  },
};

export interface SecondStageOptions {
  readonly format: 'ept' | 'npt';
  /** Guest frames there may be, from 0 up. */
  readonly frames: number;
  /** 4 or 5. Default 4. */
  readonly levels?: 4 | 5;
  /** EPT: accessed and dirty flags. Default true; NPT always has them. */
  readonly accessedDirty?: boolean;
}

export class SecondStageTables implements Translation {
  readonly format: 'ept' | 'npt';
  readonly frames: number;
  readonly levels: 4 | 5;
  /** Do the entries tell what was written? */
  readonly accessedDirty: boolean;
  /** Machine address of the root table. */
  readonly root: number;
  private readonly machine: Machine;
  private readonly bits: Bits;

  /** Empty tables. Their frames are of the machine's `frames`. @throws ConfigError - an option, or no frame */
  constructor(machine: Machine, { format, frames, levels = 4, accessedDirty = true }: SecondStageOptions) {
    if (format !== 'ept' && format !== 'npt') throw new ConfigError('format', 'ept or npt', format);
    if (levels !== 4 && levels !== 5) throw new ConfigError('levels', '4 or 5', levels);
    if (!Number.isInteger(frames) || frames < 1 || frames > 2 ** 32) throw new ConfigError('frames', 'an integer from 1 to 2^32', frames);
    this.machine = machine;
    this.format = format;
    this.frames = frames;
    this.levels = levels;
    this.accessedDirty = format === 'npt' || accessedDirty;
    this.bits = BITS[format];
    this.root = this.table();
  }

  /** What `Vcpu.guest.enter()` takes. @param id - VPID or ASID */
  stage(id = 1): Stage {
    const root = BigInt(this.root);
    if (this.format === 'npt') return { format: 'npt', ncr3: root, levels: this.levels, asid: id };
    return { format: 'ept', eptp: root | BigInt(WRITE_BACK | ((this.levels - 1) << EPTP_LEVELS_SHIFT) | (this.accessedDirty ? EPTP_AD : 0)), vpid: id };
  }

  /**
   * Map a page of 4K, or 512 of them as one of 2M. What was mapped there stays cached until `flush()`.
   *
   * @throws ConfigError - frames that there may not be or that are not aligned, a larger page in the way, or no frame for a table
   */
  map(gfn: number, mfn: number, { pages = 1, write = true }: { readonly pages?: 1 | 512; readonly write?: boolean } = {}): void {
    if (pages !== 1 && pages !== ENTRIES) throw new ConfigError('pages', '1 or 512', pages);
    if (!Number.isInteger(gfn) || gfn < 0 || gfn % pages !== 0 || gfn + pages > this.frames) throw new ConfigError('gfn', `a guest frame, a multiple of ${pages}`, gfn);
    if (!Number.isInteger(mfn) || mfn < 0 || mfn % pages !== 0) throw new ConfigError('mfn', `a machine frame, a multiple of ${pages}`, mfn);
    const { bits } = this, entry = (BigInt(mfn) << 12n) | (write ? bits.leaf : (bits.leaf & ~bits.write) | READ_ONLY);
    this.put(this.reach(gfn, pages === 1 ? 1 : 2), pages === 1 ? entry : entry | bits.large);
  }

  unmap(gfn: number): void {
    const { at, level } = this.leaf(gfn);
    if (level !== 0) this.put(level === 1 ? at : this.reach(gfn, 1), 0n);
  }

  machineFrame(gfn: number): number {
    const { entry, level } = this.leaf(gfn);
    return level === 0 ? NO_FRAME : Number((entry & ADDRESS) >> 12n) + (level === 2 ? gfn % ENTRIES : 0);
  }

  /** Is a page mapped, and may it be written now? */
  isWritable(gfn: number): boolean {
    const { entry, level } = this.leaf(gfn);
    return level !== 0 && (entry & this.bits.write) !== 0n;
  }

  setWritable(gfn: number, writable: boolean): void {
    const found = this.leaf(gfn), { write } = this.bits;
    if (found.level === 0 || (found.entry & READ_ONLY) !== 0n || ((found.entry & write) !== 0n) === writable) return;
    const at = this.small(gfn, found), entry = this.get(at);
    this.put(at, writable ? entry | write : entry & ~write);
  }

  written(gfn: number, take: boolean): boolean {
    const found = this.leaf(gfn), { dirty } = this.bits;
    if (found.level === 0) return false;
    const at = this.small(gfn, found), entry = this.get(at);
    if (take && (entry & dirty) !== 0n) this.put(at, entry & ~dirty);
    return (entry & dirty) !== 0n;
  }

  flush(): void {
    const { w } = this.machine.views;
    for (const { block } of this.machine.vcpus) if (w[(block + VCPU_NEST) >>> 2] !== 0) flushAsid(w, block >>> 2, TLB_FLUSH_ALL, 0);
  }

  refusedWrite(cpu: Vcpu, fault: number): number {
    const { w } = this.machine.views, n = w[(cpu.block + VCPU_NEST) >>> 2] >>> 2, info = w[n + (NEST_EXIT_LO >>> 2)];
    if (this.format === 'ept' ? fault !== EXIT_EPT_VIOLATION : fault !== EXIT_NPF) return NO_FRAME;
    const refused = this.format === 'ept' ? (info & (EPTQ_WRITE | EPTQ_READABLE | EPTQ_WRITABLE)) === (EPTQ_WRITE | EPTQ_READABLE) : (info & (PFEC_P | PFEC_W)) === (PFEC_P | PFEC_W);
    const gfn = (w[n + (NEST_EXIT_GPA_LO >>> 2)] >>> 12) + w[n + (NEST_EXIT_GPA_HI >>> 2)] * 2 ** 20;
    return refused && gfn < this.frames && (this.leaf(gfn).entry & READ_ONLY) === 0n ? gfn : NO_FRAME;
  }

  private table(): number {
    const frame = this.machine.frames.allocate(1, 'table'), pa = frame * FRAME_BYTES;
    this.machine.pages.clear(BigInt(pa));
    return pa;
  }

  private get(at: number): bigint {
    return readEntry(this.machine.views, at);
  }

  private put(at: number, entry: bigint): void {
    writeEntry(this.machine.views, at, entry);
  }

  private slot(table: number, gfn: number, level: number): number {
    return table + (Math.floor(gfn / ENTRIES ** (level - 1)) % ENTRIES) * 8;
  }

  /** Machine address of the entry of a level for a guest frame, with all tables on the way. */
  private reach(gfn: number, to: 1 | 2): number {
    const { bits } = this;
    let table = this.root;
    for (let level: number = this.levels; level > to; level--) {
      const at = this.slot(table, gfn, level);
      if ((this.get(at) & bits.present) === 0n) this.put(at, BigInt(this.table()) | bits.table);
      else if (level === 2 && (this.get(at) & bits.large) !== 0n) this.split(at);
      table = Number(this.get(at) & ADDRESS);
    }
    const at = this.slot(table, gfn, to), there = this.get(at);
    if (to === 2 && (there & bits.present) !== 0n && (there & bits.large) === 0n) throw new ConfigError('gfn', 'guest frames without a table of small pages', gfn);
    return at;
  }

  /** The leaf of a guest frame; level 0: there is none. */
  private leaf(gfn: number): { readonly at: number; readonly entry: bigint; readonly level: number } {
    const { bits } = this;
    for (let level: number = this.levels, table = this.root; gfn >= 0 && gfn < this.frames; level--) {
      const at = this.slot(table, gfn, level), entry = this.get(at);
      if ((entry & bits.present) === 0n) break;
      if (level === 1 || (level === 2 && (entry & bits.large) !== 0n)) return { at, entry, level };
      table = Number(entry & ADDRESS);
    }
    return { at: 0, entry: 0n, level: 0 };
  }

  /** Address of the entry of a page alone: one of 2M is broken up. */
  private small(gfn: number, { at, level }: { readonly at: number; readonly level: number }): number {
    return level === 1 ? at : this.reach(gfn, 1);
  }

  /** Break a page of 2M up into 512 that map the same, with the same rights and marks. */
  private split(at: number): void {
    const { bits } = this, large = this.get(at), table = this.table();
    for (let k = 0; k < ENTRIES; k++) this.put(table + k * 8, (large & ~bits.large) + BigInt(k * FRAME_BYTES));
    this.put(at, BigInt(table) | bits.table);
  }
}
