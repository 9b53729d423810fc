/**
 * event_channel_op, sched_op and vcpu_op with each field out of range, one at a time. Each case names the function of Xen 4.17 that decides
 * (xen/common/event_channel.c if not said otherwise). It is made twice, the second time not a byte may change.
 */
import { describe, expect, it } from 'vitest';
import { DOMID_IO, DOMID_SELF, DOMID_XEN, HYPERVISOR_event_channel_op, HYPERVISOR_sched_op, HYPERVISOR_vcpu_op } from '../../src/xen/numbers.ts';
import { struct } from './grant-struct.ts';
import { READ, entryOf } from './guest.ts';
import { DATA_FRAME, SPARE, Tenants, type Tenant } from './tenants.ts';

const EPERM = -1, ENOENT = -2, ESRCH = -3, ENXIO = -6, EACCES = -13, EFAULT = -14, EEXIST = -17, EINVAL = -22, ENOSYS = -38, EOPNOTSUPP = -95;
const BIND_INTERDOMAIN = 0, BIND_VIRQ = 1, BIND_PIRQ = 2, CLOSE = 3, SEND = 4, STATUS = 5, ALLOC_UNBOUND = 6, BIND_IPI = 7, BIND_VCPU = 8, UNMASK = 9, RESET = 10;
const INIT_CONTROL = 11, EXPAND_ARRAY = 12, SET_PRIORITY = 13;
const SELF = DOMID_SELF, NOBODY = [77, DOMID_IO, DOMID_XEN, 0x7ff4, 0xffff];
const BEYOND = [4096, 0x1ffff, 0x20000, 0x7fffffff, 0xffffffff]; // ports that there are not
const NO_VCPU = [2, 8192, 0x7fffffff, 0xffffffff];

interface Scene {
  readonly world: Tenants;
  readonly t: Tenant;
  readonly other: Tenant;
  /** Ports of domain 0: one unbound, one of a VIRQ that each vCPU has, one of a global one, an IPI's, one bound to domain 1, a free one. */
  readonly ports: { readonly unbound: number; readonly timer: number; readonly global: number; readonly ipi: number; readonly bound: number; readonly free: number };
  /** Ports of domain 1: unbound for domain 2, and bound to domain 0. */
  readonly theirs: { readonly forOther: number; readonly bound: number };
}

function scene(wide: boolean, fifo: boolean): Scene {
  const world = new Tenants({ wide, domains: 3, maxVcpus: 2 }), [t, other, third] = world.list;
  const open = (who: Tenant, word: number, command: number, ...words: number[]): number => {
    const { rc, out } = who.event(command, ...words);
    expect(rc).toBe(0);
    return out[word];
  };
  if (fifo) {
    open(t, 0, INIT_CONTROL, t.frame(30), 0, 0, 0);
    open(t, 0, EXPAND_ARRAY, t.frame(31), 0);
  }
  const forOther = open(other, 1, ALLOC_UNBOUND, SELF | (third.id << 16)), offered = open(other, 1, ALLOC_UNBOUND, SELF | (t.id << 16));
  const ports = {
    unbound: open(t, 1, ALLOC_UNBOUND, SELF | (other.id << 16)), timer: open(t, 2, BIND_VIRQ, 0, 1), global: open(t, 2, BIND_VIRQ, 3, 0), ipi: open(t, 1, BIND_IPI, 1),
    bound: open(t, 2, BIND_INTERDOMAIN, other.id, offered), free: 40,
  };
  return { world, t, other, ports, theirs: { forOther, bound: offered } };
}

type Case = readonly [command: number, what: string, words: (s: Scene) => number[], rc: number, by: string];
const each = (command: number, what: string, values: readonly number[], words: (s: Scene, value: number) => number[], rc: number, by: string): Case[] =>
  values.map(value => [command, `${what} ${value}`, (s: Scene) => words(s, value), rc, by] as const);
const port = (command: number, numbers: readonly number[], rc: number, by: string, ...rest: number[]): Case[] => each(command, 'port', numbers, (_s, n) => [n, ...rest], rc, by);

