/** Invalidations that vCPUs ask of each other. On the built package. */
import { afterEach, describe, expect, it } from 'vitest';
import { Machine, presets, type Vcpu } from '../../dist/index.js';
import { HDR_FLUSH_CLOCK } from '../../dist/layout/header.js';
import { MAIL_COUNT, MAIL_DONE, MAIL_FLUSHED, MAIL_LETTERS, MAIL_POSTED, SCOPE_PAGES } from '../../dist/layout/mailbox.js';
import { VCPU_MAIL, VCPU_WAITS } from '../../dist/layout/vcpu.js';
import { mayHold } from '../../dist/machine/scope.js';
import { Cluster } from '../../dist/smp/index.js';
import { HYPERVISOR_mmuext_op, HYPERVISOR_update_va_mapping } from '../../dist/xen/index.js';
import { Guest } from './guest-program.mjs';
import { ARGS, BASE, DATA, dataFor, DATA_FRAME, entryOf, makeWorld, READ, SPARE_PAGE, SPARE_TABLE, type World } from './world.mjs';

const PROGRAMS = new URL('./small-programs.mjs', import.meta.url);
const options = { memory: '2M', vcpus: 3, cpu: presets.skylake, engine: 'ts' } as const;
const ENGINES = [['ts'], ['wasm']] as const;
const open: Cluster[] = [];
afterEach(async () => { await Promise.all(open.splice(0).map(cluster => cluster.close())); });

/** A machine whose vCPUs share tables that map pages 1 to 40, the last four global; with PCIDs. */
function mapped(): { machine: Machine; asker: Vcpu; other: Vcpu; third: Vcpu } {
  const machine = Machine.create(options), [asker, other, third] = machine.vcpus as [Vcpu, Vcpu, Vcpu];
  machine.map(0x1000n, { frames: 36 });
  machine.map(0x25000n, { frames: 4, global: true });
  for (const cpu of [other, third]) cpu.writeCr3(asker.registers.cr3);
  for (const cpu of machine.vcpus) cpu.writeCr4(cpu.registers.cr4 | 1n << 17n);
  return { machine, asker, other, third };
}

/** Use pages under a PCID. */
function use(cpu: Vcpu, pcid: number, ...pages: number[]): void {
  cpu.writeCr3((cpu.registers.cr3 & ~0xfffn) | BigInt(pcid) | 1n << 63n);
  for (const page of pages) cpu.translate(BigInt(page * 4096), 0);
}

/** Which of the pages the first TLB level has for a PCID. */
function cached(cpu: Vcpu, pcid: number, ...pages: number[]): number[] {
  cpu.writeCr3((cpu.registers.cr3 & ~0xfffn) | BigInt(pcid) | 1n << 63n);
  return pages.filter(page => cpu.explain(BigInt(page * 4096), 0).references.every(({ needed }) => !needed));
}

/** Have two vCPUs map a page by the same tables. @returns what lets the page be another frame, and tells no one */
function remapper(machine: Machine, player: Vcpu, page: number): (frame: number) => void {
  const [first] = machine.vcpus as [Vcpu];
  machine.map(BigInt(page * 4096), { user: true });
  player.writeCr3(first.registers.cr3);
  const { paddr } = first.explain(BigInt(page * 4096), 4).references.at(-1)!;
  return frame => machine.write(paddr, new Uint8Array(BigUint64Array.of(BigInt(frame * 4096 + 0x25)).buffer));
}

const word = (machine: Machine, cpu: Vcpu, offset: number) => machine.views.w[(cpu.block + VCPU_MAIL + offset) >>> 2]!;

