/**
 * A domain: who owns frames, what it may do, and the state of its one or more vCPUs that memory hypercalls need. All of it is in the domain's
 * block in machine memory; an object reads and writes it by name, and holds nothing itself but where things are.
 *
 * Source: facts of Xen 4.17, struct domain (xen/include/xen/sched.h), struct arch_domain and struct pv_vcpu (xen/arch/x86/include/asm/domain.h).
 */
import { ConfigError } from '../errors.ts';
import {
  CRASHED_MOST, DOMAIN_ASSISTS, DOMAIN_CLAIMED, DOMAIN_COMPAT_START, DOMAIN_CRASHED, DOMAIN_CRASHED_TEXT, DOMAIN_DEAD, DOMAIN_DYING, DOMAIN_EOI_FRAME, DOMAIN_EOI_UNMASKS, DOMAIN_ID, DOMAIN_IS32,
  DOMAIN_MAX_EVENT_PORT, DOMAIN_MAX_PAGES, DOMAIN_MAX_VCPUS, DOMAIN_M2P_STRICT, DOMAIN_MEMORY_MAP, DOMAIN_MEMORY_MAP_BYTES, DOMAIN_PIRQS,
  DOMAIN_PRIVILEGED, DOMAIN_SERIAL, DOMAIN_SHARED_AT, DOMAIN_SHARED_INFO, DOMAIN_SHUTDOWN_CODE, DOMAIN_SHUT_DOWN, DOMAIN_TEARDOWN_FROM, DOMAIN_TEARDOWN_STAGE,
  DOMAIN_TOTAL_PAGES, DOMAIN_VCPUS, DOMAIN_VCPU_TABLE,
  DOMAIN_XEN_PAGES,
} from '../layout/domain.ts';
import { GUEST_BYTES, GUEST_CPU, GUEST_TRAPS } from '../layout/guest-vcpu.ts';
import { HV_EPOCH } from '../layout/hypervisor.ts';
import { VCPU_GUEST } from '../layout/vcpu.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { FRAME_BYTES, wordOf } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { EventPorts } from './event-ports.ts';
import { GrantTable } from './grant-table.ts';
import { GuestVcpu, layGuest, startGuest } from './guest-vcpu.ts';
import { IomemRanges } from './iomem.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

export type { GuestVcpu } from './guest-vcpu.ts';
export type { Trap } from './traps.ts';

export const NO_FRAME = -1;
/** vCPUs that a domain may have at most. */
export const MOST_VCPUS = 8192;

/** A domain of the hypervisor. Made by `Hypervisor.createDomain()`. */
export class Domain {
  readonly id: number;
  /** Word index of its block. */
  readonly at: number;
  /** Tells it from one that had its identifier before. */
  readonly serial: number;
  /** Ranges of frames that are no memory and that it may map. */
  readonly iomem: IomemRanges;
  readonly grants: GrantTable;
  readonly events: EventPorts;
  private readonly own: OwnFrames;
  private readonly s: Views;
  private readonly cpus: readonly Vcpu[];
  private readonly blocks: PagedTable;
  private readonly started: GuestVcpu[] = [];
  private readonly epochAt: number; // word index
  private epoch = -1;

  /** Look at a domain's block. @param cpus - the machine's vCPUs */
  constructor(own: OwnFrames, cpus: readonly Vcpu[], at: number) {
    this.own = own;
    this.s = own.s;
    this.cpus = cpus;
    this.epochAt = own.block + (HV_EPOCH >>> 2);
    this.at = at;
    this.id = this.word(DOMAIN_ID);
    this.serial = this.word(DOMAIN_SERIAL);
    this.iomem = new IomemRanges(own, at);
    this.blocks = new PagedTable(own, at + (DOMAIN_VCPU_TABLE >>> 2), GUEST_BYTES, MOST_VCPUS);
    this.grants = new GrantTable(own, at, this.blocks);
    this.events = new EventPorts(own, at, this.blocks);
  }

