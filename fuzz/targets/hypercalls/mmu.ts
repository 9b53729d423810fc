/** Operations on page tables: what a kernel asks of its hypervisor, and what it does to its tables itself. */
import {
  HYPERVISOR_mmu_update, HYPERVISOR_multicall, HYPERVISOR_mmuext_op, HYPERVISOR_set_gdt, HYPERVISOR_update_descriptor, HYPERVISOR_update_va_mapping,
  HYPERVISOR_update_va_mapping_otherdomain, HYPERVISOR_vm_assist, DOMID_SELF,
} from '../../../src/xen/numbers.ts';
import { struct } from '../../../test/xen/grant-struct.ts';
import type { Tenant } from '../../../test/xen/tenants.ts';
import type { Operation } from '../../operation.ts';
import { FLAG_CHOICES, FRAMES, ID_CHOICES, PAGES, SLOTS, type World } from './world.ts';

const DOM = 3;
/** Tables that an entry is changed in: the domain's own, then frames that may have become one. */
const TABLES = [12, 12, 15, 13, 14, 0, 1, 2, 3, 4, 5, 16, 19, 24, 25, 26, 31];
const MOST_BATCH = 6;

const args = (world: World, ...list: (bigint | number)[]): bigint[] => list.map(value => BigInt.asUintN(world.wide ? 64 : 32, BigInt(value)));

function mapCall(world: World, va: bigint, value: bigint, flags: number): bigint[] {
  return world.wide ? [va, value, BigInt(flags)] : [va, value & 0xffffffffn, value >> 32n, BigInt(flags)];
}

function update(world: World, t: Tenant, domid: number, requests: readonly (readonly [ptr: bigint, value: bigint])[]): number {
  const at = t.leave(struct(requests.flatMap(([ptr, value]) => [[8, ptr], [8, value]] as const)));
  return t.call(HYPERVISOR_mmu_update, ...args(world, at, requests.length, 0, domid));
}

function ext(world: World, t: Tenant, command: number, arg1: bigint, arg2: bigint, domid = DOMID_SELF): number {
  const size = world.wide ? 8 : 4, most = world.wide ? 64 : 32;
  const at = t.leave(struct([[size, command], [size, BigInt.asUintN(most, arg1)], [size, BigInt.asUintN(most, arg2)]]), 256);
  return t.call(HYPERVISOR_mmuext_op, ...args(world, at, 1, 0, domid));
}

const fault = (result: number): number => (result === 0 ? 0 : -1000 - (result >>> 16));

