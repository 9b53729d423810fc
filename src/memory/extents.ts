/**
 * Which machine frames exist: RAM with bytes, RAM without, and holes where devices answer.
 *
 * Physical addresses are two words `hi:lo` inside and a number (up to 2^52, exact) at the comfortable border.
 */
import { ConfigError, invariant } from '../errors.ts';
import {
  EXTK_BACKED, EXTK_MMIO, EXTK_UNBACKED, EXT_BASE_HI, EXT_BASE_LO, EXT_FRAMES, EXT_FRAMES_HI, EXT_ID, EXT_KIND, EXT_MAX, EXT_NODE,
  EXT_STRIDE, EXT_WORD,
} from '../layout/extent.ts';
import { HDR_EXTENTS, HDR_EXTENT_BASE, HDR_OPEN_BUS } from '../layout/header.ts';
import type { Views } from './views.ts';

export const FRAME_BYTES = 4096;
const FRAME_WORDS = 1024;
const TWO_32 = 0x1_0000_0000;

/** A range of machine frames, as read back from the state. `base` and `frames` in frames. */
export interface Extent {
  readonly id: number;
  readonly base: number;
  readonly frames: number;
  readonly kind: 'ram' | 'unbacked' | 'mmio';
  readonly node: number;
}

/** Row (word index) of the extent that holds frame `frame`, -1 if none. */
function rowOf(s: Views, frame: number): number {
  const w = s.w;
  let row = w[HDR_EXTENT_BASE >>> 2] >>> 2;
  for (let n = w[HDR_EXTENTS >>> 2]; n > 0; n--, row += EXT_STRIDE >>> 2) {
    const base = (w[row + (EXT_BASE_LO >>> 2)] >>> 0) + w[row + (EXT_BASE_HI >>> 2)] * TWO_32;
    if (frame < base) return -1;
    if (frame - base < (w[row + (EXT_FRAMES >>> 2)] >>> 0) + w[row + (EXT_FRAMES_HI >>> 2)] * TWO_32) return row;
  }
  return -1;
}

/** Word index in machine memory of the word at physical address `hi:lo`, -1 if it has no bytes here. */
export function wordOf(s: Views, hi: number, lo: number): number {
  if (hi === 0 && lo >>> 12 < s.lowFrames) return s.lowWord + (lo >>> 2);
  return wordOfElsewhere(s, hi, lo);
}

function wordOfElsewhere(s: Views, hi: number, lo: number): number {
  const frame = hi * 0x100000 + (lo >>> 12);
  const row = rowOf(s, frame);
  if (row < 0 || s.w[row + (EXT_KIND >>> 2)] !== EXTK_BACKED) return -1;
  const base = (s.w[row + (EXT_BASE_LO >>> 2)] >>> 0) + s.w[row + (EXT_BASE_HI >>> 2)] * TWO_32;
  const word = s.w[row + (EXT_WORD >>> 2)] + (frame - base) * FRAME_WORDS + ((lo & 0xfff) >>> 2);
  if (word >= s.w.length) s.look(); // another thread has plugged it in
  return word;
}

/** Frames with bytes, one after the other in machine memory too, from frame `frame` on; 0 if it has none. */
export function backedRun(s: Views, frame: number): number {
  const row = rowOf(s, frame), w = s.w;
  if (row < 0 || w[row + (EXT_KIND >>> 2)] !== EXTK_BACKED) return 0;
  const base = (w[row + (EXT_BASE_LO >>> 2)] >>> 0) + w[row + (EXT_BASE_HI >>> 2)] * TWO_32;
  return base + (w[row + (EXT_FRAMES >>> 2)] >>> 0) - frame; // what has bytes has fewer than 2^20 frames
}

/** NUMA node of the memory at `hi:lo`; 0 where there is none. */
export function nodeOf(s: Views, hi: number, lo: number): number {
  const row = rowOf(s, hi * 0x100000 + (lo >>> 12));
  return row < 0 ? 0 : s.w[row + (EXT_NODE >>> 2)];
}

/**
 * Read 1 to 8 bytes, inside one aligned 8-byte word, where there are no backed bytes: a device answers, unbacked RAM reads 0, and
 * nothing at all reads as the open bus. The answer is in `s.busLo`, `s.busHi`.
 */
