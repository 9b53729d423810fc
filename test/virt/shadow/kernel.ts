/**
 * A kernel that does everything a kernel may do with its page tables, at random: on both of a Twin, flushing where the manual demands it.
 *
 * Guest memory: frames 1 to 63 are tables, some of which are linked in several places and at several levels; all memory is mapped at DIRECT for
 * the supervisor, by tables that nothing else touches. User addresses are few, so that things meet.
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../../src/arch/fault.ts';
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE } from '../../../src/arch/registers.ts';
import { Random } from '../../wasm/engine-duel.ts';
import { FRAMES, KINDS, Twin, type Mode, type TwinOptions } from './twin.ts';

const P = 1n, RW = 2n, US = 4n, A = 0x20n, PS = 0x80n, G = 0x100n, XD = 1n << 63n;
const BIT = (k: number): bigint => BigInt(k >>> 0);
const ROOTS = [1, 2, 3];
const POOL_FIRST = 8, POOL = 14; // tables of every level below the roots
const DIRECT_TABLES = 40;
const DATA = [2048, 2049, 2050, 3072, 3073, 3590, 100, 101]; // in mixed frames, and in both runs in order

interface Shape {
  readonly top: number;
  readonly bytes: number;
  readonly direct: bigint;
  /** Entries in play, by level. */
  readonly indices: readonly (readonly number[])[];
}

const SHAPES: Readonly<Record<Mode, Shape>> = {
  legacy: { top: 2, bytes: 4, direct: 0xc000_0000n, indices: [[], [0, 1, 511, 512, 1023], [0, 1, 2, 513]] },
  pae: { top: 3, bytes: 8, direct: 0xc000_0000n, indices: [[], [0, 1, 511], [0, 1, 300], [0, 1]] },
  '4-level': { top: 4, bytes: 8, direct: 0xffff_8000_0000_0000n, indices: [[], [0, 1, 511], [0, 1], [0, 1], [0, 1]] },
};

export class Kernel {
  readonly twin: Twin;
  /** What decides on the next operation. */
  random: Random;
  readonly mode: Mode;
  private readonly shape: Shape;
  private readonly pcid: boolean;
  /** Some cached translation may be of what the tables no longer say. */
  private stale = false;

  constructor(options: TwinOptions & { readonly pcid?: boolean }, seed: number) {
    this.random = new Random(seed);
    this.mode = options.mode;
    this.shape = SHAPES[options.mode];
    this.pcid = options.pcid === true && options.mode === '4-level';
    this.twin = new Twin(options, this.random);
    this.buildTables();
    for (let k = (options.vcpus ?? 1) - 1; k >= 0; k--) {
      this.twin.use(k);
      this.boot();
    }
  }

