import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { CR0_PG, CR4_PCIDE, CR4_PGE } from '../../src/arch/registers.ts';
import { ARR_CAPACITY, ARR_CLOCK, ARR_REPL } from '../../src/layout/array.ts';
import { PLAIN_A, PLAIN_NEXT, PSC_A, PSC_BYTES, VCPU_PLAIN, VCPU_PLAIN_PSC } from '../../src/layout/vcpu.ts';
import type { CpuModel, Geometry } from '../../src/cost/cpu-model.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Random } from './engine-duel.ts';
import { stateOf } from './state.ts';

const ROUNDS = 100, BATCH = 300, LAST_STAMP = 0x7fffffff;
/** Changes of the high word: that of a page number, and one above it. */
const NOT_CANONICAL = [0x8000, 1 << 31];
const ACCESS_OF_KIND = [ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ];

const geometry = (sets: number, ways: number, replacement: Geometry['replacement']): Geometry => ({ sets, ways, replacement });
const services = ['load', 'store', 'fetch'] as const;

/** Small structures. @param split - fetches have a first level of their own @param sets - of the second level */
const model = (split: boolean, sets: number): CpuModel => ({
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
    { hitCycles: 8, structures: [{ name: 'l2', ...geometry(sets, split ? 12 : 8, 'lru'), holds: ['4k'], fractures: ['2m'], serves: services }] },
  ],
  psc: { pde: geometry(2, 4, 'lru'), pdpte: geometry(1, 4, 'lru') },
  walkCycles: 10, walkers: 1, caches: { lineBytes: 64, levels: [], memoryCycles: 15, remoteCycles: 0 },
});

/** Which pages are used: how many of each level-1 table, and as many pieces of each 2M page after those; how many of them; of how many level-2 tables. */
interface Used { readonly pages: number; readonly tables: number; readonly large: number; readonly regions: number }
const MANY: Used = { pages: 24, tables: 12, large: 0, regions: 3 }, FEW: Used = { pages: 40, tables: 2, large: 1, regions: 1 };

const addressOf = (r: Random, used: Used, tables = used.tables + used.large) =>
  0x7f00_0000_0000n + BigInt(r.below(used.regions)) * 2n ** 30n + BigInt(r.below(tables)) * 2n ** 21n + BigInt(r.below(used.pages)) * 4096n;

/** As if the clock of an LRU array had come to `clock` by many touches: the order of its stamps stays. @param a - word index of the array */
function age(w: Int32Array, a: number, clock: number): void {
  const by = clock - w[a + (ARR_CLOCK >>> 2)]!, first = w[a + (ARR_REPL >>> 2)]! >>> 2, n = w[a + (ARR_CAPACITY >>> 2)]!;
  if (by <= 0) return;
  w[a + (ARR_CLOCK >>> 2)]! += by;
  for (let i = first; i < first + n; i++) if (w[i] !== 0) w[i]! += by;
}

/** What a round does to a machine besides accesses. */
function disturb(r: Random, machine: Machine, used: Used): void {
  const [cpu] = machine.vcpus, va = addressOf(r, used), { w } = machine.views, word = r.next();
  const lru = [VCPU_PLAIN_PSC + PSC_A, VCPU_PLAIN_PSC + PSC_BYTES + PSC_A, VCPU_PLAIN + PLAIN_NEXT + PLAIN_A];
  switch (r.below(8)) {
    case 0: cpu!.invlpg(va); break;
    case 1: cpu!.writeCr3((cpu!.registers.cr3 & ~0xfffn) | BigInt(word & 3)); break;
    case 2: cpu!.flush(); break;
    case 3: machine.map(addressOf(r, used, used.tables), { user: true, write: (word & 1) !== 0, global: (word & 2) !== 0, noExecute: (word & 4) !== 0 }); break;
    case 4: age(machine.views.w, w[(cpu!.block + lru[(word >>> 8) % 3]!) >>> 2]! >>> 2, LAST_STAMP - (word & 0xff)); break;
    case 5: cpu!.writePkru(word & 4); break;
  }
}

/** Accesses by one call. @returns where faults stopped it, and all physical addresses */
function batch(r: Random, machine: Machine, used: Used, columns: AccessColumns, mostly: number): unknown {
  const [cpu] = machine.vcpus, stops: number[] = [], near = r.chance(0.3) ? addressOf(r, used) : undefined;
  for (let k = 0; k < BATCH; k++) {
    const va = (near !== undefined && r.chance(0.7) ? near : addressOf(r, used)) + BigInt(r.below(4096 / 8) * 8), rare = r.chance(0.01);
    columns.va.set([Number(BigInt.asIntN(32, va)), Number(va >> 32n) ^ (r.chance(0.002) ? r.of(NOT_CANONICAL) : 0)], 2 * k);
    columns.kind[k] = r.chance(0.9) ? mostly : r.below(rare ? 4 : 3);
    columns.size[k] = rare ? 1 + r.below(10_000) : 8;
  }
  columns.pa.fill(0);
  for (let from = 0; from < BATCH; from++) stops.push(from = cpu!.runBatch(columns, from, BATCH, ACCESS_USER), from < BATCH ? cpu!.batchFault : 0);
  return [stops, columns.pa.slice(0, 2 * BATCH)];
}

