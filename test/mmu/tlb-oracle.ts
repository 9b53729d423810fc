/**
 * Oracle of everything a vCPU caches of translations: TLB levels, fractured pages, paging-structure caches, PCIDs, global pages, and what
 * removes each of them. Slow and plain: addresses are bigint, entries are objects, every invalidation looks at every entry.
 *
 * Source: Intel SDM vol. 3A, "Caching Translation Information".
 */
import { ACCESS_FETCH, ACCESS_WRITE, FAULT_GP, FAULT_PF } from '../../src/arch/fault.ts';
import { figure, type CpuModel, type PageSize, type Service, type TlbStructure } from '../../src/cost/cpu-model.ts';
import { OracleArray, type Held } from './tlb-oracle-array.ts';
import {
  errorCode, makeEntry, mark, permitted, walk, type Control, type Entry, type Leaf, type Rights, type Start, type Step,
} from './tlb-oracle-walk.ts';

const SIZES: readonly PageSize[] = ['4k', '2m', '1g'];
const BITS = [12n, 21n, 30n];

/** A translation as a TLB holds it. `first` and `bits` are the page in the tables that it is (a piece of). */
export interface Piece extends Rights {
  readonly frame: bigint;
  readonly dirty: boolean;
  readonly key: number;
  readonly first: bigint;
  readonly bits: bigint;
}

interface Structure {
  readonly model: TlbStructure;
  readonly array: OracleArray<Piece>;
}

/** What an access does, as the vCPU block tells it. `start` and `refs` are of the walk, if there was one. */
export interface Outcome {
  fault: number;
  pa: bigint;
  hit: number;
  start: number;
  refs: number;
}

/** Seeds of the random policies: of the TLB structures in order, and of the paging-structure caches by level. */
export interface Seeds {
  readonly tlb: readonly number[];
  readonly psc: ReadonlyMap<number, number>;
}

/** Outcomes of all accesses. */
export interface Totals {
  hits: number[];
  walks: number;
  faults: number;
  depth: number[];
}

const inPage = (va: bigint, piece: Piece): boolean => va >> piece.bits === piece.first >> piece.bits;

export class TlbOracle {
  readonly memory = new Map<bigint, Entry>();
  readonly control: Control = { wp: true, smep: false, smap: false, pge: true };
  readonly levels: readonly (readonly Structure[])[];
  /** By level of the entry that they are made from: 2 (PDE) to 5. */
  readonly psc = new Map<number, OracleArray<Start>>();
  readonly totals: Totals = { hits: [0, 0, 0, 0], walks: 0, faults: 0, depth: [0, 0, 0, 0, 0, 0] };
  private readonly rootLevel: number;
  private readonly hostSize: number;
  private readonly paBits: number;
  private root = 0n;
  private pcid = 0;
  private cr3Low = 0;
  private pcide = false;

  constructor(model: CpuModel, rootLevel: number, hostPage: PageSize, seeds: Seeds) {
    this.rootLevel = rootLevel;
    this.hostSize = SIZES.indexOf(hostPage);
    this.paBits = figure(model.physicalAddressBits);
    let n = 0;
    this.levels = model.tlb.map(level => level.structures.map(s =>
      ({ model: s, array: new OracleArray<Piece>(figure(s.sets), figure(s.ways), s.replacement, seeds.tlb[n++]) })));
    [model.psc.pde, model.psc.pdpte, model.psc.pml4e, model.psc.pml5e].forEach((g, k) => {
      if (g) this.psc.set(k + 2, new OracleArray<Start>(figure(g.sets), figure(g.ways), g.replacement, seeds.psc.get(k + 2) ?? 0));
    });
  }

  writeEntry(at: bigint, value: bigint): void {
    this.memory.set(at, makeEntry(value, this.paBits));
  }

  access(va: bigint, kind: number): Outcome {
    const outcome = this.answer(va, kind);
    this.totals.hits[outcome.hit]++;
    if (outcome.fault !== 0) this.totals.faults++;
    return outcome;
  }

