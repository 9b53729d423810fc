import { describe, expect, it } from 'vitest';
import { ConfigError, InvariantError } from '../../src/errors.ts';
import { CNT_COUNT } from '../../src/layout/counter.ts';
import { VCPU_BYTES } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import { count, readCounter, resetCounters } from '../../src/memory/counters.ts';
import { casEntry, casEntry32, loadEntry, readEntry, writeEntry } from '../../src/memory/entry.ts';
import { readEntry32, writeEntry32 } from './entry32.ts';
import { wordOf } from '../../src/memory/extents.ts';
import { FrameAllocator } from '../../src/memory/frame-allocator.ts';
import { Views } from '../../src/memory/views.ts';

describe.each([1, 2])('entries with %i vCPUs', vcpus => {
  const machine = Machine.create({ memory: '64K', paging: 'none', vcpus, openBus: 0xc3 });
  const s = machine.views;

  it('change by compare-and-swap exactly when there are several', () => {
    expect(s.atomic).toBe(vcpus > 1);
  });

  it('read back what was written, every bit', () => {
    for (const value of [0n, 1n, 0x8000_0000n, 0xffff_ffffn, 1n << 63n, (1n << 64n) - 1n, 0x0123_4567_89ab_cdefn]) {
      expect(writeEntry(s, 0x1008, value)).toBe(true);
      expect(readEntry(s, 0x1008)).toBe(value);
      expect(readEntry32(s, 0x1008)).toBe(Number(value & 0xffff_ffffn));
      expect(readEntry32(s, 0x100c)).toBe(Number(value >> 32n));
      expect(writeEntry32(s, 0x1008, 0xdead_beef)).toBe(true);
      expect(readEntry(s, 0x1008)).toBe((value & ~0xffff_ffffn) | 0xdead_beefn);
    }
    expect(readEntry(s, 0x1000)).toBe(0n);
    expect(readEntry(s, 0x1010)).toBe(0n);
  });

  it('are read as a whole, also where the bits are no number', () => {
    const at = wordOf(s, 0, 0x3000);
    const values = [0n, (1n << 64n) - 1n, 0x7ff0_0000_0000_0001n, 0x7ff4_0000_0000_5067n, 0xfff0_0000_0000_0067n, 0xfff7_ffff_ffff_ffffn, 0x8000_0001_2345_6067n];
    for (let k = 0; k < 20_000; k++) {
      for (const value of values) {
        s.q[at >>> 1] = value;
        loadEntry(s, at);
        if (s.busLo !== s.w[at] || s.busHi !== s.w[at + 1]) throw new Error(`0x${value.toString(16)} read as 0x${(s.busHi >>> 0).toString(16)}, 0x${(s.busLo >>> 0).toString(16)}`);
      }
    }
  });

  it('change only if both words are the old ones', () => {
    const at = wordOf(s, 0, 0x2000), old = 0x9234_5678_89ab_cdefn;
    writeEntry(s, 0x2000, old);
    const [lo, hi] = [0x89ab_cdef | 0, 0x9234_5678 | 0];
    expect(casEntry(s, at, lo ^ 1, hi, 1, 2)).toBe(false);
    expect(casEntry(s, at, lo, hi ^ 1, 1, 2)).toBe(false);
    expect(readEntry(s, 0x2000)).toBe(old);
    expect(casEntry(s, at, lo, hi, -1, -2)).toBe(true);
    expect(readEntry(s, 0x2000)).toBe(0xffff_fffe_ffff_ffffn);
    expect(casEntry32(s, at, 0, 5)).toBe(false);
    expect(casEntry32(s, at, -1, 5)).toBe(true);
    expect(readEntry(s, 0x2000)).toBe(0xffff_fffe_0000_0005n);
  });

  it('are not written where there are no bytes', () => {
    expect(writeEntry(s, 0x10000, 1n)).toBe(false);
    expect(writeEntry32(s, 2 ** 40, 1)).toBe(false);
    expect(readEntry(s, 2 ** 40)).toBe(0xc3c3_c3c3_c3c3_c3c3n);
    expect(readEntry32(s, 0x10000)).toBe(0xc3c3_c3c3);
  });
});

