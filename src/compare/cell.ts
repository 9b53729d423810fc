/** One cell of a comparison: the tree of processes, by a way, on a processor, with pages of a size. Tasks and results are plain data. */
import { figure, type CpuModel } from '../cost/cpu-model.ts';
import {
  runTree, totalCycles, TOUCHES, type CycleAccount, type FaultReason, type KernelFigures, type ProcessEnd, type TracedTree,
} from '../guest/index.ts';
import type { EngineChoice } from '../machine/options.ts';
import { buildOf, type PageSizeName, type WayName } from './way.ts';

export interface CellTask {
  readonly kind: 'cell';
  readonly way: WayName;
  readonly cpu: CpuModel;
  readonly pages: PageSizeName;
  readonly tree: TracedTree;
  readonly engine: EngineChoice;
  /** Bytes, or a text as `'64M'`. */
  readonly memory: string;
}

/** A hypercall: how often it was made, alone or in a multicall, and its cycles. */
export interface CallFigures {
  readonly name: string;
  readonly calls: number;
  readonly cycles: number;
}

/** A number of something that has a name. */
export interface Counted {
  readonly name: string;
  readonly count: number;
}

/** What a hypervisor did. */
export interface HypervisorFigures {
  readonly hypercalls: readonly CallFigures[];
  /** Hypercalls by the number of calls in them; 1 is one that is no multicall. */
  readonly batches: readonly { readonly size: number; readonly hypercalls: number }[];
  /** Why it was entered. */
  readonly exits: readonly Counted[];
}

export interface CellResult {
  readonly kind: 'cell';
  readonly way: WayName;
  readonly cpu: string;
  readonly cpuTitle: string;
  readonly clockGHz: number;
  readonly pages: PageSizeName;
  readonly accesses: number;
  readonly cycles: CycleAccount;
  /** Of them those that are counts times estimated prices, of the kernel's work and the hypervisor's. */
  readonly estimated: CycleAccount;
  readonly total: number;
  /** Times that no TLB level had the translation. */
  readonly misses: number;
  /** Page-table entries that walks read: of the guest's tables (or the only ones), and of the host's. */
  readonly references: { readonly guest: number; readonly host: number };
  /** Level-1 entries that the kernel changed. */
  readonly entries: number;
  /** Faults by what the kernel did about them. */
  readonly faults: Readonly<Record<FaultReason, number>>;
  readonly promotions: number;
  readonly hypervisor: HypervisorFigures | undefined;
  readonly processes: readonly ProcessEnd[];
  /** What does not hold at the end: the hypervisor's books, frames that are left. */
  readonly complaints: readonly string[];
}

/**
 * Run a cell.
 *
 * @param onProgress - told how much is done, up to 1
 * @throws InputError - a trace @throws ConfigError - too little memory
 */
export async function runCell(task: CellTask, onProgress: (share: number) => void): Promise<CellResult> {
  const { way, cpu, pages, tree, engine, memory } = task;
  const figures = await runTree({ ...buildOf(way, cpu, pages), tree, engine, memory, onProgress: done => onProgress(done / tree.accesses) });
  const { kernel, cycles, estimated, processes, frames } = figures, { walks, referenceHits, hostHits } = figures.cpu;
  return {
    kind: 'cell', way, cpu: cpu.name, cpuTitle: cpu.title, clockGHz: figure(cpu.clockGHz), pages, accesses: tree.accesses,
    cycles, estimated, total: totalCycles(cycles), misses: walks, references: { guest: sum(referenceHits), host: sum(hostHits) },
    entries: kernel.entries, faults: { ...kernel.faults }, promotions: kernel.promotions, hypervisor: hypervisorOf(figures), processes,
    complaints: [...figures.complaints, ...(frames.leaked === 0 ? [] : [`${frames.leaked} frames are left when all processes have ended`])],
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function hypervisorOf({ xen, shadow, exits }: KernelFigures): HypervisorFigures | undefined {
  if (shadow !== undefined) return { hypercalls: [], batches: [], exits: shadowExits(shadow) };
  if (exits !== undefined) return { hypercalls: [], batches: [], exits: TOUCHES.map(touch => ({ name: `no memory, ${touch}`, count: exits[touch] })) };
  if (xen === undefined) return undefined;
  const { hypercalls, work, calls_from_multicall: inside } = xen.counters, made = Object.values(hypercalls).reduce((all, { entries }) => all + entries, 0) - inside;
  const first = sum([...xen.batches.values()]);
  return {
    hypercalls: Object.entries(hypercalls).map(([name, { calls, cycles: { trap, validate, flush } }]) => ({ name, calls, cycles: trap + validate + flush }))
      .sort((a, b) => b.cycles - a.cycles),
    batches: [...xen.batches].map(([size, many]) => ({ size, hypercalls: many })).sort((a, b) => a.size - b.size),
    exits: [{ name: 'hypercall', count: first }, ...made > first ? [{ name: 'hypercall that goes on', count: made - first }] : [], { name: 'page fault', count: work.faults }, { name: 'system call, return', count: work.traps + work.compatTraps - made }],
  };
}

/** A page fault that is neither the guest's nor a store to one of its tables is due to the shadows. */
function shadowExits(work: NonNullable<KernelFigures['shadow']>): Counted[] {
  const guests = work.fastNotPresent + work.guestFault, stores = work.emulatedWrite + work.emulatedWp + work.unsync;
  return [
    { name: 'guest\'s page fault', count: guests }, { name: 'store to a table', count: stores }, { name: 'entry not shadowed', count: work.exitPageFault - guests - stores },
    { name: 'load of CR3', count: work.exitCr3 }, { name: 'INVLPG', count: work.exitInvlpg },
    { name: 'other register', count: work.exitCr0 + work.exitCr4 + work.exitEfer + work.exitInvpcid },
  ];
}
