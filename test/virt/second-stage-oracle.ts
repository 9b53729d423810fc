/**
 * Oracle of the second stage, written from the manuals with named conditions and BigInt, so that it can disagree with src/virt.
 *
 * Source: Intel SDM vol. 3C, "EPT Translation Mechanism" (tables "Format of an EPT ..."), "EPT Misconfigurations", "EPT Violations",
 *         "Prioritization of EPT Misconfigurations and EPT Violations", "Accessed and Dirty Flags for EPT"; AMD APM vol. 2, "Nested Table
 *         Walk", "Nested versus Guest Page Faults, Fault Ordering", "Long-Mode Page Translation".
 *
 * Where a manual leaves a choice, ours: a translation that is refused sets no accessed flag; a guest-physical address beyond 48 bits under
 * four levels is not present at the root; paging-write access (bit 58) replaces the write access of the entry that maps the page, and of no
 * other; a fetch is told in a nested page fault whatever EFER.NXE is.
 */

/** Physical memory in words of 8 bytes, and where a test wants to see what is read. */
export interface Memory {
  /** The aligned 8 bytes at an address; what does not exist is all ones. */
  read(pa: bigint): bigint;
  write(pa: bigint, value: bigint): void;
}

export interface Stage {
  readonly format: 'ept' | 'npt';
  readonly root: bigint;
  readonly levels: 4 | 5;
  readonly paBits: number;
  readonly pages1g: boolean;
  // EPT:
  readonly accessedDirty: boolean;
  readonly executeOnly: boolean;
  readonly modeBasedExecute: boolean;
  readonly pagingWrite: boolean;
  readonly advancedExitInfo: boolean;
  // NPT:
  readonly nxe: boolean;
  readonly amd: boolean;
}

/** What is asked of the second stage. */
export interface Wish {
  /** The page of an access, a guest's paging-structure entry, or a PDPTE that goes into a register. */
  readonly of: 'page' | 'entry' | 'pdpte';
  readonly read: boolean;
  readonly write: boolean;
  readonly fetch: boolean;
  /** Fetches: from a user-mode linear address. */
  readonly userAddress: boolean;
}

/** Rights over all entries of an EPT translation. */
export interface EptRights {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly executeUser: boolean;
  /** As a guest's paging structure it may be written. */
  readonly pagingWrite: boolean;
}

export type Second =
  | { readonly ok: true; readonly pa: bigint; readonly level: number; readonly rights: EptRights | undefined }
  | { readonly ok: false; readonly why: 'violation'; readonly rights: EptRights }
  | { readonly ok: false; readonly why: 'misconfiguration' }
  | { readonly ok: false; readonly why: 'nested page fault'; readonly present: boolean; readonly reserved: boolean };

/** An entry that was read. */
export interface Seen {
  readonly level: number;
  readonly pa: bigint;
}

const NONE: EptRights = { read: false, write: false, execute: false, executeUser: false, pagingWrite: false };

export const bit = (value: bigint, n: number): boolean => ((value >> BigInt(n)) & 1n) === 1n;
/** Bits `high` to `low`. */
export const bits = (value: bigint, high: number, low: number): bigint => BigInt.asUintN(high - low + 1, value >> BigInt(low));
const indexOf = (address: bigint, level: number): bigint => bits(address, 11 + 9 * level, 3 + 9 * level);
const beyond = (entry: bigint, paBits: number): boolean => paBits < 52 && bits(entry, 51, paBits) !== 0n;
/** The address in a leaf at a level, with the offset of `from`. */
const inPage = (entry: bigint, level: number, from: bigint): bigint => {
  const size = 3 + 9 * level;
  return (bits(entry, 51, size) << BigInt(size)) | bits(from, size - 1, 0);
};

/** @param seen - gets every entry read, in order */
export function secondStage(m: Memory, stage: Stage, gpa: bigint, wish: Wish, seen: Seen[]): Second {
  return stage.format === 'ept' ? ept(m, stage, gpa, wish, seen) : npt(m, stage, gpa, wish, seen);
}

