import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import { HDR_BYTES_USED, HDR_MAGIC, HDR_VERSION, LAYOUT_VERSION, MAGIC_VALUE } from '../../src/layout/header.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';

const bytes = (m: Machine): Buffer => Buffer.from(m.views.u8);

/** A few thousand operations of every kind that a caller has, the same for the same seed. */
function exercise(m: Machine, steps: number): number[] {
  let x = 12345;
  const r = (below: number): number => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    return (x >>> 8) % below;
  };
  const faults: number[] = [];
  const base = 0x4000_0000n;
  for (const cpu of m.vcpus) m.map(base, { frames: 40, write: true, user: true, cpu });
  for (let n = 0; n < steps; n++) {
    const cpu = m.vcpus[r(m.vcpus.length)]!, va = base + BigInt(r(44 * 4096)), kind = [0, ACCESS_WRITE, ACCESS_FETCH, ACCESS_USER][r(4)]!;
    switch (r(10)) {
      case 0: cpu.invlpg(va); break;
      case 1: faults.push(cpu.write(va, Uint8Array.from({ length: 1 + r(20) }, () => r(256)), kind)); break;
      case 2: faults.push(cpu.read(va, new Uint8Array(1 + r(5000)), kind)); break;
      case 3: cpu.setAc(r(2) === 1); break;
      case 4: if (r(20) === 0) faults.push(cpu.writeCr3(cpu.registers.cr3)); break;
      case 5: if (r(40) === 0) m.write(BigInt(r(0x100000 - 64)) & ~0xffffn | 0xf0000n, Uint8Array.of(r(256), r(256))); break;
      default: faults.push(cpu.access(0, Number(va), kind));
    }
  }
  return faults;
}

describe.each<[string, MachineOptions]>([
  ['timed', {}], ['functional', { mode: 'functional' }], ['timed, 3 vCPUs, data', { vcpus: 3, dataAccesses: true }], ['functional, 5-level', { mode: 'functional', paging: '5-level' }],
])('%s', (_, options) => {
  const make = (buffer: 'shared' | 'plain') => Machine.create({ memory: '4M', buffer, ...options });

  it('leaves the same bytes in a plain buffer as in shared memory', () => {
    const a = make('shared'), b = make('plain');
    expect([a.views.shared, b.views.shared]).toEqual([true, false]);
    const fresh = bytes(a);
    expect(exercise(a, 3000)).toEqual(exercise(b, 3000));
    expect(bytes(a).equals(fresh)).toBe(false);
    expect(bytes(a).equals(bytes(b))).toBe(true);
    expect(a.vcpus.map(cpu => cpu.counters())).toEqual(b.vcpus.map(cpu => cpu.counters()));
  });
});

