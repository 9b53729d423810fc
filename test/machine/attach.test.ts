/** Machines attached to the memory of another one, as threads have them: what one adds to it is there for the others. */
import { expect, it } from 'vitest';
import { ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { HDR_BYTES_USED } from '../../src/layout/header.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';

const GIB = 2n ** 30n;
const pair = (options: MachineOptions): readonly [Machine, Machine] => {
  const all: MachineOptions = { memory: '2M', vcpus: 2, cpu: presets.skylake, ...options }, machine = Machine.create(all);
  return [machine, Machine.attach(machine.views.memory, all)];
};
const read = (machine: Machine, pa: bigint): number => {
  const out = new Uint8Array(1);
  machine.read(pa, out);
  return out[0]!;
};

it('columns of one are not those of another', () => {
  const [a, b] = pair({ engine: 'wasm' }), ofA = a.columns(64), ofB = b.columns(64), again = a.columns(64);
  expect(new Set([ofA, ofB, again].map(({ offsets }) => offsets!.va)).size).toBe(3);
  ofA.va.fill(1);
  ofB.va.fill(2);
  again.va.fill(3);
  expect(ofA.va.every(word => word === 1)).toBe(true);
});

it.each(['ts', 'wasm'] as const)('memory plugged in by one is found by the other, and none twice: %s', engine => {
  const [a, b] = pair({ engine }), [, cpu] = b.vcpus;
  a.addExtent({ base: '1G', bytes: '64K' });
  b.addExtent({ base: '2G', bytes: '64K' });
  a.addExtent({ base: '3G', bytes: '128K' });
  expect(a.views.w[HDR_BYTES_USED >>> 2]).toBe(a.views.byteLength / 65536);
  a.write(GIB, Uint8Array.of(1));
  b.write(2n * GIB, Uint8Array.of(2));
  a.write(3n * GIB + 0x1ffffn, Uint8Array.of(3));
  for (const machine of [a, b]) expect([read(machine, GIB), read(machine, 2n * GIB), read(machine, 3n * GIB + 0x1ffffn)]).toEqual([1, 2, 3]);

  const [late, early] = [a, b].map(machine => machine.extents.map(({ id }) => id));
  expect(early).toEqual(late);
  expect(new Set(early).size).toBe(4);
  expect(cpu!.writeCr3(3n * GIB)).toBe(FAULT_NONE);
});

it.each(['ts', 'wasm'] as const)('a walk finds tables in memory that another plugged in: %s', engine => {
  const [a, b] = pair({ engine }), [cpu] = b.vcpus;
  a.addExtent({ base: '1G', bytes: '64K' });
  const entries = [0x4000_1003n, 0x4000_2003n, 0x4000_3003n, 0x5003n]; // from the root at 1 GiB down to a page
  entries.forEach((entry, k) => a.write(GIB + BigInt(k * 0x1000), new Uint8Array(BigUint64Array.of(entry).buffer)));
  expect(cpu!.writeCr3(GIB)).toBe(FAULT_NONE);
  expect(cpu!.translate(0x123n, ACCESS_WRITE)).toMatchObject({ ok: true, paddr: 0x5123n });
});

it.each(['ts', 'wasm'] as const)('whole pages, in memory that another plugged in: %s', engine => {
  const uses: readonly ((machine: Machine) => unknown)[] = [
    ({ pages }) => pages.copy(GIB, 0x8000n, 2), ({ pages }) => pages.copy(0x8000n, GIB, 2), ({ pages }) => pages.clear(GIB, 2),
    ({ pages }) => pages.hash(GIB, 2), ({ pages }) => pages.difference(0x8000n, GIB, 2), ({ pages }) => pages.difference(GIB, 0x8000n, 2),
  ];
  const bytes = (machine: Machine): Buffer => {
    const out = new Uint8Array(16384);
    machine.read(GIB, out.subarray(0, 8192));
    machine.read(0x8000n, out.subarray(8192));
    return Buffer.from(out);
  };
  for (const use of uses) {
    const [a, b] = pair({ engine });
    a.addExtent({ base: '1G', bytes: '64K' });
    a.write(0x8000n, new Uint8Array(8192).fill(5));
    a.write(GIB, new Uint8Array(8192).fill(6, 100));
    const before = a.snapshot(), answer = use(b), left = bytes(a);
    expect(left).toEqual(bytes(b));
    a.restore(before);
    expect(use(a)).toEqual(answer);
    expect(bytes(a)).toEqual(left);
  }
});

it('a snapshot by one has what another plugged in, and restoring it there takes away what came later', () => {
  const [a, b] = pair({ engine: 'ts' });
  a.addExtent({ base: '1G', bytes: '64K' });
  a.write(GIB, Uint8Array.of(7));
  const image = b.snapshot();
  a.addExtent({ base: '2G', bytes: '64K' });
  a.write(2n * GIB, Uint8Array.of(8));
  b.restore(image);
  expect(a.extents.length).toBe(2);
  a.addExtent({ base: '3G', bytes: '64K' });
  expect([read(a, GIB), read(a, 3n * GIB)]).toEqual([7, 0]);
});

it('devices that two plugged in are told apart', () => {
  const [a, b] = pair({ engine: 'ts' }), device = (answer: bigint) => ({ read: () => answer, write: () => undefined });
  a.addExtent({ base: '1G', bytes: 4096, kind: 'mmio', handler: device(1n) });
  b.addExtent({ base: '2G', bytes: 4096, kind: 'mmio', handler: device(2n) });
  expect([read(a, GIB), read(b, 2n * GIB)]).toEqual([1, 2]);
  expect([read(a, 2n * GIB), read(b, GIB)]).toEqual([0xff, 0xff]); // the other's answers from its thread only: the open bus
});

it('a probe by one vCPU does not disturb that of another', () => {
  const [a, b] = pair({ engine: 'ts' }), [cpu] = a.vcpus, [, other] = b.vcpus;
  const pa = a.map(0x5000n), expected = cpu!.probe(0x5000n, 0);
  expect(expected).toMatchObject({ ok: true, paddr: pa });
  const meanwhile: unknown[] = [], root = cpu!.registers.cr3;
  const by = { get root(): bigint { meanwhile.push(other!.probe(0x5000n, 0), other!.explain(0x5000n, 0).outcome); return root; } }; // as by another thread
  expect(cpu!.probe(0x5000n, 0, by)).toEqual(expected);
  expect(meanwhile.length).toBeGreaterThan(2);
  for (const outcome of meanwhile) expect(outcome).toMatchObject({ ok: false, vector: 14 });
});

it.each<[string, MachineOptions]>([
  ['another mode', { mode: 'functional' }], ['less memory', { memory: '1M' }], ['a second stage', { nested: true }], ['data accesses without a price', { dataAccesses: false }],
  ['other features', { features: { nx: false } }], ['narrower addresses', { physicalAddressBits: 40 }], ['host pages of 4K', { hostPage: '4k' }],
  ['a TLB of fewer sets', { cpu: { ...presets.skylake, tlb: presets.skylake.tlb.map(level => ({ ...level, structures: level.structures.map(t => ({ ...t, sets: 1 })) })) } }],
])('a machine made with other options is refused: %s', (_, other) => {
  const options: MachineOptions = { memory: '2M', vcpus: 2, cpu: presets.skylake, dataAccesses: true }, { memory } = Machine.create(options).views;
  expect(Machine.attach(memory, { ...options, engine: 'ts' }).vcpus.length).toBe(2);
  expect(() => Machine.attach(memory, { ...options, ...other })).toThrow(/^memory: expected the memory of a machine made with the same options/);
});
