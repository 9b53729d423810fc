import { describe, expect, it } from 'vitest';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from '../../src/xen/memory-struct.ts';
import { Guest, ARGS } from './guest.ts';
import { DECREASE, memoryOp, pack, peek, poke } from './memory-calls.ts';

const EPERM = -1, ESRCH = -3, EACCES = -13, EFAULT = -14, EINVAL = -22, EDOM = -33, ENOSYS = -38, EOPNOTSUPP = -95;
const widths = [['64-bit', true], ['32-bit', false]] as const;

describe.each(widths)('what a %s guest is told', (_, wide) => {
  const size = wide ? 8 : 4, MAPPED = new Guest({ wide });

  function ask(g: Guest, command: number, ...fields: Parameters<typeof pack>): number {
    poke(g, g.va(ARGS), pack(...fields));
    return memoryOp(g, command, g.va(ARGS));
  }

  it('of what domains have and may have', () => {
    const g = new Guest({ wide });
    g.xen.createDomain({ id: 3, p2m: [[0, 0x900, 8]], maxPages: 9 });
    expect([3, 4].map(op => ask(g, op, [2, 0x7ff0]))).toEqual([1024, 1024]);
    expect([3, 4].map(op => ask(g, op, [2, 0]))).toEqual([1024, 1024]);
    expect([3, 4, 14].map(op => ask(g, op, [2, 3]))).toEqual([8, 9, 0]);
    expect([3, 4, 14].map(op => ask(g, op, [2, 5]))).toEqual([ESRCH, ESRCH, ESRCH]);
    expect([3, 4].map(op => ask(g, op | (1 << 6), [2, 3]))).toEqual([EINVAL, EINVAL]);
    Object.assign(g.domain, { privileged: false });
    expect([3, 4, 14].map(op => ask(g, op, [2, 3]))).toEqual([EPERM, EPERM, EPERM]);
    expect(memoryOp(g, 3, 0x1000n)).toBe(EFAULT);
  });

  it('of the end of memory, and of its own as it says itself', () => {
    const g = new Guest({ wide }), at = g.sharedInfo * 4096 + (wide ? 3088 : 2316);
    expect([memoryOp(g, 2, 0n), memoryOp(g, 2 | (1 << 6), 0n)]).toEqual([4096, EINVAL]);
    expect(ask(g, 14, [2, 0x7ff0])).toBe(0);
    g.machine.write(BigInt(at), pack([4, 1024]));
    expect(ask(g, 14, [2, 0x7ff0])).toBe(1023);
  });

  it('of the machine-to-physical table', () => {
    const g = new Guest({ wide }), at = g.va(ARGS);
    expect(memoryOp(g, 12, at)).toBe(0);
    const view = peek(g, at, 24);
    const words = Array.from({ length: 3 }, (_unused, k) => (wide ? view.getBigUint64(k * 8, true) : BigInt(view.getUint32(k * 4, true))));
    expect(words).toEqual(wide ? [0xffff800000000000n, 0xffff804000000000n, 4095n] : [0xf5800000n, 0xffe00000n, BigInt((0xa600000 >> 2) - 1)]);
    Object.assign(g.domain, { privileged: false });
    memoryOp(g, 12, at);
    if (wide) expect(peek(g, at, 24).getBigUint64(16, true)).toBe(2n ** 35n - 1n);
    expect(memoryOp(g, 12, 0x1000n)).toBe(EFAULT);
  });

  it('of the frames that table is in', () => {
    const g = new Guest({ wide }), list = g.va(ARGS) + 1024n, { mfnList } = wide ? WIDE_LAYOUT : COMPAT_LAYOUT;
    const asked = (most: number, to = list) => ask(g, 5, [4, most], ...(wide ? [[4, 0] as const] : []), [size, to], [4, 77], ...(wide ? [[4, 0] as const] : []));
    expect(asked(9)).toBe(0);
    expect(peek(g, g.va(ARGS) + BigInt(mfnList.nrExtents), 4).getUint32(0, true)).toBe(1); // 4096 frames
    const mfn = peek(g, list, 4).getUint32(0, true);
    expect(g.machine.views.w[mfn * 1024 + (wide ? 2 : 1) * 0x400]).toBe(0); // frame 0x400 is called 0
    expect(asked(0)).toBe(0);
    expect(peek(g, g.va(ARGS) + BigInt(mfnList.nrExtents), 4).getUint32(0, true)).toBe(0);
    expect(asked(1, 0x1000n)).toBe(EFAULT);
    expect(ask(g, 25, [4, 0], ...(wide ? [[4, 0] as const] : []), [size, list], [4, 0], [4, 0])).toBe(0);
    expect(memoryOp(new Guest({ wide, pv32: false }), 25, 0x1000n)).toBe(wide ? EOPNOTSUPP : EFAULT);
  });

  it('of its memory, as was set by its toolstack', () => {
    const g = new Guest({ wide }), entries = g.va(ARGS) + 1024n, to = g.va(ARGS) + 2048n;
    const map = (count: number, at: bigint) => [[4, count], ...(wide ? [[4, 0] as const] : []), [size, at]] as [4 | 8, bigint | number][];
    const set = (count: number, domid = 0x7ff0) => ask(g, 13, [2, domid], [2, 0], ...(wide ? [[4, 0] as const] : []), ...map(count, entries));
    expect(ask(g, 9, ...map(4, to))).toBe(ENOSYS);
    poke(g, entries, pack([8, 0], [8, 0x100000], [4, 1], [8, 0x100000], [8, 0x300000], [4, 2]));
    expect([set(1025), set(2, 9), set(2)]).toEqual([EINVAL, ESRCH, 0]);
    expect(ask(g, 9, ...map(4, to))).toBe(0);
    expect(peek(g, g.va(ARGS), 4).getUint32(0, true)).toBe(2);
    expect(Buffer.from(peek(g, to, 40).buffer)).toEqual(Buffer.from(peek(g, entries, 40).buffer));
    expect(ask(g, 9, ...map(1, to))).toBe(0);
    expect(peek(g, g.va(ARGS), 4).getUint32(0, true)).toBe(1);
    expect(ask(g, 9, ...map(1, 0x1000n))).toBe(EFAULT);
    expect(memoryOp(g, 9, 0x1000n)).toBe(EFAULT);
    expect(set(0)).toBe(0);
    expect(ask(g, 9, ...map(4, to))).toBe(ENOSYS);
  });

  it('when it asks for what is for guests of other kinds', () => {
    const g = MAPPED, add = (space: number, domid = 0x7ff0): Parameters<typeof pack> => [[2, domid], [2, 0], [4, space], [size, 0], [size, 0]];
    expect([0, 1, 2, 3].map(space => ask(g, 7, ...add(space)))).toEqual([EACCES, EACCES, EACCES, EACCES]);
    expect([ask(g, 7, ...add(4)), ask(g, 7, ...add(0, 9)), ask(g, 7 | (0x10000 << 6), ...add(0)), memoryOp(g, 7, 0x1000n)]).toEqual([ENOSYS, ESRCH, EDOM, EFAULT]);
    const batch = (space: number, domid = 0x7ff0): Parameters<typeof pack> =>
      [[2, domid], [2, space], [2, 1], [2, 0], [size, g.va(ARGS)], [size, g.va(ARGS)], [size, g.va(ARGS)]];
    expect([ask(g, 23, ...batch(0)), ask(g, 23, ...batch(3)), ask(g, 23, ...batch(4, 9)), memoryOp(g, 23, 0x1000n)]).toEqual([EACCES, EOPNOTSUPP, ESRCH, EFAULT]);
    expect([ask(g, 15, [2, 0x7ff0], [2, 0], [4, 0], [8, 0]), ask(g, 15, [2, 9], [2, 0], [4, 0], [8, 0]), memoryOp(g, 15, 0x1000n)]).toEqual([EACCES, ESRCH, EFAULT]);
    expect([8, 9 | (1 << 6), 63].map(op => memoryOp(g, op, g.va(ARGS)))).toEqual([ENOSYS, ENOSYS, ENOSYS]);
    expect(memoryOp(g, DECREASE, 0n)).toBe(0);
  });
});
