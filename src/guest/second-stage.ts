/**
 * A kernel in a virtual machine whose memory a second stage translates: its frames are guest-physical ones, scattered over machine memory.
 *
 * Where all are there from the start it needs no hypervisor while it runs: its tables, CR3 and INVLPG are its own. That is what a domain of Xen
 * has; memory that comes when it is touched is what Xen calls populate on demand, and what KVM does.
 */
import { EPT_PS, EPT_RWX, EPTP_LEVELS_SHIFT, EPTQ_FINAL, NPF_HI_FINAL } from '../arch/ept.ts';
import { ACCESS_USER, faultVector } from '../arch/fault.ts';
import { PTE_P, PTE_PS, PTE_RW, PTE_US } from '../arch/pte.ts';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { stageCosts, type StageCosts } from '../cost/stage-costs.ts';
import { ConfigError, invariant } from '../errors.ts';
import { FEAT_AMD, VCPU_FEATURES } from '../layout/vcpu.ts';
import type { AccessColumns } from '../machine/columns.ts';
import { exitOf } from '../machine/guest-exit.ts';
import type { Machine } from '../machine/machine.ts';
import { storeEntry } from '../memory/entry.ts';
import { wordOf } from '../memory/extents.ts';
import { Bare, LAST_VECTOR } from './bare.ts';
import { ENTRIES } from './platform.ts';
import { Population, type Touch } from './population.ts';

export const STAGE_FORMATS = ['ept', 'npt'] as const;
export const POPULATIONS = ['start', 'lazy'] as const;
const ROOT_LEVEL = 4;
const FIRST_FRAME = 1; //       guest frame 0 is never used: a root of 0 is a common mistake
const WRITE_BACK = 6;
const VPID = 1;

export interface StageOptions {
  /** Default: that of the processor's maker. With the other's a processor has that maker's rules of entries, and else its own TLBs and prices. */
  readonly format?: (typeof STAGE_FORMATS)[number];
  /** Size of the host's pages: `4k`, in no order, or `2m`. Default `4k`. */
  readonly hostPages?: '4k' | '2m';
  /** When frames get memory: at the `start`, or each of the host's pages when it is first touched. Default `start`. */
  readonly populate?: (typeof POPULATIONS)[number];
}

export class SecondStage extends Bare {
  readonly population: Population;
  private readonly ept: boolean;
  private readonly hostLevel: number; //   of the host's leaves
  private readonly base: number; //        first machine frame of the guest's memory, a multiple of 512
  private readonly root = 1;
  private nextTable = 2;
  private readonly absent: Uint8Array; //  by page of the host: 1, no memory yet

  /**
   * @param machine - with `paging: 'none'` and `nested`; for `npt` with the feature `amd`, for `ept` without @param costs - of exits
   * @throws ConfigError - an option, or too little memory
   */
  constructor(machine: Machine, { format = isAmd(machine) ? 'npt' : 'ept', hostPages = '4k', populate = 'start' }: StageOptions = {}, costs: StageCosts = stageCosts) {
    if (!STAGE_FORMATS.includes(format)) throw new ConfigError('stage.format', STAGE_FORMATS.join(', '), format);
    if (!POPULATIONS.includes(populate)) throw new ConfigError('stage.populate', POPULATIONS.join(', '), populate);
    if (hostPages !== '4k' && hostPages !== '2m') throw new ConfigError('stage.hostPages', '4k or 2m', hostPages);
    const all = machine.extents[0].frames, tables = 1 + 2 + Math.ceil(all / ENTRIES) + Math.ceil(all / ENTRIES ** 2), base = Math.ceil(tables / ENTRIES) * ENTRIES;
    const end = Math.floor((all - base) / ENTRIES) * ENTRIES;
    if (end <= 0) throw new ConfigError('memory', `at least ${(base + ENTRIES) * 4096} bytes`, all * 4096);
    super(machine, FIRST_FRAME, end);
    this.ept = format === 'ept';
    this.hostLevel = hostPages === '2m' ? 2 : 1;
    this.base = base;
    this.population = new Population(this.s, this.cpu.block >>> 2, costs);
    this.absent = new Uint8Array(Math.ceil(end / this.step)).fill(1);
    const blank = end - 1; // the root table that the guest starts with
    for (let frame = populate === 'lazy' ? blank : 0; frame < end; frame += this.step) this.place(frame);
    this.enter(blank);
  }

