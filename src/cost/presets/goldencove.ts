/**
 * Intel Golden Cove, the performance core of Alder Lake, Core i9-12900K at its nominal 3.2 GHz.
 *
 * The second TLB level is two arrays, written as three structures for the reason given in `icelake.ts`.
 * `pages1g`: CPUID 80000001h EDX bit 26 is set; `la57`: CPUID 7 ECX bit 16 is clear. The server part of the same core,
 * Sapphire Rapids, has 57 linear and 52 physical bits (CPUID 80000008h).
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, CHRISTOPHERSON_EXIT, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of Core i9-12900K, P core (InstLatx64, GenuineIntel0090672_AlderLake_01_LC_BC_CPUID)';
const BOOK = 'Hennessy and Patterson, 7th ed., Core i9-12900 (reading notes at my-knowledge-base-bmo.pages.dev)';
const LOAD_4K = `${BOOK}: 96 entries, 6-way; CPUID leaf 18h subleaf 4 still gives 64, 4-way`;
const LOAD_2M = `${CPUID}, leaf 18h subleaf 5: load only, 2m, 8 sets of 4 ways`;
const LOAD_1G = `${CPUID}, leaf 18h subleaf 6: load only, 1g, fully associative, 8 ways`;
const STORE = `${CPUID}, leaf 18h subleaf 3: store only, all sizes, fully associative, 16 ways`;
const ITLB_4K = `${CPUID}, leaf 18h subleaf 1: instructions, 4k, 32 sets of 8 ways`;
const ITLB_2M = `${CPUID}, leaf 18h subleaf 2: instructions, 2m, 4 sets of 8 ways`;
const STLB_4K = `${CPUID}, leaf 18h subleaves 7 and 8: 4k in both arrays of 128 sets by 8 ways`;
const STLB_2M = `${CPUID}, leaf 18h subleaf 7: 4k and 2m, 128 sets of 8 ways`;
const STLB_1G = `${CPUID}, leaf 18h subleaf 8: 4k and 1g, 128 sets of 8 ways`;
const CACHES = `${CPUID}, leaf 4`;
const LATENCY = 'InstLatx64, GenuineIntel0090672_AlderLake_01_BC_NewMemLat (i9-12900K P core at 3.19 GHz)';
const PSC_SETS = 'organization not found; fully associative for want of better';
const CHAMPSIM = 'not found; as many as ChampSim has by default (champsim_config.json)';
const PDPTE = 'not found; four, as Ivy Bridge and older have (van Schaik et al., revanc README)';

export const goldencove: CpuModel = {
  name: 'goldencove',
  title: 'Intel Golden Cove (Alder Lake P core, Core i9-12900K)',
  vendor: 'intel',
  physicalAddressBits: vendor(46, `${CPUID}, leaf 80000008h`),
  clockGHz: measured(3.19, `${LATENCY}: nominal clock, without turbo`),
  pages1g: true,
  la57: false,
  tlb: [
    {
      hitCycles: estimate(0, 'looked up beside the data cache; the load-to-use time includes it'),
      structures: [
        {
          name: 'dtlb-load-4k', sets: vendor(16, LOAD_4K), ways: vendor(6, LOAD_4K), replacement: 'lru',
          holds: ['4k'], serves: ['load'],
        },
        {
          name: 'dtlb-load-2m', sets: vendor(8, LOAD_2M), ways: vendor(4, LOAD_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['load'],
        },
        {
          name: 'dtlb-load-1g', sets: vendor(1, LOAD_1G), ways: vendor(8, LOAD_1G), replacement: 'tree-plru',
          holds: ['1g'], serves: ['load'],
        },
        {
          name: 'dtlb-store', sets: vendor(1, STORE), ways: vendor(16, STORE), replacement: 'tree-plru',
          holds: ['4k', '2m', '1g'], serves: ['store'],
        },
        {
          name: 'itlb-4k', sets: vendor(32, ITLB_4K), ways: vendor(8, ITLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['fetch'],
        },
        {
          name: 'itlb-2m', sets: vendor(4, ITLB_2M), ways: vendor(8, ITLB_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: measured(7, `${LATENCY}: 128 pages in L2 take 22 cycles, 64 take 15; the book says 9`),
      structures: [
        {
          name: 'stlb-4k', sets: vendor(128, STLB_4K), ways: vendor(16, STLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['load', 'store', 'fetch'],
        },
        {
          name: 'stlb-2m', sets: vendor(128, STLB_2M), ways: vendor(8, STLB_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['load', 'store', 'fetch'],
        },
        {
          name: 'stlb-1g', sets: vendor(128, STLB_1G), ways: vendor(8, STLB_1G), replacement: 'tree-plru',
          holds: ['1g'], serves: ['load', 'store', 'fetch'],
        },
      ],
    },
  ],
  psc: {
    pde: { sets: estimate(1, PSC_SETS), ways: estimate(32, CHAMPSIM), replacement: 'lru' },
    pdpte: { sets: estimate(1, PSC_SETS), ways: estimate(4, PDPTE), replacement: 'lru' },
    pml4e: { sets: estimate(1, PSC_SETS), ways: estimate(4, CHAMPSIM), replacement: 'lru' },
  },
  walkCycles: estimate(14, 'as Skylake, itself an estimate'),
  walkers: vendor(4, `${BOOK}: four page walks in parallel`),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(12, CACHES), replacement: 'lru',
        cycles: measured(5, LATENCY),
      },
      {
        name: 'l2', sets: vendor(2048, CACHES), ways: vendor(10, CACHES), replacement: 'lru',
        cycles: measured(15, LATENCY),
      },
      {
        name: 'l3', sets: vendor(40960, CACHES), ways: vendor(12, CACHES), replacement: 'nru',
        cycles: measured(64, `${LATENCY}: Page_Random, 3 to 6 MB`),
      },
    ],
    memoryCycles: measured(303, `${LATENCY}: Page_Random, 512 MB`),
    remoteCycles: estimate(190, 'the desktop part has one node; 60 ns, as between two sockets of its time'),
  },
  switches: {
    ...switchesDefault,
    syscall: estimate(77, `no measurement of Golden Cove found; as Ice Lake: 45 and 32 in ${BEHRENS}`),
    exit: estimate(1020, `taken for this design, that of servers of the time: ${CHRISTOPHERSON_EXIT}`),
  },
};