it('is a shared WebAssembly.Memory with a header', () => {
  const { views } = Machine.create({ memory: '1M' });
  expect(views.memory).toBeInstanceOf(WebAssembly.Memory);
  expect(views.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect([views.w[HDR_MAGIC >>> 2], views.w[HDR_VERSION >>> 2]]).toEqual([MAGIC_VALUE, LAYOUT_VERSION]);
  expect(views.w[HDR_BYTES_USED >>> 2]).toBe(views.byteLength / 65536);
});

describe('a machine far larger than its buffer', () => {
  it('of 1 TiB, nearly all of it unbacked, maps and translates data anywhere in it', () => {
    const m = Machine.create({ extents: [{ base: 0, bytes: '4M' }, { base: '4M', bytes: 2 ** 40 - 2 ** 22, kind: 'unbacked' }], mode: 'functional', physicalAddressBits: 46 });
    expect(m.views.byteLength).toBeLessThan(8 << 20);
    const space = m.addressSpace(), [cpu] = m.vcpus;
    for (const frame of [1024, 0x1_0000, 0xfff_ffff, 2 ** 28 - 1, 2 ** 27 + 5]) {
      space.map(0x7f00, frame << 12, 0, frame, { write: true });
      const t = cpu!.translate((0x7f00n << 32n) | (BigInt(frame << 12) & 0xffff_ffffn) | 0x123n, ACCESS_WRITE);
      expect(t).toMatchObject({ ok: true, paddr: BigInt(frame) * 4096n + 0x123n });
    }
    const pa = m.map(0x5000_0000n, { frames: 3, write: true, size: '2m' });
    expect(pa).toBeGreaterThanOrEqual(BigInt(4 << 20)); // data prefers RAM without bytes
    expect(cpu!.write(0x5000_0000n, Uint8Array.of(1, 2, 3), ACCESS_WRITE)).toBe(0);
    const out = Uint8Array.of(9, 9, 9);
    expect(cpu!.read(0x5000_0000n, out, ACCESS_READ)).toBe(0);
    expect([...out]).toEqual([0, 0, 0]); // kept nowhere
  });

  it('with all of 52 address bits', () => {
    const m = Machine.create({ extents: [{ base: 0, bytes: '1M' }, { base: '1M', bytes: 2 ** 52 - 2 ** 20, kind: 'unbacked' }], mode: 'functional', physicalAddressBits: 52 });
    m.addressSpace().map(0, 0, 2, 2 ** 40 - 262144, {});
    expect(m.vcpus[0]!.translate(0x3fff_ffffn, 0)).toMatchObject({ ok: true, paddr: (1n << 52n) - 1n });
  });
});

describe('hot-plug', () => {
  const make = (): Machine => Machine.create({ extents: [{ base: 0, bytes: '1M' }], distances: [[10, 20], [20, 10]], openBus: 0x77 });

  it('of RAM refreshes the views, keeps the old bytes, and is found at once', () => {
    const m = make(), { views } = m;
    const old = views.u8, before = bytes(m);
    m.write(0xff000n, Uint8Array.of(1, 2, 3));
    m.addExtent({ base: '1M', bytes: '128K', node: 1 });
    expect(views.u8).not.toBe(old);
    expect(views.byteLength).toBe(before.length + 131072);
    expect(views.w[HDR_BYTES_USED >>> 2]).toBe(views.byteLength / 65536);
    expect(m.extents).toMatchObject([{ base: 0, frames: 256, node: 0 }, { base: 256, frames: 32, node: 1, kind: 'ram' }]);
    const out = new Uint8Array(6);
    m.read(0xffffen, out);
    expect([...out]).toEqual([0, 0, 0, 0, 0, 0]);
    m.write(0xffffen, Uint8Array.of(5, 6, 7, 8));
    m.read(0xffffen, out);
    expect([...out]).toEqual([5, 6, 7, 8, 0, 0]);
    m.read(0xff000n, out);
    expect([...out.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(m.vcpus[0]!.translate(0x1000n, 0)).toMatchObject({ vector: 14 }); // the vCPUs see the new memory
    m.map(0x1000n, { frames: 280 }); // more than the first extent has
    expect(m.vcpus[0]!.translate(0x1000n + 279n * 4096n, 0).ok).toBe(true);
  });

  it('below what there is, and of other kinds', () => {
    const m = Machine.create({ extents: [{ base: '4M', bytes: '1M' }] });
    m.write(0x400000n, Uint8Array.of(42));
    let asked = 0;
    m.addExtent({ base: 0, bytes: '64K' });
    m.addExtent({ base: '1M', bytes: 4096, kind: 'mmio', handler: { read: () => BigInt(++asked), write: () => undefined } });
    m.addExtent({ base: '2M', bytes: '1M', kind: 'unbacked' });
    expect(m.extents.map(e => e.kind)).toEqual(['ram', 'mmio', 'unbacked', 'ram']);
    const out = new Uint8Array(1);
    m.read(0x400000n, out);
    expect(out[0]).toBe(42);
    m.read(0x100000n, out);
    expect([out[0], asked]).toEqual([1, 1]);
    m.write(0n, Uint8Array.of(3));
    m.read(0n, out);
    expect(out[0]).toBe(3);
  });

  it.each<[string, RegExp]>([
    ['{"base":0,"bytes":4096}', /extent\.base: expected frames outside the extent at 0x0/],
    ['{"base":"1020K","bytes":"64K"}', /extent\.base/],
    ['{"base":"1M","bytes":100}', /extent\.bytes/],
    ['{"base":"1M","bytes":4096,"node":2}', /extent\.node/],
    ['{"base":"1M","bytes":4096,"kind":"mmio"}', /extent\.handler/],
    ['{"base":549755813888,"bytes":4096}', /extent: expected an end within 39/],
    ['{"base":"1M","bytes":"4G"}', /memory: expected at most 4 GiB/],
    ['null', /extent: expected an object/],
  ])('of %s is refused with nothing changed', (json, message) => {
    const m = make(), before = bytes(m), { buffer } = m.views.memory;
    let caught: unknown;
    try {
      m.addExtent(JSON.parse(json) as never);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConfigError);
    expect((caught as Error).message).toMatch(message);
    expect(m.views.memory.buffer.byteLength).toBe(buffer.byteLength);
    expect(bytes(m).equals(before)).toBe(true);
    m.addExtent({ base: '1M', bytes: 4096 }); // and the next one is fine
    expect(m.extents).toHaveLength(2);
  });

  it('of a 65th extent is refused with nothing changed', () => {
    const m = Machine.create({ extents: Array.from({ length: 64 }, (_, k) => ({ base: k * 65536, bytes: 65536 })), mode: 'functional' });
    const before = bytes(m);
    expect(() => m.addExtent({ base: '64M', bytes: 65536 })).toThrow(/extent: expected at most 64 extents/);
    expect(m.views.byteLength).toBe(before.length);
    expect(bytes(m).equals(before)).toBe(true);
  });
});

describe('NUMA', () => {
  const make = (vcpuNodes: readonly number[], distance = 20): Machine => Machine.create({
    extents: [{ base: 0, bytes: '1M', node: 0 }, { base: '1M', bytes: '1M', node: 1 }],
    vcpus: vcpuNodes.length, vcpuNodes, distances: [[10, distance], [distance, 10]], dataAccesses: true,
  });

  it('prices loads from another node, of tables and of data, and counts them', () => {
    const m = make([0, 1]);
    m.vcpus[1]!.writeCr3(m.vcpus[0]!.registers.cr3); // the tables are on node 0
    m.addressSpace().map(0, 0x5000, 0, 0x50); //  data on node 0
    m.addressSpace().map(0, 0x6000, 0, 0x180); // data on node 1
    const remote = 160, memory = 248; // of the model, per distance 10
    const cost = (k: number, va: bigint) => {
      const cpu = m.vcpus[k]!;
      cpu.resetCounters();
      cpu.translate(va, 0);
      const { cycles, remoteLoads, referenceHits, dataHits } = cpu.counters();
      return { loads: cycles.walkLoads, data: cycles.data, remoteLoads, fromMemory: [referenceHits[3], dataHits[3]] };
    };
    const near = cost(0, 0x5000n);
    expect(near).toEqual({ loads: 4 * memory, data: memory, remoteLoads: 0, fromMemory: [4, 1] });
    const cold = make([0, 1]);
    cold.vcpus[1]!.writeCr3(cold.vcpus[0]!.registers.cr3);
    cold.addressSpace().map(0, 0x5000, 0, 0x50);
    cold.vcpus[1]!.translate(0x5000n, 0);
    expect(cold.vcpus[1]!.counters()).toMatchObject({ remoteLoads: 5, cycles: { walkLoads: 4 * (memory + remote), data: memory + remote } });
    expect(cost(0, 0x6000n)).toMatchObject({ data: memory + remote, remoteLoads: 1 });
  });

  it.each([[10, 0], [11, 16], [21, 176], [40, 480], [254, 3904]])('distance %i adds %i cycles', (distance, extra) => {
    const m = make([1], distance);
    m.addressSpace().map(0, 0x5000, 0, 0x50);
    m.vcpus[0]!.translate(0x5000n, 0);
    expect(m.vcpus[0]!.counters().cycles.data).toBe(248 + extra);
  });
});

describe('vCPUs', () => {
  it('have their own registers, tables and cached translations in one memory', () => {
    const m = Machine.create({ memory: '2M', vcpus: 2 });
    const [a, b] = m.vcpus as [Machine['vcpus'][0], Machine['vcpus'][0]];
    m.map(0x1000n, { cpu: a });
    expect([a.translate(0x1000n, 0).ok, b.translate(0x1000n, 0).ok]).toEqual([true, false]);
    expect([a.counters().faults, b.counters().faults]).toEqual([0, 1]);
    expect(b.writeCr3(a.registers.cr3)).toBe(0);
    expect(b.translate(0x1000n, 0)).toMatchObject({ ok: true });
    expect(b.block).not.toBe(a.block);
  });
});

describe('Machine.map()', () => {
  it.each<[string, object, RegExp]>([
    ['an odd address', { va: 0x1001n }, /va: expected a multiple of 0x1000/],
    ['a 2M page at 4K', { va: 0x1000n, size: '2m' }, /va: expected a multiple of 0x200000/],
    ['no pages', { va: 0n, frames: 0 }, /frames/],
    ['half a page', { va: 0n, frames: 1.5 }, /frames/],
    ['an unknown size', { va: 0n, size: '4m' }, /size/],
    ['too many', { va: 0n, frames: 100000 }, /memory: expected room/],
    ['no address', { va: 5 as never }, /va/],
  ])('refuses %s', (_, { va, ...options }: { va?: bigint }, message) => {
    const m = Machine.create({ memory: '1M' });
    expect(() => m.map(va!, options)).toThrow(message);
  });

  it('refuses what the mode has not, what is in the way, and tables without bytes', () => {
    const huge = { extents: [{ base: 0, bytes: '1M' }, { base: '4G', bytes: '4G', kind: 'unbacked' }] } as const;
    expect(() => Machine.create({ ...huge, paging: 'pae' }).map(0n, { size: '1g' })).toThrow(/size/);
    expect(() => Machine.create({ ...huge, paging: 'legacy' }).map(0n)).toThrow(/frame: expected a frame from 0 to 1048575/);
    expect(Machine.create({ ...huge, paging: 'legacy' }).map(0n, { size: '2m' })).toBe(1n << 32n);
    expect(() => Machine.create({ memory: '1M', paging: 'none' }).map(0n)).toThrow(/paging/);
    const m = Machine.create({ memory: '8M' });
    m.map(0n, { size: '2m' });
    expect(() => m.map(0x1000n)).toThrow(/a larger page|without a larger page/);
    const lost = Machine.create({ memory: '1M' });
    const zero = new Uint8Array(4096), now = new Uint8Array(4096);
    lost.vcpus[0]!.writeCr3(0x40_0000n); // no memory there
    expect(() => lost.map(0x1000n)).toThrow(/tables are in backed RAM/);
    lost.read(0n, now);
    expect(now).toEqual(zero);
  });

  it.each(['legacy', 'pae', '4-level', '5-level'] as const)('maps every size and attribute in %s paging', paging => {
    const m = Machine.create({ memory: '16M', paging, mode: 'functional' }), cpu = m.vcpus[0]!;
    const big = paging === 'legacy' ? 0x40_0000n : 0x20_0000n;
    const read = m.map(0x1000n), write = m.map(0x2000n, { write: true, user: true }), large = m.map(big * 4n, { size: '2m', write: true });
    const nx = m.map(0x3000n, { noExecute: true, global: true });
    cpu.writeCr3(cpu.registers.cr3); // PAE: its PDPTEs are registers
    expect(cpu.translate(0x1abcn, ACCESS_READ)).toMatchObject({ ok: true, paddr: read + 0xabcn });
    expect(cpu.translate(0x1000n, ACCESS_WRITE)).toMatchObject({ errorCode: 3 });
    expect(cpu.translate(0x1000n, ACCESS_USER)).toMatchObject({ errorCode: 5 });
    expect(cpu.translate(0x2fffn, ACCESS_WRITE | ACCESS_USER)).toMatchObject({ ok: true, paddr: write + 0xfffn });
    expect(cpu.translate(big * 5n - 1n, ACCESS_WRITE)).toMatchObject({ ok: true, paddr: large + big - 1n });
    expect(cpu.translate(0x3000n, ACCESS_FETCH)).toMatchObject(paging === 'legacy' ? { ok: true, paddr: nx } : { errorCode: 0x11 });
    expect(m.addressSpace().unmap(0, 0x1000, 0)).toBe(true);
    expect(m.addressSpace().unmap(0, 0x1000, 0)).toBe(false);
    cpu.invlpg(0x1000n);
    expect(cpu.translate(0x1000n, ACCESS_READ)).toMatchObject({ errorCode: 0 });
  });
});
