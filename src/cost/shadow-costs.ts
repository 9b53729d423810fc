/**
 * What a hypervisor's work for a guest under shadow paging costs, by the kinds that shadow paging counts.
 *
 * The kinds of one fault add up: a page fault that is due to the shadows is an exit, a walk of four references, a fill, and the entries it shadows: about
 * 2200 cycles on Skylake. Adams and Agesen, "A Comparison of Software and Hardware Techniques for x86 Virtualization" (ASPLOS 2006), have 11,242 for a page
 * fault and 12,733 for a change of an entry under such a hypervisor, on a Pentium 4 that took some 4,000 of them to leave the guest and come back; from
 * memory, not looked up. "AMD-V Nested Paging" (AMD, 2008) names what nested paging does without: exits for the guest's page faults, changes of its tables and
 * loads of CR3.
 */
import { checkCosts } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';
import { hypervisorCosts } from './hypervisor-costs.ts';
import { estimate } from './presets/sourced.ts';
import { sum } from './sum.ts';
import { switchesDefault, type Switches } from './switches.ts';

const FAULT_READ = estimate(100, 'the fault\'s error code, address and instruction pointer read of the control block, the lock of the shadows taken');
const REGISTER_WRITE = estimate(200, 'the instruction decoded or its operand looked up, the register\'s new value checked');
const INJECTION = estimate(100, 'the exception\'s vector, error code and address written for the next entry');
const EMULATION = hypervisorCosts.emulation;
const LOOKED_UP = estimate(50, 'a table of the shadows found by its hash, an entry of it read and tested');
const BIT = estimate(30, 'a compare-and-swap on an entry or word that was read just now');
const UNSHADOWED = estimate(50, 'the shadows of a frame found by their hash; what giving them up takes is counted by itself');

/** Of the hypervisor's own code, whatever runs it. */
const CODE = {
  fastNotPresent: INJECTION, guestFault: INJECTION,
  walkReference: estimate(50, 'a guest frame looked up in the P2M and mapped, a line of it read, flags checked; such walks are done in software'),
  shadowFill: estimate(200, 'four levels of shadow looked up, rights joined, under a lock'),
  entryShadowed: hypervisorCosts.entry,
  emulatedWrite: EMULATION, emulatedWp: EMULATION, mmio: EMULATION,
  wpFlip: BIT, setAccessed: BIT, setDirty: BIT, logDirty: BIT,
  unsync: estimate(350, 'a page copied, 250 cycles as in other prices, and a list kept'),
  resync: estimate(350, 'two pages compared, 250 cycles at 32 bytes a cycle, and a list kept; entries that differ are counted by themselves'),
  unshadowCleared: UNSHADOWED, unshadowFlood: UNSHADOWED, unshadowNotEntries: UNSHADOWED, unshadowUser: UNSHADOWED, unshadowRemapped: UNSHADOWED,
  tableMade: estimate(300, 'a page cleared, 250 cycles as in other prices, and entered into the hash'),
  tableFreed: estimate(300, '512 entries looked at, two a cycle, and taken from the hash; entries that are given up are counted by themselves'),
  poolReclaim: LOOKED_UP, writableGuessed: LOOKED_UP, writableScanned: LOOKED_UP,
  scannedEntry: hypervisorCosts.absentEntry,
} satisfies Readonly<Record<string, Figure>>;

const NAMES = [
  'exitPageFault', 'exitCr0', 'exitCr3', 'exitCr4', 'exitEfer', 'exitInvlpg', 'exitInvpcid', 'flush', 'invlpg', ...(Object.keys(CODE) as (keyof typeof CODE)[]),
] as const;

/** Prices by kinds of work: those of `ShadowedGuest`. */
export type ShadowCosts = Readonly<Record<(typeof NAMES)[number], Figure>>;

/** Prices on a processor. */
export function shadowCostsOf({ exit, rootLoad, flush, invlpg }: Switches): ShadowCosts {
  const register = sum(exit, REGISTER_WRITE);
  return {
    ...CODE, exitPageFault: sum(exit, FAULT_READ), exitCr3: sum(rootLoad, register), exitCr0: register, exitCr4: register, exitEfer: register, exitInvlpg: register,
    exitInvpcid: register, flush, invlpg,
  };
}

/** A server of about 3 GHz without mitigations of speculation. */
export const shadowCosts = shadowCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkShadowCosts = (costs: ShadowCosts): ShadowCosts => checkCosts(costs, NAMES, 'shadowCosts');
