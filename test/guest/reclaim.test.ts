/** Swap under memory pressure: which pages leave, which come back and after how many others, by a clock of the test's own. */
import { describe, expect, it } from 'vitest';
import { HEAP, Rig } from './kernels.ts';

const PAGES = 60, LIMIT = 17, STACK = -1;

/** The clock algorithm: pages in the order in which they came, those accessed since the last look get a second chance. */
class Clock {
  evictions = 0;
  swapIns = 0;
  readonly distances: number[] = [];
  private queue: number[] = [];
  private readonly accessed = new Set<number>();
  private readonly left = new Map<number, number>(); // when a page was evicted

  access(page: number): void {
    const isThere = this.queue.includes(page), at = this.left.get(page);
    this.accessed.add(page);
    if (isThere) return;
    if (at !== undefined) {
      this.swapIns++;
      this.distances.push(this.evictions - at - 1);
    }
    this.queue.push(page);
    this.makeRoom();
    this.accessed.add(page); // the access is made again, after its fault
  }

  private makeRoom(): void {
    for (let looks = this.queue.length; looks > 0 && this.queue.length > LIMIT; looks--) {
      const page = this.queue.shift()!;
      if (this.accessed.delete(page)) this.queue.push(page);
      else this.left.set(page, this.evictions++);
    }
  }

  /** By powers of two, as the kernel counts them. */
  get histogram(): number[] {
    const counts: number[] = [];
    for (const distance of this.distances) {
      let bits = 0;
      while (distance >> bits > 0) bits++;
      while (counts.length <= bits) counts.push(0);
      counts[bits]++;
    }
    return counts;
  }
}

const WAYS = [
  ['native', 'native', {}], ['native, PCID', 'native', { pcid: true }], ['EPT', 'native', { stage: { format: 'ept' } }],
  ['NPT, populated when touched', 'native', { stage: { format: 'npt', populate: 'lazy' } }], ['xen', 'xen', {}], ['xen, ptwr', 'xen', { policy: { batching: 'ptwr' } }],
] as const;

/** Pages that a program stores to: around a place that moves, and now and then anywhere. */
function stores(seed: number, many: number): number[] {
  let word = seed;
  const random = (n: number): number => {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + 0x297a2d39 | 0;
    return (word >>> 8) % n;
  };
  return Array.from({ length: many }, (_, i) => (random(5) === 0 ? random(PAGES) : (Math.floor(i / 40) * 7 + random(12)) % PAGES));
}

describe.each(WAYS)('%s', (_, ops, options) => {
  it.each([1, 2, 3])('the pages that leave, and come back, are those of the clock (program %i)', seed => {
    const rig = new Rig(ops, { ...options, limitPages: LIMIT }, 'timed'), clock = new Clock(), values = new Map<number, number>();
    clock.access(STACK); // where a program's arguments are
    stores(seed, 900).forEach((page, i) => {
      if (values.has(page) && i % 3 === 0) expect(rig.load(HEAP + page)).toBe(values.get(page));
      else {
        expect(rig.store(HEAP + page, i + 1)).toBe(i + 1);
        values.set(page, i + 1);
      }
      clock.access(page);
    });
    const { figures } = rig.k;
    expect(clock.distances.length).toBeGreaterThan(100);
    expect(figures.evictions).toBe(clock.evictions);
    expect(figures.faults.swapIn).toBe(clock.swapIns);
    expect(figures.refaults).toEqual(clock.histogram);
    for (const [page, value] of values) expect(rig.load(HEAP + page)).toBe(value); // none was lost
    expect(rig.complaints()).toEqual([]);
  });
});
