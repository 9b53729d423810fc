/**
 * What a hypervisor's own work for a paravirtualized guest costs, in cycles of the processor that does it.
 *
 * Work is counted by kinds, each with one price: no cache misses of the hypervisor, no overlap. Refills after a flush are not in it: those are
 * walks of the guest's next accesses, priced as such; so are the hypervisor's reads and writes of guest memory.
 */
import { checkCosts } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';
import { estimate } from './presets/sourced.ts';
import { sum } from './sum.ts';
import { switchesDefault, type Switches } from './switches.ts';

export interface HypervisorCosts {
  /** A call of a 64-bit guest, of its kernel or its user mode: SYSCALL into the hypervisor, registers saved, the call looked up, and back by SYSRET. */
  readonly trap: Figure;
  /** ... of a 32-bit guest, by a gate. */
  readonly compatTrap: Figure;
  /** A page fault that the hypervisor takes, and IRET. Where the guest's kernel serves it, that IRET is the end of the kernel's return. */
  readonly fault: Figure;
  /** An exception or a system call handed to the guest's kernel: its frame written to the guest's stack. */
  readonly bounce: Figure;
  /** A 64-bit guest goes from one of its modes to the other: another root table, which leaves global translations cached. */
  readonly modeSwitch: Figure;
  /** A call of a multicall's list: copied, made, its result written. */
  readonly subcall: Figure;
  /** A request of a call that takes many: copied and decoded, its frame looked up and locked. */
  readonly request: Figure;
  /** An entry of a page table looked at: its flags checked, references taken or put, stored. */
  readonly entry: Figure;
  /** One that is not present, passed over as a whole table is validated or given up. */
  readonly absentEntry: Figure;
  /** A guest's store decoded and emulated. */
  readonly emulation: Figure;
  /** A page cleared or copied. */
  readonly page: Figure;
  /** Everything that the processor has cached invalidated. */
  readonly flush: Figure;
  /** One address invalidated. */
  readonly invlpg: Figure;
  /** Another processor told to invalidate, and waited for. */
  readonly ipi: Figure;
}

/** Each price in the order in which tables show them. */
const NAMES = ['trap', 'compatTrap', 'fault', 'bounce', 'modeSwitch', 'subcall', 'request', 'entry', 'absentEntry', 'emulation', 'page', 'flush', 'invlpg', 'ipi'] as const satisfies readonly (keyof HypervisorCosts)[];

const COMPAT = 'I. Campbell, Xen changeset "Implement faster int 0x80 handling for compat mode guests": lmbench lat_syscall 0.55 us by a gate of its own';
const GATE = 'blitz/kernel_entry_benchmark, README: an interrupt gate there and back 610 cycles on an Intel processor that is not named';

/** Of the hypervisor's own code, whatever runs it. */
const CODE = {
  compatTrap: estimate(780, `${GATE}; and registers saved and restored, the call looked up. ${COMPAT}, with the guest's own handler in it`),
  bounce: estimate(100, 'seven or eight words to the guest\'s stack, each with its check: some sixty instructions of create_bounce_frame'),
  subcall: estimate(60, 'a line copied from the guest, an indirect call, 8 bytes written back'),
  request: estimate(60, 'a compare-and-swap each for the frame\'s reference and its lock, about 20 cycles apiece, and a copy of 16 bytes'),
  entry: estimate(30, 'two compare-and-swaps on the row of the frame that an entry refers to, nearby in the cache'),
  absentEntry: estimate(1, 'an entry of 8 bytes tested, in a loop over a page that the prefetcher reads'),
  emulation: estimate(1500, 'the instruction fetched from the guest and decoded by a general emulator; hundreds of branches'),
  page: estimate(250, '4096 bytes by string stores at 16 to 32 bytes a cycle'),
};
const ENTRY_CODE = estimate(170, 'registers saved and restored, the call looked up');
const FAULT_CODE = estimate(300, 'registers saved and restored, CR2 read, who is to serve it decided');
const SWAPGS = estimate(30, 'GS bases read and swapped');

/** Prices on a processor. */
export function hypervisorCostsOf({ syscall, exception, rootLoad, flush, invlpg, ipi }: Switches): HypervisorCosts {
  return { ...CODE, trap: sum(syscall, ENTRY_CODE), fault: sum(exception, FAULT_CODE), modeSwitch: sum(rootLoad, SWAPGS), flush, invlpg, ipi };
}

/** A server of about 3 GHz without mitigations of speculation. No number of it was measured by us. */
export const hypervisorCosts = hypervisorCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkHypervisorCosts = (costs: HypervisorCosts): HypervisorCosts => checkCosts(costs, NAMES, 'costs');
