/** The ways to virtualize memory that are compared, each as a row: what a kernel of that way is built with. */
import type { CpuModel } from '../cost/cpu-model.ts';
import type { BuildOptions } from '../guest/index.ts';

/** Page sizes: `4k`, or `2m` wherever guest and host can have pages that large. */
export const PAGE_SIZES = ['4k', '2m'] as const;
export type PageSizeName = (typeof PAGE_SIZES)[number];

interface Way {
  /** In a sentence, as a subject. */
  readonly title: string;
  readonly what: string;
  /** Can the guest's entries map 2-MByte pages? */
  readonly largePages: boolean;
  readonly build: (pages: PageSizeName) => BuildOptions;
}

const TABLE = {
  native: {
    title: 'native', what: 'a machine of its own', largePages: true,
    build: () => ({}),
  },
  direct: {
    title: 'direct paging', what: 'a paravirtualized domain under Xen, which validates every change of page tables', largePages: false,
    build: () => ({ ops: 'xen' }),
  },
  shadow: {
    title: 'shadow paging', what: 'a hypervisor that makes the tables which the processor walks from those of the guest', largePages: true,
    build: pages => ({ shadow: { hostPages: pages } }),
  },
  nested: {
    title: 'nested paging', what: 'a second stage of translation, EPT on Intel\'s processors, NPT on AMD\'s', largePages: true,
    build: pages => ({ stage: { hostPages: pages } }),
  },
} as const satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof TABLE;
export const WAYS = Object.keys(TABLE) as readonly WayName[];

/** A way by its name. */
export const wayOf = (name: WayName): Way => TABLE[name];

/** What a kernel of a way is built with, on a processor and with pages of a size. */
export function buildOf(way: WayName, cpu: CpuModel, pages: PageSizeName): BuildOptions {
  const row: Way = TABLE[way];
  return { ...row.build(pages), cpu, pages: pages === '2m' ? 'thp' : '4k' };
}
