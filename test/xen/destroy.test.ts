import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import type { Domain } from '../../src/xen/domain.ts';
import { Guest, DATA, READ, TABLE, entryOf } from './guest.ts';
import { DECREASE, POPULATE, adjust, getList, giveBack, named, peek, poke, putList, unmap } from './memory-calls.ts';

const PINNED = 0x80000000, OTHERS = 0xf0000000, ESRCH = -3;
const HOME = 0x900; // frames of the other domain

/** A domain 1 of 16 frames beside a privileged guest. */
function neighbours(options: ConstructorParameters<typeof Guest>[0] = {}): { g: Guest; other: Domain } {
  const g = new Guest(options);
  return { g, other: g.xen.createDomain({ id: 1, p2m: [[0, HOME, 16]], maxPages: 20, sharedInfo: 0x310 }) };
}

/** Map a frame of domain 1 where the guest sees its frame `k`. */
function mapOther(g: Guest, k: number, mfn: number, flags = DATA): void {
  expect(Number(g.xen.hypercall(g.cpu, 22, g.va(g.free(k)), entryOf(mfn, flags), 2n, 1n))).toBe(0);
}

/** mmuext_op on frames of domain 1: pin or unpin. */
function pinOther(g: Guest, command: number, mfn: number): number {
  const at = g.words(8, BigInt(command), BigInt(mfn), 0n);
  return Number(g.xen.hypercall(g.cpu, 26, at, 1n, 0n, 1n));
}

/** Write entries of a frame of domain 1, through a mapping that is gone after it. */
function fill(g: Guest, mfn: number, ...entries: (readonly [slot: number, value: bigint])[]): void {
  mapOther(g, 0, mfn);
  for (const [slot, value] of entries) {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value, true);
    poke(g, g.va(g.free(0)) + BigInt(slot * 8), data);
  }
  expect(g.map(g.va(g.free(0)), 0n)).toBe(0);
}

