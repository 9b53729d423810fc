/**
 * XSA-228, "grant_table: Race conditions with maptrack free list handling" (CVE-2017-12136).
 *
 * Each vCPU has a list of free handles, and takes from another's when its own is empty and no more can be made. Taking and giving back were not
 * kept apart; and a handle that was stolen for a list that had none kept its link into the list that it came from. The attacker has its vCPUs
 * take handles from each other and give them back, until one handle stands for two mappings; the first unmapping puts the other's references.
 *
 * Calls are made one after the other here, so that the race cannot be had. What remains: however vCPUs steal from each other, a handle is in
 * use once or free once (the audit's XG5, after each call), and none is lost. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { GNTMAP_device_map, GNTMAP_readonly, GNTST_no_space, GNTST_okay, GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { MAPTRACK_PER_PAGE } from '../../src/xen/maptrack.ts';
import { HYPERVISOR_grant_table_op } from '../../src/xen/numbers.ts';
import { MAP_STATUS, mapOp, UNMAP_STATUS, unmapOp } from '../xen/grant-struct.ts';
import { Tenants } from '../xen/tenants.ts';
import { WIDTHS } from './world.ts';

const REF = 9, DEVICE = GNTMAP_device_map | GNTMAP_readonly;

describe.each(WIDTHS)('XSA-228: a %s guest with three vCPUs', (_, wide) => {
  function scene() {
    const world = new Tenants({ wide, maxVcpus: 3, running: 3, grants: { maxMaptrackFrames: 1 } }), [attacker, victim] = world.list, bus = victim.frame(20) * 4096;
    const cpus = [attacker.cpu, ...world.machine.vcpus.slice(2)];
    for (let ref = REF; ref < REF + 2; ref++) victim.grant(ref, GTF_permit_access, attacker.id, victim.frame(20));
    const call = (vcpu: number, command: number, data: Uint8Array): DataView => {
      const at = attacker.leave(data);
      expect(Number(world.xen.hypercall(cpus[vcpu], HYPERVISOR_grant_table_op, BigInt(command), at, 1n))).toBe(0);
      world.check();
      return attacker.taken(data.length);
    };
    let made = 0; // a pin counts to 255
    /** @returns the handle, or a status below 0 */
    const map = (vcpu: number): number => {
      const view = call(vcpu, GNTTABOP_map_grant_ref, mapOp(0n, DEVICE, REF + (made++ & 1), 1)), status = view.getInt16(MAP_STATUS, true);
      return status === GNTST_okay ? view.getUint32(20, true) : status;
    };
    const unmap = (vcpu: number, handle: number): number => call(vcpu, GNTTABOP_unmap_grant_ref, unmapOp(0n, bus, handle)).getInt16(UNMAP_STATUS, true);
    return { world, attacker, victim, map, unmap };
  }

  it('takes all handles, some of them from another vCPU: each is handed out once', () => {
    const { world, attacker, victim, map, unmap } = scene(), used = new Set<number>();
    const take = (vcpu: number): boolean => {
      const handle = map(vcpu);
      if (handle < 0) return handle !== GNTST_no_space;
      expect(used.has(handle)).toBe(false);
      used.add(handle);
      return true;
    };
    for (let k = 0; k < 40; k++) take(0);
    for (const vcpu of [1, 2, 1, 1, 2, 0, 2, 1]) expect(take(vcpu)).toBe(true);
    for (const handle of [...used].slice(30)) {
      expect(unmap(handle % 3, handle)).toBe(GNTST_okay);
      used.delete(handle);
    }
    world.audited = false;
    for (let k = 0, vcpu = 0; vcpu < 3; k++) if (!take(k % 3) || k > 300) vcpu++;
    world.audited = true;
    expect([map(0), map(1), map(2)]).toEqual([GNTST_no_space, GNTST_no_space, GNTST_no_space]);
    expect(used.size).toBe(MAPTRACK_PER_PAGE - 3); // one stays in each list
    world.audited = false;
    for (const handle of used) expect(unmap(handle % 3, handle)).toBe(GNTST_okay);
    world.audited = true;
    world.check();
    expect([victim.pins(REF), victim.pins(REF + 1), [...attacker.domain.grants.maptrack.free()].length]).toEqual([0, 0, MAPTRACK_PER_PAGE]);
  });
});
