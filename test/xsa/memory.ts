/** memory_op for the advisories about it: its structures in both widths, and whether the hypervisor serves it. */
import { HYPERVISOR_memory_op } from '../../src/xen/numbers.ts';
import { Guest, ARGS } from '../xen/guest.ts';
import { attacker, ENOSYS } from './world.ts';

export const XENMEM_increase_reservation = 0, XENMEM_populate_physmap = 6, XENMEM_exchange = 11;
const XENMEM_maximum_ram_page = 2;

/** Is memory_op there? Without it there is nothing to attack, and its advisories are left out. */
export const hasMemoryOp = (): boolean => memoryOp(attacker(), XENMEM_maximum_ram_page, 0n) !== ENOSYS;

export function memoryOp(g: Guest, op: number, argument: bigint): number {
  return Number(g.xen.hypercall(g.cpu, HYPERVISOR_memory_op, BigInt(op), argument));
}

/** xen_memory_reservation. */
export interface Reservation {
  /** Address of the list of extents. */
  readonly list: bigint;
  readonly count?: bigint;
  readonly order?: number;
  readonly flags?: number;
}

/** Bytes of a reservation, the guest's own. */
function reservation(g: Guest, { list, count = 1n, order = 0, flags = 0 }: Reservation): Uint8Array {
  const step = g.wide ? 8 : 4, data = new Uint8Array(g.wide ? 32 : 20), view = new DataView(data.buffer);
  for (const [k, value] of [list, count].entries()) {
    if (g.wide) view.setBigUint64(k * 8, BigInt.asUintN(64, value), true);
    else view.setUint32(k * 4, Number(BigInt.asUintN(32, value)), true);
  }
  view.setUint32(step * 2, order, true);
  view.setUint32(step * 2 + 4, flags, true);
  view.setUint16(step * 2 + 8, 0x7ff0, true);
  return data;
}

/** Leave bytes in the second KiB of the page for arguments. @returns their address */
function leave(g: Guest, ...parts: Uint8Array[]): bigint {
  let at = 1024;
  for (const part of parts) {
    g.machine.write(BigInt(ARGS) * 4096n + BigInt(at), part);
    at += part.length;
  }
  return g.va(ARGS) + 1024n;
}

/** An operation on one reservation. */
export const reserve = (g: Guest, op: number, r: Reservation): number => memoryOp(g, op, leave(g, reservation(g, r)));

/** XENMEM_exchange, said to have done `exchanged` already. */
export function exchange(g: Guest, input: Reservation, output: Reservation, exchanged: bigint): number {
  const tail = new Uint8Array(g.wide ? 8 : 4);
  if (g.wide) new DataView(tail.buffer).setBigUint64(0, exchanged, true);
  else new DataView(tail.buffer).setUint32(0, Number(BigInt.asUintN(32, exchanged)), true);
  return memoryOp(g, XENMEM_exchange, leave(g, reservation(g, input), reservation(g, output), tail));
}
