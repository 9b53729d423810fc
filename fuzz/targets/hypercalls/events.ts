/** Operations on events: event_channel_op, and what guests write into the pages that they share. */
import { PGT_TYPE_MASK, PGT_WRITABLE } from '../../../src/layout/frame.ts';
import { ECS_UNBOUND, type Port } from '../../../src/xen/event-port.ts';
import { HYPERVISOR_physdev_op, HYPERVISOR_sched_op, HYPERVISOR_set_trap_table, HYPERVISOR_vcpu_op, DOMID_SELF } from '../../../src/xen/numbers.ts';
import { struct } from '../../../test/xen/grant-struct.ts';
import type { Tenant } from '../../../test/xen/tenants.ts';
import type { Operation } from '../../operation.ts';
import { FRAMES, ID_CHOICES, PAGES, type World } from './world.ts';

const DOM = 3, PORTS = 12, BIND_INTERDOMAIN = 0, ALLOC_UNBOUND = 6, CLOSE = 3;
const WILD = [0, 1, 4095, 0x1ffff, 0x7fffffff];
const MOST_PORTS = 24;

const portsOf = (t: Tenant): Port[] => Array.from({ length: Math.min(t.domain.events.valid, MOST_PORTS) }, (_, n) => t.domain.events.port(n)).filter(({ usable }) => usable);

/** One of a domain's ports, or a number that may be none. */
function portOf(t: Tenant, k: number): number {
  if (k >= PORTS) return WILD[k - PORTS]!;
  const mine = portsOf(t);
  return mine.length === 0 ? k : mine[k % mine.length]!.number;
}

const PORT = PORTS + WILD.length;

