/**
 * AMD Zen 2 (server), EPYC 7742 (Rome), 64 cores; L3 is that of one complex of four cores.
 *
 * The second-level data TLB also holds page directory entries, and breaks 1g pages into 2m entries. Its ways are
 * skewed: each way hashes the address by itself and belongs to one page size; one array of all ways stands for that.
 * `pages1g`: CPUID 80000001h EDX bit 26 is set; `la57`: CPUID 7 ECX bit 16 is clear.
 */
import type { CpuModel } from '../cpu-model.ts';
import { BEHRENS, CR4_FLUSH, ROTH_EXIT, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of EPYC 7742 (InstLatx64, AuthenticAMD0830F10_K17_Rome_CPUID)';
const L1_TLB = `${CPUID}, leaves 80000005h and 80000019h: 64 entries for 4k, 2m and 1g, fully associative`;
const ITLB_L2 = '7-cpu.com, Zen 2: 512 items, 8-way, 4k and 2m; CPUID leaf 80000006h gives 1024, 8-way';
const DTLB_L2 = '2048 entries: CPUID 80000006h; WikiChip, Zen 2, Memory Hierarchy, which says 12-way; 16 is a guess';
const CACHES = `${CPUID}, leaf 8000001Dh`;
const LATENCY = 'InstLatx64, AuthenticAMD0830F10_K17_Rome_NewMemLat (EPYC 7742), Page_Random';
const PDC = 'Chips and Cheese on Zen 5 (read in a retelling): since Zen 1 a 64-entry cache of PDPTEs and PML4Es';
const NO_PDE = 'PDEs share the second-level data TLB (WikiChip, Zen 2); 64 stands for their part';

export const zen2: CpuModel = {
  name: 'zen2',
  title: 'AMD Zen 2 (server, EPYC 7742)',
  vendor: 'amd',
  physicalAddressBits: vendor(48, `${CPUID}, leaf 80000008h`),
  clockGHz: measured(2.25, `${LATENCY}: 2249.99 MHz, without boost`),
  pages1g: true,
  la57: false,
  tlb: [
    {
      hitCycles: estimate(0, 'looked up beside the data cache; the load-to-use time includes it'),
      structures: [
        {
          name: 'dtlb', sets: vendor(1, L1_TLB), ways: vendor(64, L1_TLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb', sets: vendor(1, L1_TLB), ways: vendor(64, L1_TLB), replacement: 'lru',
          holds: ['4k', '2m', '1g'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: estimate(7, 'as measured on Zen 3 (../shared/hardware/tlb-params.md, section 3)'),
      structures: [
        {
          name: 'dtlb-l2', sets: estimate(128, DTLB_L2), ways: estimate(16, DTLB_L2), replacement: 'lru',
          holds: ['4k', '2m'], fractures: ['1g'], serves: ['load', 'store'],
        },
        {
          name: 'itlb-l2', sets: estimate(64, ITLB_L2), ways: estimate(8, ITLB_L2), replacement: 'lru',
          holds: ['4k', '2m'], fractures: ['1g'], serves: ['fetch'],
        },
      ],
    },
  ],
  psc: {
    pde: { sets: estimate(1, NO_PDE), ways: estimate(64, NO_PDE), replacement: 'lru' },
    pdpte: { sets: estimate(1, `${PDC}; organization not said`), ways: estimate(64, PDC), replacement: 'lru' },
    pml4e: { sets: estimate(1, PDC), ways: estimate(4, `${PDC}; a few of its own here`), replacement: 'lru' },
  },
  walkCycles: estimate(16, 'detecting the miss and restarting the load; not found'),
  walkers: vendor(2, 'WikiChip, Zen 2, Memory Hierarchy: two hardware page table walkers; AnandTech 16214 agrees'),
  caches: {
    lineBytes: vendor(64, CACHES),
    levels: [
      {
        name: 'l1d', sets: vendor(64, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(4, LATENCY),
      },
      {
        name: 'l2', sets: vendor(1024, CACHES), ways: vendor(8, CACHES), replacement: 'tree-plru',
        cycles: measured(12, LATENCY),
      },
      {
        name: 'l3', sets: vendor(16384, CACHES), ways: vendor(16, CACHES), replacement: 'nru',
        cycles: measured(45, `${LATENCY}: 45.5`),
      },
    ],
    memoryCycles: estimate(250, 'about 110 ns; InstLatx64 has 604 cycles, which must be a remote load'),
    remoteCycles: estimate(200, 'about 90 ns at 2.25 GHz to the other socket; not found'),
  },
  switches: { ...switchesDefault, syscall: measured(99, `${BEHRENS}: 53 and 46 on an EPYC 7452`), exit: estimate(1360, `middle of ${ROTH_EXIT}; taken for this design, AMD's newest server then`), flush: CR4_FLUSH },
};
