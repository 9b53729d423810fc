import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import { MODE_4LEVEL, MODE_5LEVEL, MODE_LEGACY, MODE_PAE } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import { A, ALL, MODES, P, PS, Tables, type Mode } from './walk-tables.ts';

const NAMES = ['PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'];

describe.each(['functional', 'timed'] as const)('references of a whole walk, %s', speed => {
  it.each<[Mode, string, number, number]>([
    ['legacy', '4K', 1, 2],
    ['legacy', '4M', 2, 1],
    ['pae', '4K', 1, 2],
    ['pae', '2M', 2, 1],
    ['4-level', '4K', 1, 4],
    ['4-level', '2M', 2, 3],
    ['4-level', '1G', 3, 2],
    ['5-level', '4K', 1, 5],
    ['5-level', '2M', 2, 4],
    ['5-level', '1G', 3, 3],
  ])('%s, %s: leaf at level %i, %i of them', (mode, _, level, count) => {
    const t = new Tables(mode, { mode: speed });
    const va = 0x1234_5000n;
    t.map(va, level, ALL | (level > 1 ? PS : 0n));
    const before = t.bytes();
    const { outcome, references, tlbLevel } = t.cpu.explain(va, ACCESS_WRITE);
    expect(t.bytes().equals(before)).toBe(true);
    expect(references).toHaveLength(count);
    expect(outcome).toMatchObject({ ok: true, references: count });
    expect(tlbLevel).toBe(0);
    expect(references).toEqual(Array.from({ length: count }, (__, k) => {
      const at = level + count - 1 - k;
      return {
        level: at, name: NAMES[at - 1], needed: true, where: speed === 'timed' ? 'memory' : 'untimed',
        paddr: BigInt(t.entryPa(at, va)), value: t.get(at, va),
      };
    }));
  });
});

it('lists the entries up to the one that ends the walk', () => {
  const t = new Tables('4-level', { mode: 'timed' });
  t.map(0n, 1, ALL);
  t.set(3, 0n, 0n);
  const { outcome, references } = t.cpu.explain(0n, ACCESS_USER);
  expect(outcome).toEqual({ ok: false, vector: 14, errorCode: 4, references: 2 });
  expect(references.map(r => r.name)).toEqual(['PML4E', 'PDPTE']);
  expect(t.cpu.explain(1n << 47n, ACCESS_STACK)).toEqual({ outcome: { ok: false, vector: 12, errorCode: 0, references: 0 }, tlbLevel: 0, references: [] });
});

it('says which references the caches make unnecessary, and where the others would hit', () => {
  const t = new Tables('4-level', { mode: 'timed' });
  t.map(0x1000n, 1, ALL);
  t.set(1, 0x2000n, ALL);
  expect(t.cpu.translate(0x1000n, ACCESS_READ).ok).toBe(true);
  const warm = t.cpu.explain(0x1000n, ACCESS_READ);
  expect(warm.tlbLevel).toBe(1);
  expect(warm.references.map(r => r.needed)).toEqual([false, false, false, false]);
  const near = t.cpu.explain(0x2000n, ACCESS_READ); // shares all but the last entry, which is in the same line
  expect(near.tlbLevel).toBe(0);
  expect(near.references.map(r => r.needed)).toEqual([false, false, false, true]);
  expect(near.references.map(r => r.where)).toEqual(['l1d', 'l1d', 'l1d', 'l1d']);
  expect(t.cpu.explain(0x1000n, ACCESS_WRITE)).toMatchObject({ tlbLevel: 0 }); // D is 0: a write walks
});

it.each(['legacy', 'pae'] as const)('ignores the high half of an address in %s paging', mode => {
  for (const speed of ['functional', 'timed'] as const) {
    const t = new Tables(mode, { mode: speed });
    t.map(0x1234_5000n, 1, ALL);
    t.cpu.translate(0x1234_5000n, ACCESS_READ);
    expect(t.cpu.explain(0xffff_ffff_1234_5000n, ACCESS_READ)).toEqual(t.cpu.explain(0x1234_5000n, ACCESS_READ));
    expect(t.cpu.explain(0xffff_ffff_1234_5000n, ACCESS_READ).tlbLevel).toBe(1);
  }
});

it('tells the tables, whatever is cached', () => {
  const t = new Tables('4-level', { mode: 'timed' });
  t.map(0x1000n, 1, ALL);
  t.cpu.translate(0x1000n, ACCESS_READ);
  t.set(1, 0x1000n, 0n);
  expect(t.cpu.translate(0x1000n, ACCESS_READ).ok).toBe(true);
  expect(t.cpu.explain(0x1000n, ACCESS_READ)).toMatchObject({ tlbLevel: 1, outcome: { ok: false, errorCode: 0 } });
  expect(t.cpu.probe(0x1000n, ACCESS_READ)).toMatchObject({ ok: false, errorCode: 0 });
});

