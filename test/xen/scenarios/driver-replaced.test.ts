/** A driver domain is killed with requests in flight and pages mapped, and another takes its place: no request is lost, nothing leaks. */
import { expect, it } from 'vitest';
import { DeferredRelease } from '../../../src/xen/deferred-release.ts';
import { BlockBack, BlockFront, READ, WRITE } from './block.ts';
import { Host, Kernel } from './kernel.ts';

const REQUESTS = 12, SERVED = 5, HUNG = 3;

it('12 requests: 5 answered and seen, 3 mapped, 4 not looked at; 7 are asked again', () => {
  const host = new Host(3), front = new Kernel(host, 1, 0), first = new Kernel(host, 2, 1), before = host.leftovers(front);
  const disk = new Uint8Array(REQUESTS * 4096), statuses = new Map<number, number[]>(), f = new BlockFront(front);
  f.connect(2);
  const b = new BlockBack(first, f, disk), pages = Array.from({ length: REQUESTS }, () => front.take());
  pages.forEach((page, k) => {
    front.bytes(page).fill(k + 1);
    f.submit(WRITE, k * 8, [page], status => statuses.set(k, [...(statuses.get(k) ?? []), status]));
  });
  expect(b.serve(SERVED)).toBe(SERVED);
  f.complete();
  expect(statuses.size).toBe(SERVED);
  for (let k = 0; k < HUNG; k++) b.hang();
  expect(host.leftovers(front, first)).toMatchObject({ pinned: HUNG + 1, ports: 2 });

  host.destroy(first);
  expect(host.xen.host.domain(2)).toBeUndefined();
  expect(host.leftovers(front)).toMatchObject({ pinned: 0, ports: 1 }); // the front's port is unbound
  const state = front.domain.events!.port(f.port);
  expect([state.state, state.remoteDomid]).toEqual([2, 2]); // for no one but a domain of the same number
  front.send(f.port); // silent

  const second = new Kernel(host, 3, 2), given: number[] = [], deferred = new DeferredRelease<number>(front.grants, page => given.push(page));
  f.reconnect(3, deferred);
  expect([deferred.waiting, given.length]).toEqual([0, REQUESTS - SERVED + 1]); // nothing to wait for: whoever used them is gone
  front.pages.push(...given.filter(page => page >= 0));
  const replacement = new BlockBack(second, f, disk);
  expect(f.resubmit()).toBe(REQUESTS - SERVED);
  expect(replacement.serve()).toBe(REQUESTS - SERVED);
  f.complete();
  expect([...statuses.entries()].sort(([a], [c]) => a - c)).toEqual(pages.map((_, k) => [k, [0]])); // each once
  for (let k = 0; k < REQUESTS; k++) expect(disk.subarray(k * 4096, (k + 1) * 4096).every(byte => byte === k + 1)).toBe(true);

  f.submit(READ, 0, [pages[7]!]);
  replacement.serve();
  f.complete();
  expect(front.bytes(pages[7]!).every(byte => byte === 1)).toBe(true);
  replacement.disconnect();
  f.disconnect();
  front.pages.push(...pages);
  expect(host.leftovers(front)).toEqual(before);
});

it('the number of a dead driver domain is taken until the last page of it is unmapped', () => {
  const host = new Host(2), front = new Kernel(host, 1, 0), driver = new Kernel(host, 2, 1), page = driver.take(), ref = driver.grants.grant(1, page);
  driver.bytes(page).fill(0x5a);
  const mappings = front.map(2, [ref]);
  host.destroy(driver);
  expect(host.xen.host.domain(2)?.dying).toBe(true);
  const { buffer, offset } = front.reach(mappings[0]!.va);
  expect(new Uint8Array(buffer, offset, 1)[0]).toBe(0x5a); // what is mapped stays, and no one else gets it
  expect(() => front.map(2, [ref + 1])).toThrow('map: -1');
  front.unmap(mappings);
  expect(host.xen.host.domain(2)).toBeUndefined();
  host.audit();
});

it('a front that dies leaves its back with mappings that still hold, and that it can give up', () => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1), f = new BlockFront(front);
  f.connect(0);
  const b = new BlockBack(back, f, new Uint8Array(65536));
  f.submit(READ, 0, [front.take()]);
  const hung = b.hang();
  host.destroy(front);
  expect(host.xen.host.domain(1)?.totalPages).toBe(2); // the ring and the page
  expect(host.leftovers(back)).toMatchObject({ ports: 1 });
  back.unmap(hung);
  b.disconnect();
  expect(host.xen.host.domain(1)).toBeUndefined();
  expect(host.leftovers(back)).toMatchObject({ pinned: 0, ports: 0 });
});
