/**
 * XSA-402, "x86 pv: Insufficient care with non-coherent mappings" (CVE-2022-26363, CVE-2022-26364).
 *
 * The attacker has I/O rights, and so may choose how its mappings are cached. It writes a frame through an uncached (or write-combining) mapping,
 * so that memory holds something else than the cache, and makes a page table of it: the hypervisor validates what the cache holds, the
 * processor later walks what memory holds.
 *
 * The incoherence does not apply: this engine has one memory and keeps no contents in caches, so validation and walks see the same
 * bytes, whatever the mapping they were stored through. What remains to be held: that is so; guests without I/O rights are refused cacheability
 * and cache flushes altogether; with them frames shared by the hypervisor are refused it; a mapping of memory keeps its cacheability, and one of
 * a device gets no cached one. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { MMUEXT_FLUSH_CACHE } from '../../src/xen/numbers.ts';
import { DATA, entryOf, P, READ, RW, TABLE, US } from '../xen/guest.ts';
import { addressIn, attacker, EACCES, EINVAL, holds, level2, load, PAGE_FAULT, PCD, poke, PS, PWT, refused, store, WIDTHS } from './world.ts';

const CACHEABILITY = [PWT, PCD, PCD | PWT, PS, PS | PWT, PS | PCD, PS | PCD | PWT];
const iomem = [[0x10000, 0x1ffff]] as const;

describe.each(WIDTHS)('XSA-402: a %s guest', (_, wide) => {
  it('without I/O rights chooses cacheability, and is refused', () => {
    const g = attacker({ wide }), l1 = g.level1[0]!;
    for (const flags of CACHEABILITY) refused(g, EINVAL, () => g.update([l1, 200, entryOf(g.free(0), DATA | flags)]));
    refused(g, EINVAL, () => g.map(g.va(g.free(0)), entryOf(g.free(0), DATA | PCD)));
    const at = g.va(l1) + 200n * 8n;
    expect(store(g, at, entryOf(g.free(0), DATA | PCD))).toEqual([PAGE_FAULT, 3]);
    g.table(g.free(1), [[5, entryOf(g.free(0), READ | PCD)]]);
    refused(g, EINVAL, () => g.pin(1, g.free(1)));
    expect(g.ext(MMUEXT_FLUSH_CACHE)).toBe(EACCES);
  });

  it.each(CACHEABILITY.map(flags => [flags.toString(16), flags] as const))('with I/O rights writes a table through a mapping with flags 0x%s: what is validated is what is walked', (_hex, flags) => {
    const g = attacker({ wide, iomem }), mfn = g.free(0), va = g.va(mfn), seen = g.free(20);
    expect(g.map(va, entryOf(mfn, DATA | flags))).toBe(0);
    expect(g.entry(g.level1[0]!, 64) & (PS | PCD | PWT)).toBe(flags);
    expect(store(g, va, entryOf(seen, READ))).toBe(0);
    expect(store(g, va + 8n, entryOf(g.tables[0]!, P | RW | US))).toBe(0);
    expect(g.map(va, entryOf(mfn, READ | flags))).toBe(0);
    expect(g.pin(1, mfn)).toBe(-16); // it sees the writable mapping of the root
    expect(g.map(va, entryOf(mfn, DATA | flags))).toBe(0);
    expect(store(g, va + 8n, 0n)).toBe(0);
    expect(g.map(va, entryOf(mfn, READ | flags), 0n)).toBe(0);
    expect(g.update([level2(g), 9, entryOf(mfn, TABLE)])).toBe(0);
    poke(g, seen, 0, 99n);
    expect([load(g, addressIn(g, 9)), load(g, addressIn(g, 9, 1))]).toEqual([99n, undefined]);
    expect(store(g, va + 8n, entryOf(g.tables[0]!, P | RW | US))).toEqual([PAGE_FAULT, 3]);
    holds(g);
  });

  it('with I/O rights is refused it on a frame shared by the hypervisor, and gets none cached on a device', () => {
    const g = attacker({ wide, iomem }), l1 = g.level1[0]!;
    for (const flags of CACHEABILITY) refused(g, EACCES, () => g.update([l1, 200, entryOf(g.sharedInfo, DATA | flags)]));
    for (const [given, kept] of [[0n, PCD | PWT], [PWT, PCD | PWT], [PS | PWT, PCD | PWT], [PS, PS], [PCD, PCD], [PCD | PWT, PCD | PWT]] as const) {
      expect(g.update([l1, 200, 0n], [l1, 200, entryOf(0x12345, DATA | given)])).toBe(0);
      expect(g.entry(l1, 200) & (PS | PCD | PWT)).toBe(kept);
    }
    expect(g.ext(MMUEXT_FLUSH_CACHE)).toBe(0);
    holds(g);
  });
});
