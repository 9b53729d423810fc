/** pagewalk: x86 paging, TLBs and their cost. The public names of the engine; traces are in `pagewalk/trace`. */
export {
  EXIT_EPT_MISCONFIG, EXIT_EPT_VIOLATION, EXIT_NPF, ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF,
  FAULT_SS, FAULT_UD, faultCode, faultVector, PFEC_I, PFEC_P, PFEC_PK, PFEC_RSVD, PFEC_SS, PFEC_U, PFEC_W,
} from './arch/fault.ts';
export * from './arch/registers.ts';
export { ConfigError, InputError, InvariantError } from './errors.ts';
export * as fastTable from './layout/fast-table.ts';
export * as vcpuBlock from './layout/vcpu.ts';
export { MODE_4LEVEL, MODE_5LEVEL, MODE_LEGACY, MODE_NONE, MODE_PAE } from './layout/vcpu.ts';
export type { CpuModel, Figure, Geometry, PageSize, Sourced, TlbLevel, TlbStructure } from './cost/cpu-model.ts';
export { checkCpuModel, checkNestedModel } from './cost/preset-check.ts';
export { hypervisorCosts, type HypervisorCosts } from './cost/hypervisor-costs.ts';
export { nestedDefault, type NestedModel, type NestedTlb } from './cost/nested-model.ts';
export { kernelCosts, type KernelCosts } from './cost/kernel-costs.ts';
export { shadowCosts, type ShadowCosts } from './cost/shadow-costs.ts';
export { stageCosts, type StageCosts } from './cost/stage-costs.ts';
export { costsOf, type Costs } from './cost/costs.ts';
export { switchesDefault, type Switches } from './cost/switches.ts';
export type { HostModel } from './cost/host-model.ts';
export { zen3Chase } from './cost/measured/zen3-chase.ts';
export { findPreset, presets } from './cost/presets/all.ts';
export type { Accelerator } from './accel/engine.ts';
export { AddressSpace, type Attributes } from './machine/address-space.ts';
export type { AccessColumns } from './machine/columns.ts';
export type { Explanation, Probe, Reference, Root } from './machine/explain.ts';
export type { GuestExit } from './machine/guest-exit.ts';
export type { GuestMode } from './machine/guest-mode.ts';
export { Machine, type MapOptions } from './machine/machine.ts';
export type { EngineChoice, ExtentOptions, Features, MachineOptions, Paging } from './machine/options.ts';
export type { Pages } from './machine/pages.ts';
export type { AccessQueue } from './machine/queue.ts';
export type { Resident } from './machine/resident.ts';
export type { Counters, Registers, Translation, Vcpu } from './machine/vcpu.ts';
export type { EptStage, NptStage, Stage } from './virt/host-block.ts';
export type { Extent } from './memory/extents.ts';
export type { MmioHandler } from './memory/views.ts';
export type { HardwareVcpu } from './virt/shadow/hardware.ts';
export type { PhysicalMap } from './virt/shadow/physical-map.ts';
export type { ShadowPolicy } from './virt/shadow/policy.ts';
export type { ShadowTranslation, ShadowVcpu } from './virt/shadow/shadow-vcpu.ts';
export { ShadowedGuest, type ShadowOptions } from './virt/shadow/shadowed-guest.ts';
export type { ShadowCounts, WorkName } from './virt/shadow/work.ts';
