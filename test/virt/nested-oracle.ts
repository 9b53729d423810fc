/**
 * Oracle of an access by a guest: the guest's own tables by the rules of each paging mode, every address in them by the second stage.
 *
 * Source: Intel SDM vol. 3A, "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging"; vol. 3C, "EPT Violations", table "Exit
 *         Qualification for EPT Violations"; AMD APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering" (EXITINFO1).
 *
 * Ours: a guest's walk that faults sets no A bit in its tables, nor does one whose A or D bits the second stage does not let be written.
 */
import { keyRefuses, permitted, type Case } from '../mmu/rights-oracle.ts';
import { bit, bits, secondStage, type EptRights, type Memory, type Second, type Stage, type Wish } from './second-stage-oracle.ts';

export type Mode = 'flat' | 'legacy' | 'pae' | '4-level' | '5-level';

export interface Guest {
  readonly mode: Mode;
  readonly root: bigint;
  /** PAE paging: the registers. */
  readonly pdptes: readonly bigint[];
  readonly pse: boolean;
  readonly wp: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
  readonly ac: boolean;
  readonly nxe: boolean;
  /** Protection keys, if they are on. */
  readonly keys?: Keys;
}

export interface Keys {
  readonly pke: boolean;
  readonly pks: boolean;
  readonly pkru: number;
  readonly pkrs: number;
}

export interface Access {
  readonly va: bigint;
  readonly by: Case['by'];
  readonly kind: Case['kind'];
}

/** A reference: `guest` is the level of the guest's entry that is sought (0 = the page), `host` that of the second stage (0 = the guest's own). */
export interface Reference {
  readonly guest: number;
  readonly host: number;
  readonly pa: bigint;
}

/** What the access comes to, as text: to be compared. */
export interface Answer {
  readonly text: string;
  readonly references: readonly Reference[];
}

const TOP: Readonly<Record<Mode, number>> = { flat: 0, legacy: 2, pae: 2, '4-level': 4, '5-level': 5 };
const hex = (value: bigint | number): string => value.toString(16);

export const reached = (pa: bigint, sizeCode: number): string => `${hex(pa)} by a page of ${['4K', '2M', '1G'][sizeCode]}`;
export const pageFaultText = (code: number, cr2: bigint): string => `#PF ${hex(code)} at ${hex(cr2)}`;
export const exitText = (reason: string, info: bigint, gpa: bigint): string => `${reason} ${hex(info)} at ${hex(gpa)}`;

interface GuestEntry {
  readonly level: number;
  readonly gpa: bigint;
  readonly pa: bigint;
  readonly value: bigint;
  readonly rights: EptRights | undefined;
}

/** What a guest's leaf says. */
interface Leaf {
  readonly gpa: bigint;
  readonly sizeCode: number;
  readonly user: boolean;
  readonly writable: boolean;
  readonly xd: boolean;
}

export class NestedAccess {
  readonly references: Reference[] = [];
  private readonly m: Memory;
  private readonly guest: Guest;
  private readonly stage: Stage;
  private readonly access: Access;
  private readonly entries: GuestEntry[] = [];

  constructor(m: Memory, guest: Guest, stage: Stage, access: Access) {
    this.m = m;
    this.guest = guest;
    this.stage = stage;
    this.access = access;
  }

  /** Make it: memory is changed as the processor would. */
  make(): Answer {
    return { text: this.outcome(), references: this.references };
  }

  private get write(): boolean {
    return this.access.kind === 'write' || this.access.kind === 'shadow write';
  }

  private outcome(): string {
    const { guest, access } = this;
    const found = guest.mode === 'flat' ? this.flat() : this.guestLeaf();
    if (typeof found === 'string') return found;
    if (guest.mode !== 'flat') {
      const stopped = this.mark();
      if (stopped !== undefined) return stopped;
    }
    const fetch = access.kind === 'fetch';
    const wish: Wish = { of: 'page', read: !this.write && !fetch, write: this.write, fetch, userAddress: found.user };
    const second = this.second(0, found.gpa, wish);
    if (!second.ok) return this.exit(second, found.gpa, wish, found);
    return reached(second.pa, Math.min(found.sizeCode, second.level - 1));
  }

  /** Without paging a linear address is a user-mode address, read/write and executable. */
  private flat(): Leaf {
    return { gpa: bits(this.access.va, 31, 0), sizeCode: 2, user: true, writable: true, xd: false };
  }

  private second(guestLevel: number, gpa: bigint, wish: Wish): Second {
    const seen: { level: number; pa: bigint }[] = [], second = secondStage(this.m, this.stage, gpa, wish, seen);
    for (const { level, pa } of seen) this.references.push({ guest: guestLevel, host: level, pa });
    return second;
  }

