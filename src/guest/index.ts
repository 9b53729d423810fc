/** pagewalk/guest: a small kernel's memory management, replaying recorded processes on a machine or in a paravirtualized domain. */
export { Bare } from './bare.ts';
export { FAULT_REASONS, Figures, type FaultReason } from './figures.ts';
export { Kernel, type KernelOptions } from './kernel.ts';
export { MmContext, type MmuOps } from './mmu-ops.ts';
export { NativeOps, type NativeCounts } from './native-ops.ts';
export type { Platform } from './platform.ts';
export { ProcessTree, type TracedProcess } from './process-tree.ts';
export { runTree, type TreeFigures, type TreeOptions } from './run-tree.ts';
export type { ProcessEnd } from './tree-run.ts';
export { XenDomain } from './xen-domain.ts';
export { BATCHINGS, PINNINGS, XenOps, type XenPolicy } from './xen-ops.ts';
