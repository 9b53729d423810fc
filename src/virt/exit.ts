/**
 * What a hypervisor is told when the second stage stops its guest.
 *
 * Source: Intel SDM vol. 3C, "EPT Violations" and table "Exit Qualification for EPT Violations"; AMD APM vol. 2, "Nested versus Guest Page
 *         Faults, Fault Ordering" (EXITINFO1, EXITINFO2).
 */
import {
  EPTQ_EXECUTABLE, EPTQ_FETCH, EPTQ_FINAL, EPTQ_LINEAR, EPTQ_READ, EPTQ_READABLE, EPTQ_SHADOW_STACK, EPTQ_USER_EXECUTABLE, EPTQ_USER_PAGE,
  EPTQ_WRITABLE, EPTQ_WRITABLE_PAGE, EPTQ_WRITE, EPTQ_XD_PAGE, NPF_HI_FINAL, NPF_HI_TABLE,
} from '../arch/ept.ts';
import { ACCESS_FETCH, ACCESS_SHADOW_STACK, ACCESS_WRITE, EXIT_EPT_VIOLATION, EXIT_NPF, faultCode } from '../arch/fault.ts';
import {
  HOSTD_NX, HOSTD_NXU, HOSTD_R, HOSTD_W, NEST_CTL, NEST_EPT, NEST_EXIT_GPA_HI, NEST_EXIT_GPA_LO, NEST_EXIT_HI, NEST_EXIT_LO, NEST_FORMAT,
  NESTC_AD, NESTC_INFO, NESTC_MBE,
} from '../layout/nested.ts';
import { TLBD_RW, TLBD_US, TLBD_XD } from '../layout/tlb.ts';
import { VCPU_OUT_DATA_LO } from '../layout/vcpu.ts';

/**
 * Note an exit in the host block.
 *
 * @param fault - from `secondStage()` @param guestLevel - of the guest entry sought, 0 = the page @param marking - it was to be written, for A or D
 * @returns EXIT_*
 */
export function leave(
  w: Int32Array, v: number, n: number, fault: number, access: number, guestLevel: number, gpaHi: number, gpaLo: number, marking: boolean,
): number {
  w[n + (NEST_EXIT_GPA_LO >>> 2)] = gpaLo;
  w[n + (NEST_EXIT_GPA_HI >>> 2)] = gpaHi;
  w[n + (NEST_EXIT_HI >>> 2)] = w[n + (NEST_EXIT_LO >>> 2)] = 0;
  if (w[n + (NEST_FORMAT >>> 2)] !== NEST_EPT) {
    w[n + (NEST_EXIT_LO >>> 2)] = faultCode(fault);
    w[n + (NEST_EXIT_HI >>> 2)] = guestLevel === 0 ? NPF_HI_FINAL : NPF_HI_TABLE;
    return EXIT_NPF;
  }
  if (fault === EXIT_EPT_VIOLATION) w[n + (NEST_EXIT_LO >>> 2)] = qualification(w, v, n, access, guestLevel, marking);
  return fault;
}

function qualification(w: Int32Array, v: number, n: number, access: number, guestLevel: number, marking: boolean): number {
  const ctl = w[n + (NEST_CTL >>> 2)], rights = w[n + (VCPU_OUT_DATA_LO >>> 2)];
  const permitted = (rights & HOSTD_R ? EPTQ_READABLE : 0) | (rights & HOSTD_W ? EPTQ_WRITABLE : 0) | (rights & HOSTD_NX ? 0 : EPTQ_EXECUTABLE)
    | (ctl & NESTC_MBE && !(rights & HOSTD_NXU) ? EPTQ_USER_EXECUTABLE : 0);
  if (guestLevel > 0) {
    const attempt = ctl & NESTC_AD ? EPTQ_READ | EPTQ_WRITE : marking ? EPTQ_WRITE : EPTQ_READ;
    return attempt | permitted | EPTQ_LINEAR;
  }
  const attempt = access & ACCESS_FETCH ? EPTQ_FETCH : access & ACCESS_WRITE ? EPTQ_WRITE : EPTQ_READ;
  return attempt | permitted | EPTQ_LINEAR | EPTQ_FINAL | (access & ACCESS_SHADOW_STACK ? EPTQ_SHADOW_STACK : 0)
    | (ctl & NESTC_INFO ? guestPage(w[v + (VCPU_OUT_DATA_LO >>> 2)]) : 0);
}

/** Advanced exit information: rights of the guest's own translation. */
const guestPage = (data: number): number =>
  (data & TLBD_US ? EPTQ_USER_PAGE : 0) | (data & TLBD_RW ? EPTQ_WRITABLE_PAGE : 0) | (data & TLBD_XD ? EPTQ_XD_PAGE : 0);
