/**
 * Oracle of the walk of 4-level and 5-level paging: entries are a map from physical address to value, rights are named.
 *
 * Source: Intel SDM vol. 3A, "4-Level Paging and 5-Level Paging", "Access Rights", "Page-Fault Exceptions", "Accessed and Dirty Flags".
 */
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';

/** Rights over all entries read so far. */
export interface Rights {
  readonly write: boolean;
  readonly user: boolean;
  readonly noExecute: boolean;
}

/** A table to go on from. */
export interface Start extends Rights {
  readonly level: number;
  readonly table: bigint;
}

/** What a leaf says. `bits` is the size of its page, log2. */
export interface Leaf extends Rights {
  readonly frame: bigint;
  readonly bits: number;
  readonly dirty: boolean;
  readonly global: boolean;
  readonly key: number;
}

/** An entry that was read: its address and, unless it is the leaf, the table that it leads to. */
export interface Step {
  readonly level: number;
  readonly at: bigint;
  readonly next?: Start;
}

export type Walk = { readonly steps: readonly Step[]; readonly leaf: Leaf } | { readonly steps: readonly Step[]; readonly code: number };

/** The control bits that the rules name. EFER.NXE is 1. */
export interface Control {
  wp: boolean;
  smep: boolean;
  smap: boolean;
  pge: boolean;
}

/** 2^n. */
const BIT = Array.from({ length: 64 }, (_, n) => 1n << BigInt(n));
const NUMBER = Array.from({ length: 64 }, (_, n) => BigInt(n));

const bit = (value: bigint, n: number): boolean => (value & BIT[n]) !== 0n;
const field = (value: bigint, high: number, low: number): bigint => BigInt.asUintN(high - low + 1, value >> NUMBER[low]);

/** "A page-fault error code": who asked, for what. */
export function errorCode(kind: number, present: boolean, reserved: boolean): number {
  return (present ? 1 : 0) | (kind & ACCESS_WRITE ? 2 : 0) | (kind & ACCESS_USER ? 4 : 0) | (reserved ? 8 : 0) | (kind & ACCESS_FETCH ? 16 : 0);
}

/** "Determination of Access Rights", one case at a time. */
export function permitted(rights: Rights, kind: number, control: Control): boolean {
  const user = (kind & ACCESS_USER) !== 0, write = (kind & ACCESS_WRITE) !== 0;
  if (kind & ACCESS_FETCH) {
    if (rights.noExecute) return false;
    return user ? rights.user : !(rights.user && control.smep);
  }
  if (user) return rights.user && (!write || rights.write);
  if (rights.user && control.smap) return false;
  return !write || rights.write || !control.wp;
}

/** An entry in memory, taken apart once. `value` is what the bytes are; marking changes it. */
export interface Entry {
  value: bigint;
  dirty: boolean;
  readonly present: boolean;
  readonly write: boolean;
  readonly user: boolean;
  readonly large: boolean;
  readonly global: boolean;
  readonly noExecute: boolean;
  readonly key: number;
  readonly table: bigint;
  /** Frame by level, if it is a leaf there. */
  readonly frame: readonly bigint[];
  /** Whether a bit is set that is reserved at a level. */
  readonly reserved: readonly boolean[];
}

/** "Format of ..." of 4-level and 5-level paging. MAXPHYADDR is `paBits`. */
export function makeEntry(value: bigint, paBits: number): Entry {
  const ps = bit(value, 7), beyond = paBits < 52 && field(value, 51, paBits) !== 0n;
  return {
    value, present: bit(value, 0), write: bit(value, 1), user: bit(value, 2), dirty: bit(value, 6), large: ps, global: bit(value, 8),
    noExecute: bit(value, 63), key: Number(field(value, 62, 59)), table: field(value, 51, 12) << 12n,
    frame: [0n, field(value, 51, 12) << 12n, field(value, 51, 21) << 21n, field(value, 51, 30) << 30n],
    reserved: [
      false, beyond, beyond || (ps && field(value, 20, 13) !== 0n), beyond || (ps && field(value, 29, 13) !== 0n), beyond || ps, beyond || ps,
    ],
  };
}

/** Address of the entry of a table that a linear address uses. */
export const entryAt = (table: bigint, level: number, va: bigint): bigint => table + BigInt.asUintN(9, va >> NUMBER[3 + 9 * level]) * 8n;

/** Read entries from a table on down to the leaf or the fault. Access rights are not looked at. */
export function walk(memory: ReadonlyMap<bigint, Entry>, start: Start, va: bigint, kind: number, control: Control): Walk {
  const steps: Step[] = [];
  for (let from = start; ;) {
    const { level } = from;
    const at = entryAt(from.table, level, va), entry = memory.get(at);
    if (!entry?.present || entry.reserved[level]) {
      steps.push({ level, at });
      return { steps, code: errorCode(kind, entry?.present === true, entry?.present === true) };
    }
    const write = from.write && entry.write, user = from.user && entry.user, noExecute = from.noExecute || entry.noExecute;
    if (level > 1 && !((level === 2 || level === 3) && entry.large)) {
      from = { level: level - 1, table: entry.table, write, user, noExecute };
      steps.push({ level, at, next: from });
      continue;
    }
    const leaf: Leaf = {
      write, user, noExecute, bits: 3 + 9 * level, frame: entry.frame[level], dirty: entry.dirty, global: entry.global && control.pge,
      key: entry.key,
    };
    steps.push({ level, at });
    return { steps, leaf };
  }
}

/** "Accessed and Dirty Flags": A in every entry of the walk, D in the leaf of a write. */
export function mark(memory: ReadonlyMap<bigint, Entry>, steps: readonly Step[], write: boolean): void {
  steps.forEach((step, k) => {
    const entry = memory.get(step.at)!, dirty = write && k === steps.length - 1;
    entry.value |= dirty ? 0x60n : 0x20n;
    entry.dirty ||= dirty;
  });
}
