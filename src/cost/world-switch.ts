/**
 * What it takes a processor to leave a guest and to come back: VM exit and VM entry, or #VMEXIT and VMRUN, and nothing in between.
 *
 * Translations of guest and hypervisor are tagged (VPID, ASID) and stay over it; on processors without tags everything would have to be cached anew.
 */
import { figure, type Sourced } from './cpu-model.ts';
import { estimate } from './presets/sourced.ts';

const UNREAD = 'repeated in the field, not read by us';
const AGESEN = `Agesen et al., Software Techniques for Avoiding Hardware Virtualization Exits (USENIX ATC 2012), table of round trips; ${UNREAD}`;
const ADAMS = `Adams and Agesen, A Comparison of Software and Hardware Techniques for x86 Virtualization (ASPLOS 2006), a Core 2: entry 937, exit of a page fault 1186; ${UNREAD}`;
const ROTH = 'M. Roth, linux-kernel, December 2020, on VMLOAD and VMSAVE in KVM: about 1360 cycles from before VMRUN to after the exit';

const core = estimate(800, `about what Sandy Bridge takes, 784; of later processors we have no table. ${AGESEN}`);
const zen = estimate(1100, `${ROTH}; the guest's instructions are in them, and the processor is not named`);

/** By names of presets. Mitigations of speculation are off, as in `hypervisorCosts`. */
const switches: Readonly<Record<string, Sourced>> = {
  'nehalem-e5520': estimate(1009, `Nehalem 1009, Westmere 761: ${AGESEN}. Three years before: ${ADAMS}`),
  haswell: core, skylake: core, icelake: core, goldencove: core,
  zen2: zen, zen3: zen, zen4: zen,
};
const OTHER = estimate(1000, 'a processor of which nothing is known: between the presets\' 800 and 1100');

/** Cycles of leaving a guest and coming back. @param name - of a processor */
export function worldSwitch(name: string): Sourced {
  return Object.hasOwn(switches, name) ? switches[name] : OTHER;
}

/** An exit of a kind: the switch, and what its handler does before it knows what to do. @param handling - cycles */
export function exitPrice(name: string, handling: number, why: string): Sourced {
  const { source } = worldSwitch(name);
  return estimate(figure(worldSwitch(name)) + handling, `out and back: ${source}. And ${handling} for ${why}`);
}
