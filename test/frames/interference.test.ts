/** Another vCPU that changes something at the worst moment: just before the n-th compare-and-swap of a run of the TypeScript engine. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PGT_L1_TABLE, PGT_LOCKED, PGT_VALIDATED, PGT_WRITABLE } from '../../src/layout/frame.ts';
import { at, DOMAIN, entry, FrameWorld } from './world.ts';

const L1 = 16, DATA = 32, OTHER = 33;
const W = PGT_WRITABLE | PGT_VALIDATED, T1 = PGT_L1_TABLE | PGT_VALIDATED;
const RO = 5n, WR = 7n, A = 0x20n, D = 0x40n;

let x: FrameWorld;
beforeEach(() => {
  x = new FrameWorld({ engine: 'TypeScript', vcpus: 2 });
  for (const f of [DATA, OTHER]) x.setFrame(f, { owner: DOMAIN, refs: 2, type: W | 1 });
  x.setFrame(L1, { owner: DOMAIN, refs: 2, type: T1 | 1 });
  x.setEntry(L1, 0, entry(DATA, WR));
  x.setEntry(L1, 1, entry(DATA, RO));
});
afterEach(() => void vi.restoreAllMocks());

/** Do something just before the n-th compare-and-swap from now on (from 1). @returns how many there were */
function before(acts: Record<number, () => void>): () => number {
  const swap = Atomics.compareExchange as (w: Int32Array, at: number, old: number, value: number) => number;
  let calls = 0;
  vi.spyOn(Atomics, 'compareExchange').mockImplementation(((w: Int32Array, i: number, old: number, value: number) => {
    acts[++calls]?.();
    return swap(w, i, old, value);
  }) as typeof Atomics.compareExchange);
  return () => calls;
}

const held = (f: number) => [x.frame(f).refs, x.frame(f).type];

it('takes references that others take too', () => {
  const calls = before({ 1: () => x.setFrame(DATA, { refs: 7 }), 3: () => x.setFrame(DATA, { type: W | 5 }) });
  expect(x.validate(L1, 0, 1)).toBe(1);
  expect(held(DATA)).toEqual([8, W | 6]);
  expect(calls()).toBe(4); // each was tried twice
});

it('stops where the references come to an end meanwhile', () => {
  before({ 1: () => x.setFrame(DATA, { refs: 0 }) });
  expect(x.validate(L1, 0, 1)).toBe(0);
  expect([held(DATA), x.owed()]).toEqual([[0, W | 1], 0n]);
});

it('gives back the reference of a frame that became another domain\'s', () => {
  before({ 1: () => x.setFrame(DATA, { owner: 8, type: 0 }) });
  expect(x.validate(L1, 0, 2)).toBe(0);
  expect([held(DATA), x.owed()]).toEqual([[2, 0], 0n]);
});

it('... and leaves it to the caller if it is the last by then', () => {
  before({ 1: () => x.setFrame(DATA, { owner: 8, type: 0 }), 2: () => x.setFrame(DATA, { refs: 1 }) });
  expect(x.validate(L1, 0, 2)).toBe(0);
  expect([held(DATA), x.owed()]).toEqual([[1, 0], entry(DATA, RO)]);
});

it('gives back the reference of a frame that became a table', () => {
  before({ 2: () => x.setFrame(DATA, { type: T1 | 1 }) });
  expect(x.validate(L1, 0, 1)).toBe(0);
  expect([held(DATA), x.owed()]).toEqual([[2, T1 | 1], 0n]);
});

it('makes a frame writable that lost its type meanwhile', () => {
  before({ 2: () => x.setFrame(DATA, { type: 0 }) });
  expect(x.validate(L1, 0, 1)).toBe(1);
  expect(held(DATA)).toEqual([3, W | 1]);
});

it('puts what it can, and leaves a reference that became the last to the caller', () => {
  before({ 2: () => x.setFrame(DATA, { refs: 1 }) });
  expect(x.drop(L1, 0, 1)).toBe(0); // done, but for
  expect([held(DATA), x.owed()]).toEqual([[1, W], entry(DATA, RO)]);
});

it('puts no type use that went away', () => {
  before({ 1: () => x.setFrame(DATA, { type: W }) });
  expect(x.drop(L1, 0, 1)).toBe(1);
  expect([held(DATA), x.owed()]).toEqual([[2, W], 0n]);
});

it('rolls back a refused table as far as it can', () => {
  x.setFrame(OTHER, { owner: 8 });
  x.setEntry(L1, 2, entry(OTHER, RO));
  before({ 5: () => x.setFrame(DATA, { refs: 1 }) }); // after three for two entries, the second is put, then the first's type
  expect(x.validateTable(L1)).toBe(0);
  expect([held(DATA), x.owed()]).toEqual([[1, W | 1], entry(DATA, RO)]);
});

it('rolls nothing back while it owes something already', () => {
  x.setFrame(OTHER, { refs: 1 });
  x.setEntry(L1, 2, entry(OTHER, RO));
  before({ 4: () => x.setFrame(OTHER, { owner: 8 }), 5: () => x.setFrame(OTHER, { refs: 1 }) });
  expect(x.validateTable(L1)).toBe(2);
  expect([held(DATA), held(OTHER), x.owed()]).toEqual([[4, W | 2], [1, W | 1], entry(OTHER, RO)]);
});

it('does not update a table that is locked first', () => {
  const bytes = x.bytes();
  before({ 1: () => x.setFrame(L1, { type: T1 | 2 | PGT_LOCKED }) });
  expect(x.update(at(L1, 0), 0n)).toBe(0);
  expect(held(L1)).toEqual([2, T1 | 2 | PGT_LOCKED]);
  x.setFrame(L1, { type: T1 | 1 });
  expect(x.bytes().equals(bytes)).toBe(true);
});

it('locks a table whose use changes meanwhile, and unlocks it so', () => {
  before({ 1: () => x.setFrame(L1, { type: T1 | 3 }), 4: () => x.setFrame(L1, { type: T1 | 8 | PGT_LOCKED }) });
  expect(x.update(at(L1, 1), 0n)).toBe(1); // lock, lock again, put, unlock, unlock again
  expect(held(L1)).toEqual([2, T1 | 7]);
  expect(held(DATA)).toEqual([1, W | 1]);
});

it('does not update a table that became another domain\'s', () => {
  before({ 1: () => x.setFrame(L1, { owner: 8 }) });
  expect(x.update(at(L1, 0), 0n)).toBe(0);
  expect(held(L1)).toEqual([2, T1 | 1]);
  expect(x.entry(L1, 0)).toBe(entry(DATA, WR));
});

it('unlocks a table when it declines', () => {
  x.setFrame(OTHER, { owner: 8 });
  expect(x.update(at(L1, 0), entry(OTHER, RO))).toBe(0);
  expect(held(L1)).toEqual([2, T1 | 1]);
});

it('keeps A and D that a walker sets while command 2 replaces the entry', () => {
  const calls = before({ 2: () => x.setEntry(L1, 0, entry(DATA, WR | A)), 3: () => x.setEntry(L1, 0, entry(DATA, WR | A | D)) });
  expect(x.update(at(L1, 0, 2), entry(DATA, WR | 0x200n))).toBe(1);
  expect(x.entry(L1, 0)).toBe(entry(DATA, WR | 0x200n | A | D));
  expect(calls()).toBe(5);
});
