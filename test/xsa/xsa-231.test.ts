/**
 * XSA-231, "Missing NUMA node parameter verification" (CVE-2017-14316).
 *
 * Requests for memory name a NUMA node, in eight bits of their flags. The number was used as an index into tables with fewer entries, without
 * a check: the attacker names node 254 and has the hypervisor follow pointers from beyond.
 *
 * This engine has no nodes and no tables of them; the check has to be there all the same. A node from 64 up (the real Xen's MAX_NUMNODES) that
 * is demanded must get no frame: 0 extents from populate_physmap and increase_reservation, -EINVAL from exchange. Who is not privileged
 * may not demand any node; one merely wished for is ignored. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { exchange, hasMemoryOp, reserve, XENMEM_increase_reservation, XENMEM_populate_physmap } from './memory.ts';
import { attacker, EINVAL, holds, refused, WIDTHS } from './world.ts';

const node = (n: number): number => ((n + 1) & 0xff) << 8;
const EXACT = 1 << 17;
const BEYOND = [64, 65, 128, 253, 254];

describe.runIf(hasMemoryOp()).each(WIDTHS)('XSA-231: a %s guest', (_, wide) => {
  function scene(privileged: boolean) {
    const g = attacker({ wide, privileged }), mine = g.free(300);
    g.domain.maxPages += 64;
    expect(g.map(g.va(mine), 0n)).toBe(0);
    return { g, list: g.words(wide ? 8 : 4, BigInt(mine)) };
  }

  it.each(BEYOND)('that is privileged asks for memory of node %i, and gets none', n => {
    const { g, list } = scene(true);
    for (const flags of [node(n), node(n) | EXACT]) {
      refused(g, 0, () => reserve(g, XENMEM_populate_physmap, { list, flags }));
      refused(g, 0, () => reserve(g, XENMEM_increase_reservation, { list, flags }));
      refused(g, EINVAL, () => exchange(g, { list }, { list: list + 64n, flags }, 0n));
    }
  });

  it.each([0, 1, ...BEYOND])('that is not asks for memory of node %i and no other, and gets none', n => {
    const { g, list } = scene(false), flags = node(n) | EXACT;
    refused(g, 0, () => reserve(g, XENMEM_populate_physmap, { list, flags }));
    refused(g, 0, () => reserve(g, XENMEM_increase_reservation, { list, flags }));
    refused(g, EINVAL, () => exchange(g, { list }, { list: list + 64n, flags }, 0n));
  });

  it.each(BEYOND)('that is not wishes for memory of node %i, and gets some', n => {
    const { g, list } = scene(false), before = g.domain.totalPages;
    expect(reserve(g, XENMEM_increase_reservation, { list, flags: node(n) })).toBe(1);
    expect(g.domain.totalPages).toBe(before + 1);
    holds(g);
  });
});
