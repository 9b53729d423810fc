/**
 * Which locks a hypercall takes, by its number and arguments alone.
 *
 * What only concerns the caller's domain runs beside calls of other domains; what makes and ends things that others may be looking at (ports,
 * grant tables, frames that change hands, domains) runs alone. That is what may be wrong here: a call is beside others only if all it changes
 * is its domain's, changes by compare-and-swap, or has a lock of its own.
 */
import {
  DOMID_IO, DOMID_SELF, HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_mmuext_op, HYPERVISOR_mmu_update, HYPERVISOR_multicall,
  HYPERVISOR_sched_op, HYPERVISOR_set_gdt, HYPERVISOR_set_segment_base, HYPERVISOR_set_trap_table, HYPERVISOR_stack_switch, HYPERVISOR_update_descriptor,
  HYPERVISOR_update_va_mapping, HYPERVISOR_vm_assist, HYPERVISOR_xen_version,
} from './numbers.ts';
import { EVTCHNOP_bind_vcpu, EVTCHNOP_send, EVTCHNOP_set_priority, EVTCHNOP_status, EVTCHNOP_unmask } from './event-channel.ts';
import { GNTTABOP_CMD_MASK, GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_unmap_and_replace, GNTTABOP_unmap_grant_ref } from './grant-numbers.ts';
import { SCHEDOP_block, SCHEDOP_poll, SCHEDOP_yield } from './sched-op.ts';

/** Beside all others; what it changes has locks of its own. */
export const BESIDE = 0;
/** Beside those of other domains. */
export const OWN = 1;
export const ALONE = 2;

/** @param at - word index of the arguments @param domid - of the caller @returns BESIDE, OWN or ALONE */
export function lockPlan(w: Int32Array, nr: number, at: number, domid: number): number {
  switch (nr) {
    case HYPERVISOR_mmu_update: return isOwnTables(w[at + 6], domid) ? OWN : ALONE;
    case HYPERVISOR_mmuext_op: return isOwnFrames(w[at + 6]) ? OWN : ALONE;
    case HYPERVISOR_update_va_mapping: case HYPERVISOR_vm_assist: case HYPERVISOR_set_gdt: case HYPERVISOR_update_descriptor:
    case HYPERVISOR_set_trap_table: case HYPERVISOR_stack_switch: case HYPERVISOR_set_segment_base: return OWN;
    case HYPERVISOR_grant_table_op: return grantPlan(w[at] & GNTTABOP_CMD_MASK);
    case HYPERVISOR_event_channel_op: return eventPlan(w[at]);
    case HYPERVISOR_sched_op: return w[at] === SCHEDOP_yield || w[at] === SCHEDOP_block || w[at] === SCHEDOP_poll ? BESIDE : ALONE;
    case HYPERVISOR_multicall: case HYPERVISOR_xen_version: return BESIDE;
    default: return ALONE;
  }
}

/** Frames of the caller, or of devices, which no one counts. */
function isOwnFrames(domid: number): boolean {
  return (domid & 0xffff) === DOMID_SELF || (domid & 0xffff) === DOMID_IO;
}

function isOwnTables(domains: number, domid: number): boolean {
  const owner = domains >>> 16;
  return isOwnFrames(domains) && (owner === 0 || owner - 1 === domid);
}

function grantPlan(command: number): number {
  switch (command) {
    case GNTTABOP_map_grant_ref: case GNTTABOP_unmap_grant_ref: case GNTTABOP_unmap_and_replace: case GNTTABOP_copy: return OWN;
    default: return ALONE;
  }
}

function eventPlan(command: number): number {
  switch (command) {
    case EVTCHNOP_send: case EVTCHNOP_unmask: case EVTCHNOP_bind_vcpu: case EVTCHNOP_set_priority: case EVTCHNOP_status: return BESIDE;
    default: return ALONE;
  }
}