  override wordOf(frame: number): number {
    if (this.absent[Math.floor(frame / this.step)] !== 0) this.populate(frame, 'kernel');
    const mfn = this.mfnOf(frame);
    return wordOf(this.s, Math.floor(mfn / 0x100000), mfn << 12);
  }

  /** Machine frame of a guest-physical one. Within 2 MBytes frames are in no order where the host's pages are small. */
  private mfnOf(frame: number): number {
    const slot = frame % ENTRIES;
    return this.base + frame - slot + (this.hostLevel === 1 ? (slot * 5 + 3) % ENTRIES : slot);
  }

  override run(columns: AccessColumns, from: number, to: number): number {
    for (let at = from; ;) {
      at = this.cpu.runBatch(columns, at, to, ACCESS_USER);
      if (at === to) return to;
      if (!this.exit(this.cpu.batchFault)) {
        this.takeFault();
        return at;
      }
    }
  }

  /** Serve an exit. @returns false: it is none, the guest has a fault */
  private exit(fault: number): boolean {
    if (faultVector(fault) <= LAST_VECTOR) return false;
    const { info, gpa } = exitOf(this.s.w, this.cpu.block >>> 2, fault), frame = Number(gpa >> 12n);
    invariant(this.absent[Math.floor(frame / this.step)] === 1, 'nothing stops this kernel but memory that is not there');
    const isFinal = this.ept ? (Number(info) & EPTQ_FINAL) !== 0 : (Number(info >> 32n) & NPF_HI_FINAL) !== 0;
    this.populate(frame, isFinal ? 'access' : 'walk');
    return true;
  }

  private populate(frame: number, touch: Touch): void {
    this.place(frame);
    this.population.add(touch, this.step);
  }

  /** Pages of 4 KBytes that the host maps, and populates, as one. */
  private get step(): number { return ENTRIES ** (this.hostLevel - 1); }

  /** Give a page of the host memory: clear, as it has not been used. */
  private place(frame: number): void {
    const { step } = this, leafBits = this.ept ? EPT_RWX | (WRITE_BACK << 3) | (step > 1 ? EPT_PS : 0) : PTE_P | PTE_RW | PTE_US | (step > 1 ? PTE_PS : 0);
    let table = this.root;
    for (let level = ROOT_LEVEL; level > this.hostLevel; level--) table = this.below(table, Math.floor(frame / ENTRIES ** (level - 1)) % ENTRIES);
    this.put(table, Math.floor(frame / step) % ENTRIES, this.mfnOf(frame - (frame % step)), leafBits);
    this.absent[Math.floor(frame / step)] = 0;
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
  private enter(blank: number): void {
    const { cpu } = this, at = BigInt(this.root) << 12n;
    cpu.guest.enter(this.ept ? { format: 'ept', eptp: at | BigInt(WRITE_BACK | ((ROOT_LEVEL - 1) << EPTP_LEVELS_SHIFT)), vpid: VPID } : { format: 'npt', ncr3: at });
    const faults = [
      cpu.writeCr4(BigInt(CR4_PAE | CR4_PGE)), cpu.writeEfer(BigInt(EFER_LME | EFER_NXE)), cpu.writeCr3(BigInt(blank) << 12n),
      cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (faults.some(fault => fault !== 0)) throw new ConfigError('machine', 'a processor with 64-bit paging and NX', faults);
    cpu.setCode64(true);
  }
}

const isAmd = ({ views, vcpus }: Machine): boolean => (views.w[(vcpus[0].block + VCPU_FEATURES) >>> 2] & FEAT_AMD) !== 0;
