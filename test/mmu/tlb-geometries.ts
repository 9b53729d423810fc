/** Processor models whose caches have awkward shapes, for every replacement policy. */
import type { CpuModel, Geometry, PageSize, Service, TlbStructure } from '../../src/cost/cpu-model.ts';
import type { Policy } from './tlb-oracle-array.ts';

type Shape = readonly [sets: number, ways: number];
/** `holds` as `4k 2m`, `serves` as `load store`; the rest of a structure is its shape. */
type Row = readonly [shape: Shape, holds: string, serves: string, fractures?: string];

const ALL = 'load store fetch', DATA = 'load store';

export interface GeometryCase {
  readonly name: string;
  readonly levels: 4 | 5;
  readonly hostPage: PageSize;
  readonly addresses: number;
  readonly unrest: number;
  readonly tlb: readonly (readonly Row[])[];
  readonly psc: readonly (Shape | undefined)[];
}

const SPLIT: readonly Row[] = [
  [[16, 4], '4k', DATA], [[8, 4], '2m', DATA], [[1, 4], '1g', DATA], [[16, 8], '4k', 'fetch'], [[1, 8], '2m', 'fetch'],
];

export const GEOMETRIES: readonly GeometryCase[] = [
  { name: 'split first level, 128 x 12 unified second', levels: 4, hostPage: '1g', addresses: 120, unrest: 0.08,
    tlb: [SPLIT, [[[128, 12], '4k 2m', ALL], [[4, 4], '1g', ALL]]], psc: [[8, 4], [1, 4], [1, 2]] },
  { name: '1 x 72 for all sizes, 3 x 50 that fractures 2m', levels: 4, hostPage: '1g', addresses: 160, unrest: 0.06,
    tlb: [[[[1, 72], '4k 2m 1g', ALL]], [[[3, 50], '4k', ALL, '2m']]], psc: [[1, 24], [3, 1], undefined] },
  { name: '3 x 5 of 4k alone, 7 x 3 that fractures 1g', levels: 4, hostPage: '1g', addresses: 24, unrest: 0.6,
    tlb: [[[[3, 5], '4k', ALL]], [[[7, 3], '4k 2m', ALL, '1g']]], psc: [[5, 3], [2, 2], [1, 3]] },
  { name: '1 x 1, 1 x 2, 5 x 3', levels: 4, hostPage: '2m', addresses: 8, unrest: 1,
    tlb: [[[[1, 1], '4k', ALL]], [[[1, 2], '4k 2m', ALL]], [[[5, 3], '4k 2m 1g', ALL]]], psc: [[1, 1], undefined, undefined] },
  { name: 'split sizes on a host of 4k pages, no paging-structure caches', levels: 4, hostPage: '4k', addresses: 40, unrest: 0.5,
    tlb: [SPLIT, [[[6, 6], '4k 2m', ALL]]], psc: [undefined, undefined, undefined] },
  { name: 'split loads and stores on a host of 2m pages, 5 levels', levels: 5, hostPage: '2m', addresses: 40, unrest: 0.5,
    tlb: [
      [[[4, 3], '4k 2m', 'load'], [[2, 5], '4k', 'store fetch'], [[1, 3], '1g 2m', 'store']],
      [[[9, 7], '4k', ALL, '2m 1g'], [[1, 6], '2m', DATA, '1g']],
    ],
    psc: [[4, 4], [1, 5], [1, 3], [1, 2]] },
];

const words = <T extends string>(text: string): T[] => text.split(' ') as T[];

/** The model of a case with one replacement policy everywhere. */
export function modelOf(one: GeometryCase, replacement: Policy): CpuModel {
  const geometry = ([sets, ways]: Shape): Geometry => ({ sets, ways, replacement });
  const structure = ([shape, holds, serves, fractures]: Row, level: number, k: number): TlbStructure => ({
    name: `level-${level + 1}-${k}`, holds: words<PageSize>(holds), serves: words<Service>(serves), ...geometry(shape),
    ...(fractures === undefined ? {} : { fractures: words<PageSize>(fractures) }),
  });
  const psc: Record<string, Geometry> = {};
  ['pde', 'pdpte', 'pml4e', 'pml5e'].forEach((name, k) => { const shape = one.psc[k]; if (shape) psc[name] = geometry(shape); });
  return {
    name: 'awkward', title: one.name, vendor: 'intel', physicalAddressBits: 46, clockGHz: 1, pages1g: true, la57: true,
    tlb: one.tlb.map((rows, level) => ({ hitCycles: level * 7, structures: rows.map((row, k) => structure(row, level, k)) })),
    psc, walkCycles: 0, walkers: 1, caches: { lineBytes: 64, levels: [], memoryCycles: 0, remoteCycles: 0 },
  };
}
