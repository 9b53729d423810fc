/**
 * A kernel in a virtual machine whose memory a second stage translates: its frames are guest-physical ones, scattered over machine memory, and
 * all are there from the start. It needs no hypervisor while it runs.
 */
import { EPT_PS, EPT_RWX, EPTP_LEVELS_SHIFT } from '../arch/ept.ts';
import { PTE_P, PTE_PS, PTE_RW, PTE_US } from '../arch/pte.ts';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { ConfigError } from '../errors.ts';
import type { Machine } from '../machine/machine.ts';
import { storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import { Bare } from './bare.ts';
import { ENTRIES } from './platform.ts';

export const STAGE_FORMATS = ['ept', 'npt'] as const;
const ROOT_LEVEL = 4;
const FIRST_FRAME = 1; //       guest frame 0 is never used: a root of 0 is a common mistake
const WRITE_BACK = 6;
const VPID = 1;

export interface StageOptions {
  /** Default `ept`. */
  readonly format?: (typeof STAGE_FORMATS)[number];
  /** Size of the host's pages: `4k`, in no order, or `2m`. Default `4k`. */
  readonly hostPages?: '4k' | '2m';
}

export class SecondStage extends Bare {
  private readonly ept: boolean;
  private readonly hostLevel: number; //   of the host's leaves
  private readonly base: number; //        first machine frame of the guest's memory, a multiple of 512
  private nextTable = 1;

  /** @param machine - with `paging: 'none'` and `nested`; for `npt` with the feature `amd` @throws ConfigError - an option, or too little memory */
  constructor(machine: Machine, { format = 'ept', hostPages = '4k' }: StageOptions = {}) {
    if (!STAGE_FORMATS.includes(format)) throw new ConfigError('stage.format', STAGE_FORMATS.join(', '), format);
    if (hostPages !== '4k' && hostPages !== '2m') throw new ConfigError('stage.hostPages', '4k or 2m', hostPages);
    const all = machine.extents[0].frames, tables = 1 + 2 + Math.ceil(all / ENTRIES) + Math.ceil(all / ENTRIES ** 2), base = Math.ceil(tables / ENTRIES) * ENTRIES;
    const end = Math.floor((all - base) / ENTRIES) * ENTRIES;
    if (end <= 0) throw new ConfigError('memory', `at least ${(base + ENTRIES) * 4096} bytes`, all * 4096);
    super(machine, FIRST_FRAME, end);
    this.ept = format === 'ept';
    this.hostLevel = hostPages === '2m' ? 2 : 1;
    this.base = base;
    this.enter(this.buildHostTables());
  }

  override wordOf(frame: number): number {
    const mfn = this.mfnOf(frame);
    return wordOf(this.s, Math.floor(mfn / 0x100000), mfn << 12);
  }

  /** Machine frame of a guest-physical one. Within 2 MBytes frames are in no order where the host's pages are small. */
  private mfnOf(frame: number): number {
    const slot = frame % ENTRIES;
    return this.base + frame - slot + (this.hostLevel === 1 ? (slot * 5 + 3) % ENTRIES : slot);
  }

  /** @returns machine frame of the root */
  private buildHostTables(): number {
    const root = this.nextTable++, step = ENTRIES ** (this.hostLevel - 1);
    const leafBits = this.ept ? EPT_RWX | (WRITE_BACK << 3) | (step > 1 ? EPT_PS : 0) : PTE_P | PTE_RW | PTE_US | (step > 1 ? PTE_PS : 0);
    for (let frame = 0; frame < this.end; frame += step) {
      let table = root;
      for (let level = ROOT_LEVEL; level > this.hostLevel; level--) table = this.below(table, Math.floor(frame / ENTRIES ** (level - 1)) % ENTRIES);
      this.put(table, Math.floor(frame / step) % ENTRIES, this.mfnOf(frame), leafBits);
    }
    return root;
  }

  /** The table that an entry refers to, made if there is none. */
  private below(table: number, slot: number): number {
    const lo = this.s.w[wordOf(this.s, 0, table << 12) + slot * 2];
    if (lo !== 0) return lo >>> 12;
    const next = this.nextTable++;
    this.put(table, slot, next, this.ept ? EPT_RWX : PTE_P | PTE_RW | PTE_US);
    return next;
  }

  private put(table: number, slot: number, mfn: number, bits: number): void {
    storeEntry(this.s, wordOf(this.s, 0, table << 12) + slot * 2, (mfn << 12) | bits, Math.floor(mfn / 0x100000));
  }

  /** Start the guest, in 4-level paging with an empty root, which its kernel replaces. */
  private enter(root: number): void {
    const { cpu } = this, at = BigInt(root) << 12n, blank = this.end - 1;
    cpu.guest.enter(this.ept ? { format: 'ept', eptp: at | BigInt(WRITE_BACK | ((ROOT_LEVEL - 1) << EPTP_LEVELS_SHIFT)), vpid: VPID } : { format: 'npt', ncr3: at });
    const faults = [
      cpu.writeCr4(BigInt(CR4_PAE | CR4_PGE)), cpu.writeEfer(BigInt(EFER_LME | EFER_NXE)), cpu.writeCr3(BigInt(blank) << 12n),
      cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (faults.some(fault => fault !== 0)) throw new ConfigError('machine', 'a processor with 64-bit paging and NX', faults);
    cpu.setCode64(true);
  }
}
