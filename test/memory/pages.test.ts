import { beforeEach, describe, expect, it } from 'vitest';
import { attach } from '../../src/accel/engine.ts';
import { ConfigError } from '../../src/errors.ts';
import { HASH_HI, HASH_LO, HASH_SEED } from '../../src/layout/page-hash.ts';
import { Machine } from '../../src/machine/machine.ts';
import * as pages from '../../src/memory/pages.ts';

const FAR = 0x1_0000_0000, UNBACKED = 0x2_0000_0000;
/** Pages of two extents. */
const HASHED = Array.from({ length: 25 }, (_, k) => 0x5000 + k * 0x1000);

describe.each(['ts', 'wasm', 'plain'] as const)('machine.pages, %s', kind => {
  let machine: Machine;
  const fill = (pa: number, n: number, seed: number) => {
    machine.write(BigInt(pa), Uint8Array.from({ length: n }, (_, k) => (Math.imul(k + seed, 0x9e3779b1) >>> 13) & 0xff));
  };
  const bytes = (pa: number, n: number) => {
    const out = new Uint8Array(n);
    machine.read(BigInt(pa), out);
    return Buffer.from(out);
  };
  beforeEach(() => {
    machine = Machine.create({
      engine: kind === 'wasm' ? 'wasm' : 'ts', buffer: kind === 'plain' ? 'plain' : 'shared', paging: 'none',
      extents: [{ base: 0, bytes: '64K' }, { base: 0x10000, bytes: '64K' }, { base: FAR, bytes: '32K' }, { base: UNBACKED, bytes: '64K', kind: 'unbacked' }],
    });
    for (let p = 0; p < 0x20000; p += 4096) fill(p, 4096, p * 7);
    fill(FAR, 0x8000, 99);
  });

  it('clears these pages and no others, across extents', () => {
    const before = bytes(0, 0x20000);
    machine.pages.clear(0xe000n, 5);
    expect(bytes(0xe000, 0x5000).every(b => b === 0)).toBe(true);
    expect(bytes(0, 0xe000).equals(before.subarray(0, 0xe000))).toBe(true);
    expect(bytes(0x13000, 0xd000).equals(before.subarray(0x13000))).toBe(true);
  });

  it.each([[0x4000, 0x8000, 4], [0x4000, 0x5000, 8], [0x5000, 0x4000, 8], [0xc000, 0xe000, 8], [0xe000, 0xc000, 8], [FAR, 0xc000, 8], [0xc000, FAR, 8], [0x3000, 0x3000, 2]])(
    'copies to 0x%x from 0x%x as if all were read first: %i pages', (to, from, n) => {
      const before = bytes(from, n * 4096), below = bytes(0, Math.min(to, 0x20000));
      machine.pages.copy(BigInt(to), BigInt(from), n);
      expect(bytes(to, n * 4096).equals(before)).toBe(true);
      expect(bytes(0, below.length).equals(below)).toBe(true);
    });

  it('finds the first byte that differs', () => {
    machine.pages.copy(0x10000n, 0x4000n, 4);
    expect(machine.pages.equal(0x10000n, 0x4000n, 4)).toBe(true);
    expect(machine.pages.difference(0x10000n, 0x4000n, 5)).toBe(0x4000);
    for (const at of [0x3fff, 0x3001, 0x3000, 0x2ffe, 0x803, 66, 0]) {
      machine.write(BigInt(0x10000 + at), Uint8Array.of(bytes(0x10000 + at, 1)[0]! ^ 0x80));
      expect(machine.pages.difference(0x10000n, 0x4000n, 4), `byte ${at}`).toBe(at);
      expect(machine.pages.equal(0x10000n, 0x4000n, 4)).toBe(false);
    }
  });

  it('hashes as its definition says, the long way', () => {
    const step = (x: bigint, m: number) => {
      const y = (x * BigInt(m >>> 0)) & 0xffffffffn;
      return y ^ (y >> 15n);
    };
    let lo = 0n, hi = 0n;
    for (const page of HASHED) {
      const words = new Uint32Array(bytes(page, 4096).buffer.slice(0, 4096));
      for (let lane = 0; lane < 16; lane++) {
        let a = BigInt(HASH_SEED + lane), b = a;
        for (let k = lane; k < 1024; k += 16) [a, b] = [step(a ^ BigInt(words[k]!), HASH_LO), step(b ^ BigInt(words[k]!), HASH_HI)];
        [lo, hi] = [step(lo ^ a, HASH_LO), step(hi ^ b, HASH_HI)];
      }
    }
    expect(machine.pages.hash(BigInt(HASHED[0]!), HASHED.length)).toBe((hi << 32n) | lo);
  });

  it('hashes differ for any two bits, for exchanged words and for exchanged pages', () => {
    machine.pages.clear(0x3000n, 2);
    const seen = new Set<bigint>([machine.pages.hash(0x3000n)]);
    for (let k = 0; k < 4096; k += 5) {
      machine.write(0x3000n + BigInt(k), Uint8Array.of(0x80));
      seen.add(machine.pages.hash(0x3000n)); // with one bit more than before
      machine.write(0x3000n, Uint8Array.of(k & 1));
      seen.add(machine.pages.hash(0x3000n, 2));
      machine.write(0x3000n, Uint8Array.of(0));
    }
    expect(seen.size).toBe(1 + 2 * 820);
    const two = machine.pages.hash(0x3000n, 2);
    machine.pages.copy(0x5000n, 0x3000n);
    machine.pages.copy(0x3000n, 0x4000n);
    machine.pages.copy(0x4000n, 0x5000n);
    expect(machine.pages.hash(0x3000n, 2)).not.toBe(two);
    expect(machine.pages.hash(0x4000n)).toBe(machine.pages.hash(0x5000n));
  });

  it.each<[string, (p: Machine['pages']) => unknown, RegExp]>([
    ['an address inside a page', p => p.clear(0x1800n), /^pa: expected a multiple of 4096, got 0x1800/],
    ['an address beyond the end', p => p.hash(0x1f000n, 2), /^pa: expected 2 pages of RAM that has bytes, got 0x1f000/],
    ['RAM without bytes', p => p.clear(BigInt(UNBACKED)), /^pa: expected 1 pages/],
    ['an end in the hole', p => p.copy(0n, BigInt(FAR), 9), /^from: expected 9 pages/],
    ['no place for a copy', p => p.copy(BigInt(FAR + 0x7000), 0n, 2), /^to: expected 2 pages/],
    ['no pages', p => p.equal(0n, 0n, 0), /^pages: expected an integer from 1 to 2\^20, got 0/],
    ['half a page', p => p.equal(0n, 0n, 0.5), /^pages: /],
    ['a second range that is not there', p => p.difference(0n, 1n << 50n), /^b: /],
    ['an address of 53 bits', p => p.clear(1n << 52n), /^pa: expected a bigint from 0 to 2\^52 - 1/],
  ])('throws for %s, and changes nothing', (_, act, message) => {
    const before = bytes(0, 0x20000);
    expect(() => act(machine.pages)).toThrow(message);
    expect(() => act(machine.pages)).toThrow(ConfigError);
    expect(bytes(0, 0x20000).equals(before)).toBe(true);
  });
});

