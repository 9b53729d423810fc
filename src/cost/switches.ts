/**
 * What a processor takes for changes of privilege and of address space, in cycles: of these the prices of kernels and hypervisors are made.
 *
 * Without mitigations of speculation, and without what the code on the other side does.
 */
import type { Figure } from './cpu-model.ts';
import { estimate } from './presets/sourced.ts';

export interface Switches {
  /** SYSCALL and SYSRET. */
  readonly syscall: Figure;
  /** An exception taken from user mode, and IRET. */
  readonly exception: Figure;
  /** VM exit and VM entry, with what a hypervisor saves and loads of registers. */
  readonly exit: Figure;
  /** MOV to CR3. */
  readonly rootLoad: Figure;
  /** Everything invalidated, global translations too. */
  readonly flush: Figure;
  /** INVLPG. */
  readonly invlpg: Figure;
  /** Another processor interrupted, its answer awaited. */
  readonly ipi: Figure;
}

/** By name, in the order of `Switches`. */
export const SWITCH_NAMES = ['syscall', 'exception', 'exit', 'rootLoad', 'flush', 'invlpg', 'ipi'] as const satisfies readonly (keyof Switches)[];

// Sources that several processors share.
export const BEHRENS = 'Behrens, Belay, Kaashoek, "Performance Evolution of Mitigating Transient Execution Attacks" (EuroSys 2022), table of syscall, sysret and swap cr3; from memory, not looked up';
export const TORVALDS = 'L. Torvalds, Google+, 30 April 2014 (quoted at d.hatena.ne.jp/yohei-a/20160509): a page fault 715 cycles on Haswell, IRET 330; on Core Duo 700 and 240';
export const LUTOMIRSKI_EXIT = 'kvm-unit-tests vmcall, 1181 (A. Lutomirski, Linux commit b7ffc44d5b2e, 2017; processor not named)';
export const ROTH_EXIT = '1344 to 1376 cycles around VMRUN on an AMD processor that is not named (linux-kernel, December 2020, lkml.iu.edu/hypermail/linux/kernel/2012.2/00527)';
export const HANSEN = 'D. Hansen, "x86 TLB flushing: INVPCID vs. deferred CR3 write", linux-kernel, 5 December 2017: about 350 cycles for a page by INVPCID; INVLPG is cheaper';
const SHOOTDOWN = 'an interrupt sent, taken and acknowledged, about 1 us on one socket; repeated in the field, not read by us';

/** Of processors that do not tell: a server of about 3 GHz. No number of it was measured by us. */
export const switchesDefault: Switches = {
  syscall: estimate(130, 'about 100 to 150 cycles; repeated in the field, not read by us'),
  exception: estimate(1000, `between the two of ${TORVALDS}`),
  exit: estimate(1400, `between those of kvm-unit-tests on Intel and AMD: ${LUTOMIRSKI_EXIT}; ${ROTH_EXIT}`),
  rootLoad: estimate(200, `${BEHRENS}: 191 to 206 cycles`),
  flush: estimate(500, 'two writes of CR4, each about as dear as one of CR3, or INVPCID'),
  invlpg: estimate(200, HANSEN),
  ipi: estimate(2500, SHOOTDOWN),
};