/** The same as calls. */
function calls(r: Random, machine: Machine, used: Used, mostly: number): unknown {
  const [cpu] = machine.vcpus, found: unknown[] = [];
  for (let k = 0; k < BATCH; k++) {
    const va = addressOf(r, used) + BigInt(r.below(4096)), kind = ACCESS_OF_KIND[r.chance(0.9) ? mostly : r.below(3)]! | ACCESS_USER;
    const fault = cpu!.access(Number(va >> 32n) ^ (r.chance(0.002) ? r.of(NOT_CANONICAL) : 0), Number(BigInt.asIntN(32, va)), kind);
    found.push(fault, cpu!.cycles, fault === FAULT_NONE ? cpu!.paddr : 0n);
  }
  return found;
}

it.each([
  ['4 levels, most walk', model(false, 8), '4-level', MANY], ['4 levels, fetches apart, most walk', model(true, 8), '4-level', MANY], ['5 levels, most walk', model(true, 8), '5-level', MANY],
  ['4 levels, most hit', model(false, 64), '4-level', FEW], ['4 levels, fetches apart, most hit', model(true, 64), '4-level', FEW], ['5 levels, most hit', model(true, 64), '5-level', FEW],
] as const)('of accesses to many pages both engines tell the same and leave the same bytes: %s', (name, cpu, paging, used) => {
  const r = new Random(name.length * 97), machines = (['ts', 'wasm'] as const).map(engine => Machine.create({ memory: '6M', cpu, paging, engine }));
  const columns = machines.map(machine => machine.columns(BATCH)), length = 5 * 2 ** 20; // the columns of one are in its memory
  const each = <T>(seed: number, act: (r: Random, k: number) => T): T[] => machines.map((_, k) => act(new Random(seed), k));
  each(r.next(), (q, k) => {
    const machine = machines[k]!, [vcpu] = machine.vcpus;
    vcpu!.writeCr4(vcpu!.registers.cr4 | BigInt(CR4_PCIDE) | BigInt(CR4_PGE));
    for (let n = 0; n < used.large; n++) machine.map(0x7f00_0000_0000n + BigInt(used.tables + n) * 2n ** 21n, { user: true, write: true, size: '2m' });
    for (let n = 0; n < 700; n++) machine.map(addressOf(q, used, used.tables), { user: q.chance(0.98), write: q.chance(0.9), global: q.chance(0.1), noExecute: q.chance(0.05) });
  });
  for (let round = 0; round < ROUNDS; round++) {
    const seed = r.next(), single = r.chance(0.4), mostly = r.below(2), quiet = r.chance(0.4);
    const [a, b] = each(seed, (q, k) => {
      if (!quiet) disturb(q, machines[k]!, used);
      return single ? calls(q, machines[k]!, used, mostly) : batch(q, machines[k]!, used, columns[k]!, mostly);
    });
    expect(b, `round ${round}`).toEqual(a);
    const [before, after] = machines.map(m => stateOf(m, length));
    expect(before!.equals(after!), `bytes after round ${round}`).toBe(true);
  }
  const { walks, faults, hits } = machines[0]!.vcpus[0]!.counters(), of = (level: number) => hits[level]!.load + hits[level]!.store + hits[level]!.fetch;
  expect(used === MANY ? walks : of(1)).toBeGreaterThan(0.4 * ROUNDS * BATCH);
  expect(of(0)).toBeGreaterThan(0.05 * ROUNDS * BATCH);
  expect(faults).toBeGreaterThan(0.01 * ROUNDS * BATCH);
});

it.each(['ts', 'wasm'] as const)('a kind that there is not is refused wherever it is in a batch: %s', engine => {
  for (const [used, kind] of [[MANY, 4], [MANY, 32], [MANY, 255], [FEW, 4], [FEW, 32], [FEW, 255]] as const) {
    const machine = Machine.create({ memory: '6M', cpu: model(false, 64), engine }), columns = machine.columns(BATCH), [cpu] = machine.vcpus, r = new Random(kind);
    for (let k = 0; k < BATCH; k++) {
      const va = addressOf(r, used, used.tables);
      machine.map(va, { user: true });
      columns.va.set([Number(BigInt.asIntN(32, va)), Number(va >> 32n)], 2 * k);
      columns.size[k] = 8;
    }
    for (let k = BATCH - 1; k > BATCH / 2; k--) {
      cpu!.flush();
      columns.kind.fill(0).fill(kind, k, k + 1);
      expect(() => cpu!.runBatch(columns, 0, BATCH, ACCESS_USER), `kind ${kind} of access ${k}`).toThrow(`columns.kind[${k}]`);
    }
  }
});