describe('an invalidation of another vCPU', () => {
  it.each([
    ['everything', {}, [[], []]],
    ['all but global', { global: false }, [[38], [38]]],
    ['one PCID', { pcid: 2 }, [[5, 6, 7, 38], [38]]],
    ['two pages of the current PCID, and global', { va: 0x6000n, pages: 2 }, [[5, 6, 7, 38], [5, 38]]],
    ['a global page', { va: 38n * 4096n }, [[5, 6, 7], [5, 6, 7]]],
    ['a page of one PCID', { va: 0x5000n, pcid: 1 }, [[6, 7, 38], [5, 6, 7, 38]]],
    ['more pages than are worth it', { va: 0x1000n, pages: 34 }, [[], []]],
    ['a VPID, which a machine without guests has not', { vpid: 1 }, [[5, 6, 7, 38], [5, 6, 7, 38]]],
  ] as const)('of %s removes that', (_, scope, [first, second]) => {
    const { machine, asker, other, third } = mapped();
    for (const cpu of [other, third]) for (const pcid of [1, 2]) use(cpu, pcid, 5, 6, 7, 38);
    machine.invalidate([other], scope, asker);
    expect(cached(other, 2, 5, 6, 7, 38)).toEqual(second);
    expect(cached(other, 1, 5, 6, 7, 38)).toEqual(first);
    expect(cached(third, 2, 5, 6, 7, 38)).toEqual([5, 6, 7, 38]);
    expect(word(machine, other, MAIL_POSTED)).toBe(1);
  });

  it.each([[{ pcid: 4096 }, 'pcid'], [{ vpid: -1 }, 'vpid'], [{ pcid: 1, vpid: 1 }, 'vpid'], [{ va: 0n, pages: 0 }, 'pages'], [{ va: 1n << 64n }, 'va'], [{ asid: 1, va: 0n }, 'va']] as const)('is refused: %o', (scope, field) => {
    const { machine, asker, other } = mapped();
    expect(() => machine.invalidate([other], scope, asker)).toThrow(expect.objectContaining({ name: 'ConfigError', field }));
    expect(word(machine, other, MAIL_POSTED)).toBe(0);
  });

  it('waits for none that a thread played before another one', () => {
    const { machine, asker, other, third } = mapped();
    use(other, 0, 5);
    machine.play(other);
    machine.play(third);
    machine.views.locks.deadline = performance.now() + 10_000; // it fails, and does not hang
    machine.invalidate(machine.vcpus, {}, asker);
    machine.rest();
    expect(cached(other, 0, 5)).toEqual([]);
  });

  it('of more than its mailbox has room for is of everything', () => {
    const { machine, asker, other } = mapped(), page = { kind: SCOPE_PAGES, id: 0, hi: 0, lo: 0x7000, pages: 1 };
    use(other, 0, 5, 7);
    for (let k = 0; k < MAIL_LETTERS; k++) machine.shootdowns.post(other.block >>> 2, page);
    expect([word(machine, other, MAIL_COUNT), cached(other, 0, 5, 7)]).toEqual([MAIL_LETTERS, [5, 7]]); // posted is not done
    machine.look(other);
    expect(cached(other, 0, 5, 7)).toEqual([5]);
    for (let k = 0; k <= MAIL_LETTERS; k++) machine.shootdowns.post(other.block >>> 2, page);
    machine.shootdowns.wait();
    expect([cached(other, 0, 5, 7), word(machine, other, MAIL_COUNT), word(machine, other, MAIL_DONE)]).toEqual([[], 0, 2 * MAIL_LETTERS + 1]);
    expect(asker.block).toBeGreaterThan(0);
  });

  it('of VPIDs and ASIDs removes what the guests have', () => {
    for (const [stage, scope, stays] of [[{ vpid: 3 }, { vpid: 3 }, false], [{ vpid: 3 }, { vpid: 4 }, true], [{ vpid: 3 }, { vpid: 3, va: 0n }, false]] as const) {
      const machine = Machine.create({ memory: '16M', vcpus: 2, paging: 'none', nested: true, engine: 'ts' }), [asker, other] = machine.vcpus as [Vcpu, Vcpu];
      const put = (pa: bigint, entry: bigint) => machine.write(pa, new Uint8Array(BigUint64Array.of(entry).buffer));
      put(0x1000n, 0x2007n);
      put(0x2000n, 0x3007n);
      put(0x3000n, 0x2000b7n);
      other.guest.enter({ format: 'ept', eptp: 0x1000n | 6n | 3n << 3n, ...stage });
      other.translate(0n, 0);
      machine.invalidate([other], scope, asker);
      const again = other.translate(0n, 0);
      expect([scope, again.ok && again.path.startsWith('tlb1+')]).toEqual([scope, stays]);
    }
  });
});

