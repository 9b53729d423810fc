/**
 * XSA-212, "x86: broken check in memory_exchange() permits PV guest breakout" (CVE-2017-7228).
 *
 * XENMEM_exchange writes the numbers of new frames into a list of the guest's. The start of that list was checked to be the guest's, but not
 * the place where writing begins: so many entries further on as the structure says were exchanged before, a number that the guest gives. The
 * attacker gives one with which that place is the hypervisor's, such as an entry of its own tables in the linear mapping, and has a frame number
 * written there.
 *
 * Lists that begin or go on among the hypervisor's addresses, by their start or by any number of exchanged extents, must be refused
 * without a byte written, and without a frame lost. Both widths; a 32-bit guest's arithmetic wraps at 2^32.
 */
import { describe, expect, it } from 'vitest';
import { exchange, hasMemoryOp } from './memory.ts';
import { attacker, EFAULT, EINVAL, EPERM, holds, refused, WIDTHS } from './world.ts';

describe.runIf(hasMemoryOp()).each(WIDTHS)('XSA-212: a %s guest exchanges a frame', (_, wide) => {
  const bits = wide ? 64 : 32, entry = wide ? 8n : 4n;
  const theirs = wide ? [0xffff_8100_0000_0000n, 0xffff_8040_2010_0000n, 0xffff_8000_0000_0000n, 0xffff_87ff_ffff_fff8n] : [0xf580_0000n, 0xffff_f000n];

  function scene() {
    const g = attacker({ wide }), mine = g.free(300), list = g.wide ? g.words(8, BigInt(mine)) : g.words(4, BigInt(mine));
    expect(g.map(g.va(mine), 0n)).toBe(0);
    g.words(wide ? 8 : 4, BigInt(mine));
    return { g, list };
  }

  const attempt = (what: () => number): number => {
    const rc = what();
    expect([EFAULT, EINVAL, EPERM]).toContain(rc);
    return rc;
  };

  it.each(theirs.map(va => [va.toString(16), va] as const))('into 0x%s, by the start of the list', (_hex, va) => {
    const { g, list } = scene();
    refused(g, attempt(() => exchange(g, { list }, { list: va }, 0n)), () => exchange(g, { list }, { list: va }, 0n));
    refused(g, attempt(() => exchange(g, { list: va }, { list }, 0n)), () => exchange(g, { list: va }, { list }, 0n));
  });

  it.each(theirs.map(va => [va.toString(16), va] as const))('into 0x%s, by what was exchanged before', (_hex, va) => {
    const { g, list } = scene(), done = BigInt.asUintN(bits, va - list) / entry;
    for (const count of [1n, done + 1n, done + 2n]) {
      for (const input of [list, BigInt.asUintN(bits, list - done * entry)]) {
        const act = () => exchange(g, { list: input, count }, { list, count }, done);
        refused(g, attempt(act), act);
      }
    }
  });

  it('of its own, and gets another', () => {
    const { g, list } = scene(), before = g.domain.totalPages;
    expect(exchange(g, { list }, { list: list + 64n }, 0n)).toBe(0);
    expect(g.domain.totalPages).toBe(before);
    holds(g);
  });
});
