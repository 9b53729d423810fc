/**
 * Whole pages of machine memory at once: clear, copy, compare, hash.
 *
 * Addresses are physical, of page boundaries, as two words; `pages` are 4096 bytes each. Only RAM with bytes takes part: a run ends before
 * the first page without. Not for page tables in use, whose entries only `memory/entry.ts` writes.
 */
import { HASH_HI, HASH_LO, HASH_SEED } from '../layout/page-hash.ts';
import { backedRun, FRAME_BYTES, wordOf } from './extents.ts';
import type { Views } from './views.ts';

const PAGE_WORDS = 1024;
const LANES = 16;
const ZEROES = new Int32Array(PAGE_WORDS); // shared memory is filled word by word, but copied to at once
const frameOf = (hi: number, lo: number): number => (hi >>> 0) * 0x100000 + (lo >>> 12);

/** Word index of a frame that has bytes. */
function wordOfFrame(s: Views, frame: number): number {
  return wordOf(s, Math.floor(frame / 0x100000), (frame << 12) | 0);
}

/** @returns how many of `pages` pages have bytes, up to the first that has none */
export function backedPages(s: Views, hi: number, lo: number, pages: number): number {
  const frame = frameOf(hi, lo);
  let done = 0;
  for (let n = 1; n > 0 && done < pages; done += n) n = backedRun(s, frame + done);
  return Math.min(done, pages);
}

/** Fill pages with zeroes. @returns pages cleared */
export function clearPages(s: Views, hi: number, lo: number, pages: number): number {
  const frame = frameOf(hi, lo);
  for (let done = 0, n = 0; done < pages; done += n) {
    n = Math.min(backedRun(s, frame + done), pages - done);
    if (n === 0) return done;
    for (let at = wordOfFrame(s, frame + done), end = at + n * PAGE_WORDS; at < end; at += PAGE_WORDS) s.w.set(ZEROES, at);
  }
  return pages;
}

/** Copy pages to `toHi:toLo`, as if all were read before any is written. @returns pages copied */
export function copyPages(s: Views, toHi: number, toLo: number, fromHi: number, fromLo: number, pages: number): number {
  const to = frameOf(toHi, toLo), from = frameOf(fromHi, fromLo);
  const most = Math.min(backedPages(s, toHi, toLo, pages), backedPages(s, fromHi, fromLo, pages));
  if (to > from) { // the last first: the ranges may overlap
    for (let k = most - 1; k >= 0; k--) copyRun(s, to + k, from + k, 1);
    return most;
  }
  for (let done = 0, n = 0; done < most; done += n) {
    n = Math.min(backedRun(s, to + done), backedRun(s, from + done), most - done);
    copyRun(s, to + done, from + done, n);
  }
  return most;
}

function copyRun(s: Views, to: number, from: number, pages: number): void {
  const at = wordOfFrame(s, from), target = wordOfFrame(s, to);
  s.w.copyWithin(target, at, at + pages * PAGE_WORDS);
}

/** Compare pages. @returns leading bytes that are equal: `pages * 4096` if all are */
export function comparePages(s: Views, aHi: number, aLo: number, bHi: number, bLo: number, pages: number): number {
  const a = frameOf(aHi, aLo), b = frameOf(bHi, bLo);
  for (let done = 0, n = 0; done < pages; done += n) {
    n = Math.min(backedRun(s, a + done), backedRun(s, b + done), pages - done);
    if (n === 0) return done * FRAME_BYTES;
    const equal = equalBytes(s, wordOfFrame(s, a + done), wordOfFrame(s, b + done), n * PAGE_WORDS);
    if (equal < n * FRAME_BYTES) return done * FRAME_BYTES + equal;
  }
  return pages * FRAME_BYTES;
}

function equalBytes(s: Views, a: number, b: number, words: number): number {
  const w = s.w, from = a | 0, end = from + words | 0;
  let x = from, y = b | 0;
  for (; x < end; x = x + 1 | 0) {
    if (w[x] !== w[y]) break;
    y = y + 1 | 0;
  }
  if (x === end) return words * 4;
  const differ = w[x] ^ w[y];
  return (x - from) * 4 + ((31 - Math.clz32(differ & -differ)) >>> 3);
}

/** Hash of pages as one: see layout/page-hash.ts. @returns 64 bits, as a signed number like every wasm export */
export function hashPages(s: Views, hi: number, lo: number, pages: number): bigint {
  const frame = frameOf(hi, lo), most = backedPages(s, hi, lo, pages);
  half.lo = half.hi = 0;
  for (let k = 0; k < most; k++) {
    const at = wordOfFrame(s, frame + k);
    for (let lane = 0; lane < LANES; lane += 4) hashLanes(s.w, at, lane);
  }
  return BigInt.asIntN(64, (BigInt(half.hi) << 32n) | BigInt(half.lo >>> 0));
}

/** The hash in progress. */
const half = { lo: 0, hi: 0 };

/** Four lanes of a page: as many states as there are registers for. */
function hashLanes(w: Int32Array, page: number, lane: number): void {
  const p = HASH_LO, q = HASH_HI, end = page + PAGE_WORDS | 0;
  let a = HASH_SEED + lane | 0, b = a + 1 | 0, c = a + 2 | 0, d = a + 3 | 0, e = a, f = b, g = c, h = d;
  for (let at = page + lane | 0; at < end; at = at + LANES | 0) {
    const i = w[at], j = w[at + 1 | 0], k = w[at + 2 | 0], l = w[at + 3 | 0];
    a = Math.imul(a ^ i, p);
    b = Math.imul(b ^ j, p);
    c = Math.imul(c ^ k, p);
    d = Math.imul(d ^ l, p);
    e = Math.imul(e ^ i, q);
    f = Math.imul(f ^ j, q);
    g = Math.imul(g ^ k, q);
    h = Math.imul(h ^ l, q);
    a ^= a >>> 15;
    b ^= b >>> 15;
    c ^= c >>> 15;
    d ^= d >>> 15;
    e ^= e >>> 15;
    f ^= f >>> 15;
    g ^= g >>> 15;
    h ^= h >>> 15;
  }
  half.lo = step(step(step(step(half.lo ^ a, p) ^ b, p) ^ c, p) ^ d, p);
  half.hi = step(step(step(step(half.hi ^ e, q) ^ f, q) ^ g, q) ^ h, q);
}

function step(x: number, m: number): number {
  const y = Math.imul(x, m);
  return y ^ (y >>> 15);
}
