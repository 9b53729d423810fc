import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import { zen3Chase } from '../../src/cost/measured/zen3-chase.ts';
import { findPreset, presets } from '../../src/cost/presets/all.ts';
import { ConfigError } from '../../src/errors.ts';
import { CHASE_KINDS, mulberry32, runChase, sattolo, type ChaseKind } from '../../src/trace/chase.ts';
import { compareChase, findKnees, fittedFigures, medianAbsoluteError } from '../../src/trace/chase-compare.ts';
import { parseChaseCsv } from '../../src/trace/chase-csv.ts';

const zen3 = findPreset('zen3');
const { host } = zen3Chase;
const recorded = parseChaseCsv(zen3Chase.csv, zen3Chase.file);

describe('knees of 4K-stride-in-2M on zen3', () => {
  const at = (pages: number) => runChase(zen3, '4K-stride-in-2M', pages, { host });

  it('stand at 64 entries of the first level', () => {
    expect(at(64)).toMatchObject({ tlbMisses: [0, 0], walksPerAccess: 0 });
    expect(at(65).tlbMisses[0]).toBeGreaterThan(0);
    expect(at(65).walksPerAccess).toBe(0);
  });

  it('stand at 2048 entries of the second level', () => {
    expect(at(2048).walksPerAccess).toBe(0);
    expect(at(2048).tlbMisses[1]).toBe(0);
    expect(at(2049).walksPerAccess).toBeGreaterThan(0);
  });

  it('are sharp as measured: part of 2100 pages walk, all of 2200', () => {
    expect(at(2100).walksPerAccess).toBeCloseTo((52 * 17) / 2100, 6); // 52 of 128 sets have 17 pages for 16 ways
    expect(at(2200).walksPerAccess).toBe(1);
  });

  it('are found by bisection', () => expect(findKnees(zen3, '4K-stride-in-2M', { host })).toEqual([65, 2049]));
  it('are not for a machine without paging', () => expect(findKnees(zen3, '64B-dense', { host })).toEqual([]));
});

it('finds the knees of whole 2M pages, up to the largest chase tried', () => {
  expect(findKnees(findPreset('nehalem-e5520'), '4K-stride-in-2M', { warmLaps: 1 })).toEqual([32 * 512 + 1, 32 * 512 + 1]); // none for 2M
  expect(findKnees(zen3, '4K-stride-in-2M', { warmLaps: 1 })).toEqual([undefined, undefined]); // 64 * 512 is the largest tried
});

describe('against the recorded chase', () => {
  const options = { host, accesses: 4096, warmLaps: 1 };
  const SKIPPED = [59855, 134673, 202009]; // for time; `pagewalk chase` runs them all
  const rowsOf = (kind: ChaseKind) => recorded.filter(r => r.kind === kind && !SKIPPED.includes(r.pages));

  it.each(['4K-stride-in-2M', '64B-dense'] as const)('%s is within 15 percent in the median', kind => {
    expect(rowsOf(kind).length).toBe(24);
    expect(rowsOf(kind).at(-1)!.pages).toBe(262144);
    const sizes = compareChase(zen3, rowsOf(kind), options);
    expect(medianAbsoluteError(sizes)).toBeLessThan(10);
    expect(Math.abs(sizes.at(-1)!.errorPercent!)).toBeLessThan(10); // memory
    if (kind === '64B-dense') return;
    const walking = sizes.filter(s => s.modelled.walksPerAccess > 0);
    expect(walking.length).toBe(10);
    expect(medianAbsoluteError(walking)).toBeLessThan(15); // the median over all rows is blind to the larger half
    expect(Math.abs(walking.find(s => s.pages === 89782)!.errorPercent!)).toBeLessThan(15); // beyond the guest's part of the last cache
  }, 60_000);

  it('the finer grid around the knee is within 15 % in the median', () => {
    const fine = parseChaseCsv(readFileSync('test/fixtures/zen3-chase-fine.csv', 'utf8'), 'zen3-chase-fine.csv');
    expect(medianAbsoluteError(compareChase(zen3, fine.filter(r => r.kind === '4K-stride-in-2M'), options))).toBeLessThan(12);
  }, 20_000);

  it('does not hang on the seed', () => {
    const rows = rowsOf('4K-stride-in-2M').filter(r => r.pages < 20_000);
    for (const seed of [2, 3]) expect(medianAbsoluteError(compareChase(zen3, rows, { ...options, seed }))).toBeLessThan(10);
  }, 20_000);

  it('fitted nothing but estimates', () => {
    const fitted = [...fittedFigures(zen3, 'zen3'), ...fittedFigures(host, 'host')];
    expect(fitted.map(f => f.field)).toEqual(['zen3.caches.memoryCycles', 'host.entryCycles', 'host.lastCachePercent']);
    for (const f of fitted) expect(f.from).toBe('estimate');
  });

  it.runIf(existsSync('../shared/hardware/zen3-chase.csv'))('the copy is the recording', () => {
    expect(zen3Chase.csv).toBe(readFileSync('../shared/hardware/zen3-chase.csv', 'utf8'));
  });
});

