/**
 * Every point at which another vCPU can see what a call has done so far: before and after each atomic operation of one call, another vCPU makes
 * another. That call is done, or it would have to wait. On the built package, in one thread.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ACCESS_READ, ACCESS_WRITE } from '../../dist/index.js';
import { HV_LOCK } from '../../dist/layout/hypervisor.js';
import { wordOf } from '../../dist/memory/extents.js';
import { Control } from '../../dist/smp/control.js';
import { Recording } from '../../dist/smp/index.js';
import { contextOf } from '../../dist/smp/program.js';
import { Recorder } from '../../dist/smp/turns.js';
import { HYPERVISOR_mmuext_op } from '../../dist/xen/numbers.js';
import { Guest } from './guest-program.mjs';
import { BASE, DATA, dataFor, DATA_FRAME, entryOf, makeWorld, OWNED, READ, SPARE_PAGE, SPARE_TABLE, TABLE, type World } from './world.mjs';

const OPERATIONS = ['load', 'store', 'compareExchange', 'exchange', 'add', 'sub', 'and', 'or'] as const;
const HOST_MAP = 2, PERMIT = 1, PIN_L2 = 1, UNPIN = 4, FLUSH_LOCAL = 6, PRESERVE = 2, NO_CALL = 99;
const A = 0x20n, AD = 0x60n, AVAIL = 0x200n;

afterEach(() => { vi.restoreAllMocks(); });

/** The vCPUs of a world, each with a machine and a hypervisor of its own, as threads have them. */
function crew(world: World): Guest[] {
  return world.guests.flatMap(guest => guest.cpus.map((number, k) => {
    const context = contextOf(world.machine.views.memory, world.options, number, dataFor(world, guest, k, {}));
    return new Guest(context);
  }));
}

interface Explored { readonly points: number; readonly done: number; readonly waited: number }

/** Call `inner` before and after each atomic operation that `outer` makes, once in each run of it. @param settle - called after each run, with whether `inner` was done @param known - complaints of the audit about what `inner` left where it had to wait in the middle */
function explore(world: World, guests: readonly Guest[], outer: () => void, inner: () => void, settle: (done: boolean) => void, known = /^$/): Explored {
  let left = -1, fired = false, isDone = false, done = 0, waited = 0;
  const step = (): void => {
    if (left-- !== 0) return;
    fired = true;
    isDone = attempt(guests, inner);
  };
  for (const name of OPERATIONS) {
    const plain = Atomics[name] as (...args: unknown[]) => unknown;
    vi.spyOn(Atomics, name).mockImplementation(((...args: unknown[]) => {
      step();
      const answer = plain(...args);
      step();
      return answer;
    }) as never);
  }
  for (let point = 0; ; point++) {
    [left, fired, isDone] = [point, false, false];
    outer();
    left = -1;
    if (!fired) return { points: point, done, waited };
    if (isDone) done++;
    else waited++;
    settle(isDone);
    const complaints = world.xen.audit().filter(what => !known.test(what));
    if (complaints.length > 0) throw new Error(`point ${point}: ${complaints.join('; ')}`);
  }
}

/** @returns false: it would have to wait; nothing is changed then */
function attempt(guests: readonly Guest[], what: () => void): boolean {
  const all = guests.map(guest => (guest as unknown as { s: { locks: { deadline: number } } }).s.locks);
  for (const locks of all) locks.deadline = performance.now();
  try {
    what();
    return true;
  } catch (error) {
    if (!(error instanceof Error) || !/a lock was not free/.test(error.message)) throw error;
    return false;
  } finally {
    for (const locks of all) locks.deadline = Infinity;
  }
}

const LINKED = 1 << 29, PENDING = 1 << 31, LINK = 0x1ffff;

/** Take all events off a guest's FIFO queues. @returns their ports @throws a queue that is not one */
function takeFifo(world: World, guest: World['guests'][number]): number[] {
  const s = world.machine.views, { w } = s, control = wordOf(s, 0, (guest.first + OWNED - 1) << 12), array = wordOf(s, 0, (guest.first + OWNED - 2) << 12), taken: number[] = [];
  w[control] = 0;
  for (let priority = 0; priority < 16; priority++) {
    for (let port = w[control + 2 + priority]!; port !== 0;) {
      const word = w[array + port]!;
      if ((word & (LINKED | PENDING)) !== (LINKED | PENDING)) throw new Error(`port ${port} in queue ${priority} has word 0x${(word >>> 0).toString(16)}`);
      taken.push(port);
      w[array + port] = word & ~(LINKED | PENDING | LINK);
      port = word & LINK;
    }
    w[control + 2 + priority] = 0;
  }
  for (let port = 0; port < 64; port++) if ((w[array + port]! & LINKED) !== 0) throw new Error(`port ${port} is linked and in no queue`);
  return taken.sort((a, b) => a - b);
}

