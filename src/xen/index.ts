/** pagewalk/xen: the memory management of the Xen hypervisor, for paravirtualized guests. */
export type { CallCount, CounterName, CounterValues } from './counters.ts';
export type { Domain, GuestVcpu } from './domain.ts';
export { FreeFrames, type FrameSource } from './frame-source.ts';
export { Hypervisor, type DomainOptions, type HypervisorOptions } from './hypervisor.ts';
export * from './numbers.ts';
export type { Behaviour, XenSlot } from './settings.ts';
