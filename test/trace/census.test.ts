import { describe, expect, it } from 'vitest';
import { Machine } from '../../src/machine/machine.ts';
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE } from '../../src/trace/batch.ts';
import { Census, type NewPage } from '../../src/trace/census.ts';

interface Access { readonly va: bigint; readonly kind: number; readonly size: number }

/** A census of these accesses in columns of its own. */
class Taken {
  readonly census: Census;
  private readonly machine: Machine;

  constructor(engine: 'ts' | 'wasm') {
    this.machine = Machine.create({ engine });
    this.census = new Census(this.machine);
  }

  add(accesses: readonly Access[]): NewPage[] {
    const columns = this.machine.columns(accesses.length);
    accesses.forEach((a, i) => {
      columns.va[2 * i] = Number(a.va & 0xffff_ffffn);
      columns.va[2 * i + 1] = Number(a.va >> 32n);
      columns.kind[i] = a.kind;
      columns.size[i] = a.size;
    });
    return this.census.add(columns, accesses.length);
  }
}

/** The pages an access touches, the long way. */
const pagesOf = (a: Access): bigint[] => {
  const pages: bigint[] = [];
  for (let p = a.va >> 12n; p <= (a.va + BigInt(a.size) - 1n) >> 12n; p++) pages.push(p);
  return pages;
};

describe.each(['ts', 'wasm'] as const)('%s', engine => {
  it('agrees with a census taken the long way', () => {
    let seed = 5;
    const next = (n: number) => ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8) % n;
    const bases = [0x40_0000n, 0x7fff_ffff_0000n, 0xffff_8000_0000_0000n, 0x1_0000_0000n];
    const accesses: Access[] = Array.from({ length: 9000 }, () => ({ va: bases[next(4)] + BigInt(next(300) * 4096 + next(4096)), kind: next(4), size: [1, 8, 64, 5000][next(4)] }));
    const taken = new Taken(engine), { census } = taken;
    const fresh = [0, 3000, 6000].flatMap(at => taken.add(accesses.slice(at, at + 3000)).map(p => ({ ...p, at: p.at + at })));

    const firsts = new Map<bigint, number>();
    accesses.forEach((a, i) => { for (const p of pagesOf(a)) if (!firsts.has(p)) firsts.set(p, i); });
    expect(fresh.map(f => [BigInt(f.page), f.at])).toEqual([...firsts]);
    expect(census.pages4k).toBe(firsts.size);
    expect(census.accesses).toBe(9000);
    const kinds = [KIND_LOAD, KIND_STORE, KIND_FETCH, KIND_MODIFY].map(k => accesses.filter(a => a.kind === k).length);
    expect(census.kinds).toEqual({ loads: kinds[0], stores: kinds[1], fetches: kinds[2], modifies: kinds[3] });

    for (const { window, pages } of census.workingSet()) {
      const counts: number[] = [];
      for (let at = 0; at < accesses.length; at += window) counts.push(new Set(accesses.slice(at, at + window).flatMap(pagesOf)).size);
      expect(pages).toBeCloseTo(counts.reduce((a, b) => a + b) / counts.length, 9);
    }

    const map = census.map();
    const inside = (r: { start: string; end: string }) => (p: bigint) => p << 12n >= BigInt(r.start) && p << 12n < BigInt(r.end);
    expect(map.reduce((sum, r) => sum + r.pages, 0)).toBe(firsts.size);
    for (const r of map) {
      const touches = accesses.flatMap(a => pagesOf(a).map(page => ({ page, kind: a.kind }))).filter(t => inside(r)(t.page));
      expect([r.loads, r.stores, r.fetches]).toEqual([
        touches.filter(t => t.kind === KIND_LOAD || t.kind === KIND_MODIFY).length,
        touches.filter(t => t.kind === KIND_STORE || t.kind === KIND_MODIFY).length,
        touches.filter(t => t.kind === KIND_FETCH).length,
      ]);
    }
  });

  it('closes small gaps when there would be too many regions', () => {
    const taken = new Taken(engine), { census } = taken;
    taken.add(Array.from({ length: 1000 }, (_, k) => ({ va: BigInt(k) << 20n, kind: 0, size: 8 })));
    const map = census.map();
    expect(map.length).toBeLessThanOrEqual(200);
    expect(map.reduce((sum, r) => sum + r.pages, 0)).toBe(1000);
  });

  it('knows a page again when the marks of windows have gone round', () => {
    const taken = new Taken(engine), page = (n: number, length: number): Access[] => Array.from({ length }, () => ({ va: BigInt(n) << 12n, kind: 0, size: 8 }));
    const often = page(1, 1 << 10), windows = 4095 + 3;
    for (let k = 0; k < windows; k++) taken.add(k % 4095 === 0 ? [...page(2, 1), ...often.slice(1)] : often);
    expect(taken.census.workingSet()[0]).toEqual({ window: 1024, pages: (windows + 2) / windows });
    expect(taken.census.kinds.loads).toBe(windows * 1024);
  });
});
