/**
 * A thread that ends at any point of a call, with any of its locks: memory is kept as it is before each of its writes, which is what its end leaves to
 * others. They go on, or the machine is broken with the reason; none waits for ever. On the built package, in one thread.
 *
 * DEATHS=1000 tries all points, a minute; else a few of each call.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DOMAIN_EVENT_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_LOCK } from '../../dist/layout/domain.js';
import { HV_HEAP_LOCK, HV_LOCK, HV_LOST_LOCK } from '../../dist/layout/hypervisor.js';
import { MAIL_LOCK, MAIL_RUN } from '../../dist/layout/mailbox.js';
import { VCPU_HELD, VCPU_INSIDE, VCPU_MAIL } from '../../dist/layout/vcpu.js';
import { contextOf, type Context } from '../../dist/smp/program.js';
import { recover } from '../../dist/smp/recovery.js';
import { Hypervisor, HYPERVISOR_event_channel_op, HYPERVISOR_update_va_mapping } from '../../dist/xen/index.js';
import { Guest, run } from './guest-program.mjs';
import { DATA, dataFor, DATA_FRAME, entryOf, makeWorld, READ, SPARE_PAGE, SPARE_TABLE, TABLE, type World } from './world.mjs';

const OPERATIONS = ['load', 'store', 'compareExchange', 'exchange', 'add', 'sub', 'and', 'or', 'notify'] as const;
/** Points of a call that are tried: all, or so many. */
const MOST = Number(process.env['DEATHS'] ?? 8);
const WRITERS = new Set<string | symbol>(['set', 'fill', 'copyWithin']);
const VICTIM = 0, BESIDE = 1, PEER = 2, STEPS = 12, PATIENCE = 1000, HOST_MAP = 2, PERMIT = 1;

afterEach(() => { vi.restoreAllMocks(); });

function contextOfVCPU(world: World, number: number, rest: Record<string, unknown> = {}): Context {
  const place = world.guests.find(({ cpus }) => cpus.includes(number))!;
  return contextOf(world.machine.views.memory, world.options, number, dataFor(world, place, place.cpus.indexOf(number), rest));
}

const guestOf = (world: World, number: number): Guest => new Guest(contextOfVCPU(world, number));

/** Words that are not as where no one is in a call. */
function left({ machine, guests }: World, xen: Hypervisor): string[] {
  const { w } = machine.views, { block } = xen.host.own;
  const words = [
    ...[HV_LOCK, HV_HEAP_LOCK, HV_LOST_LOCK].map(offset => [`hypervisor ${offset}`, block + (offset >>> 2)] as const),
    ...guests.flatMap(({ id }) => [DOMAIN_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_EVENT_LOCK].map(offset => [`domain ${id}: ${offset}`, xen.host.domain(id)!.at + (offset >>> 2)] as const)),
    ...machine.vcpus.flatMap(({ block: cpu }, number) => [VCPU_HELD, VCPU_INSIDE, VCPU_MAIL + MAIL_LOCK, VCPU_MAIL + MAIL_RUN].map(offset => [`vCPU ${number}: ${offset}`, (cpu + offset) >>> 2] as const)),
  ];
  return words.filter(([, at]) => w[at] !== 0).map(([name, at]) => `${name} is ${w[at]}`);
}

/** Others do something, and one that takes the place of who is dead. @throws one of them fails or would wait for ever */
function goOn(world: World, seed: number): void {
  for (const number of world.guests.flatMap(({ cpus }) => cpus)) {
    const context = contextOfVCPU(world, number, { seed, steps: STEPS }), { machine, cpu } = context;
    machine.play(cpu);
    machine.views.locks.deadline = performance.now() + PATIENCE;
    const steps = run(context) as Iterator<unknown, { wrong: string[] }>;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) machine.look(cpu);
    machine.rest();
    expect(step.value.wrong).toEqual([]);
  }
}

/** What is not as it should be while no one is in a call. Memory was made what it was: so is all that is known of it. */
function complaints(world: World): string[] {
  const xen = Hypervisor.attach(world.machine);
  return [...left(world, xen), ...xen.audit()];
}

/** Memory as a thread sees it that tells of each of its writes beforehand. */
class Watched {
  private readonly arrays = new WeakMap<object, object>();
  private readonly onWrite: () => void;

  constructor(machine: World['machine'], onWrite: () => void) {
    this.onWrite = onWrite;
    const views = machine.views as unknown as Record<string, object>;
    for (const key of ['w', 'u8', 'q', 'd']) {
      let array = this.watch(views[key]!);
      Object.defineProperty(views, key, { get: () => array, set: (to: object) => { array = this.watch(to); } });
    }
  }

  /** The array behind one that is watched. */
  plain(what: unknown): unknown {
    return typeof what === 'object' && what !== null ? this.arrays.get(what) ?? what : what;
  }

  private watch(array: object): object {
    const watched = new Proxy(array, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (WRITERS.has(key)) this.onWrite();
          return Reflect.apply(value, target, args.map(arg => this.plain(arg)));
        };
      },
      set: (target, key, value) => {
        if (Reflect.get(target, key, target) !== value) this.onWrite();
        return Reflect.set(target, key, value, target);
      },
    });
    this.arrays.set(watched, array);
    return watched;
  }
}

