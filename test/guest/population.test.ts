/** Frames of a virtual machine that get memory when they are touched: an exit each, and no exits for anything else. */
import { describe, expect, it } from 'vitest';
import { PTE_PS } from '../../src/arch/pte.ts';
import { costsOf } from '../../src/cost/costs.ts';
import { figure } from '../../src/cost/cpu-model.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { buildKernel } from '../../src/guest/built-kernel.ts';
import { entryHi, entryLo } from '../../src/guest/page-tables.ts';
import { WRITE_FLAGS } from '../../src/guest/rights.ts';
import { SecondStage, type StageOptions } from '../../src/guest/second-stage.ts';
import { runWorkload } from '../../src/guest/workload.ts';
import { Machine } from '../../src/machine/machine.ts';
import { wordOf } from '../../src/memory/extents.ts';
import type { Views } from '../../src/memory/views.ts';
import { HEAP, Rig } from './kernels.ts';

const FORMATS = ['ept', 'npt'] as const;
const sum = (counts: object): number => Object.values(counts).reduce((a: number, b: number) => a + b, 0);

/** Pages that the host's tables map. */
function presentPages({ s }: { readonly s: Views }, table = 1, level = 4): number {
  const at = wordOf(s, 0, table << 12);
  let many = 0;
  for (let slot = 0; slot < 512; slot++) {
    const lo = s.w[at + 2 * slot];
    if (lo !== 0) many += level === 1 || (level === 2 && (lo & PTE_PS) !== 0) ? 1 : presentPages({ s }, lo >>> 12, level - 1);
  }
  return many;
}

describe.each(FORMATS)('%s', format => {
  const work = (options: StageOptions, turns: number) => {
    const rig = new Rig('native', { stage: { format, ...options } }, 'timed');
    for (let turn = 0; turn < turns; turn++) {
      for (let page = 0; page < 100; page++) rig.store(HEAP + page, turn);
      rig.exec(rig.mm); // all is given back, and taken again
    }
    return rig;
  };
  const stageOf = (rig: Rig) => rig.k.p as SecondStage;

  it('populated at the start has no exits, whatever its kernel does to its tables, CR3 and cached translations', () => {
    for (const hostPages of ['4k', '2m'] as const) {
      const rig = work({ hostPages }, 3), { counts } = rig.native!;
      rig.k.ops.flushTlbOne(rig.mm.context, HEAP * 4096);
      expect(Math.min(counts.stores, counts.rootLoads, counts.invlpgs)).toBeGreaterThan(0);
      expect(stageOf(rig).population.exits).toEqual({ kernel: 0, access: 0, walk: 0 });
      expect(rig.k.p.cpu.counters().cycles.hypervisor).toBe(0);
    }
  });

  it('populated when touched has an exit for each page that is there in the end, and none for what is done to it again', () => {
    const [once, often] = [work({ populate: 'lazy' }, 1), work({ populate: 'lazy' }, 6)];
    for (const rig of [once, often]) expect(presentPages(rig.k.p)).toBe(sum(stageOf(rig).population.exits) + 1); // and the root that it starts with
    expect(stageOf(often).population.exits).toEqual(stageOf(once).population.exits);
    expect(often.native!.counts.stores).toBeGreaterThan(4 * once.native!.counts.stores);
    expect(sum(stageOf(once).population.exits)).toBeGreaterThan(100);
    expect(sum(stageOf(once).population.exits)).toBeLessThan(100 + 60);
  });

  it('has fewer exits, for more memory, where the host has large pages', () => {
    const rig = work({ populate: 'lazy', hostPages: '2m' }, 1), { exits } = stageOf(rig).population;
    expect(exits).toEqual({ kernel: 1, access: 0, walk: 0 });
    expect(presentPages(rig.k.p)).toBe(2);
  });

  it.each(['4k', '2m'] as const)('pays for its exits by their prices, host pages of %s', hostPages => {
    const prices = costsOf(presets.skylake).stage, rig = work({ populate: 'lazy', hostPages }, 1), { exits, exitCycles, populateCycles } = stageOf(rig).population;
    expect(exitCycles).toBe(sum(exits) * figure(prices.exit));
    expect(populateCycles).toBe(sum(exits) * (figure(prices.populate) + (hostPages === '2m' ? 512 : 1) * figure(prices.page)));
    expect(rig.k.p.cpu.counters().cycles.hypervisor).toBe(exitCycles + populateCycles);
  });

  it('tells who touched a frame: the kernel, a process, or the walk that reads a table', () => {
    const machine = Machine.create({ memory: '16M', cpu: presets.skylake, features: { amd: format === 'npt' }, nested: true, paging: 'none' });
    const stage = new SecondStage(machine, { format, populate: 'lazy' }), columns = machine.columns(1);
    const link = (table: number, slot: number, to: number) => stage.storeEntry(table, slot, entryLo(to, WRITE_FLAGS), entryHi(to));
    link(10, 0, 11); // a root, and a table below it, by the kernel
    expect(stage.population.exits).toEqual({ kernel: 1, access: 0, walk: 0 });
    stage.loadRoot(10, 0, 0);
    Object.assign(columns.kind, [1]);
    Object.assign(columns.size, [8]);
    columns.va[0] = 0x1000;
    expect(stage.run(columns, 0, 1)).toBe(0); // table 11 is there by now, and empty
    expect([stage.population.exits, stage.faultCode, stage.faultAddress]).toEqual([{ kernel: 1, access: 0, walk: 1 }, 6, 0x1000]);
    link(11, 0, 12);
    link(12, 0, 13);
    link(13, 1, 99); // frame 99 was never touched
    expect(stage.run(columns, 0, 1)).toBe(1);
    expect(stage.population.exits).toEqual({ kernel: 3, access: 1, walk: 1 });
    expect(stage.run(columns, 0, 1)).toBe(1);
    expect(stage.population.exits.access).toBe(1);
  });
});

it('costs a run what its exits cost, and changes nothing else', () => {
  const options = { accesses: 20_000, workingSet: 300, change: 'map', interval: 500 } as const;
  const [start, lazy] = (['start', 'lazy'] as const).map(populate => runWorkload({ ...options, stage: { populate } }));
  expect(start.exits).toEqual({ kernel: 0, access: 0, walk: 0 });
  expect(lazy.exits!.kernel).toBeGreaterThan(300);
  const { hypervisorTrap, hypervisorPopulate, ...rest } = lazy.cycles, { hypervisorTrap: trap, hypervisorPopulate: populate, ...others } = start.cycles;
  expect([hypervisorTrap > 0, hypervisorPopulate > hypervisorTrap, trap, populate]).toEqual([true, true, 0, 0]);
  expect(rest).toEqual(others);
  expect(lazy.kernel).toEqual(start.kernel);
  expect([lazy.measured.hypervisorTrap < hypervisorTrap, runWorkload({ ...options }).exits]).toEqual([true, undefined]); // most was touched before
});

it('is free in functional mode, and refused with what there is not', () => {
  const { kernel, stage } = buildKernel({ memory: '16M', mode: 'functional', stage: { populate: 'lazy' } });
  kernel.pool.takeClear();
  expect([sum(stage!.population.exits) > 0, stage!.population.exitCycles, stage!.population.populateCycles]).toEqual([true, 0, 0]);
  expect(() => buildKernel({ stage: { populate: 'never' as 'lazy' } })).toThrow('stage.populate');
  expect(() => buildKernel({ stage: {}, stageCosts: { ...costsOf(presets.zen3).stage, exit: -1 } })).toThrow('stageCosts.exit');
});