const cases: Case[] = [
  ...each(ALLOC_UNBOUND, 'domain', NOBODY, (_s, domid) => [domid | (SELF << 16)], ESRCH, 'evtchn_alloc_unbound()'),
  [ALLOC_UNBOUND, 'another domain', s => [s.other.id | (SELF << 16)], EPERM, 'xsm_evtchn_unbound()'],
  ...each(BIND_INTERDOMAIN, 'domain', NOBODY, (s, domid) => [domid, s.theirs.forOther], ESRCH, 'evtchn_bind_interdomain()'),
  ...each(BIND_INTERDOMAIN, 'remote port', [0, 40, ...BEYOND], (s, n) => [s.other.id, n], EINVAL, 'evtchn_bind_interdomain()'),
  [BIND_INTERDOMAIN, 'port that is bound', s => [s.other.id, s.theirs.bound], EINVAL, 'evtchn_bind_interdomain()'],
  [BIND_INTERDOMAIN, "port for another's", s => [s.other.id, s.theirs.forOther], EINVAL, 'evtchn_bind_interdomain()'],
  [BIND_INTERDOMAIN, "port of its own for another's", s => [SELF, s.ports.unbound], EINVAL, 'evtchn_bind_interdomain()'],
  ...each(BIND_VIRQ, 'VIRQ', [24, 255, 0x7fffffff, 0xffffffff], (_s, virq) => [virq, 0], EINVAL, 'evtchn_bind_virq()'),
  ...each(BIND_VIRQ, 'global VIRQ of vCPU', [1, ...NO_VCPU], (_s, vcpu) => [4, vcpu], EINVAL, 'evtchn_bind_virq()'),
  ...each(BIND_VIRQ, 'VIRQ of vCPU', NO_VCPU, (_s, vcpu) => [1, vcpu], ENOENT, 'evtchn_bind_virq()'),
  [BIND_VIRQ, 'VIRQ that is bound', () => [3, 0], EEXIST, 'evtchn_bind_virq()'],
  ...each(BIND_PIRQ, 'PIRQ', [4, 0x7fffffff, 0xffffffff], (_s, pirq) => [pirq, 0], EINVAL, 'evtchn_bind_pirq()'),
  ...each(BIND_PIRQ, 'PIRQ of another', [0, 3], (_s, pirq) => [pirq, 0], EPERM, 'pirq_access_permitted(), evtchn_bind_pirq()'),
  ...each(BIND_IPI, 'vCPU', NO_VCPU, (_s, vcpu) => [vcpu], ENOENT, 'evtchn_bind_ipi()'),
  ...port(CLOSE, [0, 40, ...BEYOND], EINVAL, 'evtchn_close()'),
  ...port(SEND, [0, 40, ...BEYOND], EINVAL, 'evtchn_send()'),
  [SEND, 'port of a VIRQ', s => [s.ports.global], EINVAL, 'evtchn_send()'],
  ...each(STATUS, 'domain', NOBODY, (s, domid) => [domid, s.ports.ipi], ESRCH, 'evtchn_status()'),
  ...each(STATUS, 'port', BEYOND, (_s, n) => [SELF, n], EINVAL, 'evtchn_status()'),
  ...each(STATUS, 'port of another domain', BEYOND, (s, n) => [s.other.id, n], EINVAL, 'evtchn_status()'),
  [STATUS, 'another domain', s => [s.other.id, s.theirs.bound], EPERM, 'xsm_evtchn_status()'],
  ...each(BIND_VCPU, 'vCPU', NO_VCPU, (s, vcpu) => [s.ports.bound, vcpu], ENOENT, 'evtchn_bind_vcpu()'),
  ...port(BIND_VCPU, [0, 40, ...BEYOND], EINVAL, 'evtchn_bind_vcpu()', 1),
  [BIND_VCPU, "port of a vCPU's VIRQ", s => [s.ports.timer, 0], EINVAL, 'evtchn_bind_vcpu()'],
  [BIND_VCPU, 'port of an IPI', s => [s.ports.ipi, 0], EINVAL, 'evtchn_bind_vcpu()'],
  ...port(UNMASK, BEYOND, EINVAL, 'evtchn_unmask()'),
  ...port(UNMASK, [0, 40], 0, 'evtchn_usable()'),
  ...each(RESET, 'domain', NOBODY, (_s, domid) => [domid], ESRCH, 'do_event_channel_op()'),
  [RESET, 'another domain', s => [s.other.id], EPERM, 'xsm_evtchn_reset()'],
  ...each(INIT_CONTROL, 'vCPU', NO_VCPU, (s, vcpu) => [s.t.frame(40), 0, 0, vcpu], ENOENT, 'evtchn_fifo_init_control() (xen/common/event_fifo.c)'),
  ...each(INIT_CONTROL, 'offset', [4, 9, 4032, 4096, 0xfffffff8], (s, offset) => [s.t.frame(40), 0, offset, 1], EINVAL, 'evtchn_fifo_init_control()'),
  ...each(INIT_CONTROL, 'frame', [0x50, 0x9ff, 0xa00, 0x7fffffff], (_s, mfn) => [mfn, 0, 0, 1], EINVAL, 'map_guest_page() (xen/common/event_fifo.c)'),
  [INIT_CONTROL, 'frame beyond 2^32', s => [s.t.frame(40), 1, 0, 1], EINVAL, 'map_guest_page()'],
  [INIT_CONTROL, 'frame of another', s => [s.other.frame(40), 0, 0, 1], EINVAL, 'map_guest_page()'],
  [INIT_CONTROL, 'frame that is a page table', s => [s.t.level1, 0, 0, 1], EINVAL, 'map_guest_page()'],
  ...[99, 15, 0x7fffffff, 0xffffffff].map(command => [command, `command ${command}`, () => [0], ENOSYS, 'do_event_channel_op()'] as const),
];
const twoLevels: Case[] = [
  [EXPAND_ARRAY, 'two levels', s => [s.t.frame(40), 0], EOPNOTSUPP, 'evtchn_fifo_expand_array() (xen/common/event_fifo.c)'],
  [SET_PRIORITY, 'two levels', s => [s.ports.bound, 3], ENOSYS, 'evtchn_port_set_priority() (xen/common/event_channel.h)'],
];
const fifos: Case[] = [
  [INIT_CONTROL, 'vCPU that has a block', s => [s.t.frame(40), 0, 0, 0], EINVAL, 'map_control_block() (xen/common/event_fifo.c)'],
  ...each(EXPAND_ARRAY, 'frame', [0x50, 0x9ff, 0xa00, 0x7fffffff], (_s, mfn) => [mfn, 0], EINVAL, 'map_guest_page()'),
  [EXPAND_ARRAY, 'frame of another', s => [s.other.frame(40), 0], EINVAL, 'map_guest_page()'],
  [EXPAND_ARRAY, 'frame that is a page table', s => [s.t.level1, 0], EINVAL, 'map_guest_page()'],
  ...port(SET_PRIORITY, BEYOND, EINVAL, 'evtchn_set_priority()', 3),
  ...port(SET_PRIORITY, [0, 40], EACCES, 'evtchn_port_set_priority()', 3),
  ...each(SET_PRIORITY, 'priority', [16, 255, 0x7fffffff, 0xffffffff], (s, priority) => [s.ports.bound, priority], EINVAL, 'evtchn_fifo_set_priority() (xen/common/event_fifo.c)'),
];