interface Ends { points: number; sound: number; readonly reasons: Set<string> }

/** Let vCPU 0 make a call, and end before each of its writes, or of so many of them. */
function endAtEach(world: World, { prepare, call, check }: Required<Pick<Case, 'prepare' | 'call' | 'check'>>): Ends {
  const { machine } = world, memory = machine.views.u8, ends: Ends = { points: 0, sound: 0, reasons: new Set() };
  prepare(guestOf(world, VICTIM), guestOf(world, BESIDE), guestOf(world, PEER));
  const before = memory.slice();
  let writes = 0, last = -1, then = before;
  const onWrite = (): void => { if (writes++ === last) then = memory.slice(); };
  /** @returns memory as it is before write number `point` */
  const upTo = (point: number): Uint8Array => {
    memory.set(before);
    machine.views.look();
    const { machine: own, cpu, number, data } = contextOfVCPU(world, VICTIM), watched = new Watched(own, onWrite);
    for (const name of OPERATIONS) {
      const plain = Atomics[name] as (...args: unknown[]) => unknown;
      vi.spyOn(Atomics, name).mockImplementation(((array: unknown, ...args: unknown[]) => {
        if (array !== watched.plain(array) && name !== 'load' && name !== 'notify') onWrite();
        return plain(watched.plain(array), ...args);
      }) as never);
    }
    const guest = new Guest({ machine: own, cpu, number, data, xen: Hypervisor.attach(own) });
    own.play(cpu);
    [writes, last] = [0, point];
    call(guest);
    vi.restoreAllMocks();
    return then;
  };
  upTo(-1);
  const all = writes, points = Math.min(all, MOST);
  for (let k = 0; k < points; k++) {
    const point = Math.floor((k + 0.5) * all / points);
    memory.set(upTo(point));
    const broken = recover(machine, VICTIM, PATIENCE);
    if (broken === undefined) {
      ends.sound++;
      expect(complaints(world), `write ${point}`).toEqual([]);
      check(world, guestOf(world, BESIDE), guestOf(world, PEER));
      goOn(world, point);
      expect(complaints(world), `write ${point}, afterwards`).toEqual([]);
    } else {
      expect(broken).toMatch(/^the thread of vCPU 0 ended in the middle of a hypercall/);
      ends.reasons.add(broken.slice('the thread of vCPU 0 ended in the middle of a hypercall'.length));
      expect(() => guestOf(world, 1).event(9, 1)).toThrow(broken);
      expect(() => complaints(world)).toThrow(broken);
    }
  }
  return { ...ends, points };
}

interface Case {
  readonly name: string;
  readonly fifo?: boolean;
  readonly budget?: number;
  /** What is done before, by the one that is to end, by another vCPU of its domain, and by one of another domain. */
  readonly prepare?: (guest: Guest, beside: Guest, peer: Guest) => void;
  readonly call: (guest: Guest) => void;
  /** What no one may reach by what is cached, as soon as the others go on. */
  readonly check?: (world: World, beside: Guest, peer: Guest) => void;
}

const REF = 9, PAGE = SPARE_PAGE, typeOf = (world: World, mfn: number): number => Hypervisor.attach(world.machine).host.frames.kind(mfn) >>> 0;
const ownerOf = (world: World, mfn: number): number => Hypervisor.attach(world.machine).host.frames.owner(mfn);
const PGT_writable = 0xe0000000;
const held: Guest['handles'][number][] = [];

