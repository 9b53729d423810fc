/**
 * What accesses load and store. A trace does not say: here a process is a machine whose state is one word. Each load mixes what it finds
 * into the word, each store writes a value made of it, so that a single wrong byte anywhere changes everything after it.
 */
import type { AccessColumns } from '../machine/columns.ts';
import { wordOf } from '../memory/extents.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import { PAGE_BYTES, PAGE_WORDS } from './platform.ts';

const LOAD = 0, STORE = 1, FETCH = 2; // a modify is both
const PRIME = 0x01000193;
const GOLDEN = 0x9e3779b1 | 0;

/** The state of a process: what it has loaded and stored so far. */
export class Contents {
  word = 0;
  stores = 0;

  constructor(seed: number) {
    this.word = seed;
  }

  /** Do what accesses `from` up to `to` do, which were translated just now. */
  transfer(k: Kernel, mm: Mm, columns: AccessColumns, from: number, to: number): void {
    const { kind, pa, size } = columns, { s } = k.p, { w } = s;
    let { word } = this;
    for (let i = from; i < to; i++) {
      const what = kind[i];
      if (what === FETCH) continue;
      const lo = pa[2 * i], at = wordOf(s, pa[2 * i + 1], lo);
      if (what !== STORE) word = Math.imul(word ^ w[at], PRIME) + 1 | 0;
      if (what === LOAD) continue;
      const value = Math.imul(word + this.stores++, GOLDEN), bytes = size[i];
      if (((lo | bytes) & 3) === 0 && (lo & (PAGE_BYTES - 1)) + bytes <= PAGE_BYTES) storeWords(w, at, bytes >>> 2, value);
      else this.storeBytes(k, mm, columns, i, at, value);
    }
    this.word = word;
  }

  /** A store that is not of whole words, or crosses a page. */
  private storeBytes(k: Kernel, mm: Mm, { va, pa, size }: AccessColumns, i: number, at: number, value: number): void {
    const { s } = k.p;
    let to = at * 4 + (pa[2 * i] & 3), left = PAGE_BYTES - (pa[2 * i] & (PAGE_BYTES - 1));
    let page = Math.floor(((va[2 * i + 1] >>> 0) * 2 ** 32 + (va[2 * i] >>> 0)) / PAGE_BYTES);
    for (let done = 0; done < size[i]; done++) {
      if (left-- === 0) {
        to = k.p.wordOf(k.tables.frameOfPage(mm.context, ++page)) * 4;
        left = PAGE_BYTES - 1;
      }
      s.u8[to++] = value >>> ((done & 3) * 8);
    }
  }
}

function storeWords(w: Int32Array, at: number, words: number, value: number): void {
  for (let k = 0; k < words; k++) w[at + k] = value + k | 0;
}

/** Words mixed into 64 bits, of two lanes. */
class Hash {
  private a = 0x243f6a88;
  private b = 0x85a308d3 | 0;

  add(value: number): void {
    this.a = Math.imul(this.a ^ value, GOLDEN) ^ (this.a >>> 15);
    this.b = Math.imul(this.b + value | 0, PRIME) ^ (this.b >>> 13) ^ this.a;
  }

  toString(): string {
    return [this.a, this.b].map(lane => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

/** What a process is at its end: its state, its areas, and all pages that are its own and are not zeroes, by their addresses. */
export function hashOf(k: Kernel, mm: Mm, contents: Contents | undefined): string {
  const hash = new Hash();
  hash.add(contents?.word ?? 0);
  hash.add(contents?.stores ?? 0);
  for (const vma of mm.vmas.all) {
    for (const value of [vma.start, vma.end, vma.prot]) hash.add(value);
    for (let page = vma.start; page < vma.end; page++) addPage(k, mm, hash, page, vma.file?.pages.get(vma.offset + page - vma.start));
  }
  return hash.toString();
}

function addPage(k: Kernel, mm: Mm, hash: Hash, page: number, ofFile: number | undefined): void {
  const words = pageWords(k, mm, page, ofFile);
  if (words === undefined || words.every(word => word === 0)) return;
  hash.add(page);
  for (let i = 0; i < PAGE_WORDS; i++) hash.add(words[i]);
}

/** The words of a page that is in memory or swapped out; undefined: it is a file's, or was never touched. */
function pageWords(k: Kernel, mm: Mm, page: number, ofFile: number | undefined): Int32Array | undefined {
  const frame = k.tables.frameOfPage(mm.context, page);
  if (frame < 0) return k.reclaim.wordsOfPage(mm, page);
  if (frame === ofFile) return undefined;
  const at = k.p.wordOf(frame);
  return k.p.s.w.subarray(at, at + PAGE_WORDS);
}
