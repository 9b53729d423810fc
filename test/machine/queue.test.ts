import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF, FAULT_SS, PFEC_U, PFEC_W } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { Random } from '../wasm/engine-duel.ts';
import { stateOf } from '../wasm/state.ts';

const HI = 0x7f00, BASE = 0x7f00_0000_0000n;
const make = (options: MachineOptions = {}) => Machine.create({ memory: '4M', ...options });

/** Low words of the physical addresses of one access after another, each with a handler that maps its page. */
function oneByOne(machine: Machine, list: readonly (readonly [lo: number, kind: number])[]): number[] {
  const cpu = machine.vcpus[0], found: number[] = [];
  for (const [lo, kind] of list) {
    while (cpu.access(HI, lo, kind) !== FAULT_NONE) machine.map(BASE + BigInt(lo & ~0xfff), { user: true, write: true });
    found.push(cpu.paddrLo);
  }
  return found;
}

describe('a queue', () => {
  it('makes its accesses in order, and keeps their addresses', () => {
    const machine = make(), cpu = machine.vcpus[0], queue = cpu.queue(4);
    const pa = Number(machine.map(BASE, { frames: 3, user: true, write: true }));
    expect([0x10, 0x1020, 0x2030].map(lo => queue.push(HI, lo, ACCESS_USER, 8))).toEqual([0, 1, 2]);
    expect([queue.pushed, queue.made]).toEqual([3, 0]);
    expect(cpu.counters().translations.load).toBe(0); // nothing is made before the flush
    expect(queue.flush()).toBe(FAULT_NONE);
    expect([queue.pushed, queue.made]).toEqual([3, 3]);
    expect([0, 1, 2].map(k => queue.columns.pa[2 * k])).toEqual([pa + 0x10, pa + 0x1020, pa + 0x2030]);
    expect(cpu.counters().translations.load).toBe(3);
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(cpu.counters().translations.load).toBe(3);
    expect(queue.push(HI, 0x2040, ACCESS_USER, 8)).toBe(0); // it begins anew
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(queue.columns.pa[0]).toBe(pa + 0x2040);
  });

  it('says when it is full, and loses nothing', () => {
    const machine = make(), cpu = machine.vcpus[0], queue = cpu.queue(3);
    machine.map(BASE, { frames: 8 });
    expect([0, 1, 2, 3, 4].map(k => queue.push(HI, k << 12, 0, 1))).toEqual([0, 1, 2, -1, -1]);
    expect(queue.flush()).toBe(FAULT_NONE);
    expect([...queue.columns.va]).toEqual([0, HI, 0x1000, HI, 0x2000, HI]);
    expect(cpu.counters().translations.load).toBe(3);
    expect([3, 4].map(k => queue.push(HI, k << 12, 0, 1))).toEqual([0, 1]);
  });

  it('stops at a fault with its index, goes on when it is handled, and can pass over it', () => {
    const machine = make(), cpu = machine.vcpus[0], queue = cpu.queue(8);
    machine.map(BASE, { user: true });
    queue.push(HI, 0x8, ACCESS_USER, 8);
    queue.push(HI, 0x1008, ACCESS_USER | ACCESS_WRITE, 8);
    queue.push(HI, 0x10, ACCESS_USER, 8);
    queue.push(HI, 0x5000, ACCESS_USER, 8);
    queue.push(HI, 0x18, ACCESS_USER, 8);
    expect(queue.flush()).toBe(FAULT_PF | PFEC_U | PFEC_W);
    expect(queue.made).toBe(1);
    expect(cpu.registers.cr2).toBe(BASE + 0x1008n);
    expect(queue.push(HI, 0x20, ACCESS_USER, 8)).toBe(5); // behind those that wait
    expect(queue.flush()).toBe(FAULT_PF | PFEC_U | PFEC_W); // not handled: the same again
    const pa = machine.map(BASE + 0x1000n, { user: true, write: true });
    expect(queue.flush()).toBe(FAULT_PF | PFEC_U);
    expect(queue.made).toBe(3);
    expect(BigInt(queue.columns.pa[2]!)).toBe(pa + 8n);
    queue.skip();
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(queue.made).toBe(6);
    queue.skip(); // nothing is left to pass over
    expect([queue.made, queue.pushed]).toEqual([6, 6]);
  });

  it('forgets what it is told to forget', () => {
    const machine = make(), queue = machine.vcpus[0].queue(2);
    queue.push(HI, 0, 0, 1);
    queue.clear();
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(machine.vcpus[0].counters().faults).toBe(0);
    expect(queue.push(HI, 0, 0, 1)).toBe(0);
  });

  it.each([
    ['a load', ACCESS_READ], ['a user load', ACCESS_USER], ['a store', ACCESS_WRITE], ['a user store', ACCESS_USER | ACCESS_WRITE], ['a fetch', ACCESS_FETCH],
    ['a user fetch', ACCESS_USER | ACCESS_FETCH], ['an implicit load', ACCESS_IMPLICIT], ['a push', ACCESS_USER | ACCESS_WRITE | ACCESS_STACK],
  ])('hands on what kind an access is: %s', (_, kind) => {
    const machine = make(), cpu = machine.vcpus[0], queue = cpu.queue(1);
    for (const [hi, lo] of [[HI, 0x1000], [0x8000, 0]] as const) {
      queue.push(hi, lo, kind, 1);
      const fault = queue.flush();
      queue.clear();
      expect(fault).toBe(cpu.access(hi, lo, kind));
      expect(fault >>> 16).toBe((hi === HI ? FAULT_PF : kind & ACCESS_STACK ? FAULT_SS : FAULT_GP) >>> 16);
    }
  });

  it.each(['timed', 'functional'] as const)('leaves what the same accesses one by one leave, %s', mode => {
    const random = new Random(77), a = make({ mode }), b = make({ mode });
    const list = Array.from({ length: 20_000 }, () =>
      [random.below(200) * 4096 + random.below(512) * 8, random.of([0, ACCESS_USER, ACCESS_USER, ACCESS_USER | ACCESS_WRITE, ACCESS_USER | ACCESS_FETCH])] as const);
    const expected = oneByOne(a, list), found: number[] = [], queue = b.vcpus[0].queue(700);
    const drain = () => {
      while (queue.flush() !== FAULT_NONE) b.map(BASE + BigInt(queue.columns.va[2 * queue.made]! & ~0xfff), { user: true, write: true });
      for (let k = 0; k < queue.made; k++) found.push(queue.columns.pa[2 * k]!);
    };
    for (const [lo, kind] of list) {
      if (queue.push(HI, lo, kind, 8) >= 0) continue;
      drain();
      queue.push(HI, lo, kind, 8);
    }
    drain();
    expect(found).toEqual(expected);
    expect(Buffer.compare(stateOf(a), stateOf(b, a.views.byteLength))).toBe(0); // without the queue
  });
});

