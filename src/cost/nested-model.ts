/**
 * What caches the second stage of translation: a TLB from guest-physical to machine addresses, and paging-structure caches of the host's tables.
 */
import { ConfigError } from '../errors.ts';
import { figure, type Figure, type Geometry, type PageSize } from './cpu-model.ts';

/** A structure of the nested TLB; no two hold the same size. */
export interface NestedTlb extends Geometry {
  readonly name: string;
  readonly holds: readonly PageSize[];
}

export interface NestedModel {
  readonly tlb: readonly NestedTlb[];
  /** Cycles that each hit in it adds to a walk. */
  readonly hitCycles: Figure;
  /** Of second-stage entries; a missing one does not exist. */
  readonly psc: { readonly pde?: Geometry; readonly pdpte?: Geometry; readonly pml4e?: Geometry; readonly pml5e?: Geometry };
}

const BARCELONA = 'Bhargava et al., Accelerating Two-Dimensional Page Walks for Virtualized Systems (ASPLOS 2008): AMD Barcelona';
const lru = (ways: number, source: string): Geometry => ({ sets: 1, ways: { value: ways, from: 'estimate', source }, replacement: 'lru' });

/** For processors whose makers do not tell: the sizes of the one design that was published, shared out over the levels. */
export const nestedDefault: NestedModel = {
  tlb: [
    { name: 'ntlb', ...lru(16, `${BARCELONA}, nested TLB of 16 entries`), holds: ['4k', '2m', '1g'] },
  ],
  hitCycles: { value: 1, from: 'estimate', source: 'a structure as small as a first-level TLB, on the way of each guest entry' },
  psc: {
    pde: lru(16, `${BARCELONA}, page walk cache of 24 entries for all levels of both dimensions`),
    pdpte: lru(4, `${BARCELONA}, the same`),
    pml4e: lru(2, `${BARCELONA}, the same`),
    pml5e: lru(2, `${BARCELONA}, the same`),
  },
};

const FIELDS = ['tlb', 'hitCycles', 'psc'], LEVELS = ['pde', 'pdpte', 'pml4e', 'pml5e'], SIZES: readonly unknown[] = ['4k', '2m', '1g'];
const POLICIES: readonly unknown[] = ['lru', 'tree-plru', 'nru', 'random'];

/** @returns the model as it was given. @throws ConfigError naming the field */
export function checkNestedModel(model: NestedModel): NestedModel {
  if (typeof model !== 'object' || model === null) throw new ConfigError('nested', 'true, false or an object', model);
  for (const key of Object.keys(model)) if (!FIELDS.includes(key)) throw new ConfigError(`nested.${key}`, `one of ${FIELDS.join(', ')}`, key);
  if (!Array.isArray(model.tlb)) throw new ConfigError('nested.tlb', 'a list of structures', model.tlb);
  const held = new Set<string>();
  model.tlb.forEach((t: NestedTlb, k) => {
    checkGeometry(t, `nested.tlb[${k}]`);
    if (!Array.isArray(t.holds) || t.holds.length === 0) throw new ConfigError(`nested.tlb[${k}].holds`, 'a list of page sizes', t.holds);
    for (const size of t.holds) {
      if (!SIZES.includes(size) || held.has(size)) throw new ConfigError(`nested.tlb[${k}].holds`, '4k, 2m, 1g, each in one structure', size);
      held.add(size);
    }
  });
  within(model.hitCycles, 'nested.hitCycles', 0, 1000);
  if (typeof model.psc !== 'object' || model.psc === null) throw new ConfigError('nested.psc', 'an object', model.psc);
  for (const [level, geometry] of Object.entries(model.psc)) {
    if (!LEVELS.includes(level)) throw new ConfigError(`nested.psc.${level}`, `one of ${LEVELS.join(', ')}`, level);
    if (geometry !== undefined) checkGeometry(geometry, `nested.psc.${level}`);
  }
  return model;
}

function checkGeometry(g: Geometry, field: string): void {
  if (typeof g !== 'object' || g === null) throw new ConfigError(field, 'an object', g);
  within(g.sets, `${field}.sets`, 1, 65536);
  within(g.ways, `${field}.ways`, 1, 1024);
  if (!POLICIES.includes(g.replacement)) throw new ConfigError(`${field}.replacement`, POLICIES.join(', '), g.replacement);
}

function within(f: Figure, field: string, least: number, most: number): void {
  const value: unknown = typeof f === 'object' && f !== null ? figure(f) : f;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) throw new ConfigError(field, `an integer from ${least} to ${most}`, value);
}
