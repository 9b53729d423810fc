/**
 * The ways between a guest that knows of no hypervisor and one that is made for it: what each part of a machine is virtualized by.
 *
 * Source: Xen project wiki, "Understanding the Virtualization Spectrum" (the table of HVM, HVM with PV drivers, PVHVM, PVH, PV); Xen 4.17,
 *         docs/misc/hvm-emulated-unplug.pandoc (PV drivers in place of emulated disks and network), docs/misc/pvh.pandoc (boot without firmware).
 */

/** `emulated`: in software, an exit for each use; `hardware`: by the processor's extensions; `paravirtual`: the guest asks the hypervisor. */
export type By = 'emulated' | 'hardware' | 'paravirtual';
export type SpectrumName = 'hvm' | 'pv-on-hvm-classic' | 'pv-on-hvm-enhanced' | 'pv-on-hvm-hybrid' | 'pv';

export interface SpectrumRow {
  readonly title: string;
  readonly boot: By;
  /** Page tables: `hardware` is a second stage (without one the same guests get shadow tables), `paravirtual` the direct way. */
  readonly memory: By;
  readonly interruptsAndTimers: By;
  readonly diskAndNetwork: By;
  readonly privilegedInstructions: By;
}

export const pvSpectrum: Readonly<Record<SpectrumName, SpectrumRow>> = {
  'hvm': {
    title: 'HVM', boot: 'emulated', memory: 'hardware', interruptsAndTimers: 'emulated', diskAndNetwork: 'emulated', privilegedInstructions: 'hardware',
  },
  'pv-on-hvm-classic': { // HVM with PV drivers
    title: 'PV on HVM, classic', boot: 'emulated', memory: 'hardware', interruptsAndTimers: 'emulated', diskAndNetwork: 'paravirtual', privilegedInstructions: 'hardware',
  },
  'pv-on-hvm-enhanced': { // PVHVM: event channels by vector, PV timers
    title: 'PV on HVM, enhanced', boot: 'emulated', memory: 'hardware', interruptsAndTimers: 'paravirtual', diskAndNetwork: 'paravirtual', privilegedInstructions: 'hardware',
  },
  'pv-on-hvm-hybrid': { // a PV kernel in a hardware container: PVH
    title: 'PV on HVM, hybrid', boot: 'paravirtual', memory: 'hardware', interruptsAndTimers: 'paravirtual', diskAndNetwork: 'paravirtual', privilegedInstructions: 'hardware',
  },
  'pv': {
    title: 'PV', boot: 'paravirtual', memory: 'paravirtual', interruptsAndTimers: 'paravirtual', diskAndNetwork: 'paravirtual', privilegedInstructions: 'paravirtual',
  },
};
