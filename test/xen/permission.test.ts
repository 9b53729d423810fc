/**
 * What a guest may do to others: nothing, unless it is privileged; and what frames of devices are good for.
 *
 * Source: facts of Xen 4.17, xsm_mmu_update(), xsm_mmuext_op(), xsm_update_va_mapping(), xsm_default_action() (xen/include/xsm/dummy.h),
 *         get_pg_owner() (xen/common/page_alloc.c), assign_io_page() (xen/arch/x86/mm.c).
 */
import { describe, expect, it } from 'vitest';
import {
  DOMID_IO, DOMID_SELF, DOMID_XEN, HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, HYPERVISOR_update_va_mapping_otherdomain,
} from '../../src/xen/numbers.ts';
import { struct } from './grant-struct.ts';
import { Guest, entryOf, READ } from './guest.ts';
import { SPARE, Tenants, type Tenant } from './tenants.ts';

const EPERM = -1, ESRCH = -3, EINVAL = -22, ENOSYS = -38;
const NOBODY = 77, DONE = 2048;
const PIN_L1 = 0, PIN_L2 = 1, UNPIN = 4, TLB_FLUSH_LOCAL = 6, CLEAR = 16, COPY = 17;
const widths = [['64-bit', true], ['32-bit', false]] as const;

interface Request { readonly of?: number; readonly tables?: number; readonly at: number; readonly value?: bigint; readonly command?: number }

function update(t: Tenant, { of = DOMID_SELF, tables, at, value = 0n, command = 0 }: Request): number {
  const list = t.leave(struct([[8, at * 4096 + command], [8, value]]));
  return t.call(HYPERVISOR_mmu_update, list, 1n, list + BigInt(DONE), BigInt(of + (tables === undefined ? 0 : (tables + 1) * 0x10000)));
}

function extend(t: Tenant, of: number, command: number, argument: number, second = 0, count = 1n): number {
  const size = t.world.wide ? 8 : 4, at = t.leave(struct([[size, command], [size, argument], [size, second]]));
  return t.call(HYPERVISOR_mmuext_op, at, count, at + BigInt(DONE), BigInt(of));
}

function mapOf(t: Tenant, of: number, value: bigint): number {
  const va = t.va(SPARE);
  return t.call(HYPERVISOR_update_va_mapping_otherdomain, ...(t.world.wide ? [va, value, 0n] : [va, value & 0xffffffffn, value >> 32n, 0n]), BigInt(of));
}

describe.each(widths)('a %s guest without privilege', (_, wide) => {
  const world = new Tenants({ wide }), [t, other] = world.list as [Tenant, Tenant], theirs = other.frame(20);
  const unharmed = (what: () => number): number => {
    t.leave(new Uint8Array(4096));
    const before = world.state(), rc = what();
    t.leave(new Uint8Array(4096));
    expect(Buffer.compare(before, world.state())).toBe(0);
    return rc;
  };
  t.map(SPARE, 0n);
  mapOf(t, DOMID_IO, 0n); // the entries that lead there are marked

  it.each([
    ["its tables", { tables: 1, at: theirs, value: 0x1234n }],
    ["its tables, by an entry that is not present", { tables: 1, at: other.level1, value: 0n }],
    ["its frames", { of: 1, at: t.level1, value: entryOf(theirs, READ) }],
    ["no frame, by its number", { of: 1, at: t.level1, value: 0n }],
    ["what its frames are called", { of: 1, at: theirs, value: 7n, command: 1 }],
    ["what the hypervisor's frames are called", { of: DOMID_XEN, at: theirs, value: 7n, command: 1 }],
    ["the hypervisor's frames", { of: DOMID_XEN, at: t.level1, value: 0n }],
  ])('is refused changes of another domain: %s', (_what, request) => {
    expect(unharmed(() => update(t, request))).toBe(EPERM);
  });

  it('may name devices as owner of a frame, but has no right to any', () => {
    expect(unharmed(() => update(t, { of: DOMID_IO, at: t.level1, value: entryOf(0x50, READ) }))).toBe(EPERM);
    expect(update(t, { of: DOMID_IO, at: t.frame(20), value: 1n })).toBe(0);
  });

  it('learns of an unknown command or domain first', () => {
    expect(update(t, { of: 1, at: theirs, command: 5 })).toBe(ENOSYS);
    expect(update(t, { of: NOBODY, at: theirs })).toBe(ESRCH);
    expect(extend(t, NOBODY, CLEAR, theirs)).toBe(ESRCH);
    expect(mapOf(t, NOBODY, 0n)).toBe(ESRCH);
  });

  it.each([
    ['clear', CLEAR, theirs, 0], ['copy', COPY, theirs, theirs + 1], ['pin', PIN_L1, theirs, 0], ['unpin', UNPIN, other.frame(0), 0], ['flush', TLB_FLUSH_LOCAL, 0, 0], ['do what there is not', 99, 0, 0],
  ])('is refused to %s for another domain', (_what, command, argument, second) => {
    for (const of of [1, DOMID_IO, DOMID_XEN]) expect(unharmed(() => extend(t, of, command, argument, second))).toBe(EPERM);
  });

  it('is refused mappings of another domain, also none', () => {
    for (const of of [1, DOMID_IO, DOMID_XEN]) for (const value of [0n, entryOf(theirs, READ)]) expect(unharmed(() => mapOf(t, of, value))).toBe(EPERM);
  });

  it(`is ${wide ? 'refused nothing to do' : 'not even asked for whom if there is nothing to do'}`, () => {
    expect(extend(t, 1, CLEAR, theirs, 0, 0n)).toBe(wide ? EPERM : 0);
    expect(extend(t, NOBODY, CLEAR, theirs, 0, 0n)).toBe(wide ? ESRCH : 0);
  });
});

