/** A pair of network rings between two domains: packets of one page and of several, echoed. */
import { expect, it } from 'vitest';
import { Host, Kernel } from './kernel.ts';
import { NetworkBack, NetworkFront } from './network.ts';

const packet = (seed: number, bytes: number) => Uint8Array.from({ length: bytes }, (_, k) => (seed * 73 + k * 5 + (k >>> 7)) & 0xff);

it('every packet comes back as it was sent, for one copy a page each way and two events a round', () => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1);
  const before = host.leftovers(back, front), f = new NetworkFront(front, 0), b = new NetworkBack(back, f);
  expect([back.events(), b.packets()]).toEqual([[b.port], []]);

  const rounds = [[60, 1514, 4096], [9000, 60], Array<number>(20).fill(1514), [65000]], all: Uint8Array[] = [];
  for (const [k, sizes] of rounds.entries()) {
    const packets = sizes.map((size, n) => packet(k * 32 + n, size));
    for (const one of packets) f.send(one);
    expect(back.events()).toEqual([b.port]);
    const taken = b.packets();
    expect(taken).toEqual(packets);
    expect(b.deliver(taken)).toBe(packets.length);
    expect(front.events()).toEqual([f.port]);
    f.poll();
    all.push(...packets);
  }
  expect(f.received).toEqual(all);

  const pages = all.reduce((sum, one) => sum + Math.ceil(one.length / 4096), 0);
  expect(pages).toBe(3 + 4 + 20 + 16);
  expect(back.tally).toEqual({ mapped: 2, unmapped: 0, copied: 2 * pages, sent: 2 * rounds.length });
  expect(front.tally).toEqual({ mapped: 0, unmapped: 0, copied: 0, sent: rounds.length }); // of new buffers the back is told only if it ran out
  expect(host.xen.counters().hypercalls['event_channel_op']!.calls).toBe(2 + 3 * rounds.length);

  b.close();
  f.close();
  expect(host.leftovers(back, front)).toEqual(before);
  expect(host.xen.counters().hypercalls['grant_table_op']).toMatchObject({ calls: 2 + 2 * all.length, entries: 2 + 2 * all.length });
});

it('a packet that finds no buffers waits, and the back is told of new ones', () => {
  const host = new Host(2), back = new Kernel(host, 0, 0, { privileged: true }), front = new Kernel(host, 1, 1);
  const f = new NetworkFront(front, 0), b = new NetworkBack(back, f), packets = Array.from({ length: 40 }, (_, k) => packet(k, 100));
  expect(b.deliver(packets)).toBe(32);
  expect([front.events(), back.events()]).toEqual([[f.port], [b.port]]); // the latter from binding
  f.poll();
  expect([front.tally.sent, back.events()]).toEqual([1, [b.port]]);
  expect(b.deliver(packets.slice(32))).toBe(8);
  f.poll();
  expect(f.received).toEqual(packets);
});