describe('the clock of invalidations', () => {
  it('tells whether a vCPU can have cached what was used at some tick', () => {
    const { machine, asker, other } = mapped(), s = machine.views, clock = () => s.w[HDR_FLUSH_CLOCK >>> 2]!, v = other.block >>> 2;
    const before = clock();
    machine.invalidate([other], {}, asker);
    expect([clock(), word(machine, other, MAIL_FLUSHED)]).toEqual([before + 1, before + 1]);
    expect([before, before + 1, before + 2].map(stamp => mayHold(s, v, stamp))).toEqual([false, true, true]);
    machine.invalidate([other], { va: 0x1000n }, asker); // a page is not everything
    expect(clock()).toBe(before + 1);
    s.w[HDR_FLUSH_CLOCK >>> 2] = -1; // its last tick
    machine.invalidate([other], {}, asker);
    machine.invalidate([other], {}, asker);
    expect([clock(), mayHold(s, v, before)]).toEqual([0, true]);
  });

  it('spares invalidations where a frame is used as something else, and only those; both are counted', () => {
    const world = makeWorld({ domains: 1, vcpus: 2, engine: 'ts', mode: 'timed' }), { machine, xen, guests: [guest] } = world, [cpu, other] = machine.vcpus as [Vcpu, Vcpu];
    const frame = guest!.first + SPARE_TABLE, va = BASE + BigInt(SPARE_PAGE * 4096), counts = () => xen.counters().shootdowns;
    const call = (nr: number, ...args: bigint[]) => Number(xen.hypercall(cpu, nr, ...args));
    const ext = (command: number) => {
      machine.write(BigInt(guest!.first + ARGS) * 4096n, new Uint8Array(BigUint64Array.of(BigInt(command), BigInt(frame), 0n).buffer));
      return call(HYPERVISOR_mmuext_op, BASE + BigInt(ARGS * 4096), 1n, 0n, 0x7ff0n);
    };
    /** Writable, mapped by both vCPUs; unmapped without an invalidation; then a table. */
    const retype = (between: () => void): number => {
      expect([ext(4), call(HYPERVISOR_update_va_mapping, va, entryOf(frame, DATA), 0n)].slice(1)).toEqual([0]);
      for (const each of [cpu, other]) expect(each.translate(va, 6).ok).toBe(true);
      expect(call(HYPERVISOR_update_va_mapping, va, entryOf(frame, READ), 0n)).toBe(0);
      between();
      return ext(0);
    };
    const before = counts().retyped;
    expect(retype(() => {})).toBe(0);
    const unfiltered = counts().retyped;
    expect([unfiltered.sent - before.sent, other.translate(va, 6).ok]).toEqual([1, false]); // what was writable is not any more
    expect(unfiltered.cycles).toBeGreaterThan(before.cycles);
    let last = counts().retyped;
    expect(retype(() => { machine.invalidate(machine.vcpus); last = counts().retyped; })).toBe(0);
    const filtered = counts().retyped;
    expect([filtered.sent - last.sent, filtered.filtered - last.filtered, other.translate(va, 6).ok]).toEqual([0, 2, false]);
    expect(xen.audit()).toEqual([]);
  });
});

describe('invalidations of other vCPUs are counted by their cause', () => {
  const one = (g: Guest) => g.map(SPARE_PAGE, entryOf(g.frame(DATA_FRAME), DATA), 0n), none = (g: Guest) => g.map(SPARE_PAGE, 0n, 0n);
  const grant = (g: Guest, beside: Guest, peer: Guest) => {
    peer.grant(9, 1, g.guest.id, DATA_FRAME);
    expect([g.mapGrant(SPARE_PAGE, 2, 9, peer.guest.id), beside.use(SPARE_PAGE, 6)]).toEqual([0, 0]);
  };
  const giveBack = (g: Guest) => {
    g.map(70, 0n);
    expect(g.reservation(1, g.frame(70))).toBe(1);
  };
  const retype = (g: Guest, beside: Guest) => {
    expect([g.map(SPARE_TABLE, entryOf(g.frame(SPARE_TABLE), DATA), 0n), beside.use(SPARE_TABLE, 6), g.map(SPARE_TABLE, entryOf(g.frame(SPARE_TABLE), READ), 0n)]).toEqual([0, 0, 0]);
  };
  // Three other vCPUs: one of the domain, two of another one.
  it.each<[cause: keyof ReturnType<World['xen']['counters']>['shootdowns'], what: string, vcpus: number, before: (g: Guest, beside: Guest, peer: Guest) => void, call: (g: Guest) => number]>([
    ['asked', 'a mapping with a flush', 1, one, g => g.map(SPARE_PAGE, 0n, 6n)],
    ['asked', 'MMUEXT_TLB_FLUSH_ALL', 1, () => {}, g => g.ext(10)],
    ['tables', 'an entry of a level-2 table', 1, none, g => g.update([g.guest.level2, 5, 0n])],
    ['retyped', 'a pin of what was writable', 1, retype, g => g.ext(0, BigInt(g.frame(SPARE_TABLE)))],
    ['reused', 'a frame that was someone\'s', 3, giveBack, g => g.reservation(0, 0) - 1],
    ['grants', 'a mapping of a grant that is given up', 1, grant, g => g.unmapGrant(g.handles[0]!)],
  ])('%s: %s', (cause, _, vcpus, before, call) => {
    for (const narrow of ['none', 'all'] as const) {
      const world = makeWorld({ domains: 2, vcpus: 2, engine: 'ts', mode: 'timed', narrow }), { machine, xen, guests } = world;
      const [guest, beside, peer] = [0, 1, 2].map(number => new Guest({ machine, xen, cpu: machine.vcpus[number]!, number, data: dataFor(world, guests[number >> 1]!, number & 1, {}) })) as [Guest, Guest, Guest];
      before(guest, beside, peer);
      const was = xen.counters().shootdowns, own = guest.cpu.counters().cycles.hypervisor;
      expect(call(guest)).toBe(0);
      const { [cause]: now, ...others } = xen.counters().shootdowns, { [cause]: then, ...rest } = was;
      expect([now.sent - then.sent, now.filtered - then.filtered, others]).toEqual([vcpus, 0, rest]);
      expect([now.cycles - then.cycles > 0, guest.cpu.counters().cycles.hypervisor - own > now.cycles - then.cycles]).toEqual([true, true]); // which it pays
    }
  });
});