export function readBus(s: Views, hi: number, lo: number, bytes: number): void {
  const frame = hi * 0x100000 + (lo >>> 12);
  const row = rowOf(s, frame);
  if (row >= 0 && s.w[row + (EXT_KIND >>> 2)] === EXTK_MMIO) {
    const handler = s.quiet ? undefined : s.mmio.get(s.w[row + (EXT_ID >>> 2)]);
    if (handler) {
      const value = BigInt.asUintN(bytes * 8, handler.read(offsetIn(s, row, frame, lo), bytes));
      s.busLo = Number(value & 0xffffffffn) | 0;
      s.busHi = Number(value >> 32n) | 0;
      return;
    }
  }
  const unbacked = row >= 0 && s.w[row + (EXT_KIND >>> 2)] === EXTK_UNBACKED;
  s.busLo = s.busHi = unbacked ? 0 : s.w[HDR_OPEN_BUS >>> 2];
}

/** Write 1 to 8 bytes where there are no backed bytes: to a device, or nowhere. */
export function writeBus(s: Views, hi: number, lo: number, bytes: number, value: bigint): void {
  const frame = hi * 0x100000 + (lo >>> 12);
  const row = rowOf(s, frame);
  if (row < 0 || s.w[row + (EXT_KIND >>> 2)] !== EXTK_MMIO) return;
  s.mmio.get(s.w[row + (EXT_ID >>> 2)])?.write(offsetIn(s, row, frame, lo), bytes, BigInt.asUintN(bytes * 8, value));
}

function offsetIn(s: Views, row: number, frame: number, lo: number): number {
  const base = (s.w[row + (EXT_BASE_LO >>> 2)] >>> 0) + s.w[row + (EXT_BASE_HI >>> 2)] * TWO_32;
  return (frame - base) * FRAME_BYTES + (lo & 0xfff);
}

export function extents(s: Views): Extent[] {
  const found: Extent[] = [];
  let row = s.w[HDR_EXTENT_BASE >>> 2] >>> 2;
  for (let n = s.w[HDR_EXTENTS >>> 2]; n > 0; n--, row += EXT_STRIDE >>> 2) {
    const at = (field: number) => s.w[row + (field >>> 2)];
    found.push({
      id: at(EXT_ID),
      base: (at(EXT_BASE_LO) >>> 0) + at(EXT_BASE_HI) * TWO_32,
      frames: (at(EXT_FRAMES) >>> 0) + at(EXT_FRAMES_HI) * TWO_32,
      kind: at(EXT_KIND) === EXTK_BACKED ? 'ram' : at(EXT_KIND) === EXTK_UNBACKED ? 'unbacked' : 'mmio',
      node: at(EXT_NODE),
    });
  }
  return found;
}

/** Is there room in the table, and is the range free? @throws ConfigError - overlaps another extent, or there are too many */
export function checkFree(s: Views, e: { readonly base: number; readonly frames: number }, field: string): void {
  const now = extents(s);
  if (now.length >= EXT_MAX) throw new ConfigError(field, `at most ${EXT_MAX} extents`, now.length + 1);
  const clash = now.find(o => e.base < o.base + o.frames && o.base < e.base + e.frames);
  if (clash) throw new ConfigError(`${field}.base`, `frames outside the extent at 0x${(clash.base * FRAME_BYTES).toString(16)}`, e.base * FRAME_BYTES);
}

/**
 * Add an extent, at creation or at run time (hot-plug). Backed extents get their bytes at `word`.
 *
 * @throws ConfigError - as `checkFree()`; nothing is changed then
 */
export function insertExtent(s: Views, e: Extent, word: number, field: string): void {
  checkFree(s, e, field);
  const now = extents(s);
  const at = now.filter(o => o.base < e.base).length;
  const first = s.w[HDR_EXTENT_BASE >>> 2] >>> 2;
  const row = first + at * (EXT_STRIDE >>> 2);
  s.w.copyWithin(row + (EXT_STRIDE >>> 2), row, first + now.length * (EXT_STRIDE >>> 2));
  const put = (f: number, value: number) => { s.w[row + (f >>> 2)] = value; };
  put(EXT_BASE_LO, e.base | 0);
  put(EXT_BASE_HI, Math.floor(e.base / TWO_32));
  put(EXT_FRAMES, e.frames | 0);
  put(EXT_FRAMES_HI, Math.floor(e.frames / TWO_32));
  put(EXT_KIND, e.kind === 'ram' ? EXTK_BACKED : e.kind === 'unbacked' ? EXTK_UNBACKED : EXTK_MMIO);
  put(EXT_NODE, e.node);
  put(EXT_WORD, word);
  put(EXT_ID, e.id);
  s.w[HDR_EXTENTS >>> 2] = now.length + 1;
  s.look();
  invariant(extents(s).length === now.length + 1, 'an extent was inserted');
}
