/** Pages of a vCPU's local descriptor table that were used since it was set, by number: their frames, each with a type reference as PGT_SEG_DESC. */
import { GUEST_LDT, GUEST_LDT_END } from '../layout/guest-vcpu.ts';
import type { Views } from '../memory/views.ts';

const PAGES = (GUEST_LDT_END - GUEST_LDT) / 4;
const NONE = -1;

export class LdtPages {
  private readonly s: Views;
  private readonly at: number;

  /** @param guest - word index of the vCPU's block */
  constructor(s: Views, guest: number) {
    this.s = s;
    this.at = guest + (GUEST_LDT >>> 2);
  }

  get size(): number {
    return this.values().length;
  }

  has(page: number): boolean {
    return this.get(page) !== undefined;
  }

  get(page: number): number | undefined {
    const mfn = this.s.w[this.at + page];
    return mfn === NONE ? undefined : mfn;
  }

  set(page: number, mfn: number): void {
    this.s.w[this.at + page] = mfn;
  }

  /** Their frames, by page. */
  values(): number[] {
    return [...this.s.w.subarray(this.at, this.at + PAGES)].filter(mfn => mfn !== NONE);
  }

  clear(): void {
    this.s.w.fill(NONE, this.at, this.at + PAGES);
  }
}