  private put(gfn: number, index: number, value: bigint): void {
    const { bytes } = this.shape, data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value, true);
    this.twin.poke(gfn * 4096 + index * bytes, data.subarray(0, bytes));
  }

  private buildTables(): void {
    const flags = P | RW | A, gib = FRAMES * 4096, large = this.mode === 'legacy' ? 2 ** 22 : 2 ** 21;
    const last = this.mode === 'legacy' ? undefined : DIRECT_TABLES;
    for (let k = 0; k * large < gib; k++) {
      if (last === undefined) for (const root of ROOTS) this.put(root, 768 + k, BigInt(k * large) | flags | PS);
      else this.put(last, k, BigInt(k * large) | flags | PS);
    }
    if (this.mode === 'pae') for (const root of ROOTS) this.put(root, 3, BigInt(DIRECT_TABLES * 4096) | P);
    if (this.mode === '4-level') {
      this.put(DIRECT_TABLES + 1, 0, BigInt(DIRECT_TABLES * 4096) | flags);
      for (const root of ROOTS) this.put(root, 256, BigInt((DIRECT_TABLES + 1) * 4096) | flags);
    }
  }

  private boot(): void {
    const { twin, mode } = this;
    twin.both('cr4', cpu => cpu.writeCr4(BIT(mode === 'legacy' ? CR4_PSE : CR4_PAE)));
    twin.both('efer', cpu => cpu.writeEfer(BIT(mode === '4-level' ? EFER_LME | EFER_NXE : mode === 'pae' ? EFER_NXE : 0)));
    twin.both('cr3', cpu => cpu.writeCr3(BigInt(ROOTS[0]! * 4096)));
    twin.both('cr0', cpu => cpu.writeCr0(BIT(CR0_PG | CR0_WP | 0x31)));
    twin.both('cs', cpu => cpu.setCode64(mode === '4-level'));
    if (this.pcid) twin.both('pcide', cpu => cpu.writeCr4(twin.cpu.registers.cr4 | BIT(CR4_PCIDE)));
  }

  /** One random operation. */
  step(): void {
    const { random } = this, dice = random.below(100);
    if (dice < 50) this.touch();
    else if (dice < 66) this.changeEntry();
    else if (dice < 77) this.mapPage();
    else if (dice < 79) this.wreck();
    else if (dice < 80) this.fillTable();
    else if (dice < 88) this.switchTo();
    else if (dice < 96) this.toggle();
    else if (dice < 98) this.flush();
    else if (dice < 99) this.unpaged();
    else if (this.random.below(3) === 0) this.moveFrame();
  }

  /** An access anywhere; after changes that were not flushed, only where INVLPG makes sure, or after a flush. */
  private touch(): void {
    const { random, twin } = this, va = this.address(), kind = random.of(KINDS);
    if (this.stale) {
      if (random.below(3) !== 0) this.flush();
      if (this.stale) twin.both('invlpg', cpu => cpu.invlpg(va));
    }
    if (!(kind & ACCESS_WRITE)) twin.access(va, kind);
    else if (twin.write(va, Uint8Array.of(random.below(256)), kind) === 0 && twin.tables.has(Number(twin.cpu.paddr >> 12n))) this.stale = true;
  }

  private address(): bigint {
    const { random, shape, mode } = this;
    let va = BigInt(this.offset());
    const bits = mode === 'legacy' ? 10n : 9n;
    for (let level = 1; level <= shape.top; level++) va |= BigInt(random.of(shape.indices[level]!)) << (12n + bits * BigInt(level - 1));
    const dice = random.below(40);
    if (dice === 0) return shape.direct + BigInt(random.of(DATA) * 4096);
    return dice === 1 ? BigInt.asUintN(64, va ^ 1n << 47n) : va;
  }

  /** Byte offset in a page, in the half of a table that random writes may spoil. */
  private offset(): number {
    return this.random.of([0, 8, 16, 100, 0x7ff, 256]);
  }

  private tables(level: number): readonly number[] {
    return level === this.shape.top ? ROOTS : Array.from({ length: POOL }, (_, k) => POOL_FIRST + k).filter(gfn => gfn % 3 === level % 3 || this.random.below(8) === 0);
  }

  private randomEntry(level: number): bigint {
    const { random, mode } = this, dice = random.below(100), pae = mode === 'pae' && level === 3;
    if (dice < 12) return random.below(2) ? 0n : BigInt(random.below(2 ** 31)) & ~1n;
    const flag = (bit: bigint, percent: number): bigint => (random.below(100) < percent ? bit : 0n);
    const wide = mode !== 'legacy' && !pae;
    const flags = pae ? P : P | flag(RW, 75) | flag(US, 75) | flag(A, 60) | flag(0x40n, 40) | flag(G, 20) | flag(0x10n, 5) | (wide ? flag(XD, 15) | flag(1n << 51n, 2) : 0n);
    if (level === 1) return BigInt(random.below(100) < 70 ? random.of(DATA) : this.anyFrame()) << 12n | flags | flag(PS, 5);
    const large = (level === 2 || (level === 3 && mode === '4-level')) && dice < 35;
    if (large) return (level === 3 ? 0n : BigInt(random.of([0, 8, 12, 14, 16]) & (mode === 'legacy' ? ~1 : ~0)) << 20n & ~0x1fffffn & (mode === 'legacy' ? ~0x3fffffn : ~0n)) | flags | PS | flag(0x2000n, 3);
    const child = random.below(25) === 0 ? this.anyFrame() : random.of(this.tables(level - 1).filter(gfn => gfn >= POOL_FIRST));
    return BigInt(child) << 12n | flags & ~(level === 4 ? G : 0n);
  }

  private anyFrame(): number {
    const { random, mode } = this, pool = POOL_FIRST + random.below(POOL);
    return random.of([pool, pool, mode === 'pae' ? pool : random.of(ROOTS), FRAMES + 5, 100 + random.below(2000)]);
  }

  /** Store an entry through the direct map. What it was before decides whether a flush is due. */
  private changeEntry(): void {
    const { random, shape, mode, twin } = this, level = 1 + (random.below(3) === 0 ? random.below(shape.top) : 0), gfn = random.of(this.tables(level));
    const index = random.of(shape.indices[level]!), gpa = gfn * 4096 + index * shape.bytes, old = twin.entry(gpa, shape.bytes);
    let value = this.randomEntry(level);
    if (random.below(4) === 0 && !(mode === 'pae' && level === 3)) value = old ^ random.of([RW, US, A, 0x40n, P]); // what kernels do most
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value, true);
    if (old & P) this.stale = true; // an entry that is not present is never cached
    this.store(gpa, data.subarray(0, shape.bytes));
  }

  private store(gpa: number, data: Uint8Array): void {
    this.twin.write(this.shape.direct + BigInt(gpa), data, ACCESS_READ);
  }

  /** Whatever is in the way, make an address good. */
  private mapPage(): void {
    const { random, shape, mode, twin } = this, bits = mode === 'legacy' ? 10n : 9n, va = this.address() & (shape.direct - 1n) & 0x7fff_ffff_ffffn;
    let table = Number(twin.cpu.registers.cr3 >> 12n & 0xfffffn);
    for (let level = shape.top; level >= 1; level--) {
      const index = Number(va >> (12n + bits * BigInt(level - 1)) & (1n << bits) - 1n), child = POOL_FIRST + (level * 5 + index) % POOL;
      if (!(shape.indices[level]!.includes(index))) return;
      const flags = mode === 'pae' && level === 3 ? P : P | A | RW | US, target = level === 1 ? random.of(DATA) : child, data = new Uint8Array(8);
      new DataView(data.buffer).setBigUint64(0, BigInt(target) << 12n | flags, true);
      this.store(table * 4096 + index * shape.bytes, data.subarray(0, shape.bytes));
      table = child;
    }
    this.stale = true;
    if (mode === 'pae') twin.both('cr3', cpu => cpu.writeCr3(twin.cpu.registers.cr3));
  }

  /** The hypervisor lets two guest frames change places in the machine. */
  private moveFrame(): void {
    const { random } = this;
    this.twin.exchange(random.of([...ROOTS, ...DATA, POOL_FIRST + random.below(POOL)]), POOL_FIRST + random.below(FRAMES - POOL_FIRST));
  }

  private wreck(): void {
    const { random } = this, gfn = POOL_FIRST + random.below(POOL), bytes = 1 + random.below(12);
    this.stale = true;
    this.store(gfn * 4096 + random.below(1024), Uint8Array.from({ length: bytes }, () => random.below(256)));
  }

  /** A table cleared, or written from end to end. */
  private fillTable(): void {
    const { random, shape } = this, gfn = POOL_FIRST + random.below(POOL), clear = random.below(2) === 0;
    this.stale = true;
    for (let index = 0; index < 40; index++) {
      const data = new Uint8Array(8);
      if (!clear) new DataView(data.buffer).setBigUint64(0, this.randomEntry(1), true);
      this.store(gfn * 4096 + index * shape.bytes, data.subarray(0, shape.bytes));
    }
  }

  private switchTo(): void {
    const { random, twin } = this, table = random.of(ROOTS), root = BigInt(table * 4096);
    const pcid = this.pcid && table > 1 ? BigInt(table) : 0n; // each root its own
    const keep = this.pcid && random.below(2) === 0 ? 1n << 63n : 0n;
    if (twin.cpu.registers.cr4 & BIT(CR4_PGE)) this.stale = true; // its spaces have different global pages, as no kernel's should
    twin.both('cr3', cpu => cpu.writeCr3(root | pcid | keep));
    const other = twin.guest.vcpus.length;
    if (other > 1 && random.below(2) === 0) twin.use(random.below(other));
  }

  private toggle(): void {
    const { random, twin, mode } = this, { cr0, cr4, efer, ac } = twin.cpu.registers;
    const nx = mode === 'legacy' ? 0 : 1, dice = random.below(6 + nx);
    if (dice === 0) twin.both('wp', cpu => cpu.writeCr0(cr0 ^ BIT(CR0_WP)));
    else if (dice === 1) twin.both('smep', cpu => cpu.writeCr4(cr4 ^ BIT(CR4_SMEP)));
    else if (dice === 2) twin.both('smap', cpu => cpu.writeCr4(cr4 ^ BIT(CR4_SMAP)));
    else if (dice === 3) twin.both('pge', cpu => cpu.writeCr4(cr4 ^ BIT(CR4_PGE)));
    else if (dice <= 5) twin.both('ac', cpu => cpu.setAc(!ac));
    else if (random.below(3) === 0) twin.both('nxe', cpu => cpu.writeEfer(efer ^ BIT(EFER_NXE)));
  }

  /** Everything, on every processor; a PAE kernel that has spoilt its PDPTEs gets a #GP, and nothing is flushed. */
  private flush(): void {
    const { random, twin } = this, before = twin.virtual;
    let faults = 0;
    for (let k = 0; k < twin.guest.vcpus.length; k++) {
      twin.use(k);
      const { cr3, cr4 } = twin.cpu.registers;
      if (this.pcid && random.below(2) === 0) faults |= twin.both('invpcid', cpu => cpu.invpcid(2, 0n, 0n));
      else if (cr4 & BIT(CR4_PGE) || this.pcid) {
        faults |= twin.both('pge', cpu => cpu.writeCr4(cr4 ^ BIT(CR4_PGE)));
        faults |= twin.both('pge', cpu => cpu.writeCr4(cr4));
      } else faults |= twin.both('cr3', cpu => cpu.writeCr3(cr3));
    }
    twin.use(twin.guest.vcpus.indexOf(before));
    if (faults === 0) this.stale = false;
  }

  /** Paging off, accesses, paging on. */
  private unpaged(): void {
    const { random, twin } = this, { cr0 } = twin.cpu.registers;
    if (this.pcid) return;
    twin.both('cs', cpu => cpu.setCode64(false));
    twin.both('pg off', cpu => cpu.writeCr0(cr0 & ~BIT(CR0_PG)));
    for (let k = 0; k < 5; k++) {
      const pa = BigInt(random.of(DATA) * 4096 + random.below(4096));
      if (random.below(2)) twin.write(pa, Uint8Array.of(random.below(256)), random.of(KINDS) & ACCESS_USER);
      else twin.access(pa, random.of(KINDS));
    }
    twin.both('pg on', cpu => cpu.writeCr0(cr0));
    twin.both('cs', cpu => cpu.setCode64(this.mode === '4-level'));
  }
}
