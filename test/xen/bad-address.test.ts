/** Every hypercall of the memory interface that takes an address, with every kind of bad one: what it answers, and that nothing else happens. */
import { describe, expect, it } from 'vitest';
import * as calls from '../../src/xen/numbers.ts';
import { state } from '../xsa/world.ts';
import { entryOf, Guest, ARGS, DATA } from './guest.ts';
import { pack } from './memory-calls.ts';

const EFAULT = -14, EINVAL = -22, ENODATA = -61, SELF = 0x7ff0n;
const widths = [['64-bit', true], ['32-bit', false]] as const;
type Call = readonly [what: string, nr: number, args: (at: bigint) => readonly bigint[], rc?: number];

/** Calls that read at `at` before all else. */
const READERS: readonly Call[] = [
  ['mmu_update', calls.HYPERVISOR_mmu_update, at => [at, 1n, 0n, SELF]],
  ['mmuext_op', calls.HYPERVISOR_mmuext_op, at => [at, 1n, 0n, SELF]],
  ['multicall', calls.HYPERVISOR_multicall, at => [at, 1n]],
  ['set_gdt', calls.HYPERVISOR_set_gdt, at => [at, 1n]],
  ['set_trap_table', calls.HYPERVISOR_set_trap_table, at => [at]],
  ['xen_version: features', calls.HYPERVISOR_xen_version, at => [6n, at]],
  ['xen_version: build id', calls.HYPERVISOR_xen_version, at => [10n, at]],
  ...[3, 4, 5, 7, 9, 11, 13, 14, 15, 16, 17, 21, 23, 26, 27, 28].map((op): Call => [`memory_op ${op}`, calls.HYPERVISOR_memory_op, at => [BigInt(op), at]]),
  // Reservations answer with what was done: nothing.
  ...[0, 1, 6].map((op): Call => [`memory_op ${op}`, calls.HYPERVISOR_memory_op, at => [BigInt(op), at], 0]),
];

/** Calls that only write there. */
const WRITERS: readonly Call[] = [
  ...[1, 2, 3, 4, 5, 8, 9].map((command): Call => [`xen_version ${command}`, calls.HYPERVISOR_xen_version, at => [BigInt(command), at]]),
  ['memory_op 12', calls.HYPERVISOR_memory_op, at => [12n, at]],
];

const call = (g: Guest, [, nr, args]: Call, at: bigint): number => Number(g.xen.hypercall(g.cpu, nr, ...args(at)));

/** Addresses by what is wrong with them. The guest's frame `free(100)` is not mapped, and those around it are. */
function bad(g: Guest): [what: string, at: bigint][] {
  const hole = g.va(g.free(100));
  const own: [string, bigint][] = g.wide
    ? [['not canonical', 0x8000_0000_0000n], ['the first that is not', 0x0000_8000_0000_0000n], ["the hypervisor's", 0xffff_8100_0000_0000n], ["... its last", 0xffff_87ff_ffff_fff8n]]
    : [['at the end', 0xffff_fff8n]];
  return [...own, ['not mapped', 0x1000n], ['in a hole', hole], ['into a hole', hole - 1n], ['null', 0n]];
}

function prepared(wide: boolean): Guest {
  const g = new Guest({ wide });
  expect(g.map(g.va(g.free(100)), 0n)).toBe(0);
  return g;
}

describe.each(widths)('a bad address of a %s guest', (_, wide) => {
  it.each(READERS.map(made => [made[0], made] as const))('to %s', (what, made) => {
    const g = prepared(wide), rc = made[3] ?? EFAULT;
    const list = bad(g).filter(([why]) => why !== 'null' || what !== 'set_trap_table'); // that takes all traps away
    for (const [, at] of list) call(g, made, at); // the tables that lead there are marked
    const before = state(g);
    for (const [why, at] of list) expect([why, call(g, made, at)]).toEqual([why, why === 'null' && what === 'xen_version: build id' ? ENODATA : rc]);
    expect(Buffer.compare(before, state(g))).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  });

  it.each(WRITERS.map(made => [made[0], made] as const))('to %s, which only writes there', (_what, made) => {
    const g = prepared(wide), list = bad(g).filter(([why]) => why !== 'into a hole'); // there, what fits is written
    list.push(['read-only', g.va(g.table(g.free(7)))]);
    for (const [, at] of list) call(g, made, at);
    const before = state(g);
    for (const [why, at] of list) expect([why, call(g, made, at)]).toEqual([why, EFAULT]);
    expect(Buffer.compare(before, state(g))).toBe(0);
  });

  it('of a mask of vCPUs: the entry is changed, the flush is not made', () => {
    const g = prepared(wide), frame = (k: number) => g.entry(g.level1[0]!, 64 + k) >> 12n & 0xffffn;
    for (const [k, [why, at]] of bad(g).entries()) {
      if (why === 'null' || why === 'into a hole') continue; // the first means the vCPU itself; the other cannot be told, flags are its low bits
      const mask = (at & ~3n) | 2n;
      expect(g.map(g.va(g.free(k)), entryOf(g.free(50 + k), DATA), mask)).toBe(EFAULT);
      expect(frame(k)).toBe(BigInt(g.free(50 + k)));
    }
    for (const [, at] of bad(g)) for (const command of [calls.MMUEXT_TLB_FLUSH_MULTI, calls.MMUEXT_INVLPG_MULTI]) expect(g.ext(command, 0n, at)).toBe(EINVAL);
    expect(g.xen.audit()).toEqual([]);
  });

  it('of a list inside a structure', () => {
    const g = prepared(wide), w = wide ? 8 : 4, put = (...fields: Parameters<typeof pack>) => {
      g.machine.write(BigInt(ARGS) * 4096n, pack(...fields));
      return g.va(ARGS);
    };
    const frames = () => Array.from({ length: 1024 }, (_x, k) => [g.xen.host.frames.refs(0x400 + k), g.xen.host.frames.type(0x400 + k)]), before = frames();
    for (const [why, at] of bad(g)) {
      if (at === 0n) continue;
      const list: [number, bigint] = [w, at], reservation = (order = 0): Parameters<typeof pack> => [list, [w, 2], [4, order], [4, 0], [2, SELF], [2, 0], ...(wide ? [[4, 0] as const] : [])];
      const ask = (op: number, ...fields: Parameters<typeof pack>) => Number(g.xen.hypercall(g.cpu, calls.HYPERVISOR_memory_op, BigInt(op), put(...fields)));
      expect([why, ask(1, ...reservation()), ask(6, ...reservation())]).toEqual([why, 0, 0]);
      expect([why, ask(11, ...reservation(), ...reservation(), [w, 0])]).toEqual([why, EFAULT]);
      if (why !== 'into a hole') expect([why, ask(5, [4, 1], ...(wide ? [[4, 0] as const] : []), list, [4, 0], [4, 0])]).toEqual([why, EFAULT]);
    }
    expect([frames(), g.domain.totalPages]).toEqual([before, 1024]);
    expect(g.xen.audit()).toEqual([]);
  });
});
