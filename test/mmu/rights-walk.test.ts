import { expect, it } from 'vitest';
import {
  ACCESS_CODE, ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF, PFEC_P,
  PFEC_PK, PFEC_RSVD,
} from '../../src/arch/fault.ts';
import { CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, EFER_LME, EFER_NXE } from '../../src/arch/registers.ts';
import { keyRefuses, permitted, type Case } from './rights-oracle.ts';
import { A, D, P, RW, Tables, US, XD } from './walk-tables.ts';

// Entries in memory through the walk to fault code, A and D; the rules themselves are enumerated in rights.test.ts.

const VA = 0x7f12_3456_7000n;
const HI = Number(VA >> 32n), LO = Number(VA & 0xffffffffn) | 0;
const FRAME = 0x40000n, KEY = 9n;
const WHO = [['user', ACCESS_USER], ['supervisor', 0], ['implicit', ACCESS_IMPLICIT]] as const;
const KINDS = [
  ['read', ACCESS_READ], ['write', ACCESS_WRITE], ['fetch', ACCESS_FETCH], ['shadow read', ACCESS_SHADOW_STACK],
  ['shadow write', ACCESS_SHADOW_STACK | ACCESS_WRITE],
] as const;

type Registers = Pick<Case, 'wp' | 'smep' | 'smap' | 'ac' | 'nxe' | 'pke' | 'pks' | 'pkruAd' | 'pkruWd' | 'pkrsAd' | 'pkrsWd'>;

function load(t: Tables, r: Registers): void {
  const bits = (...on: [boolean, number][]) => BigInt(on.reduce((sum, [is, bit]) => (is ? sum | bit : sum), 0) >>> 0);
  const cr4 = bits([true, CR4_PAE], [r.smep, CR4_SMEP], [r.smap, CR4_SMAP], [r.pke, CR4_PKE], [r.pks, CR4_PKS]);
  const faults = [
    t.cpu.writeCr0(bits([true, CR0_PG | CR0_PE], [r.wp, CR0_WP])), t.cpu.writeCr4(cr4),
    t.cpu.writeEfer(bits([true, EFER_LME], [r.nxe, EFER_NXE])), t.cpu.writePkrs(bits([r.pkrsAd, 1 << 18], [r.pkrsWd, 2 << 18])),
  ];
  t.cpu.writePkru((r.pkruAd ? 1 << 18 : 0) | (r.pkruWd ? 2 << 18 : 0));
  t.cpu.setAc(r.ac);
  expect(faults).toEqual([0, 0, 0, 0]);
}

/** Outcome by the manual: the fault, and what is then in the leaf. */
function expected(r: Registers, leaf: bigint, above: bigint, who: (typeof WHO)[number], kind: (typeof KINDS)[number]): [number, bigint] {
  const access = who[1] | kind[1], both = leaf & above;
  const c: Case = {
    ...r, by: who[0], kind: kind[0], userAddress: (both & US) !== 0n, writable: (both & RW) !== 0n, xd: ((leaf | above) & XD) !== 0n,
    shadowStack: (above & RW) !== 0n && (leaf & (RW | D)) === D,
  };
  const noticed = c.kind === 'fetch' && !r.nxe && !r.smep ? access & ~ACCESS_FETCH : access; // the I/D bit needs NXE (with PAE) or SMEP
  const code = (noticed & ACCESS_CODE) | PFEC_P;
  if (c.xd && !r.nxe) return [FAULT_PF | code | PFEC_RSVD, leaf];
  if (permitted(c)) return [FAULT_NONE, leaf | A | (access & ACCESS_WRITE ? D : 0n)];
  return [FAULT_PF | code | (keyRefuses(c) ? PFEC_PK : 0), leaf];
}

const flags = (n: number, bits: readonly bigint[]): bigint => bits.reduce((sum, bit, k) => ((n >>> k) & 1 ? sum | bit : sum), 0n);

function enumerate(t: Tables, registers: readonly Registers[], leafBits: readonly bigint[], aboveBits: readonly bigint[], wrong: string[]): number {
  let cases = 0;
  t.map(VA, 1, 0n);
  for (const r of registers) {
    load(t, r);
    for (let l = 0; l < 1 << leafBits.length; l++) for (let a = 0; a < 1 << aboveBits.length; a++) {
      const leaf = FRAME | P | (KEY << 59n) | flags(l, leafBits), above = flags(a, aboveBits);
      for (const who of WHO) for (const kind of KINDS) {
        t.set(1, VA, leaf);
        t.set(2, VA, t.table(1) | P | above);
        const fault = t.cpu.access(HI, LO, who[1] | kind[1]);
        const now = t.get(1, VA), [code, after] = expected(r, leaf, above, who, kind);
        const aboveNow = (t.get(2, VA) & A) !== 0n;
        if (fault !== code || now !== after || aboveNow !== (code === FAULT_NONE)) {
          wrong.push(`${who[0]} ${kind[0]} leaf ${leaf.toString(16)} above ${above.toString(16)} ${JSON.stringify(r)}: ${fault.toString(16)}, not ${code.toString(16)}`);
        }
        t.cpu.invlpg(VA);
        cases++;
      }
    }
  }
  return cases;
}

const NO_KEYS = { pke: false, pks: false, pkruAd: false, pkruWd: false, pkrsAd: false, pkrsWd: false };
const bit = (n: number, k: number): boolean => ((n >>> k) & 1) === 1;

it('agrees with the oracle on all 61440 cases without keys', { timeout: 30_000 }, () => {
  const registers = Array.from({ length: 32 }, (_, n) => ({ ...NO_KEYS, wp: bit(n, 0), smep: bit(n, 1), smap: bit(n, 2), ac: bit(n, 3), nxe: bit(n, 4) }));
  const wrong: string[] = [];
  const cases = enumerate(new Tables('4-level'), registers, [RW, US, XD, D], [RW, US, XD], wrong);
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(cases).toBe(32 * 16 * 8 * 15);
});

it('agrees with the oracle on all 61440 cases with keys', { timeout: 30_000 }, () => {
  const registers = Array.from({ length: 128 }, (_, n) => ({
    smep: false, ac: false, nxe: true, wp: bit(n, 0), smap: bit(n, 1) && bit(n, 0), pke: bit(n, 2) || bit(n, 1), pks: bit(n, 2) || !bit(n, 1),
    pkruAd: bit(n, 3), pkruWd: bit(n, 4), pkrsAd: bit(n, 5), pkrsWd: bit(n, 6),
  }));
  const wrong: string[] = [];
  const cases = enumerate(new Tables('4-level'), registers, [RW, US, D], [RW, US], wrong);
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(cases).toBe(128 * 8 * 4 * 15);
});
