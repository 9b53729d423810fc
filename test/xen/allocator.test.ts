/** An embedder's allocator may be wrong in any way: it is told so by a ConfigError, and nothing of the guest's or the hypervisor's is lost, shared or seen by it. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import type { FrameSource } from '../../src/xen/frame-source.ts';
import { entryOf, DATA, Guest } from './guest.ts';
import { EXCHANGE, getList, giveBack, INCREASE, LIST, memoryOp, OUT_LIST, pack, poke, POPULATE, adjust, putList, reservation } from './memory-calls.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;
const OUTSIDE = [-2, 4096, 1e9, 2 ** 40, 1.5, 0x900 + 0.25, NaN, Infinity, undefined, '5', null];
const IN_USE = [0, 0xff, 0x300, 0x400, 0x7ff, 0x440]; // devices', shared, page tables, the guest's

/** A source that answers from a list. */
function liar(answers: readonly unknown[]): FrameSource & { released: number[] } {
  const left = [...answers], released: number[] = [];
  return { allocate: () => (left.length > 0 ? left.shift() : -1) as number, release: mfn => { released.push(mfn); }, released };
}

describe.each(widths)('an allocator of a %s guest that returns', (_, wide) => {
  const world = (answers: readonly unknown[]) => {
    const source = liar(answers), g = new Guest({ wide, source });
    g.domain.maxPages += 100;
    putList(g, [2000, 2001, 2002, 2003]);
    return { g, source };
  };

  it.each([...OUTSIDE, ...IN_USE])('%s is told so, and nothing is changed', answer => {
    for (const op of [INCREASE, POPULATE]) {
      const { g } = world([-1, answer]);
      expect(adjust(g, op, { count: 1 })).toBe(0); // now the arguments are where they will be
      const before = g.bytes();
      expect(() => adjust(g, op, { count: 1 })).toThrow(ConfigError);
      expect(Buffer.compare(before.subarray(0x200000), g.bytes().subarray(0x200000))).toBe(0);
      expect([g.domain.totalPages, g.xen.audit()]).toEqual([1024, []]);
      expect(g.map(g.va(g.free(1)), entryOf(g.free(1), DATA))).toBe(0); // the hypervisor goes on
    }
  });

  it('the same frame twice', () => {
    const { g } = world([0x900, 0x900]);
    expect(() => adjust(g, POPULATE, { count: 2 })).toThrow(/source\.allocate/);
    expect([g.domain.totalPages, g.xen.host.frames.owner(0x900), g.xen.audit()]).toEqual([1025, 0, []]);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(0); // none left, and it says so
  });

  it('a block that is not aligned, or reaches into what is in use or beyond memory', () => {
    for (const answer of [0x901, 0x300, 0x7fc, 0xffe]) {
      const { g } = world([answer]);
      expect(() => adjust(g, POPULATE, { count: 1, order: 2 })).toThrow(ConfigError);
      expect([g.domain.totalPages, g.xen.audit()]).toEqual([1024, []]);
    }
  });

  it('frames above the address that was asked for', () => {
    const { g } = world([0x900]);
    expect(() => adjust(g, POPULATE, { count: 1, flags: 22 })).toThrow(ConfigError); // below 4 MiB
    expect(g.xen.audit()).toEqual([]);
  });

  it.each([[[NaN]], [[0x900, 0x900]], [[0x900, 0x400]]])('%j to an exchange: the guest keeps its frames', answers => {
    const { g, source } = world(answers), [a, b] = [g.free(0), g.free(1)];
    for (const mfn of [a, b]) expect(g.map(g.va(mfn), 0n)).toBe(0);
    putList(g, [a, b]);
    putList(g, [3000, 3001], g.va(OUT_LIST));
    const both = { count: 2, list: g.va(LIST) }, w = wide ? 8 : 4;
    // Two frames for a block of two: they are gone only if the block is there.
    const body = [reservation(g, both), reservation(g, { ...both, list: g.va(OUT_LIST) }), pack([w, 0])];
    const at = g.va(g.free(5));
    let offset = 0n;
    for (const part of body) {
      poke(g, at + offset, part);
      offset += BigInt(part.length);
    }
    expect(() => memoryOp(g, EXCHANGE, at)).toThrow(ConfigError);
    expect([g.domain.totalPages, g.xen.audit()]).toEqual([1024, []]);
    expect(source.released.every(mfn => g.xen.host.frames.isFree(mfn))).toBe(true);
  });

  it('frames with bytes of another: they are clear when those of a dead domain come back', () => {
    const { g } = world([0x900, 0x900]);
    g.xen.createDomain({ id: 1, p2m: [[0, 0x900, 1]] });
    g.machine.write(0x900n * 4096n, new Uint8Array(4096).fill(0x5a));
    g.xen.destroyDomain(1);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(1);
    expect(getList(g, 1)[0]).toBe(0x900);
    expect(g.machine.views.u8.subarray(0x900000, 0x901000).some(byte => byte !== 0)).toBe(false);
    expect(giveBack(g, 0x900)).toBe(1);
  });

  it('nonsense for grant tables', () => {
    for (const answer of [...OUTSIDE, ...IN_USE]) {
      const answers = [0x900, answer], released: number[] = [];
      const source: FrameSource = { allocate: () => -1, allocateShared: () => answers.shift() as number, release: mfn => { released.push(mfn); } };
      const g = new Guest({ wide, source }), table = g.words(wide ? 8 : 4, ...(wide ? [0x7ff0n | (2n << 32n), 0n, g.va(LIST)] : [0x7ff0n, 2n, 0n, g.va(LIST)]));
      expect(() => g.xen.hypercall(g.cpu, 20, 2n, table, 1n)).toThrow(ConfigError);
      expect([g.domain.grants.frames.length, g.xen.host.frames.isFree(0x900), g.xen.audit()]).toEqual([0, true, []]);
    }
  });
});

it('the hypervisor’s own frames, where they are among those counted as memory, are no one else’s', () => {
  const machine = Machine.create({ extents: [{ base: 0, bytes: 4096 * 4096 }], mode: 'functional', paging: 'none' });
  const own = { first: 1024, frames: 2048 };
  const xen = Hypervisor.create(machine, { frames: 4096, own });
  expect(() => xen.createDomain({ id: 1, p2m: [[0, 1500, 1]] })).toThrow(ConfigError);
  const got = new Set<number>();
  for (let mfn = 0; (mfn = xen.host.source.allocate(0, 0, Infinity)) >= 0 && !got.has(mfn);) {
    got.add(mfn);
    xen.host.frames.assign(mfn, 1);
  }
  expect([...got].some(mfn => mfn >= own.first && mfn < own.first + own.frames)).toBe(false);
  expect(got.size).toBe(4096 - 2048 - 256);
});
