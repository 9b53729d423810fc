import { describe, expect, it } from 'vitest';
import { ACCESS_IMPLICIT, FAULT_NONE, FAULT_PF } from '../../src/arch/fault.ts';
import { PGT_COUNT, PGT_SEG_DESC, PGT_TYPE_MASK } from '../../src/layout/frame.ts';
import { MMUEXT_NEW_BASEPTR, MMUEXT_SET_LDT } from '../../src/xen/numbers.ts';
import { holds } from '../xsa/world.ts';
import { DATA, entryOf, Guest, READ } from './guest.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;
const DATA_0 = 0x00cf93000000ffffn, TSS = 0x00008b0000000067n;
const GP = 13 << 16, AREA = 0xffff820000010000n; // of vCPU 0's LDT
const selector = (k: number) => k * 8 + 7;
const out = new Int32Array(2);

/** A guest whose LDT is one page at the address of a frame that only is mapped read-only. */
function withLdt(wide: boolean, entries: readonly (readonly [number, bigint])[] = [[5, DATA_0]]): { g: Guest; mfn: number } {
  const g = new Guest({ wide }), mfn = g.table(g.free(0), entries);
  expect(g.ext(MMUEXT_SET_LDT, g.va(mfn), 512n)).toBe(0);
  return { g, mfn };
}
const isDescriptors = (g: Guest, mfn: number) => (g.xen.host.frames.type(mfn) & PGT_TYPE_MASK) === PGT_SEG_DESC && (g.xen.host.frames.type(mfn) & PGT_COUNT) !== 0;

describe.each(widths)('the LDT of a %s guest', (_, wide) => {
  it('becomes a descriptor page when a selector is loaded, not before', () => {
    const { g, mfn } = withLdt(wide);
    expect(isDescriptors(g, mfn)).toBe(false);
    expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(FAULT_NONE);
    expect(isDescriptors(g, mfn)).toBe(true);
    expect(out[1]! >>> 13 & 3).toBe(wide ? 3 : 1); // the privilege that the guest's kernel has
    expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(-16);
    expect(g.pin(1, mfn)).toBe(-22);
    holds(g);
  });

  it('is mapped by the fault of the processor’s own load, too', () => {
    const { g, mfn } = withLdt(wide), { cpu } = g;
    const fault = cpu.access(Number(AREA >> 32n), Number(AREA & 0xffffffffn) + 40, ACCESS_IMPLICIT);
    expect(fault).toBe(FAULT_PF);
    expect(g.xen.pageFault(cpu, fault, AREA + 40n)).toBe(FAULT_NONE);
    expect(isDescriptors(g, mfn)).toBe(true);
    expect(g.xen.descriptor(cpu, selector(5), out)).toBe(FAULT_NONE);
    holds(g);
  });

  it('that cannot be read, or holds what no guest may have, faults at the guest’s own address', () => {
    const { g, mfn } = withLdt(wide, [[5, DATA_0], [9, TSS]]);
    expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(FAULT_PF);
    expect(g.xen.cr2(g.cpu)).toBe(g.va(mfn) + 40n);
    expect(g.map(g.va(mfn), 0n)).toBe(0);
    expect(g.xen.descriptor(g.cpu, selector(6), out)).toBe(FAULT_PF);
    expect(g.xen.cr2(g.cpu)).toBe(g.va(mfn) + 48n);
    expect(g.map(g.va(mfn), entryOf(g.free(3), DATA))).toBe(0); // mapped writable elsewhere
    expect(g.xen.descriptor(g.cpu, selector(6), out)).toBe(FAULT_PF);
    expect(g.xen.descriptor(g.cpu, selector(512), out)).toBe(GP | (512 * 8 + 4));
    expect(g.xen.descriptor(g.cpu, 8, out)).toBe(GP | 8); // not of the LDT
    expect(isDescriptors(g, mfn)).toBe(false);
    holds(g);
  });

  it('is let go of by another LDT, but not by the same', () => {
    const { g, mfn } = withLdt(wide);
    g.xen.descriptor(g.cpu, selector(5), out);
    expect(g.ext(MMUEXT_SET_LDT, g.va(mfn), 512n)).toBe(0);
    expect(isDescriptors(g, mfn)).toBe(true);
    const { flushes } = g.xen.counters().work;
    expect(g.ext(MMUEXT_SET_LDT, g.va(mfn), 511n)).toBe(0);
    expect(g.xen.counters().work.flushes).toBe(flushes + 1);
    expect(isDescriptors(g, mfn)).toBe(false);
    expect(g.ext(MMUEXT_SET_LDT, 0n, 0n)).toBe(0);
    expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(GP | 44);
    expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    holds(g);
  });

  it('goes with a new root table, and with the domain', () => {
    const { g, mfn } = withLdt(wide), { frames } = g.xen.host;
    g.xen.descriptor(g.cpu, selector(5), out);
    const root = g.free(8);
    const slots = wide ? [511] : [0, 1, 2, 3];
    if (wide) {
      g.table(root, slots.map(slot => [slot, g.entry(g.tables[0]!, slot)]));
      expect(g.ext(MMUEXT_NEW_BASEPTR, BigInt(root))).toBe(0);
    } else {
      expect(g.ext(MMUEXT_NEW_BASEPTR, BigInt(g.tables[0]!))).toBe(0); // the same, but 32-bit guests' are stored again
    }
    expect(isDescriptors(g, mfn)).toBe(false);
    expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(FAULT_NONE);
    holds(g);
    g.xen.destroyDomain(0);
    expect([frames.refs(mfn), g.xen.host.domain(0)]).toEqual([0, undefined]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('stays mapped as it was when the guest maps another page there', () => {
    const { g, mfn } = withLdt(wide);
    g.xen.descriptor(g.cpu, selector(5), out);
    expect(g.map(g.va(mfn), entryOf(g.free(9), READ))).toBe(0);
    expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(FAULT_NONE);
    expect(out[0]! & 0xffff).toBe(0xffff);
    expect(isDescriptors(g, mfn)).toBe(true);
    holds(g);
  });
});

it('the LDT of a guest in user mode is found by the tables of its kernel', () => {
  const { g, mfn } = withLdt(true), user = g.table(g.free(8), [[0, 0n]]);
  expect(g.ext(15, BigInt(user))).toBe(0);
  expect(g.xen.setMode(g.cpu, 'user')).toBe(true);
  expect(g.xen.descriptor(g.cpu, selector(5), out)).toBe(FAULT_NONE);
  expect(isDescriptors(g, mfn)).toBe(true);
  expect(g.cpu.registers.cr3 >> 12n).toBe(BigInt(user));
  expect(g.xen.descriptor(g.cpu, selector(600), out)).toBe(GP | (600 * 8 + 4));
  expect(g.xen.setMode(g.cpu, 'kernel')).toBe(true);
  holds(g);
});

it('the LDT of a 64-bit guest whose address overflows into none is #GP', () => {
  const g = new Guest({ wide: true });
  expect(g.ext(MMUEXT_SET_LDT, 0x7fff_ffff_f000n, 8192n)).toBe(0);
  expect(g.xen.descriptor(g.cpu, selector(513), out)).toBe(GP | (513 * 8 + 4));
});
