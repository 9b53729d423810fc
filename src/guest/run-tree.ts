/** A recorded tree of processes on a kernel on a machine, from options to figures. */
import { ConfigError, invariant } from '../errors.ts';
import { presets } from '../cost/presets/all.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Counters } from '../machine/vcpu.ts';
import type { CounterValues } from '../xen/index.ts';
import { Bare } from './bare.ts';
import type { Figures } from './figures.ts';
import { Kernel, type KernelOptions } from './kernel.ts';
import type { BatchSizes } from './multicall.ts';
import { NativeOps, type NativeCounts } from './native-ops.ts';
import { ProcessTree } from './process-tree.ts';
import { TreeRun, type ProcessEnd } from './tree-run.ts';
import { XenDomain } from './xen-domain.ts';
import { XenOps, type XenPolicy } from './xen-ops.ts';

const OPS = ['native', 'xen'] as const;
const PAGES = ['4k', 'thp'] as const;
const PROMOTE_AT = 64; // pages of 512

export interface TreeOptions extends KernelOptions {
  /** Folder of traces, or what was read from it. */
  readonly tree: string | ProcessTree;
  /** `native`: a kernel on the machine; `xen`: in a paravirtualized domain. Default `native`. */
  readonly ops?: (typeof OPS)[number];
  /** How `xen` makes its changes. */
  readonly policy?: XenPolicy;
  /** Default skylake. */
  readonly cpu?: CpuModel;
  /** Default `timed`. */
  readonly mode?: 'timed' | 'functional';
  /** Default `auto`. */
  readonly engine?: EngineChoice;
  /** Default `'64M'`. */
  readonly memory?: number | string;
  /** `thp`: regions with 64 pages of 512 become large pages, where `promoteAt` does not say otherwise. Default `4k`. */
  readonly pages?: (typeof PAGES)[number];
  /** `native`: address spaces keep what is cached of them. Default false. */
  readonly pcid?: boolean;
  /** Loads and stores have contents, and ends a hash of them. Default true. */
  readonly contents?: boolean;
  /** Called after each fork, exec and exit. */
  readonly observe?: (what: 'fork' | 'exec' | 'exit', complaints: () => string[]) => void;
}

/** What a run came to. */
export interface TreeFigures {
  readonly ops: (typeof OPS)[number];
  readonly processes: readonly ProcessEnd[];
  readonly kernel: Figures;
  /** Of the vCPU: translations, walks, cycles by cause. */
  readonly cpu: Counters;
  /** `xen`: what the hypervisor counted; hypercalls by the number of calls in them; entries stored without one, and by stores it emulated. */
  readonly xen: { readonly counters: CounterValues; readonly batches: BatchSizes; readonly stores: number; readonly emulated: number } | undefined;
  /** `native`: what the kernel did itself. */
  readonly native: NativeCounts | undefined;
  /** Frames: the most in use at a time; and, when everything has ended, still in use. */
  readonly frames: { readonly most: number; readonly leaked: number };
  /** What does not hold at the end, of the hypervisor's books. */
  readonly complaints: readonly string[];
}

/** A kernel on a machine, by its way of changing page tables. */
interface Built {
  readonly kernel: Kernel;
  readonly native: NativeOps | undefined;
  readonly xen: { readonly domain: XenDomain; readonly ops: XenOps } | undefined;
}

/** @throws ConfigError - an option */
function build(options: TreeOptions, machineOptions: { readonly memory: number | string }): Built {
  const { ops = 'native', pages = '4k', pcid = false, policy, cpu = presets.skylake, mode = 'timed', engine = 'auto' } = options;
  if (!OPS.includes(ops)) throw new ConfigError('ops', OPS.join(', '), ops);
  if (!PAGES.includes(pages)) throw new ConfigError('pages', PAGES.join(', '), pages);
  if (pcid && ops === 'xen') throw new ConfigError('pcid', 'false with xen, whose guests have none', pcid);
  if (policy !== undefined && ops !== 'xen') throw new ConfigError('policy', 'nothing without xen', policy);
  const own = { ...options, promoteAt: options.promoteAt ?? (pages === 'thp' ? PROMOTE_AT : 0) };
  const machine = Machine.create({ ...machineOptions, cpu, mode, engine, paging: ops === 'xen' ? 'none' : '4-level' });
  if (ops === 'native') {
    let native: NativeOps | undefined;
    const platform = new Bare(machine), kernel = new Kernel(platform, pool => native = new NativeOps(platform, pool, pcid), own);
    return { kernel, native, xen: undefined };
  }
  let xenOps: XenOps | undefined;
  const domain = new XenDomain(machine), kernel = new Kernel(domain, pool => xenOps = new XenOps(domain, pool, policy), own);
  return { kernel, native: undefined, xen: { domain, ops: xenOps! } };
}

/**
 * Replay a tree of processes.
 *
 * @throws InputError - a trace @throws ConfigError - an option, or there is too little memory
 */
export async function runTree(options: TreeOptions): Promise<TreeFigures> {
  const { kernel, native, xen } = build(options, { memory: options.memory ?? '64M' });
  const tree = typeof options.tree === 'string' ? await ProcessTree.load(options.tree, options.engine) : options.tree;
  const complaints = () => xen?.domain.xen.audit() ?? [];
  const run = new TreeRun(kernel, options.contents ?? true, { engine: options.engine }, what => options.observe?.(what, complaints));
  await run.run(tree);
  invariant(kernel.reclaim.swapped === 0, 'nobody is left to swap in');
  return {
    ops: xen === undefined ? 'native' : 'xen', processes: run.ends, kernel: kernel.figures, cpu: kernel.p.cpu.counters(),
    xen: xen && { counters: xen.domain.xen.counters(), batches: xen.ops.calls.sizes, stores: xen.ops.stores, emulated: xen.ops.emulated },
    native: native?.counts, frames: { most: kernel.pool.most, leaked: kernel.framesInUse }, complaints: complaints(),
  };
}
