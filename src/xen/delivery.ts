/**
 * How a domain is told that events are pending, and how many VM exits each way costs.
 *
 *   upcall     a paravirtualized kernel: the hypervisor calls it, with events masked. No VM exits.
 *   vector     HVM_PARAM_CALLBACK_TYPE_VECTOR: the hypervisor injects a vector as it enters the guest, for as long as events are pending. It goes
 *              past the interrupt controllers: nothing is acknowledged, nothing ended, no VM exits.
 *   gsi, intx  HVM_PARAM_CALLBACK_TYPE_GSI and _PCI_INTX: a level-triggered line of an emulated I/O APIC, which is up while events are pending
 *              for vCPU 0. Each access of the guest to its interrupt controllers is a VM exit: a kernel that masks the line, signals its end
 *              and unmasks it makes 3, and 5 if it has to select the I/O APIC's register each time.
 *
 * Two more exits may come to an event, of any of the three: one if the guest had interrupts disabled when the event came (`window`; none for an
 * upcall), and one if it was running (`kick`). No processor feature is taken to help: hardware that virtualizes the local APIC and posts
 * interrupts saves the end's exit and the kick's, for what comes over the local APIC.
 *
 * Source: xen/include/public/hvm/params.h of Xen 4.17, HVM_PARAM_CALLBACK_IRQ; facts of Xen 4.17, hvm_set_callback_via(),
 *         hvm_set_callback_irq_level(), hvm_maybe_deassert_evtchn_irq(), hvm_vcpu_has_pending_irq() (xen/arch/x86/hvm/irq.c), vmx_intr_assist()
 *         (xen/arch/x86/hvm/vmx/intr.c), create_bounce_frame (xen/arch/x86/x86_64/entry.S).
 */
import { ConfigError } from '../errors.ts';
import { IoApic, LocalApic } from './apic.ts';
import type { Domain } from './domain.ts';
import { raisePirq } from './event-bind.ts';
import { isUpcallPending, takeUpcall } from './event-2l.ts';
import type { Host } from './host.ts';

export const HVM_PARAM_CALLBACK_TYPE_GSI = 0;
export const HVM_PARAM_CALLBACK_TYPE_PCI_INTX = 1;
export const HVM_PARAM_CALLBACK_TYPE_VECTOR = 2;

/** What `Delivery.take()` returns besides a vector. */
export const NOTHING = -1;
export const UPCALL = 256;

/** How a domain is told; `pin` is of the I/O APIC. */
export type Way =
  | { readonly type: 'upcall' } | { readonly type: 'none' } | { readonly type: 'vector'; readonly vector: number }
  | { readonly type: 'gsi' | 'intx'; readonly pin: number };

/** VM exits, by what caused them. */
export interface Exits {
  /** Accesses to the local APIC, and to the I/O APIC. */
  apic: number;
  ioapic: number;
  /** The guest enabled interrupts while one waited for that. */
  window: number;
  /** An event came while the vCPU was running. */
  kick: number;
}

/** What a value of HVM_PARAM_CALLBACK_IRQ means. */
export function wayOf(via: bigint): Way {
  const type = Number(via >> 56n);
  if (type === HVM_PARAM_CALLBACK_TYPE_VECTOR) return { type: 'vector', vector: Number(via & 0xffn) };
  if (type === HVM_PARAM_CALLBACK_TYPE_PCI_INTX) {
    const device = Number((via >> 11n) & 31n), line = Number(via & 3n);
    return { type: 'intx', pin: ((device * 4 + (device >>> 3) + line) & 31) + 16 };
  }
  const pin = Number(via & 0xffn);
  return type === HVM_PARAM_CALLBACK_TYPE_GSI && pin !== 0 && IoApic.has(pin) ? { type: 'gsi', pin } : { type: 'none' };
}

/** Delivers a domain's events. Made by `Hypervisor.deliver()`. */
export class Delivery {
  readonly exits: Exits = { apic: 0, ioapic: 0, window: 0, kick: 0 };
  /** Times that the guest was told. */
  taken = 0;
  private readonly host: Host;
  private readonly domain: Domain;
  private readonly apics: readonly LocalApic[];
  private readonly ioapic: IoApic;
  private readonly running: boolean[];
  private readonly awaited: boolean[]; // by vCPU: it is to exit once it enables interrupts
  private how: Way = { type: 'upcall' };
  private asserted = false;

