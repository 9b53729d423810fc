import { describe, expect, it } from 'vitest';
import { CachedFile } from '../../src/guest/page-cache.ts';
import { PROT_READ, PROT_WRITE, slice, VmaList, type Vma } from '../../src/guest/vma.ts';

const RW = PROT_READ | PROT_WRITE;
const anonymous = (start: number, end: number, prot = RW): Vma => ({ start, end, prot, shared: false, file: undefined, offset: 0 });
const ranges = (list: VmaList) => list.all.map(({ start, end, prot }) => [start, end, prot]);

describe('areas', () => {
  it('become one when they continue each other', () => {
    const list = new VmaList();
    list.insert(anonymous(10, 20));
    list.insert(anonymous(30, 40));
    expect(ranges(list)).toEqual([[10, 20, RW], [30, 40, RW]]);
    list.insert(anonymous(20, 30));
    expect(ranges(list)).toEqual([[10, 40, RW]]);
  });

  it('stay two when rights, sharing, file or place in it differ', () => {
    const list = new VmaList(), file = new CachedFile('a'), other = new CachedFile('b');
    list.insert(anonymous(0, 1, PROT_READ));
    list.insert(anonymous(1, 2));
    list.insert({ ...anonymous(2, 3), shared: true });
    list.insert({ ...anonymous(3, 4), file, offset: 7 });
    list.insert({ ...anonymous(4, 5), file, offset: 9 });
    list.insert({ ...anonymous(5, 6), file: other, offset: 10 });
    expect(list.all).toHaveLength(6);
    list.insert({ ...anonymous(6, 7), file: other, offset: 11 });
    expect(list.all).toHaveLength(6);
  });

  it('are split by what is taken out of their middle', () => {
    const list = new VmaList(), file = new CachedFile('a');
    list.insert({ ...anonymous(10, 20), file, offset: 100 });
    expect(list.remove(13, 15)).toEqual([{ ...anonymous(13, 15), file, offset: 103 }]);
    expect(list.all).toEqual([{ ...anonymous(10, 13), file, offset: 100 }, { ...anonymous(15, 20), file, offset: 105 }]);
    expect([list.find(12)?.start, list.find(13), list.find(15)?.start, list.find(20)]).toEqual([10, undefined, 15, undefined]);
  });

  it('never overlap', () => {
    const list = new VmaList();
    list.insert(anonymous(10, 20));
    expect(() => list.insert(anonymous(19, 25))).toThrow('areas do not overlap');
  });

  it('agree with a page by page account over random changes', () => {
    const list = new VmaList(), pages = new Map<number, number>();
    let seed = 7;
    const random = (n: number) => (seed = Math.imul(seed ^ (seed >>> 13), 0x5bd1e995) + 12345 >>> 0) % n;
    for (let step = 0; step < 3000; step++) {
      const start = random(200), end = start + 1 + random(30), prot = 1 + random(3);
      const removed = list.remove(start, end);
      expect(removed.reduce((sum, vma) => sum + vma.end - vma.start, 0)).toBe([...pages.keys()].filter(page => page >= start && page < end).length);
      for (let page = start; page < end; page++) pages.delete(page);
      if (random(3) === 0) continue;
      list.insert(anonymous(start, end, prot));
      for (let page = start; page < end; page++) pages.set(page, prot);
      const wrong = Array.from({ length: 240 }, (_, page) => page).filter(page => list.find(page)?.prot !== pages.get(page));
      const bad = list.all.filter(({ start, end, prot: rights }, k) => {
        const next = list.all[k + 1];
        return start >= end || (next !== undefined && (end > next.start || (end === next.start && rights === next.prot)));
      });
      expect([wrong, bad]).toEqual([[], []]);
    }
  });

  it('give parts of themselves at the right place in their file', () => {
    expect(slice({ ...anonymous(10, 20), file: new CachedFile('a'), offset: 5 }, 12, 14)).toMatchObject({ start: 12, end: 14, offset: 7 });
    expect(slice(anonymous(10, 20), 12, 14)).toMatchObject({ start: 12, offset: 0 });
  });
});
