import { describe, expect, it } from 'vitest';
import { PGT_SEG_DESC } from '../../src/layout/frame.ts';
import { HYPERVISOR_set_gdt, HYPERVISOR_update_descriptor } from '../../src/xen/numbers.ts';
import { DATA, entryOf, FIRST, Guest, READ } from './guest.ts';

const CODE = 0x00affb000000ffffn; // 64-bit, DPL 3
const DATA_0 = 0x00cf93000000ffffn; // 4 GiB of data, DPL 0
const widths = [['64-bit', true], ['32-bit', false]] as const;
const EINVAL = -22;

const setGdt = (g: Guest, entries: number, ...frames: number[]): number =>
  Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_gdt, g.words(g.wide ? 8 : 4, ...frames.map(BigInt)), BigInt(entries)));

const update = (g: Guest, mfn: number, slot: number, value: bigint): number => {
  const at = BigInt(mfn) * 4096n + BigInt(slot * 8), halves = (x: bigint) => [x & 0xffffffffn, x >> 32n];
  return Number(g.xen.hypercall(g.cpu, HYPERVISOR_update_descriptor, ...(g.wide ? [at, value] : [...halves(at), ...halves(value)])));
};

describe.each(widths)('descriptor tables of a %s guest', (_, wide) => {
  it('take frames that are not mapped writable, and keep them so', () => {
    const g = new Guest({ wide }), mfn = g.free(0), { frames } = g.xen.host;
    expect(setGdt(g, 512, mfn)).toBe(EINVAL); // mapped writable
    g.table(mfn, [[1, DATA_0]]);
    expect(setGdt(g, 513, mfn, g.free(1))).toBe(EINVAL);
    expect(frames.typeCount(mfn)).toBe(0); // what was taken is put
    expect(setGdt(g, 512, mfn)).toBe(0);
    expect(frames.kind(mfn)).toBe(PGT_SEG_DESC);
    expect(g.entry(mfn, 1)).toBe(wide ? DATA_0 | (3n << 45n) : DATA_0 | (1n << 45n)); // no more privilege than the kernel
    expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(-16);
    expect(g.update([mfn, 1, 0n])).toBe(EINVAL);
    expect(g.xen.audit()).toEqual([]);
    expect(setGdt(g, 0)).toBe(0);
    expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    expect(setGdt(g, 14 * 512 + 1)).toBe(EINVAL);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_gdt, 0x1000n, 1n))).toBe(-14);
    expect(g.xen.audit()).toEqual([]);
  });

  /** Source: flush_tlb_local() in do_set_gdt(), compat_set_gdt() (xen/arch/x86/pv/descriptor-tables.c). */
  it('are not cached when they change, nor is anything else', () => {
    const g = new Guest({ wide }), [a, b] = [g.free(0), g.free(1)], seen = new Uint8Array(1), page = a - FIRST;
    g.machine.write(BigInt(a) * 4096n, Uint8Array.of(1));
    g.machine.write(BigInt(b) * 4096n, Uint8Array.of(2));
    const look = (): number => { g.xen.read(g.cpu, g.va(a), seen); return seen[0]!; };
    expect(look()).toBe(1);
    expect(g.update([g.level1[page >>> 9]!, page & 511, entryOf(b, READ)])).toBe(0);
    expect(look()).toBe(1); // no one has flushed it
    expect(setGdt(g, 14 * 512 + 1)).toBe(EINVAL);
    expect(look()).toBe(1);
    expect(setGdt(g, 0)).toBe(0);
    expect(look()).toBe(2);
  });

  it('hold no system descriptors but call gates, which no one may use', () => {
    const g = new Guest({ wide }), tss = 0x00008b0000000067n, mfn = g.table(g.free(0), [[3, tss]]);
    expect(setGdt(g, 1, mfn)).toBe(EINVAL);
    expect(g.xen.host.frames.type(mfn)).toBe(0);
    expect(update(g, mfn, 3, 0n)).toBe(0);
    expect(setGdt(g, 1, mfn)).toBe(0);
    expect(update(g, mfn, 3, tss)).toBe(EINVAL);
    expect(update(g, mfn, 3, 0x0000ec0000080000n)).toBe(0); // DPL 3, selector 8
    expect(g.entry(mfn, 3)).toBe(0x00008c00000b0000n); // DPL 0; what it was is in the selector
    expect(update(g, mfn, 3, 0x0000ec00e0080000n)).toBe(EINVAL); // the hypervisor's segment 0xe008
    expect(update(g, mfn, 3, 0x0000ec0000080000n | 0x2000000000n)).toBe(EINVAL); // a reserved bit
    expect(g.entry(mfn, 3)).toBe(0x00008c00000b0000n);
    expect(g.xen.audit()).toEqual([]);
  });

  it('are changed by machine address: aligned, in frames of the guest that are no page tables', () => {
    const g = new Guest({ wide }), mfn = g.free(0), segment = wide ? CODE : DATA_0 | (3n << 45n);
    expect(update(g, mfn, 5, segment)).toBe(0); // a frame that is mapped writable will do
    expect(g.entry(mfn, 5)).toBe(segment);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_update_descriptor, BigInt(mfn) * 4096n + 4n, 0n))).toBe(EINVAL);
    expect(update(g, g.level1[0], 5, 0n)).toBe(EINVAL);
    expect(update(g, 0x350, 5, 0n)).toBe(EINVAL);
    expect(update(g, mfn, 5, CODE)).toBe(wide ? 0 : EINVAL); // L = 1
    expect(g.xen.audit()).toEqual([]);
  });

  it('are validated again after the frame was something else', () => {
    const g = new Guest({ wide }), mfn = g.table(g.free(0));
    expect(setGdt(g, 1, mfn)).toBe(0);
    expect(setGdt(g, 0)).toBe(0);
    expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(0);
    g.table(mfn, [[7, 0x00008b0000000067n]]);
    expect(setGdt(g, 1, mfn)).toBe(EINVAL);
    expect(g.map(g.va(mfn), entryOf(mfn, READ))).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  });
});

it('segments of a 32-bit guest that reach into its window on the machine-to-physical table reach all of it', () => {
  const g = new Guest({ wide: false }), mfn = g.free(0);
  expect(update(g, mfn, 0, 0x00cfb30000000000n | 0x5900n)).toBe(0); // limit 0xf5900fff in pages
  expect(g.entry(mfn, 0) & 0xf00000000ffffn).toBe(0xf00000000ffffn);
  expect(update(g, mfn, 0, 0x00c0b30000000000n | 0x5700n)).toBe(0);
  expect(g.entry(mfn, 0) & 0xf00000000ffffn).toBe(0x5700n);
});

it('go with their domain', () => {
  const g = new Guest(), mfn = g.table(g.free(0));
  expect(setGdt(g, 1, mfn)).toBe(0);
  g.xen.destroyDomain(0);
  expect(g.xen.host.frames.refs(mfn)).toBe(0);
  expect(g.xen.audit()).toEqual([]);
});
