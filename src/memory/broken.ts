/** A machine that can go on no more: who uses it with others learns why, instead of waiting for ever. */
import { BrokenError } from '../errors.ts';
import { BROKEN_MOST, HDR_BROKEN, HDR_BROKEN_TEXT } from '../layout/header.ts';
import type { Views } from './views.ts';

/** Why a machine can go on no more, undefined if it can. */
export function brokenBy(s: Views): string | undefined {
  const length = Atomics.load(s.w, HDR_BROKEN >>> 2);
  return length === 0 ? undefined : String.fromCharCode(...s.u8.slice(HDR_BROKEN_TEXT, HDR_BROKEN_TEXT + length));
}

/** Say so, once: the first reason stays. @param why - characters of one byte, at least one; what is beyond 244 is cut */
export function declareBroken(s: Views, why: string): void {
  if (Atomics.load(s.w, HDR_BROKEN >>> 2) !== 0) return;
  const length = Math.min(why.length, BROKEN_MOST);
  for (let k = 0; k < length; k++) s.u8[HDR_BROKEN_TEXT + k] = why.charCodeAt(k);
  Atomics.store(s.w, HDR_BROKEN >>> 2, length);
}

/** @throws BrokenError - it can go on no more */
export function checkSound(s: Views): void {
  if (Atomics.load(s.w, HDR_BROKEN >>> 2) !== 0) throw new BrokenError(brokenBy(s)!);
}