describe('counters', () => {
  const w = new Int32Array(VCPU_BYTES >>> 2);
  it('carry into the high word at 2^31 and 2^32', () => {
    for (let n = 1; n <= 5; n++) {
      count(w, 0, 7, 0x7fff_ffff);
      expect(readCounter(w, 0, 7)).toBe(n * 0x7fff_ffff);
    }
    count(w, 0, 7, 5);
    expect(readCounter(w, 0, 7)).toBe(5 * 0x7fff_ffff + 5);
    expect([readCounter(w, 0, 6), readCounter(w, 0, 8)]).toEqual([0, 0]);
  });
  it('are all reset', () => {
    for (let k = 0; k < CNT_COUNT; k++) count(w, 0, k, k + 1);
    resetCounters(w, 0);
    expect(w.every(x => x === 0)).toBe(true);
  });
});

describe('the frame allocator', () => {
  const ram = { id: 0, base: 0, frames: 2048, kind: 'ram', node: 0 } as const;

  it('never hands out a frame twice, nor a reserved one, and aligns runs', () => {
    const frames = new FrameAllocator();
    frames.add(ram, 1);
    const taken = new Set<number>();
    const take = (n: number) => {
      const first = frames.allocate(n, 'data');
      expect(first % n).toBe(0);
      for (let f = first; f < first + n; f++) {
        expect(taken.has(f)).toBe(false);
        taken.add(f);
      }
    };
    for (const n of [1, 512, 1, 1, 512, 1, 512]) take(n);
    expect(taken.has(0)).toBe(false);
    expect(frames.used).toBe(taken.size);
    expect(() => frames.allocate(512, 'data')).toThrow(/memory: expected room for 2097152 more bytes of data/);
    while (taken.size < 2047) take(1); // the gaps of alignment are used
    expect(() => frames.allocate(1, 'table')).toThrow(ConfigError);
    expect(frames.used).toBe(2047);
  });

  it('prefers unbacked RAM for data, never gives it to tables, never gives a device', () => {
    const frames = new FrameAllocator();
    frames.add({ ...ram, frames: 4 });
    frames.add({ ...ram, base: 1000, frames: 2, kind: 'unbacked' });
    frames.add({ ...ram, base: 2000, frames: 100, kind: 'mmio' });
    const of = (use: 'table' | 'data', n: number) => Array.from({ length: n }, () => frames.allocate(1, use));
    expect([of('data', 2), of('table', 2), of('data', 2)]).toEqual([[1000, 1001], [0, 1], [2, 3]]);
    expect(() => frames.allocate(1, 'data')).toThrow(ConfigError);
  });

  it('prefers the node asked for, and takes another when it is full', () => {
    const frames = new FrameAllocator();
    frames.add({ ...ram, frames: 2 });
    frames.add({ ...ram, base: 100, frames: 2, node: 1 });
    expect(Array.from({ length: 4 }, () => frames.allocate(1, 'table', 1))).toEqual([100, 101, 0, 1]);
  });

  it('takes frames back, but not those that it did not give', () => {
    const frames = new FrameAllocator();
    frames.add(ram);
    const f = frames.allocate(1, 'data');
    frames.release(f);
    expect(frames.used).toBe(0);
    expect(frames.allocate(1, 'data')).toBe(f);
    expect(() => frames.release(1000)).toThrow(InvariantError);
    expect(() => frames.release(5000)).toThrow(InvariantError);
  });
});

describe('the buffer', () => {
  it.each(['auto', 'shared', 'plain'] as const)('%s', kind => {
    const s = new Views(100_000, kind);
    expect(s.shared).toBe(kind !== 'plain');
    expect(s.w.buffer instanceof SharedArrayBuffer).toBe(kind !== 'plain');
    expect(s.memory.buffer).toBe(s.w.buffer);
    expect(s.byteLength).toBe(131072);
    s.u8[131071] = 9;
    expect(s.grow(1)).toBe(131072);
    expect([s.byteLength, s.u8[131071], s.u8[131072], s.w.length, s.q.length]).toEqual([196608, 9, 0, 49152, 24576]);
    expect(s.memory.buffer.byteLength).toBe(196608);
  });

  it('is 4 GiB at most, and a refusal to grow changes nothing', () => {
    const s = new Views(65536, 'plain');
    expect(() => s.grow(2 ** 32)).toThrow(/at most 4 GiB/);
    expect(s.byteLength).toBe(65536);
    expect(() => new Views(2 ** 32 + 1)).toThrow(ConfigError);
  });
});
