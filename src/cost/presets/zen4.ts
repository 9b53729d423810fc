/**
 * AMD Zen 4 (server), EPYC 9654 (Genoa); L3 is that of one complex of eight cores.
 *
 * Latencies in cycles are those of the same core and L3 in a Ryzen 9 7950X. TLBs as in Zen 3, larger (see `zen3.ts`).
 * `pages1g` and `la57`: CPUID 80000001h EDX bit 26 and 7 ECX bit 16 are set; the Ryzen part has no 5-level paging.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, ROTH_EXIT, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of EPYC 9654 (InstLatx64, AuthenticAMD0A10F11_K19_Genoa_01_CPUID)';
const DTLB = `${CPUID}, leaves 80000005h and 80000019h: 72 entries for 4k, 2m and 1g, fully associative`;
const ITLB = `${CPUID}, leaves 80000005h and 80000019h: 64 entries for 4k, 2m and 1g, fully associative`;
const DTLB_L2 = '3072 entries: CPUID 80000006h (8 ways for 4k, 6 for 2m); 128 sets by 24 ways is a guess after Zen 3';
const DTLB_L2_1G = `${CPUID}, leaf 80000019h: 64 entries for 1g, fully associative`;
const ITLB_L2 = '512 entries: CPUID 80000006h, which codes 4 ways for 4k and 2 for 2m; 8 ways as in Zen 2 (7-cpu.com)';
const CACHES = `${CPUID}, leaf 8000001Dh`;
const LATENCY = 'InstLatx64, AuthenticAMD0A60F12_K19_Raphael_04_NewMemLat (Ryzen 9 7950X), Page_Random';
const PDC = 'Chips and Cheese on Zen 5 (read in a retelling): since Zen 1 a 64-entry cache of PDPTEs and PML4Es';
const NO_PDE = 'PDEs share the second-level data TLB (WikiChip, Zen 2); 64 stands for their part';

export const zen4: CpuModel = {
  name: 'zen4',
  title: 'AMD Zen 4 (server, EPYC 9654)',
  vendor: 'amd',
  physicalAddressBits: vendor(52, `${CPUID}, leaf 80000008h`),
  clockGHz: estimate(3.5, 'between the base clock of 2.40 and the boost of 3.70 (hpctech.co.jp, table of the EPYC 9004 series)'),
  pages1g: true,
  la57: true,
  tlb: [
    {
      hitCycles: estimate(0, 'looked up beside the data cache; the load-to-use time includes it'),
      structures: [
        {
          name: 'dtlb', sets: vendor(1, DTLB), ways: vendor(72, DTLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb', sets: vendor(1, ITLB), ways: vendor(64, ITLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: estimate(7, 'as measured on Zen 3 (../shared/hardware/tlb-params.md, section 3)'),
      structures: [
        {
          name: 'dtlb-l2', sets: estimate(128, DTLB_L2), ways: estimate(24, DTLB_L2), replacement: 'lru',
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
    pml5e: { sets: estimate(1, PDC), ways: estimate(2, 'whether any are cached: not found'), replacement: 'lru' },
  },
  walkCycles: estimate(16, 'as Zen 3, itself an estimate'),
  walkers: estimate(6, 'as Zen 3 (AnandTech 16214)'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(4, LATENCY),
      },
      {
        name: 'l2', sets: vendor(2048, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(14, LATENCY),
      },
      {
        name: 'l3', sets: vendor(32768, CACHES), ways: vendor(16, CACHES), replacement: 'nru',
        cycles: measured(54, `${LATENCY}: 53.6`),
      },
    ],
    memoryCycles: estimate(385, 'about 110 ns at 3.5 GHz; the Ryzen part has 71 ns (InstLatx64)'),
    remoteCycles: estimate(350, 'about 100 ns at 3.5 GHz to the other socket; not found'),
  },
  switches: { ...switchesDefault, syscall: estimate(138, `no measurement of Zen 4 found; as Zen 3: 83 and 55 in ${BEHRENS}`), exit: estimate(1360, `no measurement of Zen 4 found; middle of ${ROTH_EXIT}`) },
};
