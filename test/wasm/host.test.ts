import { describe, expect, it } from 'vitest';
import { ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { VCPU_OUT_HI, VCPU_OUT_LO } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { assemble, I32, op, type Code } from './assembler.ts';
import { stateOf } from './state.ts';

const PAGES = 40, ADDRESSES = 5000, DOOR = 0;

/**
 * A wasm module of another origin than ours, as an emulator has one: walks an array of addresses in the machine's memory.
 *
 *   sum(vcpu, array, n, kind): for each of n pairs of words (low, high) at `array`: door(vcpu, high, low, kind); where it faults, the pair
 *   is replaced by the fault and -1, else by the physical address. Returns the sum of the low words that are left.
 *
 * @param door - the function of the engine that it imports
 */
function host(door: 'access' | 'translate'): WebAssembly.Module {
  const [vcpu, at, n, kind, end, fault, sum] = [0, 1, 2, 3, 4, 5, 6];
  const put = (offset: number, value: Code): Code => [op.get(at), value, op.store32(offset)];
  const out = (field: number): Code => [op.get(vcpu), op.load32(field)];
  return new WebAssembly.Module(assemble({
    memory: { from: ['machine', 'memory'], pages: 1, most: 65536 },
    imports: [{ from: ['pagewalk', door], signature: { params: [I32, I32, I32, I32], results: [I32] } }],
    name: 'sum', signature: { params: [I32, I32, I32, I32], results: [I32] }, locals: 3,
    code: [
      op.get(at), op.get(n), op.const(3), op.shl, op.add, op.set(end),
      op.block, op.loop,
      op.get(at), op.get(end), op.geU, op.brIf(1),
      op.get(vcpu), op.get(at), op.load32(4), op.get(at), op.load32(0), op.get(kind), op.call(DOOR), op.tee(fault),
      op.if, put(0, op.get(fault)), put(4, op.const(-1)),
      op.else, put(0, out(VCPU_OUT_LO)), put(4, out(VCPU_OUT_HI)), op.end,
      op.get(sum), op.get(at), op.load32(0), op.add, op.set(sum),
      op.get(at), op.const(8), op.add, op.set(at),
      op.br(0), op.end, op.end,
      op.get(sum),
    ],
  }));
}

/** A machine with some pages mapped, and random addresses in and beside them. */
function scene(options: MachineOptions): { machine: Machine; va: Int32Array } {
  const machine = Machine.create({ memory: '4M', ...options }), base = 0x7f12_0000_0000n;
  for (let k = 0; k < PAGES; k++) machine.map(base + BigInt(k) * 0x1000n, { user: k % 7 !== 0, write: k % 5 !== 0 });
  const va = new Int32Array(ADDRESSES * 2);
  for (let k = 0, x = 1; k < ADDRESSES; k++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    va[2 * k] = ((x >>> 8) % (PAGES + 4)) * 4096 + (x & 0xff8);
    va[2 * k + 1] = (x >>> 8) % 100 === 0 ? 0x8000 : 0x7f12;
  }
  return { machine, va };
}

describe.each([['timed', 'access'], ['functional', 'access'], ['timed', 'translate'], ['functional', 'translate']] as const)('a wasm host, %s, by %s', (mode, door) => {
  it('translates an array in shared memory through the imported accelerator, as the TypeScript engine does', () => {
    const kind = ACCESS_USER | ACCESS_WRITE;
    const ts = scene({ engine: 'ts', mode }), expected = ts.va.slice(), [cpu] = ts.machine.vcpus;
    let sum = 0, faults = 0;
    for (let k = 0; k < ADDRESSES; k++) {
      const fault = cpu.access(ts.va[2 * k + 1]!, ts.va[2 * k]!, kind);
      if (fault !== FAULT_NONE) faults++;
      expected.set(fault === FAULT_NONE ? [cpu.paddrLo, cpu.paddrHi] : [fault, -1], 2 * k);
      sum = (sum + expected[2 * k]!) | 0;
    }
    expect(faults).toBeGreaterThan(ADDRESSES / 10);
    expect(faults).toBeLessThan(ADDRESSES / 2);

    const { machine, va } = scene({ engine: 'wasm', mode }), columns = machine.columns(ADDRESSES);
    columns.va.set(va);
    const { exports } = new WebAssembly.Instance(host(door), { machine: { memory: machine.views.memory }, pagewalk: { ...machine.accelerator } });
    const sumInWasm = exports['sum'] as (vcpu: number, array: number, n: number, kind: number) => number;
    expect(sumInWasm(machine.vcpus[0].block, columns.offsets!.va, ADDRESSES, kind)).toBe(sum);
    expect(Buffer.compare(Buffer.from(columns.va), Buffer.from(expected))).toBe(0);
    if (mode === 'functional' || door === 'access') expect(Buffer.compare(stateOf(machine, ts.machine.views.byteLength), stateOf(ts.machine))).toBe(0); // translate() has no price
  });
});
