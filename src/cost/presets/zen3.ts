/**
 * AMD Zen 3 (server), EPYC of family 25 model 1 (Milan); L3 is that of one complex of eight cores.
 *
 * The measured machine is `../shared/hardware/zen3-chase.csv`: a guest under nested virtualization with noisy
 * neighbours, discussed in `../shared/hardware/tlb-params.md`, section 3.
 *
 * Replacement policies carry no source. First level: `lru`, because the measured knee is sharp: 64 pages cost 4.4 cycles, 68 already 11.1.
 * Second level: CPUID codes 8 ways for 4k and 4 for 2m, parts of a skewed array; no knee shows at 1024 pages, one
 * does at 2048, so all 2048 entries are one array. It also holds page directory entries, which compete with pages.
 * `lru` there too: in cyclic order 128 sets of 16 ways miss for 42 % of 2100 pages and all of 2200, and 31.8 and 49.9
 * cycles were measured. L1 and L2: `tree-plru`, usual for 8 ways; the chase does not tell it from `lru`. L3: `random`,
 * because what other cores bring in decides what stays; dense lines lose it gradually, where `lru` would at once.
 * `pages1g`: CPUID 80000001h EDX bit 26 is set; `la57`: CPUID 7 ECX bit 16 is clear.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, ROTH_EXIT, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of EPYC 7713 (InstLatx64, AuthenticAMD0A00F11_K19_Milan_CPUID1)';
const CHASE = '../shared/hardware/zen3-chase.csv (tlb-params.md, section 3)';
const DTLB = `${CHASE}: 64 pages 4.4 cycles, 68 pages 11.1; CPUID 80000005h: 64 entries, fully associative`;
const ITLB = `${CPUID}, leaves 80000005h and 80000019h: 64 entries for 4k, 2m and 1g, fully associative`;
const DTLB_L2 = '2048 entries: CPUID 80000006h, knee of zen3-chase.csv; 128 sets by 16 ways is a guess that fits (see above)';
const DTLB_L2_1G = `${CPUID}, leaf 80000019h: 64 entries for 1g, fully associative`;
const ITLB_L2 = '512 entries: CPUID 80000006h, which codes 4 ways for 4k and 2 for 2m; 8 ways as in Zen 2 (7-cpu.com)';
const CACHES = `${CPUID}, leaf 8000001Dh`;
const PDC = 'Chips and Cheese on Zen 5 (read in a retelling): since Zen 1 a 64-entry cache of PDPTEs and PML4Es';
const NO_PDE = 'PDEs share the second-level data TLB (WikiChip, Zen 2); 64 stands for their part';

export const zen3: CpuModel = {
  name: 'zen3',
  title: 'AMD Zen 3 (server, EPYC Milan)',
  vendor: 'amd',
  physicalAddressBits: vendor(48, `${CPUID}, leaf 80000008h`),
  clockGHz: measured(3.24, `${CHASE}: loop of dependent additions`),
  pages1g: true,
  la57: false,
  tlb: [
    {
      hitCycles: measured(0, `${CHASE}: 4.0 to 4.2 cycles a load up to 64 pages, as without paging cost`),
      structures: [
        {
          name: 'dtlb', sets: measured(1, DTLB), ways: measured(64, DTLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb', sets: vendor(1, ITLB), ways: vendor(64, ITLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: measured(7, `${CHASE}: 11.3 to 11.8 cycles against 4.2`),
      structures: [
        {
          name: 'dtlb-l2', sets: estimate(128, DTLB_L2), ways: estimate(16, DTLB_L2), replacement: 'lru',
          holds: ['4k', '2m'], serves: ['load', 'store'],
        },
        {
          name: 'dtlb-l2-1g', sets: vendor(1, DTLB_L2_1G), ways: vendor(64, DTLB_L2_1G), replacement: 'lru',
          holds: ['1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb-l2', sets: estimate(64, ITLB_L2), ways: estimate(8, ITLB_L2), replacement: 'lru',
          holds: ['4k', '2m'], serves: ['fetch'],
        },
      ],
    },
  ],
  psc: {
    pde: { sets: estimate(1, NO_PDE), ways: estimate(64, NO_PDE), replacement: 'lru' },
    pdpte: { sets: estimate(1, `${PDC}; organization not said`), ways: estimate(64, PDC), replacement: 'lru' },
    pml4e: { sets: estimate(1, PDC), ways: estimate(4, `${PDC}; a few of its own here`), replacement: 'lru' },
  },
  walkCycles: estimate(16, 'not separable in zen3-chase.csv, where a walk is two-dimensional'),
  walkers: vendor(6, 'AnandTech 16214: four table walkers on top of the two of Zen 2'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(4, `${CHASE}: dense lines`),
      },
      {
        name: 'l2', sets: vendor(1024, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(13, `${CHASE}: dense lines, 12.7; InstLatx64 has 12.6 on a Ryzen 9 5900X`),
      },
      {
        name: 'l3', sets: vendor(32768, CACHES), ways: vendor(16, CACHES), replacement: 'random',
        cycles: measured(50, `${CHASE}: dense lines, 49.9 at 17735; InstLatx64 has 51.3 on a Ryzen 9 5900X`),
      },
    ],
    memoryCycles: estimate(470, 'fitted to zen3-chase.csv, rows 4K-stride-in-2M and 64B-dense from 26602 pages; noisy, so high'),
    remoteCycles: estimate(320, 'about 100 ns at 3.24 GHz to the other socket; not found'),
  },
  switches: { ...switchesDefault, syscall: measured(138, `${BEHRENS}: 83 and 55 on a Ryzen 5 5600X`), exit: estimate(1360, `no measurement of Zen 3 found; middle of ${ROTH_EXIT}`) },
};
