/** What stays cached and what goes, case by case. Each case changes a mapping in memory and asks which translation is used then. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP } from '../../src/arch/registers.ts';
import { auditArray } from '../../src/cache/array.ts';
import type { PageSize } from '../../src/cost/cpu-model.ts';
import { VCPU_OUT_HIT } from '../../src/layout/vcpu.ts';
import type { Attributes } from '../../src/machine/address-space.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { readEntry32, writeEntry32 } from '../memory/entry32.ts';
import { GEOMETRIES, modelOf } from './tlb-geometries.ts';
import { arraysOf } from './tlb-state.ts';

const R = ACCESS_READ, W = ACCESS_WRITE, X = ACCESS_FETCH, U = ACCESS_USER;
const VA = 0x40_0020_3000n, NEAR = VA + 0x1000n, FAR = 0x7f_8000_0000n;
const MOVE = 0x4000_0000n; // added to a frame by changing an entry: aligned for every page size
const P = 1n, RW = 2n, US = 4n, D = 0x40n, G = 0x100n;
const ROOT_OF_PCID = (root: bigint, pcid: number, keep: boolean) => root | BigInt(pcid) | (keep ? 1n << 63n : 0n);

let machine: Machine;
let cpu: Vcpu;

const make = (options: MachineOptions): void => {
  const extents = [{ base: 0, bytes: '16M' }, { base: '4G', bytes: '8G', kind: 'unbacked' }] as const;
  machine = Machine.create({ extents, cpu: modelOf(GEOMETRIES[0], 'lru'), ...options });
  cpu = machine.vcpus[0];
};
const map = (va: bigint, attributes: Attributes & { size?: PageSize } = {}): bigint => machine.map(va, { write: true, user: true, ...attributes });
const entry = (va: bigint, level: number): bigint => cpu.explain(va, R).references.find(r => r.level === level)!.paddr;
/** Change an entry of the tables, without telling the processor. */
const change = (at: bigint, how: (value: bigint) => bigint): void => {
  writeEntry(machine.views, Number(at), how(readEntry(machine.views, Number(at))));
};
const move = (va: bigint, level = 1): void => change(entry(va, level), value => value + MOVE);

/** Physical address, or `#PF` and its code. */
const at = (va: bigint, kind = R): bigint | string => {
  const t = cpu.translate(va, kind);
  return t.ok ? t.paddr : `#PF ${t.errorCode}`;
};
const hit = (): number => machine.views.w[(cpu.block + VCPU_OUT_HIT) >>> 2];
const cr3 = (pcid: number, keep: boolean): void => { expect(cpu.writeCr3(ROOT_OF_PCID(cpu.registers.cr3 & ~0xfffn, pcid, keep))).toBe(0); };
const wp = (on: boolean): void => { expect(cpu.writeCr0((cpu.registers.cr0 & ~0x10000n) | (on ? 0x10000n : 0n))).toBe(0); };
const cr4 = (bits: number): void => { expect(cpu.writeCr4(BigInt(CR4_PAE | bits))).toBe(0); };

function pagingOffAndOn(): void {
  const { cr0 } = cpu.registers;
  cpu.setCode64(false);
  for (const value of [cr0 & 0x7fffffffn, cr0]) expect(cpu.writeCr0(value)).toBe(0);
}

