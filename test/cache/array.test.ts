/** The set-associative array by itself: every policy, 1 to 70 ways, awkward numbers of sets, the end of the LRU clock, and the audit. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  auditArray, capacity, drop, dropAll, find, place, replacementWords, setOf, touch, victim,
} from '../../src/cache/array.ts';
import { InvariantError } from '../../src/errors.ts';
import {
  ARRP_LRU, ARRP_NRU, ARRP_RANDOM, ARRP_TREE_PLRU, ARR_BYTES, ARR_CAPACITY, ARR_CLOCK, ARR_FRAGMENTS, ARR_LIVE, ARR_MASK, ARR_POLICY, ARR_REPL,
  ARR_REPL_WORDS, ARR_SETS, ARR_TAGS, ARR_TAG_VALID, ARR_WAYS,
} from '../../src/layout/array.ts';
import { makeOrder, POLICIES, Xorshift, type Order, type Policy } from '../mmu/tlb-oracle-array.ts';
import { Random } from '../mmu/tlb-random.ts';

const CODE: Record<Policy, number> = { lru: ARRP_LRU, 'tree-plru': ARRP_TREE_PLRU, nru: ARRP_NRU, random: ARRP_RANDOM };
const A = 16; // word index of the header: not 0, so that forgetting to add it shows
const GUARD = 0x600d600d;

/** A tag-only array between two words that nobody may write. */
function make(sets: number, ways: number, policy: Policy, seed = 1): Int32Array {
  const words = replacementWords(CODE[policy], ways), tags = A + ARR_BYTES / 4, repl = tags + sets * ways * 2 + 1;
  const w = new Int32Array(repl + sets * words + 1);
  w[repl - 1] = w[w.length - 1] = GUARD;
  const put = (field: number, value: number) => { w[A + (field >>> 2)] = value; };
  put(ARR_SETS, sets);
  put(ARR_WAYS, ways);
  put(ARR_CAPACITY, sets * ways);
  put(ARR_MASK, Number.isInteger(Math.log2(sets)) ? sets - 1 : -1);
  put(ARR_POLICY, CODE[policy]);
  put(ARR_TAGS, tags * 4);
  put(ARR_REPL, repl * 4);
  put(ARR_REPL_WORDS, words);
  if (policy === 'random') put(ARR_CLOCK, seed);
  return w;
}

const guarded = (w: Int32Array): boolean => w[w.length - 1] === GUARD && w[(w[A + (ARR_REPL >>> 2)] >>> 2) - 1] === GUARD;
const clock = (w: Int32Array): number => w[A + (ARR_CLOCK >>> 2)];
const live = (w: Int32Array): number[] => [0, 1, 2].map(size => w[A + (ARR_LIVE >>> 2) + size]);

/** `expect` is too slow for a million calls. */
function same(got: number, expected: number): void {
  if (got !== expected) expect(got).toBe(expected);
}

/** One array and one tiny oracle: for each set the tags by way and the order of replacement. */
class Pair {
  readonly w: Int32Array;
  private readonly sets: { tags: (number | undefined)[]; order: Order }[];
  private readonly ways: number;

  constructor(sets: number, ways: number, policy: Policy, seed: number) {
    this.w = make(sets, ways, policy, seed);
    this.ways = ways;
    const numbers = new Xorshift(seed);
    const empty = () => Array.from({ length: ways }, () => undefined);
    this.sets = Array.from({ length: sets }, () => ({ tags: empty(), order: makeOrder(policy, ways, numbers) }));
  }

