/**
 * XSA-379, "grant table v2 status pages may remain accessible after de-allocation" (CVE-2021-28697).
 *
 * Guests with translated physical addresses have the frames of their grant table put there by XENMEM_add_to_physmap. Two such calls at once could put one
 * status frame into two places, of which only one was known when the table went back to version 1 and the frame was freed.
 *
 * That call is not for paravirtualized guests, the only ones here: it must be refused them for the grant table, as for all else. They map status frames by
 * their page tables, in as many places as they like, and domains that control them do too: the change of version must wait for the last of
 * these, and no processor may reach a freed frame, once it is given out again, by what it has cached. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_memory_op, HYPERVISOR_update_va_mapping_otherdomain, XENMEM_add_to_physmap, XENMEM_add_to_physmap_batch } from '../../src/xen/numbers.ts';
import { struct } from '../xen/grant-struct.ts';
import { DATA, entryOf } from '../xen/guest.ts';
import { SPARE, Tenants } from '../xen/tenants.ts';
import { EACCES, EBUSY, WIDTHS } from './world.ts';

const XENMAPSPACE_grant_table = 1, STATUS_INDEX = 0x80000000;

describe.each(WIDTHS)('XSA-379: a %s guest', (_, wide) => {
  function scene(running: number) {
    const world = new Tenants({ wide, privileged: [1], maxVcpus: running, running }), [attacker, control] = world.list;
    expect(attacker.setVersion(2)).toBe(0);
    return { world, attacker, control, status: attacker.domain.grants.statusFrames[0] };
  }

  it('has frames of its grant table put where its physical addresses would be', () => {
    const { world, attacker } = scene(1), size = wide ? 8 : 4;
    for (const index of [0, STATUS_INDEX]) {
      const one = attacker.leave(struct([[2, 0x7ff0], [2, 0], [4, XENMAPSPACE_grant_table], [size, index], [size, 60]]));
      expect(attacker.call(HYPERVISOR_memory_op, BigInt(XENMEM_add_to_physmap), one)).toBe(EACCES);
      const lists = [0, 1, 2].map(() => [size, attacker.va(63) + 512n] as const);
      const batch = attacker.leave(struct([[2, 0x7ff0], [2, XENMAPSPACE_grant_table], [2, 1], [2, 0], ...lists]));
      const before = world.state();
      expect([attacker.call(HYPERVISOR_memory_op, BigInt(XENMEM_add_to_physmap_batch), batch), Buffer.compare(before, world.state())]).toEqual([EACCES, 0]);
    }
  });

  it('maps a status frame in several places, and another domain does', () => {
    const { world, attacker, control, status } = scene(2), { frames } = world.xen.host, second = world.machine.vcpus[2], byte = new Uint8Array(1);
    expect([attacker.map(SPARE, entryOf(status, DATA)), attacker.map(SPARE + 1, entryOf(status, DATA))]).toEqual([0, 0]);
    const other = wide ? [control.va(SPARE), entryOf(status, DATA), 2n, 0n] : [control.va(SPARE), entryOf(status, DATA) & 0xffffffffn, entryOf(status, DATA) >> 32n, 2n, 0n];
    expect(control.call(HYPERVISOR_update_va_mapping_otherdomain, ...other)).toBe(0);
    for (const cpu of [attacker.cpu, second]) expect([0, 1].map(k => world.xen.read(cpu, attacker.va(SPARE + k), byte))).toEqual([0, 0]);
    for (const unmap of [() => attacker.map(SPARE, 0n), () => control.map(SPARE, 0n), () => attacker.map(SPARE + 1, 0n)]) {
      expect([attacker.setVersion(1), frames.isFree(status), unmap()]).toEqual([EBUSY, false, 0]);
    }
    expect([attacker.setVersion(1), frames.isFree(status)]).toEqual([0, true]);
    expect(control.setVersion(2)).toBe(0); // frames are given out again
    for (const cpu of [attacker.cpu, second]) expect([0, 1].map(k => world.xen.read(cpu, attacker.va(SPARE + k), byte) >>> 16)).toEqual([14, 14]);
  });
});
