/** Reads the arrays of the shared state as text, entry by entry, to be compared with the oracle's. */
import { ARR_DATA, ARR_SETS, ARR_TAGS, ARR_WAYS } from '../../src/layout/array.ts';
import {
  TAG_GLOBAL, TAG_PCID, TAG_PCID_SHIFT, TAG_SIZE, TAG_SIZE_SHIFT, TAG_VALID, TAG_VPN_HI, TLBD_D, TLBD_HI_ADDR, TLBD_HI_LEVEL_SHIFT,
  TLBD_PKEY_SHIFT, TLBD_RW, TLBD_US, TLBD_XD,
} from '../../src/layout/tlb.ts';
import { VCPU_ARRAYS, VCPU_ARRAY_LIST, VCPU_PSC } from '../../src/layout/vcpu.ts';
import type { Held } from './tlb-oracle-array.ts';
import type { Piece } from './tlb-oracle.ts';
import type { Start } from './tlb-oracle-walk.ts';

/** Word indexes of a vCPU's TLB arrays, and of its paging-structure caches by level. */
export function arraysOf(w: Int32Array, block: number): { tlb: number[]; psc: Map<number, number> } {
  const v = block >>> 2;
  const tlb = Array.from({ length: w[v + (VCPU_ARRAYS >>> 2)] }, (_, k) => w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2);
  const psc = new Map<number, number>();
  for (let level = 2; level <= 5; level++) {
    const a = w[v + (VCPU_PSC >>> 2) + level - 2];
    if (a !== 0) psc.set(level, a >>> 2);
  }
  return { tlb, psc };
}

const letters = (r: { write: boolean; user: boolean; noExecute: boolean }): string =>
  `${r.write ? 'w' : '-'}${r.user ? 'u' : '-'}${r.noExecute ? 'n' : '-'}`;

export const showPiece = (h: Held<Piece>): string =>
  `${h.size} ${h.number} ${h.owner} ${h.what.frame} ${letters(h.what)}${h.what.dirty ? 'd' : '-'} ${h.what.key} ${h.what.bits}`;

export const showStart = (h: Held<Start>): string => `${h.number} ${h.owner} ${h.what.table} ${letters(h.what)}`;

/** Valid entries of an array, as text, with `show` for what follows set and way. */
function list(w: Int32Array, a: number, show: (lo: number, hi: number, dataLo: number, dataHi: number) => string): string[] {
  const ways = w[a + (ARR_WAYS >>> 2)], tags = w[a + (ARR_TAGS >>> 2)] >>> 2, data = w[a + (ARR_DATA >>> 2)] >>> 2;
  const found: string[] = [];
  for (let set = 0; set < w[a + (ARR_SETS >>> 2)]; set++) {
    for (let way = 0; way < ways; way++) {
      const i = (set * ways + way) * 2;
      if (w[tags + i + 1] & TAG_VALID) found.push(`${set}.${way} ${show(w[tags + i], w[tags + i + 1], w[data + i], w[data + i + 1])}`);
    }
  }
  return found;
}

const number = (lo: number, hi: number): number => (hi & TAG_VPN_HI) * 2 ** 32 + (lo >>> 0);
const owner = (hi: number): number | string => (hi & TAG_GLOBAL ? 'global' : (hi & TAG_PCID) >>> TAG_PCID_SHIFT);
const frame = (lo: number, hi: number): number => (hi & TLBD_HI_ADDR) * 2 ** 32 + ((lo & ~0xfff) >>> 0);
const rights = (lo: number): string => letters({ write: (lo & TLBD_RW) !== 0, user: (lo & TLBD_US) !== 0, noExecute: (lo & TLBD_XD) !== 0 });

export function listTlb(w: Int32Array, a: number): string[] {
  return list(w, a, (lo, hi, dataLo, dataHi) => {
    const level = (dataHi >>> TLBD_HI_LEVEL_SHIFT) & 7, key = (dataLo >>> TLBD_PKEY_SHIFT) & 15;
    const dirty = dataLo & TLBD_D ? 'd' : '-', size = (hi & TAG_SIZE) >>> TAG_SIZE_SHIFT;
    return `${size} ${number(lo, hi)} ${owner(hi)} ${frame(dataLo, dataHi)} ${rights(dataLo)}${dirty} ${key} ${3 + 9 * level}`;
  });
}

export function listPsc(w: Int32Array, a: number): string[] {
  return list(w, a, (lo, hi, dataLo, dataHi) => `${number(lo, hi)} ${owner(hi)} ${frame(dataLo, dataHi)} ${rights(dataLo)}`);
}