describe('a chase', () => {
  it('comes out the same every time, and differs by seed', () => {
    const run = (seed: number) => runChase(zen3, '4K-shuffled', 3000, { host, seed });
    expect(run(7)).toEqual(run(7));
    expect(run(7).cyclesPerAccess).not.toBe(run(8).cyclesPerAccess);
  });

  it.each(CHASE_KINDS)('%s on every preset costs the first cache level for few pages, without misses', kind => {
    for (const cpu of Object.values(presets)) {
      const r = runChase(cpu, kind, 4, {});
      expect(r.cyclesPerAccess, cpu.name).toBe(figure(cpu.caches.levels[0]!.cycles) + figure(cpu.tlb[0]!.hitCycles) * (kind === '64B-dense' ? 0 : 1));
      expect(r.tlbMisses.every(m => m === 0), cpu.name).toBe(true);
    }
  });

  it('accounts for every load', () => {
    for (const kind of CHASE_KINDS) {
      const r = runChase(zen3, kind, 3000, { host });
      const sum = (list: readonly number[]) => list.reduce((a, b) => a + b);
      expect(r.accesses).toBe(18000);
      expect(sum(r.dataHits)).toBeCloseTo(1, 9);
      expect(r.cycles.tlb + r.cycles.walk + r.cycles.data).toBeCloseTo(r.cyclesPerAccess, 9);
      expect(sum(r.hostHits)).toBeCloseTo(kind === '64B-dense' ? 0 : sum(r.entryHits) + r.walksPerAccess, 9); // one of each table, one of the page
    }
  });

  it('without a host keeps 2M pages whole', () => {
    expect(runChase(zen3, '4K-stride-in-2M', 4096, {}).tlbMisses).toEqual([0, 0]);
    expect(runChase(zen3, '4K', 4096, {}).hostHits).toEqual([0, 0, 0, 0]);
  });

  it.each([
    ['kind', () => runChase(zen3, '8K' as ChaseKind, 8)],
    ['pages', () => runChase(zen3, '4K', 0)],
    ['pages', () => runChase(zen3, '4K', 2 ** 20 + 1)],
    ['accesses', () => runChase(zen3, '4K', 8, { accesses: 0.5 })],
    ['warmLaps', () => runChase(zen3, '4K', 8, { warmLaps: 0 })],
  ])('refuses a bad %s', (field, run) => {
    expect(run).toThrow(ConfigError);
    expect(run).toThrow(`${field}: expected`);
  });
});

it.each([1, 2, 3, 64, 1000])('sattolo(%i) is one cycle through all', n => {
  const next = sattolo(n, mulberry32(n));
  const seen = new Set<number>();
  for (let k = 0; !seen.has(k); k = next[k]!) seen.add(k);
  expect(seen.size).toBe(n);
});

it('takes the median of the sizes that were measured', () => {
  const size = (errorPercent: number | undefined) => ({ errorPercent }) as ReturnType<typeof compareChase>[number];
  expect(medianAbsoluteError([size(-5), size(undefined), size(1), size(3)])).toBe(3);
  expect(medianAbsoluteError([size(-5), size(1)])).toBe(3);
  expect(medianAbsoluteError([size(undefined)])).toBeUndefined();
});
