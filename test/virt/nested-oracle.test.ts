import { expect, it } from 'vitest';
import { GEOMETRIES, modelOf } from '../mmu/tlb-geometries.ts';
import { Random } from '../mmu/tlb-random.ts';
import { Engine, FullList } from './nested-engines.ts';
import { loadPdptes, NestedAccess, type Access, type Guest, type Mode } from './nested-oracle.ts';
import { randomGuest, randomStage, Words, World } from './nested-world.ts';

const MODES: readonly Mode[] = ['flat', 'legacy', 'pae', '4-level', '5-level'];
const WORLDS = 48, CASES = 100;

/** What cases came to, by the kind of outcome. */
const outcomes = new Map<string, number>();
let cases = 0;

function randomAccess(r: Random, world: World, mode: Mode, shadow: boolean): Access {
  const kinds = ['read', 'read', 'write', 'write', 'fetch', ...(shadow && mode !== 'flat' ? ['shadow read', 'shadow write'] as const : [])] as const;
  const kind = r.pick(kinds), by = r.pick(['user', 'user', 'supervisor', kind === 'fetch' || kind.startsWith('shadow') ? 'supervisor' : 'implicit'] as const);
  return { va: world.va(), by, kind };
}

/** @returns the guest with its PDPTE registers, or undefined if they cannot be loaded, which the engines have to find, too */
function entered(engines: readonly Engine[], world: World, guest: Guest, stage: Parameters<Engine['enter']>[1]): Guest | undefined {
  const pdptes = guest.mode === 'pae' ? loadPdptes(world.memory, stage, guest.root) : [];
  const expected = typeof pdptes === 'string' ? pdptes : pdptes === undefined ? 'fault d0000' : undefined;
  for (const e of engines) {
    const text = e.enter(guest, stage);
    if (text !== expected) throw new Error(`${e.name}: MOV to CR3 of ${guest.root.toString(16)} gives ${text}, ought to give ${expected}`);
    expect(e.different(world.memory, world.watched)).toBe(-1);
  }
  return Array.isArray(pdptes) ? { ...guest, pdptes } : undefined;
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v));
}

const full = new FullList();

function play(engines: readonly Engine[], memory: Words, r: Random, format: 'ept' | 'npt', mode: Mode, paBits: number, pages1g: boolean): void {
  const wrong = r.chance(60) ? 0.5 + r.below(5) : 0.05;
  const stage = randomStage(r, format, paBits, pages1g), world = new World(memory, r, stage, mode, wrong);
  for (const e of engines) {
    e.flush(format, 0n);
    for (const at of world.watched) e.copy(world.memory, at);
  }
  const guest = entered(engines, world, randomGuest(r, mode, world.guestRoot()), stage);
  if (guest === undefined) return;
  for (let n = 0; n < CASES; n++) {
    const access = randomAccess(r, world, mode, format === 'ept'), expected = new NestedAccess(world.memory, guest, stage, access).make();
    const what = () => `case ${n} ${show(access)} of ${show(guest)} under ${show(stage)}`;
    full.set(expected.references);
    for (const e of engines) {
      const got = e.access(access), at = e.different(world.memory, world.watched), stray = e.stray(full);
      if (got !== expected.text) throw new Error(`${e.name}: ${got}, ought to be ${expected.text}: ${what()}`);
      if (at >= 0) throw new Error(`${e.name}: the entry at ${(at * 4).toString(16)} is another after ${what()}`);
      if (stray) throw new Error(`${e.name}: reads ${stray}, not in ${show(expected.references)}: ${what()}`);
      if (!e.timed && e.read !== full.length) throw new Error(`${e.name}: ${e.read} references, ought to be ${full.length}: ${what()}`);
      e.flush(format, access.va);
    }
    const kind = /^[0-9a-f]+ by/.test(expected.text) ? expected.text.slice(-2) : expected.text.split(' at ')[0]!;
    outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    cases++;
    for (let k = r.below(6); k > 0; k--) {
      const at = world.renew();
      for (const e of engines) e.copy(world.memory, at);
    }
  }
}

it.each((['ept', 'npt'] as const).flatMap(format => MODES.map(mode => [format, mode] as const)))('%s, guest %s: both engines, timed and functional, as the oracle', (format, mode) => {
  const shapes = [{ paBits: 36, pages1g: false }, { paBits: 40, pages1g: true }, { paBits: 46, pages1g: true }, { paBits: 52, pages1g: true }, { paBits: 52, pages1g: false }];
  shapes.forEach(({ paBits, pages1g }, k) => {
    const options = { cpu: modelOf(GEOMETRIES[2]!, 'lru'), physicalAddressBits: paBits, features: { pages1g, la57: true, amd: format === 'npt' } };
    const engines = (['ts', 'wasm'] as const).flatMap(engine => (['timed', 'functional'] as const).map(m => new Engine({ ...options, engine, mode: m })));
    const memory = new Words(), r = new Random(MODES.indexOf(mode) * 1000 + k * 10 + (format === 'ept' ? 1 : 2));
    for (let w = 0; w < WORLDS; w++) play(engines, memory, r, format, mode, paBits, pages1g);
  });
});

it('had 200,000 cases, of every kind of outcome', () => {
  expect(cases).toBeGreaterThan(200_000);
  const counts = (start: string) => [...outcomes].filter(([kind]) => kind.startsWith(start)).map(([, count]) => count);
  for (const size of ['4K', '2M', '1G']) expect(counts(size)[0], size).toBeGreaterThan(1000);
  expect(counts('EPT misconfiguration')[0]).toBeGreaterThan(1000);
  for (const start of ['#PF', 'EPT violation', 'nested page fault']) expect(counts(start).length, start).toBeGreaterThan(10);
  for (const info of ['83', '81', '8b', 'a3', '1bc', '7bc', '184', 'aa', '782']) expect(counts(`EPT violation ${info}`)[0], info).toBeGreaterThan(20);
});
