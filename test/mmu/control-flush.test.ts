import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_GP, FAULT_NONE } from '../../src/arch/fault.ts';
import {
  CR0_CD, CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PKE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE, EFER_SCE,
} from '../../src/arch/registers.ts';
import { A, ALL, D, G, P, PS, RW, Tables, US } from './walk-tables.ts';

const big = (bits: number): bigint => BigInt(bits >>> 0);
const ON = CR0_PG | CR0_PE | CR0_WP;
const PLAIN = 0x1000n, GLOBAL = 0x2000n;
const NOFLUSH = 1n << 63n;

/** What survives an operation: a plain translation, a global one, and a plain one of another PCID. */
type Left = readonly [plain: boolean, global: boolean, other: boolean];

const NONE: Left = [false, false, false], EVERYTHING: Left = [true, true, true];

/**
 * Two PCIDs, 0 and 7, share one set of tables; both have PLAIN cached, and GLOBAL is cached as global. Then the entries are taken from
 * memory: whatever still translates was cached.
 */
function survivors(write: (t: Tables) => unknown): Left {
  const t = new Tables('4-level', { mode: 'timed', cr4: CR4_PCIDE | CR4_PGE });
  t.map(PLAIN, 1, P | RW);
  t.set(1, GLOBAL, P | RW | G);
  for (const pcid of [7n, 0n]) {
    expect(t.cpu.writeCr3(t.root | pcid | NOFLUSH)).toBe(0);
    expect(t.cpu.translate(PLAIN, ACCESS_READ).ok && t.cpu.translate(GLOBAL, ACCESS_READ).ok).toBe(true);
  }
  t.set(4, 0n, 0n);
  write(t);
  const cached = (va: bigint) => t.cpu.explain(va, ACCESS_READ).tlbLevel > 0;
  const left = [cached(PLAIN), cached(GLOBAL)] as const;
  if ((t.cpu.registers.cr4 & big(CR4_PCIDE)) === 0n) return [...left, false];
  t.cpu.writeCr3(t.root | 7n | NOFLUSH);
  return [...left, cached(PLAIN)];
}

const BASE = CR4_PAE | CR4_PCIDE | CR4_PGE;

