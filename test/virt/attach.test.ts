import { describe, expect, it } from 'vitest';
import { presets, type MachineOptions } from '../../src/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { stateOf } from '../wasm/state.ts';
import { HOST_AD, TwoStages, type Format } from './two-stages.ts';

const VA = 0x7f12_4060_0000;

describe.each((['ts', 'wasm'] as const).flatMap(engine => (['ept', 'npt'] as Format[]).map(format => [engine, format] as const)))('a machine attached to memory with guests: %s, %s', (engine, format) => {
  const options: MachineOptions = { engine, vcpus: 2 };

  it('runs the guest that the other entered, with what is cached of it', () => {
    const t = new TwoStages(format, 4, 1, '4-level', options), page = t.guestFrame();
    t.guestMap(VA, 1, page);
    t.enter(1 << 6);
    expect(t.machine.vcpus[0]!.translate(BigInt(VA), 2).ok).toBe(true);
    const [cpu] = Machine.attach(t.machine.views.memory, t.options).vcpus;
    expect(cpu!.guest.format).toBe(format);
    expect(cpu!.translate(BigInt(VA + 5), 2)).toMatchObject({ ok: true, paddr: BigInt(t.machineOf(page) + 5), path: 'tlb1+' });
    expect(cpu!.guest.resident()).toEqual(t.machine.vcpus[0]!.guest.resident());
    cpu!.guest.leave();
    expect(t.machine.vcpus[0]!.guest.format).toBeUndefined();
  });

  it('runs another vCPU in the same guest: both mark the same entries, and find the same', () => {
    const t = new TwoStages(format, 4, 1, '4-level', options), pages = [0, 1, 2, 3].map(() => t.guestFrame());
    const hosts = pages.map(gpa => t.hostMap(gpa).at(-1)!), leaves = pages.map((gpa, k) => t.guestMap(VA + k * 4096, 1, gpa).at(-1)!);
    t.enter(1 << 6);
    t.enter(1 << 6, Machine.attach(t.machine.views.memory, t.options).vcpus[1]);
    const both = [t.machine.vcpus[0]!, Machine.attach(t.machine.views.memory, t.options).vcpus[1]!];
    for (const cpu of both) pages.forEach((gpa, k) => expect(cpu.translate(BigInt(VA + k * 4096), 2)).toMatchObject({ ok: true, paddr: BigInt(t.machineOf(gpa)) }));
    for (const leaf of leaves) expect(t.read(leaf) & 0x60n).toBe(0x60n);
    for (const leaf of hosts) expect(t.read(leaf) & BigInt(HOST_AD[format])).toBe(BigInt(HOST_AD[format]));
    expect(both[0]!.guest.resident()).toEqual(both[1]!.guest.resident());
  });
});

it('a machine without guests is not attached to as one with them', () => {
  const machine = Machine.create({ memory: '4M', cpu: presets.skylake }), before = stateOf(machine);
  expect(() => Machine.attach(machine.views.memory, { memory: '4M', cpu: presets.skylake, nested: true })).toThrow();
  expect(Buffer.compare(stateOf(machine), before)).toBe(0);
});
