import { describe, expect, it } from 'vitest';
import { Guest, entryOf, DATA, P, READ, RW, TABLE, US, type GuestOptions } from './guest.ts';
import { lcg } from './lcg.ts';

const STEPS = 500;
const POOL = 14; // frames that tables are made of: few, so that they meet

/** One random step of a guest that builds tables from few frames, and its result. */
function step(g: Guest, r: (below: number) => number): number {
  const frame = () => g.free(r(POOL)), slot = r(4), some = frame();
  const value = [0n, entryOf(some, P | US), entryOf(some, TABLE), entryOf(some, DATA), entryOf(g.free(20 + r(4)), READ), entryOf(g.tables[r(4)], P | US), entryOf(0x350, P)][r(7)];
  switch (r(9)) {
    case 0: case 1: return g.map(g.va(some), entryOf(some, r(2) ? DATA : READ));
    case 2: case 3: return g.update([some, slot, value, [0, 0, 2, 3][r(4)]], [frame(), r(4), value]);
    case 4: return g.pin(1 + r(g.wide ? 4 : 3), some);
    case 5: return g.unpin(some);
    case 6: {
      const data = new Uint8Array(8);
      new DataView(data.buffer).setBigUint64(0, value, true);
      return g.xen.write(g.cpu, g.va(some) + BigInt(slot * 8), data);
    }
    case 7: return g.ext(16 + r(2), BigInt(some), BigInt(frame())); // clear, copy
    default: return g.wide ? g.ext(15, BigInt(r(2) ? some : 0)) : g.update([g.tables[2], 8 + slot, entryOf(some, P | RW | US)]);
  }
}

/** Results of a random history, audited after every step, and what is there in the end. */
function live(seed: number, options: GuestOptions): { results: number[]; memory: Uint8Array; rows: number[] } {
  const g = new Guest(options), r = lcg(seed), results: number[] = [];
  for (let k = 0; k < STEPS; k++) {
    results.push(step(g, r));
    const complaints = g.xen.audit();
    if (complaints.length > 0) throw new Error(`seed ${seed}, step ${k}: ${complaints.join('; ')}`);
  }
  const { frames } = g.xen.host, memory = new Uint8Array(0x1000 * 0x400);
  g.machine.read(0x400000n, memory);
  return { results, memory, rows: Array.from({ length: 0x400 }, (_, k) => [frames.type(0x400 + k), frames.refs(0x400 + k), frames.owner(0x400 + k), frames.linear(0x400 + k), frames.validated(0x400 + k)]).flat() };
}

describe.each([['64-bit', true], ['32-bit', false]] as const)('a random history of a %s guest', (_, wide) => {
  it.each([1, 2, 3])('with seed %i holds the audit, and comes to the same in both engines and when preempted', seed => {
    const one = live(seed, { wide });
    expect(new Set(one.results).size).toBeGreaterThan(3);
    expect(one.results.filter(rc => rc === 0).length).toBeGreaterThan(STEPS / 5);
    for (const other of [{ engine: 'wasm' as const }, { budget: 1 }, { budget: 3, engine: 'wasm' as const }]) {
      const two = live(seed, { wide, ...other });
      expect(two.results).toEqual(one.results);
      expect(two.rows).toEqual(one.rows);
      expect(Buffer.compare(two.memory, one.memory)).toBe(0);
    }
  }, 60_000);
});
