import { describe, expect, it } from 'vitest';
import {
  ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF,
  FAULT_SS, PFEC_I, PFEC_P, PFEC_PK, PFEC_RSVD, PFEC_SS, PFEC_U, PFEC_W,
} from '../../src/arch/fault.ts';
import { CR4_CET, CR4_PGE, CR4_PKE, CR4_PKS, CR4_SMEP } from '../../src/arch/registers.ts';
import { Machine } from '../../src/machine/machine.ts';
import { A, ALL, D, G, MODES, P, PS, RW, Tables, TOP, US, XD, type Mode } from './walk-tables.ts';

/** Pages of a mode: level of the leaf, bytes, and the highest address bit that a leaf can hold. */
const SIZES: Record<Mode, readonly (readonly [level: number, bits: bigint, top: bigint])[]> = {
  legacy: [[1, 12n, 32n], [2, 22n, 40n]],
  pae: [[1, 12n, 52n], [2, 21n, 52n]],
  '4-level': [[1, 12n, 52n], [2, 21n, 52n], [3, 30n, 52n]],
  '5-level': [[1, 12n, 52n], [2, 21n, 52n], [3, 30n, 52n]],
};
const PAGES = MODES.flatMap(mode => SIZES[mode].map(([level, bits, top]) => ({ mode, level, bits, top })));

/** A small generator, so that the addresses are the same in every run. */
function random(seed: bigint): () => bigint {
  let x = seed;
  return () => {
    x = BigInt.asUintN(64, x * 6364136223846793005n + 1442695040888963407n);
    return x ^ (x >> 29n);
  };
}

const WIDTH: Record<Mode, number> = { legacy: 32, pae: 32, '4-level': 48, '5-level': 57 };
const canonical = (va: bigint, width: number): bigint => (width === 32 ? BigInt.asUintN(32, va) : BigInt.asUintN(64, BigInt.asIntN(width, va)));

/** An entry for a leaf at `frame`, as the mode writes it. */
function leafAt(mode: Mode, level: number, frame: bigint, flags: bigint): bigint {
  if (level === 1) return frame | flags;
  if (mode !== 'legacy') return frame | flags | PS;
  return (frame & 0xffc00000n) | ((frame >> 32n) << 13n) | flags | PS;
}

describe.each(PAGES)('$mode, leaf at level $level', ({ mode, level, bits, top }) => {
  it.each(['functional', 'timed'] as const)('translates 200 random addresses: %s', speed => {
    const t = new Tables(mode, { mode: speed, physicalAddressBits: 52 });
    const next = random(BigInt(level) + bits);
    const inside = (1n << bits) - 1n;
    for (let n = 0; n < 200; n++) {
      const va = canonical(next(), WIDTH[mode]), frame = next() & ((1n << top) - 1n) & ~inside;
      t.map(va, level, leafAt(mode, level, frame, P));
      const want = frame | (va & inside);
      expect(t.cpu.probe(va, ACCESS_READ)).toMatchObject({ ok: true, paddr: want, references: TOP[mode] - level + 1, pageBytes: Number(inside) + 1 });
      expect(t.cpu.translate(va, ACCESS_READ)).toMatchObject({ ok: true, paddr: want });
      expect(t.cpu.translate(va, ACCESS_READ)).toMatchObject({ ok: true, paddr: want, path: speed === 'timed' ? 'tlb1+' : 'fast table' });
      t.cpu.flush();
      for (let l = TOP[mode]; l >= 1; l--) t.set(l, va, 0n);
    }
  });

  it('sets A in every entry used, and D in the leaf of a write only', () => {
    const t = new Tables(mode, { cr4: CR4_PGE });
    const va = 0x1234_5678n, above = TOP[mode] - level;
    t.map(va, level, leafAt(mode, level, 0n, ALL | G));
    const links = t.chain(va, level);
    expect(t.cpu.translate(va, ACCESS_READ).ok).toBe(true);
    expect(t.chain(va, level)).toEqual(links.map(e => e | A));
    expect(t.cpu.counters().adSets).toBe(above + 1);
    expect(t.cpu.translate(va, ACCESS_WRITE).ok).toBe(true);
    expect(t.chain(va, level)).toEqual(links.map((e, k) => (k === above ? e | A | D : e | A)));
    expect(t.cpu.counters().adSets).toBe(above + 2);
    t.cpu.flush();
    expect(t.cpu.translate(va, ACCESS_WRITE).ok).toBe(true);
    expect(t.cpu.counters().adSets).toBe(above + 2);
    if (mode === 'pae') expect(t.get(3, va)).toBe(t.table(2) | P);
  });

  it('sets A and D at once when the first access is a write, and keeps every other bit', () => {
    const t = new Tables(mode, { physicalAddressBits: 52 });
    const ignored = 0xe00n | 0x18n | (mode === '4-level' || mode === '5-level' ? 0x7ffn << 52n : 0n);
    t.map(0n, level, leafAt(mode, level, 0n, ALL | ignored), ALL | (ignored & ~0x18n));
    const before = t.chain(0n, level);
    expect(t.cpu.translate(0n, ACCESS_WRITE | ACCESS_USER).ok).toBe(true);
    expect(t.chain(0n, level)).toEqual(before.map((e, k) => (k === before.length - 1 ? e | A | D : e | A)));
  });

  it.each(['not present', 'refused', 'reserved'])('sets neither when the access faults: %s', why => {
    const t = new Tables(mode);
    const spoiled = why === 'not present' ? RW : why === 'refused' ? P : ALL | (mode === 'legacy' ? 1n << 21n : 1n << 51n);
    if (why === 'reserved' && mode === 'legacy' && level === 1) return; // has no reserved bits
    t.map(0n, level, leafAt(mode, level, 0n, spoiled));
    const before = t.chain(0n, level);
    expect(t.cpu.translate(0n, ACCESS_WRITE)).toMatchObject({ vector: 14, errorCode: why === 'not present' ? 2 : why === 'refused' ? 3 : 0xb });
    expect(t.chain(0n, level)).toEqual(before);
    expect(t.cpu.counters()).toMatchObject({ adSets: 0, faults: 1, walks: 1 });
  });
});

