/** Which function serves which hypercall. */
import { VCPU_CALL, VCPU_CALL_ARGS } from '../layout/vcpu.ts';
import { setGdt, updateDescriptor } from './descriptor.ts';
import { eventChannelOp } from './event-channel.ts';
import { grantTableOp } from './grant-table-op.ts';
import { setSegmentBase, setTrapTable, stackSwitch } from './guest-state.ts';
import type { Host } from './host.ts';
import { memoryOp } from './memory-op.ts';
import { mmuUpdate } from './mmu-update.ts';
import { mmuextOp } from './mmuext-op.ts';
import { multicall } from './multicall.ts';
import {
  HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_memory_op, HYPERVISOR_mmuext_op, HYPERVISOR_mmu_update, HYPERVISOR_multicall,
  HYPERVISOR_physdev_op,
  HYPERVISOR_sched_op, HYPERVISOR_set_gdt, HYPERVISOR_set_segment_base, HYPERVISOR_set_trap_table, HYPERVISOR_stack_switch,
  HYPERVISOR_update_descriptor, HYPERVISOR_update_va_mapping, HYPERVISOR_update_va_mapping_otherdomain, HYPERVISOR_vcpu_op, HYPERVISOR_vm_assist,
  HYPERVISOR_xen_version, XEN_ENOSYS,
} from './numbers.ts';
import { physdevOp } from './physdev-op.ts';
import { schedOp } from './sched-op.ts';
import { updateVaMapping } from './va-mapping.ts';
import { vcpuOp } from './vcpu-op.ts';
import { vmAssist } from './vm-assist.ts';
import { xenVersion } from './xen-version.ts';

const ARGS = 5;
const NO_CALL = -1;

/**
 * Number of the hypercall in a vCPU's block. Of a 32-bit guest's registers only the low halves count.
 *
 * Source: facts of Xen 4.17, _pv_hypercall() (xen/arch/x86/pv/hypercall.c).
 * @param v - word index of the vCPU block
 */
export function callNumber(w: Int32Array, v: number, is32: boolean): number {
  const nr = w[v + (VCPU_CALL >>> 2)], args = v + (VCPU_CALL_ARGS >>> 2);
  if (!is32) return w[v + (VCPU_CALL >>> 2) + 1] === 0 ? nr : NO_CALL;
  for (let k = 0; k < ARGS; k++) w[args + k * 2 + 1] = 0;
  return nr;
}

/** Serves a hypercall. @param serve - serves those that it makes itself */
export type Serve = (h: Host, nr: number, at: number, serve: Serve) => number;

/**
 * Serve a hypercall.
 *
 * @param at - word index of its five arguments, 8 bytes each @returns its result; with `h.preempted` set, it has to be made again with the
 *   arguments that are there now
 */
export function call(h: Host, nr: number, at: number, serve: Serve): number {
  switch (nr) {
    case HYPERVISOR_mmu_update: return mmuUpdate(h, at);
    case HYPERVISOR_update_va_mapping: return updateVaMapping(h, at, false);
    case HYPERVISOR_update_va_mapping_otherdomain: return updateVaMapping(h, at, true);
    case HYPERVISOR_mmuext_op: return mmuextOp(h, at);
    case HYPERVISOR_memory_op: return memoryOp(h, at);
    case HYPERVISOR_grant_table_op: return grantTableOp(h, at);
    case HYPERVISOR_multicall: return multicall(h, at, serve);
    case HYPERVISOR_vm_assist: return vmAssist(h, at);
    case HYPERVISOR_event_channel_op: return eventChannelOp(h, at);
    case HYPERVISOR_set_gdt: return setGdt(h, at);
    case HYPERVISOR_update_descriptor: return updateDescriptor(h, at);
    case HYPERVISOR_set_trap_table: return setTrapTable(h, at);
    case HYPERVISOR_stack_switch: return stackSwitch(h, at);
    case HYPERVISOR_set_segment_base: return setSegmentBase(h, at);
    case HYPERVISOR_xen_version: return xenVersion(h, at);
    case HYPERVISOR_sched_op: return schedOp(h, at);
    case HYPERVISOR_physdev_op: return physdevOp(h, at);
    case HYPERVISOR_vcpu_op: return vcpuOp(h, at);
    default: return -XEN_ENOSYS;
  }
}
