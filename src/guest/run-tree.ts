/** A recorded tree of processes on a kernel, from options to figures. */
import { ConfigError, invariant } from '../errors.ts';
import type { Counters } from '../machine/vcpu.ts';
import type { CounterValues } from '../xen/index.ts';
import { buildKernel, type BuildOptions, type BuiltKernel } from './built-kernel.ts';
import type { ShadowCounts } from '../virt/shadow/work.ts';
import { cycleAccount, type CycleAccount } from './cycle-account.ts';
import { estimatedCycles } from './estimated-cycles.ts';
import type { Figures } from './figures.ts';
import type { NativeCounts } from './native-ops.ts';
import type { Touch } from './population.ts';
import { ProcessTree, type TracedTree } from './process-tree.ts';
import { TreeRun, type ProcessEnd } from './tree-run.ts';
import type { BatchSizes } from './xen-domain.ts';

export interface TreeOptions extends BuildOptions {
  /** Folder of traces, or what was read from it. */
  readonly tree: string | TracedTree;
  /** Loads and stores have contents, and ends a hash of them. Default true. */
  readonly contents?: boolean;
  /** Called after each fork, exec and exit; `complaints()` says what does not hold of the hypervisor's books. */
  readonly observe?: (what: 'fork' | 'exec' | 'exit', complaints: () => string[]) => void;
  /** Called now and then with the number of accesses made, of all processes. */
  readonly onProgress?: (accesses: number) => void;
}

/** What a kernel came to. */
export interface KernelFigures {
  readonly ops: 'native' | 'xen';
  readonly kernel: Figures;
  /** All cycles by cause; zeroes in functional mode. */
  readonly cycles: CycleAccount;
  /** Of them those that are counts times estimated prices, of the kernel's work and the hypervisor's. */
  readonly estimated: CycleAccount;
  /** Of the vCPU: translations, walks. */
  readonly cpu: Counters;
  /** `xen`: what the hypervisor counted; hypercalls by the number of calls in them; entries stored without one, and by stores it emulated. */
  readonly xen: { readonly counters: CounterValues; readonly batches: BatchSizes; readonly stores: number; readonly emulated: number } | undefined;
  /** `native`: what the kernel did itself. */
  readonly native: NativeCounts | undefined;
  /** `shadow`: exits, why faults were taken, and what was done about them. */
  readonly shadow: ShadowCounts | undefined;
  /** Under a second stage: exits for frames without memory, by who touched them. It takes no others. */
  readonly exits: Readonly<Record<Touch, number>> | undefined;
  /** Frames: the most in use at a time; and, when everything has ended, still in use. */
  readonly frames: { readonly most: number; readonly leaked: number };
  /** What does not hold at the end, of the hypervisor's books or shadows. */
  readonly complaints: readonly string[];
}

/** What a run came to. */
export interface TreeFigures extends KernelFigures {
  readonly processes: readonly ProcessEnd[];
}

/** What does not hold, of a hypervisor's books or shadows. */
const complaintsOf = ({ shadow, xen }: BuiltKernel): string[] => xen?.domain.xen.audit() ?? shadow?.guest.audit() ?? [];

/** What a kernel has done so far. */
export function figuresOf(built: BuiltKernel): KernelFigures {
  const { kernel, native, shadow, xen, stage } = built, cycles = cycleAccount(built);
  return {
    ops: xen === undefined ? 'native' : 'xen', kernel: kernel.figures, cpu: kernel.p.cpu.counters(), cycles, estimated: estimatedCycles(built, cycles),
    xen: xen && { counters: xen.domain.xen.counters(), batches: xen.domain.batches, stores: xen.ops.stores, emulated: xen.ops.emulated },
    native: native?.counts, shadow: shadow?.guest.counters(), exits: stage?.population.exits, frames: { most: kernel.pool.most, leaked: kernel.framesInUse },
    complaints: complaintsOf(built),
  };
}

/**
 * Replay a tree of processes.
 *
 * @throws InputError - a trace @throws ConfigError - an option, or there is too little memory
 */
export async function runTree(options: TreeOptions): Promise<TreeFigures> {
  if (typeof options.tree !== 'string' && options.tree?.root === undefined) throw new ConfigError('tree', 'a folder of traces, or what was read from it', options.tree);
  const built = buildKernel(options), { kernel } = built;
  const tree = typeof options.tree === 'string' ? await ProcessTree.load(options.tree, options.engine) : options.tree;
  const run = new TreeRun(kernel, options.contents ?? true, { engine: options.engine }, {
    finished: what => options.observe?.(what, () => complaintsOf(built)), progress: accesses => options.onProgress?.(accesses),
  });
  await run.run(tree);
  invariant(kernel.reclaim.swapped === 0, 'nobody is left to swap in');
  return { ...figuresOf(built), processes: run.ends };
}
