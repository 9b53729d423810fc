import { expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { CR4_PCIDE, CR4_PGE } from '../../src/arch/registers.ts';
import { ARR_CAPACITY, ARR_CLOCK, ARR_REPL } from '../../src/layout/array.ts';
import { PLAIN_A, PLAIN_NEXT, PSC_A, PSC_BYTES, VCPU_PLAIN, VCPU_PLAIN_PSC } from '../../src/layout/vcpu.ts';
import type { CpuModel, Geometry } from '../../src/cost/cpu-model.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Random } from './engine-duel.ts';
import { stateOf } from './state.ts';

const ROUNDS = 100, BATCH = 300, REGIONS = 3, TABLES = 12, PAGES = 24, LAST_STAMP = 0x7fffffff;
const ACCESS_OF_KIND = [ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ];

const geometry = (sets: number, ways: number, replacement: Geometry['replacement']): Geometry => ({ sets, ways, replacement });
const services = ['load', 'store', 'fetch'] as const;

/** Small structures, so that most accesses walk. @param split - fetches have a first level of their own */
const model = (split: boolean): CpuModel => ({
  name: 'small', title: 'small', vendor: 'intel', physicalAddressBits: 46, clockGHz: 1, pages1g: true, la57: true,
  tlb: [
    {
      hitCycles: 1,
      structures: split
        ? [
            { name: 'l1d', ...geometry(4, 4, 'tree-plru'), holds: ['4k'], serves: ['load', 'store'] },
            { name: 'l1i', ...geometry(2, 8, 'tree-plru'), holds: ['4k'], serves: ['fetch'] },
          ]
        : [{ name: 'l1', ...geometry(2, 12, 'tree-plru'), holds: ['4k'], serves: services }],
    },
    { hitCycles: 8, structures: [{ name: 'l2', ...geometry(8, split ? 12 : 8, 'lru'), holds: ['4k'], serves: services }] },
  ],
  psc: { pde: geometry(2, 4, 'lru'), pdpte: geometry(1, 4, 'lru') },
  walkCycles: 10, walkers: 1, caches: { lineBytes: 64, levels: [], memoryCycles: 15, remoteCycles: 0 },
});

const addressOf = (r: Random) => 0x7f00_0000_0000n + BigInt(r.below(REGIONS)) * 2n ** 30n + BigInt(r.below(TABLES)) * 2n ** 21n + BigInt(r.below(PAGES)) * 4096n;

/** As if the clock of an LRU array had come to `clock` by many touches: the order of its stamps stays. @param a - word index of the array */
function age(w: Int32Array, a: number, clock: number): void {
  const by = clock - w[a + (ARR_CLOCK >>> 2)]!, first = w[a + (ARR_REPL >>> 2)]! >>> 2, n = w[a + (ARR_CAPACITY >>> 2)]!;
  if (by <= 0) return;
  w[a + (ARR_CLOCK >>> 2)]! += by;
  for (let i = first; i < first + n; i++) if (w[i] !== 0) w[i]! += by;
}

/** What a round does to a machine besides accesses. */
function disturb(r: Random, machine: Machine): void {
  const [cpu] = machine.vcpus, va = addressOf(r), { w } = machine.views, word = r.next();
  const lru = [VCPU_PLAIN_PSC + PSC_A, VCPU_PLAIN_PSC + PSC_BYTES + PSC_A, VCPU_PLAIN + PLAIN_NEXT + PLAIN_A];
  switch (r.below(8)) {
    case 0: cpu!.invlpg(va); break;
    case 1: cpu!.writeCr3((cpu!.registers.cr3 & ~0xfffn) | BigInt(word & 3)); break;
    case 2: cpu!.flush(); break;
    case 3: machine.map(va, { user: true, write: (word & 1) !== 0, global: (word & 2) !== 0, noExecute: (word & 4) !== 0 }); break;
    case 4: age(machine.views.w, w[(cpu!.block + lru[(word >>> 8) % 3]!) >>> 2]! >>> 2, LAST_STAMP - (word & 0xff)); break;
    case 5: cpu!.writePkru(word & 4); break;
  }
}

/** Accesses by one call. @returns where faults stopped it, and all physical addresses */
function batch(r: Random, machine: Machine, columns: AccessColumns, mostly: number): unknown {
  const [cpu] = machine.vcpus, stops: number[] = [], near = r.chance(0.3) ? addressOf(r) : undefined;
  for (let k = 0; k < BATCH; k++) {
    const va = (near !== undefined && r.chance(0.7) ? near : addressOf(r)) + BigInt(r.below(4096 / 8) * 8), rare = r.chance(0.01);
    columns.va.set([Number(BigInt.asIntN(32, va)), Number(va >> 32n) ^ (r.chance(0.002) ? 0x8000 : 0)], 2 * k);
    columns.kind[k] = r.chance(0.9) ? mostly : r.below(rare ? 4 : 3);
    columns.size[k] = rare ? 1 + r.below(10_000) : 8;
  }
  columns.pa.fill(0);
  for (let from = 0; from < BATCH; from++) stops.push(from = cpu!.runBatch(columns, from, BATCH, ACCESS_USER), from < BATCH ? cpu!.batchFault : 0);
  return [stops, columns.pa.slice(0, 2 * BATCH)];
}

/** The same as calls. */
function calls(r: Random, machine: Machine, mostly: number): unknown {
  const [cpu] = machine.vcpus, found: unknown[] = [];
  for (let k = 0; k < BATCH; k++) {
    const va = addressOf(r) + BigInt(r.below(4096)), kind = ACCESS_OF_KIND[r.chance(0.9) ? mostly : r.below(3)]! | ACCESS_USER;
    const fault = cpu!.access(Number(va >> 32n) ^ (r.chance(0.002) ? 0x8000 : 0), Number(BigInt.asIntN(32, va)), kind);
    found.push(fault, cpu!.cycles, fault === FAULT_NONE ? cpu!.paddr : 0n);
  }
  return found;
}

it.each([
  ['4 levels', model(false), '4-level'], ['4 levels, fetches apart', model(true), '4-level'], ['5 levels', model(true), '5-level'],
] as const)('where nearly every access walks, both engines tell the same and leave the same bytes: %s', (name, cpu, paging) => {
  const r = new Random(name.length * 97), machines = (['ts', 'wasm'] as const).map(engine => Machine.create({ memory: '6M', cpu, paging, engine }));
  const columns = machines.map(machine => machine.columns(BATCH)), length = 5 * 2 ** 20; // the columns of one are in its memory
  const each = <T>(seed: number, act: (r: Random, k: number) => T): T[] => machines.map((_, k) => act(new Random(seed), k));
  each(r.next(), (q, k) => {
    const machine = machines[k]!, [vcpu] = machine.vcpus;
    vcpu!.writeCr4(vcpu!.registers.cr4 | BigInt(CR4_PCIDE) | BigInt(CR4_PGE));
    for (let n = 0; n < 700; n++) machine.map(addressOf(q), { user: q.chance(0.98), write: q.chance(0.9), global: q.chance(0.1), noExecute: q.chance(0.05) });
  });
  let walks = 0, faults = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const seed = r.next(), single = r.chance(0.4), mostly = r.below(2), quiet = r.chance(0.4);
    const [a, b] = each(seed, (q, k) => {
      if (!quiet) disturb(q, machines[k]!);
      return single ? calls(q, machines[k]!, mostly) : batch(q, machines[k]!, columns[k]!, mostly);
    });
    expect(b, `round ${round}`).toEqual(a);
    const [before, after] = machines.map(m => stateOf(m, length));
    expect(before!.equals(after!), `bytes after round ${round}`).toBe(true);
    const counters = machines[0]!.vcpus[0]!.counters();
    walks = counters.walks;
    faults = counters.faults;
  }
  expect(walks).toBeGreaterThan(0.5 * ROUNDS * BATCH);
  expect(faults).toBeGreaterThan(0.01 * ROUNDS * BATCH);
});