describe.each([['64-bit', true], ['32-bit', false]] as const)('a %s guest', (_, wide) => {
  it.each([['two levels', false, [...cases, ...twoLevels]], ['FIFO', true, [...cases, ...fifos]]] as const)('calls event_channel_op (%s) with a field out of range', (_what, fifo, all) => {
    const s = scene(wide, fifo), { world, t } = s;
    t.domain.pirqs = 4;
    for (const [command, what, words, rc, by] of all) {
      const call = () => t.event(command, ...words(s)).rc, name = `command ${command}, ${what}: ${by}`;
      expect([name, call()]).toEqual([name, rc]);
      const before = world.state(), active = t.domain.events.active();
      expect([name, call(), Buffer.compare(before, world.state()), t.domain.events.active()]).toEqual([name, rc, 0, active]);
    }
  });

  const unreachable = (t: Tenant): bigint[] => [0n, 0x1000n, t.va(SPARE), ...(wide ? [0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_87ff_ffff_ffffn] : [0xffff_f000n])];

  it('calls event_channel_op at an address that it may not read (do_event_channel_op())', () => {
    const { world, t } = scene(wide, true), before = world.state();
    for (let command = 0; command <= 14; command++) {
      for (const at of unreachable(t)) expect([command, at, t.call(HYPERVISOR_event_channel_op, BigInt(command), at)]).toEqual([command, at, EFAULT]);
    }
    expect(Buffer.compare(before, world.state())).toBe(0);
  });

  it('asks for a port at an address that it may not write: the port is bound all the same, and it is not told (do_event_channel_op())', () => {
    const { t } = scene(wide, false), events = t.domain.events, before = events.active(), at = t.va(DATA_FRAME);
    t.world.machine.write(BigInt(t.frame(DATA_FRAME)) * 4096n, struct([[4, SELF | (SELF << 16)]]));
    expect(t.map(DATA_FRAME, entryOf(t.frame(DATA_FRAME), READ))).toBe(0);
    expect([t.call(HYPERVISOR_event_channel_op, BigInt(ALLOC_UNBOUND), at), events.active()]).toEqual([EFAULT, before + 1]);
    expect([t.call(HYPERVISOR_event_channel_op, BigInt(STATUS), at), events.active()]).toEqual([EFAULT, before + 1]);
  });

  it('calls sched_op with a field out of range (do_sched_op(), do_poll() of xen/common/sched/core.c)', () => {
    const { world, t, other, ports } = scene(wide, false), size = wide ? 8 : 4, [guest] = t.domain.vcpus;
    const call = (command: number, data: Uint8Array): number => t.call(HYPERVISOR_sched_op, BigInt(command), t.leave(data));
    const poll = (count: number, list = t.va(63) + 128n): Uint8Array => struct([[size, list], [4, count], [4, 0], [8, 0]]);
    t.leave(struct([[4, ports.free], [4, ports.bound]]), 128);
    world.machine.write(BigInt(t.sharedInfo) * 4096n, new Uint8Array(16)); // no event is awaited
    world.machine.write(BigInt(t.sharedInfo) * 4096n + 0x800n, new Uint8Array(16));
    const all: [command: number, data: Uint8Array, rc: number][] = [
      [3, poll(129), EINVAL], [3, poll(0xffffffff), EINVAL], [3, poll(1), EINVAL], [3, poll(2), EINVAL], ...unreachable(t).map(at => [3, poll(1, at), EFAULT] as [number, Uint8Array, number]),
      ...NOBODY.map(domid => [4, struct([[2, domid], [2, 0], [4, 0]]), ESRCH] as [number, Uint8Array, number]),
      [4, struct([[2, SELF], [2, 0], [4, 0]]), ESRCH], [4, struct([[2, other.id], [2, 0], [4, 0]]), EPERM], [4, struct([[2, t.id], [2, 0], [4, 0]]), EPERM],
      [99, new Uint8Array(8), ENOSYS], [-1, new Uint8Array(8), ENOSYS],
    ];
    for (const [k, [command, data, rc]] of all.entries()) {
      expect([k, call(command, data)]).toEqual([k, rc]);
      const before = world.state();
      expect([k, call(command, data), Buffer.compare(before, world.state()), guest.blocked, other.domain.isShutDown]).toEqual([k, rc, 0, false, false]);
    }
    for (const command of [2, 3, 4, 5]) for (const at of unreachable(t)) expect(t.call(HYPERVISOR_sched_op, BigInt(command), at)).toBe(EFAULT);
    expect([t.domain.isShutDown, t.domain.shutdownCode]).toEqual([false, -1]);
  });

  it('shuts itself down from afar, if it may shut others down', () => {
    const { list: [t, other] } = new Tenants({ wide, privileged: [0] });
    for (const who of [other, t]) {
      expect([t.call(HYPERVISOR_sched_op, 4n, t.leave(struct([[2, who.id], [2, 0], [4, 3]]))), who.domain.isShutDown, who.domain.shutdownCode]).toEqual([0, true, 3]);
    }
  });

  it('calls vcpu_op with a field out of range (do_vcpu_op() of xen/arch/x86/domain.c, map_vcpu_info() of xen/common/domain.c)', () => {
    const { world, t, other } = scene(wide, false), call = (command: number, vcpu: number, mfn: number | bigint, offset: number): number =>
      t.call(HYPERVISOR_vcpu_op, BigInt(command), BigInt(vcpu), t.leave(struct([[8, mfn], [4, offset], [4, 0]])));
    const all: [command: number, vcpu: number, mfn: number | bigint, offset: number, rc: number][] = [
      ...NO_VCPU.flatMap(vcpu => [3, 4, 5, 10].map(command => [command, vcpu, t.frame(40), 0, ENOENT] as [number, number, number, number, number])), [99, 0, 0, 0, ENOSYS],
      ...[4033, 4040, 4096, 0xfffffff8, 1, 2].map(offset => [10, 0, t.frame(40), offset, ENXIO] as [number, number, number, number, number]),
      ...[0x50, 0x9ff, 0xa00, 0x7fffffff, 2 ** 32, (1n << 63n)].map(mfn => [10, 0, mfn, 0, EINVAL] as [number, number, number | bigint, number, number]),
      [10, 0, other.frame(40), 0, EINVAL], [10, 0, t.level1, 0, EINVAL], [10, 1, t.frame(40), 0, EINVAL], // ... and the last is up
    ];
    for (const [k, [command, vcpu, mfn, offset, rc]] of all.entries()) {
      call(command, vcpu, mfn, offset);
      const before = world.state();
      expect([k, call(command, vcpu, mfn, offset), Buffer.compare(before, world.state())]).toEqual([k, rc, 0]);
    }
    for (const command of [4n, 5n, 10n]) for (const at of unreachable(t)) expect(t.call(HYPERVISOR_vcpu_op, command, 0n, at)).toBe(EFAULT);
    expect(call(10, 0, t.frame(40), 4032)).toBe(0);
    expect(call(10, 0, t.frame(41), 0)).toBe(EINVAL); // once
  });
});