describe.each(['timed', 'functional'] as const)('in %s mode', mode => {
  beforeEach(() => make({ mode }));

  it('a stale PTE is used until INVLPG, which spares the page beside it', () => {
    const pa = map(VA), near = map(NEAR);
    expect([at(VA), at(NEAR)]).toEqual([pa, near]);
    move(VA);
    move(NEAR);
    expect([at(VA), at(NEAR)]).toEqual([pa, near]);
    cpu.invlpg(VA + 0xfffn);
    expect([at(VA), at(NEAR)]).toEqual([pa + MOVE, near]);
  });

  it('a page that was removed is used until INVLPG', () => {
    const pa = map(VA);
    at(VA, W);
    change(entry(VA, 1), () => 0n);
    expect([at(VA, R), at(VA, W)]).toEqual([pa, pa]);
    cpu.invlpg(VA);
    expect([at(VA, R), at(VA, W)]).toEqual(['#PF 0', '#PF 2']);
  });

  it.each<[string, Attributes, number, number, bigint, bigint]>([
    ['R/W', { write: false }, R, U | W, 0n, RW], ['U/S', { user: false }, R, U, 0n, US], ['XD', { noExecute: true }, R, X, 1n << 63n, 0n],
  ])('more rights by %s in the PTE count at once', (_, attributes, first, then, clear, set) => {
    const pa = map(VA, attributes);
    expect(at(VA, first)).toBe(pa);
    expect(at(VA, then)).toMatch(/#PF/);
    expect(at(VA, first)).toBe(pa);
    change(entry(VA, 1), value => (value & ~clear) | set);
    expect(at(VA, then)).toBe(pa);
  });

  it('a #PF forgets the page, so that the retry sees the repaired tables', () => {
    const pa = map(VA, { write: false });
    expect(at(VA)).toBe(pa);
    move(VA);
    expect(at(VA)).toBe(pa);
    expect(at(VA, W)).toBe('#PF 3');
    expect(at(VA)).toBe(pa + MOVE);
    change(entry(VA, 1), value => value | RW);
    expect(at(VA, W)).toBe(pa + MOVE);
  });

  it('a write through a page read before walks, and sets D', () => {
    const pa = map(VA), pte = entry(VA, 1);
    at(VA);
    expect(readEntry(machine.views, Number(pte)) & D).toBe(0n);
    move(VA);
    expect([at(VA, R), hit()]).toEqual([pa, 1]);
    expect([at(VA, W), hit()]).toEqual([pa + MOVE, 0]);
    expect(readEntry(machine.views, Number(pte)) & D).toBe(D);
    expect([at(VA, W), hit()]).toEqual([pa + MOVE, 1]);
  });

  it.each<[string, () => void]>([
    ['MOV CR3', () => cr3(0, false)], ['a change of CR4.PGE', () => cr4(0)], ['CR4.SMEP set', () => cr4(CR4_PGE | CR4_SMEP)],
    ['INVPCID type 0', () => { cpu.invpcid(0, 0n, VA); }], ['INVPCID type 1', () => { cpu.invpcid(1, 0n, 0n); }],
    ['INVPCID type 2', () => { cpu.invpcid(2, 0n, 0n); }], ['INVPCID type 3', () => { cpu.invpcid(3, 0n, 0n); }],
    ['paging off and on', pagingOffAndOn],
  ])('%s removes a page', (_, operation) => {
    const pa = map(VA);
    at(VA);
    move(VA);
    expect(at(VA)).toBe(pa);
    operation();
    expect(at(VA)).toBe(pa + MOVE);
  });

  it.each<[string, Attributes, number, () => void, () => void, number]>([
    ['CR0.WP set', { write: false }, W, () => wp(false), () => wp(true), 3],
    ['CR4.SMEP set', {}, X, () => {}, () => cr4(CR4_PGE | CR4_SMEP), 0x11],
    ['CR4.SMAP set', {}, R, () => {}, () => cr4(CR4_PGE | CR4_SMAP), 1],
    ['EFLAGS.AC cleared', {}, R, () => { cr4(CR4_PGE | CR4_SMAP); cpu.setAc(true); }, () => cpu.setAc(false), 1],
    ['PKRU written', { key: 5 }, U, () => cr4(CR4_PGE | CR4_PKE), () => cpu.writePkru(1 << 10), 0x25],
    ['IA32_PKRS written', { key: 6, user: false }, R, () => cr4(CR4_PGE | CR4_PKS), () => { cpu.writePkrs(1n << 12n); }, 0x21],
  ])('fewer rights by %s count at once, whatever is cached', (_, attributes, kind, before, operation, code) => {
    const pa = map(VA, attributes);
    before();
    expect([at(VA, kind), at(VA, kind), hit()]).toEqual([pa, pa, 1]);
    operation();
    expect(at(VA, kind)).toBe(`#PF ${code}`);
  });

  it.each<[PageSize, number, bigint]>([['2m', 2, 0x20_0000n], ['1g', 3, 0x4000_0000n]])('one INVLPG removes all of a %s page', (size, level, bytes) => {
    const first = 0x40_0000_0000n, pa = map(first, { size }), beside = map(first + bytes, { size });
    const inside = [0n, 0x1000n, 0x5000n, bytes / 2n + 0x8000n, bytes - 0x1000n], outside = first + bytes + 0x9000n;
    expect(inside.map(o => at(first + o))).toEqual(inside.map(o => pa + o));
    expect(at(outside)).toBe(beside + 0x9000n);
    move(first, level);
    expect(inside.map(o => at(first + o))).toEqual(inside.map(o => pa + o));
    cpu.invlpg(first + 0x7123n); // a part that was never used
    expect(inside.map(o => at(first + o))).toEqual(inside.map(o => pa + MOVE + o));
  });
});

describe.each(['timed', 'functional'] as const)('outside 64-bit paging, in %s mode,', mode => {
  it.each<[string, 'legacy' | 'pae', (va: bigint) => void]>([
    ['INVLPG', 'legacy', va => cpu.invlpg(va)], ['INVLPG', 'pae', va => cpu.invlpg(va)],
    ['INVPCID type 0', 'legacy', va => { expect(cpu.invpcid(0, 0n, va)).toBe(0); }],
  ])('%s (%s) ignores the high half of an address, as an access does', (_, paging, operation) => {
    make({ mode, paging, extents: [{ base: 0, bytes: '16M' }] });
    const va = 0x8040_3000n, pa = map(va);
    expect(cpu.writeCr3(cpu.registers.cr3)).toBe(0); // PAE paging reads its PDPTEs
    const pte = Number(entry(va, 1));
    expect(at(va | 0x55n << 32n)).toBe(pa);
    writeEntry32(machine.views, pte, readEntry32(machine.views, pte) + 0x10_0000);
    expect(at(va)).toBe(pa);
    operation(va | 0x77n << 32n);
    expect(at(va)).toBe(pa + 0x10_0000n);
  });
});

describe('PCIDs and global pages', () => {
  beforeEach(() => make({}));

  it.each<[string, () => void, own: boolean, other: boolean, global: boolean]>([
    // The current PCID is 1.                                                    survives: own, other, global
    ['INVLPG', () => cpu.invlpg(VA), false, true, true],
    ['INVLPG of the global page', () => cpu.invlpg(FAR), true, true, false],
    ['MOV CR3 of the same PCID', () => cr3(1, false), false, true, true],
    ['MOV CR3 of the other PCID', () => cr3(2, false), true, false, true],
    ['MOV CR3 with bit 63', () => cr3(2, true), true, true, true],
    ['INVPCID type 0 of the page', () => { cpu.invpcid(0, 1n, VA); }, false, true, true],
    ['INVPCID type 0 of the page under the other PCID', () => { cpu.invpcid(0, 2n, VA); }, true, false, true],
    ['INVPCID type 0 of the global page', () => { cpu.invpcid(0, 1n, FAR); }, true, true, true],
    ['INVPCID type 1', () => { cpu.invpcid(1, 1n, VA); }, false, true, true],
    ['INVPCID type 1 of the other PCID', () => { cpu.invpcid(1, 2n, VA); }, true, false, true],
    ['INVPCID type 2', () => { cpu.invpcid(2, 0n, VA); }, false, false, false],
    ['INVPCID type 3', () => { cpu.invpcid(3, 0n, VA); }, false, false, true],
    ['INVPCID type 1 with a reserved bit', () => { expect(cpu.invpcid(1, 0x1001n, VA)).toBe(13 << 16); }, true, true, true],
    ['CR4.PGE cleared', () => cr4(CR4_PCIDE), false, false, false],
    ['CR4.PCIDE cleared', () => { cr3(0, true); cr4(CR4_PGE); cr4(CR4_PGE | CR4_PCIDE); }, false, false, false],
    ['CR4.SMEP set', () => cr4(CR4_PGE | CR4_PCIDE | CR4_SMEP), false, true, false],
  ])('%s', (_, operation, own, other, global) => {
    const pa = map(VA), globalPa = map(FAR, { global: true });
    cr4(CR4_PGE | CR4_PCIDE);
    for (const pcid of [2, 1]) {
      cr3(pcid, true);
      at(VA);
    }
    at(FAR);
    move(VA);
    move(FAR);
    operation();
    const seen = [1, 2].map(pcid => { cr3(pcid, true); return at(VA) === pa; });
    expect([...seen, at(FAR) === globalPa]).toEqual([own, other, global]);
  });

  it('a page that becomes global is held once under its global tag', () => {
    map(VA, { write: true });
    cr4(CR4_PGE | CR4_PCIDE);
    cr3(2, true);
    at(VA, R);
    change(entry(VA, 1), value => value | G);
    cr3(1, true);
    at(VA, R);
    cr3(2, true);
    at(VA, W); // its own entry is not dirty
    for (const a of arraysOf(machine.views.w, cpu.block).tlb) auditArray(machine.views.w, a);
    cpu.invlpg(VA);
    expect([at(VA, W), hit()]).toEqual([at(VA), 0]);
  });
});

describe('paging-structure caches', () => {
  beforeEach(() => make({}));

  it.each([2, 3, 4])('an entry at level %i that was removed leads on until INVLPG of any address', level => {
    map(VA);
    const near = map(NEAR);
    at(VA);
    change(entry(VA, level), () => 0n);
    expect(at(NEAR)).toBe(near);
    cpu.invlpg(0x1234_5000n);
    expect(at(NEAR)).toBe(near); // in the TLB by now
    cpu.invlpg(NEAR);
    expect(at(NEAR)).toBe('#PF 0');
  });

  it('are not those of another PCID', () => {
    map(VA);
    map(NEAR);
    cr4(CR4_PGE | CR4_PCIDE);
    cr3(1, true);
    at(VA);
    const pde = entry(VA, 2), value = readEntry(machine.views, Number(pde));
    change(pde, () => 0n);
    cr3(2, true);
    expect(at(NEAR)).toBe('#PF 0');
    cpu.invlpg(VA);
    cr3(1, true);
    expect(at(NEAR)).toBe((readEntry(machine.views, Number((value & 0xf_ffff_ffff_f000n) + 4n * 8n)) & 0xf_ffff_ffff_f000n));
  });

  it('hold nothing of an entry with P = 0, with a reserved bit, or of a walk that faulted', () => {
    const pa = map(VA);
    for (const broken of [(v: bigint) => v & ~P, (v: bigint) => v | (1n << 51n)]) {
      const pde = entry(VA, 2), good = readEntry(machine.views, Number(pde));
      change(pde, broken);
      expect(at(VA)).toMatch(/#PF/);
      change(pde, () => good);
      expect(at(VA)).toBe(pa);
      cpu.flush();
    }
    const pte = entry(VA, 1), pde = entry(VA, 2);
    change(pte, v => v & ~P);
    expect(at(VA)).toBe('#PF 0');
    change(pde, () => 0n);
    change(pte, v => v | P);
    expect(at(VA)).toBe('#PF 0');
  });

  it('carry the rights of the entries above: more rights there cost one #PF at most', () => {
    const pa = map(VA), near = map(NEAR), pde = entry(VA, 2);
    change(pde, v => v & ~RW);
    expect(at(VA)).toBe(pa);
    change(pde, v => v | RW);
    expect(at(NEAR, W)).toBe('#PF 3'); // by the cached PDE
    expect(at(NEAR, W)).toBe(near);
    change(pde, v => v & ~RW);
    cpu.flush();
    at(VA);
    expect(at(NEAR, W)).toBe('#PF 3'); // accumulated, although the PTE says R/W
  });
});

describe('pages held as fragments', () => {
  const GIB = 0x4000_0000n;

  it.each<[string, MachineOptions, PageSize, number]>([
    ['2M on a host of 4K pages', { hostPage: '4k' }, '2m', 2], ['1G on a host of 4K pages', { hostPage: '4k' }, '1g', 3],
    ['1G on a host of 2M pages', { hostPage: '2m' }, '1g', 3],
    ['2M in a first level of 4K', { cpu: modelOf(GEOMETRIES[2], 'nru') }, '2m', 2],
    ['1G in a first level of 4K and a second of 2M', { cpu: modelOf(GEOMETRIES[2], 'nru') }, '1g', 3],
  ])('%s all vanish with one INVLPG, and by one #PF', (_, options, size, level) => {
    make(options);
    const first = 0x40_0000_0000n, bytes = size === '2m' ? 0x20_0000n : GIB;
    const pa = map(first, { size, write: false }), beside = map(first + bytes, { size });
    const inside = [0n, 0x3000n, 0x1f_f000n, bytes - 0x1000n];
    const all = () => inside.map(o => at(first + o) as bigint - o);
    for (const forget of [() => cpu.invlpg(first + bytes / 2n + 0x5432n), () => { expect(at(first + 0x8000n, W)).toBe('#PF 3'); }]) {
      cpu.flush();
      const now = at(first) as bigint;
      expect([...all(), at(first + bytes)]).toEqual([now, now, now, now, beside]);
      change(entry(first, level), v => v ^ MOVE);
      change(entry(first + bytes, level), v => v ^ MOVE);
      expect([...all(), at(first + bytes)]).toEqual([now, now, now, now, beside]);
      forget();
      expect([...all(), at(first + bytes)]).toEqual([now ^ MOVE, now ^ MOVE, now ^ MOVE, now ^ MOVE, beside]);
      change(entry(first + bytes, level), v => v ^ MOVE);
    }
    expect(pa).toBe(at(first));
  });

  it.each<[string, MachineOptions]>([
    ['held as 2M halves', {}], ['on a host of 4K pages', { hostPage: '4k' }], ['in a first level of 4K', { cpu: modelOf(GEOMETRIES[2], 'lru') }],
    ['in functional mode', { mode: 'functional' }],
  ])('a 4M page %s vanishes with one INVLPG in either half', (_, options) => {
    make({ ...options, paging: 'legacy', extents: [{ base: 0, bytes: '16M' }, { base: '32M', bytes: '64M', kind: 'unbacked' }] });
    const first = 0x80_0000n, pa = map(first, { size: '2m' }), beside = map(first + 0x40_0000n, { size: '2m' });
    const inside = [0x1000n, 0x1f_f000n, 0x20_0000n, 0x3f_f000n], all = () => inside.map(o => at(first + o) as bigint - o);
    const pde = Number(entry(first, 2));
    for (const half of [0x10_0000n, 0x30_0000n]) {
      const now = readEntry32(machine.views, pde) & 0xffc00000;
      expect([...all(), at(first + 0x40_0000n)]).toEqual([...inside.map(() => BigInt(now)), beside]);
      writeEntry32(machine.views, pde, readEntry32(machine.views, pde) ^ 0x1000_0000);
      expect(all()).toEqual(inside.map(() => BigInt(now)));
      cpu.invlpg(first + half);
      expect([...all(), at(first + 0x40_0000n)]).toEqual([...inside.map(() => BigInt(now ^ 0x1000_0000)), beside]);
    }
    expect(at(first)).toBe(pa);
  });
});
