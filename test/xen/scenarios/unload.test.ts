/** A frontend is unloaded while its backend still has pages of it mapped: they are given back as the backend lets go, and not before. */
import { expect, it } from 'vitest';
import { DeferredRelease } from '../../../src/xen/deferred-release.ts';
import { ConfigError } from '../../../src/errors.ts';
import { BlockBack, BlockFront, READ } from './block.ts';
import { Host, Kernel, type Mapping } from './kernel.ts';

const HUNG = 6, PAGES = 4;

it.each([1, 2])('version %i of the grant table: 24 pages and a ring, ten entries a tick', version => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1);
  if (version === 2) front.version2();
  const before = host.leftovers(back, front), references = front.grants.available, f = new BlockFront(front);
  f.connect(0);
  const b = new BlockBack(back, f, new Uint8Array(2 ** 20)), pages = Array.from({ length: HUNG * PAGES }, () => front.take());
  for (let k = 0; k < HUNG; k++) f.submit(READ, 0, pages.slice(k * PAGES, (k + 1) * PAGES));
  const hung: Mapping[][] = Array.from({ length: HUNG }, () => b.hang());
  expect(host.leftovers(back, front)).toMatchObject({ pinned: HUNG * PAGES + 1, ports: 2 });

  const released: number[] = [], deferred = new DeferredRelease<number>(front.grants, page => { released.push(page); front.pages.push(page); });
  f.unload(deferred);
  expect([deferred.waiting, released.length]).toEqual([HUNG * PAGES + 1, 0]);
  expect([deferred.tick(), deferred.tick(), deferred.tick()]).toEqual([0, 0, 0]); // nobody let go yet
  expect(host.leftovers(back, front)).toMatchObject({ pinned: HUNG * PAGES + 1, ports: 1 }); // the back's port is unbound, and its own to close

  back.unmap(hung[2]!);
  back.unmap(hung[5]!);
  const ticks = [deferred.tick(), deferred.tick(), deferred.tick()]; // 25 entries: each of them is tried once
  expect(ticks.reduce((sum, n) => sum + n, 0)).toBe(2 * PAGES);
  expect(Math.max(...ticks)).toBeLessThanOrEqual(10);
  expect(new Set(released)).toEqual(new Set([...pages.slice(8, 12), ...pages.slice(20, 24)]));

  for (const k of [0, 1, 3, 4]) back.unmap(hung[k]!);
  b.disconnect();
  expect([deferred.tick(), deferred.tick(), deferred.tick()]).toEqual([10, 7, 0]);
  expect([deferred.waiting, released.length, front.grants.available]).toEqual([0, HUNG * PAGES + 1, references]);
  expect(host.leftovers(back, front)).toEqual(before);
  expect(() => back.map(1, [f.ringRef])).toThrow('map: -1');
});

it('what is not in use is released at once', () => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1), page = front.take();
  const released: string[] = [], deferred = new DeferredRelease<string>(front.grants, what => released.push(what), 1);
  const [used, unused] = [front.grants.grant(0, page), front.grants.grant(0, page, true)], mappings = back.map(1, [used]);
  expect([deferred.end(unused, 'unused'), deferred.end(used, 'used'), released]).toEqual([true, false, ['unused']]);
  back.unmap(mappings);
  expect([deferred.tick(), released, deferred.tick()]).toEqual([1, ['unused', 'used'], 0]);
  expect(() => new DeferredRelease(front.grants, () => {}, 0)).toThrow(ConfigError);
});