  constructor(host: Host, domain: Domain) {
    this.host = host;
    this.domain = domain;
    this.ioapic = new IoApic((id, vector) => this.apics.find(apic => apic.id === id)?.request(vector));
    this.apics = Array.from({ length: domain.maxVcpus }, (_, vcpu) => new LocalApic(vcpu * 2, vector => this.ioapic.end(vector)));
    this.running = this.apics.map(() => false);
    this.awaited = this.apics.map(() => false);
  }

  get way(): Way { return this.how; }

  /** Change the way. @param via - of HVM_PARAM_CALLBACK_IRQ; undefined: as a paravirtualized kernel is told */
  setWay(via: bigint | undefined): void {
    this.line(false);
    this.how = via === undefined ? { type: 'upcall' } : wayOf(via);
    this.sync();
  }

  /** A vCPU runs its guest now, or does not. */
  setRunning(vcpu: number, running: boolean): void {
    this.check(vcpu);
    this.running[vcpu] = running;
  }

  /** A vCPU's events have become pending. */
  told(vcpu: number): void {
    const byLine = this.how.type === 'gsi' || this.how.type === 'intx';
    if (this.how.type === 'none' || (byLine && vcpu !== 0)) return;
    if (this.running[vcpu]) this.exits.kick++;
    this.running[vcpu] = false;
    this.sync();
  }

  /**
   * The hypervisor enters the guest: what it makes the vCPU take.
   *
   * @param interruptible - the guest has interrupts enabled @returns a vector, UPCALL, or NOTHING
   */
  take(vcpu: number, interruptible = true): number {
    this.check(vcpu);
    this.sync();
    if (this.how.type === 'upcall') return this.count(takeUpcall(this.host, this.domain, vcpu) ? UPCALL : NOTHING);
    const pending = isUpcallPending(this.host, this.domain, vcpu), apic = this.apics[vcpu];
    const vector = this.how.type === 'vector' && pending ? this.how.vector : apic.pending();
    if (vector === NOTHING) return NOTHING;
    if (!interruptible) {
      this.awaited[vcpu] = true;
      return NOTHING;
    }
    if (this.awaited[vcpu]) this.exits.window++;
    this.awaited[vcpu] = false;
    if (this.how.type !== 'vector' || !pending) apic.accept(vector);
    return this.count(vector);
  }

  private count(what: number): number {
    if (what !== NOTHING) this.taken++;
    return what;
  }

  /**
   * A message-signalled interrupt of an emulated device: address and data as the guest has put them into the device. One for vector 0 names a
   * PIRQ, and comes as an event: bits 7:0 where the destination would be, the others in the high word of the address.
   *
   * @returns false: it reached no one. Source: Xen 4.17, hvm_inject_msi() (xen/arch/x86/hvm/irq.c)
   */
  message(address: bigint, data: number): boolean {
    const id = Number((address >> 12n) & 0xffn), vector = data & 0xff;
    if (vector === 0) return raisePirq(this.host, this.domain, Number((address >> 32n) & 0xffffff00n) | id);
    const apic = this.apics.find(one => one.id === id);
    apic?.request(vector);
    return apic !== undefined;
  }

  // What the guest does with its interrupt controllers: offsets from where they are, 32-bit values.
  readApic(vcpu: number, offset: number): number {
    this.check(vcpu);
    this.exits.apic++;
    this.sync();
    return this.apics[vcpu].read(offset);
  }

  writeApic(vcpu: number, offset: number, value: number): void {
    this.check(vcpu);
    this.exits.apic++;
    this.sync();
    this.apics[vcpu].write(offset, value);
  }

  readIoApic(offset: number): number {
    this.exits.ioapic++;
    this.sync();
    return this.ioapic.read(offset);
  }

  writeIoApic(offset: number, value: number): void {
    this.exits.ioapic++;
    this.sync();
    this.ioapic.write(offset, value);
  }

  /** The line follows vCPU 0's events; that they are no longer pending is seen at the next exit. */
  private sync(): void {
    if (this.how.type === 'gsi' || this.how.type === 'intx') this.line(isUpcallPending(this.host, this.domain, 0));
  }

  private line(up: boolean): void {
    if (up === this.asserted || (this.how.type !== 'gsi' && this.how.type !== 'intx')) return;
    this.asserted = up;
    this.ioapic.set(this.how.pin, up);
  }

  private check(vcpu: number): void {
    if (this.apics[vcpu] === undefined) throw new ConfigError('vcpu', `one of the domain's ${this.apics.length}`, vcpu);
  }
}
