/**
 * What caches the second stage of translation: a TLB from guest-physical to machine addresses, and paging-structure caches of the host's tables.
 */
import type { Figure, Geometry, PageSize } from './cpu-model.ts';

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
