/**
 * A hybrid driver domain: front F, a domain D1 between that only forwards, and D2 that has the device. F's pages reach D2 by a grant of D1 that
 * passes F's on (GTF_transitive, which can be copied from and to, and not mapped), or by way of pages of D1.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { GTF_reading, GTF_writing } from '../../../src/xen/grant-numbers.ts';
import { Host, Kernel } from './kernel.ts';

const F = 1, D1 = 2, D2 = 3, PAGES = 12, GENERAL_ERROR = -1;
let host: Host, f: Kernel, d1: Kernel, d2: Kernel, pages: number[], refs: number[];
const pattern = (page: number) => Uint8Array.from({ length: 4096 }, (_, k) => (page * 91 + k * 3 + (k >>> 9)) & 0xff);
const calls = () => host.xen.counters().hypercalls['grant_table_op']!.calls;

beforeEach(() => {
  host = new Host(3);
  [f, d1, d2] = [new Kernel(host, F, 0), new Kernel(host, D1, 1), new Kernel(host, D2, 2)];
  d1.version2();
  pages = Array.from({ length: PAGES }, (_, k) => {
    const page = f.take();
    f.bytes(page).set(pattern(k));
    return page;
  });
  refs = pages.map(page => f.grants.grant(D1, page));
});

describe('a page goes from F over D1 to D2', () => {
  it('by a transitive grant: D1 touches no byte; one copy a page, one call in all', () => {
    const before = calls(), passed = refs.map(ref => d1.grants.grantTransitive(D2, F, ref)), into = pages.map(() => d2.take());
    expect(d2.copy(...passed.map((ref, k) => ({ from: [D1, ref] as const, to: into[k]!, bytes: 4096 })))).toEqual(Array(PAGES).fill(0));
    into.forEach((page, k) => expect(d2.bytes(page)).toEqual(pattern(k)));
    expect([calls() - before, f.tally.copied, d1.tally.copied, d2.tally.copied]).toEqual([1, 0, 0, PAGES]);
    for (const ref of passed) expect(d1.grants.end(ref)).toBe(true);
    for (const ref of refs) expect(f.grants.end(ref)).toBe(true);
    expect(host.leftovers(f, d1, d2)).toMatchObject({ pinned: 0, ports: 0 });
  });

  it('and back, by the same grants', () => {
    const passed = d1.grants.grantTransitive(D2, F, refs[3]!), page = d2.take();
    d2.bytes(page).set(pattern(99));
    expect(d2.copy({ from: page, at: 100, to: [D1, passed], toAt: 1000, bytes: 500 })).toEqual([0]);
    expect(f.bytes(pages[3]!).subarray(1000, 1500)).toEqual(pattern(99).subarray(100, 600));
    expect(f.bytes(pages[3]!).subarray(0, 1000)).toEqual(pattern(3).subarray(0, 1000));
  });

  it('by copies of copies: D1 has every byte; two copies a page, two calls in all', () => {
    const before = calls(), own = pages.map(() => d1.take()), into = pages.map(() => d2.take());
    d1.copy(...refs.map((ref, k) => ({ from: [F, ref] as const, to: own[k]!, bytes: 4096 })));
    const passed = own.map(page => d1.grants.grant(D2, page, true));
    d2.copy(...passed.map((ref, k) => ({ from: [D1, ref] as const, to: into[k]!, bytes: 4096 })));
    into.forEach((page, k) => expect(d2.bytes(page)).toEqual(pattern(k)));
    expect([calls() - before, d1.tally.copied, d2.tally.copied]).toEqual([2, PAGES, PAGES]);
    for (const ref of passed) expect(d1.grants.end(ref)).toBe(true);
    expect(host.leftovers(f, d1, d2)).toMatchObject({ pinned: 0, ports: 0 });
  });
});

describe('a transitive grant', () => {
  it('cannot be mapped, nor used by F, nor once F or D1 withdrew it; what fails leaves nothing in use', () => {
    const [a, b] = [0, 1].map(k => d1.grants.grantTransitive(D2, F, refs[k]!)) as [number, number], page = d2.take();
    expect(() => d2.map(D1, [a])).toThrow('map: -1');
    expect(f.copy({ from: [D1, a], to: pages[5]!, bytes: 16 })).toEqual([GENERAL_ERROR]);
    expect(f.grants.end(refs[0]!)).toBe(true);
    expect(d2.copy({ from: [D1, a], to: page, bytes: 16 })).toEqual([GENERAL_ERROR]);
    expect(d1.grants.end(b)).toBe(true);
    expect(d2.copy({ from: [D1, b], to: page, bytes: 16 })).toEqual([GENERAL_ERROR]);
    expect(host.leftovers(f, d1, d2)).toMatchObject({ pinned: 0 });
    expect(f.grants.inUse(refs[1]!)).toBe(false);
  });

  it('gives D2 no more than F gave D1', () => {
    const readonly = f.grants.grant(D1, pages[0]!, true), passed = d1.grants.grantTransitive(D2, F, readonly), page = d2.take();
    expect(d2.copy({ from: page, to: [D1, passed], bytes: 8 })).toEqual([GENERAL_ERROR]);
    expect(d2.copy({ from: [D1, passed], to: page, bytes: 8 })).toEqual([0]);
    const at = host.word(f.domain.grants.frames[0]!) + readonly * 2;
    expect(host.machine.views.w[at]! & (GTF_reading | GTF_writing)).toBe(0);
  });

  it('outlives neither F nor D1: F dies, and D2 copies no more', () => {
    const passed = d1.grants.grantTransitive(D2, F, refs[0]!), page = d2.take();
    host.destroy(f);
    expect(host.xen.host.domain(F)).toBeUndefined();
    expect(d2.copy({ from: [D1, passed], to: page, bytes: 8 })).toEqual([GENERAL_ERROR]);
  });
});
