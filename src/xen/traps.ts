/** Where a guest's kernel takes its exceptions: a page of rows, by vector. */
import { GUEST_TRAPS, TRAP_ADDRESS_HI, TRAP_ADDRESS_LO, TRAP_BYTES, TRAP_FLAGS, TRAP_SELECTOR, TRAP_SET } from '../layout/guest-vcpu.ts';
import type { Views } from '../memory/views.ts';

const VECTORS = 256;

/** Where a guest's kernel takes an exception. `flags`: bits 1:0 the least privilege that may raise it, bit 2: events are masked. */
export interface Trap {
  readonly flags: number;
  readonly selector: number;
  readonly addressLo: number;
  readonly addressHi: number;
}

export class Traps {
  private readonly s: Views;
  private readonly guest: number;

  /** @param guest - word index of the vCPU's block */
  constructor(s: Views, guest: number) {
    this.s = s;
    this.guest = guest;
  }

  private row(vector: number): number {
    return (this.s.w[this.guest + (GUEST_TRAPS >>> 2)] >>> 2) + vector * (TRAP_BYTES >>> 2);
  }

  private isSet(vector: number): boolean {
    return (this.s.w[this.row(vector) + (TRAP_FLAGS >>> 2)] & TRAP_SET) !== 0;
  }

  /** Vectors that have one. */
  get size(): number {
    let n = 0;
    for (let vector = 0; vector < VECTORS; vector++) if (this.isSet(vector)) n++;
    return n;
  }

  get(vector: number): Trap | undefined {
    if (vector < 0 || vector >= VECTORS || !this.isSet(vector)) return undefined;
    const { w } = this.s, at = this.row(vector);
    return {
      flags: w[at + (TRAP_FLAGS >>> 2)] & (TRAP_SET - 1), selector: w[at + (TRAP_SELECTOR >>> 2)],
      addressLo: w[at + (TRAP_ADDRESS_LO >>> 2)], addressHi: w[at + (TRAP_ADDRESS_HI >>> 2)],
    };
  }

  set(vector: number, { flags, selector, addressLo, addressHi }: Trap): void {
    const { w } = this.s, at = this.row(vector);
    w[at + (TRAP_FLAGS >>> 2)] = flags | TRAP_SET;
    w[at + (TRAP_SELECTOR >>> 2)] = selector;
    w[at + (TRAP_ADDRESS_LO >>> 2)] = addressLo;
    w[at + (TRAP_ADDRESS_HI >>> 2)] = addressHi;
  }

  clear(): void {
    this.s.w.fill(0, this.row(0), this.row(VECTORS));
  }
}
