/** The deterministic mode: programs of all vCPUs in one thread, in an order that a seed decides. On the built package. */
import { describe, expect, it } from 'vitest';
import { Machine } from '../../dist/index.js';
import { runInTurn, type Context } from '../../dist/smp/index.js';
import { done, inTurn } from './crew.ts';
import { makeWorld } from './world.mjs';

const options = { memory: '64K', vcpus: 2, mode: 'functional', engine: 'ts' } as const;

function history(seed: number, engine: 'ts' | 'wasm' = 'ts'): { bytes: Uint8Array; order: number[]; calls: number[] } {
  const narrow = (['none', 'some', 'all'] as const)[seed % 3], world = makeWorld({ domains: 2, vcpus: 2, engine, fifo: seed % 2 === 0, narrow, privileged: seed % 4 > 1 }), order: number[] = [];
  const outcomes = runInTurn(world.machine, inTurn(world, { seed, steps: 60 }), { machine: world.options, seed, onStep: number => order.push(number) });
  expect(world.xen.audit()).toEqual([]);
  return { bytes: world.machine.views.u8, order, calls: outcomes.map(done) };
}

describe('programs in turn', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))('leave the same bytes for the same seed (%i)', seed => {
    const one = history(seed), two = history(seed);
    expect(Buffer.compare(one.bytes, two.bytes)).toBe(0);
    expect(one.calls.every(calls => calls > 20)).toBe(true);
    expect(new Set(one.order)).toEqual(new Set([0, 1, 2, 3]));
  });

  it('have their turns in another order for another seed', () => {
    const order = (seed: number) => {
      const machine = Machine.create(options), turns: number[] = [];
      const run = function* ({ number }: Context) { for (let k = 0; k < 8; k++) { turns.push(number); yield; } };
      expect(runInTurn(machine, [{ run }, { run }], { machine: options, seed })).toEqual([{ how: 'returned', value: undefined }, { how: 'returned', value: undefined }]);
      return turns.join('');
    };
    expect(new Set([1, 2, 3, 4].map(order)).size).toBe(4);
    expect(order(1)).toBe(order(1));
  });

  it('fail, return and are stopped one by one', () => {
    const machine = Machine.create(options), run = function* () { for (;;) yield; };
    const fail = function* () { yield; throw new Error('enough'); };
    expect(runInTurn(machine, [{ run }, { run: fail }], { machine: options, seed: 1, steps: 50 })).toEqual([{ how: 'stopped' }, { how: 'failed', error: 'Error: enough' }]);
    expect(runInTurn(machine, [{ run: ({ data }) => data, data: 3 }], { machine: options, seed: 1 })).toEqual([{ how: 'returned', value: 3 }]);
    expect(() => runInTurn(machine, [{ run }, { run }, { run }], { machine: options, seed: 1 })).toThrow(/programs: expected at most one for each of 2 vCPUs, got 3/);
  });

  it.each([['ts'], ['wasm']] as const)('see what another left cached until they look (%s)', engine => {
    const given = { ...options, paging: '4-level', mode: 'timed', engine } as const, machine = Machine.create(given);
    machine.map(0x4000n);
    machine.vcpus[1]!.writeCr3(machine.vcpus[0]!.registers.cr3);
    const seen: string[] = [], [leaf] = machine.vcpus[0]!.explain(0x4000n, 0).references.slice(-1), entry = new Uint8Array(8);
    const use = function* ({ cpu }: Context) {
      for (let k = 0; k < 40; k++) {
        const t = cpu.translate(0x4000n, 0);
        seen.push(t.ok ? `${t.path.startsWith('tlb1+') ? 'cached' : 'walked'}` : 'fault');
        yield;
      }
    };
    const change = function* ({ machine: own }: Context) {
      for (let k = 0; k < 6; k++) yield;
      own.write(BigInt(leaf!.paddr), entry);
      seen.push('removed');
      for (let k = 0; k < 4; k++) yield; // not told yet: what is cached stays usable
      own.shootdowns.post(own.vcpus[0]!.block >>> 2, { kind: 4, id: 0, hi: 0, lo: 0x4000, pages: 1 });
      seen.push('posted');
      while (own.shootdowns.pending) yield;
      own.shootdowns.wait();
      seen.push('done');
    };
    runInTurn(machine, [{ run: use }, { run: change }], { machine: given, seed: 5 });
    const [removed, posted, finished] = ['removed', 'posted', 'done'].map(what => seen.indexOf(what));
    expect(seen.slice(1, removed).every(what => what === 'cached')).toBe(true);
    expect(seen.slice(removed! + 1, posted)).toContain('cached'); // the window
    expect(seen.slice(removed! + 1, posted)).not.toContain('fault');
    expect(seen.slice(finished! + 1).every(what => what === 'fault')).toBe(true);
    expect(seen.slice(finished! + 1).length).toBeGreaterThan(3);
  });
});
