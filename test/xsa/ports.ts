/** event_channel_op's commands, and domains with many ports, for the advisories about them. */
import { expect } from 'vitest';
import { struct } from '../xen/grant-struct.ts';
import { DATA_FRAME, type Tenant } from '../xen/tenants.ts';
import { DOMID_SELF, HYPERVISOR_event_channel_op } from '../../src/xen/numbers.ts';

export const BIND_INTERDOMAIN = 0, BIND_VIRQ = 1, CLOSE = 3, SEND = 4, STATUS = 5, ALLOC_UNBOUND = 6, BIND_IPI = 7, BIND_VCPU = 8, UNMASK = 9, RESET = 10;
export const INIT_CONTROL = 11, EXPAND_ARRAY = 12, RESET_CONT = 14;
export const SELF = DOMID_SELF;
export const UNBOUND_SELF = SELF | (SELF << 16);

/** Frames of a domain that become its control block and its event array. */
export const CONTROL = DATA_FRAME + 20, ARRAY = DATA_FRAME + 24;

/** Ports in the FIFO format, with so many frames of the event array. */
export function useFifo(tenant: Tenant, frames: number): void {
  expect(tenant.event(INIT_CONTROL, tenant.frame(CONTROL), 0, 0, 0).rc).toBe(0);
  for (let k = 0; k < frames; k++) expect(tenant.event(EXPAND_ARRAY, tenant.frame(ARRAY + k), 0).rc).toBe(0);
}

/** A port for another domain to bind. */
export function unbound(tenant: Tenant, remote: number): number {
  const { rc, out } = tenant.event(ALLOC_UNBOUND, SELF | (remote << 16));
  expect(rc).toBe(0);
  return out[1];
}

/** The local port that is bound to a remote one. */
export function interdomain(tenant: Tenant, remote: number, port: number): number {
  const { rc, out } = tenant.event(BIND_INTERDOMAIN, remote, port);
  expect(rc).toBe(0);
  return out[2];
}

/** Give ports out up to one, with no audit on the way. */
export function fillPorts(tenant: Tenant, last: number): void {
  tenant.world.audited = false;
  for (let port = 0; port < last;) {
    const { rc, out } = tenant.event(ALLOC_UNBOUND, UNBOUND_SELF);
    expect(rc).toBe(0);
    port = out[1];
  }
  tenant.world.audited = true;
}

/** What EVTCHNOP_status says: 0 closed, 1 unbound, 2 interdomain, 5 an IPI's; an error below 0. */
export function statusOf(tenant: Tenant, port: number): number {
  const { rc, out } = tenant.event(STATUS, SELF, port);
  return rc < 0 ? rc : out[2];
}

/** Leave the operation of a call that is made in parts. */
export function leaveEvent(tenant: Tenant, command: number, ...words: number[]): void {
  const at = tenant.leave(struct(Array.from({ length: 6 }, (_, k) => [4, words[k] ?? 0] as const)), 2048);
  tenant.world.xen.setCall(tenant.cpu, HYPERVISOR_event_channel_op, BigInt(command), at);
}
