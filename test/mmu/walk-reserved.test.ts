import { describe, expect, it } from 'vitest';
import { FAULT_GP, PFEC_RSVD } from '../../src/arch/fault.ts';
import { A, ALL, D, MODES, P, PS, Tables, TOP, US, XD, type Mode } from './walk-tables.ts';

const VA = 0x1234_5000n;

interface Rules { readonly m: number; readonly nxe: boolean; readonly pages1g: boolean; readonly amd: boolean; readonly pse: boolean; readonly pse36: boolean }

/** Highest and lowest reserved bit of a field, as the tables of the manual print them. */
const within = (bit: number, high: number, low: number): boolean => bit <= high && bit >= low;

/** "Format of ..." tables, row by row: is `bit` reserved in a present entry of this level, with PS as given? */
function reserved(mode: Mode, level: number, ps: boolean, bit: number, r: Rules): boolean {
  if (mode === 'legacy') {
    if (level === 1 || !ps || !r.pse) return false;
    const m = r.pse36 ? Math.min(r.m, 40) : 32;
    return within(bit, 21, m - 19);
  }
  if (bit === 63) return !r.nxe;
  if (mode === 'pae' && within(bit, 62, r.m)) return true;
  if (within(bit, 51, r.m)) return true;
  if (level >= 4) return bit === 7 || (bit === 8 && r.amd);
  if (level === 3) {
    if (bit === 7) return !r.pages1g;
    return ps && r.pages1g && within(bit, 29, 13);
  }
  return level === 2 && ps && within(bit, 20, 13);
}

/** Set each bit in turn in the entry at `level`, and compare RSVD with the manual. @returns cases tried */
function tryBits(t: Tables, level: number, ps: boolean, r: Rules, wrong: string[]): number {
  const bits = t.mode === 'legacy' ? 32 : 64;
  const leaf = level === 1 || ps;
  for (let bit = 1; bit < bits; bit++) {
    const value = (leaf ? 0n : t.table(level - 1)) | ALL | A | (ps && level > 1 ? PS : 0n) | (1n << BigInt(bit));
    if (bit === 7 && level > 1 && !ps) continue; // that is the same entry with PS
    t.set(level, VA, value);
    for (const present of [P, 0n]) {
      t.set(level, VA, (value & ~P) | present);
      const result = t.cpu.probe(VA, 0);
      const got = !result.ok && (result.errorCode & PFEC_RSVD) !== 0;
      const want = present !== 0n && ((ps && level > 1 && reserved(t.mode, level, ps, 7, r)) || reserved(t.mode, level, ps, bit, r));
      if (got !== want) wrong.push(`${t.mode} level ${level} ps ${ps} bit ${bit} P ${present} ${JSON.stringify(r)}: ${got}`);
    }
  }
  t.map(VA, 1, ALL);
  return (bits - (level > 1 && !ps ? 2 : 1)) * 2;
}

const PER_BITS = { legacy: 31 + 30 + 31, pae: 63 + 62 + 63, '4-level': 63 + 3 * (62 + 63), '5-level': 63 + 4 * (62 + 63) };

