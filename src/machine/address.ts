/** Addresses at the public border: `bigint` outside, two 32-bit words inside. */
import { ConfigError } from '../errors.ts';

/** High word of a 64-bit value. */
export const hiWord = (value: bigint): number => Number((value >> 32n) & 0xffffffffn) | 0;
/** Low word of a 64-bit value. */
export const loWord = (value: bigint): number => Number(value & 0xffffffffn) | 0;
/** 64-bit value of two words. */
export const joinWords = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

/** @throws ConfigError - not a bigint from 0 to 2^64 - 1 */
export function check64(value: unknown, field: string): bigint {
  if (typeof value !== 'bigint' || value < 0n || value >> 64n !== 0n) throw new ConfigError(field, 'a bigint from 0 to 2^64 - 1', value);
  return value;
}

/** A physical address as a number, exact. @throws ConfigError - not from 0 to 2^52 - 1 */
export function checkPhysical(value: unknown, field: string): number {
  if (typeof value !== 'bigint' || value < 0n || value >> 52n !== 0n) throw new ConfigError(field, 'a bigint from 0 to 2^52 - 1', value);
  return Number(value);
}