it('sets D in a read-only leaf that a supervisor writes while WP = 0', () => {
  const t = new Tables('4-level', { without: { wp: true } });
  t.map(0n, 1, P);
  expect(t.cpu.translate(0n, ACCESS_WRITE).ok).toBe(true);
  expect(t.get(1, 0n)).toBe(P | A | D);
});

it('ignores PS in 32-bit paging while CR4.PSE = 0', () => {
  const t = new Tables('legacy', { without: { pse: true } });
  t.map(0x5000n, 1, 0x77000n | P);
  t.set(2, 0x5000n, t.table(1) | P | PS);
  expect(t.cpu.translate(0x5123n, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x77123n });
});

it('takes bit 7 of a page-table entry for PAT', () => {
  for (const mode of MODES) {
    const t = new Tables(mode);
    t.map(0n, 1, 0x55000n | P | PS);
    expect(t.cpu.translate(0n, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x55000n });
  }
});

it('takes bit 12 of a large leaf for PAT', () => {
  for (const [mode, level] of [['legacy', 2], ['pae', 2], ['4-level', 2], ['4-level', 3]] as const) {
    const t = new Tables(mode);
    t.map(0n, level, P | PS | 0x1000n);
    expect(t.cpu.translate(0x3456n, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x3456n });
  }
});

const R = ACCESS_READ, W = ACCESS_WRITE, X = ACCESS_FETCH, U = ACCESS_USER, S = ACCESS_SHADOW_STACK;

