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

const COMPAT = 'I. Campbell, Xen commit 3e1b9525de43 (2007), lmbench lat_syscall: 0.5497 us by such a gate, 0.3270 by a trap straight into the guest';
const GATE = 'blitz/kernel_entry_benchmark, README, section "Running Benchmarks": an interrupt gate there and back 610 cycles on an Intel processor that is not named';
const CAS = 'a locked compare-and-swap of a cached line, taken for 20 cycles: LLVM commit b1bdd97a2671 (2019) has 17 for Jaguar';

/** Of the hypervisor's own code, whatever runs it. */
const CODE = {
  compatTrap: estimate(780, `610 and 170: ${GATE}; and Xen's path as for trap. ${COMPAT}, with the guest's own handler in both`),
  bounce: estimate(100, 'some 70 instructions of create_bounce_frame (Xen 4.17 x86_64/entry.S), seven or eight of them stores to the guest\'s stack, STAC and CLAC around them'),
  subcall: estimate(60, 'some 60 instructions of do_multicall() of Xen 4.17 for an entry: 64 bytes copied from the guest, an indirect call, 8 bytes written back'),
  request: estimate(100, `a turn of do_mmu_update() of Xen 4.17: get_page(), page_lock(), page_unlock(), put_page(), 80 cycles, and 20 for the copy of 16 bytes: ${CAS}`),
  entry: estimate(60, `get_page_from_l1e() of Xen 4.17: get_page() and _get_page_type(), 40 cycles, and some 60 instructions at three a cycle: ${CAS}`),
  absentEntry: estimate(3, 'some 12 instructions a turn of the loop of promote_l1_table() of Xen 4.17, pv_l1tf_check_l1e() among them, at four a cycle; a page that the prefetcher reads'),
  emulation: estimate(950, 'Linux commit b7ffc44d5b2e (2017), table of kvm-unit-tests: inl_from_kernel 2339, which KVM then emulated (handle_io()), less outl_to_kernel 1391, which it did not: 948 for an emulator'),
  page: estimate(1060, 'A. Cooper, Xen commit 260acc521db4 (2019): clear_page_sse2() about 1060 cycles on Haswell, by MOVNTI past the caches; taken for other processors and for copies too'),
};
const ENTRY_CODE = estimate(170, 'some 150 instructions of lstar_enter, SAVE_ALL, pv_hypercall(), test_all_events and restore_all_guest of Xen 4.17, about one a cycle');
const FAULT_CODE = estimate(300, 'some 250 instructions of handle_exception, do_page_fault(), fixup_page_fault() and pv_inject_page_fault() of Xen 4.17, about one a cycle, and CR2 read');
const SWAPGS = estimate(30, 'some 30 instructions of toggle_guest_mode() of Xen 4.17 beside the load of CR3: GS bases read and swapped');

/** Prices on a processor. */
export function hypervisorCostsOf({ syscall, exception, rootLoad, flush, invlpg, ipi }: Switches): HypervisorCosts {
  return { ...CODE, trap: sum(syscall, ENTRY_CODE), fault: sum(exception, FAULT_CODE), modeSwitch: sum(rootLoad, SWAPGS), flush, invlpg, ipi };
}

/** A server of about 3 GHz without mitigations of speculation. No number of it was measured by us. */
export const hypervisorCosts = hypervisorCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkHypervisorCosts = (costs: HypervisorCosts): HypervisorCosts => checkCosts(costs, NAMES, 'costs');
