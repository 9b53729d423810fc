import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { layFrameTable } from '../../src/frames/table.ts';
import { FRAME_REFS_MOST, FRAME_STAMP, FRAME_STRIDE, PGT_COUNT_MOST, PGT_L2_TABLE, PGT_VALIDATED } from '../../src/layout/frame.ts';
import { HDR_BYTES_USED, HDR_FLUSH_CLOCK, HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from '../../src/layout/header.ts';
import { Machine } from '../../src/machine/machine.ts';
import { at, entry, FRAMES, MODES, type FrameWorld, type Mode } from './world.ts';
import { DATA, FOREIGN, FREE, L1, L1_B, L2, MANY, OLD_TABLE, PLAIN, populated, SEG, T1, USED_UP, W } from './population.ts';

const P = 1n, RW = 2n, US = 4n, PWT = 8n, A = 0x20n, D = 0x40n, G = 0x100n, AVAIL = 0x200n, KERNEL = 1n << 52n, NX = 1n << 63n, BIT62 = 1n << 62n;
const RO = P | US, WR = P | RW | US;
const PWT_FLAG = 8, BIT62_FLAG = 1 << 22;

let x: FrameWorld;
const begin = (mode: Mode) => { x = populated(mode); };
/** References and type word of a frame. */
const held = (f: number) => [x.frame(f).refs, x.frame(f).type];

describe.each(MODES)('an entry: $engine, vCPUs $vcpus', mode => {
  beforeEach(() => begin(mode));

  it.each([
    ['read-only, of a writable frame', entry(DATA, RO), DATA, [2, W]],
    ['writable, of a writable frame', entry(DATA, WR), DATA, [2, W | 1]],
    ['writable, of a frame without a type', entry(PLAIN, WR), PLAIN, [2, W | 1]],
    ['read-only, of a frame without a type', entry(PLAIN, RO), PLAIN, [2, 0]],
    ['read-only, of a page table', entry(L2, RO), L2, [3, PGT_L2_TABLE | PGT_VALIDATED | 1]],
    ['read-only, of its own table', entry(L1, RO), L1, [3, T1 | 1]],
    ['with every flag that is not looked at', entry(DATA, 0xfffn | (0xfffn << 52n)), DATA, [2, W | 1]],
    ['for the last reference that a run takes', entry(MANY, RO), MANY, [FRAME_REFS_MOST + 1, W]],
    ['for the last type use that a run takes', entry(USED_UP, WR), USED_UP, [PGT_COUNT_MOST + 1, W | PGT_COUNT_MOST]],
    ['not present, of anything', entry(FOREIGN, 0xffen), FOREIGN, [1, W]],
  ])('%s, is taken and put', (_, e, frame, after) => {
    const before = x.frame(frame);
    x.setEntry(L1, 5, e);
    expect(x.validate(L1, 5, 6)).toBe(6);
    expect(held(frame)).toEqual(after);
    expect(x.entry(L1, 5)).toBe(e);
    expect(x.drop(L1, 5, 6)).toBe(5);
    expect(held(frame)).toEqual([before.refs, before.type === 0 && e & RW && e & P ? W : before.type]); // a type survives
    expect(x.owed()).toBe(0n);
  });

  it.each([
    ['of another domain', entry(FOREIGN, RO)],
    ['of a free frame', entry(FREE, RO)],
    ['of a frame beyond the table', entry(FRAMES, RO)],
    ['of a frame beyond 4 GiB', entry(2 ** 20, RO)],
    ['of a frame at the end of the address space', entry(2 ** 40 - 1, RO)],
    ['writable, of a level-1 table', entry(L1_B, WR)],
    ['writable, of a level-2 table', entry(L2, WR)],
    ['writable, of a frame that was a table', entry(OLD_TABLE, WR)],
    ['writable, of a frame that held descriptors', entry(SEG, WR)],
    ['with a flag that is not common, low', entry(DATA, RO | PWT)],
    ['with a flag that is not common, high', entry(DATA, RO | BIT62)],
  ])('%s ends the run and changes nothing', (_, e) => {
    x.setEntry(L1, 4, entry(DATA, RO));
    x.setEntry(L1, 5, e);
    x.setEntry(L1, 6, entry(DATA, RO));
    const before = x.bytes();
    expect(x.validate(L1, 5, 512, PWT_FLAG | BIT62_FLAG)).toBe(5);
    expect(x.bytes().equals(before)).toBe(true);
    expect(x.validate(L1, 0, 512, PWT_FLAG | BIT62_FLAG)).toBe(5);
    expect(held(DATA)).toEqual([2, W]);
  });

  it.each([
    ['too many references', MANY, { refs: FRAME_REFS_MOST + 1 }, RO],
    ['a count at its end', MANY, { refs: 0x7fffffff }, RO],
    ['a count that is not one', MANY, { refs: -1 }, RO],
    ['too many type uses', USED_UP, { type: W | PGT_COUNT_MOST }, WR],
    ['type uses at their end', USED_UP, { type: W | 0xffffff }, WR],
  ])('of a frame with %s ends the run and changes nothing', (_, frame, row, flags) => {
    x.setFrame(frame, row);
    x.setEntry(L1, 0, entry(frame, flags));
    const before = x.bytes();
    expect(x.validate(L1)).toBe(0);
    expect(x.validateTable(L1)).toBe(0);
    expect(x.bytes().equals(before)).toBe(true);
  });

  it.each([
    ['the last reference', entry(DATA, RO), { refs: 1 }],
    ['a type use that is not there', entry(DATA, WR), { refs: 5, type: W }],
    ['a type use of another type', entry(DATA, WR), { refs: 5, type: T1 | 1 }],
    ['what others own', entry(DATA, RO), { refs: 5, owner: 8 }],
    ['a frame beyond the table', entry(FRAMES, RO), {}],
  ])('is not put for %s', (_, e, row) => {
    x.setFrame(DATA, row);
    x.setEntry(L1, 5, e);
    const before = x.bytes();
    expect(x.drop(L1)).toBe(6);
    expect(x.bytes().equals(before)).toBe(true);
  });
});

describe.each(MODES)('a run: $engine, vCPUs $vcpus', mode => {
  beforeEach(() => begin(mode));

  it('takes one frame as often as it occurs', () => {
    for (let i = 0; i < 512; i++) x.setEntry(L1, i, entry(DATA, i % 3 ? WR : RO));
    expect(x.validate(L1)).toBe(512);
    expect(held(DATA)).toEqual([513, W | 341]);
    expect(x.drop(L1, 100, 400)).toBe(100);
    expect(held(DATA)).toEqual([213, W | 141]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('of %i entries begins and ends anywhere', n => {
    for (let i = 0; i < 512; i++) x.setEntry(L1, i, entry(64 + (i % 128), WR));
    for (let from = 0; from < 8; from++) {
      expect(x.validate(L1, from, from + n)).toBe(from + n);
      for (let i = 0; i < 20; i++) expect(x.frame(64 + i).refs, `${from} ${i}`).toBe(i >= from && i < from + n ? 2 : 1);
      expect(x.drop(L1, from, from + n)).toBe(from);
      for (let i = 0; i < 20; i++) expect(held(64 + i)).toEqual([1, W]);
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 255, 510, 511])('that refuses entry %i of a whole table gives everything back', i => {
    for (let k = 0; k < 512; k++) x.setEntry(L1, k, entry(64 + (k % 128), k % 2 ? WR : RO));
    x.setEntry(L1, i, entry(FOREIGN, RO));
    x.s.w[HDR_FLUSH_CLOCK >>> 2] = 0; // frames that are used no more are stamped with it
    const before = x.bytes();
    expect(x.validateTable(L1)).toBe(0);
    expect(x.bytes().equals(before)).toBe(true);
    x.setEntry(L1, i, entry(DATA, WR));
    expect(x.validateTable(L1)).toBe(512);
    expect(held(DATA)).toEqual([2, W | 1]);
  });

  it('notes when each use as writable ends, with several vCPUs: the latest tick stays', () => {
    const { w } = x.s, at = (w[HDR_FRAME_TABLE >>> 2]! + DATA * FRAME_STRIDE + FRAME_STAMP) >>> 2, stamps: number[] = [], tick = (clock: number) => { w[HDR_FLUSH_CLOCK >>> 2] = clock; };
    for (let i = 0; i < 4; i++) x.setEntry(L1, i, entry(DATA, i === 3 ? RO : WR));
    expect(x.validate(L1, 0, 4)).toBe(4);
    for (const [i, clock] of [[3, 4], [2, 5], [1, -9], [0, 7]] as const) {
      tick(clock);
      expect(x.drop(L1, i, i + 1)).toBe(i);
      stamps.push(w[at]!);
    }
    expect(stamps).toEqual(mode.vcpus === 1 ? [0, 0, 0, 0] : [0, 5, -9, -9]);
  });

  it('does nothing without a frame table', () => {
    x.s.w[HDR_FRAME_LIMIT >>> 2] = 0;
    expect([x.validate(L1, 3), x.drop(L1, 3), x.validateTable(L1), x.update(at(L1, 0), 0n)]).toEqual([3, 512, 0, 0]);
  });

  it.each([
    ['a user page becomes global', RO, RO | G],
    ['a supervisor page becomes a user page for the processor, with bit 52', P | RW, P | RW | US | KERNEL],
    ['a supervisor page keeps G', P | G, P | US | G | KERNEL],
    ['bit 52 keeps G clear', RO | KERNEL, RO | KERNEL],
    ['an entry that is not present stays', 0x3en, 0x3en],
    ['the other flags stay', NX | BIT62 | WR | A | D | AVAIL, NX | BIT62 | WR | A | D | AVAIL | G],
  ])('adjusts: %s', (_, flags, kept) => {
    for (const i of [0, 1, 2, 509]) x.setEntry(L1, i, entry(DATA, flags));
    expect(x.validate(L1, 1, 512, 0, 1)).toBe(512);
    expect([0, 1, 2, 509].map(i => x.entry(L1, i))).toEqual([flags, kept, kept, kept].map(f => entry(DATA, f)));
  });

  it('adjusts no further than it came, and leaves it so', () => {
    for (let i = 0; i < 4; i++) x.setEntry(L1, i, entry(i === 2 ? FOREIGN : DATA, RO));
    expect(x.validateTable(L1, 0, 1)).toBe(0);
    expect([0, 1, 2, 3].map(i => x.entry(L1, i) & G)).toEqual([G, G, 0n, 0n]);
  });
});

describe('the frame table', () => {
  it('has rows for a power of two frames, at the end of memory', () => {
    const { views } = Machine.create({ memory: '64K' });
    const before = views.byteLength;
    expect(layFrameTable(views, 5000)).toBe(before);
    expect(views.w[HDR_FRAME_LIMIT >>> 2]).toBe(8192);
    expect(views.byteLength).toBe(before + 8192 * 16);
    expect(views.w[HDR_BYTES_USED >>> 2]! * 65536).toBe(views.byteLength);
  });

  it.each([0, -1, 1.5, 2 ** 28, NaN])('is not made for %d frames', frames => {
    const { views } = Machine.create({ memory: '64K' });
    expect(() => layFrameTable(views, frames)).toThrow(ConfigError);
  });

  it('is made once', () => {
    const { views } = Machine.create({ memory: '64K' });
    layFrameTable(views, 16);
    expect(() => layFrameTable(views, 16)).toThrow(/frames: expected a machine without a frame table/);
  });
});
