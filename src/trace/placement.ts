/** Maps the pages that a trace touches: which page size, on which node. */
import { MODE_4LEVEL, MODE_5LEVEL } from '../layout/vcpu.ts';
import { AddressSpace } from '../machine/address-space.ts';
import type { Machine } from '../machine/machine.ts';

/** `4k`, `2m`, `1g`: every page of that size. `thp`: 4K pages; a 2M region becomes one 2M page when an eighth of it has been touched. */
export const PAGE_POLICIES = ['4k', '2m', '1g', 'thp'] as const;
export type PagePolicy = (typeof PAGE_POLICIES)[number];

/** `first-touch`: on the node of the vCPU that touches. `interleave`: page by page over all nodes. */
export const NUMA_POLICIES = ['first-touch', 'interleave'] as const;
export type NumaPolicy = (typeof NUMA_POLICIES)[number];

const THP_PAGES = 64;
const PAGES = { '4k': 1, '2m': 512, '1g': 262144 };
const ATTRIBUTES = { write: true, user: true };

export class Placement {
  /** Pages mapped now, by size code. */
  readonly mapped = [0, 0, 0];
  readonly space: AddressSpace;
  private readonly machine: Machine;
  private readonly policy: PagePolicy;
  private readonly numa: NumaPolicy;
  private readonly nodes: number;
  private next = 0;
  private readonly large = new Set<number>();
  private readonly regions = new Map<number, number[]>();

  constructor(machine: Machine, policy: PagePolicy, numa: NumaPolicy, nodes: number) {
    this.machine = machine;
    this.policy = policy;
    this.numa = numa;
    this.nodes = nodes;
    this.space = machine.addressSpace();
  }

  /** A 4K page (linear address >> 12) is touched for the first time: make sure that it is mapped. */
  touch(page: number): void {
    if (this.policy === 'thp') this.touchThp(page);
    else if (this.policy === '4k') this.map(page, 0);
    else this.mapLarge(page, this.policy === '2m' ? 1 : 2, PAGES[this.policy]);
  }

  private mapLarge(page: number, size: number, pages: number): void {
    const first = page - (page % pages);
    if (this.large.has(first)) return;
    this.large.add(first);
    this.map(first, size);
  }

  private touchThp(page: number): void {
    const first = page - (page % 512);
    if (this.large.has(first)) return;
    const small = this.regions.get(first) ?? [];
    small.push(page);
    if (small.length < THP_PAGES) {
      this.regions.set(first, small);
      this.map(page, 0);
      return;
    }
    this.regions.delete(first);
    small.pop();
    this.collapse(first, small);
    this.mapLarge(first, 1, 512);
  }

  /** Remove the small pages of a region, and the table that mapped them, as khugepaged does before it maps the large one. */
  private collapse(first: number, small: readonly number[]): void {
    for (const page of small) {
      this.space.unmap(hi(page), lo(page), 0);
      this.machine.vcpus[0].invlpg(BigInt(page) << 12n);
    }
    this.mapped[0] -= small.length;
    this.space.unmap(hi(first), lo(first), 1);
    this.machine.vcpus[0].invlpg(BigInt(first) << 12n);
  }

  private map(page: number, size: number): void {
    const node = this.numa === 'interleave' ? this.next++ % this.nodes : 0;
    const frame = this.machine.frames.allocate(this.space.framesOf(size), 'data', node);
    this.space.map(hi(page), lo(page), size, frame, ATTRIBUTES);
    this.mapped[size]++;
  }
}

const hi = (page: number): number => Math.floor(page / 0x100000) | 0;
const lo = (page: number): number => page << 12;

/** Is a page (linear address >> 12) canonical, so that it can be mapped at all? */
export function isCanonical(page: number, mode: typeof MODE_4LEVEL | typeof MODE_5LEVEL): boolean {
  const half = mode === MODE_4LEVEL ? 2 ** 35 : 2 ** 44;
  return page < half || page >= 2 ** 52 - half;
}