describe('what a write does to cached translations', () => {
  it.each<[string, (t: Tables) => unknown, Left]>([
    ['nothing at all', () => 0, EVERYTHING],
    ['CR3, PCID 0', t => t.cpu.writeCr3(t.root), [false, true, true]],
    ['CR3, PCID 0, bit 63', t => t.cpu.writeCr3(t.root | NOFLUSH), EVERYTHING],
    ['CR3, PCID 7 and back with bit 63', t => [t.cpu.writeCr3(t.root | 7n), t.cpu.writeCr3(t.root | NOFLUSH)], [true, true, false]],
    ['CR3, PCID 3', t => [t.cpu.writeCr3(t.root | 3n), t.cpu.writeCr3(t.root | NOFLUSH)], EVERYTHING],
    ['CR3 refused', t => t.cpu.writeCr3(1n << 60n), EVERYTHING],
    ['CR4 unchanged', t => t.cpu.writeCr4(big(BASE)), EVERYTHING],
    ['CR4.PGE cleared', t => t.cpu.writeCr4(big(BASE & ~CR4_PGE)), NONE],
    ['CR4.PCIDE cleared', t => t.cpu.writeCr4(big(BASE & ~CR4_PCIDE)), NONE],
    ['CR4.SMEP set', t => t.cpu.writeCr4(big(BASE | CR4_SMEP)), [false, false, true]],
    ['CR4.SMEP set under PCID 7', t => [t.cpu.writeCr3(t.root | 7n | NOFLUSH), t.cpu.writeCr4(big(BASE | CR4_SMEP)), t.cpu.writeCr3(t.root | NOFLUSH)], [true, false, false]],
    ['CR4.SMAP set', t => t.cpu.writeCr4(big(BASE | CR4_SMAP)), EVERYTHING],
    ['CR4.PKE set', t => t.cpu.writeCr4(big(BASE | CR4_PKE)), EVERYTHING],
    ['CR4 refused', t => t.cpu.writeCr4(0n), EVERYTHING],
    ['CR0.WP cleared', t => t.cpu.writeCr0(big(ON & ~CR0_WP)), EVERYTHING],
    ['CR0.CD set', t => t.cpu.writeCr0(big(ON | CR0_CD)), EVERYTHING],
    ['EFER.SCE set', t => t.cpu.writeEfer(big(EFER_LME | EFER_NXE | EFER_SCE)), EVERYTHING],
    ['INVLPG of the plain page', t => t.cpu.invlpg(PLAIN), [false, true, true]],
    ['INVLPG of the global page', t => t.cpu.invlpg(GLOBAL + 0xfffn), [true, false, true]],
    ['INVLPG of a non-canonical address', t => t.cpu.invlpg(PLAIN | (1n << 50n)), EVERYTHING],
    ['INVPCID 0 of PCID 0', t => t.cpu.invpcid(0, 0n, PLAIN), [false, true, true]],
    ['INVPCID 0 of PCID 7', t => t.cpu.invpcid(0, 7n, PLAIN), [true, true, false]],
    ['INVPCID 0 of the global page', t => t.cpu.invpcid(0, 0n, GLOBAL), EVERYTHING],
    ['INVPCID 1 of PCID 0', t => t.cpu.invpcid(1, 0n, 0n), [false, true, true]],
    ['INVPCID 1 of PCID 7', t => t.cpu.invpcid(1, 7n, 1n << 60n), [true, true, false]],
    ['INVPCID 2', t => t.cpu.invpcid(2, 0n, 0n), NONE],
    ['INVPCID 3', t => t.cpu.invpcid(3, 0n, 0n), [false, true, false]],
    ['flush()', t => t.cpu.flush(), NONE],
  ])('%s', (_, write, left) => {
    expect(survivors(write)).toEqual(left);
  });

  it.each(['functional', 'timed'] as const)('uses the tables of the new PCID even when nothing is invalidated: %s', mode => {
    const t = new Tables('4-level', { mode, cr4: CR4_PCIDE });
    t.map(PLAIN, 1, 0x77000n | ALL);
    expect(t.cpu.translate(PLAIN, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x77000n });
    expect(t.cpu.writeCr3(0x90000n | 7n | NOFLUSH)).toBe(0); // an empty root
    expect(t.cpu.translate(PLAIN, ACCESS_READ).ok).toBe(false);
    expect(t.cpu.writeCr3(t.root | NOFLUSH)).toBe(0);
    expect(t.cpu.translate(PLAIN, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x77000n, path: mode === 'timed' ? 'tlb1+' : 'walk 4 loads' });
  });

  it('forgets everything when paging is turned off', () => {
    const t = new Tables('legacy', { mode: 'timed', cr4: CR4_PGE });
    t.map(GLOBAL, 1, ALL | G);
    t.cpu.translate(GLOBAL, ACCESS_READ);
    t.set(1, GLOBAL, 0n);
    expect(t.cpu.explain(GLOBAL, ACCESS_READ).tlbLevel).toBe(1);
    expect([t.cpu.writeCr0(big(CR0_PE)), t.cpu.writeCr0(big(ON))]).toEqual([0, 0]);
    expect(t.cpu.explain(GLOBAL, ACCESS_READ).tlbLevel).toBe(0);
  });

  it.each(['functional', 'timed'] as const)('forgets global pages too when CR4.PAE changes under paging: %s', mode => {
    const t = new Tables('legacy', { mode, cr4: CR4_PGE });
    t.map(0n, 2, P | PS | G | RW);
    expect(t.cpu.translate(GLOBAL, ACCESS_READ)).toMatchObject({ ok: true, paddr: GLOBAL });
    const pae = new Tables('pae');
    pae.map(GLOBAL, 1, 0x99000n | P);
    const image = new Uint8Array(0x40000);
    pae.machine.read(0n, image);
    t.machine.write(0n, image);
    expect([t.cpu.writeCr3(pae.root), t.cpu.writeCr4(big(CR4_PAE | CR4_PSE | CR4_PGE))]).toEqual([0, 0]);
    expect(t.cpu.translate(GLOBAL, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x99000n });
  });
});

it.each(['functional', 'timed'] as const)('INVLPG removes all of a large page, by any address in it: %s', mode => {
  for (const invalidate of [(t: Tables) => t.cpu.invlpg(0x3456n), (t: Tables) => t.cpu.invpcid(0, 0n, 0x5000n)]) {
    const t = new Tables('4-level', { mode, hostPage: '4k' }); // held as fragments
    t.map(0n, 2, ALL | PS);
    const pages = [0n, 0x3000n, 0x1f_f000n];
    for (const va of pages) t.cpu.translate(va, ACCESS_READ);
    t.set(2, 0n, 0n);
    expect(pages.map(va => t.cpu.explain(va, ACCESS_READ).tlbLevel)).toEqual([1, 1, 1]);
    invalidate(t);
    expect(pages.map(va => t.cpu.explain(va, ACCESS_READ).tlbLevel)).toEqual([0, 0, 0]);
  }
});

