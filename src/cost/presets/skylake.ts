/**
 * Intel Skylake (client), Core i7-6700K, 4.0 GHz, one socket of four cores.
 *
 * CPUID reports 6 ways for the second level; the manual's 12 are used (erratum SKL148 says to ignore the 6).
 * `pages1g`: CPUID 80000001h EDX bit 26 is set; `la57`: CPUID 7 ECX bit 16 is clear.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, HANSEN, LI_EXIT, LI_IPI, TORVALDS, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of Core i7-6700K (InstLatx64, GenuineIntel00506E3_SkyLake_01_CPUID)';
const DTLB_4K = `${CPUID}, leaf 2 descriptor 03h: 64 entries, 4-way`;
const DTLB_LARGE = `${CPUID}, leaf 2 descriptor 63h: 32 entries for 2m and 4 for 1g, both 4-way`;
const ITLB_4K = 'CPUID of Core i5-6400T, one thread a core (InstLatx64), leaf 2 descriptor B6h: 128 entries, 8-way';
const ITLB_2M = `${CPUID}, leaf 2 descriptor 76h: 8 entries, fully associative, for each thread`;
const STLB = 'WikiChip, Skylake (server), Memory Hierarchy: 1536 entries, 12-way; CPUID leaf 2 C3h: 6-way (SKL148)';
const STLB_1G = `${CPUID}, leaf 2 descriptor C3h: also 16 entries for 1g, 4-way`;
const CACHES = `${CPUID}, leaf 4`;
const MANUAL = 'Intel Optimization Manual, cache parameters of the Skylake client microarchitecture (copy at 51cto)';
const PSC_SETS = 'organization not found; fully associative for want of better';
const CHAMPSIM = 'not found; as many as ChampSim has by default (champsim_config.json)';
const PDPTE = 'not found; four, as Ivy Bridge and older have (van Schaik et al., revanc README)';

export const skylake: CpuModel = {
  name: 'skylake',
  title: 'Intel Skylake (client, Core i7-6700K)',
  vendor: 'intel',
  physicalAddressBits: vendor(39, `${CPUID}, leaf 80000008h`),
  clockGHz: vendor(4, `${CPUID}, brand string: nominal`),
  pages1g: true,
  la57: false,
  tlb: [
    {
      hitCycles: estimate(0, 'looked up beside the data cache; the load-to-use time includes it'),
      structures: [
        {
          name: 'dtlb-4k', sets: vendor(16, DTLB_4K), ways: vendor(4, DTLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['load', 'store'],
        },
        {
          name: 'dtlb-2m', sets: vendor(8, DTLB_LARGE), ways: vendor(4, DTLB_LARGE), replacement: 'tree-plru',
          holds: ['2m'], serves: ['load', 'store'],
        },
        {
          name: 'dtlb-1g', sets: vendor(1, DTLB_LARGE), ways: vendor(4, DTLB_LARGE), replacement: 'tree-plru',
          holds: ['1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb-4k', sets: vendor(16, ITLB_4K), ways: vendor(8, ITLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['fetch'],
        },
        {
          name: 'itlb-2m', sets: vendor(1, ITLB_2M), ways: vendor(8, ITLB_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: estimate(9, 'no measurement found; what texts repeat, some have 7'),
      structures: [
        {
          name: 'stlb', sets: vendor(128, STLB), ways: vendor(12, STLB), replacement: 'lru',
          holds: ['4k', '2m'], serves: ['load', 'store', 'fetch'],
        },
        {
          name: 'stlb-1g', sets: vendor(4, STLB_1G), ways: vendor(4, STLB_1G), replacement: 'tree-plru',
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
  walkCycles: estimate(14, 'a little under Haswell, whose figure is itself derived'),
  walkers: vendor(2, 'Intel Optimization Manual, Skylake client (copy at 51cto): two page walks in parallel'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: vendor(4, MANUAL),
      },
      {
        name: 'l2', sets: vendor(1024, CACHES), ways: vendor(4, CACHES), replacement: 'tree-plru',
        cycles: vendor(12, MANUAL),
      },
      {
        name: 'l3', sets: vendor(8192, CACHES), ways: vendor(16, CACHES), replacement: 'nru',
        cycles: vendor(44, MANUAL),
      },
    ],
    memoryCycles: measured(248, '7-cpu.com, Skylake at 4.0 GHz (read in a quotation): the L3 time and 51 ns'),
    remoteCycles: estimate(160, 'the desktop part has one node; 40 ns, as between two sockets of its time'),
  },
  switches: {
    ...switchesDefault,
    syscall: measured(84, `${BEHRENS}: 42 and 42 on a Core i7-6600U`),
    exception: estimate(1045, `as on Haswell; ${TORVALDS}`),
    exit: measured(1529, LI_EXIT),
    rootLoad: measured(191, `${BEHRENS}: 191 on a Core i7-6600U`),
    invlpg: measured(200, HANSEN),
    ipi: estimate(1674, `${LI_IPI}, less an exit of 1529`),
  },
};