describe.each(['none', 'some', 'all'] as const)('at each atomic operation (domains of 32 bits: %s)', narrow => {
  it('of a FIFO event that is sent, another to the same queue is sent, or would wait', () => {
    const world = makeWorld({ domains: 3, vcpus: 1, engine: 'ts', narrow, fifo: true }), guests = crew(world), [taker, one, two] = guests as [Guest, Guest, Guest];
    const to = (g: Guest) => g.guest.links.filter(link => link.to === taker.guest.id), [a, b] = [to(one)[0]!, to(two)[0]!];
    takeFifo(world, taker.guest);
    const found = explore(world, guests, () => { expect(one.event(4, a.local)).toBe(0); }, () => { expect(two.event(4, b.local)).toBe(0); }, isDone => {
      expect(takeFifo(world, taker.guest)).toEqual(isDone ? [a.peer, b.peer].sort((x, y) => x - y) : [a.peer]);
    });
    expect([found.done > 1, found.waited > 3]).toEqual([true, true]);
  });

  it('of an event that is sent, what has to be alone is recorded once it is', () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts' }), guests = crew(world), [one, two] = guests as [Guest, Guest], recording = Recording.create(64);
    const [link] = one.guest.links, first = world.machine.vcpus[0]!.block, alone = world.xen.host.own.block + (HV_LOCK >>> 2), control = new Control(2);
    guests.forEach((guest, k) => { (guest as unknown as { s: { locks: { turns: Recorder } } }).s.locks.turns = new Recorder(recording, control, k, first); });
    const found = explore(world, guests, () => { expect(one.event(4, link!.local)).toBe(0); }, () => { two.call(NO_CALL); }, isDone => {
      const entries = Array.from({ length: recording.length }, (_, k) => recording.entry(k));
      expect(entries.filter(({ what }) => what === alone).length).toBe(isDone ? 1 : 0);
      recording.words.fill(0);
    });
    expect([found.done > 1, found.waited > 3]).toEqual([true, true]);
  });

  it('of an event that is sent, its port moves to another vCPU, or would wait', () => {
    const world = makeWorld({ domains: 2, vcpus: 2, engine: 'ts', narrow }), guests = crew(world), [, mover, sender] = guests as [Guest, Guest, Guest];
    const link = sender.guest.links.find(({ to }) => to === mover.guest.id)!, s = world.machine.views, shared = wordOf(s, 0, mover.guest.sharedInfo << 12);
    const select = mover.guest.is32 ? 1 : 2, clear = () => { for (const at of [0, select, 16, 16 + select, 0x200]) s.w[shared + at] = 0; };
    let vcpu = 0;
    clear();
    const found = explore(world, guests, () => { expect(sender.event(4, link.local)).toBe(0); }, () => { expect(mover.event(8, link.peer, vcpu ^= 1)).toBe(0); }, () => {
      const told = [0, 1].filter(k => s.w[shared + k * 16 + select] !== 0 && (s.w[shared + k * 16]! & 0xff) !== 0);
      expect([told.length, s.w[shared + 0x200 + (link.peer >>> 5)]]).toEqual([1, 1 << (link.peer & 31)]);
      clear();
    });
    expect([found.done > 1, found.waited > 1]).toEqual([true, true]);
  });

  it('of a mapping of a grant, the granter makes a table of the frame, or finds it in use', () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts', narrow }), guests = crew(world), [granter, user] = guests as [Guest, Guest];
    let mapped = 0, pinned = 0;
    granter.grant(9, PERMIT, user.guest.id, SPARE_TABLE);
    const found = explore(world, guests, () => { if (user.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id) === 0) mapped++; }, () => {
      if (granter.ext(0, BigInt(granter.frame(SPARE_TABLE))) === 0) pinned++;
    }, () => {
      const type = world.xen.host.frames.kind(granter.frame(SPARE_TABLE)) >>> 0, count = world.xen.host.frames.typeCount(granter.frame(SPARE_TABLE));
      expect([mapped + pinned, count, type.toString(16)]).toEqual([1, 1, mapped ? 'e0000000' : '20000000']); // one of them has it
      for (const mapping of user.handles.splice(0)) expect(user.unmapGrant(mapping)).toBe(0);
      if (pinned) expect(granter.ext(4, BigInt(granter.frame(SPARE_TABLE)))).toBe(0);
      mapped = pinned = 0;
    });
    expect(found.done).toBeGreaterThan(15); // they share no lock
  });

  it('of a mapping of a grant that comes and goes, the granter maps the frame and gives that up', () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts', narrow }), guests = crew(world), [granter, user] = guests as [Guest, Guest], { frames } = world.xen.host;
    granter.grant(9, PERMIT, user.guest.id, DATA_FRAME);
    const mfn = granter.frame(DATA_FRAME), count = () => [frames.refs(mfn), frames.typeCount(mfn)], before = count();
    let own = 0;
    const found = explore(world, guests, () => {
      expect(user.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id)).toBe(0);
      for (const mapping of user.handles.splice(0)) expect(user.unmapGrant(mapping)).toBe(0);
    }, () => {
      expect(granter.map(SPARE_PAGE, (own ^= 1) ? entryOf(mfn, DATA) : 0n)).toBe(0);
    }, () => { expect(count()).toEqual(before.map(n => n + own)); });
    expect(found.done).toBeGreaterThan(10);
  });

  it.each(['ts', 'wasm'] as const)('of a mapping of a grant that goes, the granter uses the frame: as a table it is written to no more (%s)', engine => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine }), guests = crew(world), [granter, user] = guests as [Guest, Guest], table = granter.frame(SPARE_TABLE), va = granter.va(SPARE_PAGE);
    const writes = () => granter.cpu.translate(va, ACCESS_WRITE).ok;
    granter.flags = 0n; // no invalidation
    const map = () => { expect(user.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id)).toBe(0); };
    granter.grant(9, PERMIT, user.guest.id, SPARE_TABLE);
    map();
    const found = explore(world, guests, () => { expect(user.unmapGrant(user.handles.pop()!)).toBe(0); }, () => {
      expect([granter.map(SPARE_PAGE, entryOf(table, DATA)), granter.ext(FLUSH_LOCAL), writes(), granter.map(SPARE_PAGE, 0n), writes()]).toEqual([0, 0, true, 0, true]);
    }, () => {
      expect([granter.ext(0, BigInt(table)), writes(), granter.ext(4, BigInt(table)), granter.ext(FLUSH_LOCAL)]).toEqual([0, false, 0, 0]);
      map();
    });
    expect(found.done).toBeGreaterThan(15);
  });

  it('of a mapping of a grant, the granter gives it to another domain, which maps it or would wait', () => {
    const world = makeWorld({ domains: 3, vcpus: 1, engine: 'ts', narrow }), guests = crew(world), [granter, one, two] = guests as [Guest, Guest, Guest];
    const { active } = world.xen.host.domain(granter.guest.id)!.grants;
    granter.grant(9, PERMIT, one.guest.id, DATA_FRAME);
    const both = { one: 0, two: 0 };
    explore(world, guests, () => { if (one.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id) === 0) both.one++; }, () => {
      granter.grant(9, PERMIT, two.guest.id, DATA_FRAME + 1);
      if (two.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id) === 0) both.two++;
    }, () => {
      const users = [one, two].filter(({ handles }) => handles.length > 0);
      expect([users.length <= 1, active.pin(9)]).toEqual([true, users.length]);
      if (users.length > 0) expect([active.domid(9), active.mfn(9) - granter.frame(DATA_FRAME)]).toEqual(users[0] === one ? [one.guest.id, active.mfn(9) - granter.frame(DATA_FRAME)] : [two.guest.id, 1]);
      for (const user of users) for (const mapping of user.handles.splice(0)) expect(user.unmapGrant(mapping)).toBe(0);
      granter.grant(9, PERMIT, one.guest.id, DATA_FRAME);
    }, /^XG5: handle \d+ of domain 3 is neither free nor in use$/);
    expect([both.one > 1, both.two > 1]).toEqual([true, true]);
  });

  it.each([['maps', false], ['copies by', true]] as const)('of one that %s a grant, the granter takes it back, unless it is in use', (_, copies) => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts', narrow }), guests = crew(world), [granter, user] = guests as [Guest, Guest];
    const s = world.machine.views, at = wordOf(s, 0, granter.guest.grantFrame << 12) + 9 * 2, { active } = world.xen.host.domain(granter.guest.id)!.grants, ends = [0, 0];
    granter.grant(9, PERMIT, user.guest.id, DATA_FRAME);
    explore(world, guests, () => {
      const status = copies ? user.copy(false, granter.guest.id, 9, DATA_FRAME, 64) : user.mapGrant(SPARE_PAGE, HOST_MAP, 9, granter.guest.id);
      if (!copies && s.w[at] === 0) expect(status).not.toBe(0); // it was not in use
      for (const mapping of user.handles.splice(0)) expect(user.unmapGrant(mapping)).toBe(0);
    }, () => {
      const inUse = (s.w[at]! & 0x18) !== 0;
      ends[inUse ? 1 : 0]!++;
      if (active.pin(9) !== 0) expect(inUse).toBe(true);
      if (!inUse) s.w[at] = 0;
    }, () => {
      expect([active.pin(9), s.w[at]! & 0x18]).toEqual([0, 0]);
      granter.grant(9, PERMIT, user.guest.id, DATA_FRAME);
    });
    expect(ends.every(count => count > 3), String(ends)).toBe(true);
  });

  it.each([['flags', 0, AVAIL], ['the frame', 1, 0n]] as const)('of an update of %s that preserves A, another vCPU sets that, and it stays', (_, other, flags) => {
    const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), guests = crew(world), [one, two] = guests as [Guest, Guest], level2 = one.frame(2), va = BASE + 0x200000n;
    const at = wordOf(world.machine.views, 0, level2 << 12) + 2, plain = TABLE & ~AD;
    for (const k of [SPARE_TABLE, SPARE_TABLE + 1]) expect([one.ext(0, BigInt(one.frame(k))), one.update([one.frame(k), 0, entryOf(one.frame(DATA_FRAME), READ)])]).toEqual([0, 0]);
    const set = (k: number, more: bigint, command: number) => { expect(one.update([level2, 1, entryOf(one.frame(SPARE_TABLE + k), plain | more), command])).toBe(0); };
    set(0, 0n, 0);
    const found = explore(world, guests, () => { set(other, flags, PRESERVE); }, () => {
      two.cpu.invlpg(va);
      expect(two.cpu.translate(va, ACCESS_READ).ok).toBe(true);
    }, () => {
      expect(BigInt(world.machine.views.w[at]!) & AD).toBe(A);
      set(0, 0n, 0);
    });
    expect(found.done).toBeGreaterThan(10);
  });

  it("of a call that puts another domain's table first, which was preempted, that domain uses it, or would wait", () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts', budget: 1 }), guests = crew(world), [one, two] = guests as [Guest, Guest], table = two.frame(SPARE_TABLE);
    world.xen.host.domain(one.guest.id)!.privileged = true;
    for (let k = 0; k < 3; k++) expect(two.update([table, k, entryOf(two.frame(SPARE_TABLE + 1), TABLE)])).toBe(0);
    const part = (command: number, owner: number) => {
      one.xen.setCall(one.cpu, HYPERVISOR_mmuext_op, one.argsVa, 1n, 0n, BigInt(owner));
      new DataView(one.s.memory.buffer, one.at * 4).setBigUint64(0, BigInt(command), true);
      new DataView(one.s.memory.buffer, one.at * 4).setBigUint64(8, BigInt(table), true);
      return one.xen.dispatchPart(one.cpu);
    };
    const begin = () => {
      expect(two.ext(PIN_L2, BigInt(table))).toBe(0);
      part(UNPIN, two.guest.id);
      expect([one.xen.host.preempted, one.xen.host.current.oldTable]).toEqual([true, table]);
    };
    begin();
    const found = explore(world, guests, () => { part(FLUSH_LOCAL, 0x7ff0); }, () => { two.ext(PIN_L2, BigInt(table)); }, () => {
      do part(FLUSH_LOCAL, 0x7ff0); while (one.xen.host.preempted);
      two.ext(UNPIN, BigInt(table));
      expect(world.xen.host.frames.typeCount(table)).toBe(0);
      begin();
    });
    expect([found.done > 1, found.waited > 3]).toEqual([true, true]);
  });

  it('of an update of a table, another vCPU unpins it, or would wait', () => {
    const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts', narrow }), guests = crew(world), [one, two] = guests as [Guest, Guest], table = one.frame(SPARE_TABLE);
    let slot = 0;
    expect(one.ext(0, BigInt(table))).toBe(0);
    const found = explore(world, guests, () => { expect(one.update([table, slot++ % 512, entryOf(one.frame(DATA_FRAME), DATA)], [table, slot % 512, entryOf(one.frame(DATA_FRAME + 1), READ)])).toBe(0); },
      () => { expect(two.ext(4, BigInt(table))).toBe(0); }, isDone => { if (isDone) expect(one.ext(0, BigInt(table))).toBe(0); });
    expect([found.done > 1, found.waited > 3]).toEqual([true, true]);
  });

  it('of a mapping that goes, another domain gives a frame back, or would wait', () => {
    const world = makeWorld({ domains: 2, vcpus: 1, engine: 'ts', narrow }), guests = crew(world), [one, two] = guests as [Guest, Guest];
    let next = 64;
    for (let k = 64; k < OWNED; k++) expect(two.map(k, 0n)).toBe(0);
    const found = explore(world, guests, () => {
      expect(one.map(SPARE_PAGE, entryOf(one.frame(DATA_FRAME), DATA))).toBe(0);
      expect(one.map(SPARE_PAGE, 0n)).toBe(0);
    }, () => { expect(two.reservation(1, two.frame(next))).toBe(1); }, isDone => { if (isDone) next++; });
    expect([next > 66, found.waited > 3]).toEqual([true, true]);
  });
});
