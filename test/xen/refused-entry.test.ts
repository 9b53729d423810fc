/** Entries of tables above the first level that are refused, though the frame they name could be referred to. */
import { describe, expect, it } from 'vitest';
import { entryOf, Guest, P, TABLE } from './guest.ts';

const EINVAL = -22, PWT = 0x8n, PCD = 0x10n, G = 0x100n, AVAIL = 0xe00n;

describe.each([['64-bit', true], ['32-bit', false]] as const)('an entry of level 2 of a %s guest (mod_l2_entry())', (_, wide) => {
  it.each([['PWT', PWT, EINVAL], ['PCD', PCD, EINVAL], ['G', G, EINVAL], ['AVAIL', AVAIL, 0]] as const)('of the same table with %s', (_flag, flag, expected) => {
    const g = new Guest({ wide }), level2 = g.tables[2]!, entry = g.entry(level2, 0);
    expect(entry >> 12n).toBe(BigInt(g.level1[0]!));
    expect(g.update([level2, 0, (BigInt(g.level1[0]!) << 12n) | TABLE | flag])).toBe(expected);
    expect(g.entry(level2, 0)).toBe(expected === 0 ? entry | flag : entry);
    expect(g.xen.audit()).toEqual([]);
  });
});

it.each([['present', P, 0], ['not present, though its frame could be one', 0n, EINVAL]] as const)('a root of a 32-bit guest whose fourth entry is %s (promote_l3_table())', (_, flags, expected) => {
  const g = new Guest({ wide: false }), level2 = g.table(g.free(0)), root = g.table(g.free(1), [[3, entryOf(level2, flags)]]);
  expect(g.pin(3, root)).toBe(expected);
  expect(g.xen.audit()).toEqual([]);
});
