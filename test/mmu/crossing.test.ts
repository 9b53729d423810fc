import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF, FAULT_SS } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import { A, ALL, D, MODES, P, Tables, US } from './walk-tables.ts';

const FIRST = 0x90000n, SECOND = 0x82000n; // frames, not side by side
const VA = 0x1234_5000n;

describe.each(MODES.flatMap(mode => (['functional', 'timed'] as const).map(speed => ({ mode, speed }))))('$mode, $speed: across a page boundary', ({ mode, speed }) => {
  const make = (first: bigint, second: bigint): Tables => {
    const t = new Tables(mode, { mode: speed });
    t.map(VA, 1, FIRST | first);
    t.set(1, VA + 0x1000n, SECOND | second);
    return t;
  };
  const leaves = (t: Tables): bigint[] => [t.get(1, VA) & 0xfffn, t.get(1, VA + 0x1000n) & 0xfffn];
  const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  it('writes and reads both parts, and marks both', () => {
    const t = make(ALL, ALL);
    expect(t.cpu.write(VA + 0xffdn, data, ACCESS_WRITE)).toBe(FAULT_NONE);
    expect(leaves(t)).toEqual([ALL | A | D, ALL | A | D]);
    const [low, high, back] = [new Uint8Array(3), new Uint8Array(5), new Uint8Array(8)];
    t.machine.read(FIRST + 0xffdn, low);
    t.machine.read(SECOND, high);
    expect([...low, ...high]).toEqual([...data]);
    expect(t.cpu.read(VA + 0xffdn, back, ACCESS_READ)).toBe(FAULT_NONE);
    expect(back).toEqual(data);
    expect(t.cpu.accessBytes(VA + 0xffdn, 8, ACCESS_READ).pieces).toEqual([{ pa: Number(FIRST) + 0xffd, bytes: 3 }, { pa: Number(SECOND), bytes: 5 }]);
  });

  it.each<[string, bigint, bigint, number, number, bigint]>([
    // first, second, access, error code, CR2
    ['the second is not present', ALL, 0n, ACCESS_WRITE, 2, VA + 0x1000n],
    ['the second is read-only', ALL, P | US, ACCESS_WRITE, 3, VA + 0x1000n],
    ['the second is a supervisor page', ALL, P, ACCESS_USER, 5, VA + 0x1000n],
    ['the first is not present', 0n, ALL, ACCESS_WRITE, 2, VA + 0xffdn],
    ['the first is read-only', P | US, ALL, ACCESS_WRITE | ACCESS_USER, 7, VA + 0xffdn],
    ['both are not present', 0n, 0n, ACCESS_READ, 0, VA + 0xffdn],
  ])('does nothing if %s', (_, first, second, access, code, cr2) => {
    const t = make(first, second);
    const before = Buffer.alloc(0x100000);
    t.machine.read(0n, before);
    const out = Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9);
    const fault = access & ACCESS_WRITE ? t.cpu.write(VA + 0xffdn, data, access) : t.cpu.read(VA + 0xffdn, out, access);
    expect(fault).toBe(FAULT_PF | code);
    expect(t.cpu.registers.cr2).toBe(cr2);
    const after = Buffer.alloc(0x100000);
    t.machine.read(0n, after);
    expect(after.equals(before)).toBe(true); // neither data, nor A, nor D
    expect([...out]).toEqual([9, 9, 9, 9, 9, 9, 9, 9]);
    expect(t.cpu.counters()).toMatchObject({ faults: 1, adSets: 0 });
  });

  it('is one access each side of the boundary when it does not cross', () => {
    const t = make(ALL, 0n);
    expect(t.cpu.write(VA + 0xff8n, data, ACCESS_WRITE)).toBe(FAULT_NONE);
    expect(t.cpu.write(VA + 0x1000n, data, ACCESS_WRITE)).toBe(FAULT_PF | 2);
  });
});

