/** The cells of a plan: one run on one trace each, in the order of the plan, and what identifies them. */
import { createHash } from 'node:crypto';
import type { CpuModel } from '../cost/cpu-model.ts';
import type { NumaPolicy, PagePolicy } from '../trace/placement.ts';
import type { PlanTrace, SweepPlan } from './plan.ts';

export interface Cell {
  /** In the plan, from 0. */
  readonly place: number;
  readonly trace: PlanTrace;
  readonly cpu: CpuModel;
  readonly pages: PagePolicy;
  readonly data: boolean;
  readonly nodes: number;
  readonly numa: NumaPolicy;
  /** Among the runs of a `replay()` of the plan's processors and page sizes. */
  readonly run: number;
}

/** All cells: trace by trace, and those that one reading of a trace can serve beside each other. */
export function cellsOf(plan: SweepPlan): Cell[] {
  const readings = plan.traces.flatMap(trace => plan.data.flatMap(data => plan.nodes.flatMap(nodes => plan.numa.map(numa => ({ trace, data, nodes, numa })))));
  const runs = plan.cpus.flatMap(cpu => plan.pages.map(pages => ({ cpu, pages })));
  return readings.flatMap((reading, r) => runs.map((run, k) => ({ ...reading, ...run, run: k, place: r * runs.length + k })));
}

/**
 * Identifies a plan: the same for plans with the same cells in the same order, but for what is in the traces, which not everyone who does
 * a part of it needs to read.
 */
export function planIdentity(plan: SweepPlan, version: string): string {
  const traces = plan.traces.map(({ name, format }) => [name, format ?? null]);
  return digest([version, traces, plan.cpus, plan.pages, plan.data, plan.nodes, plan.numa, plan.limit ?? null, plan.skipBad]);
}

/**
 * Identifies a result by everything that decides it: the program's version, the trace's content and name and how it is read, every number
 * of the processor, the page sizes, the options.
 *
 * @param sha256 - of the trace
 */
export function cellKey(plan: SweepPlan, cell: Cell, sha256: string, version: string): string {
  const { trace, cpu, pages, data, nodes, numa } = cell;
  return digest([version, trace.name, sha256, trace.format ?? null, cpu, pages, data, nodes, numa, plan.limit ?? null, plan.skipBad]);
}

/** 128 bits of SHA-256 in hexadecimal. */
function digest(of: unknown): string {
  return createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 32);
}