function ept(m: Memory, stage: Stage, gpa: bigint, wish: Wish, seen: Seen[]): Second {
  if (stage.levels === 4 && gpa >> 48n !== 0n) return { ok: false, why: 'violation', rights: NONE };
  let rights: EptRights = { read: true, write: true, execute: true, executeUser: true, pagingWrite: true };
  const used: bigint[] = [];
  for (let level: number = stage.levels, table = stage.root; ; level--) {
    const pa = table + indexOf(gpa, level) * 8n, entry = m.read(pa);
    seen.push({ level, pa });
    used.push(pa);
    if (!eptPresent(stage, entry)) return { ok: false, why: 'violation', rights: NONE };
    const mapsPage = level === 1 || bit(entry, 7);
    if (eptMisconfigured(stage, entry, level, mapsPage)) return { ok: false, why: 'misconfiguration' };
    rights = {
      read: rights.read && bit(entry, 0), write: rights.write && bit(entry, 1), execute: rights.execute && bit(entry, 2),
      executeUser: rights.executeUser && bit(entry, stage.modeBasedExecute ? 10 : 2),
      pagingWrite: rights.pagingWrite && (bit(entry, 1) || (mapsPage && stage.pagingWrite && bit(entry, 58))),
    };
    if (!mapsPage) {
      table = bits(entry, 51, 12) << 12n;
      continue;
    }
    if (!eptPermits(stage, rights, wish)) return { ok: false, why: 'violation', rights };
    if (stage.accessedDirty) {
      for (const at of used) m.write(at, m.read(at) | 1n << 8n);
      if (wish.write) m.write(pa, m.read(pa) | 1n << 9n);
    }
    return { ok: true, pa: inPage(entry, level, gpa), level, rights };
  }
}

const eptPresent = (stage: Stage, entry: bigint): boolean => bits(entry, 2, 0) !== 0n || (stage.modeBasedExecute && bit(entry, 10));

function eptMisconfigured(stage: Stage, entry: bigint, level: number, mapsPage: boolean): boolean {
  const read = bit(entry, 0), write = bit(entry, 1), execute = bit(entry, 2) || (stage.modeBasedExecute && bit(entry, 10));
  if (!read && write) return true;
  if (!read && execute && !stage.executeOnly) return true;
  if (!read && mapsPage && stage.pagingWrite && bit(entry, 58)) return true;
  if (beyond(entry, stage.paBits)) return true;
  // Bits 7:3 of entries that reference a table; bit 7 of an entry that cannot map a page is one of them.
  if (!mapsPage) return bits(entry, 6, 3) !== 0n;
  if (level >= 4 || (level === 3 && !stage.pages1g)) return true;
  if (level === 3 && bits(entry, 29, 12) !== 0n) return true;
  if (level === 2 && bits(entry, 20, 12) !== 0n) return true;
  const memoryType = bits(entry, 5, 3);
  return memoryType === 2n || memoryType === 3n || memoryType === 7n;
}

function eptPermits(stage: Stage, rights: EptRights, wish: Wish): boolean {
  if (wish.of === 'pdpte') return rights.read; // "Those loads of guest PDPTEs are treated as reads"
  if (wish.of === 'entry') return rights.read && (!wish.write || rights.pagingWrite);
  if (wish.fetch) return stage.modeBasedExecute && wish.userAddress ? rights.executeUser : rights.execute;
  return wish.write ? rights.write : rights.read;
}

function npt(m: Memory, stage: Stage, gpa: bigint, wish: Wish, seen: Seen[]): Second {
  const fault = (present: boolean, reserved: boolean): Second => ({ ok: false, why: 'nested page fault', present, reserved });
  if (stage.levels === 4 && gpa >> 48n !== 0n) return fault(false, false);
  let user = true, writable = true, noExecute = false;
  const used: bigint[] = [];
  for (let level: number = stage.levels, table = stage.root; ; level--) {
    const pa = table + indexOf(gpa, level) * 8n, entry = m.read(pa);
    seen.push({ level, pa });
    used.push(pa);
    if (!bit(entry, 0)) return fault(false, false);
    const mapsPage = level === 1 || ((level === 2 || (level === 3 && stage.pages1g)) && bit(entry, 7));
    if (nptReserved(stage, entry, level, mapsPage)) return fault(true, true);
    user &&= bit(entry, 2);
    writable &&= bit(entry, 1);
    noExecute ||= bit(entry, 63);
    if (!mapsPage) {
      table = bits(entry, 51, 12) << 12n;
      continue;
    }
    // Every access in the second stage is one of user mode, whose writes obey R/W.
    if (!user || (wish.write && !writable) || (wish.fetch && noExecute)) return fault(true, false);
    for (const at of used) m.write(at, m.read(at) | 1n << 5n);
    if (wish.write) m.write(pa, m.read(pa) | 1n << 6n);
    return { ok: true, pa: inPage(entry, level, gpa), level, rights: undefined };
  }
}

function nptReserved(stage: Stage, entry: bigint, level: number, mapsPage: boolean): boolean {
  if (beyond(entry, stage.paBits) || (!stage.nxe && bit(entry, 63))) return true;
  if (level >= 4) return bit(entry, 7) || (stage.amd && bit(entry, 8));
  if (level === 3 && !mapsPage) return bit(entry, 7);
  if (!mapsPage) return false;
  if (level === 3) return bits(entry, 29, 13) !== 0n; // bit 12 is PAT
  return level === 2 && bits(entry, 20, 13) !== 0n;
}