const CASES: readonly Case[] = [
  { name: 'a mapping, made and taken away on all vCPUs', call: g => { g.map(PAGE, entryOf(g.frame(DATA_FRAME), DATA)); g.map(PAGE, 0n); } },
  { name: 'updates of a table', call: g => { g.update([g.guest.level1, PAGE, entryOf(g.frame(DATA_FRAME), DATA)], [g.guest.level1, PAGE + 1, entryOf(g.frame(DATA_FRAME), READ)], [g.guest.level1, PAGE, 0n]); } },
  {
    name: 'a pin of what others may still write to by what they have cached',
    prepare: (g, beside) => {
      g.ext(4, BigInt(g.frame(SPARE_TABLE)));
      g.map(PAGE, entryOf(g.frame(SPARE_TABLE), DATA), 0n);
      expect(beside.use(PAGE, 6)).toBe(0);
      expect(g.map(PAGE, 0n, 0n)).toBe(0);
      expect(beside.use(PAGE, 6)).toBe(0); // it has it cached
    },
    call: g => { expect(g.ext(0, BigInt(g.frame(SPARE_TABLE)))).toBe(0); },
    check: (world, beside) => { if (typeOf(world, beside.frame(SPARE_TABLE)) !== PGT_writable) expect(beside.use(PAGE, 6)).not.toBe(0); },
  },
  {
    name: 'an unpin, and a table that goes',
    prepare: g => {
      g.update([g.frame(SPARE_TABLE), 1, entryOf(g.frame(DATA_FRAME), DATA)], [g.frame(SPARE_TABLE), 2, entryOf(g.frame(DATA_FRAME + 1), READ)]);
      expect([g.ext(0, BigInt(g.frame(SPARE_TABLE))), g.update([g.guest.level2, 1, entryOf(g.frame(SPARE_TABLE), TABLE)])]).toEqual([0, 0]);
    },
    call: g => { g.update([g.guest.level2, 1, 0n]); expect(g.ext(4, BigInt(g.frame(SPARE_TABLE)))).toBe(0); },
  },
  { name: 'a pin that is preempted', budget: 2, call: g => { g.update([g.guest.level2, 1, entryOf(g.frame(SPARE_TABLE), TABLE)], [g.guest.level2, 2, entryOf(g.frame(SPARE_TABLE + 1), TABLE)]); g.ext(5, BigInt(g.guest.first)); } },
  {
    name: 'a grant that is mapped',
    prepare: (g, _, peer) => { peer.grant(REF, PERMIT, g.guest.id, DATA_FRAME); },
    call: g => { expect(g.mapGrant(PAGE, HOST_MAP, REF, 2)).toBe(0); },
  },
  {
    name: 'a grant that is given up',
    prepare: (g, beside, peer) => {
      peer.grant(REF, PERMIT, g.guest.id, DATA_FRAME);
      expect([g.mapGrant(PAGE, HOST_MAP, REF, 2), beside.use(PAGE, 6)]).toEqual([0, 0]);
      held.splice(0, Infinity, ...g.handles);
    },
    call: g => { expect(g.unmapGrant(held[0]!)).toBe(0); },
    check: (world, beside, peer) => { if (Hypervisor.attach(world.machine).host.domain(peer.guest.id)!.grants.active.pin(REF) === 0) expect(beside.use(PAGE, 6)).not.toBe(0); },
  },
  {
    name: 'copies by a grant',
    prepare: (g, _, peer) => { peer.grant(REF, PERMIT, g.guest.id, DATA_FRAME); },
    call: g => { expect([g.copy(false, 2, REF, DATA_FRAME, 64), g.copy(true, 2, REF, DATA_FRAME, 64)]).toEqual([0, 0]); },
  },
  { name: 'an event', call: g => { g.event(4, g.guest.links.find(({ to }) => to === 2)!.local); g.event(8, g.guest.ports[0]!, 1); } },
  { name: 'an event on a queue', fifo: true, call: g => { for (const { local, to } of g.guest.links) if (to === 2) g.event(4, local); g.event(13, g.guest.ports[0]!, 3); } },
  { name: 'a port that is closed, and another one', call: g => { g.event(3, g.guest.ports[0]!); g.event(6, 0x7ff0 | (2 << 16)); } },
  {
    name: 'a frame that is given back while others may have it cached',
    prepare: (g, beside) => {
      for (const page of [70, PAGE]) expect(g.map(page, page === PAGE ? entryOf(g.frame(70), DATA) : 0n)).toBe(0);
      expect(beside.use(PAGE, 6)).toBe(0);
      expect([g.map(PAGE, 0n, 0n), beside.use(PAGE, 6)]).toEqual([0, 0]);
    },
    call: g => { expect(g.reservation(1, g.frame(70))).toBe(1); },
    check: (world, beside, peer) => {
      for (let k = 0; k < 16 && peer.reservation(0, 0) === 1;) k = ownerOf(world, beside.frame(70)) === peer.guest.id ? 16 : k + 1;
      if (ownerOf(world, beside.frame(70)) === peer.guest.id) expect(beside.use(PAGE, 6)).not.toBe(0);
    },
  },
  {
    name: 'a list of calls, some of which are alone',
    call: g => {
      g.view.setUint32(0, 0x7ff0 | 2 << 16, true); // EVTCHNOP_alloc_unbound
      expect(g.multicall([HYPERVISOR_update_va_mapping, ...g.mapping(PAGE, entryOf(g.frame(DATA_FRAME), READ), 0n)], [HYPERVISOR_event_channel_op, 6n, g.argsVa], [HYPERVISOR_update_va_mapping, ...g.mapping(PAGE, 0n, 2n)])).toBe(0);
    },
  },
  { name: 'a frame that is taken', prepare: g => { g.map(70, 0n); expect(g.reservation(1, g.frame(70))).toBe(1); }, call: g => { expect(g.reservation(0, 0)).toBe(1); } },
];

describe.each(['none', 'some'] as const)('a thread that ends (domains of 32 bits: %s)', narrow => {
  it.each(CASES)('in $name', ({ call, prepare, check, name: _, ...kind }) => {
    const { points, sound, reasons } = endAtEach(makeWorld({ domains: 2, vcpus: 2, engine: 'ts', narrow, ...kind }), { prepare: prepare ?? (() => {}), call, check: check ?? (() => {}) });
    expect([points > 7, sound > 0, sound < points === reasons.size > 0]).toEqual([true, true, true]);
  });
});
