import { describe, expect, it } from 'vitest';
import { TwoStages, type Format, type GuestMode, type Leaf } from './two-stages.ts';

const GUEST_ENTRIES: Readonly<Record<GuestMode, readonly number[]>> = { flat: [0], legacy: [2, 1], pae: [2, 1], '4-level': [4, 3, 2], '5-level': [5, 4, 3] };
/** A processor that caches nothing of the second stage. */
const NOTHING = { tlb: [], hitCycles: 0, psc: {} };

const VA: Readonly<Record<GuestMode, number>> = { flat: 0x40000000 + 0x600000, legacy: 0x80400000, pae: 0x80400000, '4-level': 0x7f12_4060_0000, '5-level': 0x7f12_4060_0000 };

describe.each(['ept', 'npt'] as Format[])('%s: every reference of a two-dimensional walk', format => {
  for (const mode of Object.keys(GUEST_ENTRIES) as GuestMode[]) {
    GUEST_ENTRIES[mode].forEach((entries, k) => {
      for (const hostLevels of [4, 5] as const) for (const hostLeaf of [1, 2, 3] as Leaf[]) {
        const host = hostLevels - hostLeaf + 1, all = entries * (host + 1) + host;
        it(`${mode} leaf ${k + 1}, host of ${hostLevels} levels leaf ${hostLeaf}: ${all}`, () => {
          const t = new TwoStages(format, hostLevels, hostLeaf, mode, { nested: NOTHING });
          const gpa = 0x40000000 + 0x400000, leaf = (k + 1) as Leaf;
          for (let page = 0; page < 1024; page++) if (leaf > 1 || page < 2) t.hostMap(gpa + page * 4096);
          t.guestMap(VA[mode], leaf, leaf === 3 ? 0x40000000 : gpa);
          t.hostMap(mode === 'flat' ? VA[mode] : gpa);
          t.enter(1 << 6);
          const cpu = t.machine.vcpus[0];
          const { references, outcome } = cpu.explain(BigInt(VA[mode]), 0);
          expect(outcome.ok).toBe(true);
          expect(references.length).toBe(all);
          expect(references.every(r => r.needed)).toBe(true);
          const guest = references.filter(r => r.stage === 'guest').map(r => r.level);
          expect(guest).toEqual(Array.from({ length: entries }, (_, i) => (mode === 'pae' ? 2 : entries + k) - i));
          // Each guest entry comes after the second stage of its own table; the page's own second stage is last.
          expect(references.map(r => (r.stage === 'guest' ? 'g' : 'h')).join('')).toBe(('h'.repeat(host) + 'g').repeat(entries) + 'h'.repeat(host));
          const before = cpu.counters().cycles.walkLoads;
          expect(cpu.translate(BigInt(VA[mode]), 0)).toMatchObject({ ok: true, path: `tlb1- tlb2- walk ${all} loads` });
          expect(cpu.counters().cycles.walkLoads).toBeGreaterThan(before);
          const { referenceHits, hostHits } = cpu.counters(), sum = (list: readonly number[]) => list.reduce((a, b) => a + b);
          expect([sum(referenceHits), sum(hostHits)]).toEqual([entries, all - entries]);
          expect(cpu.translate(BigInt(VA[mode]), 0)).toMatchObject({ ok: true, path: 'tlb1+' });
          cpu.resetCounters();
          expect(sum(cpu.counters().hostHits)).toBe(0);
        });
      }
    });
  }

  it('counts 24, 19, 19, 15, 8, 35, 14 and 4', () => {
    const count = (mode: GuestMode, leaf: Leaf, hostLevels: 4 | 5, hostLeaf: Leaf) => {
      const entries = GUEST_ENTRIES[mode][leaf - 1], host = hostLevels - hostLeaf + 1;
      return entries * (host + 1) + host;
    };
    expect([count('4-level', 1, 4, 1), count('4-level', 2, 4, 1), count('4-level', 1, 4, 2), count('4-level', 2, 4, 2), count('4-level', 3, 4, 3),
      count('5-level', 1, 5, 1), count('pae', 1, 4, 1), count('flat', 1, 4, 1)]).toEqual([24, 19, 19, 15, 8, 35, 14, 4]);
  });
});
