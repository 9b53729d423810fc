import { describe, expect, it } from 'vitest';
import { Guest, ARGS, entryOf, DATA, FIRST, READ } from './guest.ts';
import {
  DECREASE, INCREASE, LIST, POPULATE, adjust, getList, giveBack, memoryOp, named, peek, pfnOf, poke, putList, reservation, unmap,
} from './memory-calls.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;

describe.each(widths)('reservations of a %s guest', (_, wide) => {
  const size = wide ? 8 : 4;

  it('gives frames back, and gets others under the names it says', () => {
    const g = new Guest({ wide }), frames = unmap(g, g.free(0), g.free(1), g.free(2)), before = g.domain.totalPages;
    expect(giveBack(g, ...frames)).toBe(3);
    expect([g.domain.totalPages, ...frames.map(mfn => named(g, mfn))]).toEqual([before - 3, -1, -1, -1]);
    expect(g.xen.audit()).toEqual([]);
    putList(g, frames.map(pfnOf));
    expect(adjust(g, POPULATE, { count: 3 })).toBe(3);
    const got = getList(g, 3);
    expect(got.map(mfn => named(g, mfn))).toEqual(frames.map(pfnOf));
    expect(got.map(mfn => g.xen.host.frames.owner(mfn))).toEqual([0, 0, 0]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('increases without names, and without a list', () => {
    const g = new Guest({ wide });
    giveBack(g, ...unmap(g, g.free(0), g.free(1), g.free(2)));
    expect(adjust(g, INCREASE, { count: 1 })).toBe(1);
    expect(named(g, getList(g, 1)[0])).toBe(-1);
    expect(adjust(g, INCREASE, { list: 0n, count: 5 })).toBe(2); // as many as it may have
    expect(g.domain.totalPages).toBe(g.domain.maxPages);
    expect(g.xen.audit()).toEqual([]);
  });

  it('gets no more than it may have', () => {
    const g = new Guest({ wide });
    giveBack(g, ...unmap(g, g.free(0), g.free(1)));
    putList(g, [1, 2, 3, 4]);
    expect(adjust(g, POPULATE, { count: 4 })).toBe(2);
    expect(getList(g, 4).slice(2)).toEqual([3, 4]);
  });

  it('gets frames that follow each other', () => {
    const g = new Guest({ wide }), frames = unmap(g, ...Array.from({ length: 8 }, (_unused, k) => g.free(k)));
    giveBack(g, ...frames);
    putList(g, [0x100, 0x200]);
    expect(adjust(g, POPULATE, { count: 2, order: 2 })).toBe(2);
    for (const [k, mfn] of getList(g, 2).entries()) {
      expect(mfn % 4).toBe(0);
      expect([0, 1, 2, 3].map(i => named(g, mfn + i))).toEqual([0, 1, 2, 3].map(i => 0x100 * (k + 1) + i));
    }
    expect(adjust(g, POPULATE, { count: 1, order: 13 })).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  });

  it('gives back what it can of an extent, and counts whole extents', () => {
    const g = new Guest({ wide }), first = g.free(0); // a multiple of 4
    unmap(g, first, first + 1, first + 2, first + 3, first + 4, first + 5);
    giveBack(g, first + 6 - 1); // so that the second extent has a hole
    const before = g.domain.totalPages;
    putList(g, [first, first + 4]);
    expect(adjust(g, DECREASE, { count: 2, order: 2 })).toBe(1);
    expect(before - g.domain.totalPages).toBe(5);
    expect(g.xen.audit()).toEqual([]);
  });

  it('keeps a frame that is given back while it is mapped, until it is not', () => {
    const g = new Guest({ wide }), mfn = g.free(0), before = g.domain.totalPages;
    expect([giveBack(g, mfn), giveBack(g, mfn)]).toEqual([1, 1]); // what it owes for is gone with the first
    expect([g.domain.totalPages, named(g, mfn)]).toEqual([before, pfnOf(mfn)]);
    expect(g.xen.audit()).toEqual([]);
    unmap(g, mfn);
    expect([g.domain.totalPages, named(g, mfn), giveBack(g, mfn)]).toEqual([before - 1, -1, 0]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('does not give back what is not its own', () => {
    const g = new Guest({ wide });
    expect([0x350, 0x10, 0xfffff, 0xffffffff].map(mfn => giveBack(g, mfn))).toEqual([0, 0, 0, 0]);
  });

  const flags: [what: string, flags: number, done: number][] = [
    ['12 address bits', 12, 0], ['13 address bits, below which nothing is free', 13, 0], ['as many as memory has', 24, 1], ['any node', 0, 1],
    ['node 0', 1 << 8, 1], ['node 3, or another', 4 << 8, 1], ['node 3 and no other', (4 << 8) | (1 << 17), 0], ['node 0 and no other', (1 << 8) | (1 << 17), 1],
    ['a node that cannot be', 65 << 8, 0], ['a virtual node', (9 << 8) | (1 << 18), 1], ['population on demand, of itself', 1 << 16, 0],
  ];
  it.each(flags)('asked for with %s (flags %i) gives %i', (_what, bits, done) => {
    const g = new Guest({ wide });
    giveBack(g, ...unmap(g, g.free(0)));
    putList(g, [7]);
    expect(adjust(g, POPULATE, { count: 1, flags: bits })).toBe(done);
    expect(g.xen.audit()).toEqual([]);
  });

  it('changes those of others only with privilege', () => {
    const g = new Guest({ wide });
    const other = g.xen.createDomain({ id: 3, p2m: [[0, 0x900, 8]], maxPages: 9, is32: !wide });
    putList(g, [0x42]);
    expect(adjust(g, POPULATE, { count: 1, domid: 3 })).toBe(1);
    expect([other.totalPages, named(g, getList(g, 1)[0])]).toEqual([9, 0x42]);
    expect(adjust(g, POPULATE, { count: 1, domid: 3 })).toBe(0);
    expect(adjust(g, POPULATE, { count: 1, domid: 3, flags: 1 << 16 })).toBe(1); // nothing at all, of a guest of this kind
    putList(g, [0x900]);
    expect([4, 0x7ff1, 0x7ff2].map(domid => adjust(g, DECREASE, { count: 1, domid }))).toEqual([0, 0, 0]);
    expect(adjust(g, DECREASE, { count: 1, domid: 3 })).toBe(1);
    Object.assign(g.domain, { privileged: false });
    putList(g, [0x901]);
    expect(adjust(g, DECREASE, { count: 1, domid: 3 })).toBe(0);
    Object.assign(g.domain, { privileged: true });
    expect(g.xen.audit()).toEqual([]);
  });

  const nowhere: [what: string, at: bigint][] = wide
    ? [['not canonical', 0x8000_0000_0000n], ["the hypervisor's", 0xffff_8300_0000_0000n], ['not mapped', 0x1000n], ['the last', 0xffff_ffff_ffff_fff8n]]
    : [['not mapped', 0x1000n], ["the hypervisor's", 0xf580_0000n], ['the last', 0xffff_fff8n]];
  it.each(nowhere)('does nothing, and changes nothing, with structure or list at an address that is %s', (_what, at) => {
    const g = new Guest({ wide });
    unmap(g, g.free(0));
    for (const op of [INCREASE, DECREASE, POPULATE]) {
      poke(g, g.va(ARGS), reservation(g, { list: at, count: 2 }));
      const refused = () => [memoryOp(g, op, at), op === INCREASE ? 0 : memoryOp(g, op, g.va(ARGS))];
      refused(); // the entries that lead to them are marked
      const before = g.bytes();
      expect(refused()).toEqual([0, 0]);
      expect(Buffer.compare(before, g.bytes())).toBe(0);
    }
    expect(g.xen.audit()).toEqual([]);
  });

  it('reads a structure and a list that cross pages, and stops at the end of what is mapped', () => {
    const g = new Guest({ wide }), at = g.va(ARGS) - 6n, frames = unmap(g, g.free(0), g.free(1), g.free(2));
    const list = g.va(g.free(9)) + 4096n - BigInt(size) - 2n;
    putList(g, frames, list); // the second number crosses
    poke(g, at, reservation(g, { list, count: 3 }));
    expect(memoryOp(g, DECREASE, at)).toBe(3);
    const others = unmap(g, g.free(3), g.free(4));
    putList(g, [...others, 0], list);
    unmap(g, g.free(10));
    expect(memoryOp(g, DECREASE, at)).toBe(1);
    expect(g.xen.host.frames.isFree(others[0]) && !g.xen.host.frames.isFree(others[1])).toBe(true);
    expect(g.xen.audit()).toEqual([]);
  });

  it('cannot tell of a frame in a list it may not write: it has the frame', () => {
    const g = new Guest({ wide });
    giveBack(g, ...unmap(g, g.free(0), g.free(1), g.free(2)));
    putList(g, [1, 2, 3]);
    const before = g.domain.totalPages;
    expect(g.map(g.va(LIST), entryOf(LIST, READ))).toBe(0);
    expect(adjust(g, POPULATE, { count: 3 })).toBe(0);
    expect(g.domain.totalPages - before).toBe(wide ? 1 : 3); // a translated list is written after all of it
    expect(g.xen.audit()).toEqual([]);
  });

  it('refuses counts that a continuation could not tell of', () => {
    const g = new Guest({ wide });
    putList(g, [g.free(0)]);
    expect(adjust(g, DECREASE, { count: 0x4000000 })).toBe(0);
    if (wide) expect(adjust(g, DECREASE, { count: -1n })).toBe(0);
    expect(adjust(g, DECREASE, { count: wide ? 0x3ffffff : 0x100000 })).toBe(1); // to the first that is no frame of its
    expect(adjust(g, DECREASE, { count: 2 }, 5)).toBe(5); // nothing is left to do
    expect(g.xen.audit()).toEqual([]);
  });

  it.each([1, 2, 700])('preempted after %i extents it comes to the same, over more numbers than are translated at once', budget => {
    const g = new Guest({ wide, budget }), count = 1500, list = g.va(g.free(500)), mfn = g.free(0);
    for (let k = 0; k < count; k += 100) putList(g, new Array(100).fill(mfn) as number[], list + BigInt(k * size));
    expect(adjust(g, DECREASE, { list, count })).toBe(count); // mapped: each time there is something to give back
    for (let k = 0; k < count; k += 100) putList(g, Array.from({ length: 100 }, (_unused, i) => k + i), list + BigInt(k * size));
    g.domain.maxPages += 1400;
    expect(adjust(g, POPULATE, { list, count })).toBe(1400);
    const got = [0, 700, 1019, 1020, 1399].map(k => getList(g, 1, list + BigInt(k * size))[0]);
    expect(got.map(frame => named(g, frame))).toEqual([0, 700, 1019, 1020, 1399]);
    expect(getList(g, 1, list + BigInt(1400 * size))).toEqual([1400]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('has frames of others cleared, and no access to those it gave back', () => {
    const g = new Guest({ wide }), mfn = g.free(0), va = g.va(mfn);
    poke(g, va, Uint8Array.of(1, 2, 3));
    giveBack(g, mfn);
    expect(g.update([g.level1[0], mfn - FIRST, 0n])).toBe(0); // without a flush of what is cached
    putList(g, [pfnOf(mfn)]);
    for (let k = 0; k < 4096 && !g.xen.host.frames.refs(mfn); k++) {
      g.domain.maxPages++;
      adjust(g, POPULATE, { count: 1 });
    }
    expect(g.xen.host.frames.owner(mfn)).toBe(0);
    expect(g.xen.read(g.cpu, va, new Uint8Array(1)) >>> 16).toBe(14);
    expect(g.map(va, entryOf(mfn, DATA))).toBe(0);
    expect(peek(g, va, 1).getUint8(0)).toBe(1); // its own, as it left it: Xen does not clear those
  });

  it('has every frame cleared with scrubDomheap', () => {
    const g = new Guest({ wide, scrubDomheap: true }), mfn = g.free(0);
    poke(g, g.va(mfn), Uint8Array.of(1, 2, 3));
    giveBack(g, ...unmap(g, mfn));
    expect(g.machine.views.u8[mfn * 4096]).toBe(0);
  });
});

/** Source: accumulate_tlbflush() and filtered_flush_tlb_mask() in alloc_heap_pages() (xen/common/page_alloc.c). */
it.each([['64-bit', true], ['32-bit', false]] as const)('a frame of a %s guest that comes again is reached by nothing that was cached of it', (_, wide) => {
  const g = new Guest({ wide }), mfn = g.free(5), seen = new Uint8Array(1);
  const look = (): number => g.xen.read(g.cpu, g.va(mfn), seen) >>> 16;
  expect(look()).toBe(0);
  expect(g.map(g.va(mfn), 0n, 0n)).toBe(0); // without a flush
  expect(giveBack(g, mfn)).toBe(1);
  expect(look()).toBe(0); // still, while it is no one's
  expect(adjust(g, INCREASE, { count: 1 })).toBe(1);
  expect(look()).toBe(14);
});
