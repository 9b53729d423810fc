import { describe, expect, it } from 'vitest';
import { ACCESS_READ, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, EFER_LME, EFER_NXE } from '../../src/arch/registers.ts';
import { MODE_4LEVEL, MODE_5LEVEL, MODE_LEGACY, MODE_NONE, MODE_PAE } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import { modeOf, reservedHi } from '../../src/mmu/mode.ts';

const big = (bits: number): bigint => BigInt(bits >>> 0);

it('has the mode of the manual\'s table for every combination of the four bits that choose', () => {
  let cases = 0;
  for (let n = 0; n < 16; n++) {
    const bit = (k: number) => ((n >>> k) & 1) === 1;
    const [pg, pae, lma, la57] = [bit(0), bit(1), bit(2), bit(3)];
    if (lma && !(pg && pae)) continue; // LMA is 1 only with both
    const want = !pg ? MODE_NONE : !pae ? MODE_LEGACY : !lma ? MODE_PAE : la57 ? MODE_5LEVEL : MODE_4LEVEL;
    expect(modeOf((pg ? CR0_PG : 0) | CR0_PE, (pae ? CR4_PAE : 0) | (la57 ? CR4_LA57 : 0), lma ? EFER_LMA | EFER_LME : EFER_LME)).toBe(want);
    cases++;
  }
  expect(cases).toBe(14 - 4);
});

it.each([
  // mode, MAXPHYADDR, NXE, reserved bits 63:32
  [MODE_4LEVEL, 52, true, 0],
  [MODE_4LEVEL, 52, false, 0x8000_0000],
  [MODE_4LEVEL, 40, true, 0x000f_ff00],
  [MODE_5LEVEL, 32, true, 0x000f_ffff],
  [MODE_PAE, 52, true, 0x7ff0_0000],
  [MODE_PAE, 36, false, 0xffff_fff0],
  [MODE_LEGACY, 36, true, 0],
  [MODE_NONE, 36, true, 0],
])('mode %i with MAXPHYADDR %i and NXE %s reserves %x', (mode, bits, nxe, want) => {
  expect(reservedHi(mode, bits, nxe) >>> 0).toBe(want);
});

describe.each(['functional', 'timed'] as const)('one vCPU through all modes as a kernel boots: %s', mode => {
  const VA = 0x40_3000n;

  /** Write 64-bit or 32-bit words. */
  const poke = (m: Machine, pa: number, value: bigint, bytes = 8): void => {
    const raw = new Uint8Array(8);
    new DataView(raw.buffer).setBigUint64(0, value, true);
    m.write(BigInt(pa), raw.subarray(0, bytes));
  };

  it('and the same address is translated by each one\'s own tables', () => {
    const m = Machine.create({ memory: '1M', mode, paging: 'none', features: { la57: true } });
    const cpu = m.vcpus[0]!;
    const at = (): bigint | string => {
      const t = cpu.translate(VA, ACCESS_WRITE);
      return t.ok ? t.paddr : `#PF ${t.errorCode}`;
    };
    poke(m, 0x10000 + 4, 0x11003n, 4); // 32-bit: PDE 1, PTE 3
    poke(m, 0x11000 + 12, 0xa1003n, 4);
    poke(m, 0x20000, 0x21001n); // PAE: PDPTE 0, PDE 2, PTE 3
    poke(m, 0x21000 + 16, 0x22003n);
    poke(m, 0x22000 + 24, 0xa2003n);
    poke(m, 0x30000, 0x31003n); // 4-level
    poke(m, 0x31000, 0x32003n);
    poke(m, 0x32000 + 16, 0x33003n);
    poke(m, 0x33000 + 24, 0xa3003n);
    poke(m, 0x50000, 0x30003n); // 5-level, above the same
    poke(m, 0x60000, 0xa4083n); // and something of its own at 4M granularity, for PSE
    expect(at()).toBe(VA);

    expect([cpu.writeCr3(0x10000n), cpu.writeCr0(big(CR0_PE | CR0_PG | CR0_WP))]).toEqual([0, 0]);
    expect(at()).toBe(0xa1000n);
    poke(m, 0x20000 + 0, 0x21001n);
    expect([cpu.writeCr3(0x20000n), cpu.writeCr4(big(CR4_PAE))]).toEqual([0, 0]); // straight to PAE, under paging
    expect(at()).toBe(0xa2000n);
    expect([cpu.writeCr0(big(CR0_PE | CR0_WP)), cpu.writeEfer(big(EFER_LME | EFER_NXE)), cpu.writeCr3(0x30000n), cpu.writeCr0(big(CR0_PE | CR0_PG | CR0_WP))]).toEqual([0, 0, 0, 0]);
    expect(at()).toBe(0xa3000n);
    // To 5-level paging by way of compatibility mode and no paging at all.
    expect([cpu.writeCr0(big(CR0_PE | CR0_WP)), cpu.writeCr4(big(CR4_PAE | CR4_LA57)), cpu.writeCr3(0x50000n), cpu.writeCr0(big(CR0_PE | CR0_PG | CR0_WP))]).toEqual([0, 0, 0, 0]);
    expect(at()).toBe(0xa3000n);
    expect(cpu.explain(VA, ACCESS_READ).references).toHaveLength(5);
    expect([cpu.writeCr0(big(CR0_PE | CR0_WP)), cpu.writeEfer(0n), cpu.writeCr4(big(CR4_PSE)), cpu.writeCr3(0x10000n), cpu.writeCr0(big(CR0_PE | CR0_PG | CR0_WP))]).toEqual([0, 0, 0, 0, 0]);
    expect(at()).toBe(0xa1000n);
    expect(cpu.writeCr0(big(CR0_PE))).toBe(0);
    expect(at()).toBe(VA);
  });
});

it('32-bit paging has a root below 4 GiB, whatever CR3 held before', () => {
  const cpu = Machine.create({ memory: '1M', paging: 'none', openBus: 0xff }).vcpus[0]!;
  expect([cpu.writeCr4(big(CR4_PAE)), cpu.writeCr3(1n << 32n), cpu.writeCr4(0n), cpu.writeCr0(big(CR0_PE | CR0_PG))]).toEqual([0, 0, 0, 0]);
  expect(cpu.explain(0n, ACCESS_READ).references.map(r => r.paddr)).toEqual([0n]);
});

it.each([
  ['5-level', MODE_5LEVEL], ['4-level', MODE_4LEVEL], ['pae', MODE_PAE], ['legacy', MODE_LEGACY],
] as const)('a machine made with %s paging starts in it, with an empty root', (paging, mode) => {
  const machine = Machine.create({ memory: '1M', paging, vcpus: 2 });
  for (const cpu of machine.vcpus) {
    const { cr0, cr3, cr4, efer } = cpu.registers;
    expect(modeOf(Number(cr0) | 0, Number(cr4) | 0, Number(efer))).toBe(mode);
    expect(cpu.translate(0x1234n, ACCESS_READ)).toMatchObject({ ok: false, vector: 14, errorCode: 0 });
    expect(cr3).not.toBe(0n);
  }
  expect(machine.vcpus[0]!.registers.cr3).not.toBe(machine.vcpus[1]!.registers.cr3);
});