describe('probe() and explain() change not one byte', () => {
  it.each(MODES.flatMap(mode => (['functional', 'timed'] as const).map(speed => [mode, speed] as const)))('%s, %s: whatever is asked', (mode, speed) => {
    const t = new Tables(mode, { mode: speed, memory: '512K' });
    const vas = [0n, 0x1000n, 0x1234_5678n, 0xffff_f000n, 0x7fff_ffff_ffffn, 1n << 47n, 1n << 60n, 0xffff_ffff_ffff_ffffn];
    t.map(0x1000n, 1, ALL);
    t.cpu.translate(0x1000n, ACCESS_READ);
    t.cpu.translate(0x9000n, ACCESS_USER);
    const before = t.bytes();
    for (const va of vas) for (const kind of [0, ACCESS_WRITE, ACCESS_FETCH, ACCESS_USER, ACCESS_STACK, ACCESS_SHADOW_STACK | ACCESS_WRITE]) {
      t.cpu.probe(va, kind);
      t.cpu.probe(va, kind, { root: t.root });
      t.cpu.probe(va, kind, { root: 0x100000n, mode: MODE_PAE });
      t.cpu.explain(va, kind);
      expect(t.bytes().equals(before), `${va.toString(16)} ${kind}`).toBe(true);
    }
  });

  it('with several vCPUs, by each of them', () => {
    const machine = Machine.create({ memory: '1M', vcpus: 3 });
    machine.map(0x4000_0000n, { frames: 2, cpu: machine.vcpus[1]! });
    machine.vcpus[1]!.translate(0x4000_0000n, 0);
    const before = Buffer.from(machine.views.u8);
    expect(machine.vcpus.map(cpu => [cpu.probe(0x4000_0000n, 0).ok, cpu.explain(0x4000_0000n, 0).tlbLevel])).toEqual([[false, 0], [true, 1], [false, 0]]);
    expect(Buffer.from(machine.views.u8).equals(before)).toBe(true);
  });

  it('not even when the caller made a mistake', () => {
    const t = new Tables('4-level');
    const before = t.bytes();
    for (const wrong of [-1n, 1n << 64n, 5 as never]) {
      expect(() => t.cpu.probe(wrong, 0)).toThrow(ConfigError);
      expect(() => t.cpu.explain(wrong, 0)).toThrow(ConfigError);
    }
    expect(() => t.cpu.probe(0n, 0, { root: 1n << 52n })).toThrow(/root/);
    expect(() => t.cpu.probe(0n, 0, { root: -1n })).toThrow(/root/);
    expect(() => t.cpu.probe(0n, 0, { root: 1n << 32n, mode: MODE_PAE })).toThrow(/root.*4 GiB/);
    expect(() => t.cpu.probe(0n, 0, { mode: MODE_PAE })).toThrow(/root/);
    for (const mode of [0, 1, 6, 2.5, 'pae']) expect(() => t.cpu.probe(0n, 0, { root: 0n, mode: mode as never })).toThrow(/mode/);
    expect(t.bytes().equals(before)).toBe(true);
  });
});

describe('a probe by another root', () => {
  const of = { legacy: MODE_LEGACY, pae: MODE_PAE, '4-level': MODE_4LEVEL, '5-level': MODE_5LEVEL } as const;
  it.each(MODES.flatMap(from => MODES.map(to => [from, to] as const)))('from %s paging by %s tables', (from, to) => {
    // Both sets of tables are in one memory: those of `to` are written by a machine in that mode, and copied.
    const other = new Tables(to), t = new Tables(from);
    other.map(0x1234_5000n, 1, 0x66000n | P | A);
    const image = new Uint8Array(0x60000);
    other.machine.read(0n, image);
    t.machine.write(0n, image);
    const result = t.cpu.probe(0x1234_5678n, ACCESS_READ, { root: other.root, mode: of[to] });
    expect(result).toEqual({ ok: true, paddr: 0x66678n, pageBytes: 4096, references: other.chain(0x1234_5000n).length });
    expect(t.cpu.probe(0x1234_5678n, ACCESS_USER, { root: other.root, mode: of[to] })).toMatchObject({ ok: false, errorCode: 5 });
  });

  it('of the same mode needs no mode', () => {
    const t = new Tables('4-level');
    t.map(0n, 1, 0x66000n | P);
    t.cpu.writeCr3(0x80000n);
    expect(t.cpu.probe(0n, ACCESS_READ)).toMatchObject({ ok: false });
    expect(t.cpu.probe(0n, ACCESS_READ, { root: t.root })).toMatchObject({ ok: true, paddr: 0x66000n });
  });
});
