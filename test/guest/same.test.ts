/** Random lives of processes, on a kernel of its own, with PCIDs, under a second stage, under shadows, and in a paravirtualized domain by every policy: the same to the processes. */
import { describe, expect, it } from 'vitest';
import { exit, fork } from '../../src/guest/fork.ts';
import { map, protect, remap, setBreak, unmap } from '../../src/guest/mapping-calls.ts';
import type { KernelOptions } from '../../src/guest/kernel.ts';
import type { Mm } from '../../src/guest/mm.ts';
import { shadowCycles } from '../../src/guest/shadow-cycles.ts';
import { PROT_READ, PROT_WRITE } from '../../src/guest/vma.ts';
import { area, HEAP, HEAP_PAGES, Rig } from './kernels.ts';

type Making = readonly [name: string, ops: 'native' | 'xen', options: ConstructorParameters<typeof Rig>[1]];

const WAYS: readonly Making[] = [
  ['native', 'native', {}],
  ['native, PCID', 'native', { pcid: true }],
  ['EPT', 'native', { stage: { format: 'ept' } }],
  ['NPT, large pages, PCID', 'native', { stage: { format: 'npt', hostPages: '2m' }, pcid: true }],
  ['shadow', 'native', { shadow: {} }],
  ['shadow, PCID, TypeScript', 'native', { shadow: {}, pcid: true, engine: 'ts' }],
  ['shadow, every store to a table emulated', 'native', { shadow: { policy: { outOfSync: 0, superpages: false, guess: false } } }],
  ['shadow, few frames for it, large pages below', 'native', { shadow: { hostPages: '2m', poolFrames: 24, policy: { outOfSync: 1, flood: 2, fastPath: false } } }],
  ['xen', 'xen', {}],
  ['xen, array', 'xen', { policy: { batching: 'array' } }],
  ['xen, unbatched', 'xen', { policy: { batching: 'unbatched' } }],
  ['xen, ptwr', 'xen', { policy: { batching: 'ptwr' } }],
  ['xen, early pin', 'xen', { policy: { pinning: 'early' } }],
  ['xen, early pin, ptwr', 'xen', { policy: { pinning: 'early', batching: 'ptwr' } }],
];

const MMAPS = 0x80000, ROOM = 240; // pages that are mapped and unmapped
const ALONE = 400; // steps before the first fork: pages that are shared make no large page

/** What a random life looks like to its processes, step by step. */
class Life {
  readonly log: (number | undefined)[] = [];
  private readonly rig: Rig;
  private readonly mms: Mm[];
  private seed: number;

  constructor(rig: Rig, seed: number) {
    this.rig = rig;
    this.seed = seed;
    this.mms = [rig.mm];
  }

  private random(n: number): number {
    this.seed = Math.imul(this.seed ^ (this.seed >>> 15), 0x2c1b3c6d) + 0x297a2d39 | 0;
    return (this.seed >>> 8) % n;
  }

  private page(): number {
    return this.random(2) === 0 ? HEAP + this.random(160) : MMAPS + this.random(ROOM);
  }

  step(at: number): void {
    const { rig } = this, { k, mm } = rig, what = this.random(40), start = MMAPS + this.random(ROOM), many = 1 + this.random(60);
    if (what < 14) this.log.push(rig.store(this.page(), this.random(2 ** 24)));
    else if (what < 26) this.log.push(rig.load(this.page()));
    else if (what < 29) map(k, mm, area(start, start + many, 1 + this.random(3)));
    else if (what < 30) map(k, mm, { ...area(start, start + many, PROT_READ | PROT_WRITE), shared: this.random(3) === 0, file: k.cache.file(`f${this.random(3)}`), offset: this.random(4) });
    else if (what < 34) this.withdraw(start, many, what < 32);
    else if (what < 35) this.remap(start);
    else if (what < 36) setBreak(k, mm, (0x100000 + this.random(64)) * 4096);
    else if (what < 38) this.forkOrEnd(at);
    else rig.switchTo(this.mms[this.random(this.mms.length)]);
  }

  /** Take rights away from pages, or the pages, just after one of them was used: what is cached of it has to go. */
  private withdraw(start: number, many: number, all: boolean): void {
    const { rig } = this, used = start + this.random(many);
    this.log.push(rig.store(used, this.random(2 ** 24)));
    if (all) unmap(rig.k, rig.mm, start, start + many);
    else protect(rig.k, rig.mm, start, start + many, this.random(4));
    this.log.push(rig.load(used), rig.store(used, 1));
  }

