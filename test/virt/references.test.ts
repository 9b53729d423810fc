import { describe, expect, it } from 'vitest';
import { NEST_REF_COUNT } from '../../src/layout/nested.ts';
import { VCPU_NEST, VCPU_OUT_HIT, VCPU_OUT_REFS } from '../../src/layout/vcpu.ts';
import { readReferences } from '../../src/machine/nested-reference.ts';
import { TwoStages, type Format, type GuestMode, type Leaf } from './two-stages.ts';

const GUEST_ENTRIES: Readonly<Record<GuestMode, readonly number[]>> = { flat: [0], legacy: [2, 1], pae: [2, 1], '4-level': [4, 3, 2], '5-level': [5, 4, 3] };
/** A processor that caches nothing of the second stage. */
const NOTHING = { tlb: [], hitCycles: 0, psc: {} };

const VA: Readonly<Record<GuestMode, number>> = { flat: 0x40000000 + 0x600000, legacy: 0x80400000, pae: 0x80400000, '4-level': 0x7f12_4060_0000, '5-level': 0x7f12_4060_0000 };

/** What the walk of the last access read, as the engine noted it: level of the guest's entry sought, of the host's, address. */
function references(w: Int32Array, v: number): string[] {
  const many = (w[v + (VCPU_NEST >>> 2)] + NEST_REF_COUNT) >>> 2;
  w[many] = w[v + (VCPU_OUT_REFS >>> 2)]; // the list is empty once it is priced
  const keys = readReferences(w, v).map(({ guest, host, paHi, paLo }) => `${guest} ${host} ${(paHi >>> 0) * 2 ** 32 + (paLo >>> 0)}`);
  w[many] = 0;
  return keys;
}

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

  it.each<[GuestMode, Leaf, 4 | 5, Leaf, number]>([
    ['4-level', 1, 4, 1, 24], ['4-level', 2, 4, 1, 19], ['4-level', 1, 4, 2, 19], ['4-level', 2, 4, 2, 15], ['4-level', 3, 4, 3, 8],
    ['5-level', 1, 5, 1, 35], ['pae', 1, 4, 1, 14], ['flat', 1, 4, 1, 4],
  ])('are, for %s leaf %i under %i levels leaf %i: %i; and no walk makes any other, whatever is cached', (mode, leaf, hostLevels, hostLeaf, all) => {
    const t = new TwoStages(format, hostLevels, hostLeaf, mode, {}), gpa = 0x40000000 + 0x400000, [cpu] = t.machine.vcpus;
    for (let page = 0; page < 1024; page++) t.hostMap(gpa + page * 4096);
    t.guestMap(VA[mode], leaf, leaf === 3 ? 0x40000000 : gpa);
    t.hostMap(mode === 'flat' ? VA[mode] : gpa);
    t.enter(1 << 6);
    const { w } = t.machine.views, v = cpu.block >>> 2;
    const list = () => cpu.explain(BigInt(VA[mode]), 0).references.map(r => ({ key: r.stage === 'guest' ? `${r.level} 0 ${r.paddr}` : `${r.towards} ${r.level} ${r.paddr}`, needed: r.needed }));
    const full = list().map(r => r.key), lengths: number[] = [];
    expect([full.length, new Set(full).size]).toEqual([all, all]);
    for (const forget of [() => undefined, () => cpu.invlpg(BigInt(VA[mode])), () => cpu.flush(), () => t.enterStage(1 << 6), () => format === 'ept' && cpu.guest.invept(2, 0n)]) {
      forget();
      const needed = list().filter(r => r.needed).map(r => r.key);
      expect(cpu.translate(BigInt(VA[mode]), 0)).toMatchObject({ ok: true });
      if (w[v + (VCPU_OUT_HIT >>> 2)] !== 0) continue; // from the TLB
      const made = references(w, v);
      expect(made.filter(key => !needed.includes(key))).toEqual([]);
      expect(needed.filter(key => !full.includes(key))).toEqual([]);
      expect(new Set(made).size).toBe(made.length);
      lengths.push(made.length);
    }
    expect(Math.max(...lengths)).toBeLessThanOrEqual(all);
    if (all > 4) expect(Math.min(...lengths)).toBeLessThan(all); // caches save some
  });
});
