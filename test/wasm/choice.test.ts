import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { flat } from './models.ts';
import { stateOf } from './state.ts';

const MODULE = new WebAssembly.Module(readFileSync('wasm/pagewalk.wasm'));
const OTHER = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
const make = (options: MachineOptions = {}) => Machine.create({ engine: 'auto', ...options });

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

describe('the engine of a machine', () => {
  it.each<[string, MachineOptions, string]>([
    ['wasm where it can be', {}, 'wasm'],
    ['wasm if demanded', { engine: 'wasm' }, 'wasm'],
    ['wasm of a module that is given', { engine: 'wasm', wasm: MODULE }, 'wasm'],
    ['TypeScript if demanded', { engine: 'ts' }, 'ts'],
    ['TypeScript without shared memory', { buffer: 'plain' }, 'ts'],
    ['TypeScript without shared memory, whatever module is given', { buffer: 'plain', wasm: MODULE }, 'ts'],
    ['TypeScript if demanded, whatever module is given', { engine: 'ts', wasm: OTHER }, 'ts'],
  ])('is %s', (_, options, engine) => {
    const machine = make(options);
    expect(machine.engine).toBe(engine);
    expect(machine.accelerator !== undefined).toBe(engine === 'wasm');
  });

  it.each<[string, MachineOptions, string]>([
    ['wasm without shared memory', { engine: 'wasm', buffer: 'plain' }, 'engine'],
    ['a module of something else', { wasm: OTHER }, 'wasm'],
    ['a module of something else, demanded', { engine: 'wasm', wasm: OTHER }, 'wasm'],
  ])('cannot be %s', (_, options, field) => {
    expect(() => make(options)).toThrow(ConfigError);
    expect(() => make(options)).toThrow(new RegExp(`^${field}: expected`));
  });
});

describe('where there are no files', () => {
  const bare = async (): Promise<typeof Machine> => {
    vi.resetModules();
    return (await import('../../src/machine/machine.ts')).Machine;
  };

  it('the engine is TypeScript, and wasm cannot be demanded without its module', async () => {
    vi.spyOn(process, 'getBuiltinModule').mockImplementation(() => { throw new Error('no files here'); });
    const other = await bare();
    expect(other.create({ engine: 'auto' }).engine).toBe('ts');
    expect(() => other.create({ engine: 'wasm' })).toThrow(/^engine: expected ts or auto where wasm\/pagewalk.wasm cannot be read/);
    expect(other.create({ engine: 'wasm', wasm: MODULE }).engine).toBe('wasm');
  });

  it('nor is there a process', async () => {
    vi.stubGlobal('process', undefined);
    expect((await bare()).create({ engine: 'auto' }).engine).toBe('ts');
  });
});

it('the module is compiled once for all machines', async () => {
  let compiled = 0;
  const construct = (target: typeof WebAssembly.Module, args: [BufferSource]) => {
    compiled++;
    return new target(...args);
  };
  const counted = new Proxy(WebAssembly.Module, { construct });
  vi.spyOn(WebAssembly, 'Module', 'get').mockReturnValue(counted);
  vi.resetModules();
  const { Machine: fresh } = await import('../../src/machine/machine.ts');
  expect([1, 2, 3].map(() => fresh.create({ memory: '64K', engine: 'wasm' }).engine)).toEqual(['wasm', 'wasm', 'wasm']);
  expect(compiled).toBe(1);
});

it('memory that is plugged in later is there for both engines, and columns from before stay', () => {
  for (const engine of ['ts', 'wasm'] as const) {
    const machine = make({ engine }), cpu = machine.vcpus[0], columns = machine.columns(4), before = machine.views.byteLength;
    machine.addExtent({ base: '1G', bytes: '4M' });
    expect(machine.views.byteLength).toBeGreaterThan(before);
    expect(cpu.writeCr3(0x4010_0000n), engine).toBe(FAULT_NONE); // a root in the new memory
    const pa = machine.map(0x5000n, { write: true });
    columns.va.set([0x5123, 0]);
    columns.size[0] = 1;
    columns.kind[0] = 1;
    expect(cpu.runBatch(columns, 0, 1), engine).toBe(1);
    expect(BigInt(columns.pa[0]!)).toBe(pa + 0x123n);
    expect(cpu.access(0, 0x5123, ACCESS_WRITE)).toBe(FAULT_NONE);
    expect(cpu.paddr).toBe(pa + 0x123n);
  }
});

