/** The end of a driver domain, and what its frontend sees of it; and of a frontend, with what its driver domain has of it. */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_device_map, GNTMAP_host_map, GNTST_bad_domain, GNTST_bad_handle, GNTST_general_error, GNTST_okay, GTF_accept_transfer, GTF_permit_access, GTF_reading,
  GTF_writing,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { ALLOC_UNBOUND, BIND_INTERDOMAIN, CLOSE, interdomain, SEND, statusOf, unbound } from '../xsa/ports.ts';
import { DATA_FRAME, OWNED, SPARE, Tenants, type Tenant } from './tenants.ts';

const ESRCH = -3, EINVAL = -22, IN_USE = GTF_reading | GTF_writing, RING = 9;

/** A frontend, domain 0, grants a ring and some data to a driver domain, domain 1, which maps them and binds a port. */
function scene(wide: boolean) {
  const world = new Tenants({ wide, domains: 3 }), [front, driver] = world.list;
  for (let k = 0; k < 4; k++) front.grant(RING + k, GTF_permit_access, driver.id, front.frame(20 + k));
  const handles = [0, 1, 2, 3].map(k => driver.mapGrant(driver.va(SPARE + k), k === 3 ? GNTMAP_host_map | GNTMAP_device_map : GNTMAP_host_map, RING + k, front.id).handle);
  const port = unbound(front, driver.id), theirs = interdomain(driver, front.id, port), inUse = () => [0, 1, 2, 3].map(k => front.flags(RING + k) & IN_USE);
  return { world, front, driver, handles, port, theirs, inUse };
}

