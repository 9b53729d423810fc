/**
 * The fast table of functional mode: direct-mapped translations of the current address space, by kind of access.
 *
 * It is a TLB like any other: what it holds was true when it was filled, and every invalidation that would remove a translation from a TLB
 * removes it here. Changes of rights (CR0.WP, SMAP, AC, PKRU ...) empty it, because its hits check nothing. Layout and the inline probe:
 * layout/fast-table.ts.
 */
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE } from '../arch/fault.ts';
import {
  FAST_BYTES, FAST_CLASSES, FAST_EMPTY, FAST_ENTRIES, FAST_FETCH, FAST_LARGE, FAST_PA, FAST_READ, FAST_STRIDE, FAST_TABLE_BYTES, FAST_USED,
  FAST_USER, FAST_WRITE,
} from '../layout/fast-table.ts';
import { VCPU_FAST, VCPU_FAST_USED, VCPU_OUT_HI, VCPU_OUT_LEVEL, VCPU_OUT_LO } from '../layout/vcpu.ts';

/** Table that serves an access, -1 for the rare kinds that always walk. */
export function fastClass(access: number): number {
  if (access & (ACCESS_IMPLICIT | ACCESS_SHADOW_STACK)) return -1;
  const kind = access & ACCESS_FETCH ? FAST_FETCH : access & ACCESS_WRITE ? FAST_WRITE : FAST_READ;
  return access & ACCESS_USER ? kind + FAST_USER : kind;
}

/** Word index of the row for a linear address. */
export function fastRow(w: Int32Array, v: number, table: number, vaLo: number): number {
  return (w[v + (VCPU_FAST >>> 2)] + table * FAST_TABLE_BYTES + ((vaLo >>> 12) & (FAST_ENTRIES - 1)) * FAST_STRIDE) >>> 2;
}

/** True if the row translates this address. */
export function fastHit(w: Int32Array, row: number, vaHi: number, vaLo: number): boolean {
  return w[row] === (vaLo & ~0xfff) && w[row + 1] === vaHi;
}

/** Remember the translation in VCPU_OUT_*. */
export function fastFill(w: Int32Array, v: number, table: number, vaHi: number, vaLo: number): void {
  const row = fastRow(w, v, table, vaLo);
  w[row] = vaLo & ~0xfff;
  w[row + 1] = vaHi;
  w[row + (FAST_PA >>> 2)] = w[v + (VCPU_OUT_LO >>> 2)] & ~0xfff;
  w[row + (FAST_PA >>> 2) + 1] = w[v + (VCPU_OUT_HI >>> 2)];
  w[v + (VCPU_FAST_USED >>> 2)] |= w[v + (VCPU_OUT_LEVEL >>> 2)] > 1 ? FAST_USED | FAST_LARGE : FAST_USED;
}

/** Forget a page of every class; everything, if pages larger than a row are held. */
export function fastDropPage(w: Int32Array, v: number, vaHi: number, vaLo: number): void {
  const used = w[v + (VCPU_FAST_USED >>> 2)];
  if (used & FAST_LARGE) fastDropAll(w, v);
  if (used !== FAST_USED) return;
  for (let table = 0; table < FAST_CLASSES; table++) {
    const row = fastRow(w, v, table, vaLo);
    if (fastHit(w, row, vaHi, vaLo)) clearRow(w, row);
  }
}

/** Forget everything. */
export function fastDropAll(w: Int32Array, v: number): void {
  if (!w[v + (VCPU_FAST_USED >>> 2)]) return;
  w[v + (VCPU_FAST_USED >>> 2)] = 0;
  const first = w[v + (VCPU_FAST >>> 2)] >>> 2;
  for (let row = first; row < first + (FAST_BYTES >>> 2); row += FAST_STRIDE >>> 2) clearRow(w, row);
}

function clearRow(w: Int32Array, row: number): void {
  w[row] = FAST_EMPTY;
  w[row + 1] = w[row + 2] = w[row + 3] = 0;
}
