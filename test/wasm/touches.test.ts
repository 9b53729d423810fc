/** What a block touches, made by either engine, and the accesses themselves in columns, one by one: the same bytes of state. */
import { expect, it } from 'vitest';
import { ACCESS_USER } from '../../src/arch/fault.ts';
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { TOUCH_COUNT_SHIFT } from '../../src/layout/census.ts';
import { Machine } from '../../src/machine/machine.ts';
import { makesTouches, TouchBatch } from '../../src/machine/touch-batch.ts';
import { Random } from './engine-duel.ts';
import { flat, four } from './models.ts';
import { stateOf } from './state.ts';

const ROOM = 1 << 16, CODE = 0x40_0000, DATA = 0x4000_0000;
const FETCH = 2, MODIFY = 3;

interface Made { readonly machine: Machine; readonly rows: Int32Array; readonly offset: number }

function make(cpu: CpuModel, engine: 'ts' | 'wasm', pages: number): Made {
  const machine = Machine.create({ cpu, engine, memory: '8M' });
  machine.map(BigInt(CODE), { frames: pages, user: true });
  machine.map(BigInt(DATA), { frames: pages, user: true, write: true });
  const offset = machine.views.grow(ROOM);
  return { machine, rows: new Int32Array(machine.views.memory.buffer, offset, ROOM / 4), offset };
}

/** Random segments: rows, and the accesses they stand for, fetches among the data. */
function segments(r: Random, pages: number): { rows: number[]; accesses: [va: number, kind: number, size: number][] } {
  const rows: number[] = [], accesses: [number, number, number][] = [];
  let code = CODE, data = DATA;
  for (let n = 0; n < 60; n++) {
    if (r.chance(0.3)) code = CODE + r.below(pages) * 4096;
    const fetches = 1 + r.below(12), first = accesses.length;
    rows.push(code, 0, (fetches << TOUCH_COUNT_SHIFT) | first, 1 | (FETCH << 16));
    for (let k = 0; k < fetches; k++) {
      accesses.push([code + k, FETCH, 1]);
      if (!r.chance(0.3)) continue;
      if (r.chance(0.5)) data = DATA + r.below(pages) * 4096;
      const size = r.chance(0.1) ? 300 : 8, va = data + r.below(4096), kind = r.of([0, 1, MODIFY]);
      if (va + size > DATA + pages * 4096) continue;
      rows.push(va, 0, (1 << TOUCH_COUNT_SHIFT) | accesses.length, size | (kind << 16));
      accesses.push([va, kind, size]);
    }
  }
  rows.push(0, 0, accesses.length, 0);
  return { rows, accesses };
}

it.each([['zen 3', presets.zen3, 200], ['skylake', presets.skylake, 200], ['nehalem', presets['nehalem-e5520'], 50], ['four ways', four, 900], ['no caches', flat, 900]] as const)('%s', (_, cpu, pages) => {
  const r = new Random(pages), ts = make(cpu, 'ts', pages), wasm = make(cpu, 'wasm', pages), one = make(cpu, 'wasm', pages);
  const { vcpus: [{ block }], views } = ts.machine, batch = new TouchBatch(views, block >>> 2, ACCESS_USER), columns = one.machine.columns(4096);
  expect(makesTouches(views, block >>> 2)).toBe(true);
  for (let round = 0; round < 150; round++) {
    const { rows, accesses } = segments(r, pages), count = accesses.length, behind = rows.length - 4;
    for (const made of [ts, wasm]) made.rows.set(rows);
    expect(batch.run(ts.rows, 0, count)).toBe(behind);
    expect(wasm.machine.accelerator!.runTouches(block, wasm.offset, count, ACCESS_USER)).toBe(wasm.offset + behind * 4);
    accesses.forEach(([va, kind, size], i) => {
      columns.va.set([va, 0], 2 * i);
      columns.kind[i] = kind;
      columns.size[i] = size;
    });
    expect(one.machine.vcpus[0].runBatch(columns, 0, count, ACCESS_USER)).toBe(count);
    if (r.chance(0.1)) for (const { machine } of [ts, wasm, one]) machine.vcpus[0].invlpg(BigInt(DATA));
    if (round % 15 !== 14) continue;
    const [a, b, c] = [ts, wasm, one].map(({ machine, offset }) => stateOf(machine, offset));
    expect(Buffer.compare(a!, b!), `round ${round}`).toBe(0);
    expect(Buffer.compare(a!, c!), `round ${round}, one by one`).toBe(0);
  }
});

it('a fault is told by both, and leaves the same', () => {
  const [ts, wasm] = [make(presets.zen3, 'ts', 4), make(presets.zen3, 'wasm', 4)] as const, { vcpus: [{ block }], views } = ts.machine;
  const row = (at: number, va: number, n: number, kind: number, hi = 0) => [va, hi, (n << TOUCH_COUNT_SHIFT) | at, 8 | (kind << 16)];
  const ends: readonly (readonly number[][])[] = [
    [row(0, CODE, 5, FETCH), row(5, CODE, 1, 1)], [row(0, CODE + 0x9000, 2, FETCH)], [row(0, DATA + 4092, 1, 0), row(1, DATA + 0x3ffe, 1, MODIFY)],
    ...[0, 1, FETCH, MODIFY].map(kind => [row(0, DATA, 1, 0), row(1, DATA, 2, kind, 0x8000)]), [row(0, DATA - 1, 1, 0, 0x7fff), row(1, -4, 1, 1, 0x7fff)], // addresses that are not canonical
  ];
  for (const rows of ends) {
    for (const made of [ts, wasm]) made.rows.set([...rows, row(9, 0, 0, 0)].flat());
    expect(new TouchBatch(views, block >>> 2, ACCESS_USER).run(ts.rows, 0, 9)).toBe(-1);
    expect(wasm.machine.accelerator!.runTouches(block, wasm.offset, 9, ACCESS_USER)).toBe(0);
    expect(Buffer.compare(stateOf(ts.machine, ts.offset), stateOf(wasm.machine, wasm.offset))).toBe(0);
  }
});
