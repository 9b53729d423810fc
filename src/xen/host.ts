/**
 * What every part of the hypervisor works on: the machine, the frame table, the domains, and which vCPU made the call in progress.
 *
 * Guests' mistakes are numbers (-XEN_E*); nothing here throws for them.
 */
import { HDR_BYTES_USED } from '../layout/header.ts';
import { PGC_XEN_HEAP } from '../layout/frame.ts';
import type { Machine } from '../machine/machine.ts';
import { wordOf } from '../memory/extents.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';
import { Domain, type GuestVcpu } from './domain.ts';
import { Frames } from './frames.ts';
import type { M2p } from './m2p.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN, INVALID_M2P_ENTRY } from './numbers.ts';

/** Where the frames that memory hypercalls hand out come from. An embedder may supply its own; what it returns is checked. */
export interface FrameSource {
  /** A free frame for a domain, or -1 if there is none. */
  allocate(domid: number): number;
  /** A free frame to share with a domain: for entries of its grant table or their status. Default: as `allocate()`. */
  allocateShared?(domid: number, use: 'grant' | 'status'): number;
  /** A frame is free again. */
  release(mfn: number): void;
}

/** What of the real Xen's behaviour can be turned off. */
export interface Behaviour {
  /** CONFIG_PV_LINEAR_PT: a guest may use a table as a table of the next lower level. */
  readonly linearPageTables: boolean;
  /** Release builds leave a level-2 table partial for good if its validation, and that of the tables above, fails in certain slots. */
  readonly leakPartialTables: boolean;
  /**
   * GNTTABOP_copy: that a frame named by its number is the caller's own is checked for each operation, as distributors' builds of 4.17.7 do.
   * 4.17.7 as released (gnttab_copy_lock_domain()) checks it only where it looks the domains up: after an operation that named a domain and a
   * grant of it, the next one may name any frame of that domain.
   */
  readonly checkEachCopy: boolean;
}

/** Entries that the hypervisor puts into every root table: `[slot, low word, high word]`. */
export type XenSlot = readonly [slot: number, lo: number, hi: number];

/** References that nothing holds any more. */
export interface Lost {
  /** Which behaviour of the real Xen lost them. */
  readonly by: 'leakPartialTables' | 'shared compat table';
  readonly mfn: number;
  readonly refs: number;
  readonly types: number;
}

/** Tells which references something outside the page tables holds. */
export type Holder = (hold: (mfn: number, refs: number, types: number) => void) => void;

export class Host {
  readonly machine: Machine;
  readonly s: Views;
  readonly frames: Frames;
  readonly m2p: M2p;
  readonly behaviour: Behaviour;
  readonly domains = new Map<number, Domain>();
  readonly io = new Domain(DOMID_IO, false, 0);
  readonly xen = new Domain(DOMID_XEN, false, 0);
  xenSlots: readonly XenSlot[] = [];
  compatSlots: readonly XenSlot[] | undefined;
  source: FrameSource;
  /** The vCPU whose call, or fault, is being served. */
  current!: GuestVcpu; // set by whoever enters the hypervisor
  /** Set by a call that has to be continued: its new arguments are where its arguments were. */
  preempted = false;
  inMulticall = false;
  /** Entries that the call in progress may still look at before it is preempted; Infinity: never preempted. */
  budget = Infinity;
  /** References that the real Xen loses too. */
  readonly lost: Lost[] = [];
  /** Who else holds references, for the audit. */
  readonly holders: Holder[] = [];
  /** Was a frame of another domain granted to this one? For the audit. */
  isGranted: (mfn: number, domain: Domain) => boolean = () => false;
  /** What was just copied from the guest, and what is about to be copied there. */
  readonly buffer = new Int32Array(1024);
  readonly bytes = new Uint8Array(this.buffer.buffer);

  constructor(machine: Machine, frames: Frames, m2p: M2p, source: FrameSource, behaviour: Behaviour) {
    this.machine = machine;
    this.s = machine.views;
    this.frames = frames;
    this.m2p = m2p;
    this.source = source;
    this.behaviour = behaviour;
    frames.onFree = mfn => this.freeFrame(mfn);
    this.s.w[HDR_BYTES_USED >>> 2] = this.s.byteLength / WASM_PAGE_BYTES;
  }

  /** Word index of the entries of a table. */
  table(mfn: number): number {
    return wordOf(this.s, mfn >>> 20, mfn << 12);
  }

  /** Share a frame of the hypervisor with a domain, writable. Source: Xen 4.17, share_xen_page_with_guest() (xen/arch/x86/mm.c). */
  shareFrame(domain: Domain, mfn: number): void {
    this.frames.assign(mfn, domain.id, PGC_XEN_HEAP);
    this.frames.setWritable(mfn);
    domain.xenPages++;
  }

  /** A domain by its number. */
  domain(domid: number): Domain | undefined {
    return this.domains.get(domid);
  }

  /** The domain that owns a frame, which must have one. */
  ownerOf(mfn: number): Domain | undefined {
    const owner = this.frames.owner(mfn);
    return owner === DOMID_IO ? this.io : owner === DOMID_XEN ? this.xen : this.domains.get(owner);
  }

  /**
   * The domain that a call names as the owner of frames, undefined for -ESRCH. Its own number a domain may not use.
   * Source: Xen 4.17, get_pg_owner() (xen/common/page_alloc.c).
   */
  foreignDomain(domid: number): Domain | undefined {
    const own = this.current.domain;
    if (domid === own.id) return undefined;
    if (domid === DOMID_SELF) return own;
    if (domid === DOMID_IO) return this.io;
    if (domid === DOMID_XEN) return this.xen;
    return this.domains.get(domid);
  }

  /**
   * The last reference to a frame was put.
   * Source: Xen 4.17, cleanup_page_mappings() (xen/arch/x86/mm.c), free_domheap_pages(), free_heap_pages() (xen/common/page_alloc.c).
   */
  private freeFrame(mfn: number): void {
    const owner = this.ownerOf(mfn);
    if (this.frames.flags(mfn) & PGC_XEN_HEAP) {
      if (owner) owner.xenPages--;
    } else {
      if (owner) owner.totalPages--;
      this.m2p.set(mfn, INVALID_M2P_ENTRY, INVALID_M2P_ENTRY);
    }
    this.frames.setType(mfn, 0);
    this.frames.setOwner(mfn, 0, 0);
    this.source.release(mfn);
  }

  /** Has the call in progress to be preempted? Source: hypercall_preempt_check(). */
  preemptCheck(): boolean {
    return --this.budget < 0;
  }

  /** Do something that must not be preempted. */
  unpreempted(what: () => void): void {
    const { budget } = this;
    this.budget = Infinity;
    what();
    this.budget = budget;
  }

  /** Invalidate everything that the vCPUs of a domain have cached. */
  flushAll(domid: number): void {
    for (const guest of this.domains.get(domid)?.vcpus ?? []) guest.cpu?.flush();
  }

  /** Ask for the call in progress to be made again, with up to four other arguments. @param at - word index of its arguments @returns its number */
  continueCall(nr: number, at: number, ...args: (readonly [lo: number, hi: number])[]): number {
    args.forEach(([lo, hi], k) => {
      this.s.w[at + k * 2] = lo;
      this.s.w[at + k * 2 + 1] = hi;
    });
    this.preempted = true;
    return nr;
  }
}