describe.each(widths)('a %s guest with privilege', (_, wide) => {
  it('may', () => {
    const world = new Tenants({ wide, privileged: [0] }), [t, other] = world.list as [Tenant, Tenant], theirs = other.frame(20);
    expect(update(t, { tables: 1, at: theirs, value: 0x1234n })).toBe(0);
    expect(update(t, { of: 1, at: theirs, value: 7n, command: 1 })).toBe(0);
    expect(extend(t, 1, CLEAR, theirs)).toBe(0);
    expect(mapOf(t, 1, entryOf(theirs, READ))).toBe(0);
  });

  it('cannot clear, copy or pin frames of devices', () => {
    const g = new Guest({ wide }), at = (command: number) => (wide ? g.words(8, BigInt(command), 0x50n, 0x51n) : g.words(4, BigInt(command), 0x50n, 0x51n));
    g.machine.write(0x50000n, Uint8Array.of(1, 2, 3));
    const io = (command: number) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmuext_op, at(command), 1n, 0n, BigInt(DOMID_IO)));
    for (const command of [CLEAR, COPY, PIN_L1, PIN_L2, UNPIN]) expect(io(command)).toBe(EINVAL);
    const kept = new Uint8Array(3);
    g.machine.read(0x50000n, kept);
    expect([...kept]).toEqual([1, 2, 3]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('maps a device in a table of another domain only if that has a right to it, too', () => {
    const g = new Guest({ wide, iomem: [[0x50, 0x5f]] }), tables = [[1, 0x900, []], [2, 0x910, [[0x50, 0x50]]]] as const;
    const done = tables.map(([id, table, iomem]) => {
      g.xen.createDomain({ id, is32: !wide, p2m: [[0, table, 1]], iomem });
      const pin = wide ? g.words(8, BigInt(PIN_L1), BigInt(table), 0n) : g.words(4, BigInt(PIN_L1), BigInt(table), 0n);
      expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmuext_op, pin, 1n, 0n, BigInt(id)))).toBe(0);
      return [0x50, 0x51].map(mfn => Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmu_update, g.words(8, BigInt(table) << 12n, entryOf(mfn, READ)), 1n, 0n, BigInt(DOMID_IO + (id + 1) * 0x10000))));
    });
    expect(done).toEqual([[EPERM, EPERM], [0, EPERM]]);
    expect(g.xen.audit()).toEqual([]);
  });
});

/** Source: compat_mmuext_op() (xen/arch/x86/x86_64/compat/mm.c): operations are translated, up to 341, before the first of them is done. */
describe('a list of mmuext_op that its own first operation clears', () => {
  const run = (wide: boolean, before: number) => {
    const g = new Guest({ wide }), size = wide ? 8 : 4, page = g.free(0), table = g.table(g.free(1)), list = [...Array.from({ length: before }, () => [TLB_FLUSH_LOCAL, 0, 0]), [CLEAR, page, 0], [PIN_L1, table, 0]];
    g.xen.write(g.cpu, g.va(page), struct(list.flatMap(op => op.map(word => [size, word] as const))));
    const rc = Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmuext_op, g.va(page), BigInt(list.length), 0n, BigInt(DOMID_SELF)));
    expect(g.xen.audit()).toEqual([]);
    return [rc, g.xen.pageTypes(0, [table])[0]! >>> 28];
  };

  it('is done as it was read, which a 64-bit guest\'s is one by one, a 32-bit guest\'s before', () => {
    expect(run(true, 0)).toEqual([EINVAL, 0]);
    expect(run(false, 0)).toEqual([0, 9]);
    expect(run(false, 339)).toEqual([0, 9]);
    expect(run(false, 340)).toEqual([EINVAL, 0]);
  });
});
