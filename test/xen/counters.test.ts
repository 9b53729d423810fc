import { expect, it } from 'vitest';
import {
  DOMID_SELF, HYPERVISOR_mmu_update, HYPERVISOR_multicall, HYPERVISOR_set_segment_base, HYPERVISOR_set_trap_table, HYPERVISOR_stack_switch,
  HYPERVISOR_xen_version,
} from '../../src/xen/numbers.ts';
import { ARGS, DATA, entryOf, Guest, READ } from './guest.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;

it.each(widths)('counters of a %s guest have the names of perfc', (_, wide) => {
  const g = new Guest({ wide }), before = g.xen.counters(), mfn = g.free(0);
  expect(before).toMatchObject({ calls_to_mmu_update: 0, num_page_updates: 0, ptwr_emulations: 0, hypercalls: { vm_assist: { calls: 1, entries: 1 } } });
  expect(g.update([g.level1[0], 200, entryOf(mfn, READ)], [g.level1[0], 201, entryOf(mfn, DATA)], [mfn, 3, 5n], [0x350, 0, 0n])).toBe(-22);
  expect(g.map(g.va(mfn), entryOf(mfn, READ))).toBe(0);
  expect(g.ext(6)).toBe(0);
  expect(g.xen.write(g.cpu, g.va(g.level1[0]) + 1600n, new Uint8Array(8))).toBe(0);
  expect(g.xen.write(g.cpu, g.va(mfn), new Uint8Array(8))).not.toBe(0);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmu_update, 0x1000n, 1n, 0n, BigInt(DOMID_SELF)))).toBe(-14);
  const { work, shootdowns, ...counted } = g.xen.counters(), cycles = { trap: 0, validate: 0, flush: 0, copy: 0 };
  expect(work).toMatchObject({ requests: 7, emulations: 1, faults: 2, bounces: 1 });
  expect(Object.values(shootdowns)).toEqual(Array(5).fill({ sent: 0, filtered: 0, cycles: 0 })); // there is no other vCPU
  expect(counted).toEqual({
    calls_to_mmu_update: 2, num_page_updates: 3, writable_mmu_updates: 1, calls_to_update_va: 1, calls_to_mmuext_op: 1, num_mmuext_ops: 1,
    page_faults: 3, copy_user_faults: 1, ptwr_emulations: 1, calls_from_multicall: 0,
    hypercalls: {
      vm_assist: { calls: 1, entries: 1, cycles }, mmu_update: { calls: 2, entries: 2, cycles }, update_va_mapping: { calls: 1, entries: 1, cycles },
      mmuext_op: { calls: 1, entries: 1, cycles },
    },
    cycles: { pageFaults: cycles, modeSwitches: cycles, unknownCalls: cycles },
  });
  expect(before.num_page_updates).toBe(0); // a copy
});

it.each(widths)('a call of a %s guest that is preempted is one call of several entries', (_, wide) => {
  const g = new Guest({ wide, budget: 0 }), updates = Array.from({ length: 4 }, (_unused, k) => [g.free(k), 0, 7n] as const);
  expect(g.update(...updates)).toBe(0);
  expect(g.xen.counters()).toMatchObject({ calls_to_mmu_update: 1, num_page_updates: 4, hypercalls: { mmu_update: { calls: 1, entries: 4 } } });
});