export const TABLE_OPERATIONS: readonly Operation<World>[] = [
  { name: 'map', share: 6, fields: { domain: DOM, page: PAGES, frame: FRAMES, flags: FLAG_CHOICES, flush: [2, 0, 1, 6, 5, 3, 7] }, run(w, [d, page, frame, flags, flush]) {
    const t = w.domain(d!);
    return t.call(HYPERVISOR_update_va_mapping, ...mapCall(w, t.va(w.page(page!)), w.value(t, frame!, flags!), flush!));
  } },
  { name: 'seal', share: 3, fields: { domain: DOM, frame: 12, flags: [1, 3, 0] }, run(w, [d, frame, flags]) { // so that it can become a table
    const t = w.domain(d!);
    return t.call(HYPERVISOR_update_va_mapping, ...mapCall(w, t.va(w.frame(t, frame!) - t.first), w.value(t, frame!, flags!), 2));
  } },
  { name: 'update', share: 8, fields: { domain: DOM, table: TABLES, slot: SLOTS, frame: FRAMES, flags: FLAG_CHOICES, command: [0, 0, 0, 2, 3, 1] }, run(w, [d, table, slot, frame, flags, command]) {
    const t = w.domain(d!);
    return update(w, t, DOMID_SELF, [[BigInt(w.frame(t, table!)) * 4096n + BigInt(slot! * 8 + command!), w.value(t, frame!, flags!)]]);
  } },
  { name: 'batch', share: 3, fields: { domain: DOM, table: TABLES, slot: SLOTS, frame: FRAMES, flags: FLAG_CHOICES, count: MOST_BATCH, step: [1, 0, 2] }, run(w, [d, table, slot, frame, flags, count, step]) {
    const t = w.domain(d!), at = BigInt(w.frame(t, table!)) * 4096n;
    return update(w, t, DOMID_SELF, Array.from({ length: count! + 2 }, (_, k) => [at + BigInt(((slot! + k) & 511) * 8), w.value(t, (frame! + k * step!) % FRAMES, flags!)]));
  } },
  { name: 'foreign', fields: { domain: DOM, id: ID_CHOICES, by: [0, 1], table: TABLES, slot: SLOTS, frame: FRAMES, flags: FLAG_CHOICES }, run(w, [d, id, by, table, slot, frame, flags]) {
    const t = w.domain(d!), other = w.id(id!), named = by === 0 ? other : other | ((other + 1) << 16);
    return update(w, t, named, [[BigInt(w.frame(t, table!)) * 4096n + BigInt(slot! * 8), w.value(t, frame!, flags!)]]);
  } },
  { name: 'mapOther', fields: { domain: DOM, id: ID_CHOICES, page: PAGES, frame: FRAMES, flags: FLAG_CHOICES }, run(w, [d, id, page, frame, flags]) {
    const t = w.domain(d!);
    return t.call(HYPERVISOR_update_va_mapping_otherdomain, ...mapCall(w, t.va(w.page(page!)), w.value(t, frame!, flags!), 2), BigInt(w.id(id!)));
  } },
  { name: 'pin', share: 4, fields: { domain: DOM, level: [0, 1, 2, 3], frame: FRAMES, id: ID_CHOICES, own: [1, 1, 1, 0] }, run(w, [d, level, frame, id, own]) {
    const t = w.domain(d!);
    return ext(w, t, level!, BigInt(w.frame(t, frame!)), 0n, own === 1 ? DOMID_SELF : w.id(id!));
  } },
  { name: 'unpin', share: 3, fields: { domain: DOM, frame: FRAMES, id: ID_CHOICES, own: [1, 1, 1, 0] }, run(w, [d, frame, id, own]) {
    const t = w.domain(d!);
    return ext(w, t, 4, BigInt(w.frame(t, frame!)), 0n, own === 1 ? DOMID_SELF : w.id(id!));
  } },
  { name: 'root', share: 2, fields: { domain: DOM, command: [5, 15], frame: FRAMES }, run(w, [d, command, frame]) {
    const t = w.domain(d!);
    return ext(w, t, command!, command === 15 && frame === 28 ? 0n : BigInt(w.frame(t, frame!)), 0n);
  } },
  { name: 'ext', share: 2, fields: { domain: DOM, command: 24, frame: FRAMES, second: FRAMES, page: PAGES, address: [0, 1] }, run(w, [d, command, frame, second, page, address]) {
    const t = w.domain(d!);
    return ext(w, t, command!, address === 1 ? t.va(w.page(page!)) : BigInt(w.frame(t, frame!)), BigInt(w.frame(t, second!)));
  } },
  { name: 'store', share: 4, fields: { domain: DOM, frame: FRAMES, slot: SLOTS, target: FRAMES, flags: FLAG_CHOICES, at: [0, 0, 0, 4, 1] }, run(w, [d, frame, slot, target, flags, at]) {
    const t = w.domain(d!), mfn = w.frame(t, frame!), page = mfn >= t.first && mfn < t.first + 64 ? mfn - t.first : w.page(frame! % PAGES);
    return fault(w.tenants.xen.write(t.cpu, t.va(page) + BigInt((slot! * 8 + at!) & 0xff8) + BigInt(at!), struct([[8, w.value(t, target!, flags!)]])));
  } },
  { name: 'touch', share: 2, fields: { domain: DOM, page: PAGES, slot: SLOTS }, run(w, [d, page, slot]) { // what is cached for it then can write
    const t = w.domain(d!);
    return fault(w.tenants.xen.write(t.cpu, t.va(w.page(page!)) + BigInt(slot! * 8), new Uint8Array(8)));
  } },
  { name: 'load', fields: { domain: DOM, page: PAGES }, run: (w, [d, page]) => {
    const t = w.domain(d!);
    return fault(w.tenants.xen.read(t.cpu, t.va(w.page(page!)), new Uint8Array(8)));
  } },
];

