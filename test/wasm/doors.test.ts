import { inspect, isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { layColumns } from '../../src/accel/engine.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_STACK, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { CR0_WP, CR4_PCIDE, CR4_PGE, CR4_SMAP, CR4_SMEP } from '../../src/arch/registers.ts';
import { presets } from '../../src/cost/presets/all.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import type { AccessQueue } from '../../src/machine/queue.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { Random } from './engine-duel.ts';
import { stateOf } from './state.ts';

const BATCH = 50, STEPS = 12_000, PAGES = 120, MOST_EXTENTS = 20;
const KINDS = [ACCESS_READ, ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ | ACCESS_SHADOW_STACK];

/** A machine as an embedder has it. */
interface Embedded {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly columns: AccessColumns;
  readonly queue: AccessQueue;
}

function embed(options: MachineOptions, engine: 'ts' | 'wasm'): Embedded {
  const machine = Machine.create({ ...options, memory: '2M', engine }), cpu = machine.vcpus.at(-1)!;
  if (engine === 'ts') for (let k = 0; k < 2; k++) layColumns(machine.views, BATCH); // what the other's columns take, so that memory plugged in later is at the same place
  return { machine, cpu, columns: machine.columns(BATCH), queue: cpu.queue(BATCH) };
}

/** One step of an embedder, by any door there is. @returns what it is told */
type Step = (e: Embedded) => unknown;

/** A random step, the same for whoever takes it. */
function anyStep(r: Random): Step {
  const lo = r.below(PAGES) * 4096 + r.below(4096), hi = r.chance(0.02) ? 0x8000 : 0x7f00, va = (BigInt(hi) << 32n) | BigInt(lo), n = r.below(9000) + 1;
  const kind = r.of(KINDS) | (r.chance(0.7) ? ACCESS_USER : 0) | (r.chance(0.05) ? ACCESS_IMPLICIT : 0) | (r.chance(0.05) ? ACCESS_STACK : 0);
  const page = va & ~0xfffn, attributes = { user: r.chance(0.8), write: r.chance(0.7), global: r.chance(0.2), noExecute: r.chance(0.1), key: r.below(3) };
  const pcid = r.below(3), word = r.next(), bit = BigInt(r.of([CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PCIDE]) >>> 0), seed = r.next();
  const steps: readonly [weight: number, step: Step][] = [
    [60, ({ cpu }) => cpu.translate(va, kind)],
    [60, ({ cpu }) => (cpu.access(hi, lo, kind) === FAULT_NONE ? [cpu.paddr, cpu.cycles] : cpu.cycles)],
    [10, ({ cpu }) => cpu.accessBytes(va, n, kind)],
    [5, ({ cpu }) => { const out = new Uint8Array(n); return [cpu.read(va, out, kind), out]; }],
    [5, ({ cpu }) => cpu.write(va, new Uint8Array(n).fill(n), kind & ~ACCESS_FETCH)],
    [10, e => batch(e, seed)],
    [10, e => queue(e, seed)],
    [12, ({ cpu }) => cpu.invlpg(va)],
    [3, ({ cpu }) => cpu.invpcid(word & 3, BigInt(pcid), va)],
    [2, ({ cpu }) => cpu.flush()],
    [2, ({ cpu }) => cpu.writeCr3(cpu.registers.cr3 & ~0xfffn | (cpu.registers.cr4 & BigInt(CR4_PCIDE) ? BigInt(pcid) : 0n))],
    [1, ({ cpu }) => cpu.writeCr4(cpu.registers.cr4 ^ bit)],
    [1, ({ cpu }) => cpu.writeCr0(cpu.registers.cr0 ^ BigInt(CR0_WP))],
    [1, ({ cpu }) => cpu.writePkru(word & 0x3f)],
    [1, ({ cpu }) => cpu.setAc((word & 1) !== 0)],
    [4, ({ cpu }) => [cpu.probe(va, kind), cpu.explain(va, kind)]],
    [12, ({ machine, cpu }) => machine.map(page, { ...attributes, cpu })],
    [1, ({ machine }) => machine.extents.length < MOST_EXTENTS && machine.addExtent({ base: 2 ** 32 + machine.extents.length * 65536, bytes: 65536 })],
    [1, ({ cpu }) => [cpu.counters(), cpu.registers, cpu.resetCounters()]],
  ];
  let at = r.below(steps.reduce((sum, [weight]) => sum + weight, 0));
  return steps.find(([weight]) => (at -= weight) < 0)![1];
}

function batch({ cpu, columns }: Embedded, seed: number): unknown {
  const r = new Random(seed), stops: number[] = [];
  for (let k = 0; k < BATCH; k++) {
    columns.va.set([r.below(PAGES) * 4096 + r.below(4096), 0x7f00], 2 * k);
    columns.kind[k] = r.below(4);
    columns.size[k] = r.chance(0.9) ? 8 : 1 + r.below(10_000);
  }
  for (let from = 0; from < BATCH; from++) stops.push(from = cpu.runBatch(columns, from, BATCH, ACCESS_USER), from < BATCH ? cpu.batchFault : 0);
  return [stops, columns.pa.slice()];
}

function queue({ cpu, queue: q }: Embedded, seed: number): unknown {
  const r = new Random(seed), faults: number[] = [];
  while (q.push(0x7f00, r.below(PAGES) * 4096 + r.below(4096), r.of(KINDS) | r.of([0, ACCESS_USER]), 1 + r.below(20)) >= 0);
  for (let fault = q.flush(); fault !== 0; fault = q.flush()) {
    faults.push(fault, q.made, Number(cpu.registers.cr2));
    q.skip();
  }
  return [faults, q.columns.pa.slice()];
}

const SCENES: Record<string, MachineOptions> = {
  'timed': { cpu: presets.skylake },
  'timed, data, two vCPUs': { cpu: presets.zen3, dataAccesses: true, vcpus: 2 },
  'timed, 5 levels': { cpu: presets.goldencove, paging: '5-level' },
  'functional': { mode: 'functional' },
  'functional, two vCPUs': { mode: 'functional', vcpus: 2 },
};

/** What a step tells; a caller's mistake (no room to map) is told too. */
function told(step: Step, e: Embedded): unknown {
  try {
    return step(e);
  } catch (error) {
    return String(error);
  }
}

describe('a machine tells the same by every door, and leaves the same bytes, on both engines', () => {
  it.each(Object.entries(SCENES))('%s', (name, options) => {
    const r = new Random(name.length * 31), ts = embed(options, 'ts'), wasm = embed(options, 'wasm');
    expect([ts.machine.engine, wasm.machine.engine]).toEqual(['ts', 'wasm']);
    let outcomes = 0;
    for (let k = 0; k < STEPS; k++) {
      const step = anyStep(r), a = told(step, ts), b = told(step, wasm);
      if (!isDeepStrictEqual(a, b)) throw new Error(`step ${k}, ${step}: TypeScript ${inspect(a)}, wasm ${inspect(b)}`);
      if (typeof a === 'object' && a !== null && 'ok' in a && a.ok) outcomes++;
    }
    expect(outcomes).toBeGreaterThan(1000);
    const a = stateOf(ts.machine), b = stateOf(wasm.machine);
    const { offsets } = wasm.columns; // two pieces of memory that only one machine uses
    b.fill(0, offsets!.va, wasm.queue.columns.offsets!.va + 65536);
    expect(Buffer.compare(a, b)).toBe(0);
  });
});
