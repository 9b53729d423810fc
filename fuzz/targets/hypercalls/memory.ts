/** Operations of memory_op: frames given back, asked for, exchanged, claimed, acquired; and every other one with some numbers. */
import { HYPERVISOR_memory_op, HYPERVISOR_update_va_mapping, XENMEM_acquire_resource, XENMEM_claim_pages } from '../../../src/xen/numbers.ts';
import { struct } from '../../../test/xen/grant-struct.ts';
import type { Tenant } from '../../../test/xen/tenants.ts';
import type { Operation } from '../../operation.ts';
import { FRAMES, ID_CHOICES, type World } from './world.ts';

const DOM = 3, LIST = 2048, OUT = 3072, SELF = 0x7ff0;
const COUNTS = [1, 2, 3, 0, 8, 70, 0x7fffffff], ORDERS = [0, 0, 0, 1, 2, 9, 10, 19, 64];
const START_SHIFT = 6;

type Part = readonly [bytes: number, value: number | bigint];

interface Extents { readonly list: bigint; readonly count: number; readonly order: number; readonly flags?: number; readonly domid?: number }

const reservation = (w: World, { list, count, order, flags = 0, domid = SELF }: Extents): Part[] => {
  const size = w.wide ? 8 : 4;
  return [[size, BigInt.asUintN(size * 8, list)], [size, count], [4, order], [4, flags], [2, domid], [2, 0], ...(w.wide ? [[4, 0] as const] : [])];
};

function memory(w: World, t: Tenant, command: number, parts: readonly Part[]): number {
  return t.call(HYPERVISOR_memory_op, BigInt(command), t.leave(struct(parts)) & (w.wide ? -1n : 0xffffffffn));
}

function leaveList(w: World, t: Tenant, values: readonly number[], offset: number): bigint {
  return t.leave(struct(values.map(value => [w.wide ? 8 : 4, value] as const)), offset);
}

/** The frame that a list of results begins with. */
function taken(w: World, t: Tenant, offset: number): number {
  return t.taken(w.wide ? 8 : 4, offset).getUint32(0, true) & 0x7fffffff;
}

export const MEMORY_OPERATIONS: readonly Operation<World>[] = [
  { name: 'hide', share: 3, fields: { domain: DOM, frame: 12 }, run(w, [d, frame]) { // unmap where the kernel sees it
    const t = w.domain(d!), va = t.va(w.frame(t, frame!) - t.first);
    return t.call(HYPERVISOR_update_va_mapping, ...(w.wide ? [va, 0n, 2n] : [va, 0n, 0n, 2n]));
  } },
  { name: 'decrease', share: 4, fields: { domain: DOM, frame: FRAMES, second: FRAMES, count: COUNTS, order: ORDERS, id: ID_CHOICES, own: [1, 1, 1, 0] }, run(w, [d, frame, second, count, order, id, own]) {
    const t = w.domain(d!), list = leaveList(w, t, [w.frame(t, frame!), w.frame(t, second!)], LIST);
    return memory(w, t, 1, reservation(w, { list, count: count!, order: order!, domid: own === 1 ? SELF : w.id(id!) }));
  } },
  { name: 'increase', share: 3, fields: { domain: DOM, count: COUNTS, order: ORDERS, list: [1, 1, 0, 2], flags: [0, 0, 1 << 16, 1 << 17, 40] }, run(w, [d, count, order, list, flags]) {
    const t = w.domain(d!), at = list === 0 ? 0n : list === 1 ? t.va(63) + BigInt(LIST) : t.va(200), rc = memory(w, t, 0, reservation(w, { list: at, count: count!, order: order!, flags: flags! }));
    if (rc > 0 && list === 1) w.lastFrame = taken(w, t, LIST);
    return rc;
  } },
  { name: 'populate', share: 3, fields: { domain: DOM, pfn: [8, 9, 70, 71, 0, 512, 0xffffff], second: 12, count: COUNTS, order: ORDERS, start: [0, 0, 0, 1, 2] }, run(w, [d, pfn, second, count, order, start]) {
    const t = w.domain(d!), list = leaveList(w, t, [pfn!, 8 + second!], LIST), rc = memory(w, t, 6 | (start! << START_SHIFT), reservation(w, { list, count: count!, order: order! }));
    if (rc > 0) w.lastFrame = taken(w, t, LIST);
    return rc;
  } },
  { name: 'exchange', share: 4, fields: { domain: DOM, frame: FRAMES, second: FRAMES, counts: [1, 2, 3, 0, 70], orders: 9, done: [0, 0, 0, 1, 2, 0x7fffffff], where: [0, 0, 1, 2] }, run(w, [d, frame, second, counts, orders, done, where]) {
    const t = w.domain(d!), list = leaveList(w, t, [w.frame(t, frame!), w.frame(t, second!)], LIST), order = orders! % 3, other = Math.floor(orders! / 3);
    const out = where === 0 ? t.va(63) + BigInt(OUT) : where === 1 ? list : t.va(200), size = w.wide ? 8 : 4;
    leaveList(w, t, [8, 9], OUT);
    const rc = memory(w, t, 11, [
      ...reservation(w, { list, count: counts!, order }), ...reservation(w, { list: out, count: (counts! << order) >> other, order: other }), [size, done!],
    ]);
    if (rc === 0 && where === 0) w.lastFrame = taken(w, t, OUT);
    return rc;
  } },
  { name: 'claim', fields: { domain: DOM, id: ID_CHOICES, pages: [0, 1, 8, 64, 65, 70, 0x7fffffff] }, run(w, [d, id, pages]) {
    const t = w.domain(d!);
    return memory(w, t, XENMEM_claim_pages, reservation(w, { list: 0n, count: pages!, order: 0, domid: w.id(id!) }));
  } },
  { name: 'acquire', fields: { domain: DOM, id: ID_CHOICES, kind: [1, 0, 2], which: [0, 1, 2], count: [1, 2, 0, 5], first: [0, 1, 3, 0x7fffffff] }, run(w, [d, id, kind, which, count, first]) {
    const t = w.domain(d!), list = t.va(63) + BigInt(LIST), size = w.wide ? 8 : 4;
    const rc = memory(w, t, XENMEM_acquire_resource, [[2, w.id(id!)], [2, kind!], [4, which!], [4, count!], [4, 0], [8, first!], [size, list & (w.wide ? 0xffffffffffffffffn : 0xffffffffn)]]);
    if (rc === 0) w.lastFrame = taken(w, t, LIST);
    return rc;
  } },
  { name: 'memory', share: 2, fields: { domain: DOM, command: 40, start: [0, 0, 1, 7], id: ID_CHOICES, a: 6, b: 6 }, run(w, [d, command, start, id, a, b]) {
    const t = w.domain(d!), pool = [0, 1, 16, 0x7fffffff, Number(t.va(63) & 0x7fffffffn), 3];
    return memory(w, t, command! | (start! << START_SHIFT), [[2, w.id(id!)], [2, a!], [4, pool[b!]!], [8, t.va(63) + BigInt(LIST) & 0xffffffffffffffffn], [8, pool[a!]!], [8, 1], [8, 0]]);
  } },
];
