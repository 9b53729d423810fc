/**
 * Intel Haswell (client), Core i7-4770, 3.4 GHz, one socket of four cores.
 *
 * `pages1g`: CPUID 80000001h EDX bit 26 is set; `la57`: CPUID 7 ECX bit 16 is clear.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, DALL_EXIT, TORVALDS, VMLATENCY, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of Core i7-4770 (InstLatx64, GenuineIntel00306C3_Haswell_CPUID)';
const DTLB_4K = `${CPUID}, leaf 2 descriptor 03h: 64 entries, 4-way`;
const DTLB_LARGE = `${CPUID}, leaf 2 descriptor 63h: 32 entries for 2m and 4 for 1g, both 4-way`;
const ITLB_4K = 'CPUID leaf 2 descriptor B5h gives 64 entries, 8-way; as on Skylake taken for the half of one thread';
const ITLB_2M = `${CPUID}, leaf 2 descriptor 76h: 8 entries, fully associative`;
const STLB = `${CPUID}, leaf 2 descriptor C1h: 1024 entries for 4k and 2m, 8-way`;
const CACHES = `${CPUID}, leaf 4`;
const LATENCY = 'InstLatx64, GenuineIntel00306C3_HaswellXeon_NewMemLat (Xeon E3-1245 v3), Page_Random';
const SEVEN = '7-cpu.com, Haswell, i7-4770 at 3.4 GHz (read in quotations)';
const PSC_SETS = 'organization not found; fully associative for want of better';
const CHAMPSIM = 'not found; as many as ChampSim has by default (champsim_config.json)';
const PDPTE = 'not found; four, as Ivy Bridge and older have (van Schaik et al., revanc README)';

export const haswell: CpuModel = {
  name: 'haswell',
  title: 'Intel Haswell (client, Core i7-4770)',
  vendor: 'intel',
  physicalAddressBits: vendor(39, `${CPUID}, leaf 80000008h`),
  clockGHz: vendor(3.4, `${CPUID}, brand string: nominal`),
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
          name: 'itlb-4k', sets: estimate(16, ITLB_4K), ways: vendor(8, ITLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['fetch'],
        },
        {
          name: 'itlb-2m', sets: vendor(1, ITLB_2M), ways: vendor(8, ITLB_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: measured(8, 'mynavi, Haswell review, RMMA (s_haswell2/015): 12 cycles load-to-use, against 4'),
      structures: [
        {
          name: 'stlb', sets: vendor(128, STLB), ways: vendor(8, STLB), replacement: 'tree-plru',
          holds: ['4k', '2m'], serves: ['load', 'store', 'fetch'],
        },
      ],
    },
  ],
  psc: {
    pde: { sets: estimate(1, PSC_SETS), ways: estimate(32, CHAMPSIM), replacement: 'lru' },
    pdpte: { sets: estimate(1, PSC_SETS), ways: estimate(4, PDPTE), replacement: 'lru' },
    pml4e: { sets: estimate(1, PSC_SETS), ways: estimate(4, CHAMPSIM), replacement: 'lru' },
  },
  walkCycles: estimate(16, 'mynavi RMMA: a miss costs about 20 cycles over a hit here, less one load of 4'),
  walkers: vendor(1, 'Intel Optimization Manual, Skylake (copy at 51cto): earlier processors do one walk at a time'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(4, LATENCY),
      },
      {
        name: 'l2', sets: vendor(512, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(12, LATENCY),
      },
      {
        name: 'l3', sets: vendor(8192, CACHES), ways: vendor(16, CACHES), replacement: 'nru',
        cycles: measured(36, `${SEVEN}: 36 cycles; InstLatx64 has 44 on a Xeon E3-1245 v3`),
      },
    ],
    memoryCycles: measured(230, `${SEVEN}: 36 cycles and 57 ns`),
    remoteCycles: estimate(145, 'one node only; 43 ns, by which an E5-2699 v3 pair is slower (7-cpu.com)'),
  },
  switches: {
    ...switchesDefault,
    syscall: estimate(89, `as Broadwell, the next: 49 and 40 in ${BEHRENS}`),
    exception: measured(1045, TORVALDS),
    exit: estimate(1220, `${VMLATENCY}: i7-4770, 597 of TSC; and what KVM adds, 619: ${DALL_EXIT}, of which 681 are such a processor's own`),
    rootLoad: estimate(206, `as Broadwell, the next: 206 in ${BEHRENS}`),
  },
};