describe('a domain that is destroyed', () => {
  it('gives up its frames, its tables and its number', () => {
    const { g } = neighbours();
    fill(g, HOME, [3, entryOf(HOME + 4, DATA)]);
    fill(g, HOME + 1, [0, entryOf(HOME, TABLE)]);
    expect(pinOther(g, 1, HOME + 1)).toBe(0);
    const frames = [HOME, HOME + 1, HOME + 4, 0x350, 0x310];
    expect(g.xen.pageTypes(1, frames)).toEqual([0x10000000, 0x20000000 + PINNED, 0, OTHERS, OTHERS]);
    g.xen.destroyDomain(1);
    expect(frames.slice(0, 3).map(mfn => [g.xen.host.frames.isFree(mfn), named(g, mfn)])).toEqual([[true, -1], [true, -1], [true, -1]]);
    expect(g.xen.host.frames.isFree(0x310)).toBe(true);
    expect(g.xen.host.domain(1)).toBeUndefined();
    expect(g.xen.audit()).toEqual([]);
    expect(() => g.xen.pageTypes(1, [HOME])).toThrow(ConfigError);
    expect(() => g.xen.destroyDomain(1)).toThrow(ConfigError);
    expect(g.xen.createDomain({ id: 1, p2m: [[0, HOME, 16]], sharedInfo: 0x310 }).totalPages).toBe(16);
  });

  it.each([2, 3, 4])('gives up tables of level %i that are windows on themselves and on each other', level => {
    const { g } = neighbours(), [a, b, c] = [HOME, HOME + 1, HOME + 2];
    fill(g, c, [5, entryOf(HOME + 6, READ)]);
    for (const mfn of [a, b]) fill(g, mfn, [7, entryOf(mfn, READ)]); // each its own window
    expect([pinOther(g, level - 1, a), pinOther(g, level - 1, b)]).toEqual([0, 0]);
    const at = g.words(8, (BigInt(a) << 12n) | 80n, entryOf(b, READ));
    expect(Number(g.xen.hypercall(g.cpu, 1, at, 1n, 0n, 1n | (2n << 16n)))).toBe(0); // and a uses b as a window
    expect([pinOther(g, 4, a), pinOther(g, 4, b)]).toEqual([0, 0]);
    g.xen.destroyDomain(1);
    expect([a, b, c].map(mfn => g.xen.host.frames.isFree(mfn))).toEqual([true, true, true]);
    expect([g.xen.host.domain(1), g.xen.audit()]).toEqual([undefined, []]);
  });

  it('is known by its number while a frame of it is mapped', () => {
    const { g } = neighbours();
    mapOther(g, 1, HOME + 3);
    poke(g, g.va(g.free(1)), Uint8Array.of(7));
    g.xen.destroyDomain(1);
    expect([g.xen.host.domain(1)?.totalPages, g.xen.audit()]).toEqual([1, []]);
    expect(peek(g, g.va(g.free(1)), 1).getUint8(0)).toBe(7);
    expect(g.xen.pageTypes(1, [HOME + 3, HOME + 4])).toEqual([0, OTHERS]);
    expect(() => g.xen.createDomain({ id: 1 })).toThrow(ConfigError);
    putList(g, [HOME + 3]);
    expect(adjust(g, DECREASE, { count: 1, domid: 1 })).toBe(1); // what it owed for is gone, but it is there
    expect(adjust(g, POPULATE, { count: 1, domid: 1 })).toBe(0);
    expect(g.map(g.va(g.free(1)), 0n)).toBe(0);
    expect([g.xen.host.domain(1), named(g, HOME + 3), g.machine.views.u8[(HOME + 3) * 4096]]).toEqual([undefined, -1, 0]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('is known while its shared frame is mapped, which is free only then', () => {
    const { g } = neighbours();
    mapOther(g, 1, 0x310);
    g.xen.destroyDomain(1);
    expect([g.xen.host.domain(1)?.xenPages, g.xen.host.frames.isFree(0x310)]).toEqual([1, false]);
    expect(g.map(g.va(g.free(1)), 0n)).toBe(0);
    expect([g.xen.host.domain(1), g.xen.host.frames.isFree(0x310), g.xen.audit()]).toEqual([undefined, true, []]);
  });

  it('leaves nothing to read in its frames', () => {
    const { g } = neighbours();
    mapOther(g, 1, HOME + 3);
    poke(g, g.va(g.free(1)) + 100n, Uint8Array.of(1, 2, 3));
    expect(g.map(g.va(g.free(1)), 0n)).toBe(0);
    g.xen.destroyDomain(1);
    expect(g.machine.views.u8.subarray((HOME + 3) * 4096, (HOME + 4) * 4096).some(byte => byte !== 0)).toBe(false);
  });

  it('takes nothing any more', () => {
    const { g } = neighbours();
    mapOther(g, 1, HOME + 3);
    g.xen.destroyDomain(1);
    g.domain.maxPages += 4;
    putList(g, [1]);
    expect(adjust(g, POPULATE, { count: 1, domid: 1 })).toBe(0);
    expect(adjust(g, POPULATE, { count: 1 })).toBe(1);
    expect(getList(g, 1)[0]).not.toBe(HOME + 3);
  });
});

describe.each([['64-bit', true], ['32-bit', false]] as const)('a %s guest that runs', (_, wide) => {
  it('is destroyed with the tables that it walks', () => {
    const g = new Guest({ wide });
    const tables = [...g.tables];
    g.xen.destroyDomain(0);
    expect(tables.every(mfn => g.xen.host.frames.isFree(mfn))).toBe(true);
    expect([g.xen.host.domains.size, g.xen.audit()]).toEqual([0, []]);
    expect(() => g.xen.hypercall(g.cpu, 12, 2n, 0n)).toThrow(ConfigError);
  });

  it('is destroyed with a vCPU that never ran', () => {
    for (const vcpus of [1, 2]) {
      const g = new Guest({ wide, vcpus });
      g.domain.addVcpu();
      g.xen.destroyDomain(0);
      expect([g.xen.host.domains.size, g.xen.audit()]).toEqual([0, []]);
    }
  });

  it('may give its shared frame back, which stays the hypervisor\'s', () => {
    const g = new Guest({ wide });
    expect(giveBack(g, g.sharedInfo)).toBe(1);
    expect(giveBack(g, g.sharedInfo)).toBe(0);
    expect([g.domain.xenPages, g.xen.host.frames.isFree(g.sharedInfo), g.xen.audit()]).toEqual([0, false, []]);
    expect(g.map(g.va(g.free(0)), entryOf(g.sharedInfo, DATA))).toBe(-16);
    unmap(g, g.free(0));
    g.xen.destroyDomain(0);
    expect(g.xen.host.frames.isFree(g.sharedInfo)).toBe(true);
  });

  it('asks in vain for a domain that is gone', () => {
    const g = new Guest({ wide });
    g.xen.createDomain({ id: 1, p2m: [[0, HOME, 2]] });
    g.xen.destroyDomain(1);
    const at = g.words(4, 1n);
    expect(Number(g.xen.hypercall(g.cpu, 12, 3n, at))).toBe(ESRCH);
  });
});

describe('a domain that is destroyed in parts', () => {
  /** A domain with tables of all levels, a window on itself, pins, ports and its frames; and where it stood. */
  function crowded(budget: number): Guest {
    const { g } = neighbours({ budget });
    fill(g, HOME, ...Array.from({ length: 300 }, (_x, k): [number, bigint] => [k, entryOf(HOME + 8 + (k & 7), DATA)]));
    fill(g, HOME + 1, [0, entryOf(HOME, TABLE)], [4, entryOf(HOME, TABLE)], [511, entryOf(HOME, TABLE)]);
    fill(g, HOME + 2, [0, entryOf(HOME + 1, TABLE)], [1, entryOf(HOME + 1, TABLE)], [2, entryOf(HOME + 2, READ)]);
    fill(g, HOME + 3, [0, entryOf(HOME + 2, TABLE)], [511, entryOf(HOME + 2, TABLE)]);
    expect(pinOther(g, 3, HOME + 3)).toBe(0);
    expect(pinOther(g, 1, HOME + 1)).toBe(0);
    mapOther(g, 1, HOME + 15);
    return g;
  }
  /** What is left, for comparison. */
  const rest = (g: Guest) => [g.xen.host.domain(1)?.totalPages, Array.from({ length: 16 }, (_x, k) => [g.xen.host.frames.refs(HOME + k), g.xen.host.frames.type(HOME + k)])];

  it.each([0, 1, 7, 100])('with a budget of %i comes to the same, the audit holds between parts, and each gets further', budget => {
    const whole = crowded(Infinity), g = crowded(budget), step = budget < 10 ? 13 : 1;
    whole.xen.destroyDomain(1);
    let parts = 1;
    for (; !g.xen.destroyDomainPart(1); parts++) {
      if (parts % step === 0) expect(g.xen.audit(), `part ${parts}`).toEqual([]);
      expect(g.xen.host.domain(1)!.dying).toBe(true);
      expect(parts).toBeLessThan(6000);
    }
    expect(parts).toBeGreaterThan(budget < 10 ? 100 : 5);
    expect(rest(g)).toEqual(rest(whole));
    expect(() => g.xen.destroyDomainPart(1)).toThrow(ConfigError);
    expect(g.map(g.va(g.free(1)), 0n)).toBe(0);
    expect([g.xen.host.domain(1), g.xen.audit()]).toEqual([undefined, []]);
  });

  it('is of no use to others between parts', () => {
    const g = crowded(0);
    for (let part = 0; part < 40; part++) expect(g.xen.destroyDomainPart(1)).toBe(false);
    for (const [command, mfn] of [[0, HOME], [3, HOME + 3]] as const) {
      expect(pinOther(g, command, mfn)).toBe(0); // of the dying it is let go at once
      const type = g.xen.pageTypes(1, [mfn])[0]!;
      expect(type === OTHERS || type < PINNED, type.toString(16)).toBe(true);
    }
    putList(g, [1]);
    expect(adjust(g, POPULATE, { count: 1, domid: 1 })).toBe(0);
    expect(g.xen.audit()).toEqual([]);
    g.xen.destroyDomain(1);
    expect(g.xen.audit()).toEqual([]);
  });

  it.each([['64-bit', true], ['32-bit', false]] as const)('when it is a %s one that runs', (_, wide) => {
    const g = new Guest({ wide, budget: 1 }), tables = [...g.tables];
    let parts = 1;
    for (; !g.xen.destroyDomainPart(0); parts++) if (parts % 13 === 0) expect(g.xen.audit(), `part ${parts}`).toEqual([]);
    expect(parts).toBeGreaterThan(500);
    expect(tables.every(mfn => g.xen.host.frames.isFree(mfn))).toBe(true);
    expect(() => g.xen.dispatch(g.cpu)).toThrow(ConfigError);
    expect([g.xen.host.domains.size, g.xen.audit()]).toEqual([0, []]);
  });
});
