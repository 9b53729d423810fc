/** Processors of random shape: structures of any sizes, services and policies, half of them of the shape that accesses take short ways through. */
import type { CpuModel, Geometry, PageSize, Service, TlbStructure } from '../../src/cost/cpu-model.ts';
import type { DuelOptions, Random } from './engine-duel.ts';

const SIZES: readonly PageSize[] = ['4k', '2m', '1g'], SERVICES: readonly Service[] = ['load', 'store', 'fetch'];
const POLICIES = ['lru', 'tree-plru', 'nru', 'random'] as const;
const PSCS = ['pde', 'pdpte', 'pml4e', 'pml5e'] as const;
const MORE_WAYS = 33; // than one word of a tree, or of referenced bits, has bits for

/** @param plain - the policy of a shape that has a short way; undefined: any shape */
function geometry(r: Random, plain?: Geometry['replacement']): Geometry {
  if (plain !== undefined && r.chance(0.85)) return { sets: 1 << r.below(5), ways: r.of([4, 8, 12]), replacement: plain };
  const ways = r.chance(0.5) ? r.of([4, 8, 12]) : r.chance(0.1) ? MORE_WAYS + r.below(40) : 1 + r.below(10);
  return { sets: r.chance(0.5) ? 1 << r.below(5) : 1 + r.below(9), ways, replacement: r.of(POLICIES) };
}

/** Structures of a level: no two hold the same size for the same service; the first level holds 4K pages for each. */
function structures(r: Random, level: number, plain: boolean): TlbStructure[] {
  const all: TlbStructure[] = [], taken = new Set<string>(), policy = plain ? (level === 0 ? 'tree-plru' : 'lru') : undefined;
  const add = (holds: readonly PageSize[], serves: readonly Service[]): void => {
    const pairs = holds.flatMap(size => serves.map(service => `${size} ${service}`));
    if (pairs.length === 0 || pairs.some(pair => taken.has(pair))) return;
    for (const pair of pairs) taken.add(pair);
    const fractures = SIZES.filter(() => r.chance(0.2));
    all.push({ name: `s${level}-${all.length}`, holds, serves, ...geometry(r, policy), ...(fractures.length > 0 ? { fractures } : {}) });
  };
  for (let k = r.below(5); k >= 0; k--) add(SIZES.filter(() => r.chance(0.5)), SERVICES.filter(() => r.chance(0.6)));
  for (const service of SERVICES) if (level === 0 || all.length === 0 || r.chance(0.7)) add(['4k'], [service]);
  return all;
}

function model(r: Random): CpuModel {
  const plain = r.chance(0.5), levels = plain ? 2 : 1 + r.below(3), upper = plain ? 0.3 : 0.6;
  const psc = Object.fromEntries(PSCS.filter((_, k) => r.chance(k < 2 ? 0.8 : upper)).map(name => {
    const { sets, ways, replacement } = geometry(r, plain ? 'lru' : undefined);
    return [name, { sets, ways: plain && r.chance(0.85) ? 4 : ways, replacement }];
  }));
  const caches = Array.from({ length: r.chance(0.5) ? 0 : 1 + r.below(3) }, (_, k) => ({ name: `l${k + 1}`, ...geometry(r), cycles: r.below(100) }));
  return {
    name: 'random', title: 'of random shape', vendor: r.of(['intel', 'amd']), physicalAddressBits: 37 + r.below(16), clockGHz: 1, pages1g: r.chance(0.8), la57: true,
    tlb: Array.from({ length: levels }, (_, level) => ({ hitCycles: r.below(20), structures: structures(r, level, plain) })), psc,
    walkCycles: r.below(30), walkers: 1, caches: { lineBytes: r.of([16, 32, 64, 128, 256]), levels: caches, memoryCycles: r.below(300), remoteCycles: r.below(100_000) },
  };
}

/** A machine with such a processor, and a mood. */
export function randomScene(r: Random): DuelOptions {
  const host = r.chance(0.1) ? { host: { title: 'a host', entryCycles: 9, lastCachePercent: 50 } } : { hostPage: r.of(SIZES) };
  return {
    cpu: model(r), pages: r.of([20, 100, 1000]), unrest: r.of([0.002, 0.05, 0.3]), small: r.chance(0.5), streams: r.of([0, 0.1]), batches: r.of([0.05, 0.4]),
    vcpus: r.of([1, 1, 2]), twice: r.chance(0.3), broken: r.chance(0.2), paging: r.of(['4-level', '4-level', '4-level', '5-level', 'pae', 'legacy']), dataAccesses: r.chance(0.2),
    ...(r.chance(0.2) ? { distances: [[10, 100 + r.below(150)], [30, 10]] } : {}), ...host,
  };
}
