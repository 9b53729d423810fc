/**
 * What a hypervisor's work for a guest under shadow paging costs, by the kinds that shadow paging counts, in cycles of the processor that does it.
 *
 * The kinds of one fault add up: a page fault that is due to the shadows is an exit, a walk of four references, a fill, and the entries it shadows: about
 * 1500 cycles on Skylake. Adams and Agesen (ASPLOS 2006) have 11,242 for a page fault and 12,733 for a change of an entry under such a hypervisor, on a
 * Pentium 4 that took 4,000 of them to leave and come back; numbers repeated in the field, not read by us. AMD-V Nested Paging (AMD, 2008) says for
 * which work nested paging does without: exits for guest page faults, for changes of tables and for loads of CR3, and memory for shadows.
 */
import { ConfigError } from '../errors.ts';
import { figure, type Figure } from './cpu-model.ts';
import { hypervisorCosts } from './hypervisor-costs.ts';
import { estimate } from './presets/sourced.ts';
import { exitPrice } from './world-switch.ts';

const EXITS = ['exitPageFault', 'exitCr0', 'exitCr3', 'exitCr4', 'exitEfer', 'exitInvlpg', 'exitInvpcid'] as const;

const SAVED = 'registers saved and restored, the reason of the exit read and acted on';
const INJECTION = estimate(100, 'the exception\'s vector, error code and address written for the next entry');
const EMULATION = hypervisorCosts.emulation;
const LOOKED_UP = estimate(50, 'a table of the shadows found by its hash, a lock of them all taken and released: a compare-and-swap each');
const BIT = estimate(30, 'a compare-and-swap on an entry that was read just now');
const UNSHADOWED = estimate(50, 'the shadows of a frame found by its hash; what giving them up takes is counted by itself');

/** All kinds but the exits. */
const kinds = {
  fastNotPresent: INJECTION, guestFault: INJECTION,
  walkReference: estimate(50, 'a guest frame looked up in the P2M and mapped, a line of it read, flags checked; such walks are done in software'),
  shadowFill: estimate(200, 'four levels of shadow looked up, rights joined, under a lock'),
  entryShadowed: hypervisorCosts.entry,
  emulatedWrite: EMULATION, emulatedWp: EMULATION, mmio: EMULATION,
  wpFlip: BIT, setAccessed: BIT, setDirty: BIT, logDirty: BIT,
  unsync: estimate(350, 'a page copied, as in `hypervisorCosts`, and a list kept'),
  resync: estimate(350, 'two pages compared at 32 bytes a cycle with two streams, and a list kept; entries that differ are counted by themselves'),
  unshadowCleared: UNSHADOWED, unshadowFlood: UNSHADOWED, unshadowNotEntries: UNSHADOWED, unshadowUser: UNSHADOWED, unshadowRemapped: UNSHADOWED,
  tableMade: estimate(300, 'a page cleared, as in `hypervisorCosts`, and entered into the hash'),
  tableFreed: estimate(300, '512 entries looked at, two a cycle, and taken from the hash; entries that are given up are counted by themselves'),
  poolReclaim: LOOKED_UP,
  writableGuessed: LOOKED_UP, writableScanned: LOOKED_UP,
  scannedEntry: estimate(1, 'an entry of 8 bytes compared, in a loop over a page that the prefetcher reads'),
  flush: hypervisorCosts.flush,
  invlpg: hypervisorCosts.invlpg,
} satisfies Readonly<Record<string, Figure>>;

/** Prices by kinds of work: those of `ShadowedGuest`. */
export type ShadowCosts = Readonly<Record<keyof typeof kinds | (typeof EXITS)[number], Figure>>;

/** A server without mitigations of speculation. @param cpu - name of a processor, which decides what an exit costs */
export function shadowCosts(cpu: string): ShadowCosts {
  const fault = exitPrice(cpu, 300, `${SAVED}, CR2 read`), register = exitPrice(cpu, 300, `${SAVED}, an instruction decoded and done`);
  const root = exitPrice(cpu, 300 + figure(hypervisorCosts.flush), `${SAVED}, the shadow of the root found, and a load of CR3`);
  return { ...kinds, exitPageFault: fault, exitCr3: root, exitCr0: register, exitCr4: register, exitEfer: register, exitInvlpg: register, exitInvpcid: register };
}

const MOST = 1_000_000;

/** @returns the costs as numbers. @throws ConfigError - a figure is missing, unknown or out of range */
export function shadowPrices(costs: ShadowCosts): Record<keyof ShadowCosts, number> {
  if (typeof costs !== 'object' || costs === null) throw new ConfigError('shadow.costs', 'an object', costs);
  const names = [...EXITS, ...Object.keys(kinds)] as (keyof ShadowCosts)[];
  for (const name of Object.keys(costs)) if (!names.includes(name as keyof ShadowCosts)) throw new ConfigError(`shadow.costs.${name}`, `one of ${names.join(', ')}`, name);
  return Object.fromEntries(names.map(name => {
    const value: unknown = costs[name] === undefined ? undefined : figure(costs[name]);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST) throw new ConfigError(`shadow.costs.${name}`, `an integer from 0 to ${MOST}`, value);
    return [name, value];
  })) as Record<keyof ShadowCosts, number>;
}
