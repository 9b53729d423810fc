/**
 * The machine-to-physical table: for each machine frame the pseudo-physical frame that its owner calls it by, all ones for none. Guests read
 * it through a read-only window: 8 bytes a frame for 64-bit guests, 4 for 32-bit ones; it exists in both forms.
 *
 * Source: facts of Xen 4.17, set_gpfn_from_mfn() (xen/arch/x86/include/asm/mm.h), xen/arch/x86/x86_64/mm.c: paging_init(),
 *         setup_m2p_table(), setup_compat_m2p_table().
 */
import { PTE_A, PTE_HI_XD, PTE_P, PTE_PS, PTE_US } from '../arch/pte.ts';
import { HV_FRAMES, HV_M2P_LEVEL3, HV_M2P_NARROW, HV_M2P_WIDE } from '../layout/hypervisor.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { tableAt, type OwnFrames } from './own-frames.ts';

const ENTRIES = 512;
const LARGE_BYTES = ENTRIES * FRAME_BYTES;
const WINDOW_LO = PTE_P | PTE_US | PTE_A;

export class M2p {
  /** Level-3 table of the 64-bit window. */
  readonly level3: number;
  private readonly s: Views;
  private readonly count: number;
  /** Word index of the first entry of 8 bytes. */
  readonly wide: number;
  private readonly first: number; //  first frame of those
  private readonly narrow: number; // ... of 4 bytes
  private readonly compat: number; // first frame of those

  /**
   * Build the table, all ones, and the paging structures of its 64-bit window, for the frames that HV_FRAMES says.
   *
   * @param level3 - frame to hold the window's level-3 table @param compat - first of the frames that hold the 4-byte form, a multiple of 512
   */
  static create(own: OwnFrames, level3?: number, compat?: number): M2p {
    const { s: { w }, block } = own, frames = w[block + (HV_FRAMES >>> 2)], pages = Math.ceil((frames * 8) / FRAME_BYTES);
    w[block + (HV_M2P_LEVEL3 >>> 2)] = level3 ?? own.take(1);
    w[block + (HV_M2P_WIDE >>> 2)] = own.take(pages);
    w[block + (HV_M2P_NARROW >>> 2)] = compat ?? own.take(Math.ceil((frames * 4) / LARGE_BYTES) * ENTRIES, ENTRIES);
    const table = new M2p(own);
    w.fill(-1, table.wide, table.wide + pages * (FRAME_BYTES / 4));
    w.fill(-1, table.narrow, table.narrow + Math.ceil((frames * 4) / FRAME_BYTES) * (FRAME_BYTES / 4));
    table.mapWindow(own, table.first, pages);
    return table;
  }

  /** Look at the table that was built. */
  constructor({ s, block }: OwnFrames) {
    this.s = s;
    this.count = s.w[block + (HV_FRAMES >>> 2)];
    this.level3 = s.w[block + (HV_M2P_LEVEL3 >>> 2)];
    this.first = s.w[block + (HV_M2P_WIDE >>> 2)];
    this.compat = s.w[block + (HV_M2P_NARROW >>> 2)];
    this.wide = tableAt(s, this.first);
    this.narrow = tableAt(s, this.compat);
  }

  private mapWindow(own: OwnFrames, first: number, pages: number): void {
    const entry = (table: number, slot: number, mfn: number) => {
      const at = tableAt(this.s, table) + slot * 2;
      this.s.w[at] = (mfn << 12) | WINDOW_LO;
      this.s.w[at + 1] = Math.floor(mfn / 0x100000) | PTE_HI_XD;
    };
    const level3 = tableAt(this.s, this.level3);
    this.s.w.fill(0, level3, level3 + FRAME_BYTES / 4);
    for (let page = 0, level2 = 0, level1 = 0; page < pages; page++) {
      if (page % ENTRIES ** 2 === 0) entry(this.level3, page / ENTRIES ** 2, level2 = own.take(1));
      if (page % ENTRIES === 0) entry(level2, (page / ENTRIES) % ENTRIES, level1 = own.take(1));
      entry(level1, page % ENTRIES, first + page);
    }
  }

  /** Entries of a level-2 table, from `slot` up, that show the 4-byte form to supervisors, as many as there are to the end of the table. */
  compatWindow(slot: number): (readonly [slot: number, lo: number, hi: number])[] {
    const pages = Math.min(Math.ceil((this.count * 4) / LARGE_BYTES), ENTRIES - slot);
    return Array.from({ length: pages }, (_, k) => {
      const mfn = this.compat + k * ENTRIES;
      return [slot + k, (mfn << 12) | PTE_P | PTE_PS, Math.floor(mfn / 0x100000)] as const;
    });
  }

  /** How many 2 MiB extents a form of the table has. */
  extents(wide: boolean): number {
    return Math.ceil((this.count * (wide ? 8 : 4)) / LARGE_BYTES);
  }

  /** First frame of extent `k`. */
  extent(wide: boolean, k: number): number {
    return (wide ? this.first : this.compat) + k * ENTRIES;
  }

  /** What a frame is called, its low word. */
  lo(mfn: number): number { return this.s.w[this.wide + mfn * 2]; }
  hi(mfn: number): number { return this.s.w[this.wide + mfn * 2 + 1]; }

  set(mfn: number, lo: number, hi: number): void {
    if (mfn >= this.count) return;
    this.s.w[this.wide + mfn * 2] = lo;
    this.s.w[this.wide + mfn * 2 + 1] = hi;
    this.s.w[this.narrow + mfn] = lo;
  }
}