it('runs end before the first page without bytes, in both engines', () => {
  const { views } = Machine.create({ paging: 'none', extents: [{ base: 0, bytes: '16K' }, { base: 0x4000, bytes: '8K' }, { base: 0x7000, bytes: '4K' }] });
  const wasm = attach(views)!;
  for (const pa of [0, 0x3000, 0x5000, 0x6000, 0x7000, 0x8000]) {
    const left = pa < 0x6000 ? (0x6000 - pa) / 4096 : pa === 0x7000 ? 1 : 0;
    expect([pages.backedPages(views, 0, pa, 99), wasm.backedPages(0, pa, 99)], `0x${pa.toString(16)}`).toEqual([left, left]);
    expect([pages.clearPages(views, 0, pa, 99), wasm.clearPages(0, pa, 99)]).toEqual([left, left]);
    expect([pages.copyPages(views, 0, pa, 0, 0, 99), wasm.copyPages(0, pa, 0, 0, 99)]).toEqual([left, left]);
    expect([pages.comparePages(views, 0, pa, 0, 0, 99), wasm.comparePages(0, pa, 0, 0, 99)]).toEqual([left * 4096, left * 4096]);
    expect(pages.hashPages(views, 0, pa, 99)).toBe(pages.hashPages(views, 0, pa, left));
    expect(wasm.hashPages(0, pa, 99)).toBe(wasm.hashPages(0, pa, left));
  }
});