it('pieces of a large page that were fetched, and then are loaded, leave the same bytes with both engines', () => {
  const [before, after] = (['ts', 'wasm'] as const).map(engine => {
    const machine = Machine.create({ memory: '6M', cpu: model(true, 64), engine }), columns = machine.columns(BATCH), [cpu] = machine.vcpus;
    machine.map(0x20_0000n, { user: true, size: '2m' });
    columns.kind.fill(0);
    columns.size.fill(8);
    for (let k = 0; k < BATCH; k++) columns.va[2 * k] = 0x20_0000 + (k % 100 << 12);
    expect(cpu!.runBatch(columns, 0, BATCH, ACCESS_USER)).toBe(BATCH); // from now on the loop over hits is used
    cpu!.flush();
    for (let page = 99; page >= 0; page--) expect(cpu!.access(0, 0x20_0000 + (page << 12), ACCESS_FETCH | ACCESS_USER)).toBe(FAULT_NONE);
    expect(cpu!.runBatch(columns, 0, 100, ACCESS_USER)).toBe(100);
    expect(cpu!.counters().hits[1]!.load).toBeGreaterThan(250);
    return stateOf(machine, 5 * 2 ** 20);
  });
  expect(before!.equals(after!)).toBe(true);
});

it.each(['ts', 'wasm'] as const)('calls that walked leave nothing that is used when paging is off: %s', engine => {
  const machine = Machine.create({ memory: '6M', cpu: model(false, 8), engine }), [cpu] = machine.vcpus, first = 0x4000_0000, pages = 300;
  machine.map(BigInt(first), { user: true, frames: pages });
  for (let k = 0; k < pages; k++) expect(cpu!.access(0, first + k * 4096, ACCESS_USER)).toBe(FAULT_NONE);
  expect(cpu!.counters().walks).toBe(pages);
  cpu!.setCode64(false);
  expect(cpu!.writeCr0(cpu!.registers.cr0 & ~(BigInt(CR0_PG) & 0xffff_ffffn))).toBe(FAULT_NONE);
  for (let k = 0; k < pages; k++) {
    expect(cpu!.access(0, first + k * 4096, ACCESS_USER)).toBe(FAULT_NONE);
    expect(cpu!.paddr).toBe(BigInt(first + k * 4096));
  }
  expect(cpu!.counters().walks).toBe(pages);
});

it.each([
  ['entries of level 2', VCPU_PLAIN_PSC + PSC_A, 2, 1], ['entries of level 3', VCPU_PLAIN_PSC + PSC_BYTES + PSC_A, 24, 2], ['the second level', VCPU_PLAIN + PLAIN_NEXT + PLAIN_A, 2, 1],
] as const)('walks leave the same bytes when the clock of what caches %s is at its end', (_, cache, tables, regions) => {
  const pages = 300 / tables, walks = 600;
  const vas = Array.from({ length: walks }, (__, k) => ((k % regions) << 30) + ((1 + (k % tables)) << 21) + ((Math.floor(k / tables) % pages) << 12));
  const [ts, wasm] = (['ts', 'wasm'] as const).map(engine => {
    const machine = Machine.create({ memory: '6M', cpu: model(false, 8), engine }), [cpu] = machine.vcpus, columns = machine.columns(walks), { w } = machine.views;
    for (const va of new Set(vas)) machine.map(BigInt(va), { user: true });
    vas.forEach((va, k) => columns.va[2 * k] = va);
    columns.size.fill(8);
    return [0, 1, 2, 3, 4, 5, 6, 7].map(left => [false, true].map(batch => {
      for (let k = 0; k < walks; k++) {
        if (k === walks - 50) age(w, w[(cpu!.block + cache) >>> 2]! >>> 2, LAST_STAMP - left);
        const to = batch ? (k < walks - 50 ? walks - 50 : walks) : k + 1;
        expect(batch ? cpu!.runBatch(columns, k, to, ACCESS_USER) : cpu!.access(0, vas[k]!, ACCESS_USER)).toBe(batch ? to : FAULT_NONE);
        k = to - 1;
      }
      return [cpu!.counters(), createHash('sha256').update(stateOf(machine, 5 * 2 ** 20)).digest('hex')];
    }));
  });
  expect(wasm).toEqual(ts);
});

it('the cycles of one batch are counted whole, beyond 32 bits', () => {
  const n = 130_000, frames = 512, dear: CpuModel = { ...model(false, 8), walkCycles: 100_000 };
  const made = (['ts', 'wasm'] as const).map(engine => {
    const machine = Machine.create({ engine, memory: '4M', cpu: { ...dear, caches: { ...dear.caches, memoryCycles: 100_000 } } }), [cpu] = machine.vcpus;
    machine.map(0x4000_0000n, { frames, user: true });
    const columns = machine.columns(n);
    for (let i = 0; i < n; i++) {
      columns.va[2 * i] = 0x4000_0000 + (i % frames) * 4096;
      columns.size[i] = 8;
    }
    expect(cpu.runBatch(columns, 0, n, ACCESS_USER)).toBe(n);
    return cpu.counters();
  });
  for (const { walks, referenceHits, cycles } of made) {
    expect(walks).toBe(n);
    expect(cycles.walkLoads).toBe(referenceHits[3]! * 100_000);
    expect(cycles.walkStart).toBe(walks * 100_000);
    expect(cycles.walkLoads).toBeGreaterThan(3 * 2 ** 32);
  }
  expect(made[0]).toEqual(made[1]);
});