describe('the error code', () => {
  it.each<[string, number, bigint, number]>([
    ['nothing', R, 0n, 0],
    ['W', W, 0n, PFEC_W],
    ['U', U, 0n, PFEC_U],
    ['I', X, 0n, PFEC_I],
    ['I and U', X | U, 0n, PFEC_I | PFEC_U],
    ['SS', S, 0n, PFEC_SS],
    ['SS, W and U', S | W | U, 0n, PFEC_SS | PFEC_W | PFEC_U],
    ['P', U, P, PFEC_P | PFEC_U],
    ['P and W', W, P, PFEC_P | PFEC_W],
    ['P and I', X, P | XD, PFEC_P | PFEC_I],
    ['P and SS', S, P, PFEC_P | PFEC_SS],
    ['P and RSVD', R, P | (1n << 51n), PFEC_P | PFEC_RSVD],
    ['P and PK', U, P | US | (3n << 59n), PFEC_P | PFEC_U | PFEC_PK],
    ['P, PK and W', U | W, P | US | (3n << 59n), PFEC_P | PFEC_U | PFEC_PK | PFEC_W],
    ['PK of a supervisor page', R, P | (5n << 59n), PFEC_P | PFEC_PK],
    ['no PK for a fetch', X, P | XD | (5n << 59n), PFEC_P | PFEC_I],
    ['no PK where a reserved bit is', R, P | (5n << 59n) | (1n << 51n), PFEC_P | PFEC_RSVD],
    ['no U for an implicit access', ACCESS_IMPLICIT | W, P, PFEC_P | PFEC_W],
    ['nothing of the stack', ACCESS_STACK | W, 0n, PFEC_W],
  ])('says %s', (_, access, leaf, code) => {
    const t = new Tables('4-level', { cr4: CR4_PKE | CR4_PKS | CR4_CET });
    t.cpu.writePkru(1 << 6); // AD of key 3
    t.cpu.writePkrs(1n << 10n); // AD of key 5
    t.map(0n, 1, leaf);
    expect(t.cpu.access(0, 0, access)).toBe(FAULT_PF | code);
    t.cpu.flush();
    const before = t.bytes();
    expect(t.cpu.probe(0n, access)).toMatchObject({ ok: false, vector: 14, errorCode: code });
    expect(t.bytes().equals(before)).toBe(true);
  });

  it.each<[Mode, boolean, boolean, boolean]>([
    // mode, NXE, SMEP, fetches are told apart
    ['legacy', false, false, false],
    ['legacy', false, true, true],
    ['pae', false, false, false],
    ['pae', true, false, true],
    ['pae', false, true, true],
    ['4-level', false, false, false],
    ['4-level', true, false, true],
    ['4-level', false, true, true],
    ['5-level', true, true, true],
  ])('in %s with NXE %s and SMEP %s has I/D: %s', (mode, nxe, smep, told) => {
    const t = new Tables(mode, { cr4: smep ? CR4_SMEP : 0, without: { nxe: !nxe } });
    expect(t.cpu.access(0, 0, X | U)).toBe(FAULT_PF | PFEC_U | (told ? PFEC_I : 0));
    t.map(0n, 1, P);
    expect(t.cpu.access(0, 0, X | U)).toBe(FAULT_PF | PFEC_P | PFEC_U | (told ? PFEC_I : 0));
  });

  it('has no I/D in 32-bit paging although NXE = 1', () => {
    const t = new Tables('legacy');
    expect(t.cpu.writeEfer(0x800n)).toBe(0);
    expect(t.cpu.access(0, 0, X)).toBe(FAULT_PF);
  });
});

describe('canonical addresses', () => {
  it.each<[Mode, bigint, boolean]>([
    ['4-level', 0x0000_7fff_ffff_ffffn, true],
    ['4-level', 0x0000_8000_0000_0000n, false],
    ['4-level', 0xffff_7fff_ffff_ffffn, false],
    ['4-level', 0xffff_8000_0000_0000n, true],
    ['4-level', 0x0001_0000_0000_0000n, false],
    ['4-level', 0x8000_0000_0000_0000n, false],
    ['4-level', 0xffff_ffff_ffff_ffffn, true],
    ['5-level', 0x0000_8000_0000_0000n, true],
    ['5-level', 0x00ff_ffff_ffff_ffffn, true],
    ['5-level', 0x0100_0000_0000_0000n, false],
    ['5-level', 0xfeff_ffff_ffff_ffffn, false],
    ['5-level', 0xff00_0000_0000_0000n, true],
    ['5-level', 0x0200_0000_0000_0000n, false],
    ['legacy', 0x8000_0000_0000_0000n, true],
    ['pae', 0xdead_0000_0000_0000n, true],
  ])('%s: %x is one: %s', (mode, va, is) => {
    for (const speed of ['functional', 'timed'] as const) {
      const t = new Tables(mode, { mode: speed });
      const hi = Number(va >> 32n) | 0, lo = Number(va & 0xffffffffn) | 0;
      expect(t.cpu.access(hi, lo, R)).toBe(is ? FAULT_PF : FAULT_GP);
      expect(t.cpu.access(hi, lo, W | ACCESS_STACK)).toBe(is ? FAULT_PF | PFEC_W : FAULT_SS);
      expect(t.cpu.access(hi, lo, S | ACCESS_STACK | U)).toBe(is ? FAULT_PF | PFEC_SS | PFEC_U : FAULT_SS);
      expect(t.cpu.translate(va, X)).toMatchObject(is ? { vector: 14, errorCode: PFEC_I * (mode === 'legacy' ? 0 : 1) } : { vector: 13, errorCode: 0, cr2: undefined });
      expect(t.cpu.counters()).toMatchObject({ faults: 4, walks: is ? 4 : 0 });
      const short = mode === 'legacy' || mode === 'pae' ? va & 0xffffffffn : va;
      expect(t.cpu.registers.cr2).toBe(is ? short : 0n);
    }
  });
});

