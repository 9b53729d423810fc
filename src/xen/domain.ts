/**
 * A domain: who owns frames, what it may do, and the state of its one or more vCPUs that memory hypercalls need.
 *
 * Source: facts of Xen 4.17, struct domain (xen/include/xen/sched.h), struct arch_domain and struct pv_vcpu (xen/arch/x86/include/asm/domain.h).
 */
import type { Vcpu } from '../machine/vcpu.ts';
import type { EventPorts } from './event-port.ts';
import { GrantTable, type GrantLimits } from './grant-table.ts';

export const NO_FRAME = -1;

/** A domain of the hypervisor. Made by `Hypervisor.createDomain()`. */
export class Domain {
  readonly id: number;
  /** 32-bit (PAE) guest, with the compat structures; else 64-bit. */
  readonly is32: boolean;
  readonly privileged: boolean;
  /** Frames it may own at most. */
  maxPages: number;
  /** Frames that it owns, counted by their references (Xen's tot_pages). */
  totalPages = 0;
  /** Frames that are kept free for it, until it has them. */
  claimed = 0;
  /** Frames that are the hypervisor's but shared with it. */
  xenPages = 0;
  /** Ranges of frames that are no memory and that it may map: `[first, last]`. */
  readonly iomem: (readonly [first: number, last: number])[] = [];
  dying = false;
  /** How far its end has come: see destroy.ts. */
  readonly teardown = { stage: 0, from: 0 };
  /** It gave up all it could, and is there only until the last of its frames is. */
  dead = false;
  /** The memory map that its toolstack set, in entries of 20 bytes. */
  memoryMap: Uint8Array | undefined;
  /** Why the hypervisor has stopped it, if it has: it is to run no more. */
  crashed: string | undefined;
  readonly grants: GrantTable;
  /** Its event channels, once something asked for them: eventsOf(). */
  events: EventPorts | undefined;
  /** Bits VMASST_TYPE_*, below 32, and VMASST_TYPE_m2p_strict. */
  assists = 0;
  m2pStrict = false;
  /** Frame shared with the guest, NO_FRAME without one. */
  sharedInfo = NO_FRAME;
  /** Why it shut itself down, once it did: SHUTDOWN_*; and whether it has stopped. */
  shutdownCode = -1;
  isShutDown = false;
  /** Number of vCPUs that it may have. */
  maxVcpus = 1;
  /** First Xen-owned linear address of a 32-bit guest, where its window on the machine-to-physical table begins. */
  compatStart = 0;
  /** Highest event-channel port it may have. */
  maxEventPort = 2 ** 31 - 1;
  /** Physical interrupts it has numbers for. */
  pirqs = 0;
  readonly vcpus: GuestVcpu[] = [];

  constructor(id: number, privileged: boolean, maxPages: number, is32 = false, grants: GrantLimits = {}) {
    this.id = id;
    this.privileged = privileged;
    this.maxPages = maxPages;
    this.is32 = is32;
    this.grants = new GrantTable(grants);
  }

  /** Is a frame that is no memory permitted to this domain? */
  mayMapIo(mfn: number): boolean {
    return this.iomem.some(([first, last]) => mfn >= first && mfn <= last);
  }
}

/** Where a guest's kernel takes an exception. `flags`: bits 1:0 the least privilege that may raise it, bit 2: events are masked. */
export interface Trap {
  readonly flags: number;
  readonly selector: number;
  readonly addressLo: number;
  readonly addressHi: number;
}

/** One vCPU of a domain, as the hypervisor knows it. Frames are machine frame numbers. */
export class GuestVcpu {
  readonly domain: Domain;
  /** The machine's vCPU that runs it, undefined if it never runs. */
  readonly cpu: Vcpu | undefined;
  /** Word index of that vCPU's block. */
  readonly v: number;
  /** Root table of the guest kernel; for a 32-bit guest the hypervisor's own level-4 table, whose slot 0 holds the guest's root. */
  root = NO_FRAME;
  /** Root table of the guest's user mode (64-bit guests). */
  userRoot = NO_FRAME;
  kernelMode = true;
  // CR2 as the guest sees it: that of the last fault it was given, whatever faults the hypervisor took since.
  cr2Lo = 0;
  cr2Hi = 0;
  ldtBaseLo = 0;
  ldtBaseHi = 0;
  ldtEntries = 0;
  /** Pages of it that were used since it was set, by number: their frames, each with a type reference as PGT_SEG_DESC. */
  readonly ldt = new Map<number, number>();
  /** Frames of its descriptor table, each with a type reference as PGT_SEG_DESC. */
  readonly gdt: number[] = [];
  gdtEntries = 0;
  kernelSs = 0;
  kernelSpLo = 0;
  kernelSpHi = 0;
  /** By vector. */
  readonly traps = new Map<number, Trap>();
  /** Bases of FS, the user's GS and the kernel's, in two words each, as last set by hypercall; and selector of the user's GS. */
  readonly segmentBases = new Int32Array(6);
  userGs = 0;
  /** It waits for an event; and the port it waits for besides: 0 none, -1 any. */
  blocked = false;
  pollPort = 0;

  // A table whose type reference (or, with oldPartial, whose partial type) is still to be put, before anything else is done for this vCPU;
  // and the table of the same level that referred to it, for the count of linear entries. Xen's old_guest_table and old_guest_ptpg.
  oldTable = NO_FRAME;
  oldParent = NO_FRAME;
  oldPartial = true;

  constructor(domain: Domain, cpu: Vcpu | undefined) {
    this.domain = domain;
    this.cpu = cpu;
    this.v = cpu === undefined ? 0 : cpu.block >>> 2;
  }
}
