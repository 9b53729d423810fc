/**
 * What a hypervisor's own work for a paravirtualized guest costs, in cycles of the processor that does it.
 *
 * Work is counted by kinds, each with one price: no cache misses of the hypervisor, no overlap. Refills after a flush are not in it: those are
 * walks of the guest's next accesses, priced as such; so are the hypervisor's reads and writes of guest memory.
 */
import { ConfigError } from '../errors.ts';
import { figure, type Figure } from './cpu-model.ts';
import { estimate } from './presets/sourced.ts';

export interface HypervisorCosts {
  /** A hypercall of a 64-bit guest: into the hypervisor, registers saved, the table of calls, and back. */
  readonly trap: Figure;
  /** ... of a 32-bit guest, by a gate. */
  readonly compatTrap: Figure;
  /** A page fault that the hypervisor takes, and the return from it. */
  readonly fault: Figure;
  /** An exception handed to the guest: its frame written to the guest's stack. */
  readonly bounce: Figure;
  /** A call of a multicall's list: copied, made, its result written. */
  readonly subcall: Figure;
  /** A request of a call that takes many: copied and decoded, its frame looked up and locked. */
  readonly request: Figure;
  /** An entry of a page table looked at: its flags checked, references taken or put, stored. */
  readonly entry: Figure;
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

const UNREAD = 'repeated in the field, not read by us';
const HANSEN = 'D. Hansen, "x86 TLB flushing: INVPCID vs. deferred CR3 write", linux-kernel, 5 December 2017';
const COMPAT = 'I. Campbell, Xen changeset "Implement faster int 0x80 handling for compat mode guests": lmbench lat_syscall 0.55 us by a gate of its own';

/** A server of about 3 GHz without mitigations of speculation. No number of it was measured by us. */
export const hypervisorCosts: HypervisorCosts = {
  trap: estimate(300, `SYSCALL and SYSRET about 100 to 150 cycles (${UNREAD}); registers saved and restored, the call looked up`),
  compatTrap: estimate(600, `twice that of SYSCALL: an interrupt gate and IRET. ${COMPAT}, with the guest's own handler in it`),
  fault: estimate(800, `an exception and IRET, about 500 cycles to and fro (${UNREAD}); reading CR2, a walk of the guest's entry`),
  bounce: estimate(300, 'five to seven words to the guest\'s stack, each checked, and IRET to another place'),
  subcall: estimate(60, 'a line copied from the guest, an indirect call, 8 bytes written back'),
  request: estimate(60, 'a compare-and-swap each for the frame\'s reference and its lock, about 20 cycles apiece, and a copy of 16 bytes'),
  entry: estimate(30, 'two compare-and-swaps on the row of the frame that an entry refers to, nearby in the cache; an empty one costs less'),
  emulation: estimate(1500, 'the instruction fetched from the guest and decoded by a general emulator; hundreds of branches'),
  page: estimate(250, '4096 bytes by string stores at 16 to 32 bytes a cycle'),
  flush: estimate(300, `a write of CR3 or two of CR4; ${UNREAD}`),
  invlpg: estimate(200, `${HANSEN}: about 350 cycles for a page by INVPCID; INVLPG is cheaper`),
  ipi: estimate(2500, `an interrupt sent, taken and acknowledged, about 1 us on one socket; ${UNREAD}`),
};

const MOST = 1_000_000;

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export function checkHypervisorCosts(costs: HypervisorCosts): HypervisorCosts {
  if (typeof costs !== 'object' || costs === null) throw new ConfigError('costs', 'an object', costs);
  for (const name of Object.keys(costs)) if (!Object.hasOwn(hypervisorCosts, name)) throw new ConfigError(`costs.${name}`, `one of ${Object.keys(hypervisorCosts).join(', ')}`, name);
  for (const name of Object.keys(hypervisorCosts) as (keyof HypervisorCosts)[]) {
    const value: unknown = costs[name] === undefined ? undefined : figure(costs[name]);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST) throw new ConfigError(`costs.${name}`, `an integer from 0 to ${MOST}`, value);
  }
  return costs;
}