describe('CR2', () => {
  it('is the address as given, to the byte, and stays until the next #PF', () => {
    const t = new Tables('4-level');
    expect(t.cpu.translate(0xffff_8765_4321_0fedn, U)).toMatchObject({ cr2: 0xffff_8765_4321_0fedn });
    expect(t.cpu.translate(0x8000_0000_0000_0000n, U)).toMatchObject({ vector: 13, cr2: undefined });
    t.map(0n, 1, P);
    expect(t.cpu.translate(0n, R).ok).toBe(true);
    expect(t.cpu.registers.cr2).toBe(0xffff_8765_4321_0fedn);
  });

  it.each<Mode>(['legacy', 'pae'])('has 32 bits in %s paging, as has the address', mode => {
    const t = new Tables(mode);
    expect(t.cpu.translate(0xffff_ffff_8765_4321n, R)).toMatchObject({ cr2: 0x8765_4321n });
    t.map(0x8765_4000n, 1, 0x9000n | P);
    expect(t.cpu.translate(0xffff_ffff_8765_4321n, R)).toMatchObject({ ok: true, paddr: 0x9321n });
  });
});

it('passes 32 bits of the address through while paging is off', () => {
  for (const mode of ['functional', 'timed'] as const) {
    const cpu = Machine.create({ memory: '1M', mode, paging: 'none' }).vcpus[0]!;
    expect(cpu.translate(0xffff_ffff_fedc_ba98n, W | U)).toEqual({ ok: true, paddr: 0xfedc_ba98n, pageBytes: 4096, cycles: 0, path: 'unpaged' });
    expect(cpu.counters()).toMatchObject({ walks: 0, faults: 0, translations: { store: 1 } });
  }
});

describe('tables without bytes', () => {
  it('in a device are read through it, and it is told of A and D', () => {
    const stored = new Map<number, bigint>([[0x18, 0x7000n | ALL]]);
    const writes: unknown[] = [];
    const handler = {
      read: (offset: number) => stored.get(offset) ?? 0n,
      write: (offset: number, bytes: number, value: bigint) => { writes.push([offset, bytes, value]); },
    };
    const t = new Tables('4-level', { extents: [{ base: 0, bytes: '1M' }, { base: '1M', bytes: 4096, kind: 'mmio', handler }] });
    t.map(0x3000n, 1, 0n);
    t.set(2, 0x3000n, 0x100000n | ALL);
    expect(t.cpu.translate(0x3abcn, W)).toMatchObject({ ok: true, paddr: 0x7abcn });
    expect(writes).toEqual([[0x18, 4, 0x7000n | ALL | A | D]]);
  });

  it('in unbacked RAM map nothing; where nothing is, the open bus decides', () => {
    const extents = [{ base: 0, bytes: '1M' }, { base: '1M', bytes: '1M', kind: 'unbacked' as const }];
    for (const [table, openBus, code] of [[0x100000n, 0xff, 0], [0x300000n, 0xff, PFEC_P | PFEC_RSVD], [0x300000n, 0, 0]] as const) {
      const t = new Tables('4-level', { extents, openBus });
      t.map(0n, 1, 0n);
      t.set(2, 0n, table | ALL);
      expect(t.cpu.access(0, 0, R)).toBe(FAULT_PF | code);
    }
  });

  it('are found at addresses up to 2^52', () => {
    const high = 2 ** 52 - 8192;
    const t = new Tables('5-level', { physicalAddressBits: 52, extents: [{ base: 0, bytes: '1M' }, { base: high, bytes: 8192 }] });
    t.map(0n, 1, 0n);
    t.set(2, 0n, BigInt(high + 4096) | ALL);
    const entry = new DataView(new ArrayBuffer(8));
    entry.setBigUint64(0, BigInt(high) | ALL, true);
    t.machine.write(BigInt(high + 4096), new Uint8Array(entry.buffer));
    expect(t.cpu.translate(0x123n, W)).toMatchObject({ ok: true, paddr: BigInt(high) + 0x123n });
    t.machine.read(BigInt(high + 4096), new Uint8Array(entry.buffer));
    expect(entry.getBigUint64(0, true)).toBe(BigInt(high) | ALL | A | D);
    expect(t.cpu.access(0, 0, R)).toBe(FAULT_NONE);
  });
});