  private word(offset: number): number { return this.s.w[this.at + (offset >>> 2)]; }
  private put(offset: number, value: number): void { this.s.w[this.at + (offset >>> 2)] = value; }

  /** 32-bit (PAE) guest, with the compat structures; else 64-bit. */
  get is32(): boolean { return this.s.w[this.at + (DOMAIN_IS32 >>> 2)] !== 0; }
  get privileged(): boolean { return this.word(DOMAIN_PRIVILEGED) !== 0; }
  set privileged(privileged: boolean) { this.put(DOMAIN_PRIVILEGED, privileged ? 1 : 0); }
  /** Frames it may own at most. */
  get maxPages(): number { return this.word(DOMAIN_MAX_PAGES) >>> 0; }
  set maxPages(pages: number) { this.put(DOMAIN_MAX_PAGES, Math.min(pages, 2 ** 32 - 1)); }
  /** Frames that it owns, counted by their references (Xen's tot_pages). */
  get totalPages(): number { return this.word(DOMAIN_TOTAL_PAGES); }
  set totalPages(pages: number) { this.put(DOMAIN_TOTAL_PAGES, pages); }
  /** Frames that are kept free for it, until it has them. */
  get claimed(): number { return this.word(DOMAIN_CLAIMED); }
  set claimed(pages: number) { this.put(DOMAIN_CLAIMED, pages); }
  /** Frames that are the hypervisor's but shared with it. */
  get xenPages(): number { return this.word(DOMAIN_XEN_PAGES); }
  set xenPages(pages: number) { this.put(DOMAIN_XEN_PAGES, pages); }
  get dying(): boolean { return this.word(DOMAIN_DYING) !== 0; }
  set dying(dying: boolean) { this.put(DOMAIN_DYING, dying ? 1 : 0); }
  /** How far its end has come: see destroy.ts. */
  get teardownStage(): number { return this.word(DOMAIN_TEARDOWN_STAGE); }
  set teardownStage(stage: number) { this.put(DOMAIN_TEARDOWN_STAGE, stage); }
  get teardownFrom(): number { return this.word(DOMAIN_TEARDOWN_FROM); }
  set teardownFrom(from: number) { this.put(DOMAIN_TEARDOWN_FROM, from); }
  /** It gave up all it could, and is there only until the last of its frames is. */
  get dead(): boolean { return this.word(DOMAIN_DEAD) !== 0; }
  set dead(dead: boolean) { this.put(DOMAIN_DEAD, dead ? 1 : 0); }
  /** Bits VMASST_TYPE_*, below 32, and VMASST_TYPE_m2p_strict. */
  get assists(): number { return this.word(DOMAIN_ASSISTS); }
  set assists(bits: number) { this.put(DOMAIN_ASSISTS, bits); }
  get m2pStrict(): boolean { return this.word(DOMAIN_M2P_STRICT) !== 0; }
  set m2pStrict(strict: boolean) { this.put(DOMAIN_M2P_STRICT, strict ? 1 : 0); }
  /** Frame shared with the guest, NO_FRAME without one. */
  get sharedInfo(): number { return this.s.w[this.at + (DOMAIN_SHARED_INFO >>> 2)]; }
  set sharedInfo(mfn: number) {
    this.put(DOMAIN_SHARED_INFO, mfn);
    this.put(DOMAIN_SHARED_AT, wordOf(this.s, mfn >>> 20, mfn << 12) << 2);
  }