describe('accesses at the edges', () => {
  it('wrap at 4 GiB in 32-bit paging', () => {
    for (const mode of ['legacy', 'pae'] as const) {
      const t = new Tables(mode);
      t.map(0xffff_f000n, 1, FIRST | ALL);
      if (mode === 'pae') t.set(3, 0n, t.table(2) | P);
      t.set(2, 0n, t.table(1) | ALL);
      t.set(1, 0n, SECOND | ALL);
      t.cpu.writeCr3(t.root);
      expect(t.cpu.accessBytes(0xffff_fffen, 4, ACCESS_READ).pieces).toEqual([{ pa: Number(FIRST) + 0xffe, bytes: 2 }, { pa: Number(SECOND), bytes: 2 }]);
    }
  });

  it('wrap at 4 GiB without paging, and at 2^64 with it', () => {
    const cpu = Machine.create({ memory: '1M', paging: 'none' }).vcpus[0]!;
    expect(cpu.accessBytes(0xffff_fffen, 4, ACCESS_READ).pieces).toEqual([{ pa: 0xffff_fffe, bytes: 2 }, { pa: 0, bytes: 2 }]);
    const t = new Tables('4-level');
    t.map(0xffff_ffff_ffff_f000n, 1, FIRST | ALL);
    t.map(0n, 1, SECOND | ALL);
    expect(t.cpu.accessBytes(0xffff_ffff_ffff_ffffn, 2, ACCESS_READ).pieces).toEqual([{ pa: Number(FIRST) + 0xfff, bytes: 1 }, { pa: Number(SECOND), bytes: 1 }]);
  });

  it('are #GP or #SS where the second part is not canonical, whatever the first is', () => {
    for (const first of [0n, ALL, P]) {
      const t = new Tables('4-level');
      const va = 0x7fff_ffff_fffen;
      t.map(va, 1, FIRST | first);
      const before = t.chain(va);
      expect(t.cpu.accessBytes(va, 4, ACCESS_READ | ACCESS_USER)).toMatchObject({ fault: FAULT_GP, pieces: [] });
      expect(t.cpu.accessBytes(va, 4, ACCESS_WRITE | ACCESS_STACK)).toMatchObject({ fault: FAULT_SS, pieces: [] });
      expect(t.chain(va)).toEqual(before);
      expect(t.cpu.registers.cr2).toBe(0n);
    }
    const t = new Tables('4-level');
    t.map(0xffff_8000_0000_0000n, 1, FIRST | ALL);
    expect(t.cpu.accessBytes(0xffff_7fff_ffff_fffen, 4, ACCESS_READ).fault).toBe(FAULT_GP);
  });

  it('of many pages check each of them first', () => {
    const t = new Tables('4-level');
    for (let k = 0n; k < 17n; k++) t.map(k << 12n, 1, (0x40000n + (k << 12n)) | ALL);
    const span = t.cpu.accessBytes(0x800n, 65536, ACCESS_WRITE);
    expect(span.pieces).toHaveLength(17);
    expect(span.pieces.reduce((sum, p) => sum + p.bytes, 0)).toBe(65536);
    t.cpu.flush();
    for (let k = 0n; k < 17n; k++) t.map(k << 12n, 1, (0x40000n + (k << 12n)) | (k === 15n ? P : ALL));
    expect(t.cpu.accessBytes(0x800n, 65536, ACCESS_WRITE | ACCESS_USER)).toMatchObject({ fault: FAULT_PF | 7, pieces: [] });
    expect(t.cpu.registers.cr2).toBe(0xf000n);
    for (let k = 0n; k < 17n; k++) expect(t.get(1, k << 12n) & (A | D)).toBe(0n);
  });

  it('use a cached translation for a part, as the processor would', () => {
    const t = new Tables('4-level', { mode: 'timed' });
    t.map(VA, 1, FIRST | ALL);
    t.set(1, VA + 0x1000n, SECOND | ALL);
    t.cpu.translate(VA + 0x1000n, ACCESS_READ);
    t.set(1, VA + 0x1000n, 0n); // not invalidated
    expect(t.cpu.accessBytes(VA + 0xffen, 4, ACCESS_READ).fault).toBe(FAULT_NONE);
    t.cpu.invlpg(VA + 0x1000n);
    expect(t.cpu.accessBytes(VA + 0xffen, 4, ACCESS_READ).fault).toBe(FAULT_PF);
  });

  it('add up what their parts cost', () => {
    const t = new Tables('4-level', { mode: 'timed', dataAccesses: true });
    t.map(VA, 1, FIRST | ALL);
    t.set(1, VA + 0x1000n, SECOND | ALL);
    const { cycles } = t.cpu.accessBytes(VA + 0xffen, 4, ACCESS_FETCH);
    const sum = t.cpu.counters().cycles;
    expect(cycles).toBe(sum.tlb + sum.walkStart + sum.walkLoads + sum.data);
    expect(sum.data).toBeGreaterThan(0);
  });

  it('have 1 to 65536 bytes', () => {
    const { cpu } = new Tables('4-level');
    for (const bytes of [0, -1, 65537, 1.5, NaN]) expect(() => cpu.accessBytes(0n, bytes, 0), String(bytes)).toThrow(ConfigError);
    expect(() => cpu.accessBytes(1n << 64n, 1, 0)).toThrow(/va/);
  });

  it('of write() are writes even if the kind does not say so', () => {
    const t = new Tables('4-level');
    t.map(VA, 1, FIRST | P | US);
    expect(t.cpu.write(VA, Uint8Array.of(1), ACCESS_USER)).toBe(FAULT_PF | 7);
    const byte = new Uint8Array(1);
    t.machine.read(FIRST, byte);
    expect(byte[0]).toBe(0);
  });
});
