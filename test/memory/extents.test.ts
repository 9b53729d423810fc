import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { ExtentOptions, MachineOptions } from '../../src/machine/options.ts';
import { nodeOf, wordOf } from '../../src/memory/extents.ts';

const make = (extents: readonly ExtentOptions[], options: MachineOptions = {}): Machine =>
  Machine.create({ mode: 'functional', paging: 'none', physicalAddressBits: 52, extents, ...options });

const filled = (n: number, byte = 0xee): Uint8Array => new Uint8Array(n).fill(byte);
function bytesAt(machine: Machine, pa: bigint, n: number): number[] {
  const out = filled(n);
  machine.read(pa, out);
  return [...out];
}

/** A device that remembers what it was asked. */
function device(): { log: string[]; handler: { read(offset: number, bytes: number): bigint; write(offset: number, bytes: number, value: bigint): void } } {
  const log: string[] = [];
  return {
    log,
    handler: {
      read(offset, bytes) {
        log.push(`read ${offset} ${bytes}`);
        return 0x8877_6655_4433_2211n;
      },
      write(offset, bytes, value) { log.push(`write ${offset} ${bytes} ${value.toString(16)}`); },
    },
  };
}

describe('the extent table', () => {
  it('is sorted by base, whatever the order given', () => {
    const machine = make([{ base: '2M', bytes: 8192 }, { base: 0, bytes: 4096 }, { base: '1M', bytes: '64K', kind: 'unbacked' }]);
    expect(machine.extents.map(e => [e.base, e.frames, e.kind])).toEqual([[0, 1, 'ram'], [256, 16, 'unbacked'], [512, 2, 'ram']]);
  });

  it('finds the first and the last byte of each, and nothing between', () => {
    const machine = make([{ base: 4096, bytes: 8192 }, { base: 2 ** 40, bytes: 4096 }, { base: 2 ** 52 - 4096, bytes: 4096 }]);
    const at = (pa: number) => wordOf(machine.views, Math.floor(pa / 2 ** 32), pa | 0);
    const words = [4096, 4096 + 8188, 2 ** 40, 2 ** 40 + 4092, 2 ** 52 - 4096, 2 ** 52 - 4].map(at);
    expect(words.every(w => w > 0)).toBe(true);
    expect(new Set(words).size).toBe(6);
    expect(words[1]! - words[0]!).toBe(2047);
    for (const pa of [0, 4092, 12288, 2 ** 40 - 4, 2 ** 40 + 4096, 2 ** 52 - 8192, 2 ** 32 + 4096]) expect(at(pa), String(pa)).toBe(-1);
  });

  it('keeps bytes apart at addresses that differ in high bits only', () => {
    const bases = [0, 2 ** 32, 2 ** 33, 2 ** 44, 2 ** 51, 2 ** 52 - 4096];
    const machine = make(bases.map(base => ({ base, bytes: 4096 })));
    bases.forEach((base, k) => machine.write(BigInt(base) + 0x123n, Uint8Array.of(k + 1)));
    expect(bases.map(base => bytesAt(machine, BigInt(base) + 0x123n, 1)[0])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each<[string, ExtentOptions]>([
    ['the same', { base: '1M', bytes: '1M' }],
    ['one frame at the start', { base: '1M', bytes: 4096, kind: 'unbacked' }],
    ['one frame at the end', { base: '2044K', bytes: 4096 }],
    ['all around', { base: 0, bytes: '4M' }],
    ['across the end', { base: '2044K', bytes: '1M' }],
  ])('refuses an overlap: %s', (_, second) => {
    expect(() => make([{ base: '1M', bytes: '1M' }, second])).toThrow(/^extents\[1\]\.base: expected frames outside the extent at 0x100000/);
  });

  it('lets extents touch, and holds 64 of them', () => {
    const row = (n: number) => Array.from({ length: n }, (_, k) => ({ base: k * 4096, bytes: 4096 }));
    const machine = make(row(64));
    machine.write(0n, filled(64 * 4096, 7));
    expect(bytesAt(machine, 0n, 64 * 4096).every(b => b === 7)).toBe(true);
    expect(() => make(row(65))).toThrow(/extents\[64\]: expected at most 64 extents/);
  });

  it('knows the node of every address', () => {
    const machine = make([{ base: 0, bytes: 4096 }, { base: 4096, bytes: 4096, node: 1 }, { base: '1T', bytes: '1T', kind: 'unbacked', node: 1 }], { distances: [[10, 20], [20, 10]] });
    const node = (pa: number) => nodeOf(machine.views, Math.floor(pa / 2 ** 32), pa | 0);
    expect([0, 4095, 4096, 8191, 8192, 2 ** 40, 2 ** 41 - 1, 2 ** 41].map(node)).toEqual([0, 0, 1, 1, 0, 1, 1, 0]);
  });
});

describe('copies of bytes', () => {
  it.each([[0, 1], [1, 2], [3, 4], [4093, 7], [4096, 8192], [1, 12287]])('at offset %i, %i bytes: the same bytes, and no other', (offset, n) => {
    const machine = make([{ base: 0, bytes: 8192 }, { base: 8192, bytes: 8192 }]);
    const data = Uint8Array.from({ length: n }, (_, k) => (k * 7 + 1) & 0xff);
    machine.write(BigInt(offset), data);
    expect(bytesAt(machine, BigInt(offset), n)).toEqual([...data]);
    const all = bytesAt(machine, 0n, 16384);
    expect(all.filter((b, k) => b !== 0 && (k < offset || k >= offset + n))).toEqual([]);
  });

  it('go across extents of every kind in one call', () => {
    const { log, handler } = device();
    const machine = make([
      { base: 0, bytes: 4096 }, { base: 4096, bytes: 4096, kind: 'unbacked' }, { base: 8192, bytes: 4096, kind: 'mmio', handler }, { base: 16384, bytes: 4096 },
    ], { openBus: 0xab });
    machine.write(0n, filled(20480, 0x55));
    const back = bytesAt(machine, 0n, 20480);
    expect(back.slice(0, 4096).every(b => b === 0x55)).toBe(true);
    expect(back.slice(4096, 8192).every(b => b === 0)).toBe(true);
    expect(back.slice(8192, 12288).every((b, k) => b === 0x11 * ((k & 7) + 1))).toBe(true);
    expect(back.slice(12288, 16384).every(b => b === 0xab)).toBe(true);
    expect(back.slice(16384).every(b => b === 0x55)).toBe(true);
    expect(log.filter(line => line.startsWith('write'))).toHaveLength(512);
  });

  it('do nothing when they are empty', () => {
    const { log, handler } = device();
    const machine = make([{ base: 0, bytes: 4096, kind: 'mmio', handler }, { base: 4096, bytes: 4096 }]);
    machine.read(0n, new Uint8Array(0));
    machine.write(0n, new Uint8Array(0));
    expect(log).toEqual([]);
  });

  it('never wrap: past the end is the open bus', () => {
    const machine = make([{ base: 0, bytes: 4096 }, { base: 2 ** 52 - 4096, bytes: 4096 }], { openBus: 0x5a });
    machine.write(BigInt(2 ** 52 - 2), filled(6, 1));
    expect(bytesAt(machine, 0n, 4)).toEqual([0, 0, 0, 0]);
    expect(bytesAt(machine, BigInt(2 ** 52 - 2), 6)).toEqual([1, 1, 0x5a, 0x5a, 0x5a, 0x5a]);
    expect(bytesAt(machine, 4094n, 4)).toEqual([0, 0, 0x5a, 0x5a]);
    for (const bad of [-1n, 1n << 52n, 7 as never]) {
      expect(() => machine.read(bad, filled(1))).toThrow(ConfigError);
      expect(() => machine.write(bad, filled(1))).toThrow(ConfigError);
    }
  });
});

describe('a device in a hole', () => {
  it.each([
    // offset, bytes, how the device sees it: naturally aligned pieces of 8, 4, 2 and 1
    [0, 1, ['0 1']],
    [1, 1, ['1 1']],
    [0, 2, ['0 2']],
    [1, 2, ['1 1', '2 1']],
    [2, 4, ['2 2', '4 2']],
    [4, 4, ['4 4']],
    [4, 8, ['4 4', '8 4']],
    [8, 8, ['8 8']],
    [3, 13, ['3 1', '4 4', '8 8']],
    [0, 15, ['0 8', '8 4', '12 2', '14 1']],
    [4090, 6, ['4090 2', '4092 4']],
  ])('at offset %i, %i bytes', (offset, bytes, pieces) => {
    const { log, handler } = device();
    const machine = make([{ base: 0, bytes: 4096 }, { base: '1M', bytes: '1M', kind: 'mmio', handler }]);
    const pa = BigInt(0x100000 + offset);
    const expected = (pieces as string[]).flatMap(p => {
      const n = Number(p.split(' ')[1]);
      return [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88].slice(0, n);
    });
    expect(bytesAt(machine, pa, bytes)).toEqual(expected);
    expect(log).toEqual((pieces as string[]).map(p => `read ${p}`));
    log.length = 0;
    machine.write(pa, Uint8Array.from({ length: bytes }, (_, k) => k + 1));
    let at = 1;
    expect(log).toEqual((pieces as string[]).map(p => {
      const n = Number(p.split(' ')[1]);
      let value = 0n;
      for (let k = n - 1; k >= 0; k--) value = (value << 8n) | BigInt(at + k);
      at += n;
      return `write ${p} ${value.toString(16)}`;
    }));
  });

  it('has its own handler, told by offset from its own hole', () => {
    const a = device(), b = device();
    const machine = make([
      { base: 8192, bytes: 4096, kind: 'mmio', handler: b.handler }, { base: 2 ** 50, bytes: 8192, kind: 'mmio', handler: a.handler }, { base: 0, bytes: 4096 },
    ]);
    bytesAt(machine, BigInt(2 ** 50) + 0x1004n, 4);
    bytesAt(machine, 8192n, 2);
    machine.write(BigInt(2 ** 50) + 0x1ffcn, filled(4, 1));
    expect([a.log, b.log]).toEqual([['read 4100 4', 'write 8188 4 1010101'], ['read 0 2']]);
  });

  it('gives no more bits than it was asked for', () => {
    const handler = { read: () => -1n, write: () => undefined };
    const machine = make([{ base: 0, bytes: 4096, kind: 'mmio', handler }, { base: 4096, bytes: 4096 }]);
    expect(bytesAt(machine, 0xffen, 4)).toEqual([0xff, 0xff, 0, 0]);
  });

  it('is asked by linear accesses too', () => {
    const { log, handler } = device();
    const machine = Machine.create({ extents: [{ base: 0, bytes: '1M' }, { base: '1M', bytes: 4096, kind: 'mmio', handler }], mode: 'functional' });
    machine.addressSpace().map(0, 0x5000, 0, 0x100, { write: true });
    const out = filled(4);
    expect(machine.vcpus[0]!.read(0x5010n, out, 0)).toBe(0);
    expect([...out]).toEqual([0x11, 0x22, 0x33, 0x44]);
    expect(machine.vcpus[0]!.write(0x5010n, out, 0)).toBe(0);
    expect(log).toEqual(['read 16 4', 'write 16 4 44332211']);
  });
});