describe('batches', () => {
  it('reach across calls of 64 Ki accesses, and stop at the first fault', () => {
    const machine = make(), cpu = machine.vcpus[0], n = 200_000, columns = machine.columns(n);
    machine.map(BASE, { frames: 16 });
    for (let k = 0; k < n; k++) {
      columns.va[2 * k] = (k * 72) & 0xffff;
      columns.va[2 * k + 1] = HI;
      columns.size[k] = 8;
    }
    expect(cpu.runBatch(columns, 0, n)).toBe(n);
    expect(cpu.counters().translations.load).toBe(n);
    columns.va[2 * 150_000] = 0x10_0000;
    expect(cpu.runBatch(columns, 10, n)).toBe(150_000);
    expect(cpu.batchFault).toBe(FAULT_PF);
    expect(cpu.runBatch(columns, 150_001, n)).toBe(n);
    expect(cpu.counters().translations.load).toBe(2 * n - 10);
  });

  it.each<[string, string, (m: Machine) => unknown]>([
    ['no room', 'capacity', m => m.columns(0)],
    ['half an access', 'capacity', m => m.columns(1.5)],
    ['more than there can be', 'capacity', m => m.columns(2 ** 25)],
    ['a queue of nothing', 'capacity', m => m.vcpus[0].queue(0)],
    ['columns of another machine', 'columns', m => m.vcpus[0].runBatch(make().columns(4), 0, 4)],
    ['an end outside', 'to', m => m.vcpus[0].runBatch(m.columns(4), 0, 5)],
    ['an end that is no number', 'to', m => m.vcpus[0].runBatch(m.columns(4), 0, NaN)],
    ['a start outside', 'from', m => m.vcpus[0].runBatch(m.columns(4), -1, 4)],
    ['a start behind the end', 'from', m => m.vcpus[0].runBatch(m.columns(4), 3, 2)],
    ['no columns', 'columns', m => m.vcpus[0].runBatch(undefined as never, 0, 1)],
    ['columns of no machine', 'columns', m => m.vcpus[0].runBatch({} as never, 0, 1)],
    ['an unknown bit for all', 'extra', m => m.vcpus[0].runBatch(m.columns(4), 0, 4, 1 << 29)],
    ['a bit for all that is no number', 'extra', m => m.vcpus[0].runBatch(m.columns(4), 0, 4, '4' as never)],
    ['an unknown bit of one in a queue', 'kind', m => { const q = m.vcpus[0].queue(1); q.push(0, 0, 1 << 30, 1); q.flush(); }],
    ['an access of 64 KiB', 'bytes', m => m.vcpus[0].queue(1).push(0, 0, 0, 65536)],
    ['an access of nothing', 'bytes', m => m.vcpus[0].queue(1).push(0, 0, 0, 0)],
    ['an access of less', 'bytes', m => m.vcpus[0].queue(1).push(0, 0, 0, -1)],
  ])('%s is the caller\'s mistake', (_, field, call) => {
    expect(() => call(make())).toThrow(ConfigError);
    expect(() => call(make())).toThrow(new RegExp(`^${field}: expected`));
  });

  it.each([[0, 1], [15, 80], [63, 64], [64, 65], [79, 80], [100, 300], [9000, 9001]])('a kind that there is not is the caller\'s mistake: %i of %i', (at, n) => {
    const machine = make({ paging: 'none' }), cpu = machine.vcpus[0], columns = machine.columns(n);
    columns.size.fill(1);
    for (const kind of [4, 128, 255]) {
      columns.kind[at] = kind;
      expect(() => cpu.runBatch(columns, 0, n)).toThrow(new ConfigError(`columns.kind[${at}]`, '0 to 3', kind));
    }
    columns.kind.fill(3);
    expect(cpu.runBatch(columns, 0, n)).toBe(n);
    columns.kind[at] = 4; // outside the range: not looked at
    expect(cpu.runBatch(columns, 0, at)).toBe(at);
    expect(cpu.runBatch(columns, at + 1, n)).toBe(n);
  });

  it('of a queue lose nothing when an access is refused', () => {
    const machine = make({ paging: 'none' }), cpu = machine.vcpus[0], queue = cpu.queue(2);
    queue.push(0, 0x1000, 0, 1);
    queue.flush();
    expect(() => queue.push(0, 0x2000, 0, 2 ** 32 + 8)).toThrow(ConfigError);
    expect([queue.made, queue.pushed]).toEqual([1, 1]);
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(cpu.counters().translations.load).toBe(1);
  });

  it('take the longest access that a queue does', () => {
    const machine = make(), cpu = machine.vcpus[0], queue = cpu.queue(1);
    machine.map(BASE, { frames: 16 });
    queue.push(HI, 1, 0, 65535);
    expect(queue.flush()).toBe(FAULT_NONE);
    expect(cpu.counters().translations.load).toBe(16);
  });
});
