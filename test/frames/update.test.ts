import { beforeEach, describe, expect, it } from 'vitest';
import { FRAME_REFS_MOST, PGT_COUNT_MOST, PGT_L1_TABLE, PGT_LOCKED } from '../../src/layout/frame.ts';
import { at, entry, FRAMES, MODES, type FrameWorld } from './world.ts';
import { DATA, FOREIGN, FREE, L1, L1_B, L2, MANY, OLD_TABLE, PLAIN, populated, T1, W } from './population.ts';

const P = 1n, RW = 2n, US = 4n, PWT = 8n, A = 0x20n, D = 0x40n, G = 0x100n, AVAIL = 0x200n, KERNEL = 1n << 52n, NX = 1n << 63n, BIT62 = 1n << 62n;
const RO = P | US, WR = P | RW | US;
const PWT_FLAG = 8;

let x: FrameWorld;
/** References and type word of a frame. */
const held = (f: number) => [x.frame(f).refs, x.frame(f).type];

describe.each(MODES)('mmu_update: $engine, vCPUs $vcpus', mode => {
  beforeEach(() => {
    x = populated(mode);
    x.setEntry(L1, 0, entry(DATA, WR | A));
    x.validate(L1);
  });

  it.each([
    ['maps a frame', at(L1, 9), entry(64, WR), [2, W | 1]],
    ['maps a frame without a type', at(L1, 9), entry(PLAIN, WR), undefined],
    ['writes what is not present', at(L1, 9), 0xffff_ffff_ffff_fffen, undefined],
    ['takes commands 2', at(L1, 9, 2), entry(64, RO), [2, W]],
    ['... and 3', at(L1, 9, 3), entry(64, RO), [2, W]],
  ])('%s', (_, ptr, value, after) => {
    expect(x.update(ptr, value)).toBe(1);
    expect(x.entry(L1, 9)).toBe(value);
    if (after) expect(held(64)).toEqual(after);
    expect(held(L1)).toEqual([2, T1 | 1]);
  });

  it('puts what was mapped', () => {
    expect(x.update(at(L1, 0), entry(64, WR))).toBe(1);
    expect([held(DATA), held(64)]).toEqual([[1, W], [2, W | 1]]);
    expect(x.update(at(L1, 0), 0n)).toBe(1);
    expect(held(64)).toEqual([1, W]);
  });

  it('moves a frame between read-only and writable', () => {
    expect(x.update(at(L1, 0), entry(DATA, RO))).toBe(1);
    expect(held(DATA)).toEqual([2, W]);
    expect(x.update(at(L1, 0), entry(DATA, WR))).toBe(1);
    expect(held(DATA)).toEqual([2, W | 1]);
  });

  it('only stores where frame and P, R/W, cache flags stay: not even the owner matters', () => {
    x.setFrame(DATA, { owner: 8, type: T1 | 1 });
    const before = held(DATA);
    expect(x.update(at(L1, 0), entry(DATA, (WR & ~US) | A | D | G | AVAIL | NX | BIT62))).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(DATA, (WR & ~US) | A | D | G | AVAIL | NX | BIT62));
    expect(held(DATA)).toEqual(before);
    expect(x.update(at(L1, 0), entry(DATA, WR | PWT))).toBe(0);
    expect(x.update(at(L1, 0), entry(DATA, RO))).toBe(0);
  });

  it('keeps A and D for command 2 only', () => {
    x.setEntry(L1, 0, entry(DATA, WR | A | D));
    expect(x.update(at(L1, 0, 2), entry(DATA, WR))).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(DATA, WR | A | D));
    expect(x.update(at(L1, 0, 2), entry(64, RO))).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(64, RO | A | D));
    expect(x.update(at(L1, 0, 0), entry(64, RO))).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(64, RO));
    x.setEntry(L1, 0, entry(64, RO | D));
    expect(x.update(at(L1, 0, 2), 0n)).toBe(1);
    expect(x.entry(L1, 0)).toBe(D);
  });

  it('adjusts what is present', () => {
    expect(x.update(at(L1, 0), entry(DATA, P | RW), 0, 1)).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(DATA, P | RW | US | KERNEL));
    expect(held(DATA)).toEqual([2, W | 1]);
    expect(x.update(at(L1, 0), entry(DATA, RW), 0, 1)).toBe(1);
    expect(x.entry(L1, 0)).toBe(entry(DATA, RW));
  });

  it.each([
    ['a frame of another domain', at(L1, 0), entry(FOREIGN, RO)],
    ['a free frame', at(L1, 0), entry(FREE, RO)],
    ['a frame beyond the table', at(L1, 0), entry(FRAMES, RO)],
    ['a page table, writable', at(L1, 0), entry(L1_B, WR)],
    ['its own table, writable', at(L1, 0), entry(L1, WR)],
    ['a flag that is not common', at(L1, 0), entry(DATA, WR | PWT)],
    ['a frame with too many references', at(L1, 0), entry(MANY, RO)],
    ['a level-2 table', at(L2, 0), entry(64, RO)],
    ['a writable frame', at(DATA, 0), entry(64, RO)],
    ['a frame that was a table', at(OLD_TABLE, 0), entry(64, RO)],
    ['a table of another domain', at(FOREIGN, 0), 0n],
    ['a table beyond the frame table', at(FRAMES, 0), 0n],
    ['an address with bits above 51', at(L1, 0) | KERNEL, 0n],
    ...[1, 4, 5, 6, 7].map((command): [string, bigint, bigint] => [`command ${command}`, at(L1, 0, command), 0n]),
  ])('does not do %s, and changes nothing', (_, ptr, value) => {
    x.setFrame(MANY, { refs: FRAME_REFS_MOST + 1 });
    const before = x.bytes();
    expect(x.update(ptr, value, PWT_FLAG)).toBe(0);
    expect(x.bytes().equals(before)).toBe(true);
  });

  it.each([
    ['not validated', PGT_L1_TABLE | 1],
    ['not in use', T1],
    ['locked', T1 | 1 | PGT_LOCKED],
    ['used too much', T1 | PGT_COUNT_MOST],
  ])('does not touch a table that is %s', (_, type) => {
    x.setFrame(L1, { type });
    const before = x.bytes();
    expect(x.update(at(L1, 0), 0n)).toBe(0);
    expect(x.bytes().equals(before)).toBe(true);
  });

  it.each([
    ['the last reference of a frame', { refs: 1, type: W | 1 }],
    ['what is another domain\'s now', { refs: 5, owner: 8, type: W | 1 }],
  ])('leaves %s to the caller', (_, row) => {
    x.setFrame(DATA, row);
    const before = x.frame(DATA);
    expect(x.update(at(L1, 0), entry(64, RO))).toBe(2);
    expect(x.entry(L1, 0)).toBe(entry(64, RO));
    expect(x.owed()).toBe(entry(DATA, WR | A));
    expect(x.frame(DATA)).toEqual(before);
  });

  it('does many, up to the first that is not common', () => {
    const good: [bigint, bigint][] = Array.from({ length: 100 }, (_, k) => [at(L1, k), entry(64 + k, WR)]);
    expect(x.updateAll(good)).toBe(100);
    expect(held(163)).toEqual([2, W | 1]);
    expect(x.updateAll([[at(L1, 0), 0n], [at(L1, 1), 0n], [at(L1, 2, 1), 0n], [at(L1, 3), 0n]])).toBe(2);
    expect([0, 1, 2, 3].map(i => x.entry(L1, i))).toEqual([0n, 0n, entry(66, WR), entry(67, WR)]);
    x.setFrame(67, { refs: 1 });
    expect(x.updateAll([[at(L1, 2), 0n], [at(L1, 3), 0n], [at(L1, 4), 0n]])).toBe(2);
    expect(x.owed()).toBe(entry(67, WR));
    expect(x.updateAll([])).toBe(0);
  });
});
