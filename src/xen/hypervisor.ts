/**
 * The hypervisor: what an embedder constructs beside a machine, and hands its guests' hypercalls and page faults to.
 *
 * All it knows is in the machine's memory (layout/hypervisor.ts, domain.ts, guest-vcpu.ts, port.ts, grant.ts, frame.ts). What is not: the
 * embedder's source of frames and other functions (`Host.holders`, `Host.isGranted`), devices with their
 * interrupts and how domains are told of events (`Host.interrupts`, `Host.deliveries`), and what lasts no longer than a call is in progress here:
 * which vCPU makes it, the budget that is left, and the buffer. A call that was preempted has its arguments in the vCPU block.
 */
import { CR0_PE, CR0_PG, CR0_WP, CR0_ET, CR0_NE, CR4_PAE, CR4_PGE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { hypervisorCosts } from '../cost/hypervisor-costs.ts';
import { ConfigError } from '../errors.ts';
import { layFrameTable } from '../frames/table.ts';
import { PGC_HELD } from '../layout/frame.ts';
import { GUEST_DOMAIN, GUEST_NUMBER } from '../layout/guest-vcpu.ts';
import { HV_EPOCH, HV_FRAMES, HV_IO, HV_XEN } from '../layout/hypervisor.ts';
import { VCPU_CALL, VCPU_CALL_ARGS, VCPU_GUEST, VCPU_TIMED } from '../layout/vcpu.ts';
import { hiWord, loWord } from '../machine/address.ts';
import type { Machine } from '../machine/machine.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { audit } from './audit.ts';
import { call, callNumber, type Serve } from './calls.ts';
import { layAccounts, MODE_SWITCH, PAGE_FAULT, type CounterValues } from './counters.ts';
import { Delivery } from './delivery.ts';
import type { Domain, GuestVcpu } from './domain.ts';
import type { DomainOptions } from './domain-options.ts';
import { layDomain } from './domains.ts';
import { makeDomain } from './make-domain.ts';
import { deliverInterrupt, raiseVirq } from './event-bind.ts';
import { destroyDomain } from './destroy.ts';
import { FreeFrames, type FrameSource } from './frame-source.ts';
import { iret, systemCall, trap } from './guest-mode.ts';
import { Host } from './host.ts';
import { checkHypervisorOptions, type HypervisorOptions } from './hypervisor-options.ts';
import { M2p } from './m2p.ts';
import { holdForDevices, isGranted } from './grant-audit.ts';
import { ldtDescriptor } from './ldt.ts';
import { DOMID_IO, DOMID_XEN, XEN_EPERM } from './numbers.ts';
import { OwnFrames } from './own-frames.ts';
import { faultAddress, guestRead, guestWrite, pageFault } from './page-fault.ts';
import { pageType } from './page-info.ts';
import { holdForEoiMaps } from './physdev-op.ts';
import { loadRoot, startRoot } from './root.ts';
import { laySettings } from './settings.ts';

const IO_FRAMES = 0x100;

export class Hypervisor {
  readonly host: Host;
  private readonly idle: GuestVcpu; // of the hypervisor itself, for what no guest asked for
  private readonly epochAt: number; // word index
  private epoch = -1; // when the current vCPU was looked up
  private readonly serve: Serve;

  /** Put a hypervisor on a machine. @throws ConfigError - an option; nothing is changed then */
  static create(machine: Machine, options: HypervisorOptions): Hypervisor {
    const frames = checkHypervisorOptions(machine, options), { views: s } = machine, own = OwnFrames.create(s, options.own);
    layFrameTable(s, frames);
    const { ioFrames = Math.min(IO_FRAMES, frames) } = options;
    s.w[own.block + (HV_FRAMES >>> 2)] = frames;
    laySettings(own, options);
    layAccounts(own, machine.vcpus.length);
    M2p.create(own, options.m2pLevel3, options.m2pCompat);
    const none = { privileged: false, is32: false, grants: { maxFrames: 0, maxMaptrackFrames: 0 } };
    s.w[own.block + (HV_IO >>> 2)] = layDomain(own, { ...none, id: DOMID_IO }) << 2;
    s.w[own.block + (HV_XEN >>> 2)] = layDomain(own, { ...none, id: DOMID_XEN }) << 2;
    const xen = new Hypervisor(machine, own, options.source);
    const { first, frames: many } = options.own;
    if (s.w[(machine.vcpus[0].block + VCPU_TIMED) >>> 2] !== 0) xen.host.counters.work.price(options.costs ?? hypervisorCosts);
    for (let mfn = 0; mfn < ioFrames; mfn++) xen.host.keepForDevices(mfn);
    for (let mfn = first; mfn < Math.min(first + many, frames); mfn++) xen.host.frames.setOwner(mfn, 0, PGC_HELD); // no one else's, ever
    return xen;
  }

  /**
   * The hypervisor of a machine once more: in another worker, or on a copy of its memory. Everything but functions is in the machine's memory,
   * so that either may take the next call.
   *
   * @param source - where frames for guests come from, if an embedder supplies it @throws ConfigError - the machine has no hypervisor
   */
  static attach(machine: Machine, { source }: Pick<HypervisorOptions, 'source'> = {}): Hypervisor {
    return new Hypervisor(machine, new OwnFrames(machine.views), source);
  }

  private constructor(machine: Machine, own: OwnFrames, source?: FrameSource) {
    this.host = new Host(machine, own, source ?? new FreeFrames(own));
    this.epochAt = own.block + (HV_EPOCH >>> 2);
    this.idle = this.host.current = this.host.xen.idleVcpu();
    this.host.holders.push(hold => holdForDevices(this.host, hold));
    this.host.holders.push(hold => holdForEoiMaps(this.host, hold));
    this.host.isGranted = (mfn, domain) => isGranted(this.host, mfn, domain);
    const { guard } = this.host;
    this.serve = guard === undefined ? call : (h, nr, at, self) => guard.sub(nr, at, () => call(h, nr, at, self));
  }

  /** Make a domain that owns the given frames, zeroed or not as they are. @throws ConfigError - an option; nothing is changed then */
  createDomain(options: DomainOptions): Domain {
    return this.alone(() => makeDomain(this.host, options));
  }

  /**
   * Let a vCPU of the machine run a vCPU of a domain, with a root table that is validated, pinned and put in use.
   *
   * @throws ConfigError - the tables are not valid
   */
  startVcpu(domain: Domain, cpu: Vcpu, root: number): GuestVcpu {
    return this.alone(() => this.start(domain, cpu, root));
  }

  private start(domain: Domain, cpu: Vcpu, root: number): GuestVcpu {
    const { current } = this.host, guest = this.host.current = domain.addVcpu(cpu);
    try {
      startRoot(this.host, guest, root);
    } catch (error) {
      this.host.current = current;
      domain.dropVcpus(guest.number);
      this.host.s.w[(cpu.block + VCPU_GUEST) >>> 2] = 0;
      throw error;
    }
    const steps = [
      cpu.writeCr4(BigInt(CR4_PAE | CR4_PGE)), cpu.writeEfer(BigInt(EFER_LME | EFER_NXE)), cpu.writeCr3(BigInt(guest.root) << 12n),
      cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (steps.some(fault => fault !== 0)) throw new ConfigError('machine', 'a processor with 64-bit paging and NX', steps);
    cpu.setCode64(true);
    loadRoot(this.host, guest);
    this.host.counters.forgive();
    return guest;
  }

  /**
   * Kill a domain: it gives up all it has. Frames that others still map live on, and its number is taken until they do not.
   *
   * @throws ConfigError - there is no such domain, or it is dead already
   */
  destroyDomain(id: number): void {
    while (!this.destroyDomainPart(id));
  }

  /**
   * The same for embedders that serve others meanwhile: as much of it as the budget allows. None of its vCPUs runs any more.
   *
   * @returns whether it is done; if not, it has to be called again @throws ConfigError - as `destroyDomain()`
   */
  destroyDomainPart(id: number): boolean {
    return this.alone(() => this.destroyPart(id));
  }

  private destroyPart(id: number): boolean {
    const { host } = this, domain = host.domain(id);
    if (domain === undefined || domain.dead) throw new ConfigError('id', 'the number of a domain that is not dead', id);
    domain.stopVcpus();
    if (host.current.domain === domain) host.current = this.idle;
    host.budget = host.wholeBudget;
    const done = destroyDomain(host, domain, this.idle);
    host.budget = Infinity;
    host.counters.forgive();
    return done;
  }

  /**
   * What frames are to a domain, as XEN_DOMCTL_getpageframeinfo3 tells.
   *
   * @returns for each, its level as a page table in use in bits 30:28, bit 31: pinned; 0xf0000000: not the domain's
   */
  pageTypes(id: number, mfns: readonly number[]): number[] {
    const domain = this.host.domain(id);
    if (domain === undefined) throw new ConfigError('id', 'the number of a domain', id);
    return mfns.map(mfn => pageType(this.host, domain, mfn));
  }

  /** The vCPU of a domain that a vCPU of the machine runs. */
  guestOf(cpu: Vcpu): GuestVcpu {
    const { w } = this.host.s, at = w[(cpu.block + VCPU_GUEST) >>> 2] >>> 2;
    if (at === 0) throw new ConfigError('cpu', 'a vCPU that runs a domain', undefined);
    return this.host.domains.get(w[at + (GUEST_DOMAIN >>> 2)])!.vcpus[w[at + (GUEST_NUMBER >>> 2)]];
  }

  /**
   * Make a hypercall.
   *
   * @param args - as the guest passes them: rdi, rsi, rdx, r10, r8; in a 32-bit guest ebx, ecx, edx, esi, edi
   * @returns rax, signed: a result, or -XEN_E*
   */
  hypercall(cpu: Vcpu, nr: number, ...args: bigint[]): bigint {
    this.setCall(cpu, nr, ...args);
    return BigInt(this.dispatch(cpu));
  }

  /** Leave a hypercall's number and arguments, as `hypercall()` has them, where `dispatch()` finds them. */
  setCall(cpu: Vcpu, nr: number, ...args: bigint[]): void {
    const w = this.host.s.w, v = cpu.block >>> 2, bits = this.guestOf(cpu).domain.is32 ? 32 : 64;
    w[v + (VCPU_CALL >>> 2)] = nr;
    w[v + (VCPU_CALL >>> 2) + 1] = nr / 2 ** 32;
    for (let k = 0; k < 5; k++) {
      const value = BigInt.asUintN(bits, args[k] ?? 0n);
      w[v + (VCPU_CALL_ARGS >>> 2) + k * 2] = loWord(value);
      w[v + (VCPU_CALL_ARGS >>> 2) + k * 2 + 1] = hiWord(value);
    }
  }

  /**
   * The fast door: number and arguments are in the vCPU block (VCPU_CALL, VCPU_CALL_ARGS). A call that is preempted is continued until it is done.
   *
   * @returns the result, a safe integer; -XEN_EPERM with nothing done in the guest's user mode, whose system calls are its kernel's to serve
   */
  dispatch(cpu: Vcpu): number {
    for (;;) {
      const rc = this.dispatchPart(cpu);
      if (!this.host.preempted) return rc;
    }
  }

  /**
   * The same for embedders that serve other vCPUs, or interrupts, between the parts of a call: as much of it as the budget allows. It is done
   * unless `host.preempted`; then its arguments are those of what is left, and it has to be dispatched again.
   */
  dispatchPart(cpu: Vcpu): number {
    const { guard } = this.host;
    if (guard === undefined) return this.dispatchNow(cpu);
    guard.begin(cpu);
    try {
      return this.dispatchNow(cpu);
    } catch (error) {
      throw guard.failed(error);
    } finally {
      guard.end();
    }
  }

  private dispatchNow(cpu: Vcpu): number {
    const { host } = this, v = cpu.block >>> 2, guest = this.enter(cpu);
    host.preempted = false;
    if (!guest.kernelMode) return -XEN_EPERM;
    host.budget = host.wholeBudget;
    trap(host, guest);
    const nr = callNumber(host.s.w, v, guest.domain.is32), rc = call(host, nr, v + (VCPU_CALL_ARGS >>> 2), this.serve);
    host.counters.count(nr, !host.preempted, host.s.w, v);
    host.budget = Infinity;
    return rc;
  }

  /**
   * The guest kernel stores bytes: an access that faults goes to the hypervisor, which may emulate it.
   *
   * @returns FAULT_NONE, or the exception that the guest sees, `vector << 16 | error code`; CR2 is `cr2()` then
   */
  write(cpu: Vcpu, va: bigint, data: Uint8Array): number {
    return this.own(cpu, guest => guestWrite(this.host, guest, va, data));
  }

  /** The guest kernel loads bytes. @returns as `write()`, `out` filled if FAULT_NONE */
  read(cpu: Vcpu, va: bigint, out: Uint8Array): number {
    return this.own(cpu, guest => guestRead(this.host, guest, va, out));
  }

  /**
   * A fault that an access of the guest took, for embedders that make the accesses themselves.
   *
   * @param fault - `vector << 16 | error code` as the processor has it, CR2 set @param va - address of the access
   * @param data - what it stores; undefined: it stores nothing
   * @returns FAULT_NONE: the store was done in its stead, go on behind it; or the exception to inject, the guest being in its kernel then
   */
  pageFault(cpu: Vcpu, fault: number, va: bigint, data?: Uint8Array): number {
    return this.own(cpu, guest => pageFault(this.host, guest, fault, va, data));
  }

  /**
   * The guest goes on in its kernel, by a system call, or in its user mode, by the hypercall iret: 64-bit guests have a root table for each.
   * An exception that the guest sees has brought it to its kernel already.
   *
   * @returns false, with nothing changed, if there is no root table for user mode
   */
  setMode(cpu: Vcpu, mode: 'kernel' | 'user'): boolean {
    return this.own(cpu, guest => this.enterMode(guest, mode === 'kernel'));
  }

  private enterMode(guest: GuestVcpu, kernel: boolean): boolean {
    const { host } = this;
    if (guest.kernelMode === kernel) return true;
    if (kernel) systemCall(host, guest);
    else if (!iret(host, guest)) return false;
    host.counters.charge(MODE_SWITCH, host.s.w, guest.v);
    return true;
  }

  /**
   * The descriptor that a selector of the guest's LDT names; its page becomes a descriptor page with the first one of it.
   *
   * @param out - the descriptor's two words @returns FAULT_NONE, or the exception to inject: #GP, or the #PF of reading the table
   */
  descriptor(cpu: Vcpu, selector: number, out: Int32Array): number {
    return this.own(cpu, guest => {
      const fault = ldtDescriptor(this.host, guest, selector, out);
      this.host.counters.charge(PAGE_FAULT, this.host.s.w, guest.v);
      return fault;
    });
  }

  /**
   * Have a domain's events delivered, and what that costs counted.
   *
   * @param via - value of HVM_PARAM_CALLBACK_IRQ; default: as a paravirtualized kernel is told
   */
  deliver(domain: Domain, via?: bigint): Delivery {
    const { deliveries } = this.host, delivery = deliveries.get(domain) ?? new Delivery(this.host, domain);
    deliveries.set(domain, delivery);
    delivery.setWay(via);
    return delivery;
  }

  /** Let a domain have a PCI device, of whose messages it may be told. */
  assignDevice(domain: Domain, bus: number, devfn: number): void {
    this.host.interrupts.assign(domain, bus, devfn);
  }

  /** A line of the machine's interrupt controllers goes up or down: domains that have it are told by their event channels. */
  setLine(gsi: number, up: boolean): void {
    this.host.interrupts.setLine(gsi, up);
    if (up) this.alone(() => deliverInterrupt(this.host, gsi));
  }

  /** A device sends one of its messages. */
  sendMessage(bus: number, devfn: number, entry = 0): void {
    this.alone(() => deliverInterrupt(this.host, this.host.interrupts.messageIrq(bus, devfn, entry)));
  }

  /**
   * A virtual interrupt of a domain is due: VIRQ_TIMER, VIRQ_CONSOLE and so on, which are the embedder's to raise.
   *
   * @param vcpu - whose it is, if each vCPU has one @returns whether a port is bound to it @throws ConfigError - the domain has no such one
   */
  raiseVirq(domain: Domain, virq: number, vcpu = 0): boolean {
    return this.alone(() => raiseVirq(this.host, domain, virq, vcpu));
  }

  /** CR2 as the guest sees it. */
  cr2(cpu: Vcpu): bigint {
    return faultAddress(this.guestOf(cpu));
  }

  /** What does not hold of the numbered invariants, in prose; empty: all is well. */
  audit(): string[] {
    return this.alone(() => audit(this.host));
  }

  /** The same after the thread of a vCPU ended in the middle of a call, which this thread's takes over. @param holder, v - see `Guard.inherit()` */
  auditAfter(holder: number, v: number): string[] {
    return this.host.guard?.inherit(holder, v, () => audit(this.host)) ?? this.audit();
  }

  /** What was done since the start, counted by the names of Xen's perfc, how often each hypercall was made, and what it cost. */
  counters(): CounterValues {
    return this.host.counters.read();
  }

  /** Do something that no vCPU asked for, while no other thread does anything. */
  private alone<T>(what: () => T): T {
    const { guard, counters } = this.host;
    if (guard === undefined) return what();
    counters.useOf(undefined);
    return guard.alone(what);
  }

  /** Do something for a vCPU, beside those of other domains. */
  private own<T>(cpu: Vcpu, what: (guest: GuestVcpu) => T): T {
    const { guard } = this.host;
    if (guard === undefined) return what(this.enter(cpu));
    guard.beginOwn(cpu);
    try {
      return what(this.enter(cpu));
    } catch (error) {
      throw guard.failed(error);
    } finally {
      guard.end();
    }
  }

  private enter(cpu: Vcpu): GuestVcpu {
    const { host } = this, epoch = host.s.w[this.epochAt];
    if (host.guard !== undefined) host.counters.useOf(host.guard.number);
    if (host.current.cpu === cpu && host.current !== this.idle && this.epoch === epoch) return host.current;
    this.epoch = epoch;
    return host.current = this.guestOf(cpu);
  }
}
