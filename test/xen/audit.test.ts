import { describe, expect, it } from 'vitest';
import { PGT_PINNED } from '../../src/layout/frame.ts';
import { writeEntry } from '../../src/memory/entry.ts';
import { Guest, entryOf, DATA, FIRST, P, READ, RW, TABLE } from './guest.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;

describe.each(widths)('the audit of a %s guest', (_, wide) => {
  it('has no complaint at the start', () => {
    expect(new Guest({ wide }).xen.audit()).toEqual([]);
  });

  const breaks: [rule: string, what: string, (g: Guest) => void][] = [
    ['XA1', 'a reference too many', g => g.xen.host.frames.getAgain(g.free(0))],
    ['XA2', 'a type count too many', g => g.xen.host.frames.setType(g.free(0), g.xen.host.frames.type(g.free(0)) + 1)],
    ['XA2', 'a pin without references', g => g.xen.host.frames.setType(g.level1[0], g.xen.host.frames.type(g.level1[0]) | PGT_PINNED)],
    ['XA3', 'a page table mapped writable', g => { writeEntry(g.machine.views, g.level1[0] * 4096 + 8, entryOf(g.tables[0], DATA)); }],
    ['XA4', "another domain's frame as a table", g => { writeEntry(g.machine.views, g.tables[wide ? 2 : 1] * 4096 + 9 * 8, entryOf(0x350, TABLE)); }],
    ['XA5', 'a data frame as a table', g => { writeEntry(g.machine.views, g.tables[wide ? 2 : 1] * 4096 + 9 * 8, entryOf(g.free(1), TABLE)); }],
    ['XA6', 'a linear count', g => g.xen.host.frames.setLinear(g.tables[1], 3)],
    ['XA7', 'a page too many', g => { g.domain.totalPages++; }],
    ['XA7', 'a name for a free frame', g => g.xen.host.m2p.set(0x380, 7, 0)],
    ['XA8', 'a large page', g => { writeEntry(g.machine.views, g.tables[wide ? 2 : 1] * 4096 + 9 * 8, entryOf(g.level1[0], TABLE | 0x80n)); }],
  ];
  it.each(breaks)('tells by %s of %s', (rule, _what, breakIt) => {
    const g = new Guest({ wide });
    breakIt(g);
    expect(g.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });

  it('counts a linear entry, and its end', () => {
    const g = new Guest({ wide }), [a, b] = [g.table(g.free(0)), g.table(g.free(1))];
    expect(g.pin(2, b)).toBe(0);
    expect(g.pin(2, a)).toBe(0);
    expect(g.update([a, 5, entryOf(b, P)])).toBe(0);
    expect([g.xen.host.frames.linear(a), g.xen.host.frames.linear(b)]).toEqual([1, -1]);
    expect(g.xen.audit()).toEqual([]);
    expect(g.update([b, 5, entryOf(a, P)])).toBe(-22); // it is used as one already
    expect(g.update([a, 6, entryOf(b, P | RW)])).toBe(-22);
    expect(g.update([a, 5, 0n])).toBe(0);
    expect([g.xen.host.frames.linear(a), g.xen.host.frames.linear(b)]).toEqual([0, 0]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('has no chain of linear entries: a table that holds some is no target of any, and the other way round', () => {
    const g = new Guest({ wide }), [a, b, c] = [g.table(g.free(0)), g.table(g.free(1)), g.table(g.free(2))];
    for (const mfn of [a, b, c]) expect(g.pin(2, mfn)).toBe(0);
    expect(g.update([a, 5, entryOf(b, P)])).toBe(0);
    expect(g.update([c, 5, entryOf(a, P)])).toBe(-22); // it holds one
    expect(g.update([b, 5, entryOf(c, P)])).toBe(-22); // it is used as one
    expect([a, b, c].map(mfn => g.xen.host.frames.linear(mfn))).toEqual([1, -1, 0]);
    expect(g.update([c, 5, entryOf(b, P)])).toBe(0);
    expect([a, b, c].map(mfn => g.xen.host.frames.linear(mfn))).toEqual([1, -2, 1]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('holds over mapping, pinning and giving back', () => {
    const g = new Guest({ wide }), l1 = g.table(g.free(0), [[3, entryOf(g.free(9), DATA)], [4, entryOf(FIRST, READ)]]);
    expect(g.pin(1, l1)).toBe(0);
    expect(g.xen.audit()).toEqual([]);
    expect(g.map(g.va(l1), entryOf(l1, DATA))).toBe(-16);
    expect(g.unpin(l1)).toBe(0);
    expect(g.map(g.va(l1), entryOf(l1, DATA))).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  });
});
