/**
 * The interrupt controllers that a hypervisor emulates for a guest that knows no other way: a local APIC for each vCPU and one I/O APIC. Fixed
 * delivery to one local APIC by its physical identifier; no timers, no inter-processor interrupts.
 *
 * Source: Intel SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)"; 82093AA I/O APIC datasheet, "Register Description";
 *         facts of Xen 4.17, vioapic_write_redirent(), vioapic_update_EOI() (xen/arch/x86/hvm/vioapic.c), vlapic_has_pending_irq() (vlapic.c).
 */
export const APIC_ID = 0x20; // offsets of registers of a local APIC
export const APIC_TPR = 0x80;
export const APIC_EOI = 0xb0;
export const APIC_ISR = 0x100;
export const APIC_IRR = 0x200;
export const IOREGSEL = 0x00; // ... and of the I/O APIC
export const IOWIN = 0x10;

const VECTORS = 256;
const FIRST_VECTOR = 16; //    those below are no interrupts
const NONE = -1;

/** The highest bit that is set of 256. */
function highest(bits: Int32Array): number {
  for (let k = bits.length; k-- > 0;) if (bits[k] !== 0) return k * 32 + 31 - Math.clz32(bits[k]);
  return NONE;
}

export class LocalApic {
  readonly id: number;
  private readonly requested = new Int32Array(VECTORS / 32); //  IRR
  private readonly inService = new Int32Array(VECTORS / 32); //  ISR
  private taskPriority = 0;
  private readonly ended: (vector: number) => void;

  /** @param ended - called with each vector whose end the guest signals */
  constructor(id: number, ended: (vector: number) => void) {
    this.id = id;
    this.ended = ended;
  }

  request(vector: number): void {
    if (vector >= FIRST_VECTOR) this.requested[vector >>> 5] |= 1 << (vector & 31);
  }

  /** The vector that the processor would take now, NONE: it has none of a high enough priority. */
  pending(): number {
    const vector = highest(this.requested), floor = Math.max(highest(this.inService), this.taskPriority);
    return vector !== NONE && (vector & 0xf0) > (floor & 0xf0) ? vector : NONE;
  }

  /** The processor takes it. */
  accept(vector: number): void {
    this.requested[vector >>> 5] &= ~(1 << (vector & 31));
    this.inService[vector >>> 5] |= 1 << (vector & 31);
  }

  read(offset: number): number {
    if (offset === APIC_ID) return this.id << 24;
    if (offset === APIC_TPR) return this.taskPriority;
    const bank = offset & ~0x70, word = (offset >>> 4) & 7;
    return bank === APIC_ISR ? this.inService[word] : bank === APIC_IRR ? this.requested[word] : 0;
  }

  write(offset: number, value: number): void {
    if (offset === APIC_TPR) this.taskPriority = value & 0xff;
    if (offset !== APIC_EOI) return;
    const vector = highest(this.inService);
    if (vector === NONE) return;
    this.inService[vector >>> 5] &= ~(1 << (vector & 31));
    this.ended(vector);
  }
}

const PINS = 48; // as Xen has for its guests
const VERSION = 0x11;
const REG_VERSION = 1;
const REG_ENTRIES = 0x10;
export const IOAPIC_LEVEL = 1 << 15; // low word of an entry; bits 7:0 are the vector, bits 31:24 of the high word the destination
export const IOAPIC_MASKED = 1 << 16;
const REMOTE_IRR = 1 << 14;
const DELIVERY_STATUS = 1 << 12;

export class IoApic {
  private readonly entries = new Int32Array(PINS * 2);
  private readonly asserted = new Int32Array(PINS); // by how many
  private selected = 0;
  private readonly deliver: (id: number, vector: number) => void;

  /** @param deliver - called with the local APIC's identifier and the vector */
  constructor(deliver: (id: number, vector: number) => void) {
    this.deliver = deliver;
    for (let pin = 0; pin < PINS; pin++) this.entries[pin * 2] = IOAPIC_MASKED;
  }

  static has(pin: number): boolean { return pin >= 0 && pin < PINS; }

  /** A line goes up, or down: it is up while any of its sources is. An edge that comes while the entry is masked is lost. */
  set(pin: number, up: boolean): void {
    this.asserted[pin] += up ? 1 : -1;
    if (!up || this.asserted[pin] !== 1) return;
    const entry = this.entries[pin * 2];
    if ((entry & IOAPIC_LEVEL) !== 0) this.raise(pin);
    else if ((entry & IOAPIC_MASKED) === 0) this.deliver(this.entries[pin * 2 + 1] >>> 24, entry & 0xff);
  }

  /** Deliver a level-triggered interrupt, if it is due. */
  private raise(pin: number): void {
    const entry = this.entries[pin * 2];
    if ((entry & (IOAPIC_MASKED | REMOTE_IRR)) !== 0 || this.asserted[pin] === 0) return;
    this.entries[pin * 2] |= REMOTE_IRR;
    this.deliver(this.entries[pin * 2 + 1] >>> 24, entry & 0xff);
  }

  /** A local APIC says that a vector is done: level-triggered lines that are up still come again. */
  end(vector: number): void {
    for (let pin = 0; pin < PINS; pin++) {
      const entry = this.entries[pin * 2];
      if ((entry & 0xff) !== vector || (entry & IOAPIC_LEVEL) === 0) continue;
      this.entries[pin * 2] &= ~REMOTE_IRR;
      this.raise(pin);
    }
  }

  read(offset: number): number {
    if (offset === IOREGSEL) return this.selected;
    if (offset !== IOWIN) return 0;
    if (this.selected === REG_VERSION) return VERSION | ((PINS - 1) << 16);
    const at = this.selected - REG_ENTRIES;
    return at >= 0 && at < PINS * 2 ? this.entries[at] : 0;
  }

  write(offset: number, value: number): void {
    if (offset === IOREGSEL) this.selected = value & 0xff;
    const at = this.selected - REG_ENTRIES;
    if (offset !== IOWIN || at < 0 || at >= PINS * 2) return;
    if ((at & 1) !== 0) {
      this.entries[at] = value;
      return;
    }
    this.entries[at] = (value & ~(DELIVERY_STATUS | REMOTE_IRR)) | ((value & IOAPIC_LEVEL) !== 0 ? this.entries[at] & REMOTE_IRR : 0);
    if ((value & IOAPIC_LEVEL) !== 0) this.raise(at >>> 1);
  }
}