  private guestLeaf(): Leaf | string {
    const { guest, m } = this, legacy = guest.mode === 'legacy', va = this.linear();
    let table = guest.root, user = true, writable = true, xd = false;
    if (guest.mode === 'pae') {
      const pdpte = guest.pdptes[Number(bits(va, 31, 30))]!;
      if (!bit(pdpte, 0)) return this.pageFault(false, false);
      table = bits(pdpte, 51, 12) << 12n;
    }
    for (let level = TOP[guest.mode]; ; level--) {
      const gpa = table + (legacy ? bits(va, level === 2 ? 31 : 21, level === 2 ? 22 : 12) * 4n : bits(va, 11 + 9 * level, 3 + 9 * level) * 8n);
      // "treated as writes" by NPT always, by EPT where the EPT pointer enables accessed and dirty flags
      const wish: Wish = { of: 'entry', read: true, write: this.stage.format === 'npt' || this.stage.accessedDirty, fetch: false, userAddress: false };
      const second = this.second(level, gpa, wish);
      if (!second.ok) return this.exit(second, gpa, wish, undefined);
      this.references.push({ guest: level, host: 0, pa: second.pa });
      const word = m.read(second.pa - second.pa % 8n), value = legacy ? bits(word, bit(second.pa, 2) ? 63 : 31, bit(second.pa, 2) ? 32 : 0) : word;
      this.entries.push({ level, gpa, pa: second.pa, value, rights: second.rights });
      if (!bit(value, 0)) return this.pageFault(false, false);
      const leaf = level === 1 || this.isLeaf(level, value);
      if (this.reserved(level, value, leaf)) return this.pageFault(true, true);
      const writableAbove = writable;
      user &&= bit(value, 2);
      writable &&= bit(value, 1);
      xd ||= !legacy && bit(value, 63);
      if (!leaf) {
        table = bits(value, legacy ? 31 : 51, 12) << 12n;
        continue;
      }
      const shadowStack = writableAbove && !bit(value, 1) && bit(value, 6);
      const rights = this.rights(user, writable, xd, shadowStack, Number(bits(value, 62, 59)));
      if (!permitted(rights)) return this.pageFault(true, false, keyRefuses(rights));
      return { gpa: this.pageAddress(level, value, va), sizeCode: level - 1, user, writable, xd };
    }
  }

  private linear(): bigint {
    const { va } = this.access, long = this.guest.mode === '4-level' || this.guest.mode === '5-level';
    return long ? va : bits(va, 31, 0);
  }

  private isLeaf(level: number, value: bigint): boolean {
    if (!bit(value, 7)) return false;
    if (this.guest.mode === 'legacy') return this.guest.pse;
    return level === 2 || (level === 3 && this.stage.pages1g);
  }

  private reserved(level: number, value: bigint, leaf: boolean): boolean {
    const { paBits, pages1g, amd } = this.stage, { mode } = this.guest;
    if (mode === 'legacy') {
      if (level === 1 || !leaf) return false;
      const m = Math.min(40, paBits); // PSE-36: bits 20:13 are bits 39:32 of the address, those beyond MAXPHYADDR and bit 21 are reserved
      return bit(value, 21) || (m < 40 && bits(value, 20, m - 19) !== 0n);
    }
    if (paBits < 52 && bits(value, 51, paBits) !== 0n) return true;
    if (!this.guest.nxe && bit(value, 63)) return true;
    if (mode === 'pae' && bits(value, 62, 52) !== 0n) return true;
    if (level >= 4) return bit(value, 7) || (amd && bit(value, 8));
    if (level === 3 && !pages1g) return bit(value, 7);
    if (level === 3 && leaf) return bits(value, 29, 13) !== 0n;
    return level === 2 && leaf && bits(value, 20, 13) !== 0n;
  }

  private pageAddress(level: number, value: bigint, va: bigint): bigint {
    if (this.guest.mode === 'legacy') {
      if (level === 2) return (bits(value, 20, 13) << 32n) | (bits(value, 31, 22) << 22n) | bits(va, 21, 0);
      return (bits(value, 31, 12) << 12n) | bits(va, 11, 0);
    }
    const size = 3 + 9 * level;
    return (bits(value, 51, size) << BigInt(size)) | bits(va, size - 1, 0);
  }

  /** @param key - in long mode */
  private rights(userAddress: boolean, writable: boolean, xd: boolean, shadowStack: boolean, key: number): Case {
    const { wp, smep, smap, ac, nxe, mode, keys } = this.guest, { by, kind } = this.access, on = keys !== undefined && (mode === '4-level' || mode === '5-level');
    const of = (register: number, n: number): boolean => ((register >>> (2 * key + n)) & 1) !== 0;
    const byKey = on ? { pke: keys.pke, pks: keys.pks, pkruAd: of(keys.pkru, 0), pkruWd: of(keys.pkru, 1), pkrsAd: of(keys.pkrs, 0), pkrsWd: of(keys.pkrs, 1) }
      : { pke: false, pks: false, pkruAd: false, pkruWd: false, pkrsAd: false, pkrsWd: false };
    return { by, kind, userAddress, writable, xd, shadowStack, wp, smep, smap, ac, nxe, ...byKey };
  }