describe.each(MODES)('%s: every bit of every entry, for MAXPHYADDR 32 to 52', mode => {
  it.each([
    { nxe: true, pages1g: true, amd: false, pse: true, pse36: true },
    { nxe: false, pages1g: true, amd: false, pse: true, pse36: true },
    { nxe: true, pages1g: false, amd: false, pse: true, pse36: false },
    { nxe: true, pages1g: true, amd: true, pse: true, pse36: true },
    { nxe: true, pages1g: true, amd: false, pse: false, pse36: true },
  ])('%j', rules => {
    const wrong: string[] = [];
    let cases = 0;
    for (let m = 32; m <= 52; m++) {
      const t = new Tables(mode, {
        physicalAddressBits: m, without: { nxe: !rules.nxe, pse: !rules.pse }, features: { pages1g: rules.pages1g, amd: rules.amd, pse36: rules.pse36 },
      });
      t.map(VA, 1, ALL);
      for (let level = 1; level <= TOP[mode]; level++) for (const ps of level === 1 ? [false] : [false, true]) {
        cases += tryBits(t, level, ps, { ...rules, m }, wrong);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(cases).toBe(21 * 2 * PER_BITS[mode]);
  });
});

it('reports a reserved bit before a refusal, and not below an entry that is not present', () => {
  const t = new Tables('4-level');
  t.map(VA, 1, P | (1n << 51n)); // supervisor, read-only and reserved
  expect(t.cpu.translate(VA, 6)).toMatchObject({ vector: 14, errorCode: 0xf });
  t.set(3, VA, t.table(2) | US);
  expect(t.cpu.translate(VA, 6)).toMatchObject({ vector: 14, errorCode: 6 });
  t.set(3, VA, t.table(2) | P | XD | (1n << 51n));
  expect(t.cpu.translate(VA, 0x10)).toMatchObject({ vector: 14, errorCode: 0x19 });
});

describe('PAE: the four PDPTE registers', () => {
  const load = (m: number, index: number, value: bigint): { fault: number; t: Tables } => {
    const t = new Tables('pae', { physicalAddressBits: m });
    t.map(VA, 1, ALL);
    t.set(3, BigInt(index) << 30n, value);
    return { fault: t.cpu.writeCr3(t.root), t };
  };

  it('are checked at MOV to CR3: every bit of every one, for MAXPHYADDR 32 to 52', () => {
    let cases = 0;
    const wrong: string[] = [];
    for (let m = 32; m <= 52; m++) {
      const t = new Tables('pae', { physicalAddressBits: m });
      for (let index = 0; index < 4; index++) for (let bit = 1; bit < 64; bit++) for (const p of [P, 0n]) {
        const at = BigInt(index) << 30n;
        t.set(3, at, p | (1n << BigInt(bit)));
        const want = p === P && (within(bit, 2, 1) || within(bit, 8, 5) || within(bit, 63, m)) ? FAULT_GP : 0;
        if (t.cpu.writeCr3(t.root) !== want) wrong.push(`PDPTE ${index} bit ${bit} P ${p} M ${m}`);
        t.set(3, at, 0n);
        cases++;
      }
    }
    expect(wrong).toEqual([]);
    expect(cases).toBe(21 * 4 * 63 * 2);
  });

  it('stay as they were, all of them, when one is bad', () => {
    const { fault, t } = load(40, 3, P | 2n);
    expect(fault).toBe(FAULT_GP);
    t.set(3, 0n, 0x90000n | P);
    const before = t.bytes();
    expect(t.cpu.writeCr3(t.root)).toBe(FAULT_GP);
    expect(t.bytes().equals(before)).toBe(true);
    expect(t.cpu.registers.pdpte[0]).toBe(t.table(2) | P);
  });

  it('are what a walk uses, not memory', () => {
    const { t } = load(40, 1, 0n);
    t.set(3, 0n, 0n);
    expect(t.cpu.translate(VA, 0)).toMatchObject({ ok: true });
    expect(t.cpu.writeCr3(t.root)).toBe(0);
    expect(t.cpu.translate(VA, 0)).toMatchObject({ ok: false, errorCode: 0, cr2: VA });
    expect(t.cpu.counters().walkDepth[0]).toBe(1);
  });

  it('are at CR3 bits 31:5 and know nothing of A', () => {
    const t = new Tables('pae');
    t.map(VA, 1, ALL | D);
    const at = Number(t.root) + 0x7e0;
    t.machine.write(BigInt(at), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2)); // PDPTE 1: the page directory
    expect(t.cpu.writeCr3(BigInt(at) | 0x1fn)).toBe(0);
    expect(t.cpu.registers.pdpte).toEqual([0n, t.table(2) | P, 0n, 0n]);
    expect(t.cpu.translate(VA | 0x4000_0000n, 0)).toMatchObject({ ok: true, paddr: 0n });
    const entry = new Uint8Array(8);
    t.machine.read(BigInt(at + 8), entry);
    expect([...entry]).toEqual([1, 0, 2, 0, 0, 0, 0, 0]);
  });
});