describe('INVPCID', () => {
  it.each<[string, number, bigint, bigint, boolean, number]>([
    // type, descriptor[63:0], descriptor[127:64], PCIDE
    ['an unknown type', 4, 0n, 0n, true, FAULT_GP],
    ['a huge type', 2 ** 31, 0n, 0n, true, FAULT_GP],
    ['reserved bit 12', 0, 1n << 12n, 0n, true, FAULT_GP],
    ['reserved bit 63', 1, 1n << 63n, 0n, true, FAULT_GP],
    ['reserved bits with type 2', 2, 1n << 32n, 0n, true, FAULT_GP],
    ['reserved bits with type 3', 3, 1n << 12n, 0n, true, FAULT_GP],
    ['a non-canonical address with type 0', 0, 0n, 1n << 47n, true, FAULT_GP],
    ['a non-canonical address with type 1', 1, 0n, 1n << 47n, true, FAULT_NONE],
    ['a non-canonical address with type 2', 2, 0n, 1n << 47n, true, FAULT_NONE],
    ['a PCID with type 0 while PCIDE = 0', 0, 1n, 0n, false, FAULT_GP],
    ['a PCID with type 1 while PCIDE = 0', 1, 1n, 0n, false, FAULT_GP],
    ['PCID 0 with type 1 while PCIDE = 0', 1, 0n, 0n, false, FAULT_NONE],
    ['a PCID with type 2 while PCIDE = 0', 2, 1n, 0n, false, FAULT_NONE],
    ['a PCID with type 3 while PCIDE = 0', 3, 0xfffn, 0n, false, FAULT_NONE],
    ['PCID 4095 with type 0', 0, 0xfffn, 0n, true, FAULT_NONE],
  ])('with %s', (_, type, first, va, pcide, fault) => {
    const t = new Tables('4-level', { mode: 'timed', cr4: pcide ? CR4_PCIDE : 0 });
    t.map(0n, 1, ALL);
    t.cpu.translate(0n, ACCESS_READ);
    const before = t.bytes();
    expect(t.cpu.invpcid(type, first, va)).toBe(fault);
    if (fault === FAULT_GP) expect(t.bytes().equals(before)).toBe(true);
  });
});

it.each(['legacy', 'pae'] as const)('INVLPG and INVPCID take 32 bits of the address in %s paging', mode => {
  for (const speed of ['functional', 'timed'] as const) for (const invalidate of [(t: Tables) => t.cpu.invlpg(~0xfffn & ((1n << 64n) - 1n)), (t: Tables) => t.cpu.invpcid(0, 0n, 0xffff_0000_ffff_f000n)]) {
    const t = new Tables(mode, { mode: speed });
    t.map(0xffff_f000n, 1, ALL);
    t.cpu.translate(0xffff_f000n, ACCESS_READ);
    t.set(1, 0xffff_f000n, 0n);
    expect(t.cpu.translate(0xffff_f000n, ACCESS_READ).ok).toBe(true);
    invalidate(t);
    expect(t.cpu.translate(0xffff_f000n, ACCESS_READ).ok).toBe(false);
  }
});

describe.each(['functional', 'timed'] as const)('rights change at once for what is cached: %s', mode => {
  it.each<[string, number, bigint, number, (t: Tables) => unknown]>([
    // bits of CR4, leaf, access permitted before and refused after
    ['CR0.WP', 0, P, ACCESS_WRITE, t => t.cpu.writeCr0(big(ON))],
    ['CR4.SMAP', 0, ALL, ACCESS_READ, t => [t.cpu.setAc(false), t.cpu.writeCr4(big(CR4_PAE | CR4_SMAP))]],
    ['EFLAGS.AC', CR4_SMAP, ALL, ACCESS_READ, t => t.cpu.setAc(false)],
    ['PKRU', CR4_PKE, ALL, ACCESS_USER, t => t.cpu.writePkru(1)],
    ['CR4.SMEP', 0, ALL, ACCESS_FETCH, t => t.cpu.writeCr4(big(CR4_PAE | CR4_SMEP))],
  ])('%s', (_, cr4, leaf, access, change) => {
    const t = new Tables('4-level', { mode, cr4, without: { wp: true } });
    t.cpu.setAc(true);
    t.map(0n, 1, leaf | A | D);
    for (let n = 0; n < 3; n++) expect(t.cpu.translate(0n, access).ok).toBe(true);
    change(t);
    expect(t.cpu.translate(0n, access)).toMatchObject({ ok: false, vector: 14 });
  });

  it('a fault forgets what was cached of its address, so that it is not repeated', () => {
    const t = new Tables('4-level', { mode });
    t.map(0n, 1, P | US);
    expect(t.cpu.translate(0n, ACCESS_READ | ACCESS_USER).ok).toBe(true);
    t.set(1, 0n, P | US | RW); // more rights need no invalidation
    expect(t.cpu.translate(0n, ACCESS_WRITE | ACCESS_USER).ok).toBe(true);
    t.cpu.flush();
    t.set(1, 0n, P | US | RW);
    expect(t.cpu.translate(0n, ACCESS_READ | ACCESS_USER).ok).toBe(true);
    t.set(1, 0n, P);
    expect(t.cpu.translate(0n, ACCESS_READ | ACCESS_USER).ok).toBe(true); // as cached, with D = 0: a write walks
    expect(t.cpu.translate(0n, ACCESS_WRITE | ACCESS_USER).ok).toBe(false);
    expect(t.cpu.translate(0n, ACCESS_READ | ACCESS_USER).ok).toBe(false);
  });
});
