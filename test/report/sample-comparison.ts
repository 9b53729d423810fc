/** Comparisons with made-up figures. */
import type { CellResult } from '../../src/compare/cell.ts';
import type { Comparison, Group } from '../../src/compare/comparison.ts';
import { outcomeOf } from '../../src/compare/outcome.ts';
import type { GroupPrices } from '../../src/compare/standing.ts';
import { SWEEP_DEFAULTS, type Sweep } from '../../src/compare/sweep.ts';
import type { Batching, SweepLine } from '../../src/compare/sweep-line.ts';
import type { PageSizeName, WayName } from '../../src/compare/way.ts';
import { FAULT_REASONS, type CycleAccount, type FaultReason } from '../../src/guest/index.ts';

const NOTHING: CycleAccount = {
  tlb: 0, walkStart: 0, walkLoads: 0, data: 0, exceptions: 0, systemCalls: 0, rootLoads: 0, invlpgs: 0, pages: 0, hypervisorTrap: 0, hypervisorValidate: 0,
  hypervisorFlush: 0, hypervisorEmulate: 0, hypervisorShadow: 0, hypervisorSync: 0, hypervisorPopulate: 0,
};

export function account(some: Partial<CycleAccount>): CycleAccount {
  return { ...NOTHING, ...some };
}

const sum = (cycles: CycleAccount): number => Object.values(cycles).reduce((a, b) => a + b, 0);

const GUESSED: readonly (keyof CycleAccount)[] = ['hypervisorTrap', 'hypervisorShadow'];

/** World switches and shadow tables have estimated prices. */
function guessed(cycles: CycleAccount): CycleAccount {
  return account(Object.fromEntries(GUESSED.map((cause) => [cause, cycles[cause]])));
}

const PRICES: readonly GroupPrices[] = [
  { name: 'loads of walks', prices: { vendor: ['L1'], measured: ['L2', 'memory'], partly: [], estimate: [], given: [] } },
  { name: 'world switches', prices: { vendor: [], measured: [], partly: ['fault'], estimate: ['trap', 'bounce'], given: [] } },
];

/** A cell of a million accesses. */
export function cell(way: WayName, cycles: Partial<CycleAccount>, more: Partial<CellResult> = {}): CellResult {
  const all = account(cycles), faults = Object.fromEntries(FAULT_REASONS.map((reason, k) => [reason, k * 10])) as Record<FaultReason, number>;
  return {
    kind: 'cell', way, cpu: 'zen3', cpuTitle: 'AMD Zen 3', clockGHz: 3, pages: '4k', accesses: 1_000_000, cycles: all, estimated: guessed(all), total: sum(all), misses: 1000,
    references: { guest: 2000, host: way === 'nested' ? 1500 : 0 }, entries: 500, faults, promotions: 0,
    hypervisor: way !== 'direct' ? undefined : {
      hypercalls: [{ name: 'mmuext_op', calls: 20, cycles: 9000 }, { name: 'mmu_update', calls: 300, cycles: 4000 }], batches: [{ size: 1, hypercalls: 200 }, { size: 7, hypercalls: 30 }, { size: 32, hypercalls: 4 }],
      exits: [{ name: 'hypercall', count: 234 }, { name: 'page fault', count: 77 }, { name: 'system call, return', count: 0 }],
    },
    processes: [{ name: 'sh', pid: 1, accesses: 1_000_000, faults: 'f', memory: 'm', refused: 0 }], complaints: [], ...more,
  };
}

/** A line that costs `base` an access, and `each` an update: world switches of direct paging, walks and exceptions of the others. */
export function line(way: WayName, base: number, each: number, batching?: Batching, rates: readonly number[] = SWEEP_DEFAULTS.rates): SweepLine {
  return {
    kind: 'line', name: batching === undefined ? way : `${way} ${batching}`, way, batching,
    points: rates.map((rate) => {
      const cycles = account({ walkLoads: base, [way === 'direct' ? 'hypervisorTrap' : 'exceptions']: each * rate });
      return { updatesPerAccess: rate, cyclesPerAccess: sum(cycles), cycles, estimated: guessed(cycles) };
    }),
  };
}

export function sweep(lines: readonly SweepLine[], more: Partial<Sweep> = {}): Sweep {
  return { cpu: 'zen3', pages: '4k', workload: SWEEP_DEFAULTS, prices: PRICES, lines, ...more };
}

export function group(cells: readonly CellResult[], sweeps: readonly Sweep[] = [], pages: PageSizeName = '4k'): Group {
  return { cpu: 'zen3', cpuTitle: 'AMD Zen 3', pages, prices: PRICES, cells, sweeps };
}

export function comparison(groups: readonly Group[], name = 'compile'): Comparison {
  const cells = groups.flatMap((one) => one.cells);
  return { name, accesses: 1_000_000, processes: cells[0]!.processes.map((process) => process.name), groups, outcome: outcomeOf(cells) };
}

/** Four ways and two sweeps, as a real run might give them. */
export function usualGroup(): Group {
  const lines = [
    line('native', 20, 400), line('direct', 20, 1500), line('direct', 20, 1480, 'array'), line('direct', 20, 1600, 'unbatched'), line('direct', 20, 3600, 'ptwr'),
    line('shadow', 20.5, 3500), line('nested', 40, 420),
  ];
  return group([
    cell('native', { walkLoads: 3000, exceptions: 1000 }), cell('direct', { walkLoads: 3000, hypervisorTrap: 12_000, hypervisorValidate: 5000 }),
    cell('shadow', { walkLoads: 3500, exceptions: 1000, hypervisorTrap: 20_000, hypervisorShadow: 9000 }, { hypervisor: { hypercalls: [], batches: [], exits: [{ name: 'load of CR3', count: 5 }] } }),
    cell('nested', { walkLoads: 4400, exceptions: 1000 }),
  ], [sweep(lines), sweep(lines, { workload: { ...SWEEP_DEFAULTS, change: 'guard' } })]);
}
