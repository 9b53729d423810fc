/** Whole pages of physical memory at once. */
import type { Accelerator } from '../accel/engine.ts';
import { ConfigError } from '../errors.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import { backedPages, clearPages, comparePages, copyPages, hashPages } from '../memory/pages.ts';
import type { Views } from '../memory/views.ts';
import { checkPhysical, hiWord, loWord } from './address.ts';

/**
 * Clears, copies, compares and hashes pages of RAM.
 *
 * Addresses are physical, multiples of 4096; counts are pages of 4096 bytes, 1 by default. Not for page tables that a vCPU uses.
 * Every method throws ConfigError, and does nothing, if an argument is wrong or a page is not in RAM that has bytes.
 */
export class Pages {
  private readonly s: Views;
  private readonly wasm: Accelerator | undefined;

  constructor(s: Views, wasm: Accelerator | undefined) {
    this.s = s;
    this.wasm = wasm;
  }

  /** Fill with zeroes. */
  clear(pa: bigint, pages = 1): void {
    this.check(pa, pages, 'pa');
    const hi = hiWord(pa), lo = loWord(pa);
    if (this.wasm) this.wasm.clearPages(hi, lo, pages);
    else clearPages(this.s, hi, lo, pages);
  }

  /** Copy to `to`; the ranges may overlap. */
  copy(to: bigint, from: bigint, pages = 1): void {
    this.check(to, pages, 'to');
    this.check(from, pages, 'from');
    const toHi = hiWord(to), toLo = loWord(to), hi = hiWord(from), lo = loWord(from);
    if (this.wasm) this.wasm.copyPages(toHi, toLo, hi, lo, pages);
    else copyPages(this.s, toHi, toLo, hi, lo, pages);
  }

  /** Do both ranges hold the same bytes? */
  equal(a: bigint, b: bigint, pages = 1): boolean {
    return this.difference(a, b, pages) === -1;
  }

  /** @returns offset of the first byte that differs, -1 if none does */
  difference(a: bigint, b: bigint, pages = 1): number {
    this.check(a, pages, 'a');
    this.check(b, pages, 'b');
    const aHi = hiWord(a), aLo = loWord(a), bHi = hiWord(b), bLo = loWord(b);
    const equal = this.wasm ? this.wasm.comparePages(aHi, aLo, bHi, bLo, pages) : comparePages(this.s, aHi, aLo, bHi, bLo, pages);
    return equal === pages * FRAME_BYTES ? -1 : equal;
  }

  /** A 64-bit hash of what the pages hold, not cryptographic; defined in `src/layout/page-hash.ts`. */
  hash(pa: bigint, pages = 1): bigint {
    this.check(pa, pages, 'pa');
    const hi = hiWord(pa), lo = loWord(pa);
    return BigInt.asUintN(64, this.wasm ? this.wasm.hashPages(hi, lo, pages) : hashPages(this.s, hi, lo, pages));
  }

  private check(pa: unknown, pages: unknown, field: string): void {
    const at = checkPhysical(pa, field);
    if (at % FRAME_BYTES !== 0) throw new ConfigError(field, `a multiple of ${FRAME_BYTES}`, pa);
    if (typeof pages !== 'number' || !Number.isInteger(pages) || pages < 1 || pages > 2 ** 20) throw new ConfigError('pages', 'an integer from 1 to 2^20', pages);
    const found = backedPages(this.s, Math.floor(at / 2 ** 32), at | 0, pages);
    if (found < pages) throw new ConfigError(field, `${pages} pages of RAM that has bytes`, pa);
  }
}
