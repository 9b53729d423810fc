/**
 * What every part of the hypervisor works on: the machine, the frame table, the domains, and which vCPU made the call in progress.
 *
 * Guests' mistakes are numbers (-XEN_E*); nothing here throws for them.
 */
import { ConfigError } from '../errors.ts';
import { PGC_XEN_HEAP } from '../layout/frame.ts';
import { HDR_BYTES_USED, HDR_FLUSH_CLOCK } from '../layout/header.ts';
import { HV_CLAIMED, HV_FORGET, HV_FREED, HV_FREED_AT, HV_IO, HV_XEN } from '../layout/hypervisor.ts';
import { SCOPE_PAGES } from '../layout/mailbox.ts';
import type { Machine } from '../machine/machine.ts';
import { EVERYTHING, mayHold, type Scope } from '../machine/scope.ts';
import { FRAME_BYTES, wordOf } from '../memory/extents.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';
import { Counters, REUSED } from './counters.ts';
import type { Delivery } from './delivery.ts';
import type { Domain, GuestVcpu } from './domain.ts';
import { Domains } from './domains.ts';
import { Frames, SharedFrames } from './frames.ts';
import type { FrameSource } from './frame-source.ts';
import { Guard } from './guard.ts';
import { Interrupts } from './interrupts.ts';
import { LostReferences, type Lost } from './lost.ts';
import { M2p } from './m2p.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN, INVALID_M2P_ENTRY } from './numbers.ts';
import type { OwnFrames } from './own-frames.ts';
import { readSettings, type Behaviour, type XenSlot } from './settings.ts';
import { FLUSHES, INVLPGS, IPIS, PAGES } from './work.ts';

const NO_ONE: readonly GuestVcpu[] = [];

/** Tells which references something outside the page tables holds. */
export type Holder = (hold: (mfn: number, refs: number, types: number) => void) => void;

export class Host {
  readonly machine: Machine;
  readonly s: Views;
  readonly frames: Frames;
  readonly m2p: M2p;
  readonly own: OwnFrames;
  readonly behaviour: Behaviour;
  readonly domains: Domains;
  /** Locks of machines with several vCPUs. */
  readonly guard: Guard | undefined;
  readonly io: Domain;
  readonly xen: Domain;
  readonly xenSlots: readonly XenSlot[];
  readonly compatSlots: readonly XenSlot[] | undefined;
  /** Where frames for guests come from; an embedder's own is not in the shared state. */
  source: FrameSource;
  /** The vCPU whose call, or fault, is being served. */
  current!: GuestVcpu; // set by whoever enters the hypervisor
  /** Set by a call that has to be continued: its new arguments are where its arguments were. */
  preempted = false;
  inMulticall = false;
  readonly counters: Counters;
  /** Entries that a call may look at before it is preempted, and that the one in progress still may; Infinity: never preempted. */
  readonly wholeBudget: number;
  budget = Infinity;
  readonly lostReferences: LostReferences;
  /** Who else holds references, for the audit. */
  readonly holders: Holder[] = [];
  /** How domains are told of events, those whose embedder wants to know. Not in the shared state either. */
  readonly deliveries = new Map<Domain, Delivery>();
  /** Interrupts of the machine. Not in the shared state: devices and who has them are the embedder's. */
  readonly interrupts: Interrupts;
  /** Was a frame of another domain granted to this one? For the audit. */
  isGranted: (mfn: number, domain: Domain) => boolean = () => false;
  /** What was just copied from the guest, and what is about to be copied there. */
  readonly buffer = new Int32Array(1024);
  readonly bytes = new Uint8Array(this.buffer.buffer);

  /** Look at a hypervisor whose block, frame table, machine-to-physical table and own domains are laid. */
  constructor(machine: Machine, own: OwnFrames, source: FrameSource) {
    this.machine = machine;
    this.s = machine.views;
    this.own = own;
    this.frames = this.s.atomic ? new SharedFrames(own) : new Frames(own);
    this.guard = this.s.atomic ? new Guard(own, machine.vcpus) : undefined;
    if (this.guard) this.guard.onForget = () => this.forgetAll();
    this.m2p = new M2p(own);
    this.source = source;
    this.domains = new Domains(own, machine.vcpus);
    this.io = this.domains.at(this.s.w[own.block + (HV_IO >>> 2)] >>> 2);
    this.xen = this.domains.at(this.s.w[own.block + (HV_XEN >>> 2)] >>> 2);
    this.lostReferences = new LostReferences(own);
    this.counters = new Counters(own, machine.vcpus.length);
    const { gsis, ...settings } = readSettings(own);
    this.interrupts = new Interrupts(gsis);
    ({ behaviour: this.behaviour, budget: this.wholeBudget, xenSlots: this.xenSlots, compatSlots: this.compatSlots } = settings);
    this.frames.onFree = mfn => this.freeLast(mfn);
    this.s.w[HDR_BYTES_USED >>> 2] = this.s.byteLength / WASM_PAGE_BYTES;
  }