  /** Use a page, bringing it in if need be, and compare which entry was chosen. */
  use(page: number): void {
    const { w } = this, set = setOf(w, A, page, ARR_TAG_VALID);
    same(set, page % this.sets.length);
    let i = find(w, A, set, page, ARR_TAG_VALID, ARR_TAG_VALID);
    const mine = this.sets[set];
    let way = mine.tags.indexOf(page);
    same(i, way < 0 ? -1 : set * this.ways + way);
    if (i < 0) {
      i = victim(w, A, set);
      place(w, A, i, page, ARR_TAG_VALID);
      way = mine.tags.indexOf(undefined);
      if (way < 0) way = mine.order.next();
      if (mine.tags[way] !== undefined) mine.order.emptied(way);
      mine.tags[way] = page;
      same(i, set * this.ways + way);
    }
    touch(w, A, i);
    mine.order.used(way);
  }

  /** Empty an entry of the set that a page falls into. */
  forget(page: number, way: number): void {
    const set = page % this.sets.length, mine = this.sets[set];
    drop(this.w, A, set * this.ways + way);
    if (mine.tags[way] === undefined) return;
    mine.tags[way] = undefined;
    mine.order.emptied(way);
  }

  audit(): void {
    auditArray(this.w, A);
    expect(guarded(this.w)).toBe(true);
    expect(live(this.w)).toEqual([this.sets.flatMap(s => s.tags).filter(t => t !== undefined).length, 0, 0]);
  }
}

describe.each(POLICIES)('%s', policy => {
  it('agrees with its oracle for 1 to 70 ways', () => {
    let uses = 0;
    for (let ways = 1; ways <= 70; ways++) {
      const random = new Random(ways), sets = random.pick([1, 2, 3, 5, 8]), pair = new Pair(sets, ways, policy, 0x1234567 + ways);
      for (let n = 0; n < 40 * ways; n++, uses++) {
        const page = random.below(Math.ceil(ways * sets * 1.3) + 2);
        pair.use(page);
        if (random.chance(5)) pair.forget(page, random.below(ways));
      }
      pair.audit();
    }
    expect(uses).toBe(40 * 70 * 71 / 2);
  });

  it('fills the empty ways of a set first, lowest first', () => {
    const w = make(3, 6, policy);
    for (let k = 0; k < 6; k++) {
      expect(victim(w, A, 2)).toBe(12 + k);
      place(w, A, 12 + k, k + 1, ARR_TAG_VALID);
      touch(w, A, 12 + k);
    }
    drop(w, A, 15);
    drop(w, A, 13);
    expect(victim(w, A, 2)).toBe(13);
    auditArray(w, A);
  });
});

// Fill four ways in order, use some, and see who goes.
it.each<[Policy, ways: number, used: number[], next: number, why: string]>([
  ['lru', 4, [], 0, 'the first to come'],
  ['lru', 4, [0, 2], 1, 'the one used longest ago'],
  ['lru', 4, [1, 0, 3], 2, 'the one never used again'],
  ['tree-plru', 4, [], 0, 'both forks point left after a use of the right'],
  ['tree-plru', 4, [0], 2, 'the other half of the root, its left place'],
  ['tree-plru', 4, [0, 2], 1, 'the half of 0, the place beside it, though 3 was used before'],
  ['tree-plru', 3, [0], 2, 'a fork without a right place goes left'],
  ['tree-plru', 3, [0, 2], 1, 'the left half again'],
  ['tree-plru', 5, [0], 4, 'the right half has one place'],
  ['nru', 4, [], 0, 'the fill of the last way cleared the other flags'],
  ['nru', 4, [0, 1], 2, 'the lowest way whose flag is clear'],
  ['nru', 4, [0, 1, 2], 0, 'all flags were set, so only 2 kept its own'],
  ['nru', 1, [0], 0, 'there is no other way'],
])('%s of %i ways, used %j, next replaces %i: %s', (policy, ways, used, next) => {
  const w = make(1, ways, policy);
  for (let k = 0; k < ways; k++) {
    place(w, A, k, k, ARR_TAG_VALID);
    touch(w, A, k);
  }
  for (const k of used) touch(w, A, k);
  expect(victim(w, A, 0)).toBe(next);
});