it.each(widths)('calls of a %s guest from multicall count as theirs', (_, wide) => {
  const g = new Guest({ wide }), size = wide ? 8 : 4, entry = [BigInt(HYPERVISOR_xen_version), 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  expect(g.xen.hypercall(g.cpu, HYPERVISOR_multicall, g.words(size, ...entry, ...entry), 2n)).toBe(0n);
  expect(g.xen.counters()).toMatchObject({ calls_from_multicall: 2, hypercalls: { multicall: { calls: 1, entries: 1 }, xen_version: { calls: 2, entries: 2 } } });
});

it.each(widths)('a %s guest is told version and features', (_, wide) => {
  const g = new Guest({ wide }), ask = (command: number, arg = 0n) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_xen_version, BigInt(command), arg)), at = g.va(ARGS);
  const text = () => {
    const out = new Uint8Array(64);
    g.xen.read(g.cpu, at, out);
    return String.fromCharCode(...out).replace(/\0.*$/s, '');
  };
  expect(ask(0)).toBe(0x40011);
  expect([ask(1, at), text()]).toEqual([0, '.7']);
  expect([ask(3, at), text()]).toEqual([0, 'xen-3.0-x86_64 xen-3.0-x86_32p ']);
  expect(ask(7)).toBe(4096);
  expect(ask(7, at)).toBe(-22);
  expect(ask(5, at)).toBe(0);
  const words = new Uint8Array(8), view = new DataView(words.buffer);
  g.xen.read(g.cpu, at, words);
  expect(wide ? view.getBigUint64(0, true) : view.getUint32(0, true)).toBe(wide ? 0xffff800000000000n : 0xf5800000);
  expect(ask(6, g.words(4, 0n, 0n))).toBe(0);
  g.xen.read(g.cpu, at, words);
  expect(view.getUint32(4, true)).toBe((1 << 5) | (1 << 6) | (1 << 7) | (1 << 11) | (1 << 13) | (1 << 17));
  expect(ask(6, g.words(4, 1n, 0n))).toBe(-22);
  expect(ask(6, 0x1000n)).toBe(-14);
  expect([ask(2, at), ask(4, at), text(), ask(8, at), ask(9, at), ask(10), ask(10, g.words(4, 0n)), ask(10, g.words(4, 20n)), ask(10, 0x1000n)])
    .toEqual([0, 0, 'unavailable', 0, 0, -61, -22, -61, -14]);
  Object.assign(g.domain, { privileged: false });
  expect([ask(9, at), text(), ask(10)]).toEqual([0, '<denied>', -1]);
  expect(ask(99)).toBe(-38);
});

it.each(widths)('a %s guest says where its traps, stack and segments are', (_, wide) => {
  const g = new Guest({ wide, budget: 0 }), guest = g.domain.vcpus[0], set = (...words: bigint[]) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_trap_table, g.words(wide ? 8 : 4, ...words)));
  const trap = (vector: number, selector: number, address: bigint) => [BigInt(vector) | (4n << 8n) | (BigInt(selector) << 16n), address];
  expect(set(...trap(14, 0xe030, 0x1000n), ...trap(3, 0xe033, 0x2000n), 0n, 0n)).toBe(0);
  expect(guest.traps.get(14)).toEqual({ flags: 4, selector: wide ? 0xe033 : 0xe031, addressLo: 0x1000, addressHi: 0 });
  expect(guest.traps.get(3)?.selector).toBe(0xe033);
  if (wide) expect(set(...trap(1, 0xe033, 1n << 47n))).toBe(-22);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_trap_table, 0x1000n))).toBe(-14);
  expect(guest.traps.size).toBe(2);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_trap_table, 0n))).toBe(0);
  expect(guest.traps.size).toBe(0);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_stack_switch, 0xe028n, 0x5000n))).toBe(0);
  expect([guest.kernelSs, guest.kernelSpLo]).toEqual([wide ? 0xe02b : 0xe029, 0x5000]);
  const base = (which: bigint, value: bigint) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_set_segment_base, which, value));
  expect(base(2n, 0xffff800000001000n)).toBe(wide ? 0 : -38);
  expect([...guest.segmentBases.slice(4)]).toEqual(wide ? [0x1000, 0xffff8000 | 0] : [0, 0]);
  expect(base(0n, 1n << 47n)).toBe(wide ? -22 : -38);
  expect(base(3n, 8n)).toBe(wide ? 0 : -38);
  expect(base(4n, 0n)).toBe(wide ? -22 : -38);
});
