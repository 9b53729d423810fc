/**
 * XSA-342, "out of bounds event channels available to 32-bit x86 domains" (CVE-2020-25600).
 *
 * The two-level format has 1024 ports for 32-bit guests and 4096 for 64-bit ones. Which a domain is was not known when the bound was set, and a
 * 32-bit guest got 4096: the bits of its ports from 1024 on are those of other things in the page that it shares with the hypervisor, and beyond
 * the words that the selector has bits for.
 *
 * No port beyond its width's last may be had or waited for, and raising and clearing the last one changes its own bits. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_sched_op } from '../../src/xen/numbers.ts';
import { SCHEDOP_poll } from '../../src/xen/sched-op.ts';
import { struct } from '../xen/grant-struct.ts';
import { Tenants } from '../xen/tenants.ts';
import { ALLOC_UNBOUND, BIND_IPI, CLOSE, fillPorts, SEND, statusOf, UNBOUND_SELF, UNMASK } from './ports.ts';
import { EINVAL, WIDTHS } from './world.ts';

const ENOSPC = -28;

describe.each(WIDTHS)('XSA-342: a %s guest', (_, wide) => {
  it('opens as many ports as it can, and uses the last', () => {
    const world = new Tenants({ wide }), [attacker] = world.list, last = wide ? 4095 : 1023, bytes = world.machine.views.u8, page = world.xen.host.table(attacker.sharedInfo) * 4;
    fillPorts(attacker, last - 1);
    expect(attacker.event(BIND_IPI, 0)).toMatchObject({ rc: 0, out: { 1: last } });
    expect([attacker.event(ALLOC_UNBOUND, UNBOUND_SELF).rc, attacker.event(BIND_IPI, 0).rc, statusOf(attacker, last + 100)]).toEqual([ENOSPC, ENOSPC, EINVAL]);
    const shared = (): number[] => [...bytes.subarray(page, page + 4096)], before = shared();
    const changed = (): number[] => shared().flatMap((byte, k) => (byte === before[k] ? [] : [k]));
    expect(attacker.event(SEND, last).rc).toBe(0);
    expect(changed()).toEqual([0, wide ? 15 : 7, 0x800 + (last >>> 3)]); // the upcall, the selector, the pending bit
    expect(shared()[0x800 + (last >>> 3)]).toBe(0x80);
    expect(attacker.event(UNMASK, last).rc).toBe(0);
    expect(attacker.event(CLOSE, last).rc).toBe(0);
    expect(changed()).toEqual([0, wide ? 15 : 7]);
  });

  it('waits for a port that it cannot have', () => {
    const world = new Tenants({ wide }), [attacker] = world.list, size = wide ? 8 : 4;
    for (const port of [0, 1, wide ? 4096 : 1024, 4095, 0x1ffff, 0xffffffff]) {
      attacker.leave(struct([[4, port]]), 128);
      const at = attacker.leave(struct([[size, attacker.va(63) + 128n], [4, 1], [4, 0], [8, 0]]));
      expect([attacker.call(HYPERVISOR_sched_op, BigInt(SCHEDOP_poll), at), attacker.domain.vcpus[0].blocked]).toEqual([EINVAL, false]);
    }
  });
});
