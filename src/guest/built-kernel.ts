/** A kernel on a machine, from options: by its way of changing page tables. */
import { ConfigError } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { costsOf, type Costs } from '../cost/costs.ts';
import type { HypervisorCosts } from '../cost/hypervisor-costs.ts';
import { checkKernelCosts, type KernelCosts } from '../cost/kernel-costs.ts';
import { presets } from '../cost/presets/all.ts';
import type { ShadowCosts } from '../cost/shadow-costs.ts';
import type { StageCosts } from '../cost/stage-costs.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import { Bare } from './bare.ts';
import { Kernel, type KernelOptions } from './kernel.ts';
import { NativeOps } from './native-ops.ts';
import type { NativePlatform } from './platform.ts';
import { SecondStage, type StageOptions } from './second-stage.ts';
import { Shadowed, type ShadowedOptions } from './shadowed.ts';
import { XenDomain } from './xen-domain.ts';
import { XenOps, type XenPolicy } from './xen-ops.ts';

const OPS = ['native', 'xen'] as const;
const PAGES = ['4k', 'thp'] as const;
const PROMOTE_AT = 64; // pages of 512

export interface BuildOptions extends KernelOptions {
  /** `native`: a kernel that owns its page tables; `xen`: one in a paravirtualized domain. Default `native`. */
  readonly ops?: (typeof OPS)[number];
  /** What a `native` kernel runs on. Default: a machine of its own, by the options below. */
  readonly platform?: NativePlatform;
  /** `native`: the machine is a virtual one, whose memory a second stage translates. Default: it is not. */
  readonly stage?: StageOptions;
  /** `native`: the machine is a virtual one, whose kernel's tables a hypervisor shadows. Default: it is not. */
  readonly shadow?: ShadowedOptions;
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
  /** Prices. Default: those of the processor. */
  readonly hypervisorCosts?: HypervisorCosts;
  readonly kernelCosts?: KernelCosts;
  readonly stageCosts?: StageCosts;
  readonly shadowCosts?: ShadowCosts;
}

/** A kernel, and what is particular to its way. */
export interface BuiltKernel {
  readonly kernel: Kernel;
  readonly native: NativeOps | undefined;
  readonly shadow: Shadowed | undefined;
  readonly xen: { readonly domain: XenDomain; readonly ops: XenOps } | undefined;
  readonly stage: SecondStage | undefined;
  /** What its own work, and that of a hypervisor below it, costs. */
  readonly costs: Costs;
}

const NAMES = {
  policy: ['batching', 'pinning'] satisfies (keyof XenPolicy)[], stage: ['format', 'hostPages', 'populate'] satisfies (keyof StageOptions)[],
  shadow: ['policy', 'hostPages', 'poolFrames'] satisfies (keyof ShadowedOptions)[],
} as const;

/** What is misspelt would be left out without a word. @throws ConfigError */
function checkNames(options: BuildOptions): void {
  for (const [name, known] of Object.entries(NAMES) as [keyof typeof NAMES, readonly string[]][]) {
    const given: unknown = options[name];
    if (given === undefined) continue;
    if (typeof given !== 'object' || given === null) throw new ConfigError(name, 'an object', given);
    for (const key of Object.keys(given)) if (!known.includes(key)) throw new ConfigError(`${name}.${key}`, `one of ${known.join(', ')}`, key);
  }
}

/** @throws ConfigError - an option */
export function buildKernel(options: BuildOptions): BuiltKernel {
  const { ops = 'native', pages = '4k', pcid = false, policy, platform, stage, shadow, cpu = presets.skylake, mode = 'timed', engine = 'auto', memory = '64M' } = options;
  checkNames(options);
  if (!OPS.includes(ops)) throw new ConfigError('ops', OPS.join(', '), ops);
  if (!PAGES.includes(pages)) throw new ConfigError('pages', PAGES.join(', '), pages);
  if (pcid && ops === 'xen') throw new ConfigError('pcid', 'false with xen, whose guests have none', pcid);
  if (policy !== undefined && ops !== 'xen') throw new ConfigError('policy', 'nothing without xen', policy);
  for (const [name, given] of Object.entries({ platform, stage, shadow })) if (given !== undefined && ops === 'xen') throw new ConfigError(name, 'nothing with xen', ops);
  if (platform !== undefined && stage !== undefined) throw new ConfigError('stage', 'nothing with a platform', stage);
  if (shadow !== undefined && (platform !== undefined || stage !== undefined)) throw new ConfigError('shadow', 'nothing with a platform or a stage', shadow);
  const own = { ...options, promoteAt: options.promoteAt ?? (pages === 'thp' ? PROMOTE_AT : 0) };
  const features = stage?.format === undefined ? {} : { amd: stage.format === 'npt' };
  const ownTables = ops === 'native' && stage === undefined && shadow === undefined;
  const make = (): Machine => Machine.create({ memory, cpu, mode, engine, features, nested: stage !== undefined, paging: ownTables ? '4-level' : 'none' });
  const usual = costsOf(cpu), costs: Costs = {
    kernel: checkKernelCosts(options.kernelCosts ?? usual.kernel), hypervisor: options.hypervisorCosts ?? usual.hypervisor,
    stage: options.stageCosts ?? usual.stage, shadow: options.shadowCosts ?? usual.shadow,
  };
  if (ops === 'native') {
    let native: NativeOps | undefined;
    const staged = stage && new SecondStage(make(), stage, costs.stage), shadowed = shadow && new Shadowed(make(), shadow, costs.shadow);
    const under = platform ?? staged ?? shadowed ?? new Bare(make()), kernel = new Kernel(under, pool => native = new NativeOps(under, pool, pcid), own);
    return { kernel, native, shadow: shadowed, xen: undefined, stage: staged, costs };
  }
  let xenOps: XenOps | undefined;
  const domain = new XenDomain(make(), costs.hypervisor), kernel = new Kernel(domain, pool => xenOps = new XenOps(domain, pool, policy), own);
  return { kernel, native: undefined, shadow: undefined, xen: { domain, ops: xenOps! }, stage: undefined, costs };
}
