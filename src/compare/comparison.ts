/** A tree of processes by several ways, on several processors, with pages of several sizes; and sweeps of a workload by the same ways. */
import type { CpuModel } from '../cost/cpu-model.ts';
import type { TracedTree } from '../guest/index.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { CellResult, CellTask } from './cell.ts';
import { outcomeOf, type Outcome } from './outcome.ts';
import { lineTasks, type Sweep } from './sweep.ts';
import { pricesOf, type GroupPrices } from './standing.ts';
import type { LineTask, SweepLine, SweepWorkload } from './sweep-line.ts';
import { runTasks } from './task.ts';
import type { PageSizeName, WayName } from './way.ts';

export interface SweepsOptions {
  readonly ways: readonly WayName[];
  readonly cpus: readonly CpuModel[];
  readonly pages: readonly PageSizeName[];
  readonly workloads: readonly SweepWorkload[];
  readonly engine: EngineChoice;
  /** Memory of a machine: bytes, or a text as `'64M'`. */
  readonly memory: string;
  /** Threads, from 1. */
  readonly threads: number;
  /** Called now and then: how much of all is done, up to 1, and what is being done. */
  readonly onProgress?: (share: number, doing: string) => void;
}

export interface CompareOptions extends SweepsOptions {
  /** What results call the tree. */
  readonly name: string;
  readonly tree: TracedTree;
}

/** The cells, and the sweeps, of one processor and page size. */
export interface Group {
  readonly cpu: string;
  readonly cpuTitle: string;
  readonly pages: PageSizeName;
  /** What the cells' cycles are made of. */
  readonly prices: readonly GroupPrices[];
  readonly cells: readonly CellResult[];
  readonly sweeps: readonly Sweep[];
}

export interface Comparison {
  readonly name: string;
  readonly accesses: number;
  readonly processes: readonly string[];
  readonly groups: readonly Group[];
  readonly outcome: Outcome;
}

/** Sweeps of each processor and page size. */
export type Sweeps = readonly Sweep[];

const LINE_WEIGHT = 4_000_000; // accesses of a tree that take as long as a line

/** Run all cells and sweeps. @throws InputError - a trace @throws ConfigError - too little memory. WorkerError - a thread ended before its task did */
export async function compare(options: CompareOptions): Promise<Comparison> {
  const { name, tree, ways, cpus, pages, engine, memory } = options, pairs = cpus.flatMap(cpu => pages.map(size => ({ cpu, size })));
  const cells = pairs.flatMap(({ cpu, size }) => ways.map((way): CellTask => ({ kind: 'cell', way, cpu, pages: size, tree, engine, memory })));
  const sweeps = sweepTasks(options), results = await run(options, [...cells, ...sweeps.flatMap(({ tasks }) => tasks)]);
  const cellResults = results.slice(0, cells.length) as CellResult[], swept = sweepResults(sweeps, results.slice(cells.length) as SweepLine[]);
  const groups = pairs.map(({ cpu, size }): Group => ({
    cpu: cpu.name, cpuTitle: cpu.title, pages: size, prices: pricesOf(cpu, ways), cells: cellResults.filter(cell => cell.cpu === cpu.name && cell.pages === size),
    sweeps: swept.filter(sweep => sweep.cpu === cpu.name && sweep.pages === size),
  }));
  return { name, accesses: tree.accesses, processes: cellResults[0].processes.map(process => process.name), groups, outcome: outcomeOf(cellResults) };
}

/** Run sweeps alone. @throws as `compare()` */
export async function sweepAll(options: SweepsOptions): Promise<Sweeps> {
  const sweeps = sweepTasks(options);
  return sweepResults(sweeps, await run(options, sweeps.flatMap(({ tasks }) => tasks)) as SweepLine[]);
}

interface PlannedSweep extends Omit<Sweep, 'lines'> {
  readonly tasks: readonly LineTask[];
}

function sweepTasks({ ways, cpus, pages, workloads, engine, memory }: SweepsOptions): PlannedSweep[] {
  return cpus.flatMap(cpu => pages.flatMap(size => workloads.map(workload => (
    { cpu: cpu.name, pages: size, workload, prices: pricesOf(cpu, ways), tasks: lineTasks({ ways, cpu, pages: size, workload, engine, memory }) }))));
}

function sweepResults(sweeps: readonly PlannedSweep[], lines: readonly SweepLine[]): Sweep[] {
  let from = 0;
  return sweeps.map(({ tasks, ...sweep }) => ({ ...sweep, lines: lines.slice(from, from += tasks.length) }));
}

async function run({ threads, onProgress }: SweepsOptions, tasks: readonly (CellTask | LineTask)[]): Promise<unknown[]> {
  const weights = tasks.map(task => (task.kind === 'cell' ? task.tree.accesses : LINE_WEIGHT)), shares = tasks.map(() => 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return runTasks(tasks, threads, (place, share) => {
    shares[place] = share;
    const task = tasks[place], doing = task.kind === 'cell' ? '' : ` sweep ${task.batching ?? task.workload.change}`;
    onProgress?.(shares.reduce((sum, done, k) => sum + done * weights[k], 0) / total, `${task.way} ${task.cpu.name} ${task.pages}${doing}`);
  });
}
