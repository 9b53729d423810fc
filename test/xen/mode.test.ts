import { describe, expect, it } from 'vitest';
import { ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { HYPERVISOR_vm_assist } from '../../src/xen/numbers.ts';
import { Guest, entryOf, DATA, TABLE, US } from './guest.ts';

const NEW_BASEPTR = 5, NEW_USER_BASEPTR = 15;

/** A second root table with the same single entry as the first. */
function secondRoot(g: Guest): number {
  return g.table(g.free(0), [[511, entryOf(g.tables[1], TABLE)]]);
}

describe('root tables of a 64-bit guest', () => {
  it('has none for user mode at first, and switches with one', () => {
    const g = new Guest();
    expect(g.xen.setMode(g.cpu, 'user')).toBe(false);
    expect(g.ext(NEW_USER_BASEPTR, BigInt(secondRoot(g)))).toBe(0);
    expect(g.xen.setMode(g.cpu, 'user')).toBe(true);
    expect(g.cpu.registers.cr3).toBe(BigInt(g.free(0)) << 12n);
    const fault = g.xen.write(g.cpu, 0x1000n, Uint8Array.of(1));
    expect([fault >>> 16, fault & 0xffff]).toEqual([14, 6]); // user, write, not present
    expect(g.xen.setMode(g.cpu, 'kernel')).toBe(true);
    expect(g.xen.write(g.cpu, 0x1000n, Uint8Array.of(1)) & 0xffff).toBe(2); // the kernel's faults have no U/S
    expect(g.xen.audit()).toEqual([]);
    expect(g.ext(NEW_USER_BASEPTR, 0n)).toBe(0);
    expect(g.map(g.va(g.free(0)), entryOf(g.free(0), DATA))).toBe(0); // no table any more
  });

  /** Source: _toggle_guest_pt() (xen/arch/x86/pv/domain.c), adjust_guest_l1e() (xen/arch/x86/pv/mm.h): a user's pages are global, a kernel's are not. */
  it('keeps what is cached of user pages when it switches, and nothing of kernel pages', () => {
    const g = new Guest({ mode: 'timed' }), user = g.va(g.free(5)), kernel = g.va(g.free(6));
    expect([g.map(user, entryOf(g.free(5), DATA)), g.map(kernel, entryOf(g.free(6), DATA & ~US))]).toEqual([0, 0]);
    expect(g.ext(NEW_USER_BASEPTR, BigInt(secondRoot(g)))).toBe(0);
    const path = (va: bigint): string => { const t = g.cpu.translate(va, ACCESS_USER); return t.ok ? t.path : 'fault'; };
    for (const va of [user, kernel]) path(va);
    expect([path(user), path(kernel)]).toEqual(['tlb1+', 'tlb1+']);
    for (const mode of ['user', 'kernel'] as const) expect(g.xen.setMode(g.cpu, mode)).toBe(true);
    expect(path(user)).toBe('tlb1+');
    expect(path(kernel)).toMatch(/walk/);
    expect(g.ext(NEW_BASEPTR, BigInt(g.tables[0]))).toBe(0); // another root, or the same: everything goes
    expect(path(user)).toMatch(/walk/);
    expect(g.xen.audit()).toEqual([]);
  });

  it('shows the machine-to-physical table through the root in use, read-only', () => {
    const g = new Guest(), root = secondRoot(g), word = new Uint8Array(8);
    expect(g.ext(NEW_BASEPTR, BigInt(root))).toBe(0);
    expect(g.xen.read(g.cpu, 0xffff_8000_0000_0000n + BigInt(g.free(5) * 8), word)).toBe(0);
    expect(new DataView(word.buffer).getUint32(0, true)).toBe(64 + 5);
    expect(g.xen.write(g.cpu, 0xffff_8000_0000_0000n + BigInt(g.free(5) * 8), word) & 0xffff).toBe(3);
    expect(g.xen.audit()).toEqual([]);
  });

  /** Source: VMASST_TYPE_m2p_strict in init_xen_l4_slots() as promote_l4_table() calls it, new_guest_cr3(), MMUEXT_NEW_USER_BASEPTR (xen/arch/x86/mm.c). */
  it('has that table strictly in roots of its kernel, if it wants so: from their validation on, and never in those of user mode', () => {
    const STRICT = 32n, WINDOW = 256, assist = (g: Guest, on: bigint) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_vm_assist, on, STRICT));
    const shown = (g: Guest, root: number) => g.entry(root, WINDOW) !== 0n;
    const early = new Guest(), before = secondRoot(early);
    expect(early.pin(4, before)).toBe(0);
    expect(assist(early, 0n)).toBe(0);
    expect(early.ext(NEW_BASEPTR, BigInt(before))).toBe(0);
    expect(shown(early, before)).toBe(false);
    const g = new Guest(), root = secondRoot(g);
    expect(assist(g, 0n)).toBe(0);
    expect(g.pin(4, root)).toBe(0);
    expect(shown(g, root)).toBe(true);
    expect(g.ext(NEW_USER_BASEPTR, BigInt(root))).toBe(0);
    expect(shown(g, root)).toBe(false);
    expect(assist(g, 1n)).toBe(0);
    expect(g.ext(NEW_BASEPTR, BigInt(root))).toBe(0);
    expect(shown(g, root)).toBe(true);
    expect(assist(new Guest({ wide: false }), 0n)).toBe(-22);
  });

  it('emulates a store that the embedder made and that faulted', () => {
    const g = new Guest(), at = g.va(g.level1[0]) + 200n * 8n, data = new Uint8Array(8), fault = g.cpu.write(at, data, ACCESS_USER | ACCESS_WRITE);
    expect(fault).toBe((14 << 16) | 7);
    expect(g.xen.pageFault(g.cpu, fault, at, data)).toBe(0);
    expect(g.entry(g.level1[0], 200)).toBe(0n);
    expect(g.xen.pageFault(g.cpu, fault, at)).toBe((14 << 16) | 3);
    expect(g.xen.audit()).toEqual([]);
  });
});

it('a 32-bit guest reads its window with supervisor rights only, and its kernel is one', () => {
  const g = new Guest({ wide: false }), word = new Uint8Array(4), window = 0xf580_0000n + BigInt(g.free(5) * 4);
  expect(g.xen.read(g.cpu, window, word)).toBe(0);
  expect(new DataView(word.buffer).getUint32(0, true)).toBe(64 + 5);
  expect(g.xen.setMode(g.cpu, 'user')).toBe(true);
  expect(g.xen.read(g.cpu, window, word)).toBe((14 << 16) | 5);
});
