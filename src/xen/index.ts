/** pagewalk/xen: the memory management of the Xen hypervisor, for paravirtualized guests. */
export { APIC_EOI, APIC_ID, APIC_IRR, APIC_ISR, APIC_TPR, IOAPIC_LEVEL, IOAPIC_MASKED, IOREGSEL, IOWIN } from './apic.ts';
export { balloonFloor } from './balloon.ts';
export type { CallCount, CounterName, CounterValues } from './counters.ts';
export { DeferredRelease } from './deferred-release.ts';
export { Delivery, NOTHING, UPCALL, type Exits, type Way } from './delivery.ts';
export type { Domain, GuestVcpu } from './domain.ts';
export { FreeFrames, type FrameSource } from './frame-source.ts';
export { GuestGrants, type GrantFrames } from './guest-grants.ts';
export type { DomainOptions } from './domain-options.ts';
export { Hypervisor } from './hypervisor.ts';
export type { HypervisorOptions } from './hypervisor-options.ts';
export { lowMemory, type LowMemory, type LowMemoryOptions } from './low-memory.ts';
export * from './numbers.ts';
export { pvSpectrum, type By, type SpectrumName, type SpectrumRow } from './pv-spectrum.ts';
export { BackRing, FrontRing, type RingPage } from './ring.ts';
export type { Behaviour, XenSlot } from './settings.ts';
export { waitForEvent } from './wake.ts';
export type { WorkCounts, WorkCycles } from './work.ts';
