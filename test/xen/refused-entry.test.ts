/** Entries of tables above the first level that are refused by their flags, though they refer to what was referred to before. */
import { describe, expect, it } from 'vitest';
import { Guest, TABLE } from './guest.ts';

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
