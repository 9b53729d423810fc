import { describe, expect, it } from 'vitest';
import * as pagewalk from '../../src/index.ts';
import { ACCESS_USER, ACCESS_WRITE, ConfigError, FAULT_UD, Machine, fastTable as ft } from '../../src/index.ts';

/** What an embedder writes: the probe of src/layout/fast-table.ts, by its documentation alone. */
function inlineProbe(machine: Machine, va: bigint, table: number): bigint | undefined {
  const { buffer } = machine.views.memory, words = new BigUint64Array(buffer);
  const at = machine.vcpus[0].fastTable + table * ft.FAST_TABLE_BYTES + Number((va >> 12n) & BigInt(ft.FAST_ENTRIES - 1)) * ft.FAST_STRIDE;
  return words[(at + ft.FAST_TAG) / 8] === (va & ~0xfffn) ? words[(at + ft.FAST_PA) / 8] + (va & 0xfffn) : undefined;
}

describe('the fast table, from outside', () => {
  it('answers what access() filled, for the kinds of access it was for, until it is invalidated', () => {
    const machine = Machine.create({ mode: 'functional', memory: '16M' }), cpu = machine.vcpus[0], va = 0x7f12_3456_7008n;
    const pa = machine.map(va & ~0xfffn, { user: true, write: true }) + 8n;
    expect(inlineProbe(machine, va, ft.FAST_WRITE + ft.FAST_USER)).toBeUndefined();
    expect(cpu.translate(va, ACCESS_USER | ACCESS_WRITE)).toMatchObject({ ok: true, paddr: pa });
    expect(inlineProbe(machine, va, ft.FAST_WRITE + ft.FAST_USER)).toBe(pa);
    expect(inlineProbe(machine, va, ft.FAST_READ + ft.FAST_USER)).toBe(pa);
    expect(inlineProbe(machine, va, ft.FAST_FETCH + ft.FAST_USER)).toBeUndefined();
    expect(inlineProbe(machine, va, ft.FAST_READ)).toBeUndefined();
    cpu.invlpg(va);
    expect(inlineProbe(machine, va, ft.FAST_READ + ft.FAST_USER)).toBeUndefined();
  });

  it('does not exist in timed mode', () => expect(Machine.create({ memory: '1M' }).vcpus[0].fastTable).toBe(0));
});

describe('mistakes of a caller', () => {
  const machine = Machine.create({ memory: '1M', mode: 'functional' }), cpu = machine.vcpus[0];
  it.each<[string, string, () => unknown]>([
    ['a key of 16', 'key', () => machine.map(0n, { key: 16 })],
    ['a key of words', 'key', () => machine.map(0n, { key: 'x' as never })],
    ['an unknown attribute', 'wirte', () => machine.map(0n, { wirte: true } as never)],
    ['no options', 'options', () => machine.map(0n, null as never)],
    ['an address that is not canonical', 'va', () => machine.map(1n << 47n)],
    ['pages beyond the end', 'va', () => machine.map(0xffff_ffff_ffff_f000n, { frames: 2 })],
    ['pages across the hole', 'va', () => machine.map(0x7fff_ffff_f000n, { frames: 2 })],
    ['an address not aligned', 'va', () => machine.map(0x1008n)],
    ['an access of words', 'kind', () => cpu.translate(0n, 'write' as never)],
    ['an access of NaN', 'kind', () => cpu.translate(0n, NaN)],
    ['an access of -1', 'kind', () => cpu.translate(0n, -1)],
    ['a type of INVPCID that is no integer', 'type', () => cpu.invpcid(1.5, 0n, 0n)],
    ['options that are a list', 'options', () => Machine.create([] as never)],
  ])('%s', (_, field, call) => {
    const before = Buffer.from(machine.views.u8);
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(new RegExp(`^${field}: expected`));
    expect(Buffer.compare(Buffer.from(machine.views.u8), before)).toBe(0);
  });

  it('too many pages: none is mapped, and the memory is there for fewer', () => {
    expect(() => machine.map(0n, { frames: 1000 })).toThrow(/^memory: expected room/);
    expect(cpu.translate(0n, 0)).toMatchObject({ ok: false });
    machine.map(0n, { frames: 200 });
    expect(cpu.translate(199n << 12n, 0)).toMatchObject({ ok: true });
  });
});

it('a page mapped on a PAE machine is there at once', () => {
  const machine = Machine.create({ memory: '1M', paging: 'pae' });
  machine.map(0xc000_1000n, { write: true });
  expect(machine.vcpus[0].translate(0xc000_1000n, ACCESS_WRITE)).toMatchObject({ ok: true });
});

it('INVPCID is an invalid opcode where there is none', () => {
  expect(Machine.create({ memory: '1M', features: { invpcid: false } }).vcpus[0].invpcid(2, 0n, 0n)).toBe(FAULT_UD);
});

it('probe() and explain() do not ask devices', () => {
  let asked = 0;
  const handler = { read: () => { asked++; return 0n; }, write: () => {} };
  const machine = Machine.create({ extents: [{ base: 0, bytes: '1M' }, { base: '4G', bytes: '1M', kind: 'mmio', handler }] }), cpu = machine.vcpus[0];
  expect(cpu.writeCr3(0x1_0000_0000n)).toBe(0);
  cpu.probe(0n, 0);
  cpu.explain(0n, 0);
  expect(asked).toBe(0);
  cpu.translate(0n, 0);
  expect(asked).toBe(1);
});

it('paging modes have their names', () => {
  expect([pagewalk.MODE_LEGACY, pagewalk.MODE_PAE, pagewalk.MODE_4LEVEL, pagewalk.MODE_5LEVEL]).toEqual([2, 3, 4, 5]);
});
