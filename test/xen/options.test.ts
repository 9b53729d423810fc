import { describe, expect, it } from 'vitest';
import { ConfigError, hypervisorCosts, Machine } from '../../src/index.ts';
import { Hypervisor, type HypervisorOptions } from '../../src/xen/index.ts';

const FRAMES = 0x2000, OWN = { first: FRAMES - 0x800, frames: 0x800 };
const BAD: readonly (readonly [field: string, ...wrong: unknown[]])[] = [
  ['options', undefined, null, 5],
  ['own', {}, { own: null }, { own: 5 }, { own: { first: FRAMES, frames: 0x800 } }],
  ['own.first', { own: { first: -1, frames: 0x800 } }, { own: { first: 1.5, frames: 0x800 } }],
  ['own.frames', { own: { first: 16, frames: 1 } }, { own: { first: 16, frames: 2.5 } }],
  ['frames', { frames: -1, own: OWN }, { frames: 1.5, own: OWN }, { frames: 'all', own: OWN }, { frames: Infinity, own: OWN }],
  ['ioFrames', { ioFrames: -1, own: OWN }, { ioFrames: FRAMES + 1, own: OWN }],
  ['gsis', { gsis: -1, own: OWN }, { gsis: 1e6, own: OWN }],
  ['budget', { budget: -1, own: OWN }, { budget: 0.5, own: OWN }, { budget: 2 ** 31, own: OWN }],
  ['pv32', { pv32: 1, own: OWN }],
  ['leakPartialTables', { leakPartialTables: 'no', own: OWN }],
  ['xenSlots', { xenSlots: 5, own: OWN }],
  ['xenSlots[0]', { xenSlots: [[256, 1]], own: OWN }],
  ['xenSlots[1][0]', { xenSlots: [[256, 1, 0], [512, 1, 0]], own: OWN }],
  ['compatSlots[0][2]', { compatSlots: [[1, 1, 2 ** 33]], own: OWN }],
  ['m2pLevel3', { m2pLevel3: -1, own: OWN }],
  ['source', { source: 5, own: OWN }],
  ['fraems', { fraems: 5, own: OWN }],
];

describe.each(BAD)('a hypervisor with a wrong %s', (field, ...wrong) => {
  it.each(wrong.map(options => ({ options })))('is refused: $options, and the machine can have another', ({ options }) => {
    const machine = Machine.create({ memory: FRAMES * 4096, mode: 'functional', paging: 'none' });
    const before = machine.views.u8.slice();
    let caught: unknown;
    try {
      Hypervisor.create(machine, options as HypervisorOptions);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConfigError);
    expect((caught as ConfigError).field).toBe(field);
    expect(Buffer.compare(before, machine.views.u8)).toBe(0);
    expect(Hypervisor.create(machine, { own: OWN, costs: hypervisorCosts }).audit()).toEqual([]);
  });
});

it('a machine has one hypervisor', () => {
  const machine = Machine.create({ memory: FRAMES * 4096, mode: 'functional', paging: 'none' });
  Hypervisor.create(machine, { own: OWN });
  expect(() => Hypervisor.create(machine, { own: { first: 16, frames: 0x800 } })).toThrow(/machine/);
});
