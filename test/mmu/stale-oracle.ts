/**
 * Which answers are permitted? From the manual's rules alone, for caches of any size that may be filled at any time: every translation that
 * the tables could have given since the last operation that had to remove it, whichever cached tables its walk began with.
 *
 * The sets below hold what a processor that caches everything, always, might hold. After each change of memory or registers they grow by
 * all that can be walked now; each invalidation takes away what the manual says it takes away, and nothing else. Two of the library's own
 * promises are stricter than the manual: a fault comes from the tables, never from a TLB entry, and a write through an entry that is not
 * dirty walks.
 *
 * Source: Intel SDM vol. 3A, "Caching Translation Information", above all "Operations that Invalidate TLBs and Paging-Structure Caches".
 */
import { ACCESS_WRITE, FAULT_PF } from '../../src/arch/fault.ts';
import { entryAt, errorCode, makeEntry, permitted, type Control, type Entry, type Rights } from './tlb-oracle-walk.ts';

/** A table that a walk may go on from. */
interface Table extends Rights {
  readonly at: bigint;
}

/** A translation that may be cached, and the PCID it was made under. Global ones serve all PCIDs. */
interface Known extends Rights {
  readonly frame: bigint;
  readonly first: bigint;
  readonly bits: bigint;
  readonly dirty: boolean;
  readonly global: boolean;
  readonly pcid: number;
}

/** Tables that entries at a level may lead to, for the addresses with a prefix. */
interface Cached {
  readonly pcid: number;
  readonly level: number;
  readonly prefix: bigint;
  readonly all: Map<string, Table>;
}

/** A walk's end: a translation, or the error code of the fault that an entry causes. */
type End = Known | number;

/** Answers as text: `pa 1234` or `fault e0004`. */
export const answerText = (fault: number, pa: bigint): string => (fault ? `fault ${fault.toString(16)}` : `pa ${pa.toString(16)}`);

const rightsText = (r: Rights): string => `${Number(r.write)}${Number(r.user)}${Number(r.noExecute)}`;
const covers = (k: Known, va: bigint): boolean => va >> k.bits === k.first >> k.bits;

export class Permits {
  readonly control: Control = { wp: true, smep: false, smap: false, pge: true };
  readonly memory = new Map<bigint, Entry>();
  pcide = false;
  pcid = 0;
  /** Most translations that were permitted for one address at once. */
  most = 0;
  private root = 0n;
  private readonly pages: readonly bigint[];
  private readonly rootLevel: number;
  private readonly paBits: number;
  /** By page of the history, then by text. */
  private readonly known = new Map<bigint, Map<string, Known>>();
  /** By PCID, level of the entry and prefix of the address, then by text. */
  private readonly tables = new Map<string, Cached>();

  /** @param pages - every page (address without its low 12 bits) that the history uses */
  constructor(pages: readonly bigint[], rootLevel: number, paBits: number) {
    this.pages = pages;
    this.rootLevel = rootLevel;
    this.paBits = paBits;
    for (const page of pages) this.known.set(page, new Map());
  }

  writeEntry(at: bigint, value: bigint): void {
    this.memory.set(at, makeEntry(value, this.paBits));
  }

  /** Let the processor cache all that it could now. Call after every change. */
  refresh(): void {
    for (const page of this.pages) {
      const known = this.known.get(page)!;
      for (const end of this.ends(page, 0, true)) {
        if (typeof end === 'number') continue;
        known.set(`${end.frame} ${end.bits} ${rightsText(end)} ${end.dirty} ${end.global} ${end.pcid}`, end);
      }
      this.most = Math.max(this.most, known.size);
    }
  }

  /** Every permitted answer to an access now. */
  answers(va: bigint, kind: number): Set<string> {
    const write = (kind & ACCESS_WRITE) !== 0, page = (va >> 12n) << 12n, set = new Set<string>();
    for (const k of this.known.get(page)!.values()) {
      const usable = (k.global || k.pcid === this.pcid) && (!write || k.dirty) && permitted(k, kind, this.control);
      if (usable) set.add(this.physical(k, va));
    }
    for (const end of this.ends(page, kind, true)) set.add(this.answer(end, va, kind));
    return set;
  }

  /** The answer of the tables alone. */
  fresh(va: bigint, kind: number): string {
    return this.answer(this.ends((va >> 12n) << 12n, kind, false)[0], va, kind);
  }

  private answer(end: End, va: bigint, kind: number): string {
    if (typeof end === 'number') return answerText(FAULT_PF | end, 0n);
    return permitted(end, kind, this.control) ? this.physical(end, va) : answerText(FAULT_PF | errorCode(kind, true, false), 0n);
  }

