/**
 * The only module that writes paging-structure entries, and where others than the walker read them.
 *
 * An entry is found by `wordOf()`; `at` below is its word index, or -1 for an entry that has no bytes (a table in a device's hole, in
 * unbacked RAM or nowhere), which is then reached through the bus by its physical address.
 */
import { readBus, wordOf, writeBus } from './extents.ts';
import type { Views } from './views.ts';

/**
 * Replace an 8-byte entry if it still holds `oldHi:oldLo`; false if another vCPU changed it first.
 * BigInt is slow, but this runs once per change, and only with several vCPUs.
 */
export function casEntry(s: Views, at: number, oldLo: number, oldHi: number, lo: number, hi: number): boolean {
  const w = s.w;
  if (s.atomic) {
    const old = u64(oldHi, oldLo);
    return BigInt.asUintN(64, Atomics.compareExchange(s.q, at >>> 1, old, u64(hi, lo))) === old;
  }
  if (w[at] !== oldLo || w[at + 1] !== oldHi) return false;
  w[at] = lo;
  w[at + 1] = hi;
  return true;
}

/** The same for a 4-byte entry of 32-bit paging. */
export function casEntry32(s: Views, at: number, old: number, value: number): boolean {
  if (s.atomic) return Atomics.compareExchange(s.w, at, old, value) === old;
  if (s.w[at] !== old) return false;
  s.w[at] = value;
  return true;
}

const pair = new Float64Array(1), words = new Int32Array(pair.buffer);
const NOT_A_NUMBER = 0x7ff00000;

/**
 * Read an 8-byte entry that other vCPUs may change into `s.busLo`, `s.busHi`: both words at once.
 *
 * One 64-bit load of a number, and no BigInt, which would double the cost of a walk; a pattern that is no number may lose bits on the way,
 * and takes the long way.
 */
export function loadEntry(s: Views, at: number): void {
  pair[0] = s.d[at >>> 1];
  s.busLo = words[0];
  s.busHi = words[1];
  if ((words[1] & NOT_A_NUMBER) !== NOT_A_NUMBER) return;
  const e = Atomics.load(s.q, at >>> 1);
  s.busLo = Number(BigInt.asIntN(32, e));
  s.busHi = Number(BigInt.asIntN(32, e >> 32n));
}

/** Store a whole 8-byte entry, whatever was there. Like `casEntry`, never torn for other vCPUs. */
export function storeEntry(s: Views, at: number, lo: number, hi: number): void {
  if (s.atomic) {
    Atomics.store(s.q, at >>> 1, u64(hi, lo));
    return;
  }
  s.w[at] = lo;
  s.w[at + 1] = hi;
}

/** The same for a 4-byte entry. */
export function storeEntry32(s: Views, at: number, value: number): void {
  if (s.atomic) Atomics.store(s.w, at, value);
  else s.w[at] = value;
}

/** Set A or D in an entry without bytes: a device is told, elsewhere nothing remembers it. */
export function markOnBus(s: Views, paHi: number, paLo: number, lo: number, bits: number): void {
  writeBus(s, paHi, paLo, 4, BigInt((lo | bits) >>> 0));
}

/** Read an 8-byte entry by physical address, for callers off the hot path. */
export function readEntry(s: Views, pa: number): bigint {
  const hi = Math.floor(pa / 0x1_0000_0000), lo = pa | 0;
  const at = wordOf(s, hi, lo);
  if (at >= 0) loadEntry(s, at);
  else readBus(s, hi, lo, 8);
  return u64(s.busHi, s.busLo);
}

/** Write an 8-byte entry by physical address. False if there are no bytes to hold it. */
export function writeEntry(s: Views, pa: number, value: bigint): boolean {
  const at = wordOf(s, Math.floor(pa / 0x1_0000_0000), pa | 0);
  if (at < 0) return false;
  storeEntry(s, at, Number(value & 0xffffffffn) | 0, Number((value >> 32n) & 0xffffffffn) | 0);
  return true;
}

const u64 = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