  private answer(va: bigint, kind: number): Outcome {
    if (!this.canonical(va)) return { fault: FAULT_GP, pa: 0n, hit: 0, start: 0, refs: 0 };
    for (let level = 1; level <= this.levels.length; level++) {
      const held = this.lookUp(level, va, kind);
      if (held === undefined) continue;
      for (let nearer = 1; nearer < level; nearer++) this.keep(nearer, va, kind, held.size, held.owner === 'global', held.what);
      return { fault: 0, pa: held.what.frame | (va & ((1n << BITS[held.size]) - 1n)), hit: level, start: 0, refs: 0 };
    }
    return this.walkFor(va, kind);
  }

  private walkFor(va: bigint, kind: number): Outcome {
    const start = this.fromCached(va) ?? { level: this.rootLevel, table: this.root, write: true, user: true, noExecute: false };
    const found = walk(this.memory, start, va, kind, this.control);
    const refs = found.steps.length;
    this.totals.walks++;
    this.totals.depth[refs]++;
    const code = 'code' in found ? found.code : permitted(found.leaf, kind, this.control) ? undefined : errorCode(kind, true, false);
    if (code !== undefined || 'code' in found) {
      this.forgetFaulting(va);
      return { fault: FAULT_PF | code!, pa: 0n, hit: 0, start: start.level, refs };
    }
    mark(this.memory, found.steps, (kind & ACCESS_WRITE) !== 0);
    this.keepTables(va, found.steps);
    return { fault: 0, pa: this.remember(va, kind, found.leaf), hit: 0, start: start.level, refs };
  }

  /** Keep what a walk found. @returns the physical address */
  private remember(va: bigint, kind: number, leaf: Leaf): bigint {
    const guest = (leaf.bits - 12) / 9, size = Math.min(guest, this.hostSize);
    const bits = BigInt(leaf.bits);
    const whole: Piece = {
      write: leaf.write, user: leaf.user, noExecute: leaf.noExecute, frame: leaf.frame, dirty: leaf.dirty || (kind & ACCESS_WRITE) !== 0,
      key: leaf.key, first: (va >> bits) << bits, bits,
    };
    const piece = cut(whole, va, guest, size);
    for (let level = 1; level <= this.levels.length; level++) this.keep(level, va, kind, size, leaf.global, piece);
    return leaf.frame | (va & ((1n << whole.bits) - 1n));
  }

  /** The structures of a level that an access is looked up in and put into. */
  private serving(level: number, kind: number): Structure[] {
    const service: Service = kind & ACCESS_FETCH ? 'fetch' : kind & ACCESS_WRITE ? 'store' : 'load';
    return this.levels[level - 1].filter(s => s.model.serves.includes(service));
  }

  /** A translation counts if it permits the access, and a write only if it was dirty before: else the tables decide. */
  private lookUp(level: number, va: bigint, kind: number): Held<Piece> | undefined {
    const structures = this.serving(level, kind);
    for (let size = 0; size < 3; size++) {
      const structure = structures.find(s => s.model.holds.includes(SIZES[size]));
      const held = structure?.array.find(size, pageOf(va, size), this.pcid);
      if (!held || !permitted(held.what, kind, this.control) || (kind & ACCESS_WRITE && !held.what.dirty)) continue;
      structure!.array.use(held);
      return held;
    }
    return undefined;
  }

  /** Keep a translation usable at `size` in a level: at its own size if something holds that, else as the largest piece that something makes. */
  private keep(level: number, va: bigint, kind: number, size: number, global: boolean, piece: Piece): void {
    const structures = this.serving(level, kind);
    for (let smaller = size; smaller >= 0; smaller--) {
      const holder = structures.find(s => s.model.holds.includes(SIZES[smaller]) &&
        (smaller === size || level === 1 || (s.model.fractures ?? []).includes(SIZES[size])));
      if (!holder) continue;
      holder.array.hold(smaller, pageOf(va, smaller), this.pcid, global, cut(piece, va, size, smaller));
      return;
    }
  }

  /** The lowest table that a paging-structure cache leads to. */
  private fromCached(va: bigint): Start | undefined {
    for (let level = 2; level <= this.rootLevel; level++) {
      const cache = this.psc.get(level), held = cache?.find(0, prefix(va, level), this.pcid);
      if (!held) continue;
      cache!.use(held);
      return held.what;
    }
    return undefined;
  }

  private keepTables(va: bigint, steps: readonly Step[]): void {
    for (const { level, next } of steps) {
      if (next !== undefined) this.psc.get(level)?.hold(0, prefix(va, level), this.pcid, false, next);
    }
  }