describe.each([['64-bit', true], ['32-bit', false]] as const)('with %s domains', (_, wide) => {
  it('a driver domain is killed and replaced: its uses end, its port is unbound, and the frontend begins again', () => {
    const { world, front, driver, port, inUse } = scene(wide), { frames } = world.xen.host, refs = () => [0, 1, 2, 3].map(k => frames.refs(front.frame(20 + k)));
    expect([inUse(), refs()]).toEqual([[IN_USE, IN_USE, IN_USE, IN_USE], [3, 3, 3, 4]]);
    const next = world.replace(1, 7);
    expect([inUse(), refs(), [0, 1, 2, 3].map(k => front.pins(RING + k))]).toEqual([[0, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]]);
    expect([world.xen.host.domain(driver.id), statusOf(front, port), front.event(SEND, port).rc]).toEqual([undefined, 1, 0]);
    // What was for the old one is not for the new one.
    expect([next.mapGrant(next.va(SPARE), GNTMAP_host_map, RING, front.id).status, next.event(BIND_INTERDOMAIN, front.id, port).rc]).toEqual([GNTST_general_error, EINVAL]);
    expect([next.unmapGrant(next.va(SPARE), 0, 0), front.event(CLOSE, port).rc, statusOf(front, port)]).toEqual([GNTST_bad_handle, 0, 0]);
    front.grant(RING, GTF_permit_access, next.id, front.frame(20));
    const again = unbound(front, next.id), { status, handle } = next.mapGrant(next.va(SPARE), GNTMAP_host_map, RING, front.id), theirs = interdomain(next, front.id, again);
    expect([again, status, next.event(SEND, theirs).rc, statusOf(front, again), inUse()[0]]).toEqual([port, GNTST_okay, 0, 2, IN_USE]);
    expect([next.unmapGrant(next.va(SPARE), 0, handle), inUse()[0]]).toEqual([GNTST_okay, 0]);
  });

  it('a driver domain that overwrote its mappings is killed: they are no less its uses, and end with it', () => {
    const { world, front, driver, inUse } = scene(wide);
    for (let k = 0; k < 3; k++) expect(driver.map(SPARE + k, 0n)).toBe(0);
    expect([inUse(), world.xen.host.frames.refs(front.frame(20))]).toEqual([[IN_USE, IN_USE, IN_USE, IN_USE], 2]);
    world.xen.destroyDomain(driver.id);
    expect([inUse(), world.xen.audit()]).toEqual([[0, 0, 0, 0], []]);
  });

  it('a frontend is killed with its grants mapped: its frames live on until they are not, and then its number is free', () => {
    const { world, front, driver, handles, theirs } = scene(wide), { host } = world.xen, byte = Uint8Array.of(7);
    const free = (): number => Array.from({ length: OWNED }, (_x, k) => host.frames.isFree(front.frame(k))).filter(Boolean).length;
    world.xen.destroyDomain(front.id);
    expect([host.domain(front.id)?.dead, host.domain(front.id)?.totalPages, free(), world.xen.audit()]).toEqual([true, 4, OWNED - 4, []]);
    expect([statusOf(driver, theirs), driver.event(SEND, theirs).rc, world.xen.write(driver.cpu, driver.va(SPARE), byte)]).toEqual([1, 0, 0]);
    expect([driver.event(BIND_INTERDOMAIN, front.id, 1).rc, driver.event(ALLOC_UNBOUND, DOMID_SELF | (front.id << 16)).rc]).toEqual([EINVAL, 0]);
    expect(driver.copy([['ref', RING, front.id, 0], ['frame', driver.frame(DATA_FRAME), DOMID_SELF, 0], 8])[0]).toBeLessThan(0); // in use to be mapped, but no new use
    for (const k of [0, 1, 2]) expect([driver.unmapGrant(driver.va(SPARE + k), 0, handles[k]), host.domain(front.id)?.totalPages]).toEqual([GNTST_okay, 3 - k]);
    const [ring] = [front.frame(23) * 4096];
    expect([driver.unmapGrant(driver.va(SPARE + 3), 0, handles[3]), host.domain(front.id)?.totalPages]).toEqual([GNTST_okay, 1]); // for a device still
    expect([driver.unmapGrant(0n, ring, handles[3]), host.domain(front.id), free()]).toEqual([GNTST_okay, undefined, OWNED]);
    expect([driver.event(BIND_INTERDOMAIN, front.id, 1).rc, driver.mapGrant(driver.va(SPARE), GNTMAP_host_map, RING, front.id).status]).toEqual([ESRCH, GNTST_bad_domain]);
    expect([...world.machine.views.u8.subarray(host.table(front.frame(20)) * 4, host.table(front.frame(20)) * 4 + 1)]).toEqual([0]); // and nothing of it can be read
  });

  it('a frontend is killed while a frame is on its way to it: no one has the frame', () => {
    const { world, front, driver } = scene(wide), { frames } = world.xen.host, give = (k: number, ref: number): number => driver.map(k, 0n) || driver.transfer(driver.frame(k), front.id, ref);
    for (const ref of [16, 17]) front.grant(ref, GTF_accept_transfer, driver.id, 5);
    const pages = front.domain.totalPages;
    expect([give(30, 16), front.domain.totalPages, frames.owner(driver.frame(30))]).toEqual([GNTST_okay, pages + 1, front.id]);
    world.xen.destroyDomain(front.id);
    expect([give(31, 17), frames.isFree(driver.frame(30)), frames.isFree(driver.frame(31))]).toEqual([GNTST_general_error, true, true]);
    expect([driver.domain.totalPages, world.xen.audit()]).toEqual([OWNED - 2, []]);
  });

  it('a frontend is killed whose mapping was overwritten, and another gets its number: the handle is not for grants of that one', () => {
    for (const end of ['unmap', 'die'] as const) {
      const { world, front, driver, handles } = scene(wide), { host } = world.xen;
      for (let k = 0; k < 3; k++) expect(driver.map(SPARE + k, 0n)).toBe(0);
      expect(driver.unmapGrant(driver.va(SPARE + 3), front.frame(23) * 4096, handles[3])).toBe(GNTST_okay);
      const next = world.replace(0, 9, true);
      expect([next.id, host.domain(front.id)]).toEqual([front.id, next.domain]);
      next.grant(RING, GTF_permit_access, driver.id, next.frame(20));
      const { status, handle } = driver.mapGrant(driver.va(SPARE), GNTMAP_host_map, RING, next.id);
      expect([status, next.pins(RING), host.frames.refs(next.frame(20))]).toEqual([GNTST_okay, 1, 3]);
      if (end === 'die') {
        world.xen.destroyDomain(driver.id);
        expect([next.pins(RING), next.flags(RING), host.frames.refs(next.frame(20)), world.xen.audit()]).toEqual([0, GTF_permit_access, 2, []]);
        continue;
      }
      driver.unmapGrant(driver.va(SPARE), 0, handles[0]);
      expect([next.pins(RING), host.frames.refs(next.frame(20)), driver.domain.crashed?.includes('gone')]).toEqual([1, 3, true]);
      expect([driver.unmapGrant(driver.va(SPARE), 0, handle), next.pins(RING)]).toEqual([GNTST_okay, 0]);
    }
  });

  it('two domains that have each other\'s frames are killed, one after the other: both are gone', () => {
    for (const first of [0, 1]) {
      const { world, front, driver } = scene(wide), order: Tenant[] = first === 0 ? [front, driver] : [driver, front];
      driver.grant(RING, GTF_permit_access, front.id, driver.frame(20));
      expect(front.mapGrant(front.va(SPARE), GNTMAP_host_map, RING, driver.id).status).toBe(GNTST_okay);
      for (const { id } of order) {
        world.xen.destroyDomain(id);
        expect(world.xen.audit()).toEqual([]);
      }
      expect(order.map(({ id }) => world.xen.host.domain(id))).toEqual([undefined, undefined]);
    }
  });
});
