/** A block ring between two domains: 32 requests of 4 pages, written and read back, mapped or copied. */
import { expect, it } from 'vitest';
import { BlockBack, BlockFront, READ, WRITE } from './block.ts';
import { Host, Kernel } from './kernel.ts';

const REQUESTS = 16, PAGES = 4, SECTORS = 8;

const pattern = (page: number) => Uint8Array.from({ length: 4096 }, (_, k) => (page * 37 + k * 11 + (k >>> 8)) & 0xff);

it.each([
  ['mapped', { mapped: 1 + 2 * REQUESTS * PAGES, unmapped: 1 + 2 * REQUESTS * PAGES, copied: 0, sent: 2 }, 2 + 4 * REQUESTS],
  ['copied', { mapped: 1, unmapped: 1, copied: 2 * REQUESTS * PAGES, sent: 2 }, 2 + 2 * REQUESTS],
] as const)('pages are %s: %o', (how, tally, grantCalls) => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1);
  const before = host.leftovers(back, front), disk = new Uint8Array(REQUESTS * PAGES * 4096);
  const bounce = how === 'copied' ? [back.take(), back.take(), back.take(), back.take()] : [];
  const f = new BlockFront(front);
  f.connect(0);
  const b = new BlockBack(back, f, disk, bounce);
  expect([front.events(), back.events()]).toEqual([[], [b.port]]); // binding raises the back's port
  expect(b.serve()).toBe(0);

  const pages = Array.from({ length: REQUESTS * PAGES }, () => front.take()), statuses: number[] = [];
  const round = (operation: number) => {
    for (let k = 0; k < REQUESTS; k++) f.submit(operation, k * PAGES * SECTORS, pages.slice(k * PAGES, (k + 1) * PAGES), status => statuses.push(status));
    expect(back.events()).toEqual([b.port]); // one event for 16 requests
    expect(b.serve()).toBe(REQUESTS);
    expect(front.events()).toEqual([f.port]); // and one for their responses
    f.complete();
  };
  pages.forEach((page, k) => front.bytes(page).set(pattern(k)));
  round(WRITE);
  for (const page of pages) front.bytes(page).fill(0);
  round(READ);
  pages.forEach((page, k) => expect(front.bytes(page)).toEqual(pattern(k)));
  expect(disk.subarray(4096, 8192)).toEqual(pattern(1));
  expect(statuses).toEqual(Array(2 * REQUESTS).fill(0));
  expect([back.events(), front.events()]).toEqual([[], []]);

  f.submit(READ, 1e9, [pages[0]!], status => statuses.push(status));
  b.serve();
  f.complete();
  expect(statuses.at(-1)).toBe(-1); // beyond the disk: nothing is mapped

  b.disconnect();
  for (const mfn of bounce) back.pages.push(mfn);
  f.disconnect();
  front.pages.push(...pages);
  expect(host.leftovers(back, front)).toEqual(before);
  expect(back.tally).toEqual({ ...tally, sent: tally.sent + 1 });
  expect(front.tally).toEqual({ mapped: 0, unmapped: 0, copied: 0, sent: tally.sent + 1 });
  const { grant_table_op: grants, event_channel_op: events } = host.xen.counters().hypercalls;
  expect(grants).toMatchObject({ calls: grantCalls, entries: grantCalls });
  expect(events!.calls).toBe(2 + 2 * (tally.sent + 1) + 2); // offered and bound, sent by both, closed by both
});
