/** Large pages that form, are taken apart and swapped, on every platform that has them; those that do not see the same. */
import { describe, expect, it } from 'vitest';
import { exit, fork } from '../../src/guest/fork.ts';
import { splitRange } from '../../src/guest/huge.ts';
import { map, protect, unmap } from '../../src/guest/mapping-calls.ts';
import { LARGE_PAGE } from '../../src/guest/page-tables.ts';
import { PROT_READ, PROT_WRITE } from '../../src/guest/vma.ts';
import { area, HEAP, Rig } from './kernels.ts';

const RW = PROT_READ | PROT_WRITE, ENTRIES = 512;
type Ways = readonly (readonly [name: string, ops: 'native' | 'xen', options: ConstructorParameters<typeof Rig>[1]])[];
const LARGE: Ways = [
  ['native', 'native', {}], ['native, PCID', 'native', { pcid: true }],
  ['EPT', 'native', { stage: { format: 'ept' } }], ['EPT, 2m', 'native', { stage: { format: 'ept', hostPages: '2m' } }],
  ['NPT, 2m, PCID', 'native', { stage: { format: 'npt', hostPages: '2m' }, pcid: true }],
  ['NPT, 2m, populated when touched', 'native', { stage: { format: 'npt', hostPages: '2m', populate: 'lazy' } }],
];
const WAYS: Ways = [...LARGE, ['xen', 'xen', {}], ['xen, array, early pin', 'xen', { policy: { batching: 'array', pinning: 'early' } }], ['xen, ptwr', 'xen', { policy: { batching: 'ptwr' } }]];

/** Bytes of the page that an access is translated by, from what is cached if it is. */
function pageBytes(rig: Rig, page: number): number {
  rig.k.p.leaveKernel();
  const translation = rig.k.p.cpu.translate(BigInt(page) * 4096n, 4); // ACCESS_USER
  rig.k.p.enterKernel();
  return translation.ok ? translation.pageBytes : 0;
}

/** A region of which some pages were stored to: one page, where there are large ones. */
function formed(rig: Rig): void {
  for (let page = 0; page < 10; page++) rig.store(HEAP + 3 * page, 100 + page);
}

describe.each(LARGE)('%s', (_, ops, options) => {
  const make = () => new Rig(ops, { ...options, promoteAt: 8 }, 'timed');

  it('a region with enough pages becomes one: what was in them stays, and the rest is zeroes without a fault', () => {
    const rig = make(), { p } = rig.k;
    for (let frame = p.end - 2 * ENTRIES; frame < p.end; frame++) p.s.w.fill(0x5a5a5a5a, p.wordOf(frame), p.wordOf(frame) + 1024); // what someone left there
    formed(rig);
    expect([rig.k.figures.promotions, rig.k.tables.find(rig.mm.context, HEAP)]).toEqual([1, LARGE_PAGE]);
    const { demandZero, zeroPage } = rig.k.figures.faults;
    for (let page = 0; page < ENTRIES; page++) expect(rig.load(HEAP + page)).toBe(page % 3 === 0 && page < 30 ? 100 + page / 3 : 0);
    expect([rig.k.figures.faults.demandZero, rig.k.figures.faults.zeroPage]).toEqual([demandZero, zeroPage]);
    expect(demandZero).toBe(8);
    // By small pages of the host it is cached in pieces.
    expect(pageBytes(rig, HEAP + 40)).toBe(options!.stage !== undefined && options!.stage.hostPages !== '2m' ? 4096 : 2 << 20);
  });

  it('one that is taken apart is so for the processor, too: no translation of the whole is cached any more', () => {
    const rig = make();
    formed(rig);
    for (const page of [0, 40, 511]) rig.load(HEAP + page);
    protect(rig.k, rig.mm, HEAP + 7, HEAP + 8, RW); // the rights that it has: nothing else that flushes
    expect(rig.k.figures.splits).toBe(1);
    for (const page of [0, 7, 40, 511]) expect(pageBytes(rig, HEAP + page)).toBe(4096);
    for (let page = 0; page < 10; page++) expect(rig.load(HEAP + 3 * page)).toBe(100 + page);
  });

  it('one that is taken apart while another process runs is so when it runs again', () => {
    const rig = make();
    formed(rig);
    rig.load(HEAP + 40);
    const first = rig.mm, other = rig.k.newMm();
    rig.switchTo(other);
    splitRange(rig.k, first, HEAP, HEAP + 1);
    rig.switchTo(first);
    expect(pageBytes(rig, HEAP + 40)).toBe(4096);
    expect(rig.k.figures.splits).toBe(1);
  });

  it('rights that one page of it loses are lost at once', () => {
    const rig = make();
    formed(rig);
    rig.store(HEAP + 9, 1);
    protect(rig.k, rig.mm, HEAP + 9, HEAP + 10, PROT_READ);
    expect([rig.store(HEAP + 9, 2), rig.load(HEAP + 9), rig.store(HEAP + 10, 3)]).toEqual([undefined, 1, 3]);
    unmap(rig.k, rig.mm, HEAP + 12, HEAP + 13);
    expect([rig.load(HEAP + 12), rig.load(HEAP + 13), rig.load(HEAP + 15)]).toEqual([undefined, 0, 105]);
  });
});

