/**
 * XSA-213, "x86: 64bit PV guest breakout via pagetable use-after-mode-change" (CVE-2017-8903).
 *
 * A 64-bit guest has one root table for its kernel and one for its user mode. In a multicall the attacker makes the call `iret`, which switches
 * to user mode at once; the calls behind it in the list then run with the kernel's root taken for the one in use, which it is not. Base
 * pointers changed in that state leave the processor on a root table that has no references any more, and so can be written.
 *
 * As for the call: this engine has no `iret`. Modes change by `Hypervisor.setMode()` alone, between calls. What remains to be held: `iret` changes
 * nothing, in a list or alone; no call is served in user mode, where the real Xen hands a system call to the guest's kernel; and the root the
 * processor walks keeps its references in both modes. A 32-bit guest has one root only, but its user mode is refused calls too.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_mmuext_op, HYPERVISOR_update_va_mapping, MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR } from '../../src/xen/numbers.ts';
import { DATA, entryOf, READ, TABLE } from '../xen/guest.ts';
import { attacker, calls, EBUSY, EINVAL, ENOSYS, EPERM, holds, state, WIDTHS } from './world.ts';

const IRET = 23;

describe.each(WIDTHS)('XSA-213: a %s guest', (_, wide) => {
  it('returns from an interrupt in a list of calls: the mode stays, and the next calls work on the same root', () => {
    const g = attacker({ wide }), { cr3 } = g.cpu.registers, mapping = entryOf(g.free(0), READ);
    const map = wide ? [g.va(g.free(1)), mapping, 0n] : [g.va(g.free(1)), mapping, 0n, 0n];
    expect(calls(g, [IRET], [HYPERVISOR_update_va_mapping, ...map])).toEqual([ENOSYS, 0]);
    expect(Number(g.xen.hypercall(g.cpu, IRET))).toBe(ENOSYS);
    expect(g.cpu.registers.cr3).toBe(cr3);
    expect(g.xen.guestOf(g.cpu).kernelMode).toBe(true);
    holds(g);
  });

  it('makes calls in its user mode, and none is served', () => {
    const g = attacker({ wide }), root = g.free(0);
    if (wide) {
      g.table(root, [[511, entryOf(g.tables[1]!, TABLE)]]); // maps all that the kernel's root maps
      expect(g.ext(MMUEXT_NEW_USER_BASEPTR, BigInt(root))).toBe(0);
    }
    const drop = wide ? g.words(8, BigInt(MMUEXT_NEW_USER_BASEPTR), 0n, 0n) : g.words(4, BigInt(MMUEXT_NEW_BASEPTR), BigInt(root), 0n);
    expect(g.xen.setMode(g.cpu, 'user')).toBe(true);
    const before = state(g);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_mmuext_op, drop, 1n, 0n, 0x7ff0n))).toBe(EPERM);
    expect(g.map(g.va(g.free(1)), 0n)).toBe(EPERM);
    expect(Buffer.compare(before, state(g))).toBe(0);
    holds(g);
  });

  it.runIf(wide)('drops the root of its user mode: it is not walked any more when it can be written', () => {
    const g = attacker({ wide }), root = g.table(g.free(0), [[511, entryOf(g.tables[1]!, TABLE)]]);
    expect(g.ext(MMUEXT_NEW_USER_BASEPTR, BigInt(root))).toBe(0);
    expect(g.map(g.va(root), entryOf(root, DATA))).toBe(EBUSY);
    expect(g.ext(MMUEXT_NEW_BASEPTR, BigInt(root))).toBe(0);
    expect(g.ext(MMUEXT_NEW_USER_BASEPTR, 0n)).toBe(0);
    expect(g.map(g.va(root), entryOf(root, DATA))).toBe(EBUSY); // the kernel's now
    expect(g.ext(MMUEXT_NEW_BASEPTR, BigInt(g.tables[0]!))).toBe(0);
    expect(g.map(g.va(root), entryOf(root, DATA))).toBe(0);
    expect(g.xen.setMode(g.cpu, 'user')).toBe(false);
    expect(g.cpu.registers.cr3).toBe(BigInt(g.tables[0]!) << 12n);
    expect(g.ext(MMUEXT_NEW_USER_BASEPTR, BigInt(root))).toBe(EINVAL);
    holds(g);
  });
});
