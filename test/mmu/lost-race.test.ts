/**
 * A walk that meets an entry changed after it was read starts over. Here the other one is a device: reading a table in its hole changes an
 * entry that the walk has read before.
 */
import { describe, expect, it } from 'vitest';
import { attach } from '../../src/accel/engine.ts';
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, FAULT_PF } from '../../src/arch/fault.ts';
import { Machine } from '../../src/machine/machine.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { translate } from '../../src/mmu/translate.ts';

const HOLE = 0x100000, ROOT = 0x1000, L2 = 0x2000, L1 = 0x3000, OTHER_L3 = 0x4000;
const P_RW_US = 7n, A = 0x20n, D = 0x40n;

describe.each(['TypeScript', 'wasm'] as const)('%s', engine => describe.each(['timed', 'functional'] as const)('%s', mode => describe.each([1, 2])('vCPUs %i', vcpus => {
  /** A machine whose level-3 table is in a device; `react` is called once, when the walk reads it. */
  function made(react: (m: Machine) => void): { machine: Machine; access: (kind: number) => number } {
    let reads = 0;
    const handler = {
      read: () => {
        if (reads++ === 0) react(machine);
        return BigInt(L2) | P_RW_US | A;
      },
      write: () => {},
    };
    const machine: Machine = Machine.create({ mode, vcpus, extents: [{ base: 0, bytes: '64K' }, { base: HOLE, bytes: '4K', kind: 'mmio', handler }] });
    const s = machine.views, cpu = machine.vcpus[0]!;
    cpu.writeCr3(BigInt(ROOT));
    writeEntry(s, ROOT, BigInt(HOLE) | P_RW_US);
    writeEntry(s, L2, BigInt(L1) | P_RW_US);
    writeEntry(s, L1, 0x5000n | P_RW_US);
    writeEntry(s, OTHER_L3, BigInt(L2) | P_RW_US);
    const wasm = engine === 'wasm' ? attach(s)! : undefined;
    return { machine, access: kind => (wasm ? wasm.translate(cpu.block, 0, 0x123, kind) : translate(s, cpu.block >>> 2, 0, 0x123, kind)) };
  }

  it('an entry that goes away is a fault', () => {
    const { machine, access } = made(m => writeEntry(m.views, ROOT, 0n));
    expect(access(ACCESS_READ | ACCESS_USER)).toBe(FAULT_PF | ACCESS_USER);
    expect([ROOT, L2, L1].map(at => readEntry(machine.views, at) & A)).toEqual([0n, 0n, 0n]);
  });

  it('an entry that leads elsewhere is followed', () => {
    const { machine, access } = made(m => writeEntry(m.views, ROOT, BigInt(OTHER_L3) | P_RW_US));
    expect(access(ACCESS_WRITE | ACCESS_USER)).toBe(FAULT_NONE);
    expect([ROOT, OTHER_L3, L2, L1].map(at => readEntry(machine.views, at) & (A | D))).toEqual([A, A, A, A | D]);
  });

  it('bits that others set are kept', () => {
    const { machine, access } = made(m => {
      writeEntry(m.views, ROOT, BigInt(HOLE) | P_RW_US | 0x200n);
      writeEntry(m.views, L1, 0x5000n | P_RW_US | 0xe00n | (1n << 62n));
    });
    expect(access(ACCESS_WRITE | ACCESS_USER)).toBe(FAULT_NONE);
    expect(readEntry(machine.views, ROOT)).toBe(BigInt(HOLE) | P_RW_US | 0x200n | A);
    expect(readEntry(machine.views, L1)).toBe(0x5000n | P_RW_US | 0xe00n | (1n << 62n) | A | D);
  });
})));
