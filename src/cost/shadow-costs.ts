/**
 * What a hypervisor's work for a guest under shadow paging costs, by the kinds that shadow paging counts.
 *
 * The kinds of one fault add up: a page fault that is due to the shadows is an exit, a walk of four references, a fill, and the entries it shadows: about
 * 2100 cycles on Skylake. For comparison: with shadow paging KVM takes 5006 cycles for a test of kvm-unit-tests that changes the role of the MMU, two exits
 * (P. Bonzini, kvm mailing list, 17 February 2022, "do not unload MMU roots on all role changes"; taken for toggle_cr0_wp()), and Xen 2361 to 7920, in the
 * median 3378, between exit and entry for a write of CR4, with HAP (R. Pau Monné, Xen commit 406817355026, 2018). "AMD-V Nested Paging" (AMD, 2008) names
 * what nested paging does without: exits for the guest's page faults, changes of its tables and loads of CR3.
 */
import { checkCosts } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';
import { hypervisorCosts } from './hypervisor-costs.ts';
import { estimate } from './presets/sourced.ts';
import { sum } from './sum.ts';
import { switchesDefault, type Switches } from './switches.ts';

const FAULT_READ = estimate(100, 'sh_page_fault() of Xen 4.17 up to its first walk: three VMREADs, taken for 25 cycles each, for error code, address and instruction pointer, and paging_lock() at 20');
const REGISTER_WRITE = estimate(970, 'P. Bonzini, kvm mailing list, 17 February 2022, table of vmexit.flat with shadow paging: 5006, taken for toggle_cr0_wp(), which writes CR0 twice; half of that less an exit of 1529');
const INVALIDATE = estimate(200, 'some 200 instructions of vmx_invlpg_intercept(), paging_invlpg() and sh_invlpg() of Xen 4.17, about one a cycle; no measurement found');
const INJECTION = estimate(100, 'hvm_inject_page_fault() and vmx_inject_event() of Xen 4.17: four VMWRITEs, taken for 25 cycles each');
const EMULATION = hypervisorCosts.emulation;
const LOOKED_UP = estimate(50, 'some 40 instructions of shadow_hash_lookup() of Xen 4.17 and an entry read and tested, about one a cycle');
const BIT = estimate(30, 'a compare-and-swap at 20 cycles on an entry or word that was read just now, and its test');
const UNSHADOWED = estimate(50, 'as a look-up of shadow_hash_lookup(), 50 cycles; what giving them up takes is counted by itself');

/** Of the hypervisor's own code, whatever runs it. */
const CODE = {
  fastNotPresent: INJECTION, guestFault: INJECTION,
  walkReference: estimate(50, 'some 50 instructions a level of guest_walk_tables() and get_gfn_type_access() of Xen 4.17: a frame looked up in the P2M and mapped, a line read, flags checked'),
  shadowFill: estimate(200, 'shadow_get_and_create_l1e() and _sh_propagate() of Xen 4.17: four levels of 50 instructions, about one a cycle'),
  entryShadowed: hypervisorCosts.entry,
  emulatedWrite: EMULATION, emulatedWp: EMULATION, mmio: EMULATION,
  wpFlip: BIT, setAccessed: BIT, setDirty: BIT, logDirty: BIT,
  unsync: estimate(350, 'sh_unsync() of Xen 4.17: a page copied by memcpy(), 250 cycles as a kernel\'s, and 100 for the list of those out of sync'),
  resync: estimate(1124, 'sh_resync_l1() of Xen 4.17: 512 entries compared with their copy, two cycles each, and 100 for the list; entries that differ are counted by themselves'),
  unshadowCleared: UNSHADOWED, unshadowFlood: UNSHADOWED, unshadowNotEntries: UNSHADOWED, unshadowUser: UNSHADOWED, unshadowRemapped: UNSHADOWED,
  tableMade: estimate(1110, 'shadow_alloc() of Xen 4.17: clear_domain_page(), 1060 cycles like every page of Xen\'s, and 50 for shadow_hash_insert()'),
  tableFreed: estimate(1074, 'sh_destroy_l1_shadow() of Xen 4.17: 512 entries looked at, two cycles each, and 50 for shadow_hash_delete(); entries that are given up are counted by themselves'),
  poolReclaim: LOOKED_UP, writableGuessed: LOOKED_UP, writableScanned: LOOKED_UP,
  scannedEntry: estimate(2, 'some 8 instructions a turn of the loop of sh_rm_write_access_from_l1() of Xen 4.17, at four a cycle'),
} satisfies Readonly<Record<string, Figure>>;

const NAMES = [
  'exitPageFault', 'exitCr0', 'exitCr3', 'exitCr4', 'exitEfer', 'exitInvlpg', 'exitInvpcid', 'flush', 'invlpg', ...(Object.keys(CODE) as (keyof typeof CODE)[]),
] as const;

/** Prices by kinds of work: those of `ShadowedGuest`. */
export type ShadowCosts = Readonly<Record<(typeof NAMES)[number], Figure>>;

/** Prices on a processor. */
export function shadowCostsOf({ exit, rootLoad, flush, invlpg }: Switches): ShadowCosts {
  const register = sum(exit, REGISTER_WRITE), invalidate = sum(exit, INVALIDATE);
  return {
    ...CODE, exitPageFault: sum(exit, FAULT_READ), exitCr3: sum(rootLoad, register), exitCr0: register, exitCr4: register, exitEfer: register, exitInvlpg: invalidate,
    exitInvpcid: invalidate, flush, invlpg,
  };
}

/** A server of about 3 GHz without mitigations of speculation. */
export const shadowCosts = shadowCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkShadowCosts = (costs: ShadowCosts): ShadowCosts => checkCosts(costs, NAMES, 'shadowCosts');
