/** What the advisories' attackers have: a guest's kernel in either width, its calls in a list, its stores, and a look at every byte. */
import { expect } from 'vitest';
import { FRAME_STRIDE } from '../../src/layout/frame.ts';
import { HDR_FRAME_TABLE } from '../../src/layout/header.ts';
import { writeEntry } from '../../src/memory/entry.ts';
import { HYPERVISOR_multicall } from '../../src/xen/numbers.ts';
import { Guest, ARGS, type GuestOptions } from '../xen/guest.ts';

export const EPERM = -1, EFAULT = -14, EBUSY = -16, EACCES = -13, EINVAL = -22, ENOSYS = -38;
export const PWT = 8n, PCD = 0x10n, PS = 0x80n;
export const PAGE_FAULT = 14;
export const MMU_PRESERVE_AD = 2;
export const WIDTHS = [['64-bit', true], ['32-bit', false]] as const;

/** A guest without privilege and without I/O rights: the advisories' attacker. */
export const attacker = (options: GuestOptions = {}): Guest => new Guest({ privileged: false, ...options });

/** Level-2 table that maps the guest's frames; its entries from 2 up are free. */
export const level2 = (g: Guest): number => g.tables[2]!;
/** Address that entry `slot` of that table, and entry `page` of what it refers to, translate. */
export const addressIn = (g: Guest, slot: number, page = 0): bigint => g.base + BigInt(slot * 0x200000 + page * 4096);

/** A store of 8 bytes. @returns FAULT_NONE, or [vector, error code] of what the guest sees */
export function store(g: Guest, va: bigint, value: bigint, cpu = g.cpu): number | [number, number] {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  const fault = g.xen.write(cpu, va, data);
  return fault === 0 ? 0 : [fault >>> 16, fault & 0xffff];
}

/** A load of 8 bytes; undefined: it faults. */
export function load(g: Guest, va: bigint, cpu = g.cpu): bigint | undefined {
  const data = new Uint8Array(8);
  return g.xen.read(cpu, va, data) === 0 ? new DataView(data.buffer).getBigUint64(0, true) : undefined;
}

export type Call = readonly [nr: number, ...args: bigint[]];

/** A multicall. Its list is in the second KiB of the guest's page for arguments. @returns the result of each call */
export function calls(g: Guest, ...list: Call[]): number[] {
  const step = g.wide ? 8 : 4, at = BigInt(ARGS) * 4096n + 1024n, va = g.va(ARGS) + 1024n, { machine } = g;
  const words = list.flatMap(([nr, ...args]) => [BigInt(nr), 0x5555n, ...Array.from({ length: 6 }, (_, k) => args[k] ?? 0n)]);
  const data = new Uint8Array(words.length * step), view = new DataView(data.buffer);
  words.forEach((word, k) => { if (g.wide) view.setBigUint64(k * 8, BigInt.asUintN(64, word), true); else view.setUint32(k * 4, Number(BigInt.asUintN(32, word)), true); });
  machine.write(at, data);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_multicall, va, BigInt(list.length)))).toBe(0);
  machine.read(at, data);
  return list.map((_, k) => (g.wide ? Number(view.getBigInt64((k * 8 + 1) * 8, true)) : view.getInt32((k * 8 + 1) * 4, true)));
}

/** Write an entry past the hypervisor, into a frame that no one uses as a table. */
export function poke(g: Guest, mfn: number, slot: number, value: bigint): void {
  writeEntry(g.machine.views, mfn * 4096 + slot * 8, value);
}

/** Every byte of memory, the hypervisor's own frames included, and of the frame table: all but what processors cache and `Guest.settled()` takes away. */
export function state(g: Guest): Buffer {
  const { views } = g.machine, ram = views.lowWord * 4, rows = views.w[HDR_FRAME_TABLE >>> 2]!;
  return Buffer.concat([g.settled(views.u8.slice(ram, ram + 6144 * 4096), ram), views.u8.slice(rows, rows + g.xen.host.frames.count * FRAME_STRIDE)]);
}

/** The act is refused with `rc`, leaves every byte as it was, and the audit holds. It is done twice: the first time marks entries that lead to its arguments. */
export function refused(g: Guest, rc: number, act: () => number): void {
  expect(act()).toBe(rc);
  const before = state(g);
  expect(act()).toBe(rc);
  expect(Buffer.compare(before, state(g))).toBe(0);
  holds(g);
}

export function holds(g: Guest): void {
  expect(g.xen.audit()).toEqual([]);
}