  /** Word index of its bytes, 0 without one. */
  get sharedAt(): number { return this.s.w[this.at + (DOMAIN_SHARED_AT >>> 2)] >>> 2; }
  /** Why it shut itself down, once it did: SHUTDOWN_*; and whether it has stopped. */
  get shutdownCode(): number { return this.word(DOMAIN_SHUTDOWN_CODE); }
  set shutdownCode(code: number) { this.put(DOMAIN_SHUTDOWN_CODE, code); }
  get isShutDown(): boolean { return this.word(DOMAIN_SHUT_DOWN) !== 0; }
  set isShutDown(stopped: boolean) { this.put(DOMAIN_SHUT_DOWN, stopped ? 1 : 0); }
  /** First Xen-owned linear address of a 32-bit guest, where its window on the machine-to-physical table begins. */
  get compatStart(): number { return this.word(DOMAIN_COMPAT_START) >>> 0; }
  set compatStart(address: number) { this.put(DOMAIN_COMPAT_START, address); }
  /** Highest event-channel port it may have. */
  get maxEventPort(): number { return this.word(DOMAIN_MAX_EVENT_PORT) >>> 0; }
  set maxEventPort(port: number) { this.put(DOMAIN_MAX_EVENT_PORT, Math.min(port, 2 ** 32 - 1)); }
  /** Frame in which it sees which physical interrupts have to be ended, NO_FRAME: none; and whether telling the end unmasks the port. */
  get eoiFrame(): number { return this.word(DOMAIN_EOI_FRAME); }
  set eoiFrame(mfn: number) { this.put(DOMAIN_EOI_FRAME, mfn); }
  get eoiUnmasks(): boolean { return this.word(DOMAIN_EOI_UNMASKS) !== 0; }
  set eoiUnmasks(unmasks: boolean) { this.put(DOMAIN_EOI_UNMASKS, unmasks ? 1 : 0); }
  /** Physical interrupts it has numbers for. */
  get pirqs(): number { return this.word(DOMAIN_PIRQS) >>> 0; }
  set pirqs(count: number) { this.put(DOMAIN_PIRQS, count); }

  /** Number of vCPUs that it may have. @throws ConfigError - there is no memory for what is to be known of them */
  get maxVcpus(): number { return this.word(DOMAIN_MAX_VCPUS); }
  set maxVcpus(count: number) {
    if (!Number.isInteger(count) || count < 0 || count > MOST_VCPUS) throw new ConfigError('maxVcpus', `an integer up to ${MOST_VCPUS}`, count);
    this.layBlocks(count);
    this.put(DOMAIN_MAX_VCPUS, count);
  }

  /** Why the hypervisor has stopped it, if it has: it is to run no more. Characters of one byte, at most 252. */
  get crashed(): string | undefined {
    const length = this.word(DOMAIN_CRASHED), from = this.at * 4 + DOMAIN_CRASHED_TEXT;
    return length === 0 ? undefined : String.fromCharCode(...this.s.u8.slice(from, from + length));
  }

  set crashed(why: string) {
    const length = Math.min(why.length, CRASHED_MOST), from = this.at * 4 + DOMAIN_CRASHED_TEXT;
    this.put(DOMAIN_CRASHED, length);
    for (let k = 0; k < length; k++) this.s.u8[from + k] = why.charCodeAt(k);
  }

  /** The memory map that its toolstack set, in entries of 20 bytes: a view of it. */
  get memoryMap(): Uint8Array | undefined {
    const from = this.word(DOMAIN_MEMORY_MAP) >>> 0;
    return from === 0 ? undefined : this.s.u8.subarray(from, from + this.word(DOMAIN_MEMORY_MAP_BYTES));
  }

  /** @returns false, with nothing changed: there is no memory for it */
  setMemoryMap(map: Uint8Array): boolean {
    const at = this.own.allocate(Math.ceil((map.length + 1) / FRAME_BYTES));
    if (at === 0) return false;
    this.dropMemoryMap();
    this.s.u8.set(map, at * 4);
    this.put(DOMAIN_MEMORY_MAP, at << 2);
    this.put(DOMAIN_MEMORY_MAP_BYTES, map.length);
    return true;
  }

