/**
 * The machine's interrupts as the hypervisor has them, and which of them domains have under numbers of their own (PIRQs): lines of I/O APICs
 * (GSIs) and messages of devices (MSIs). Lines from 16 up are level-triggered: once delivered, they come no more until every domain that has
 * them says that it is done (PHYSDEVOP_eoi); for edges and messages nothing has to be said.
 *
 * Source: facts of Xen 4.17, allocate_pirq(), get_free_pirq(), map_domain_pirq(), unmap_domain_pirq(), pirq_guest_bind(),
 *         __pirq_guest_unbind(), do_IRQ_guest(), desc_guest_eoi(), irq_acktype() (xen/arch/x86/irq.c).
 */
import type { Domain } from './domain.ts';
import { XEN_EBUSY, XEN_EEXIST, XEN_EINVAL, XEN_ENODEV, XEN_ENOSPC, XEN_EPERM } from './numbers.ts';

const ISA_LINES = 16;
const MOST_GUESTS = 32; //   that share an interrupt
const FREE = 0;
const RESERVED = -1; //      a PIRQ that was given out, and is no interrupt yet

/** A domain's PIRQ. */
interface Pirq {
  readonly pirq: number;
  readonly domain: Domain;
  irq: number;
  bound: boolean;
  /** It was delivered, and the domain has not said that it is done. */
  masked: boolean;
}

/** An interrupt that domains have. */
interface Irq {
  readonly level: boolean;
  /** Device and entry whose message it is. */
  readonly message: string | undefined;
  readonly guests: Pirq[];
  shareable: boolean;
  /** Domains that are not done. */
  inFlight: number;
  up: boolean;
}

export class Interrupts {
  /** Lines there are. */
  readonly gsis: number;
  private readonly irqs = new Map<number, Irq>();
  private readonly pirqs = new Map<Domain, Map<number, Pirq>>();
  private readonly devices = new Map<string, Domain>();

  constructor(gsis: number) {
    this.gsis = gsis;
  }

  /** Let a domain have a device, that it or who controls it may ask for messages of. */
  assign(domain: Domain, bus: number, devfn: number): void {
    this.devices.set(`${bus}:${devfn}`, domain);
  }

  private find(d: Domain, pirq: number): Pirq | undefined { return this.pirqs.get(d)?.get(pirq); }
  /** Does the domain have a PIRQ of this number? */
  has(d: Domain, pirq: number): boolean { return this.find(d, pirq) !== undefined; }
  isMapped(d: Domain, pirq: number): boolean { return (this.find(d, pirq)?.irq ?? FREE) > FREE; }

  private put(d: Domain, pirq: number, irq: number): Pirq {
    const row: Pirq = { pirq, domain: d, irq, bound: false, masked: false };
    if (!this.pirqs.has(d)) this.pirqs.set(d, new Map());
    this.pirqs.get(d)!.set(pirq, row);
    return row;
  }

  /** A free number: for lines, one of a line's if there is one. @returns -XEN_ENOSPC: none */
  private freePirq(d: Domain, line: boolean): number {
    if (line) for (let pirq = ISA_LINES; pirq < Math.min(this.gsis, d.pirqs); pirq++) if (!this.has(d, pirq)) return pirq;
    for (let pirq = d.pirqs - 1; pirq >= this.gsis; pirq--) if (!this.has(d, pirq)) return pirq;
    return -XEN_ENOSPC;
  }

  /** Give a number out, for an interrupt to come. @returns it, or -XEN_ENOSPC */
  reserve(d: Domain, line: boolean): number {
    const pirq = this.freePirq(d, line);
    if (pirq >= 0) this.put(d, pirq, RESERVED);
    return pirq;
  }

  /** Map a line. @param by - who asks @param pirq - under which number, -1: any @returns the number, or -XEN_E* */
  mapLine(by: Domain, d: Domain, line: number, pirq: number): number {
    if (line < 0 || line >= this.gsis) return -XEN_EINVAL;
    const own = this.find(by, line)?.irq ?? FREE;
    if (own <= FREE && !by.privileged) return -XEN_EINVAL;
    const irq = own > FREE ? own : line, number = this.choose(d, irq, pirq, true);
    if (number < 0) return number;
    return this.map(d, irq, number, { level: line >= ISA_LINES, message: undefined });
  }

  /** Map a message of a device of the domain's. @param entry - which of its messages @returns as `mapLine()` */
  mapMessage(by: Domain, d: Domain, bus: number, devfn: number, entry: number, pirq: number): number {
    if (!by.privileged) return -XEN_EPERM;
    const message = `${bus}:${devfn}:${entry}`, irq = this.newIrq(), number = this.choose(d, irq, pirq, false);
    if (number < 0) return number;
    if (number >= d.pirqs) return -XEN_EINVAL;
    if (this.devices.get(`${bus}:${devfn}`) !== d) return -XEN_ENODEV;
    if ([...this.irqs.values()].some(other => other.message === message)) return -XEN_EEXIST;
    return this.map(d, irq, number, { level: false, message });
  }

