/** pagewalk/xen: the memory management of the Xen hypervisor, for paravirtualized guests. */
export { Domain, GuestVcpu } from './domain.ts';
export type { Behaviour, FrameSource, XenSlot } from './host.ts';
export { Hypervisor, type DomainOptions, type HypervisorOptions } from './hypervisor.ts';
export * from './numbers.ts';
