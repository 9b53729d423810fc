/** What one guest has in the structures that cache translations, and what there is in the data caches. */
import { ARR_TAGS } from '../layout/array.ts';
import { HDR_DATA_CACHES } from '../layout/header.ts';
import { TAG_CONTEXT } from '../layout/tlb.ts';
import { VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_CACHES, VCPU_NEST, VCPU_PSC } from '../layout/vcpu.ts';
import { capacity } from '../cache/array.ts';
import { contextOf } from '../mmu/mode.ts';

/** Valid entries. */
export interface Resident {
  /** Combined translations, from linear to machine addresses: those of all levels, so that one in two levels counts twice. */
  readonly tlb: number;
  /** The guest's paging-structure caches. */
  readonly psc: number;
  /** Translations from guest-physical to machine addresses. */
  readonly nestedTlb: number;
  /** Paging-structure caches of the second stage. */
  readonly nestedPsc: number;
  /** Lines in the data caches, whoever loaded them; one that several levels hold counts once. */
  readonly lines: number;
}

/** Count what the current guest of a vCPU has. @param v - word index of its block */
export function resident(w: Int32Array, v: number): Resident {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  return { tlb: entries(w, v, tlbsOf(w, v)), psc: entries(w, v, pscsOf(w, v)), nestedTlb: entries(w, n, tlbsOf(w, n)), nestedPsc: entries(w, n, pscsOf(w, n)), lines: lines(w, v) };
}

const tlbsOf = (w: Int32Array, b: number): Int32Array => w.subarray(b + (VCPU_ARRAY_LIST >>> 2), b + (VCPU_ARRAY_LIST >>> 2) + w[b + (VCPU_ARRAYS >>> 2)]);
const pscsOf = (w: Int32Array, b: number): Int32Array => w.subarray(b + (VCPU_PSC >>> 2), b + (VCPU_PSC >>> 2) + 4);

/** Valid entries of the current context of block `b`. */
function entries(w: Int32Array, b: number, arrays: Int32Array): number {
  let found = 0;
  for (const offset of arrays) forTags(w, offset, hi => { if ((hi & TAG_CONTEXT) === contextOf(w, b)) found++; });
  return found;
}

function lines(w: Int32Array, v: number): number {
  const found = new Set<string>();
  for (let level = 0; level < w[HDR_DATA_CACHES >>> 2]; level++) forTags(w, w[v + (VCPU_CACHES >>> 2) + level], (hi, lo) => found.add(`${hi} ${lo}`));
  return found.size;
}

/** @param offset - byte offset of an array, 0 = there is none */
function forTags(w: Int32Array, offset: number, visit: (hi: number, lo: number) => void): void {
  const a = offset >>> 2, tags = w[a + (ARR_TAGS >>> 2)] >>> 2;
  for (let i = 0, n = a === 0 ? 0 : capacity(w, a); i < n; i++) if (w[tags + i * 2 + 1] !== 0) visit(w[tags + i * 2 + 1], w[tags + i * 2]);
}
