/** An exit from a guest to its hypervisor, as something to read. */
import { EXIT_EPT_MISCONFIG, EXIT_EPT_VIOLATION } from '../arch/fault.ts';
import { NEST_EXIT_GPA_HI, NEST_EXIT_GPA_LO, NEST_EXIT_HI, NEST_EXIT_LO } from '../layout/nested.ts';
import { VCPU_NEST } from '../layout/vcpu.ts';
import { joinWords } from './address.ts';

/** Why the second stage stopped a guest. */
export interface GuestExit {
  readonly reason: 'nested page fault' | 'EPT violation' | 'EPT misconfiguration';
  /** EXITINFO1 of a nested page fault, the exit qualification of an EPT violation, else 0. */
  readonly info: bigint;
  /** Guest-physical address, offset included. */
  readonly gpa: bigint;
}

/** @param v - word index of the vCPU block @param fault - EXIT_* */
export function exitOf(w: Int32Array, v: number, fault: number): GuestExit {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2, at = (field: number) => w[n + (field >>> 2)];
  return {
    reason: fault === EXIT_EPT_VIOLATION ? 'EPT violation' : fault === EXIT_EPT_MISCONFIG ? 'EPT misconfiguration' : 'nested page fault',
    info: joinWords(at(NEST_EXIT_HI), at(NEST_EXIT_LO)),
    gpa: joinWords(at(NEST_EXIT_GPA_HI), at(NEST_EXIT_GPA_LO)),
  };
}