  private remap(from: number): void {
    const { k, mm } = this.rig, vma = mm.vmas.find(from);
    if (vma === undefined) return;
    const many = Math.min(vma.end - from, 1 + this.random(20)), to = MMAPS + 2 * ROOM + this.random(ROOM);
    remap(k, mm, from, many, this.random(2) === 0 ? from : to, 1 + this.random(many));
  }

  private forkOrEnd(at: number): void {
    const { rig } = this, { k } = rig;
    if (at < ALONE) return;
    if (this.mms.length < 4) {
      this.mms.push(fork(k, rig.mm));
      return;
    }
    const victim = this.mms.findIndex(mm => mm !== rig.mm);
    exit(k, this.mms.splice(victim, 1)[0]);
  }

  /** All words of all pages that can be read. */
  snapshot(): void {
    const { rig } = this, current = rig.mm;
    for (const mm of this.mms) {
      rig.switchTo(mm);
      for (const vma of mm.vmas.all) for (let page = vma.start; page < Math.min(vma.end, vma.start + 200); page += 3) this.log.push(rig.load(page));
    }
    rig.switchTo(current);
  }

  end(): void {
    for (const mm of this.mms.splice(0)) exit(this.rig.k, mm);
    this.rig.k.cache.dropAll();
  }
}

function live([, ops, options]: Making, seed: number, steps: number, kernel: KernelOptions) {
  const rig = new Rig(ops, { ...options, ...kernel }, 'timed'), life = new Life(rig, seed);
  for (let k = 0; k < steps; k++) {
    life.step(k);
    if (k % 250 === 0) expect(rig.complaints()).toEqual([]);
  }
  life.snapshot();
  expect(rig.complaints()).toEqual([]);
  life.end();
  expect([rig.k.framesInUse, rig.k.tables.tables, rig.k.reclaim.swapped]).toEqual([0, 0, 0]);
  if (rig.shadow !== undefined) expect(Object.values(shadowCycles(rig.shadow.guest.counters(), rig.shadow.prices)).reduce((sum, cycles) => sum + cycles)).toBe(rig.k.p.cpu.counters().cycles.hypervisor);
  expect(rig.complaints()).toEqual([]);
  const { faults, promotions, splits, refaults, evictions } = rig.k.figures;
  return { log: life.log, faults, promotions, splits, refaults, evictions };
}

describe.each([1, 2])('a random life (seed %i)', seed => {
  it('is the same by every way, and leaves nothing behind', () => {
    const first = live(WAYS[0], seed, 2500, {});
    expect(new Set(first.log).size).toBeGreaterThan(200);
    expect(first.log).toContain(undefined);
    for (const way of WAYS.slice(1)) expect(live(way, seed, 2500, {}), way[0]).toEqual(first);
  });

  it('is the same under memory pressure, except for its faults', () => {
    const free = live(WAYS[0], seed, 1500, {}), limited = live(WAYS[0], seed, 1500, { limitPages: 60 });
    expect(limited.log).toEqual(free.log);
    expect(limited.faults.swapIn).toBeGreaterThan(20);
    expect(limited.refaults.reduce((sum, many) => sum + many)).toBeGreaterThanOrEqual(limited.faults.swapIn);
    expect(limited.refaults.reduce((sum, many) => sum + many)).toBeLessThanOrEqual(limited.evictions);
    for (const way of WAYS.slice(1)) expect(live(way, seed, 1500, { limitPages: 60 }), way[0]).toEqual(limited);
  });

  it('is the same with large pages', () => {
    const free = live(WAYS[0], seed, 2500, {}), large = live(WAYS[0], seed, 2500, { promoteAt: 8 });
    expect(large.log).toEqual(free.log);
    expect([large.promotions, large.splits].every(many => many > 0)).toBe(true);
    for (const way of WAYS.filter(([, ops]) => ops === 'native')) expect(live(way, seed, 2500, { promoteAt: 8 }).log, way[0]).toEqual(free.log);
  });
});

it('the heap of the program is not what the test runs out of', () => {
  expect(HEAP + HEAP_PAGES).toBeLessThan(MMAPS);
});
