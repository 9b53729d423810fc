import { describe, expect, it } from 'vitest';
import { Machine } from '../../src/machine/machine.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import { entryOf, Guest, machineOptions, READ } from './guest.ts';

describe.each([['64-bit', true], ['32-bit', false]] as const)('a machine with a hypervisor and a %s guest', (_, wide) => {
  /** Pins a table, changes what it maps, unpins another. @returns what was answered */
  const some = (g: Guest): number[] => [
    g.pin(1, g.table(g.free(3), [[0, entryOf(g.free(20), READ)]])), g.update([g.free(3), 5, entryOf(g.free(21), READ)]), g.unpin(g.free(1)), g.unpin(g.free(1)), g.map(g.va(g.free(9)), 0n),
  ];

  it('is all in a snapshot: attached again, the hypervisor goes on from there, as often as wanted', () => {
    const g = new Guest({ wide });
    expect(g.pin(1, g.table(g.free(1)))).toBe(0);
    const image = g.machine.snapshot(), answers = some(g), after = Buffer.from(g.machine.views.u8);
    expect(answers).toEqual([0, 0, 0, -22, 0]);
    for (const machine of [g.machine, Machine.create(machineOptions('ts'))]) {
      machine.restore(image);
      const xen = Hypervisor.attach(machine), twin: Guest = Object.assign(Object.create(Guest.prototype) as Guest, g, { machine, xen, cpu: machine.vcpus[0], domain: xen.host.domain(0) });
      expect(xen.audit()).toEqual([]);
      expect(some(twin)).toEqual(answers);
      expect(Buffer.compare(machine.views.u8.subarray(0, after.length), after)).toBe(0);
      expect(xen.audit()).toEqual([]);
    }
  });
});
