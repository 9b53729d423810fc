import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import type { FrameSource } from '../../src/xen/frame-source.ts';
import { Guest, ARGS, READ, entryOf } from './guest.ts';
import { EXCHANGE, OUT_LIST, POPULATE, adjust, exchange, getList, giveBack, memoryOp, named, pfnOf, poke, putList, unmap } from './memory-calls.ts';

const EPERM = -1, ESRCH = -3, E2BIG = -7, ENOMEM = -12, EFAULT = -14, EINVAL = -22;
const widths = [['64-bit', true], ['32-bit', false]] as const;

/** Frames from a list, and those that came back. */
class Listed implements FrameSource {
  readonly back: number[] = [];
  readonly asked: (readonly [order: number, bits: number])[] = [];
  readonly list: number[];

  constructor(...list: number[]) {
    this.list = list;
  }

  allocate(_domid: number, order: number, bits: number): number {
    this.asked.push([order, bits]);
    return this.list.shift() ?? -1;
  }

  release(mfn: number): void {
    this.back.push(mfn);
  }
}

describe.each(widths)('exchanges of a %s guest', (_, wide) => {
  it('gives frames under the names it says, cleared of the old ones', () => {
    const source = new Listed(0x800, 0x801), g = new Guest({ wide, source }), frames = [g.free(0), g.free(1)], before = g.domain.totalPages;
    poke(g, g.va(frames[0]), Uint8Array.of(9));
    unmap(g, ...frames);
    putList(g, frames);
    putList(g, [0x111, 0x222], g.va(OUT_LIST));
    expect(exchange(g, { count: 2 }, { count: 2 })).toEqual([0, 2]);
    expect(getList(g, 2, g.va(OUT_LIST))).toEqual([0x800, 0x801]);
    expect([0x800, 0x801, ...frames].map(mfn => named(g, mfn))).toEqual([0x111, 0x222, -1, -1]);
    expect([g.domain.totalPages, source.back, g.machine.views.u8[frames[0] * 4096]]).toEqual([before, frames, 0]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('takes small frames for a large extent, and one for small ones', () => {
    const source = new Listed(0x800, 0x810, 0x812), g = new Guest({ wide, source }), frames = [0, 1, 2, 3].map(k => g.free(k * 3));
    unmap(g, ...frames);
    putList(g, frames);
    putList(g, [0x100], g.va(OUT_LIST));
    expect(exchange(g, { count: 4 }, { count: 1, order: 2 })).toEqual([0, 4]);
    expect([0, 1, 2, 3].map(k => named(g, 0x800 + k))).toEqual([0x100, 0x101, 0x102, 0x103]);
    putList(g, [0x800]);
    putList(g, [0x200, 0x300], g.va(OUT_LIST));
    expect(exchange(g, { count: 1, order: 2 }, { count: 2, order: 1 })).toEqual([0, 1]);
    expect([0x810, 0x811, 0x812, 0x813].map(mfn => named(g, mfn))).toEqual([0x200, 0x201, 0x300, 0x301]);
    expect(source.asked).toEqual([[2, Infinity], [1, Infinity], [1, Infinity]]);
    expect(g.xen.audit()).toEqual([]);
  });

  const stuck: [what: string, mfn: (g: Guest) => number][] = [
    ['mapped', g => g.free(5)], ["the hypervisor's, shared", g => g.sharedInfo], ['a page table', g => g.level1[0]], ['free', () => 0x350],
    ['no memory', () => 0xabcdef], ['of a device', () => 0x10],
  ];
  it.each(stuck)('leaves a chunk as it was when a frame of it is %s, and tells of those before', (_what, stuckFrame) => {
    const g = new Guest({ wide, source: new Listed(0x800, 0x802, 0x804) }), frames = [0, 1, 2].map(k => g.free(k));
    unmap(g, ...frames);
    putList(g, [...frames, stuckFrame(g)]);
    putList(g, [0x100, 0x200], g.va(OUT_LIST));
    expect(exchange(g, { count: 4 }, { count: 2, order: 1 })).toEqual([EINVAL, wide ? 2 : 0]); // a translated structure is written after success only
    expect([named(g, frames[0]), named(g, frames[2]), g.xen.host.frames.owner(frames[2])]).toEqual([-1, pfnOf(frames[2]), 0]);
    expect(giveBack(g, frames[2])).toBe(1);
    expect(g.xen.audit()).toEqual([]);
  });

  it('leaves a chunk as it was without memory, and gives back what it took of it', () => {
    const source = new Listed(0x800), g = new Guest({ wide, source }), frames = [0, 1, 2, 3].map(k => g.free(k));
    unmap(g, ...frames);
    putList(g, [frames[0]]);
    expect(exchange(g, { count: 1, order: 2 }, { count: 4 })).toEqual([ENOMEM, 0]);
    expect([source.back, frames.map(mfn => g.xen.host.frames.owner(mfn))]).toEqual([[0x800], [0, 0, 0, 0]]);
    expect(g.xen.audit()).toEqual([]);
  });

  it.each([[true, [0, 1], [-1, 0]], [false, [EPERM, 0], [0x111, 1]]] as const)("exchanges another domain's frames only for who controls it: %s", (privileged, expected, after) => {
    const g = new Guest({ wide, privileged, source: new Listed(0x800) }), theirs = 0x900, domid = 1;
    g.xen.createDomain({ id: domid, p2m: [[0x111, theirs, 1]] });
    putList(g, [theirs]);
    putList(g, [0x111], g.va(OUT_LIST));
    expect(exchange(g, { count: 1, domid }, { count: 1, domid })).toEqual(expected);
    expect([named(g, theirs), g.xen.host.frames.refs(theirs)]).toEqual(after);
    expect(g.xen.audit()).toEqual([]);
  });

  const refused: [what: string, rc: readonly [wide: number, narrow: number], input: object, output: object, exchanged?: number][] = [
    ['orders beyond what it may ask for', [EPERM, EPERM], { count: 1, order: 13 }, { count: 1, order: 13 }],
    ['unequal sizes', [EINVAL, EINVAL], { count: 2 }, { count: 3 }],
    ['more done than there is', [EINVAL, EINVAL], { count: 2 }, { count: 2 }, 3],
    ['two domains', [EINVAL, EINVAL], { count: 1 }, { count: 1, domid: 0 }],
    ['a domain that is not', [ESRCH, ESRCH], { count: 1, domid: 9 }, { count: 1, domid: 9 }],
    ['a node that cannot be', [EINVAL, EINVAL], { count: 1 }, { count: 1, flags: 65 << 8 }],
    ['an input list nowhere', [EFAULT, EFAULT], { count: 1, list: 0x1000n }, { count: 1 }],
    ['orders too far apart to translate', [EFAULT, E2BIG], { count: 1024, list: 0x1000n }, { count: 1, order: 10 }],
  ];
  it.each(refused)('is refused %s, and every byte stays', (_what, rc, input, output, exchanged = 0) => {
    const g = new Guest({ wide });
    unmap(g, g.free(0));
    putList(g, [g.free(0)]);
    putList(g, [5], g.va(OUT_LIST));
    const ask = () => exchange(g, input as { count: number }, output as { count: number }, exchanged);
    ask();
    const before = g.bytes();
    expect(ask()).toEqual([rc[wide ? 0 : 1], exchanged]);
    expect(Buffer.compare(before, g.bytes())).toBe(0);
  });

  const nowhere: bigint[] = wide ? [0x8000_0000_0000n, 0xffff_8300_0000_0000n, 0x1000n] : [0x1000n, 0xf600_0000n];
  it.each(nowhere)('gets -EFAULT for a structure at 0x%x', at => {
    const g = new Guest({ wide });
    expect(memoryOp(g, EXCHANGE, at)).toBe(EFAULT);
    poke(g, g.va(ARGS) + 4090n, new Uint8Array(6)); // crosses the end of what is mapped
    expect(memoryOp(g, EXCHANGE, g.va(ARGS) + 4090n)).toBe(EFAULT);
  });

  it('is done already if it says so, and asks for nothing', () => {
    const source = new Listed(0x800), g = new Guest({ wide, source });
    expect(exchange(g, { count: 1 }, { count: 1 }, 1)).toEqual([0, 1]);
    expect(source.asked).toEqual([]);
  });

  it('goes on where it stopped', () => {
    const g = new Guest({ wide, source: new Listed(0x800) }), frames = unmap(g, g.free(0), g.free(1));
    putList(g, frames);
    putList(g, [0x100, 0x200], g.va(OUT_LIST));
    expect(exchange(g, { count: 2 }, { count: 2 }, 1)).toEqual([0, 2]);
    expect([named(g, frames[0]), named(g, frames[1]), named(g, 0x800)]).toEqual([pfnOf(frames[0]), -1, 0x200]);
  });

  it('exchanges, but cannot tell, in a list it may not write', () => {
    const g = new Guest({ wide, source: new Listed(0x800) }), [mfn] = unmap(g, g.free(0));
    putList(g, [mfn]);
    putList(g, [0x100], g.va(OUT_LIST));
    expect(g.map(g.va(OUT_LIST), entryOf(OUT_LIST, READ))).toBe(0);
    expect(exchange(g, { count: 1 }, { count: 1 })).toEqual([EFAULT, wide ? 0 : 1]);
    expect([named(g, mfn), named(g, 0x800)]).toEqual([-1, 0x100]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('comes to the same when it is preempted after every chunk', () => {
    const g = new Guest({ wide, budget: 1, source: new Listed(...[0, 1, 2, 3, 4].map(k => 0x800 + k)) }), frames = unmap(g, ...[0, 1, 2, 3, 4].map(k => g.free(k)));
    putList(g, frames);
    putList(g, [10, 11, 12, 13, 14], g.va(OUT_LIST));
    expect(exchange(g, { count: 5 }, { count: 5 })).toEqual([0, 5]);
    expect(getList(g, 5, g.va(OUT_LIST))).toEqual([0x800, 0x801, 0x802, 0x803, 0x804]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('counts to 2^64 without hanging', () => {
    if (!wide) return;
    const g = new Guest();
    putList(g, [g.free(0)]);
    expect(exchange(g, { count: 2n ** 64n - 1n }, { count: 2n ** 64n - 1n })).toEqual([EFAULT, 0]);
    expect(exchange(g, { count: 2n ** 60n }, { count: 2n ** 60n })).toEqual([EINVAL, 0]);
  });
});

describe('a source of frames', () => {
  const bad: [what: string, mfn: number, order: number][] = [
    ['in use', 0x400 + 70, 0], ['of a device', 0x10, 0], ['no memory', 0x1000, 0], ['not aligned', 0x801, 1], ['half in use', 0x804, 1], ['no number', Number.NaN, 0],
  ];
  it.each(bad)('is at fault for frames that are %s, and nothing is changed', (_what, mfn, order) => {
    const g = new Guest({ source: new Listed(mfn) }), frames = unmap(g, g.free(0), g.free(1));
    g.xen.createDomain({ id: 7, p2m: [[0, 0x805, 1]] });
    putList(g, frames);
    putList(g, [0x100, 0x200], g.va(OUT_LIST));
    expect(() => exchange(g, { count: 2 ** order }, { count: 1, order })).toThrow(ConfigError);
    expect(g.xen.host.frames.owner(frames[0])).toBe(0);
    expect(g.xen.audit()).toEqual([]);
    const populating = new Guest({ source: new Listed(mfn) });
    populating.xen.createDomain({ id: 7, p2m: [[0, 0x805, 1]] });
    populating.domain.maxPages += 4;
    expect(() => adjust(populating, POPULATE, { count: 1, order })).toThrow(ConfigError);
    expect(populating.xen.audit()).toEqual([]);
  });

  it('is at fault for frames beyond what was asked for', () => {
    const g = new Guest({ source: new Listed(0x800) });
    unmap(g, g.free(0));
    putList(g, [g.free(0)]);
    expect(() => exchange(g, { count: 1 }, { count: 1, flags: 22 })).toThrow('below frame 0x400');
  });

  it('is not asked by whoever may have no more', () => {
    const source = new Listed(0x800), g = new Guest({ source });
    putList(g, [0x100]);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(0);
    expect(source.asked).toEqual([]);
  });

  it('by default never hands out a frame that is on its way', () => {
    const g = new Guest(), frames = unmap(g, ...[0, 1, 2, 3].map(k => g.free(k)));
    putList(g, [frames[0]]);
    putList(g, [1, 2, 3, 4], g.va(OUT_LIST));
    for (let mfn = 0; mfn < 4096; mfn++) if (g.xen.host.frames.isFree(mfn)) g.xen.host.frames.assign(mfn, 0x7ff2);
    expect(exchange(g, { count: 1, order: 2 }, { count: 4 })).toEqual([ENOMEM, 0]);
  });
});
