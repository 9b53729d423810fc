import { describe, expect, it } from 'vitest';
import type { Geometry } from '../../src/index.ts';
import { TwoStages, type Format, type GuestMode, type Leaf } from './two-stages.ts';

/** A second stage's caches that hold whatever one translation needs. */
const ample: Geometry = { sets: 1, ways: 32, replacement: 'lru' };
const NESTED = { tlb: [{ name: 'ntlb', ...ample, holds: ['4k', '2m', '1g'] as const }], hitCycles: 1, psc: { pde: ample, pdpte: ample, pml4e: ample, pml5e: ample } };
const VA = 0x7f12_4060_0000, TABLE_STEP = 4096;

/** What one translation leaves of nothing. @param apart - every table of the guest and its page in a region of its own at the host's root level */
function oneTranslation(format: Format, mode: GuestMode, levels: 4 | 5, guestLeaf: Leaf, hostLeaf: Leaf, apart: boolean) {
  const region = levels === 5 ? 2 ** 48 : 2 ** 39;
  const t = new TwoStages(format, levels, hostLeaf, mode, { nested: NESTED, physicalAddressBits: 52 }, apart ? region + TABLE_STEP : TABLE_STEP);
  const data = guestLeaf === 1 ? t.guestFrame() : 0x40000000 + (apart ? 5 * region : 0) + (guestLeaf === 2 ? 0x400000 : 0);
  t.hostMap(data);
  t.guestMap(VA, guestLeaf, data);
  t.enter(1 << 6);
  const cpu = t.machine.vcpus[0]!;
  expect(cpu.guest.resident()).toEqual({ tlb: 0, psc: 0, nestedTlb: 0, nestedPsc: 0, lines: 0 });
  expect(cpu.translate(BigInt(VA), 0).ok).toBe(true);
  return cpu.guest.resident();
}

describe.each(['ept', 'npt'] as Format[])('%s: what one translation leaves resident', format => {
  // Both TLB levels of Skylake hold every size. The guest's walk leaves a paging-structure cache entry for each level above its leaf but the fifth.
  // The nested TLB has one entry for each of the guest's tables and one for its page. Where all of these are apart, each brings one entry into each
  // nested paging-structure cache above the host's leaf; where they are close, all share one.
  // Lines: of each guest entry one; of the host's entries one for each, but those of its root table, which are neighbours and share a line.
  it.each<[string, GuestMode, 4 | 5, Leaf, Leaf, number, number]>([
    ['4K/4K', '4-level', 4, 1, 1, 2, 24], ['2M/4K', '4-level', 4, 2, 1, 2, 19], ['4K/2M', '4-level', 4, 1, 2, 2, 19], ['2M/2M', '4-level', 4, 2, 2, 2, 15],
    ['1G/1G', '4-level', 4, 3, 3, 2, 8], ['4K/4K, five levels', '5-level', 5, 1, 1, 2, 35],
  ])('%s', (_, mode, levels, guestLeaf, hostLeaf, tlb, references) => {
    const tables = levels - guestLeaf + 1, pages = tables + 1, above = levels - hostLeaf;
    expect(oneTranslation(format, mode, levels, guestLeaf, hostLeaf, true)).toEqual({
      tlb, psc: Math.min(tables - 1, 3), nestedTlb: pages, nestedPsc: pages * above, lines: references - (pages - 1),
    });
  });

  it('4K/4K with everything in one 2M region: 2 + 3 + 5 + 3 entries', () => {
    const { lines, ...entries } = oneTranslation(format, '4-level', 4, 1, 1, false);
    expect(entries).toEqual({ tlb: 2, psc: 3, nestedTlb: 5, nestedPsc: 3 });
    // Four guest entries, the host's three upper ones, and its five level-1 entries, which are neighbours.
    expect(lines).toBe(4 + 3 + 1);
  });

  it('is counted for each guest by itself', () => {
    const t = new TwoStages(format, 4, 1, 'flat', { nested: NESTED }), cpu = t.machine.vcpus[0]!, gpa = t.guestFrame();
    const enter = (id: number) => cpu.guest.enter(format === 'ept' ? { format, eptp: BigInt(t.hostRoot | 0x1e), vpid: id } : { format, ncr3: BigInt(t.hostRoot), asid: id });
    enter(1);
    expect(cpu.translate(BigInt(gpa), 0).ok).toBe(true);
    expect(cpu.guest.resident()).toMatchObject({ tlb: 2, psc: 0, nestedTlb: 1, nestedPsc: 3 });
    enter(2); // another VPID under the same EPT root has its guest-physical mappings in common, another ASID has nothing
    expect(cpu.guest.resident()).toMatchObject(format === 'ept' ? { tlb: 0, nestedTlb: 1, nestedPsc: 3 } : { tlb: 0, nestedTlb: 0, nestedPsc: 0 });
    enter(1);
    expect(cpu.guest.resident()).toMatchObject({ tlb: 2, nestedTlb: 1, nestedPsc: 3 });
  });
});
