/** pagewalk/guest: a small kernel's memory management, replaying recorded processes on a machine or in a paravirtualized domain. */
export { Bare } from './bare.ts';
export { buildKernel, type BuildOptions, type BuiltKernel } from './built-kernel.ts';
export { crossing, type RatePoint } from './crossover.ts';
export { subtract, totalCycles, type CycleAccount } from './cycle-account.ts';
export { FAULT_REASONS, Figures, type FaultReason } from './figures.ts';
export { Kernel, type KernelOptions } from './kernel.ts';
export { MmContext, type MmuOps } from './mmu-ops.ts';
export { NativeOps, type NativeCounts } from './native-ops.ts';
export type { NativePlatform, Platform } from './platform.ts';
export { TOUCHES, type Touch } from './population.ts';
export { ProcessTree, type TracedProcess, type TracedTree } from './process-tree.ts';
export { figuresOf, runTree, type KernelFigures, type TreeFigures, type TreeOptions } from './run-tree.ts';
export { POPULATIONS, SecondStage, STAGE_FORMATS, type StageOptions } from './second-stage.ts';
export { Shadowed, type ShadowedOptions } from './shadowed.ts';
export type { ProcessEnd } from './tree-run.ts';
export { CHANGES, PATTERNS, runWorkload, Workload, type WorkloadFigures, type WorkloadOptions, type WorkloadStretch } from './workload.ts';
export { XenDomain } from './xen-domain.ts';
export { BATCHINGS, PINNINGS, XenOps, type XenPolicy } from './xen-ops.ts';
