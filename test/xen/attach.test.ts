import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { PGT_PARTIAL } from '../../src/layout/frame.ts';
import { Machine } from '../../src/machine/machine.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import { HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_mmuext_op, HYPERVISOR_sched_op } from '../../src/xen/numbers.ts';
import { GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { FIRST1, GrantWorld } from './grant-world.ts';
import { entryOf, machineOptions, P, READ, TABLE, US } from './guest.ts';
import { Lab, lcg } from './lab.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;
const STEPS = 600, EVERY = 50;

/** Where two memories differ first, in words; -1: nowhere. */
function difference(a: Lab, b: Lab): number {
  return Buffer.compare(a.bytesNow(), b.bytesNow()) === 0 ? -1 : a.machine.views.w.findIndex((word, k) => word !== b.machine.views.w[k]);
}

function answers(lab: Lab, seed: number, steps: number): unknown[] {
  const r = lcg(seed);
  return Array.from({ length: steps }, () => lab.step(r));
}

describe.each(widths)('the state of a %s guest', (_, wide) => {
  it.each([1, 2, 3])('is all that hypervisors attached to it need: they take calls in turn as one alone does (seed %i)', seed => {
    const one = new Lab(wide), three = new Lab(wide, 2), r = lcg(seed), same = lcg(seed);
    const seen = new Set<string>();
    for (let k = 0; k < STEPS; k++) {
      const expected = one.step(r);
      expect(three.step(same), `step ${k}`).toEqual(expected);
      seen.add(JSON.stringify(expected));
      if (k % EVERY !== EVERY - 1) continue;
      expect(difference(one, three), `after step ${k}`).toBe(-1);
      for (const xen of three.hypervisors) expect(xen.audit()).toEqual([]);
    }
    expect(seen.size).toBeGreaterThan(40);
    expect(one.domain.grants.maptrack.limit).toBeGreaterThan(0);
  });

  it.each([4, 5])('is a copy of its bytes (seed %i)', seed => {
    const lab = new Lab(wide);
    answers(lab, seed, STEPS / 2);
    const copy = lab.onCopy();
    expect(copy.xen.audit()).toEqual([]);
    expect(answers(copy, seed + 100, STEPS / 2)).toEqual(answers(lab, seed + 100, STEPS / 2));
    expect(difference(lab, copy)).toBe(-1);
  });
});

/** A guest whose kernel pins a table that takes some time, and what it will do next: map a grant, have a port. */
function pinning(wide: boolean, engine: 'ts' | 'wasm'): { g: GrantWorld; table: number; calls: [number, ...bigint[]][] } {
  const g = new GrantWorld({ wide, engine, budget: 2, free: true }), table = g.free(9), port = g.free(10), list = g.free(11), flags = wide ? TABLE : P | US;
  for (let k = 0; k < 4; k++) g.table(g.free(k), Array.from({ length: 8 }, (_, slot) => [slot, entryOf(g.free(20 + slot), READ)]));
  g.table(table, Array.from({ length: 4 }, (_, slot) => [slot, entryOf(g.free(slot), flags)]));
  g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
  g.fill(port, 0, Uint8Array.of(0xf0, 0x7f, 0xf0, 0x7f));
  g.fill(list, 0, g.mapOp(g.va(g.free(40)), 2, 9, 1));
  const calls: [number, ...bigint[]][] = [
    [HYPERVISOR_event_channel_op, 6n, g.va(port)], [HYPERVISOR_grant_table_op, 0n, g.va(list), 1n], [HYPERVISOR_sched_op, 0n],
  ];
  g.xen.setCall(g.cpu, HYPERVISOR_mmuext_op, wide ? g.words(8, 1n, BigInt(table)) : g.words(4, 1n, BigInt(table)), 1n, 0n, 0x7ff0n);
  g.xen.dispatchPart(g.cpu);
  return { g, table, calls };
}

describe.each([['64-bit', true, 'ts'], ['64-bit', true, 'wasm'], ['32-bit', false, 'wasm']] as const)('a %s guest', (_, wide, engine) => {
  it(`may go on in another thread in the middle of a validation (${engine})`, async () => {
    const { g, table, calls } = pinning(wide, engine), alone = pinning(wide, engine).g;
    expect([g.xen.host.preempted, (g.xen.host.frames.type(table) & PGT_PARTIAL) !== 0, g.xen.audit()]).toEqual([true, true, []]);
    const found = await new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./attach-worker.mjs', import.meta.url), { workerData: { memory: g.machine.views.memory, options: machineOptions(engine), calls } });
      worker.on('message', resolve);
      worker.on('error', reject);
    });
    const first = alone.xen.dispatch(alone.cpu), results = calls.map(([nr, ...args]) => Number(alone.xen.hypercall(alone.cpu, nr, ...args)));
    expect(found).toEqual({ before: [], first, results, after: [] });
    expect([first, results]).toEqual([0, [0, 0, 0]]);
    for (const each of [g, alone]) expect([each.unpin(table), each.pins(1, 9), each.domain.events.port(1).state]).toEqual([0, 1, 2]);
    expect(Buffer.compare(g.machine.views.u8, alone.machine.views.u8)).toBe(0);
  });
});

it('is not there without a hypervisor, nor on a machine made with other options', () => {
  expect(() => Hypervisor.attach(Machine.create({ memory: '1M' }))).toThrow(/machine: expected a machine with a hypervisor/);
  const { memory } = new Lab(true).machine.views;
  expect(() => Machine.attach(memory, { ...machineOptions('ts'), vcpus: 2 })).toThrow(/memory: expected the memory of a machine made with the same options/);
});