  /** Frames were freed since all vCPUs were last flushed. */
  get freed(): boolean { return this.s.w[this.own.block + (HV_FREED >>> 2)] !== 0; }
  set freed(freed: boolean) { this.s.w[this.own.block + (HV_FREED >>> 2)] = freed ? 1 : 0; }

  /** Frames that are kept free for domains, all together. */
  get claimed(): number { return this.s.w[this.own.block + (HV_CLAIMED >>> 2)]; }
  set claimed(pages: number) { this.s.w[this.own.block + (HV_CLAIMED >>> 2)] = pages; }

  /** References that the real Xen loses too. */
  get lost(): readonly Lost[] { return this.lostReferences.list(); }

  /** Word index of the entries of a table. */
  table(mfn: number): number {
    return wordOf(this.s, mfn >>> 20, mfn << 12);
  }

  /** Share a frame of the hypervisor with a domain, writable. Source: Xen 4.17, share_xen_page_with_guest() (xen/arch/x86/mm.c). */
  shareFrame(domain: Domain, mfn: number): void {
    if (!this.frames.valid(mfn) || !this.frames.isFree(mfn)) throw new ConfigError('mfn', 'a free frame', mfn);
    this.shareAgain(domain, mfn);
  }

  /** ... one that was, and that no one refers to any more. */
  shareAgain(domain: Domain, mfn: number): void {
    this.frames.assign(mfn, domain.id, PGC_XEN_HEAP);
    this.frames.setWritable(mfn);
    domain.xenPages++;
  }

