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

// Sources that several processors share. Those of mailing lists are told by list, day and subject.
export const BEHRENS = 'J. Behrens, PhD thesis (MIT 2022; github.com/fintelia/thesis, evolution-eval.tex), section "Meltdown", table of average cycles of syscall, sysret and swap cr3';
export const TORVALDS = 'L. Torvalds, Google+, 30 April 2014 (post YDKRFDwHwr6; quoted at d.hatena.ne.jp/yohei-a/20160509): on Haswell a page fault about 715 cycles, iret 330; on Core Duo 700 and 240';
const LUTOMIRSKI_EXIT = 'A. Lutomirski, Linux commit b7ffc44d5b2e (2017), table of kvm-unit-tests: vmcall 1181, processor not named';
export const LI_EXIT = 'W. Li, kvm mailing list, 13 March 2020, kvm-unit-tests vmexit.flat on a Skylake server: vmcall 1559 before a change of KVM, 1529 after it; whether with mitigations is not told';
export const CHRISTOPHERSON_EXIT = 'S. Christopherson, kvm mailing list, 9 December 2024, on "Drop the kvm_has_noapic_vcpu optimization": an exit for CPUID 1018 cycles, with mitigations 1600; processor not named';
export const ROTH_EXIT = 'M. Roth, linux-kernel, December 2020 (lkml.iu.edu/hypermail/linux/kernel/2012.2/00527): 1344 to 1376 cycles around VMRUN on an AMD processor that is not named';
export const DALL_EXIT = 'Dall et al., ISCA 2016, table II (quoted by others): hypercall of KVM on a Xeon E5-2450, Sandy Bridge, 1300';
/** Of the processor alone: what a hypervisor does around it is left out. */
export const VMLATENCY = 'yulyugin/vmlatency, results, VM exit and entry alone';
export const HANSEN = 'D. Hansen, linux-mm, 5 December 2017, "x86 TLB flushing: INVPCID vs. deferred CR3 write": INVLPG about 200 cycles on a Skylake desktop, 198 a page over 129 pages';
const LUTOMIRSKI_FLUSH = 'A. Lutomirski, Linux commit d8bced79af1d (2016): on a Skylake laptop INVPCID of everything 376 ns, CR4.PGE off and on 539 ns';
export const LI_IPI = 'W. Li, kvm mailing list, kvm-unit-tests vmexit.flat in a guest on a Skylake server: an IPI 3203 cycles from sending to the acknowledgement';
const AMIT = 'N. Amit, USENIX ATC 2017, introduction: a TLB shootdown "can take microseconds"';

/** INVPCID of everything, where a processor has it. */
const INVPCID_FLUSH = estimate(980, `${LUTOMIRSKI_FLUSH}; 376 ns at 2.6 GHz, taken for that laptop's`);
/** ... and where it has not. */
export const CR4_FLUSH = estimate(1400, `${LUTOMIRSKI_FLUSH}; 539 ns at 2.6 GHz, taken for that laptop's`);

/** Of processors that do not tell: a server of about 3 GHz. No number of it was measured by us. */
export const switchesDefault: Switches = {
  syscall: estimate(96, `mean of the eight processors of ${BEHRENS}: from 50 to 138`),
  exception: estimate(1000, `between the two of ${TORVALDS}`),
  exit: estimate(1400, `between those on Intel and AMD: ${LUTOMIRSKI_EXIT}; ${LI_EXIT}; ${ROTH_EXIT}`),
  rootLoad: estimate(200, `between 191 and 206, the two processors of ${BEHRENS}`),
  flush: INVPCID_FLUSH,
  invlpg: estimate(200, `as on Skylake: ${HANSEN}`),
  ipi: estimate(2500, `more than the 1674 of Skylake, which is one socket's; less than ${AMIT}, Linux's work for it among them`),
};
