import { describe, expect, it } from 'vitest';
import { Guest, ARGS } from './guest.ts';
import { getList, LIST, memoryOp, pack, peek, poke, POPULATE, adjust, putList } from './memory-calls.ts';

const EPERM = -1, ESRCH = -3, ENOMEM = -12, EFAULT = -14, EINVAL = -22, ENOSYS = -38, EOPNOTSUPP = -95;
const widths = [['64-bit', true], ['32-bit', false]] as const;
type Field = readonly [bytes: number, value: bigint | number];

/** A command with a structure of the given fields where the guest keeps its arguments. */
function ask(g: Guest, command: number, ...fields: Field[]): number {
  poke(g, g.va(ARGS), pack(...fields));
  return memoryOp(g, command, g.va(ARGS));
}

describe.each(widths)('memory_op of a %s guest', (_, wide) => {
  const w = wide ? 8 : 4;
  const world = (options = {}) => {
    const g = new Guest({ wide, ...options });
    g.xen.createDomain({ id: 1, p2m: [[0, 0x900, 16]], maxPages: 40, grants: { maxFrames: 40, frames: [0x901 + 100] } });
    return g;
  };
  const resource = (list: bigint, count: number, { domid = 1, type = 1, id = 0, pad = 0, frame = 0n } = {}): Field[] =>
    [[2, domid], [2, type], [4, id], [4, count], [4, pad], [8, frame], [w, list]];

  it('about other kinds of guests says that this one is none', () => {
    const g = world(), pod = (domid: number): Field[] => [[8, 0], [8, 0], [8, 0], [8, 0], [2, domid], [2, 0], [4, 0]];
    expect([16, 17].flatMap(op => [ask(g, op, ...pod(1)), ask(g, op, ...pod(0x7ff0)), ask(g, op, ...pod(9)), memoryOp(g, op, 0x1000n)])).toEqual([EINVAL, EINVAL, ESRCH, EFAULT, EINVAL, EINVAL, ESRCH, EFAULT]);
    const access = (domid: number): Field[] => [[2, 0], [2, domid], [4, 0], [8, 0], [w, 0], [w, 0]];
    expect([ask(g, 21, ...access(1)), ask(g, 21, ...access(0)), ask(g, 21, ...access(0x7ff0)), memoryOp(g, 21, 0x1000n)]).toEqual([EINVAL, EPERM, ESRCH, EFAULT]);
    const vnuma = (domid: number, pad = 0): Field[] => [[2, domid], [2, pad], [4, 1], [4, 1], [4, 1], [8, 0], [8, 0], [8, 0]];
    expect([ask(g, 26, ...vnuma(0x7ff0)), ask(g, 26, ...vnuma(1)), ask(g, 26, ...vnuma(9)), ask(g, 26, ...vnuma(1, 1)), ask(g, 26 | 64, ...vnuma(1)), memoryOp(g, 26, 0x1000n)])
      .toEqual([EOPNOTSUPP, EOPNOTSUPP, ESRCH, EINVAL, EINVAL, EFAULT]);
    expect([memoryOp(g, 18, 0n), memoryOp(g, 19, 0n), memoryOp(g, 20, 0n), memoryOp(g, 22, 0n), memoryOp(g, 18 | 64, 0n)]).toEqual([0, 0, ENOSYS, ENOSYS, ENOSYS]);
    const poor = new Guest({ wide, privileged: false });
    poor.xen.createDomain({ id: 1 });
    expect([ask(poor, 26, ...vnuma(1)), ask(poor, 26, ...vnuma(0)), ask(poor, 10, [4, 0], [4, 0], [8, 0])]).toEqual([EPERM, EOPNOTSUPP, EPERM]);
    expect(memoryOp(poor, 10, 0x1000n)).toBe(wide ? EPERM : EFAULT);
  });

  it('knows no devices with memory reserved', () => {
    const g = world(), map = (flags: number, count: number, buffer: bigint): Field[] => [[4, flags], [4, count], [w, buffer], [4, 0], [4, 0]];
    expect(ask(g, 27, ...map(1, 5, 0n))).toBe(0);
    expect(peek(g, g.va(ARGS), 8).getUint32(4, true)).toBe(0);
    expect(ask(g, 27, ...map(2, 5, 0n))).toBe(EINVAL);
    expect(ask(g, 27, ...map(0, 5, wide ? 0xffff_8100_0000_0000n : 0xf600_0000n))).toBe(EFAULT);
    expect([ask(g, 27 | 64, ...map(0, 0, 0n)), memoryOp(g, 27, 0x1000n)]).toEqual([EINVAL, EFAULT]);
  });

  it('tells the frames of another domain’s grant table, which grows for it', () => {
    const g = world(), at = g.va(LIST), { grants } = g.xen.host.domain(1)!;
    expect(ask(g, 28, ...resource(0n, 0))).toBe(0);
    expect(peek(g, g.va(ARGS), 12).getUint32(8, true)).toBe(40);
    expect(ask(g, 28, ...resource(at, 3))).toBe(0);
    expect(grants.frames).toHaveLength(3);
    expect(getList(g, 3)).toEqual([...grants.frames]);
    expect(ask(g, 28, ...resource(at, 2, { frame: 38n }))).toBe(0);
    expect(getList(g, 2)).toEqual([...grants.frames.slice(38)]);
    expect(ask(g, 28, ...resource(at, 2, { frame: 39n }))).toBe(EINVAL);
    expect(ask(g, 28, ...resource(at, 1, { id: 1 }))).toBe(EINVAL); // no version 2
    expect(ask(g, 28, ...resource(0n, 0, { id: 1 }))).toBe(0);
    expect(peek(g, g.va(ARGS), 12).getUint32(8, true)).toBe(5);
    expect(g.xen.audit()).toEqual([]);
  });

  it('refuses other resources', () => {
    const g = world(), at = g.va(LIST);
    const cases: [Field[], number][] = [
      [resource(at, 1, { pad: 1 }), EINVAL], [resource(at, 1, { frame: 1n << 32n }), EINVAL], [resource(at, 1, { frame: 0xffff_ffffn }), EINVAL],
      [resource(at, 1, { domid: 9 }), ESRCH], [resource(at, 1, { domid: 0x7ff0 }), ESRCH], [resource(at, 1, { domid: 0 }), EPERM],
      [resource(at, 1, { id: 2 }), EINVAL], [resource(at, 1, { type: 0 }), EINVAL], [resource(at, 1, { type: 2 }), EINVAL],
      [resource(at, 1, { type: 3 }), EOPNOTSUPP], [resource(at, 0), EINVAL], [resource(0n, 1), EINVAL], [resource(at, 0x4000000), EINVAL],
      [resource(0x1000n, 1), EFAULT],
    ];
    expect(cases.map(([fields]) => ask(g, 28, ...fields))).toEqual(cases.map(([, rc]) => rc));
    expect([ask(g, 28 | 64, ...resource(at, 1)), memoryOp(g, 28, 0x1000n)]).toEqual([EINVAL, EFAULT]);
    const poor = new Guest({ wide, privileged: false });
    poor.xen.createDomain({ id: 1 });
    expect(ask(poor, 28, ...resource(poor.va(LIST), 1))).toBe(EPERM);
    expect(g.xen.audit()).toEqual([]);
  });

  it('goes on with a list that was preempted', () => {
    const g = world({ budget: 0 }), list = g.va(LIST), { grants } = g.xen.host.domain(1)!;
    expect(ask(g, 28, ...resource(list, 40))).toBe(0);
    expect(getList(g, 40)).toEqual([...grants.frames]);
    expect(g.xen.counters().hypercalls['memory_op']).toMatchObject({ calls: 1, entries: 2 });
  });

  const claim = (pages: number, { order = 0, flags = 0, domid = 1, list = 0n } = {}): Field[] => [[w, list], [w, pages], [4, order], [4, flags], [2, domid], [2, 0], [4, 0]];

  it.runIf(wide)('claims memory for a domain, which no one else gets then', () => {
    const g = world(), { host } = g.xen;
    const free = () => Array.from({ length: host.frames.count }, (_x, mfn) => mfn).filter(mfn => host.frames.isFree(mfn)).length;
    expect([claim(30, { order: 1 }), claim(30, { flags: 1 }), claim(30, { list: 8n }), claim(30, { domid: 9 }), claim(30, { domid: 0x7ff0 }), claim(16), claim(41)].map(fields => ask(g, 24, ...fields)))
      .toEqual([EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL]);
    expect([ask(g, 24 | 64, ...claim(30)), memoryOp(g, 24, 0x1000n)]).toEqual([EINVAL, EFAULT]);
    expect(ask(g, 24, ...claim(20))).toBe(0);
    expect(ask(g, 24, ...claim(20))).toBe(EINVAL); // one at a time
    g.domain.maxPages += free();
    putList(g, [5000]);
    for (let left = free(); left > 4; left--) expect(adjust(g, POPULATE, { count: 1 })).toBe(1);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(0);
    expect(adjust(g, POPULATE, { count: 1, domid: 1 })).toBe(1);
    expect([host.domain(1)!.claimed, host.claimed]).toEqual([3, 3]);
    expect(ask(g, 24, ...claim(0))).toBe(0);
    expect(ask(g, 24, ...claim(40))).toBe(ENOMEM);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(1);
    expect(ask(g, 24, ...claim(19))).toBe(0);
    g.xen.destroyDomain(1);
    expect(host.claimed).toBe(0);
    expect(g.xen.audit()).toEqual([]);
  }, 60_000);

  it('lets only privileged ones claim, and no 32-bit ones', () => {
    const poor = new Guest({ wide, privileged: false });
    poor.xen.createDomain({ id: 1, maxPages: 40 });
    expect(ask(poor, 24, ...claim(30))).toBe(wide ? EPERM : ENOSYS);
    if (!wide) expect(ask(world(), 24, ...claim(30))).toBe(ENOSYS);
  });
});