  /** A frame of devices: writable for good, so that no one makes a table of it. Source: Xen 4.17, assign_io_page() (xen/arch/x86/mm.c). */
  keepForDevices(mfn: number): void {
    this.frames.assign(mfn, DOMID_IO);
    this.frames.setWritable(mfn);
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

  /** The domain that memory_op names: by its number too, but none of those with a meaning of their own. Source: rcu_lock_domain_by_any_id(). */
  anyDomain(domid: number): Domain | undefined {
    return domid === DOMID_SELF ? this.current.domain : this.domains.get(domid);
  }

  /** May the caller change what a domain has? Source: Xen 4.17, xsm_default_action() with XSM_TARGET (xen/include/xsm/dummy.h). */
  mayControl(domain: Domain): boolean {
    return domain === this.current.domain || this.current.domain.privileged;
  }

  /**
   * The last reference to a frame was put. A frame of the hypervisor is free only with the domain that it was shared with.
   * Source: Xen 4.17, cleanup_page_mappings() (xen/arch/x86/mm.c), free_domheap_pages() (xen/common/page_alloc.c).
   */
  private freeLast(mfn: number): void {
    const { guard } = this, owner = this.ownerOf(mfn);
    guard?.takeHeap();
    this.freeFrame(mfn, owner);
    guard?.giveHeap();
    if (!owner?.dead) return;
    if (guard?.isBeside) guard.forgetLater();
    else this.forget(owner);
  }

  private freeFrame(mfn: number, owner: Domain | undefined): void {
    this.frames.setType(mfn, 0);
    if (this.frames.isXenHeap(mfn)) {
      if (owner) owner.xenPages--;
    } else {
      if (owner) owner.totalPages--;
      if (owner && owner.claimed > 0) {
        owner.claimed++;
        this.claimed++;
      }
      this.release(mfn, owner === undefined || owner.dying);
    }
  }

  /** Domains that are dead and have no frame left are no more. */
  private forgetAll(): void {
    Atomics.store(this.s.w, this.own.block + (HV_FORGET >>> 2), 0);
    for (const domain of [...this.domains.values()]) if (domain.dead) this.forget(domain);
  }

  /**
   * A frame that no one refers to is free.
   *
   * @param clear - its bytes must not be seen by who gets it next
   * Source: Xen 4.17, free_heap_pages(), mark_page_free() (xen/common/page_alloc.c).
   */
  release(mfn: number, clear: boolean): void {
    this.frames.setType(mfn, 0);
    this.frames.setOwner(mfn, 0, 0);
    this.m2p.set(mfn, INVALID_M2P_ENTRY, INVALID_M2P_ENTRY);
    if (clear || this.behaviour.scrubDomheap) {
      const at = this.table(mfn);
      this.s.w.fill(0, at, at + FRAME_BYTES / 4);
      this.counters.work.add(PAGES, 1);
    }
    this.freed = true;
    this.s.w[this.own.block + (HV_FREED_AT >>> 2)] = this.s.w[HDR_FLUSH_CLOCK >>> 2];
    this.source.release(mfn);
  }

  /** Before freed frames are used again no vCPU may reach them through what it cached. */
  flushFreed(): void {
    if (!this.freed) return;
    for (const domid of this.domains.keys()) this.flushStale(domid, this.s.w[this.own.block + (HV_FREED_AT >>> 2)], REUSED);
    this.freed = false;
  }

  /** A domain that gave up all is no more once the last of its frames is not. Source: Xen 4.17, domain_destroy() (xen/common/domain.c). */
  forget(domain: Domain): void {
    if (domain.totalPages !== 0 || domain.xenPages !== 0) return;
    this.domains.delete(domain);
    this.deliveries.delete(domain);
    for (let mfn = 0; mfn < this.frames.count; mfn++) {
      if (this.frames.isXenHeap(mfn) && this.frames.owner(mfn) === domain.id) this.release(mfn, false);
    }
  }

  /** Has the call in progress to be preempted? Here interrupts of other processors are taken, too. Source: hypercall_preempt_check(). */
  preemptCheck(): boolean {
    if (this.guard !== undefined) this.s.locks.pass();
    return --this.budget < 0;
  }

  /** Do something that must not be preempted. */
  unpreempted(what: () => void): void {
    const { budget } = this;
    this.budget = Infinity;
    what();
    this.budget = budget;
  }

  /** Invalidate everything that the vCPUs of a domain have cached. @param cause - why, for the counters */
  flushAll(domid: number, cause: number): void {
    this.invalidate(this.domains.get(domid)?.vcpus ?? NO_ONE, EVERYTHING, cause);
  }

  /**
   * ... of those that may have cached what could be used last at tick `stamp`. With one vCPU no one keeps ticks.
   *
   * Source: facts of Xen 4.17, tlbflush_filter() (xen/arch/x86/include/asm/flushtlb.h), filtered_flush_tlb_mask() (xen/include/xen/mm.h).
   */
  flushStale(domid: number, stamp: number, cause: number): void {
    const guests = this.domains.get(domid)?.vcpus ?? NO_ONE;
    if (!this.s.atomic) return this.invalidate(guests, EVERYTHING, cause);
    const stale = guests.filter(guest => guest.cpu !== undefined && mayHold(this.s, guest.v, stamp));
    this.counters.filtered(cause, guests.length - stale.length);
    this.invalidate(stale, EVERYTHING, cause);
  }

  /** Invalidate everything that a vCPU has cached. */
  flush(guest: GuestVcpu, cause: number): void {
    if (guest !== this.current) return this.invalidate([guest], EVERYTHING, cause);
    if (guest.cpu === undefined) return;
    this.machine.shootdowns.here(guest.v, EVERYTHING);
    this.counters.work.add(FLUSHES, 1);
  }

  /** Have vCPUs invalidate what a scope says, and wait until they have. */
  invalidate(guests: readonly GuestVcpu[], scope: Readonly<Scope>, cause: number): void {
    const { shootdowns } = this.machine, one = scope.kind === SCOPE_PAGES;
    for (let k = 0; k < guests.length; k++) {
      const guest = guests[k], here = guest === this.current;
      if (guest.cpu === undefined) continue;
      if (here || !this.s.atomic) shootdowns.here(guest.v, scope);
      else shootdowns.post(guest.v, scope);
      this.counters.work.add(here ? one ? INVLPGS : FLUSHES : IPIS, 1);
      if (!here) this.counters.sent(cause);
    }
    if (this.s.atomic) shootdowns.wait();
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