describe('a vCPU that a thread plays', () => {
  const EARLY = 0x8000, STOP = 0x8040, PAGE = 0x10;

  /** Two vCPUs that share tables; `put()` maps the page to another frame. */
  function shared(engine: 'ts' | 'wasm') {
    const given = { memory: '1M', vcpus: 2, mode: 'functional', engine } as const, machine = Machine.create(given), cluster = new Cluster(machine, { machine: given });
    open.push(cluster);
    const [asker, player] = machine.vcpus as [Vcpu, Vcpu], put = remapper(machine, player, PAGE);
    put(0x50);
    return { machine, cluster, asker, player, put };
  }

  async function begun(machine: Machine): Promise<void> {
    while (machine.views.w[machine.views.lowWord + (EARLY >>> 2)] === 0) await new Promise(resolve => { setTimeout(resolve, 1); });
  }

  it.each(ENGINES)('goes on with what it has cached until it looks, and no one waits for it less (%s)', async engine => {
    const { machine, cluster, asker, player, put } = shared(engine);
    const run = cluster.start(1, { module: PROGRAMS, name: 'translations', data: { page: PAGE, early: EARLY, stop: STOP } });
    await begun(machine);
    put(0x60);
    await new Promise(resolve => { setTimeout(resolve, 20); });
    machine.invalidate([player], { va: BigInt(PAGE * 4096) }, asker); // returns when it is done there
    Atomics.store(machine.views.w, machine.views.lowWord + (STOP >>> 2), 1);
    expect(await run).toMatchObject({ how: 'returned', value: { last: 0x60, seen: { 0x50: expect.any(Number) as number } } });
  });

  it.each(ENGINES)('looks in the middle of its batches, between which it does no step (%s)', async engine => {
    const { machine, cluster, asker, player, put } = shared(engine), run = cluster.start(1, { module: PROGRAMS, name: 'batches', data: { page: PAGE, early: EARLY, stop: STOP } });
    await begun(machine);
    put(0x60);
    const steps = cluster.beats(1);
    machine.views.locks.deadline = performance.now() + 20_000; // else a failure would be a hang
    machine.invalidate([player], { va: BigInt(PAGE * 4096) }, asker);
    expect(cluster.beats(1)).toBe(steps);
    Atomics.store(machine.views.w, machine.views.lowWord + (STOP >>> 2), 1);
    expect(await run).toEqual({ how: 'returned', value: { batches: expect.any(Number) as number, last: 0x60 } });
  });

  it.each(ENGINES.flatMap(([engine]) => (['functional', 'timed'] as const).flatMap(mode => (['batch', 'queue', 'mixed queue'] as const).map(way => [way, engine, mode] as const))))(
    'uses at most 4096 accesses of a %s what was invalidated in the middle of it (%s, %s)', (way, engine, mode) => {
      const accesses = 30_000, posted = 11_111, tables = 0x200_0000, page = 0x10, device = 0x4000_0000n;
      let onRead = (): void => {};
      const handler = { read: () => { onRead(); return 0x70025n; }, write: () => {} }; // a page table whose every entry maps frame 0x70
      const machine = Machine.create({ extents: [{ base: 0, bytes: 0x10_0000 }, { base: tables, bytes: 0x1000, kind: 'mmio', handler }], vcpus: 2, mode, cpu: presets.skylake, engine, paging: '4-level' });
      const [, player] = machine.vcpus as [Vcpu, Vcpu], put = remapper(machine, player, page), scope = { kind: SCOPE_PAGES, id: 0, hi: 0, lo: page << 12, pages: 1 };
      machine.map(device, { user: true });
      const directory = machine.vcpus[0]!.explain(device, 4).references.at(-2)!;
      machine.write(directory.paddr, new Uint8Array(BigUint64Array.of(BigInt(tables) | 0x27n).buffer));
      put(0x50);
      const queue = player.queue(accesses), { columns } = queue;
      for (let k = 0; k < accesses; k++) queue.push(0, k === posted ? Number(device) : page << 12, way === 'mixed queue' && k % 2 ? 0 : 4, 4); // of the user, and of the kernel
      machine.play(player);
      onRead = () => {
        put(0x60);
        machine.shootdowns.post(player.block >>> 2, scope);
        onRead = () => {};
      };
      expect(way === 'batch' ? player.runBatch(columns, 0, accesses, 4) : queue.flush()).toBe(way === 'batch' ? accesses : 0);
      machine.shootdowns.wait();
      machine.rest();
      const seen = Array.from({ length: accesses }, (_, k) => columns.pa[2 * k]! >>> 12), first = seen.indexOf(0x60);
      expect([seen[posted], first > posted + 1, first <= posted + 4096]).toEqual([0x70, true, true]); // the window, and its end
      expect([new Set(seen.slice(0, posted)), new Set(seen.slice(first))]).toEqual([new Set([0x50]), new Set([0x60])]);
      expect(word(machine, player, MAIL_DONE)).toBe(1);
    });

  it('looks between the parts of a hypercall at which it could be preempted', () => {
    const { machine, xen, guests: [guest] } = makeWorld({ domains: 1, vcpus: 2, engine: 'ts' }), [cpu] = machine.vcpus as [Vcpu];
    const done = () => word(machine, cpu, MAIL_DONE), ask = (count: number) => {
      machine.shootdowns.post(cpu.block >>> 2, { kind: SCOPE_PAGES, id: 0, hi: 0, lo: 0x7000, pages: 1 });
      machine.write(BigInt(guest!.first + ARGS) * 4096n, new Uint8Array(new BigUint64Array(count * 3).fill(6n).buffer)); // MMUEXT_TLB_FLUSH_LOCAL
      return Number(xen.hypercall(cpu, HYPERVISOR_mmuext_op, BASE + BigInt(ARGS * 4096), BigInt(count), 0n, 0x7ff0n));
    };
    machine.play(cpu);
    expect([ask(1), done()]).toEqual([0, 0]);
    expect([ask(2), done()]).toEqual([0, 2]);
    machine.rest();
  });

  it('is not waited for while it sleeps: what others ask of it is done', async () => {
    const { machine, cluster, asker, player, put } = shared('ts'), waits = (player.block + VCPU_WAITS) >>> 2;
    const run = cluster.start(1, { module: PROGRAMS, name: 'sleep', data: { page: PAGE, early: EARLY } });
    await begun(machine);
    put(0x60);
    machine.invalidate([player], { va: BigInt(PAGE * 4096) }, asker);
    Atomics.store(machine.views.w, waits, 0);
    Atomics.notify(machine.views.w, waits);
    expect(await run).toEqual({ how: 'returned', value: { before: 0x50, woken: true, after: 0x60 } });
  });

  it('may ask those that ask it at the same time', async () => {
    const given = { memory: '1M', vcpus: 3, mode: 'functional' } as const, machine = Machine.create(given), cluster = new Cluster(machine, { machine: given });
    open.push(cluster);
    for (let k = 0; k < 3; k++) void cluster.start(k, { module: PROGRAMS, name: 'askAll', data: 1500 });
    expect(await cluster.join(20_000)).toEqual([0, 1, 2].map(() => ({ how: 'returned', value: 1500 })));
    for (const cpu of machine.vcpus) expect([word(machine, cpu, MAIL_POSTED), word(machine, cpu, MAIL_DONE)]).toEqual([3000, 3000]);
  });

  it('is not waited for once its thread has ended', async () => {
    const given = { memory: '1M', vcpus: 2, mode: 'functional' } as const, machine = Machine.create(given), cluster = new Cluster(machine, { machine: given });
    open.push(cluster);
    void cluster.start(0, { module: PROGRAMS, name: 'hang' });
    while (cluster.beats(0) < 1) await new Promise(resolve => { setTimeout(resolve, 1); });
    const asks = cluster.start(1, { module: PROGRAMS, name: 'askAll', data: 3 });
    await new Promise(resolve => { setTimeout(resolve, 30); });
    expect((await cluster.join(1)).map(({ how }) => how)).toEqual(['late', 'late']); // it waits
    cluster.kill(0);
    expect(await asks).toEqual({ how: 'returned', value: 3 });
  });
});
