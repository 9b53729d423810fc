/**
 * Intel Ice Lake (server), Xeon Gold 6330, 28 cores: the first Intel processors with 5-level paging.
 *
 * The second TLB level is two arrays of 128 sets by 8 ways, one for 4k and 2m, one for 4k and 1g. No two structures of
 * a level may hold the same size here, so it is written as three: 4k over both arrays, 2m and 1g over one each. Right
 * for each size alone; pages of different sizes do not displace each other as they would in the processor.
 * `pages1g` and `la57`: CPUID 80000001h EDX bit 26 and 7 ECX bit 16 are set.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, CHRISTOPHERSON_EXIT, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of Xeon Gold 6330 (InstLatx64, GenuineIntel00606A6_ICX_CPUID2)';
const LOAD_4K = `${CPUID}, leaf 18h subleaf 3: load only, 4k, 16 sets of 4 ways`;
const LOAD_2M = `${CPUID}, leaf 18h subleaf 4: load only, 2m, 8 sets of 4 ways`;
const LOAD_1G = `${CPUID}, leaf 18h subleaf 5: load only, 1g, fully associative, 8 ways`;
const STORE = `${CPUID}, leaf 18h subleaf 2: store only, all sizes, fully associative, 16 ways`;
const ITLB = 'CPUID leaf 18h of the next generation, Core i5-1135G7 (InstLatx64); here the leaf shows 8 entries only';
const STLB_4K = `${CPUID}, leaf 18h subleaves 6 and 7: 4k in both arrays of 128 sets by 8 ways`;
const STLB_2M = `${CPUID}, leaf 18h subleaf 6: 4k and 2m, 128 sets of 8 ways`;
const STLB_1G = `${CPUID}, leaf 18h subleaf 7: 4k and 1g, 128 sets of 8 ways`;
const CACHES = `${CPUID}, leaf 4`;
const TIGER = 'as the next generation, Core i5-1135G7 (InstLatx64, GenuineIntel00806C1_TigerLake_01_NewMemLat)';
const PSC_SETS = 'organization not found; fully associative for want of better';
const CHAMPSIM = 'not found; as many as ChampSim has by default (champsim_config.json)';
const PDPTE = 'not found; four, as Ivy Bridge and older have (van Schaik et al., revanc README)';

export const icelake: CpuModel = {
  name: 'icelake',
  title: 'Intel Ice Lake (server, Xeon Gold 6330)',
  vendor: 'intel',
  physicalAddressBits: vendor(46, `${CPUID}, leaf 80000008h`),
  clockGHz: vendor(2, `${CPUID}, brand string: nominal`),
  pages1g: true,
  la57: true,
  tlb: [
    {
      hitCycles: estimate(0, 'looked up beside the data cache; the load-to-use time includes it'),
      structures: [
        {
          name: 'dtlb-load-4k', sets: vendor(16, LOAD_4K), ways: vendor(4, LOAD_4K), replacement: 'tree-plru',
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
          name: 'itlb-4k', sets: estimate(16, ITLB), ways: estimate(8, ITLB), replacement: 'tree-plru',
          holds: ['4k'], serves: ['fetch'],
        },
        {
          name: 'itlb-2m', sets: estimate(2, ITLB), ways: estimate(8, ITLB), replacement: 'tree-plru',
          holds: ['2m'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: estimate(7, `${TIGER}: 96 pages in L2 take 21 cycles, 64 take 14`),
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
    pml5e: { sets: estimate(1, PSC_SETS), ways: estimate(2, CHAMPSIM), replacement: 'lru' },
  },
  walkCycles: estimate(14, 'as Skylake, itself an estimate'),
  walkers: estimate(2, 'as Skylake; four came with Golden Cove'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(12, CACHES), replacement: 'lru',
        cycles: estimate(5, `${TIGER}: 5.2`),
      },
      {
        name: 'l2', sets: vendor(1024, CACHES), ways: vendor(20, CACHES), replacement: 'lru',
        cycles: estimate(14, `${TIGER}: 14.5`),
      },
      {
        name: 'l3', sets: vendor(57344, CACHES), ways: vendor(12, CACHES), replacement: 'nru',
        cycles: estimate(70, 'not found; Skylake X has 68 (7-cpu.com, read in a quotation)'),
      },
    ],
    memoryCycles: estimate(200, 'about 100 ns at 2.0 GHz, as servers of its time have; not found for this part'),
    remoteCycles: estimate(110, 'about 55 ns at 2.0 GHz to the other socket; not found for this part'),
  },
  switches: {
    ...switchesDefault,
    syscall: measured(77, `${BEHRENS}: 45 and 32 on a Xeon Gold 6354`),
    exit: estimate(1270, `no measurement of Ice Lake found; halfway between Skylake's 1529 and the 1018 of ${CHRISTOPHERSON_EXIT}`),
  },
};