  private newIrq(): number {
    for (let irq = this.gsis; ; irq++) if (!this.irqs.has(irq)) return irq;
  }

  /** The number under which an interrupt is to be mapped: that which it has, the one asked for, or a free one. */
  private choose(d: Domain, irq: number, pirq: number, line: boolean): number {
    const current = [...this.pirqs.get(d)?.values() ?? []].find(row => row.irq === irq)?.pirq;
    if (pirq < 0) return current ?? this.freePirq(d, line);
    return current !== undefined && current !== pirq ? -XEN_EEXIST : pirq;
  }

  private map(d: Domain, irq: number, pirq: number, kind: Pick<Irq, 'level' | 'message'>): number {
    if (pirq >= d.pirqs || irq === 0) return -XEN_EINVAL;
    if (this.isMapped(d, pirq)) return pirq; // another one has the number: nothing is done, and no error told
    this.put(d, pirq, irq);
    if (!this.irqs.has(irq)) this.irqs.set(irq, { ...kind, guests: [], shareable: false, inFlight: 0, up: false });
    return pirq;
  }

  /** Undo a mapping; a port that is bound to it stays, and hears no more. @returns 0 or -XEN_EINVAL */
  unmap(d: Domain, pirq: number): number {
    const row = this.find(d, pirq);
    if (row === undefined || row.irq <= FREE) return -XEN_EINVAL;
    this.unbind(d, pirq);
    this.pirqs.get(d)!.delete(pirq);
    const isUsed = [...this.pirqs.values()].some(rows => [...rows.values()].some(other => other.irq === row.irq));
    if (!isUsed) this.irqs.delete(row.irq);
    return 0;
  }

  /** A port of the domain's is to hear of a PIRQ. @returns 0 or -XEN_E* */
  bind(d: Domain, pirq: number, share: boolean): number {
    const row = this.find(d, pirq), irq = row && this.irqs.get(row.irq);
    if (row === undefined || irq === undefined) return -XEN_EINVAL;
    if (irq.guests.length > 0 && !(share && irq.shareable)) return -XEN_EBUSY;
    if (irq.guests.length >= MOST_GUESTS) return -XEN_EBUSY;
    if (irq.guests.length === 0) irq.shareable = share;
    irq.guests.push(row);
    row.bound = true;
    return 0;
  }

  /** ... and hears no more: it is done with what it was told. */
  unbind(d: Domain, pirq: number): void {
    const row = this.find(d, pirq), irq = row && this.irqs.get(row.irq);
    if (row === undefined || irq === undefined || !row.bound) return;
    this.end(row, irq);
    irq.guests.splice(irq.guests.indexOf(row), 1);
    row.bound = false;
  }

  /** Has the domain to say that it is done with a PIRQ? */
  needsEoi(d: Domain, pirq: number): boolean {
    return this.irqs.get(this.find(d, pirq)?.irq ?? FREE)?.level ?? false;
  }

  isShared(d: Domain, pirq: number): boolean {
    return (this.irqs.get(this.find(d, pirq)?.irq ?? FREE)?.guests.length ?? 0) > 1;
  }

  private end(row: Pirq, irq: Irq): void {
    if (!row.masked) return;
    row.masked = false;
    irq.inFlight--;
  }

  /** The domain is done with a PIRQ. */
  eoi(d: Domain, pirq: number): void {
    const row = this.find(d, pirq), irq = row && this.irqs.get(row.irq);
    if (row !== undefined && irq !== undefined) this.end(row, irq);
  }

  /** The interrupt of a PIRQ, FREE if it has none. */
  irqOf(d: Domain, pirq: number): number { return this.find(d, pirq)?.irq ?? FREE; }

  /** A line goes up or down. */
  setLine(line: number, up: boolean): void {
    const irq = this.irqs.get(line);
    if (irq !== undefined) irq.up = up;
  }

  /** The interrupt of a device's message, FREE if no one has it. */
  messageIrq(bus: number, devfn: number, entry: number): number {
    for (const [number, irq] of this.irqs) if (irq.message === `${bus}:${devfn}:${entry}`) return number;
    return FREE;
  }

  /** Domains and PIRQs that an interrupt is to be told to now: none of a level-triggered one that is down, or that not all are done with. */
  due(number: number): readonly { readonly domain: Domain; readonly pirq: number }[] {
    const irq = this.irqs.get(number);
    if (irq === undefined || (irq.level && (!irq.up || irq.inFlight > 0))) return [];
    if (irq.level) {
      for (const row of irq.guests) row.masked = true;
      irq.inFlight = irq.guests.length;
    }
    return [...irq.guests];
  }

  /** A domain is gone. */
  forget(d: Domain): void {
    for (const pirq of [...this.pirqs.get(d)?.keys() ?? []]) this.unmap(d, pirq);
    this.pirqs.delete(d);
    for (const [device, owner] of this.devices) if (owner === d) this.devices.delete(device);
  }
}
