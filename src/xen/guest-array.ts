/** Items of an array in guest memory, by their byte offset from its start. The words of an item pass through `h.buffer`. */
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';

const TWO_32 = 0x1_0000_0000;

/** High word of an address that is `offset` beyond `hi:lo`. The low word is `(lo + offset) | 0`. */
export function hiBeyond(hi: number, lo: number, offset: number): number {
  return (hi + Math.floor(((lo >>> 0) + offset) / TWO_32)) | 0;
}

/** Read an item. @returns false if it cannot be */
export function readItem(h: Host, hi: number, lo: number, offset: number, bytes: number): boolean {
  return copyFromGuest(h, hiBeyond(hi, lo, offset), (lo + offset) | 0, bytes);
}

/** Write an item, or the first bytes of one. @returns false if not all could be written */
export function writeItem(h: Host, hi: number, lo: number, offset: number, bytes: number): boolean {
  return copyToGuest(h, hiBeyond(hi, lo, offset), (lo + offset) | 0, bytes);
}

/** Write a status, of 16 bits. */
export function writeStatus(h: Host, hi: number, lo: number, offset: number, status: number): boolean {
  h.buffer[0] = status;
  return writeItem(h, hi, lo, offset, 2);
}