  private pageFault(present: boolean, reserved: boolean, byKey = false): string {
    const { guest, access: { by, kind } } = this, tellsFetches = (guest.mode !== 'legacy' && guest.nxe) || guest.smep;
    const code = (present ? 1 : 0) | (this.write ? 2 : 0) | (by === 'user' ? 4 : 0) | (reserved ? 8 : 0) | (kind === 'fetch' && tellsFetches ? 16 : 0)
      | (byKey ? 32 : 0) | (kind.startsWith('shadow') ? 64 : 0);
    return pageFaultText(code, this.linear());
  }

  /** Accessed and dirty flags of the guest's entries. Without those of EPT only this is a write to its tables. */
  private mark(): string | undefined {
    const { stage, m } = this, leaf = this.entries.at(-1)!.level;
    const missing = (e: GuestEntry) => (!bit(e.value, 5) ? 1n << 5n : 0n) | (e.level === leaf && this.write && !bit(e.value, 6) ? 1n << 6n : 0n);
    if (stage.format === 'ept' && !stage.accessedDirty) {
      for (const e of this.entries) {
        if (missing(e) === 0n || e.rights!.pagingWrite) continue;
        const wish: Wish = { of: 'entry', read: false, write: true, fetch: false, userAddress: false };
        return this.exit({ ok: false, why: 'violation', rights: e.rights! }, e.gpa, wish, undefined);
      }
    }
    for (const e of this.entries) {
      const word = e.pa - e.pa % 8n;
      m.write(word, m.read(word) | missing(e) << (e.pa % 8n * 8n));
    }
    return undefined;
  }

  /** @param leaf - the guest's translation, if the access was to the page */
  private exit(refused: Second & { ok: false }, gpa: bigint, wish: Wish, leaf: Leaf | undefined): string {
    const { stage, access } = this;
    if (refused.why !== 'violation') return exitWithoutRights(refused, gpa, wish, leaf !== undefined);
    let info = attempted(stage, refused.rights, wish) | set(true, 7) | set(!!leaf, 8);
    if (leaf) {
      info |= set(access.kind.startsWith('shadow'), 13);
      if (stage.advancedExitInfo) info |= set(leaf.user, 9) | set(leaf.writable, 10) | set(leaf.xd, 11);
    }
    return exitText('EPT violation', info, gpa);
  }
}

const set = (yes: boolean, n: number): bigint => (yes ? 1n << BigInt(n) : 0n);

/** Bits 6:0 of an exit qualification. */
function attempted(stage: Stage, rights: EptRights, wish: Wish): bigint {
  return set(wish.read, 0) | set(wish.write, 1) | set(wish.fetch, 2) | set(rights.read, 3) | set(rights.write, 4) | set(rights.execute, 5)
    | set(stage.modeBasedExecute && rights.executeUser, 6);
}

function exitWithoutRights(refused: Exclude<Second, { ok: true } | { why: 'violation' }>, gpa: bigint, wish: Wish, final: boolean): string {
  if (refused.why === 'misconfiguration') return exitText('EPT misconfiguration', 0n, gpa);
  const code = set(refused.present, 0) | set(wish.write, 1) | set(true, 2) | set(refused.reserved, 3) | set(wish.fetch, 4);
  return exitText('nested page fault', code | set(final, 32) | set(!final, 33), gpa);
}

/** The load of the PDPTE registers by MOV to CR3, which has no linear address. @returns the four, `undefined` for #GP, or the exit as text */
export function loadPdptes(m: Memory, stage: Stage, cr3: bigint): bigint[] | undefined | string {
  const pdptes: bigint[] = [], wish: Wish = { of: 'pdpte', read: true, write: false, fetch: false, userAddress: false };
  for (let k = 0n; k < 4n; k++) {
    const gpa = (bits(cr3, 31, 5) << 5n) + k * 8n, second = secondStage(m, stage, gpa, wish, []);
    if (!second.ok) return second.why === 'violation' ? exitText('EPT violation', attempted(stage, second.rights, wish), gpa) : exitWithoutRights(second, gpa, wish, false);
    const value = m.read(second.pa);
    if (bit(value, 0) && (bits(value, 2, 1) !== 0n || bits(value, 8, 5) !== 0n || bits(value, 63, stage.paBits) !== 0n)) return undefined;
    pdptes.push(value);
  }
  return pdptes;
}