it('draws the published sequence of xorshift32 from seed 1', () => {
  const w = make(1, 1, 'random');
  place(w, A, 0, 5, ARR_TAG_VALID);
  const drawn = [0, 1, 2, 3, 4].map(() => { victim(w, A, 0); return clock(w) >>> 0; });
  expect(drawn).toEqual([270369, 67634689, 2647435461, 307599695, 2398689233]);
});

describe('the end of the LRU clock', () => {
  it('changes nothing that can be seen', () => {
    let crossings = 0;
    for (let ways = 1; ways <= 70; ways += 3) {
      for (const left of [0, 1, ways, 50]) {
        const random = new Random(ways * 100 + left), pair = new Pair(3, ways, 'lru', 1);
        for (let n = 0; n < 3 * ways; n++) pair.use(random.below(5 * ways));
        pair.forget(random.below(3), random.below(ways));
        pair.w[A + (ARR_CLOCK >>> 2)] = 0x7fffffff - left;
        for (let n = 0; n < 4 * ways + 100; n++) pair.use(random.below(5 * ways));
        pair.audit();
        if (clock(pair.w) < 0x1000_0000) crossings++;
      }
    }
    expect(crossings).toBe(24 * 4);
  });

  it('numbers the stamps anew from 1 in their order, empty ways staying 0', () => {
    const w = make(2, 4, 'lru'), stamps = w[A + (ARR_REPL >>> 2)] >>> 2;
    [3, 0, 1, 2].forEach(k => { place(w, A, k, k, ARR_TAG_VALID); touch(w, A, k); });
    place(w, A, 6, 7, ARR_TAG_VALID);
    touch(w, A, 6);
    drop(w, A, 1);
    w[A + (ARR_CLOCK >>> 2)] = 0x7fffffff;
    touch(w, A, 0);
    expect([...w.subarray(stamps, stamps + 8)]).toEqual([5, 0, 3, 1, 0, 0, 1, 0]);
    expect(clock(w)).toBe(5);
  });
});

describe('sets', () => {
  it.each([1, 2, 3, 5, 7, 12, 64, 100, 128, 1000, 4096])('of %i take the page number, 45 bits, modulo their number', sets => {
    const w = make(sets, 1, 'lru'), random = new Random(sets);
    for (let n = 0; n < 500; n++) {
      const hi = random.below(0x2000), lo = random.below(2 ** 32) | 0, rest = random.below(2 ** 18) << 13 | ARR_TAG_VALID;
      expect(setOf(w, A, lo, hi | rest)).toBe(Number(((BigInt(hi) << 32n) | BigInt(lo >>> 0)) % BigInt(sets)));
    }
    expect(capacity(w, A)).toBe(sets);
  });
});

describe('tags', () => {
  let w: Int32Array;
  beforeEach(() => {
    w = make(2, 3, 'nru');
    place(w, A, 3, 7, ARR_TAG_VALID | 1);
    place(w, A, 4, 7, ARR_TAG_VALID | 2);
    place(w, A, 5, 8, ARR_TAG_VALID | 1);
  });

  it.each([
    [1, 7, 1, 1, 3], [1, 7, 2, 2, 4], [1, 7, 9, 2, 4], [1, 7, 2, 1, 3], [1, 8, 1, 1, 5], [1, 8, 2, 2, -1], [0, 7, 1, 1, -1], [1, 6, 1, 2, -1],
  ])('in set %i, low %i, high %i or %i, are in entry %i', (set, lo, hi, other, entry) => {
    expect(find(w, A, set, lo, ARR_TAG_VALID | hi, ARR_TAG_VALID | other)).toBe(entry);
  });

  it('are counted by size code, replaced and dropped ones no more', () => {
    const tag = (size: number) => ARR_TAG_VALID | (size << 25);
    place(w, A, 0, 1, tag(1));
    place(w, A, 1, 2, tag(2));
    expect(live(w)).toEqual([3, 1, 1]);
    place(w, A, 1, 3, tag(1));
    drop(w, A, 3);
    drop(w, A, 3);
    expect(live(w)).toEqual([2, 2, 0]);
    auditArray(w, A);
  });

  it('are all gone after dropAll, and the replacement flags stay', () => {
    touch(w, A, 4);
    w[A + (ARR_FRAGMENTS >>> 2)] = 1;
    const flags = w[(w[A + (ARR_REPL >>> 2)] >>> 2) + 1];
    dropAll(w, A);
    expect([...w.subarray(w[A + (ARR_TAGS >>> 2)] >>> 2).slice(0, 12)]).toEqual(Array.from({ length: 12 }, () => 0));
    expect([...live(w), w[A + (ARR_FRAGMENTS >>> 2)]]).toEqual([0, 0, 0, 0]);
    expect(flags).toBe(2);
    expect(w[(w[A + (ARR_REPL >>> 2)] >>> 2) + 1]).toBe(flags);
    expect(guarded(w)).toBe(true);
    auditArray(w, A);
  });
});