  // What removes what: "Operations that Invalidate TLBs and Paging-Structure Caches".

  private forgetPieces(wanted: (held: Held<Piece>) => boolean): void {
    for (const level of this.levels) for (const s of level) s.array.forgetWhere(wanted);
  }

  private forgetTables(wanted: (held: Held<Start>, level: number) => boolean): void {
    for (const [level, cache] of this.psc) cache.forgetWhere(held => wanted(held, level));
  }

  private forgetFaulting(va: bigint): void {
    this.forgetPieces(h => (h.owner === 'global' || h.owner === this.pcid) && inPage(va, h.what));
    this.forgetTables((h, level) => h.owner === this.pcid && h.number === prefix(va, level));
  }

  invlpg(va: bigint): void {
    if (!this.canonical(va)) return;
    this.forgetPieces(h => (h.owner === 'global' || h.owner === this.pcid) && inPage(va, h.what));
    this.forgetTables(h => h.owner === this.pcid);
  }

  /** @returns the fault */
  invpcid(type: number, pcid: bigint, va: bigint): number {
    if (type > 3 || pcid > 4095n) return FAULT_GP;
    if (type < 2 && pcid !== 0n && !this.pcide) return FAULT_GP;
    if (type === 0 && !this.canonical(va)) return FAULT_GP;
    const named = Number(pcid);
    if (type === 0) this.forgetPieces(h => h.owner === named && inPage(va, h.what));
    if (type === 1) this.forgetPieces(h => h.owner === named);
    if (type === 2) this.forgetPieces(() => true);
    if (type === 3) this.forgetPieces(h => h.owner !== 'global');
    this.forgetTables(h => type > 1 || h.owner === named);
    return 0;
  }

  /** @param low - bits 11:0: the PCID, or cache-control bits while CR4.PCIDE = 0 */
  writeCr3(root: bigint, low: number, keep: boolean): void {
    this.root = root;
    this.pcid = this.pcide ? low : 0;
    this.cr3Low = low;
    if (keep && this.pcide) return;
    this.forgetPieces(h => h.owner === this.pcid);
    this.forgetTables(h => h.owner === this.pcid);
  }

  togglePge(): void {
    this.control.pge = !this.control.pge;
    this.forgetPieces(() => true);
    this.forgetTables(() => true);
  }

  /** "All TLB entries for the current PCID": no exception is made for global ones. */
  writeSmep(on: boolean): void {
    const was = this.control.smep;
    this.control.smep = on;
    if (was || !on) return;
    this.forgetPieces(h => h.owner === 'global' || h.owner === this.pcid);
    this.forgetTables(h => h.owner === this.pcid);
  }

  /** @returns the fault: CR4.PCIDE can be set only while bits 11:0 of CR3 are 0 */
  togglePcide(): number {
    if (!this.pcide && this.cr3Low !== 0) return FAULT_GP;
    this.pcide = !this.pcide;
    if (this.pcide) return 0;
    this.pcid = 0;
    this.forgetPieces(() => true);
    this.forgetTables(() => true);
    return 0;
  }

  get usesPcids(): boolean {
    return this.pcide;
  }

  /** Bits above the highest translated one repeat it. */
  private canonical(va: bigint): boolean {
    const bits = 12 + 9 * this.rootLevel;
    return BigInt.asUintN(64, BigInt.asIntN(bits, va)) === va;
  }
}

/** Page numbers and prefixes have all bits of the address above the page, as far as a tag has room. */
const pageOf = (va: bigint, size: number): bigint => (va >> BITS[size]) & ((1n << 45n) - 1n);
const prefix = (va: bigint, level: number): bigint => va >> BigInt(3 + 9 * level);

/** The piece of size `to` around `va`, of a piece of size `from`. */
function cut(piece: Piece, va: bigint, from: number, to: number): Piece {
  if (from === to) return piece;
  const inside = va & ((1n << BITS[from]) - 1n);
  return {
    write: piece.write, user: piece.user, noExecute: piece.noExecute, frame: piece.frame | ((inside >> BITS[to]) << BITS[to]),
    dirty: piece.dirty, key: piece.key, first: piece.first, bits: piece.bits,
  };
}
