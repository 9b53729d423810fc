/** Byte copies to and from physical memory, across frames, extents and devices. */
import { FRAME_BYTES, readBus, wordOf, writeBus } from './extents.ts';
import type { Views } from './views.ts';

const hiOf = (pa: number): number => Math.floor(pa / 0x1_0000_0000);

/** Copy from physical address `pa` (bytes, below 2^52) into all of `out`. What does not exist reads as the open bus. */
export function readBytes(s: Views, pa: number, out: Uint8Array): void {
  for (let done = 0; done < out.length;) {
    const here = pa + done;
    const n = Math.min(out.length - done, FRAME_BYTES - (here % FRAME_BYTES));
    const at = wordOf(s, hiOf(here), here | 0);
    if (at >= 0 && s.atomic && n === out.length && isWhole(here, n)) loadWhole(s, at, here & 3, out);
    else if (at >= 0) out.set(s.u8.subarray(at * 4 + (here & 3), at * 4 + (here & 3) + n), done);
    else readDevice(s, here, out.subarray(done, done + n));
    done += n;
  }
}

/** Copy all of `data` to physical address `pa`. Bytes for memory that does not exist are dropped. */
export function writeBytes(s: Views, pa: number, data: Uint8Array): void {
  for (let done = 0; done < data.length;) {
    const here = pa + done;
    const n = Math.min(data.length - done, FRAME_BYTES - (here % FRAME_BYTES));
    const at = wordOf(s, hiOf(here), here | 0);
    if (at >= 0 && s.atomic && n === data.length && isWhole(here, n)) storeWhole(s, at, here & 3, data);
    else if (at >= 0) s.u8.set(data.subarray(done, done + n), at * 4 + (here & 3));
    else writeDevice(s, here, data.subarray(done, done + n));
    done += n;
  }
}

/**
 * Is it an access that other vCPUs see as a whole, and in the order in which it was made? Source: Intel SDM vol. 3A, "Guaranteed Atomic Operations",
 * "Memory Ordering in P6 and More Recent Processor Families".
 */
function isWhole(pa: number, bytes: number): boolean {
  return bytes <= 8 && (bytes & (bytes - 1)) === 0 && pa % bytes === 0;
}

/** @param at - word index @param byte - of the word */
function loadWhole(s: Views, at: number, byte: number, out: Uint8Array): void {
  if (out.length === 8) {
    const value = Atomics.load(s.q, at >>> 1);
    for (let b = 0; b < 8; b++) out[b] = Number((value >> BigInt(8 * b)) & 0xffn);
    return;
  }
  const value = Atomics.load(s.w, at);
  for (let b = 0; b < out.length; b++) out[b] = value >>> (8 * (byte + b));
}

function storeWhole(s: Views, at: number, byte: number, data: Uint8Array): void {
  if (data.length === 8) {
    Atomics.store(s.q, at >>> 1, joined(data));
    return;
  }
  const mask = data.length === 4 ? -1 : ((1 << (8 * data.length)) - 1) << (8 * byte);
  let value = 0;
  for (let b = 0; b < data.length; b++) value |= data[b] << (8 * (byte + b));
  if (mask === -1) Atomics.store(s.w, at, value);
  else for (let now = Atomics.load(s.w, at), found; (found = Atomics.compareExchange(s.w, at, now, (now & ~mask) | value)) !== now; now = found);
}

function joined(data: Uint8Array): bigint {
  let value = 0n;
  for (let b = data.length - 1; b >= 0; b--) value = (value << 8n) | BigInt(data[b]);
  return value;
}

/** Largest naturally aligned piece of 1, 2, 4 or 8 bytes at `pa`, at most `left` bytes: how a device sees a copy. */
function piece(pa: number, left: number): number {
  for (const n of [8, 4, 2]) if (left >= n && pa % n === 0) return n;
  return 1;
}

function readDevice(s: Views, pa: number, out: Uint8Array): void {
  for (let i = 0, n = 0; i < out.length; i += n) {
    n = piece(pa + i, out.length - i);
    readBus(s, hiOf(pa + i), (pa + i) | 0, n);
    for (let b = 0; b < n; b++) out[i + b] = (b < 4 ? s.busLo : s.busHi) >>> (8 * (b & 3));
  }
}

function writeDevice(s: Views, pa: number, data: Uint8Array): void {
  for (let i = 0, n = 0; i < data.length; i += n) {
    n = piece(pa + i, data.length - i);
    writeBus(s, hiOf(pa + i), (pa + i) | 0, n, joined(data.subarray(i, i + n)));
  }
}