  private dropMemoryMap(): void {
    const { memoryMap } = this;
    if (memoryMap) this.own.free(this.word(DOMAIN_MEMORY_MAP) >>> 2, Math.ceil((memoryMap.length + 1) / FRAME_BYTES));
    this.put(DOMAIN_MEMORY_MAP, 0);
  }

  /** Is a frame that is no memory permitted to this domain? */
  mayMapIo(mfn: number): boolean {
    return this.iomem.has(mfn);
  }

  /** vCPUs that were started, by number. */
  get vcpus(): readonly GuestVcpu[] {
    if (this.epoch !== this.s.w[this.epochAt]) this.lookAtVcpus();
    return this.started;
  }

  /** Word index of the block of a vCPU that it may have. */
  vcpuBlock(number: number): number {
    return this.blocks.row(number);
  }

  /** Start the next vCPU. @param cpu - of the machine, that runs it; undefined: none does @throws ConfigError - there is no memory for what is to be known of it */
  addVcpu(cpu?: Vcpu): GuestVcpu {
    const number = this.word(DOMAIN_VCPUS);
    this.layBlocks(number + 1);
    const at = this.blocks.row(number), { w } = this.s;
    startGuest(w, at);
    w[at + (GUEST_TRAPS >>> 2)] = this.own.need(1) << 2;
    if (cpu !== undefined) {
      w[at + (GUEST_CPU >>> 2)] = cpu.block;
      w[(cpu.block + VCPU_GUEST) >>> 2] = at << 2;
    }
    this.put(DOMAIN_VCPUS, number + 1);
    this.changed();
    return this.vcpus[number];
  }

  /** None of its vCPUs runs any more. */
  stopVcpus(): void {
    for (const { cpu } of this.vcpus) if (cpu !== undefined) this.s.w[(cpu.block + VCPU_GUEST) >>> 2] = 0;
    this.changed();
  }

  /** Its vCPUs from a number up are no more, nor the level-4 tables that the hypervisor made for those of a 32-bit guest. */
  dropVcpus(from = 0): void {
    for (const { at, root } of this.vcpus.slice(from)) {
      this.own.free(this.s.w[at + (GUEST_TRAPS >>> 2)] >>> 2, 1);
      if (this.is32 && root !== NO_FRAME) this.own.free(this.own.wordAt(root), 1);
    }
    this.put(DOMAIN_VCPUS, Math.min(from, this.word(DOMAIN_VCPUS)));
    this.changed();
  }

  /** What a domain that stands for no guest needs to be what makes a call. */
  idleVcpu(): GuestVcpu {
    this.layBlocks(1);
    return new GuestVcpu(this.s, this, this.blocks.row(0), this.cpus[0]);
  }

  /** Give back the memory that it is known in. */
  free(): void {
    this.dropMemoryMap();
    this.iomem.clear();
    this.grants.clear();
    this.events.clear();
    this.blocks.clear();
    this.own.free(this.at, 1);
  }

  private changed(): void {
    this.s.w[this.epochAt]++;
  }

  /** Make room for blocks of so many vCPUs. */
  private layBlocks(count: number): void {
    const before = this.blocks.capacity;
    if (!this.blocks.reserve(count)) throw new ConfigError('own.frames', `frames for what is known of ${count} vCPUs`, this.own.frames);
    for (let k = before; k < this.blocks.capacity; k++) layGuest(this.s.w, this.blocks.row(k), this.id, k, this.at);
  }

  private lookAtVcpus(): void {
    const { started } = this, { w } = this.s;
    started.length = this.word(DOMAIN_VCPUS);
    for (let k = 0; k < started.length; k++) {
      const at = this.blocks.row(k), block = w[at + (GUEST_CPU >>> 2)] >>> 0;
      if (started[k]?.at !== at || !started[k].isCurrent()) started[k] = new GuestVcpu(this.s, this, at, this.cpus.find(cpu => cpu.block === block));
    }
    this.epoch = w[this.epochAt];
  }
}