  private physical(k: Known, va: bigint): string {
    return answerText(0, k.frame | (va & ((1n << k.bits) - 1n)));
  }

  /** Where walks can end now: from the root and, if `cached`, from every table that may be cached, which then grow by what is read. */
  private ends(va: bigint, kind: number, cached: boolean): End[] {
    const ends: End[] = [];
    let from: Iterable<Table> = [{ at: this.root, write: true, user: true, noExecute: false }];
    for (let level = this.rootLevel; level >= 1; level--) {
      const below = cached && level > 1 ? this.cachedTables(level, va) : new Map<string, Table>();
      for (const table of from) {
        const entry = this.memory.get(entryAt(table.at, level, va));
        if (!entry?.present) ends.push(errorCode(kind, false, false));
        else if (entry.reserved[level]) ends.push(errorCode(kind, true, true));
        else {
          const write = table.write && entry.write, user = table.user && entry.user, noExecute = table.noExecute || entry.noExecute;
          if (level === 1 || (level < 4 && entry.large)) ends.push(this.leaf(entry, level, va, { write, user, noExecute }));
          else {
            const next: Table = { at: entry.table, write, user, noExecute };
            below.set(`${next.at} ${rightsText(next)}`, next);
          }
        }
      }
      from = [...below.values()];
    }
    return ends;
  }

  private leaf(entry: Entry, level: number, va: bigint, rights: Rights): Known {
    const bits = BigInt(3 + 9 * level);
    return {
      write: rights.write, user: rights.user, noExecute: rights.noExecute, frame: entry.frame[level], first: (va >> bits) << bits, bits,
      dirty: entry.dirty, global: entry.global && this.control.pge, pcid: this.pcid,
    };
  }

  private cachedTables(level: number, va: bigint): Map<string, Table> {
    const prefix = va >> BigInt(3 + 9 * level), key = `${this.pcid} ${level} ${prefix}`;
    let one = this.tables.get(key);
    if (one === undefined) this.tables.set(key, one = { pcid: this.pcid, level, prefix, all: new Map() });
    return one.all;
  }

  // What has to go. Each of these is followed by a refresh.

  private forget(wanted: (k: Known) => boolean): void {
    for (const known of this.known.values()) for (const [text, k] of known) if (wanted(k)) known.delete(text);
  }

  private forgetTables(wanted: (pcid: number, level: number, prefix: bigint) => boolean): void {
    for (const [key, one] of this.tables) if (wanted(one.pcid, one.level, one.prefix)) this.tables.delete(key);
  }

  private forgetAll(): void {
    this.forget(() => true);
    this.forgetTables(() => true);
  }

  /** "A page-fault exception ... will invalidate any TLB entries ... associated with the current PCID", and the tables it would use. */
  pageFault(va: bigint): void {
    this.forget(k => k.pcid === this.pcid && covers(k, va));
    this.forgetTables((pcid, level, prefix) => pcid === this.pcid && prefix === va >> BigInt(3 + 9 * level));
    this.refresh();
  }

  invlpg(va: bigint): void {
    this.forget(k => (k.global || k.pcid === this.pcid) && covers(k, va));
    this.forgetTables(pcid => pcid === this.pcid);
    this.refresh();
  }

  /** With a descriptor that is not refused. */
  invpcid(type: number, pcid: number, va: bigint): void {
    if (type === 0) {
      this.forget(k => !k.global && k.pcid === pcid && covers(k, va));
      this.forgetTables((p, level, prefix) => p === pcid && prefix === va >> BigInt(3 + 9 * level));
    } else if (type === 1) {
      this.forget(k => !k.global && k.pcid === pcid);
      this.forgetTables(p => p === pcid);
    } else if (type === 2) this.forgetAll();
    else {
      this.forget(k => !k.global);
      this.forgetTables(() => true);
    }
    this.refresh();
  }

  writeCr3(root: bigint, pcid: number, keep: boolean): void {
    this.root = root;
    this.pcid = this.pcide ? pcid : 0;
    if (!(this.pcide && keep)) {
      this.forget(k => !k.global && k.pcid === this.pcid);
      this.forgetTables(p => p === this.pcid);
    }
    this.refresh();
  }

  /** CR4.PGE, CR4.PCIDE and CR4.SMEP. */
  writeCr4(pge: boolean, pcide: boolean, smep: boolean): void {
    const all = pge !== this.control.pge || (this.pcide && !pcide), current = smep && !this.control.smep, { pcid } = this;
    this.control.pge = pge;
    this.control.smep = smep;
    this.pcide = pcide;
    if (!pcide) this.pcid = 0;
    if (all) this.forgetAll();
    else if (current) {
      this.forget(k => k.pcid === pcid);
      this.forgetTables(p => p === pcid);
    }
    this.refresh();
  }
}