const setAssist = (w: World, t: Tenant, command: number, type: number): number => t.call(HYPERVISOR_vm_assist, ...args(w, command, type));

export const PROCESSOR_OPERATIONS: readonly Operation<World>[] = [
  { name: 'mode', fields: { domain: DOM, user: [0, 0, 1] }, run(w, [d, user]) {
    const t = w.domain(d!);
    return w.tenants.xen.setMode(t.cpu, user === 1 ? 'user' : 'kernel') ? 0 : -1;
  } },
  { name: 'assist', fields: { domain: DOM, command: 3, type: [2, 0, 3, 5, 32, 40] }, run: (w, [d, command, type]) => setAssist(w, w.domain(d!), command!, type!) },
  { name: 'gdt', fields: { domain: DOM, frame: FRAMES, second: FRAMES, entries: [8, 512, 513, 1024, 0, 7168, 8192] }, run(w, [d, frame, second, entries]) {
    const t = w.domain(d!), size = w.wide ? 8 : 4;
    return t.call(HYPERVISOR_set_gdt, ...args(w, t.leave(struct([[size, w.frame(t, frame!)], [size, w.frame(t, second!)]])), entries!));
  } },
  { name: 'ldt', fields: { domain: DOM, page: PAGES, entries: [0, 8, 512, 1024, 8193], selector: [7, 15, 0x1007, 0xffff] }, run(w, [d, page, entries, selector]) {
    const t = w.domain(d!), rc = ext(w, t, 13, t.va(w.page(page!)), BigInt(entries!));
    return rc === 0 ? fault(w.tenants.xen.descriptor(t.cpu, selector!, new Int32Array(2))) : rc;
  } },
  { name: 'descriptor', fields: { domain: DOM, frame: FRAMES, slot: SLOTS, high: [0xcf9b00, 0xcf9300, 0x8b00, 0xec00, 0, 0xffffff] }, run(w, [d, frame, slot, high]) {
    const t = w.domain(d!), pa = BigInt(w.frame(t, frame!)) * 4096n + BigInt(slot! * 8), value = (BigInt(high!) << 32n) | 0xffffn;
    return t.call(HYPERVISOR_update_descriptor, ...(w.wide ? [pa, value] : [pa & 0xffffffffn, pa >> 32n, value & 0xffffffffn, value >> 32n]));
  } },
  { name: 'multicall', share: 2, fields: { domain: DOM, page: PAGES, frame: FRAMES, flags: FLAG_CHOICES, command: 20, second: FRAMES }, run(w, [d, page, frame, flags, command, second]) {
    const t = w.domain(d!), size = w.wide ? 8 : 4, most = w.wide ? 64 : 32, extAt = t.leave(struct([[size, command!], [size, w.frame(t, second!)], [size, 0]]), 512);
    const calls = [[HYPERVISOR_update_va_mapping, ...mapCall(w, t.va(w.page(page!)), w.value(t, frame!, flags!), 2)], [HYPERVISOR_mmuext_op, extAt, 1, 0, DOMID_SELF], [HYPERVISOR_multicall, extAt, 1]];
    const words = calls.flatMap(([nr, ...list]) => [nr!, 0, ...Array.from({ length: 6 }, (_, k) => list[k] ?? 0)]);
    const at = t.leave(struct(words.map(word => [size, BigInt.asUintN(most, BigInt(word))] as const)), 1024);
    return t.call(HYPERVISOR_multicall, ...args(w, at, calls.length));
  } },
  { name: 'raw', fields: { domain: DOM, call: 48, a: 12, b: 12, c: 12, e: 12 }, run(w, [d, call, ...rest]) {
    const t = w.domain(d!), pool = [0n, 1n, 2n, 3n, t.va(63), t.va(8), -1n, 0x7ff0n, 0x7fffffffn, 0xffff800000000000n, t.va(63) + 4090n, BigInt(t.frame(9))];
    return t.call(call!, ...args(w, ...rest.map(k => pool[k]!)));
  } },
];
