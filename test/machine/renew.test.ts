import { expect, it } from 'vitest';
import { ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';

const MADE: readonly MachineOptions[] = [
  { cpu: zen3, memory: '16M' }, { cpu: skylake, memory: '16M', dataAccesses: true, vcpus: 2 }, { memory: '16M', mode: 'functional', paging: 'pae' }, { cpu: zen3, memory: '16M', nested: true },
];

it.each(MADE)('a machine is as it was when it was made: options %#', options => {
  const fresh = Machine.create(options), machine = Machine.create(options), [cpu] = machine.vcpus, va = 0x4000_0000n, first = machine.map(0x1000n, { write: true });
  for (let round = 0; round < 2; round++) {
    machine.map(va, { user: true, write: true, frames: 300 });
    for (let k = 0; k < 2000; k++) cpu.access(0, Number(va) + ((k * 7) % 301) * 4096, ACCESS_USER | (k & 1 ? ACCESS_WRITE : 0));
    machine.write(first, Uint8Array.of(1, 2, 3));
    cpu.writeCr4(cpu.registers.cr4 | 0x10n);
    expect(Buffer.compare(machine.views.u8, fresh.views.u8)).not.toBe(0);
    machine.renew();
    expect(Buffer.compare(machine.views.u8, fresh.views.u8)).toBe(0);
    expect(machine.frames.state()).toEqual(fresh.frames.state());
    expect(machine.map(0x1000n, { write: true })).toBe(first);
  }
  expect(machine.vcpus[0].translate(va, 0).ok).toBe(false);
});
