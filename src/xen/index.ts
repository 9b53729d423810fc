/** pagewalk/xen: the memory management of the Xen hypervisor, for paravirtualized guests. */
export { balloonFloor } from './balloon.ts';
export type { CallCount, CounterName, CounterValues } from './counters.ts';
export { DeferredRelease } from './deferred-release.ts';
export { Domain, GuestVcpu } from './domain.ts';
export { FreeFrames, type FrameSource } from './frame-source.ts';
export { GuestGrants, type GrantFrames } from './guest-grants.ts';
export type { Behaviour, XenSlot } from './host.ts';
export { Hypervisor, type DomainOptions, type HypervisorOptions } from './hypervisor.ts';
export * from './numbers.ts';
export { BackRing, FrontRing, type RingPage } from './ring.ts';
export { waitForEvent } from './wake.ts';
