/**
 * What vCPUs in worker threads see of each other's loads and stores. On the built package.
 *
 * Source: Intel SDM vol. 3A, "Memory Ordering in P6 and More Recent Processor Families", "Examples Illustrating the Memory-Ordering Principles".
 */
import { describe, expect, it, vi } from 'vitest';
import { Machine } from '../../dist/index.js';
import { Cluster } from '../../dist/smp/index.js';

const PROGRAMS = new URL('./litmus-programs.mjs', import.meta.url);
const X = 0x1000, Y = 0x2040; // in pages of their own

/** Run programs on as many vCPUs. @returns what they return */
async function litmus(engine: 'ts' | 'wasm', names: readonly string[], data: (number: number) => Record<string, unknown>): Promise<unknown[]> {
  const options = { memory: '1M', vcpus: Math.max(2, names.length), mode: 'functional', engine } as const;
  const machine = Machine.create(options), cluster = new Cluster(machine, { machine: options }), meeting = new Int32Array(new SharedArrayBuffer(4));
  machine.map(0x1000n, { write: true, frames: 2 });
  for (const cpu of machine.vcpus) cpu.writeCr3(machine.vcpus[0]!.registers.cr3);
  try {
    names.forEach((name, number) => void cluster.start(number, { module: PROGRAMS, name, data: { meeting, parties: names.length, ...data(number) } }));
    const outcomes = await cluster.join(60_000);
    return outcomes.map(outcome => {
      if (outcome.how !== 'returned') throw new Error(JSON.stringify(outcome));
      return outcome.value;
    });
  } finally {
    await cluster.close();
  }
}

describe.each([['ts'], ['wasm']] as const)('with the %s engine', engine => {
  it('messages are never older than their flags, and no location goes back', async () => {
    const [, taker] = await litmus(engine, ['passMessages', 'takeMessages'], () => ({ x: X, y: Y, steps: 10_000 }));
    expect(taker).toMatchObject({ wrong: 0 });
  });

  it('loads are not made after later stores of the same vCPU', async () => {
    const steps = 600, results = new Int32Array(new SharedArrayBuffer(steps * 8));
    await litmus(engine, ['buffers', 'buffers'], number => ({ mine: number ? Y : X, other: number ? X : Y, results, steps }));
    expect(Array.from({ length: steps }, (_, k) => results[k * 2]! + results[k * 2 + 1]!).filter(both => both === 2)).toEqual([]);
  });

  it('two that load agree in which order two others stored', async () => {
    const steps = 60, [, , one, two] = await litmus(engine, ['storeOne', 'storeOne', 'loadBoth', 'loadBoth'], number => ({ mine: number ? Y : X, first: number === 2 ? X : Y, second: number === 2 ? Y : X, steps })) as [unknown, unknown, number[], number[]];
    expect([one.length, two.length]).toEqual([steps, steps]);
    expect(one.filter((seen, k) => seen === 2 && two[k] === 2)).toEqual([]); // each saw the first it looked at, and not yet the other
  });

  it('aligned accesses are whole, and leave their neighbours alone', async () => {
    const results = await litmus(engine, ['whole', 'whole'], () => ({ x: X, near: X + 0x20, steps: 6000 }));
    expect(results).toEqual([{ torn: 0, disturbed: 0 }, { torn: 0, disturbed: 0 }]);
  });

  it('aligned accesses are one atomic operation, others none: what plain ones would be is the compiler\'s affair', () => {
    const machine = Machine.create({ memory: '1M', vcpus: 2, mode: 'functional', engine }), [cpu] = machine.vcpus, made: string[] = [];
    machine.map(0x1000n, { write: true });
    cpu.write(0x1000n, new Uint8Array(8), 2); // walked, marked
    for (const name of ['load', 'store', 'compareExchange'] as const) {
      const real = Atomics[name] as (...args: unknown[]) => unknown;
      vi.spyOn(Atomics, name).mockImplementation(((...args: unknown[]) => {
        made.push(`${name} ${(args[0] as Int32Array).BYTES_PER_ELEMENT}`);
        return real(...args);
      }) as never);
    }
    try {
      for (const bytes of [1, 2, 4, 8]) {
        const data = Uint8Array.from({ length: bytes }, (_, k) => k + 1), back = new Uint8Array(bytes), at = 0x1000n + BigInt(bytes), word = bytes === 8 ? 8 : 4;
        const operations = (access: () => unknown): string[] => { made.length = 0; access(); return [...made]; };
        expect(operations(() => cpu.write(at, data, 2))).toContain(bytes < 4 ? 'compareExchange 4' : `store ${word}`);
        expect(operations(() => cpu.read(at, back, 0))).toContain(`load ${word}`);
        expect(back).toEqual(data);
        const odd = bytes === 1 ? [] : [...operations(() => cpu.write(at + 1n, data, 2)), ...operations(() => cpu.read(at + 1n, back, 0))];
        expect([odd.filter(name => name.startsWith('store') || name.startsWith('compare')), back]).toEqual([[], data]);
      }
    } finally {
      vi.restoreAllMocks();
    }
  });
});