describe('a device that throws', () => {
  /** A machine with a page directory in a device, which answers with a table at 0x8000 unless it is broken. */
  const broken = (engine: 'ts' | 'wasm', options: MachineOptions = {}) => {
    const device = { fails: '' };
    const handler = {
      read: () => { if (device.fails === 'read') throw new TypeError('no answer'); return 0x8003n; },
      write: () => { if (device.fails === 'write') throw new TypeError('not taken'); },
    };
    const machine = make({ ...options, engine, extents: [{ base: 0, bytes: '1M' }, { base: '4G', bytes: '64K', kind: 'mmio', handler }] });
    machine.map(0x20_0000n, { write: true });
    const { w, lowWord } = machine.views;
    const pml4 = Number(machine.vcpus[0].registers.cr3) >>> 2, pdpt = (w[lowWord + pml4]! & ~0xfff) >>> 2;
    w[lowWord + pdpt] = 0x3; // the page directory is at 4 GiB
    w[lowWord + pdpt + 1] = 1;
    w[lowWord + (0x8000 >>> 2)] = 0x9003;
    return { machine, cpu: machine.vcpus[0], device };
  };

  it.each(['read', 'write'])('in its %s() throws through either engine, and leaves the same bytes', fails => {
    const states = (['ts', 'wasm'] as const).map(engine => {
      const { machine, cpu, device } = broken(engine), columns = machine.columns(2);
      if (engine === 'ts') machine.views.grow(2 * 19);
      device.fails = fails;
      expect(() => cpu.access(0, 0x20_0000, 0)).toThrow(TypeError);
      expect(() => cpu.translate(0x20_0000n, ACCESS_WRITE)).toThrow(fails === 'read' ? 'no answer' : 'not taken');
      columns.size.fill(1);
      columns.va.set([0x20_0000, 0, 0x20_0000, 0]);
      expect(() => cpu.runBatch(columns, 0, 2)).toThrow(TypeError);
      device.fails = '';
      expect(cpu.access(0, 0x20_0000, 0)).toBe(FAULT_NONE);
      expect(cpu.paddr).toBe(0x9000n);
      return stateOf(machine, machine.views.byteLength - 65536); // without the columns
    });
    expect(Buffer.compare(states[0]!, states[1]!)).toBe(0);
  });

  /** One walk in a batch is left to the general way from three places, each of which has to count what was noted before. */
  it.each<[string, bigint, number]>([
    ['a walk', 70n << 21n, 0], ['a modify', 70n << 21n, 3], ['a store that what is cached does not permit', 1n << 21n, 1],
  ])('in %s has everything before it counted', (_, va, kind) => {
    const [ts, wasm] = (['ts', 'wasm'] as const).map(engine => {
      const { machine, cpu, device } = broken(engine, { cpu: flat }), columns = machine.columns(9), { w, lowWord } = machine.views;
      if (engine === 'ts') machine.views.grow(9 * 19);
      for (let k = 0; k < 512; k++) w[lowWord + (0x8000 >>> 2) + 2 * k] = 0x9023; // present, writable, accessed
      for (let k = 1n; k < 66n; k++) expect(cpu.translate((k << 21n) + ((k - 1n) << 12n), 0).ok).toBe(true); // more than the caches of entries hold
      for (let k = 0; k < 8; k++) columns.va.set([(65 << 21) + ((100 + k) << 12), 0], 2 * k);
      columns.va[16] = Number(va);
      columns.kind[8] = kind;
      columns.size.fill(8);
      cpu.resetCounters();
      device.fails = 'read';
      expect(() => cpu.runBatch(columns, 0, 9)).toThrow(TypeError);
      return { counters: cpu.counters(), state: stateOf(machine, machine.views.byteLength - 65536) };
    });
    expect(wasm.counters.walkDepth[1]).toBe(8);
    expect(wasm.counters).toEqual(ts.counters);
    expect(Buffer.compare(wasm.state, ts.state)).toBe(0);
  });
});
