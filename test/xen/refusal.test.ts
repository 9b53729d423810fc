import { describe, expect, it } from 'vitest';
import { HYPERVISOR_multicall } from '../../src/xen/numbers.ts';
import { Guest, entryOf, ARGS, DATA, FIRST, P, READ, TABLE, US } from './guest.ts';

const EINVAL = -22, EPERM = -1, EBUSY = -16, EACCES = -13, ENOSYS = -38, EFAULT = -14;
const FOREIGN = 0x350, HYPERVISOR_stack_switch = 3n;
const widths = [['64-bit', true], ['32-bit', false]] as const;

describe.each(widths)('a %s guest', (_, wide) => {
  const g = new Guest({ wide });
  const l1 = g.level1[0], l2 = g.tables[2], slot = 200;
  const cases: [what: string, rc: number, request: readonly [number, number, bigint, number?]][] = [
    ["a free frame", EBUSY, [l1, slot, entryOf(FOREIGN, DATA)]],
    ['a frame that does not exist', EPERM, [l1, slot, entryOf(0x80000, DATA)]],
    ['the frame that is none', EINVAL, [l1, slot, entryOf(0xff_ffff_ffff, DATA)]],
    ["the hypervisor's own frames", EPERM, [l1, slot, entryOf(g.xen.host.m2p.level3, READ)]],
    ['a page table, writable', EBUSY, [l1, slot, entryOf(g.tables[0], DATA)]],
    ['an uncached mapping without I/O rights', EINVAL, [l1, slot, entryOf(g.free(0), DATA | 0x10n)]],
    ['a large page', EINVAL, [l2, 3, entryOf(g.free(0), TABLE | 0x80n)]],
    ['a data frame as a page table', EINVAL, [l2, 3, entryOf(g.free(0), TABLE)]],
    ['an unknown command', ENOSYS, [l1, slot, entryOf(g.free(0), DATA), 5]],
    ["a table that is not the guest's", EINVAL, [FOREIGN, slot, entryOf(g.free(0), DATA)]],
    ...(wide ? [256, 257, 271] : []).map((k): [string, number, [number, number, bigint]] => [`the hypervisor's slots: ${k}`, EINVAL, [g.tables[0], k, 0n]]),
    ...(wide ? [] : [428, 511]).map((k): [string, number, [number, number, bigint]] => [`the hypervisor's part of its last level-2 table: ${k}`, EPERM, [g.tables[4], k, 0n]]),
    ...(wide ? [] : [['the last entry of its root', EINVAL, [g.tables[0], 3, 0n]] as [string, number, [number, number, bigint]]]),
  ];
  it.each(cases)('is refused %s (%i), and every byte stays', (_what, rc, request) => {
    g.update(request); // the arguments are where they will be, and the entries that lead to them marked
    const before = g.bytes();
    expect(g.update(request)).toBe(rc);
    expect(Buffer.compare(before, g.bytes())).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  });

  it.runIf(wide)("has the slots beside the hypervisor's", () => {
    for (const k of [255, 272]) expect(g.update([g.tables[0], k, 0x1234_0000n])).toBe(0);
    expect([255, 272].map(k => g.entry(g.tables[0], k))).toEqual([0x1234_0000n, 0x1234_0000n]);
  });

  /** Source: unadjust_guest_l3e() in promote_l3_table() (xen/arch/x86/mm.c), pv/mm.h. */
  it.runIf(!wide)('has the entries of a root that is refused as it gave them, and may give them again', () => {
    const own = new Guest({ wide }), root = own.free(0), l2 = own.table(own.free(1)), given = entryOf(l2, P);
    own.table(root, [[0, given], [1, entryOf(FOREIGN, P)]]);
    expect(own.pin(3, root)).toBe(EINVAL);
    expect([0, 1].map(k => own.entry(root, k))).toEqual([given, entryOf(FOREIGN, P)]);
    expect(own.xen.audit()).toEqual([]);
  });

  it("is refused a call of a list whose number is beyond 32 bits, if it has as many", () => {
    const list = g.wide ? g.words(8, HYPERVISOR_stack_switch + (1n << 32n), 1n) : g.words(4, HYPERVISOR_stack_switch, 1n), out = new Uint8Array(4);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_multicall, list, 1n))).toBe(0);
    g.xen.read(g.cpu, list + (g.wide ? 8n : 4n), out);
    expect(new DataView(out.buffer).getInt32(0, true)).toBe(wide ? ENOSYS : 0);
  });

  it('keeps A and D of entries at any level, if it asks for that', () => {
    const AD = 0x60n, own = new Guest({ wide }), level1 = own.level1[0]!, entry = own.entry(l2, 0);
    expect(entry & AD).toBe(AD);
    expect(own.update([l2, 0, entry & ~AD, 2], [level1, slot, own.entry(level1, slot) & ~AD, 2])).toBe(0);
    expect([own.entry(l2, 0) & AD, own.entry(level1, slot) & AD]).toEqual([AD, AD]);
    const tables = [own.table(own.free(0)), own.table(own.free(1))];
    expect(own.update([l2, 9, entryOf(tables[0]!, TABLE)], [l2, 9, entryOf(tables[1]!, P | US), 2])).toBe(0);
    expect(own.entry(l2, 9)).toBe(entryOf(tables[1]!, P | US | AD));
    expect(own.update([l2, 0, entry & ~AD])).toBe(0);
    expect(own.entry(l2, 0) & 0x40n).toBe(0n);
  });

  it('invalidates one address on all its vCPUs, and no other', () => {
    const own = new Guest({ wide }), [a, b, c] = [own.free(0), own.free(1), own.free(2)], seen = new Uint8Array(1), page = (mfn: number) => mfn - FIRST;
    [a, b, c].forEach((mfn, k) => own.machine.write(BigInt(mfn) * 4096n, Uint8Array.of(k)));
    const look = (mfn: number): number => { own.xen.read(own.cpu, own.va(mfn), seen); return seen[0]!; };
    expect([look(a), look(b)]).toEqual([0, 1]);
    expect(own.update([own.level1[page(b) >>> 9]!, page(b) & 511, entryOf(c, READ)])).toBe(0);
    expect(own.map(own.va(a), entryOf(c, READ), 2n | 4n)).toBe(0); // UVMF_INVLPG, UVMF_ALL
    expect([look(a), look(b)]).toEqual([2, 1]);
    expect(own.map(own.va(a), entryOf(a, READ), 1n | 4n)).toBe(0); // UVMF_TLB_FLUSH
    expect([look(a), look(b)]).toEqual([0, 2]);
  });

  it('is refused flushes of vCPUs named by a mask that cannot be read', () => {
    const mask = g.words(8, 1n), TLB_FLUSH_MULTI = 8, INVLPG_MULTI = 9;
    for (const command of [TLB_FLUSH_MULTI, INVLPG_MULTI]) expect([g.ext(command, 0n, 0x1000n), g.ext(command, 0n, mask)]).toEqual([EINVAL, 0]);
    expect(g.map(g.va(g.free(0)), entryOf(g.free(0), DATA), 0x1000n | 1n)).toBe(EFAULT); // here it is told otherwise
  });

  it('is refused the cacheability of shared frames', () => {
    const own = new Guest({ wide, iomem: [[0x10000, 0x1ffff]] });
    expect(own.update([own.level1[0], slot, entryOf(own.sharedInfo, DATA | 0x10n)])).toBe(EACCES);
    expect(own.update([own.level1[0], slot, entryOf(own.sharedInfo, DATA)])).toBe(0);
    expect(own.update([own.level1[0], slot, entryOf(0x12345, DATA)])).toBe(0);
    expect(own.entry(own.level1[0], slot) & 0x98n).toBe(0x18n);
    expect(own.xen.audit()).toEqual([]);
  });

  it('keeps the requests before the one that failed, and counts them', () => {
    const own = new Guest({ wide }), done = own.va(ARGS) + 2048n;
    const at = own.words(8, ...[[200, own.free(0)], [201, FOREIGN], [202, own.free(1)]].flatMap(([k, mfn]) => [entryOf(own.level1[0], BigInt(k * 8)), entryOf(mfn, READ)]));
    expect(Number(own.xen.hypercall(own.cpu, 1, at, 3n, done, 0x7ff0n))).toBe(EBUSY);
    const count = new Uint8Array(4);
    own.xen.read(own.cpu, done, count);
    expect([...count]).toEqual([1, 0, 0, 0]);
    expect(own.entry(own.level1[0], 200) & ~0xfffn & 0xff_ffff_ffffn).toBe(entryOf(own.free(0), 0n));
    expect(own.entry(own.level1[0], 202) >> 12n & 0xffffn).toBe(BigInt(FIRST + 202));
  });

  const bad: [what: string, at: bigint][] = wide
    ? [['not canonical', 0x8000_0000_0000n], ["the hypervisor's", 0xffff_8300_0000_0000n], ['not mapped', 0x1000n]]
    : [['not mapped', 0x1000n], ['not mapped, high', 0xf000_0000n]];
  it.each(bad)('gets -EFAULT for an array whose address is %s', (_what, at) => {
    expect(Number(g.xen.hypercall(g.cpu, 1, at, 1n, 0n, 0x7ff0n))).toBe(EFAULT);
    expect(Number(g.xen.hypercall(g.cpu, 26, at, 1n, 0n, 0x7ff0n))).toBe(EFAULT);
    expect(Number(g.xen.hypercall(g.cpu, 13, at, 1n))).toBe(EFAULT);
  });

  it.runIf(!wide)('gets -EFAULT for arrays that reach the addresses of the hypervisor', () => {
    expect(Number(g.xen.hypercall(g.cpu, 26, g.va(ARGS), 0x0fff_ffffn, 0n, 0x7ff0n))).toBe(EFAULT);
    expect(Number(g.xen.hypercall(g.cpu, 13, 0xf580_0000n, 1n))).toBe(EFAULT);
    expect(Number(g.xen.hypercall(g.cpu, 26, 0xf580_0000n, 0n, 0n, 0x7ff0n))).toBe(EFAULT);
    expect(Number(g.xen.hypercall(g.cpu, 26, g.va(ARGS), 0n, 0n, 0x7ff0n))).toBe(0);
  });

  it('gets -EFAULT at the request that its mapping ends before, with earlier ones done', () => {
    const own = new Guest({ wide }), last = FIRST + 1023, hole = own.free(3);
    const data = new Uint8Array(16);
    new DataView(data.buffer).setBigUint64(0, entryOf(own.level1[0], 200n * 8n), true);
    new DataView(data.buffer).setBigUint64(8, entryOf(own.free(0), READ), true);
    own.xen.write(own.cpu, own.va(hole) + 4080n, data);
    expect(own.map(own.va(hole + 1), 0n)).toBe(0);
    expect(Number(own.xen.hypercall(own.cpu, 1, own.va(hole) + 4080n, 0x7fff_ffffn, own.va(last), 0x7ff0n))).toBe(EFAULT);
    const count = new Uint8Array(4);
    own.xen.read(own.cpu, own.va(last), count);
    expect(count[0]).toBe(1);
    expect(own.xen.audit()).toEqual([]);
  });

  it('stores to its level-1 tables by emulation, and is refused what the call would be', () => {
    const own = new Guest({ wide }), entry = (value: bigint) => { const data = new Uint8Array(8); new DataView(data.buffer).setBigUint64(0, value, true); return data; };
    const at = own.va(own.level1[0]) + 200n * 8n;
    expect(own.xen.write(own.cpu, at, entry(entryOf(own.free(5), P | US | 0x20n)))).toBe(0);
    expect(own.entry(own.level1[0], 200) >> 12n & 0xffffn).toBe(BigInt(own.free(5)));
    const fault = own.xen.write(own.cpu, at, entry(entryOf(own.tables[0], DATA)));
    expect([fault >>> 16, fault & 0xffff, own.xen.cr2(own.cpu)]).toEqual([14, 3, at]);
    expect(own.xen.write(own.cpu, own.va(own.tables[1]), entry(0n)) >>> 16).toBe(14); // higher tables are not emulated
    expect(own.xen.audit()).toEqual([]);
  });
});