export const EVENT_OPERATIONS: readonly Operation<World>[] = [
  { name: 'alloc', share: 3, fields: { domain: DOM, of: ID_CHOICES, remote: ID_CHOICES, own: [1, 1, 1, 0] }, run(w, [d, of, remote, own]) {
    const t = w.domain(d!);
    if (portsOf(t).length >= MOST_PORTS - 4) return t.event(CLOSE, portOf(t, of!)).rc;
    return t.event(ALLOC_UNBOUND, (own === 1 ? DOMID_SELF : w.id(of!)) | (w.id(remote!) << 16)).rc;
  } },
  { name: 'bind', share: 4, fields: { domain: DOM, which: 8, wild: [0, 0, 0, 0, 1], id: ID_CHOICES, port: PORT }, run(w, [d, which, wild, id, port]) {
    const t = w.domain(d!), open = w.tenants.list.flatMap(owner => portsOf(owner).filter(({ state, remoteDomid }) => state === ECS_UNBOUND && remoteDomid === t.id).map(({ number }) => [owner.id, number] as const));
    const [remote, number] = wild === 1 || open.length === 0 ? [w.id(id!), portOf(t, port!)] : open[which! % open.length]!;
    return t.event(BIND_INTERDOMAIN, remote, number).rc;
  } },
  { name: 'event', share: 6, fields: { domain: DOM, command: [4, 4, 3, 5, 8, 9, 13], port: PORT, value: [0, 1, 2, 15, 16, 3] }, run(w, [d, command, port, value]) {
    const t = w.domain(d!), number = portOf(t, port!);
    return (command === 5 ? t.event(5, DOMID_SELF, number) : t.event(command!, number, value!)).rc;
  } },
  { name: 'local', share: 2, fields: { domain: DOM, command: [1, 7, 2], what: [0, 1, 2, 20, 23, 24], vcpu: [0, 1, 2] }, run: (w, [d, command, what, vcpu]) => w.domain(d!).event(command!, command === 7 ? vcpu! : what!, vcpu!).rc },
  { name: 'fifo', share: 3, fields: { domain: DOM, expand: [0, 1], frame: FRAMES, offset: [0, 8, 4, 4088, 4032, 2048], vcpu: [0, 1, 2] }, run(w, [d, expand, frame, offset, vcpu]) {
    const t = w.domain(d!);
    return (expand === 1 ? t.event(12, w.frame(t, frame!), 0) : t.event(11, w.frame(t, frame!), 0, offset!, vcpu!)).rc;
  } },
  { name: 'reset', fields: { domain: DOM, id: ID_CHOICES, command: [10, 10, 14] }, run: (w, [d, id, command]) => w.domain(d!).event(command!, w.id(id!)).rc },
  { name: 'eventRaw', fields: { domain: DOM, command: 18, a: PORT, b: PORT, c: PORT }, run(w, [d, command, a, b, c]) {
    const t = w.domain(d!);
    return t.event(command!, portOf(t, a!), portOf(t, b!), portOf(t, c!)).rc;
  } },
  { name: 'scribble', share: 4, fields: { domain: DOM, frame: [20, 0, 1, 2, 3, 4, 5], offset: 512, value: [0, 0xff, 1, 0x80, 0xffffffff, 0x20000000, 0x40000000, 0x80000001], width: [4, 8] }, run(w, [d, frame, offset, value, width]) {
    const t = w.domain(d!), mfn = w.frame(t, frame!); // as a guest may, if it has the frame writable
    if (!w.tenants.xen.host.frames.valid(mfn) || (w.tenants.xen.host.frames.type(mfn) & PGT_TYPE_MASK) !== PGT_WRITABLE || w.tenants.xen.host.frames.owner(mfn) !== t.id) return -1;
    w.tenants.machine.write(BigInt(mfn * 4096 + offset! * 8), struct([[width!, value!]]));
    return 0;
  } },
  { name: 'vcpu', fields: { domain: DOM, command: [10, 5, 4, 3, 0, 12], vcpu: [0, 1, 2], frame: FRAMES, offset: [0, 64, 4032, 4033] }, run(w, [d, command, vcpu, frame, offset]) {
    const t = w.domain(d!), words: [number, number | bigint][] = command === 5 ? [[8, t.va(w.page(frame! % PAGES)) & 0xffffffffffffffffn]] : [[8, w.frame(t, frame!)], [4, offset!], [4, 0]];
    return t.call(HYPERVISOR_vcpu_op, BigInt(command!), BigInt(vcpu!), t.leave(struct(words), 512));
  } },
  { name: 'sched', fields: { domain: DOM, command: [0, 1, 3, 6], port: PORT, count: [1, 0, 2, 129] }, run(w, [d, command, port, count]) {
    const t = w.domain(d!), list = t.leave(struct([[4, portOf(t, port!)], [4, portOf(t, 0)]]), 512), size = w.wide ? 8 : 4;
    return t.call(HYPERVISOR_sched_op, BigInt(command!), t.leave(struct([[size, BigInt.asUintN(size * 8, list)], [4, count!], [4, 0], [8, 0]])));
  } },
  { name: 'traps', fields: { domain: DOM, vector: [14, 0, 2, 255], flags: [0, 4, 3], selector: [0xe033, 0xe019, 8, 0] }, run(w, [d, vector, flags, selector]) {
    const t = w.domain(d!), size = w.wide ? 8 : 4, pad: [number, number][] = w.wide ? [[4, 0]] : [];
    return t.call(HYPERVISOR_set_trap_table, t.leave(struct([[1, vector!], [1, flags!], [2, selector!], ...pad, [size, 0x1000], [8, 0], [8, 0]].map(([bytes, value]) => [bytes === 1 ? 2 : bytes!, value!] as const))));
  } },
  { name: 'physdev', fields: { domain: DOM, command: [12, 13, 14, 17, 28, 23, 5, 8], a: 8, b: 8, c: 8 }, run(w, [d, command, a, b, c]) {
    const t = w.domain(d!), pool = [0, 1, 2, 16, DOMID_SELF, 0x7fffffff, t.frame(12), 3];
    return t.call(HYPERVISOR_physdev_op, BigInt(command!), t.leave(struct([[4, pool[a!]!], [4, pool[b!]!], [4, pool[c!]!], [4, pool[b!]!], [8, 0], [8, 0], [8, 0]])));
  } },
];

