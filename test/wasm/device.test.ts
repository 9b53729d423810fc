/** Devices that use another vCPU while a walk asks them: both engines go on as if they had not. */
import { expect, it } from 'vitest';
import { ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import { CR0_PG, CR4_PAE, CR4_PSE, EFER_LME } from '../../src/arch/registers.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { stateOf } from './state.ts';

const HOLE = 0x1000_0000, VA = 0x20_5123, OTHER = 0x7000n;
/** Paging modes of the vCPU that walks: its tables are in the hole, but for the last one, at 0x8000; the page is at 0x9000. */
const MODES: Record<string, (cpu: Vcpu) => number[]> = {
  '4-level': cpu => {
    cpu.reset();
    return [cpu.writeCr4(BigInt(CR4_PAE)), cpu.writeEfer(BigInt(EFER_LME)), cpu.writeCr3(BigInt(HOLE)), cpu.writeCr0(BigInt((CR0_PG | 1) >>> 0))];
  },
  'PAE': cpu => {
    cpu.reset();
    return [cpu.writeCr4(BigInt(CR4_PAE)), cpu.writeCr3(0x6000n), cpu.writeCr0(BigInt((CR0_PG | 1) >>> 0))];
  },
  '32-bit': cpu => {
    cpu.reset();
    return [cpu.writeCr4(BigInt(CR4_PSE)), cpu.writeCr3(BigInt(HOLE)), cpu.writeCr0(BigInt((CR0_PG | 1) >>> 0))];
  },
};

function made(options: MachineOptions, mode: string): { machine: Machine; answers: unknown[] } {
  const answers: unknown[] = [];
  let other: Vcpu | undefined;
  const use = (): void => {
    if (other === undefined) return;
    answers.push(other.translate(OTHER + 0x10n, ACCESS_WRITE));
    other.invlpg(OTHER);
  };
  const device = {
    read: (offset: number) => {
      use();
      return mode === '4-level' && offset < 0x2000 ? BigInt(HOLE + 0x1003 + (offset & 0x1000)) : 0x8003n;
    },
    write: use,
  };
  const machine = Machine.create({ ...options, vcpus: 2, cpu: presets.skylake, extents: [{ base: 0, bytes: '1M' }, { base: HOLE, bytes: '64K', kind: 'mmio', handler: device }] });
  const [cpu, second] = machine.vcpus;
  for (let frame = machine.frames.allocate(1, 'data'); frame < 0x20; frame = machine.frames.allocate(1, 'data'));
  machine.map(OTHER, { cpu: second!, write: true });
  const put = (pa: number, entry: number) => machine.write(BigInt(pa), new Uint8Array(Int32Array.of(entry, 0).buffer));
  put(0x6000, HOLE | 1);
  for (let k = 0; k < 1024; k++) put(0x8000 + 4 * k, mode === '32-bit' || k % 2 === 0 ? 0x9003 : 0);
  expect(MODES[mode]!(cpu!)).toEqual(MODES[mode]!(cpu!).map(() => FAULT_NONE));
  other = second;
  return { machine, answers };
}

const OTHERS: readonly MachineOptions[] = [{}, { dataAccesses: true }, { mode: 'functional' }, { paging: '5-level' }, { paging: 'pae', mode: 'functional' }];
it.each(Object.keys(MODES).flatMap(mode => OTHERS.map(others => [mode, others] as const)))('a walk of %s paging, %o', (mode, others) => {
  const [ts, wasm] = [made({ ...others, engine: 'ts' }, mode), made({ ...others, engine: 'wasm' }, mode)] as const;
  for (const { machine, answers } of [ts, wasm]) {
    for (const kind of [0, ACCESS_WRITE, 0]) answers.push(machine.vcpus[0]!.translate(BigInt(VA), kind), machine.vcpus[0]!.invlpg(BigInt(VA)));
    answers.push(machine.vcpus.map(cpu => cpu.counters()));
  }
  expect(ts.answers).toContainEqual(expect.objectContaining({ ok: true, paddr: 0x9123n }));
  expect(wasm.answers).toEqual(ts.answers);
  expect(Buffer.compare(stateOf(ts.machine), stateOf(wasm.machine))).toBe(0);
});