/** A life of large pages: formed, shared by fork, copied, taken apart, formed again, and swapped. */
function live([, ops, options]: Ways[number]) {
  const rig = new Rig(ops, { ...options, promoteAt: 64, limitPages: 700 }, 'timed'), { k } = rig, log: (number | undefined)[] = [];
  const each = (from: number, step: number, many: number, what: (page: number) => number | undefined) => { for (let i = 0; i < many; i++) log.push(what(HEAP + from + i * step)); };
  each(0, 7, 73, page => rig.store(page, page)); //      a region, and one more
  each(ENTRIES, 5, 80, page => rig.store(page, page));
  const parent = rig.mm, child = fork(k, parent); //     shared page by page
  rig.switchTo(child);
  each(0, 14, 30, page => rig.store(page, ~page)); //    copied
  each(0, 7, 73, page => rig.load(page));
  exit(k, child);
  rig.switchTo(parent);
  each(0, 7, 73, page => rig.load(page));
  protect(k, rig.mm, HEAP + ENTRIES, HEAP + ENTRIES + 20, PROT_READ);
  each(ENTRIES, 5, 10, page => rig.store(page, 1)); //   some are refused
  unmap(k, rig.mm, HEAP, HEAP + ENTRIES);
  map(k, rig.mm, area(HEAP, HEAP + ENTRIES));
  each(0, 3, 100, page => rig.store(page, page + 1)); // again
  each(4 * ENTRIES, 1, 3 * 60, page => rig.store(page, page));
  splitRange(k, rig.mm, HEAP, HEAP + 8 * ENTRIES); //    all: from now on their pages can leave
  for (let turn = 0; turn < 3; turn++) each(5 * ENTRIES, 2, 250, page => rig.store(page, page + turn));
  each(0, 3, 100, page => rig.load(page));
  each(ENTRIES, 5, 80, page => rig.load(page));
  each(4 * ENTRIES, 1, 180, page => rig.load(page));
  expect(rig.complaints()).toEqual([]);
  const { promotions, splits, evictions, refaults, faults } = k.figures;
  exit(k, rig.mm);
  k.cache.dropAll();
  expect([k.framesInUse, k.tables.tables, k.reclaim.swapped]).toEqual([0, 0, 0]);
  expect(rig.complaints()).toEqual([]);
  return { log, figures: { promotions, splits, evictions, refaults, swapIns: faults.swapIn } };
}

it('a life of large pages is the same by every way, and leaves nothing', () => {
  const [first, ...others] = WAYS.map(way => ({ way, ...live(way) }));
  expect(first.figures.promotions).toBeGreaterThanOrEqual(4);
  expect(first.figures.splits).toBeGreaterThanOrEqual(4);
  expect(first.figures.swapIns).toBeGreaterThan(100);
  expect(first.figures.refaults.reduce((sum, many) => sum + many)).toBe(first.figures.swapIns);
  for (const { way: [name, ops], log, figures } of others) {
    expect(log, name).toEqual(first.log);
    if (ops === 'native') expect(figures, name).toEqual(first.figures);
    else expect([figures.promotions, figures.splits], name).toEqual([0, 0]); // Xen lets its guests have none
  }
});
