/**
 * Intel Nehalem-EP, Xeon E5520 (Gainestown), 2.27 GHz, two sockets of four cores.
 *
 * CPUID figures are those of a Xeon X5550 of the same die; latencies in cycles, measured there at 2.67 GHz. The second
 * TLB level holds 4k pages only: a large page that misses the first level is walked again.
 * `pages1g` and `la57`: CPUID 80000001h EDX bit 26 and 7 ECX bit 16 are clear.
 */
import type { CpuModel } from '../cpu-model.ts';
import { CR4_FLUSH, TORVALDS, switchesDefault } from '../switches.ts';
import { estimate, measured, vendor } from './sourced.ts';

const CPUID = 'CPUID of Xeon X5550 (InstLatx64, GenuineIntel00106A2_Nehalem-EP_CPUID)';
const DTLB_4K = `${CPUID}, leaf 2 descriptor 03h: 64 entries, 4-way`;
const DTLB_2M = `${CPUID}, leaf 2 descriptor 5Ah: 32 entries, 4-way`;
const ITLB_4K = 'Sniper config/nehalem.cfg: 128 entries, 4-way; CPUID leaf 2 B2h gives the half of one thread, 64';
const ITLB_2M = `${CPUID}, leaf 2 descriptor 55h: 7 entries a thread, fully associative`;
const STLB = `${CPUID}, leaf 2 descriptor CAh: 512 entries for 4k, 4-way; also Sniper config/nehalem.cfg`;
const CACHES = `${CPUID}, leaf 4`;
const LATENCY = 'InstLatx64, GenuineIntel00106A2_Nehalem-EP_MemLatX64 (X5550 at 2.67 GHz)';
const PSC_SETS = 'organization not found; fully associative for want of better';
const PDE = 'not found; as many as ChampSim has by default (champsim_config.json)';
const SPLITX = 'Landau et al., SplitX (WIOV 2011), introduction and table 1: direct cost of an exit 2,000 cycles, Xeon X5570 at 2.93 GHz, KVM of Linux 2.6.34 with EPT and VPID'
  + '; the processor alone takes 949 to 982 (yulyugin/vmlatency, results, i5 760)';
const NOVA = 'trustworthy.systems, table "Microkernel Performance Metrics": a one-way IPC of NOVA on a Core i7 920, 288 cycles: entry, root load, return and the kernel\'s path';
const PDPTE = 'van Schaik et al., revanc README: Ivy Bridge and older keep PDPTEs in a cache of four entries';

export const nehalemE5520: CpuModel = {
  name: 'nehalem-e5520',
  title: 'Intel Xeon E5520 (Nehalem-EP)',
  vendor: 'intel',
  physicalAddressBits: vendor(40, `${CPUID}, leaf 80000008h`),
  clockGHz: vendor(2.27, 'product name, Xeon E5520 2.27 GHz (../shared/hardware/tlb-params.md, section 1)'),
  pages1g: false,
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
          name: 'dtlb-2m', sets: vendor(8, DTLB_2M), ways: vendor(4, DTLB_2M), replacement: 'tree-plru',
          holds: ['2m'], serves: ['load', 'store'],
        },
        {
          name: 'itlb-4k', sets: vendor(32, ITLB_4K), ways: vendor(4, ITLB_4K), replacement: 'tree-plru',
          holds: ['4k'], serves: ['fetch'],
        },
        {
          name: 'itlb-2m', sets: vendor(1, ITLB_2M), ways: vendor(7, ITLB_2M), replacement: 'lru',
          holds: ['2m'], serves: ['fetch'],
        },
      ],
    },
    {
      hitCycles: estimate(7, 'no measurement found; what texts repeat. Hennessy and Patterson, 5th ed., say 2 cycles'),
      structures: [
        {
          name: 'stlb', sets: vendor(128, STLB), ways: vendor(4, STLB), replacement: 'tree-plru',
          holds: ['4k'], serves: ['load', 'store', 'fetch'],
        },
      ],
    },
  ],
  psc: {
    pde: { sets: estimate(1, PSC_SETS), ways: estimate(32, PDE), replacement: 'lru' },
    pdpte: { sets: estimate(1, PSC_SETS), ways: measured(4, PDPTE), replacement: 'lru' },
    pml4e: { sets: estimate(1, PSC_SETS), ways: estimate(2, 'not found; few'), replacement: 'lru' },
  },
  walkCycles: estimate(10, 'detecting the miss and restarting the load; Sniper charges 30 for a whole walk'),
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
        cycles: measured(10, LATENCY),
      },
      {
        name: 'l3', sets: vendor(8192, CACHES), ways: vendor(16, CACHES), replacement: 'nru',
        cycles: measured(40, `${LATENCY}: 38 to 42 in one page; core clock over uncore clock matters`),
      },
    ],
    memoryCycles: estimate(150, '66 ns (Sniper gainestown.cfg, membench) at 2.27 GHz; InstLatx64: 176 to 182 at 2.67'),
    remoteCycles: estimate(86, '7-cpu.com, Westmere X5650: 105 ns remote against 67 ns local; 38 ns at 2.27 GHz'),
  },
  switches: {
    ...switchesDefault,
    syscall: estimate(150, `half of ${NOVA}; of Soares and Stumm, FlexSC (OSDI 2010), who measured such a processor, only the abstract could be read`),
    exception: estimate(1000, `no measurement of Nehalem found; between the two of ${TORVALDS}`),
    exit: measured(2000, SPLITX),
    rootLoad: estimate(100, `what is left of ${NOVA}, of which 150 go into entry and return and some 40 into the path`),
    flush: CR4_FLUSH,
  },
};
