/**
 * XSA-401, "x86 pv: Race condition in typeref acquisition" (CVE-2022-26362).
 *
 * The attacker maps a frame writable and lets one vCPU cache that in its TLB, then takes the mapping away without a flush: the frame has no
 * uses as writable any more. Another vCPU makes a page table of it. The flush that has to come with the change of type came after the new
 * type was visible, so that the first vCPU could write the table, through its TLB, while and after its entries were validated.
 *
 * The flush must come before validation: no vCPU of the owner may have a TLB entry that can write a frame whose entries were looked at. The same
 * when a frame goes from one level to another, and when a page table becomes writable again. Calls of this engine's vCPUs are served one after
 * the other, so the race itself cannot be run; the order can be told from what each vCPU may do when the call is over, and, in parts
 * of a call that is preempted, in between. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_mmuext_op, MMUEXT_PIN_L1_TABLE } from '../../src/xen/numbers.ts';
import { DATA, entryOf, P, READ, RW, TABLE, US } from '../xen/guest.ts';
import { addressIn, attacker, EBUSY, EINVAL, holds, level2, load, PAGE_FAULT, poke, store, WIDTHS } from './world.ts';

describe.each(WIDTHS)('XSA-401: a %s guest', (_, wide) => {
  it.each([1, 2])('writes a new level-%i table through TLB entries of when it was writable, and faults', level => {
    const g = attacker({ wide, vcpus: 2 }), mfn = g.free(0), va = g.va(mfn);
    for (const cpu of g.machine.vcpus) expect(store(g, va, 0n, cpu)).toBe(0);
    expect(g.map(va, entryOf(mfn, READ), 0n)).toBe(0); // no flush: the processors go on writing
    for (const cpu of g.machine.vcpus) expect(store(g, va + 4088n, 0n, cpu)).toBe(0);
    expect(g.pin(level, mfn)).toBe(0);
    for (const cpu of g.machine.vcpus) {
      // Level 1 is emulated, and the entry refused; level 2 is not.
      expect(store(g, va + 8n, entryOf(g.tables[0]!, P | RW | US), cpu)).toEqual([PAGE_FAULT, 3]);
    }
    expect(g.entry(mfn, 1)).toBe(0n);
    holds(g);
  });

  it('writes it through a mapping that is gone, and faults', () => {
    const g = attacker({ wide, vcpus: 2 }), mfn = g.free(0), second = addressIn(g, 0, 200), [, other] = g.machine.vcpus;
    expect(g.map(second, entryOf(mfn, DATA))).toBe(0);
    expect(store(g, second, 0n, other)).toBe(0);
    expect(g.map(g.va(mfn), entryOf(mfn, READ), 0n)).toBe(0);
    expect(g.pin(1, mfn)).toBe(EINVAL); // one use as writable is left
    expect(g.map(second, 0n, 0n)).toBe(0);
    expect(store(g, second, 0n, other)).toBe(0);
    expect(g.pin(1, mfn)).toBe(0);
    expect(store(g, second, entryOf(g.tables[0]!, P | RW | US), other)).toEqual([PAGE_FAULT, 2]);
    holds(g);
  });

  it('reads nothing through a table that became another level, or data', () => {
    const g = attacker({ wide, vcpus: 2 }), l1 = g.table(g.free(0), [[3, entryOf(g.free(20), READ)]]), va = addressIn(g, 9, 3);
    poke(g, g.free(20), 0, 77n);
    expect(g.update([level2(g), 9, entryOf(l1, TABLE)])).toBe(0);
    for (const cpu of g.machine.vcpus) expect(load(g, va, cpu)).toBe(77n);
    expect(g.map(g.va(l1), entryOf(l1, DATA))).toBe(EBUSY);
    expect(g.update([level2(g), 9, 0n])).toBe(0);
    expect(g.map(g.va(l1), entryOf(l1, DATA), 0n)).toBe(0);
    for (const cpu of g.machine.vcpus) {
      expect(load(g, va, cpu)).toBeUndefined();
      expect(store(g, g.va(l1), 1n, cpu)).toBe(0);
    }
    holds(g);
  });

  it('writes it between the parts of a preempted validation, and faults', () => {
    const g = attacker({ wide, vcpus: 2, budget: 1 }), mfn = g.free(0), va = g.va(mfn), [, other] = g.machine.vcpus;
    for (let k = 0; k < 4; k++) g.table(g.free(10 + k));
    for (let k = 0; k < 4; k++) expect(store(g, va + BigInt(k * 8), entryOf(g.free(10 + k), TABLE), other)).toBe(0);
    expect(g.map(va, entryOf(mfn, READ), 0n)).toBe(0);
    const op = wide ? g.words(8, BigInt(MMUEXT_PIN_L1_TABLE + 1), BigInt(mfn), 0n) : g.words(4, BigInt(MMUEXT_PIN_L1_TABLE + 1), BigInt(mfn), 0n);
    g.xen.setCall(g.cpu, HYPERVISOR_mmuext_op, op, 1n, 0n, 0x7ff0n);
    let parts = 0;
    for (let rc = g.xen.dispatchPart(g.cpu); g.xen.host.preempted; rc = g.xen.dispatchPart(g.cpu)) {
      expect(store(g, va, entryOf(g.tables[0]!, P | RW | US), other), `part ${parts++} (${rc})`).toEqual([PAGE_FAULT, 3]);
      holds(g);
    }
    expect(parts).toBeGreaterThan(3);
    expect(g.pin(2, mfn)).toBe(EINVAL); // it is pinned
    holds(g);
  });
});