it.each<[Policy, ways: number, words: number]>([
  ['lru', 1, 1], ['lru', 70, 70], ['random', 12, 0], ['tree-plru', 1, 1], ['tree-plru', 2, 1], ['tree-plru', 32, 1], ['tree-plru', 33, 2],
  ['tree-plru', 64, 2], ['tree-plru', 65, 4], ['nru', 1, 1], ['nru', 32, 1], ['nru', 33, 2], ['nru', 64, 2], ['nru', 65, 3],
])('%s of %i ways keeps %i words a set', (policy, ways, words) => expect(replacementWords(CODE[policy], ways)).toBe(words));

describe('the audit', () => {
  const full = () => {
    const w = make(2, 2, 'lru');
    for (let i = 0; i < 3; i++) { place(w, A, i, i, ARR_TAG_VALID | (i << 25)); touch(w, A, i); }
    return w;
  };
  const at = (w: Int32Array, field: number, plus = 0) => (w[A + (field >>> 2)] >>> 2) + plus;

  it('accepts a sound array', () => expect(() => auditArray(full(), A)).not.toThrow());

  it.each<[string, string, (w: Int32Array) => void]>([
    ['AR1', 'an invalid tag that is not 0', w => { w[at(w, ARR_TAGS, 6)] = 1; }],
    ['AR1', 'a valid bit that was lost', w => { w[at(w, ARR_TAGS, 3)] &= ~ARR_TAG_VALID; }],
    ['AR2', 'a tag twice in a set', w => { w[at(w, ARR_TAGS, 2)] = 0; w[at(w, ARR_TAGS, 3)] = w[at(w, ARR_TAGS, 1)]; }],
    ['AR3', 'a count too high', w => { w[A + (ARR_LIVE >>> 2)]++; }],
    ['AR3', 'a count of the wrong size', w => { w[A + (ARR_LIVE >>> 2) + 1]--; w[A + (ARR_LIVE >>> 2) + 2]++; }],
    ['AR4', 'an entry without a stamp', w => { w[at(w, ARR_REPL, 1)] = 0; }],
    ['AR4', 'a stamp without an entry', w => { w[at(w, ARR_REPL, 3)] = 9; }],
    ['AR4', 'a stamp twice in a set', w => { w[at(w, ARR_REPL, 1)] = w[at(w, ARR_REPL)]; }],
  ])('finds by %s %s', (name, _, damage) => {
    const w = full();
    damage(w);
    expect(() => auditArray(w, A)).toThrow(InvariantError);
    expect(() => auditArray(w, A)).toThrow(name);
  });

  it('allows one tag in two sets', () => {
    const w = make(2, 2, 'lru');
    for (const i of [0, 2]) { place(w, A, i, 5, ARR_TAG_VALID); touch(w, A, i); }
    expect(() => auditArray(w, A)).not.toThrow();
  });
});
