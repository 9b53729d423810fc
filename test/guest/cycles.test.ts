/** Where the cycles go: all of them have a cause, and workloads cost what they are made of. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { figure } from '../../src/cost/cpu-model.ts';
import type { KernelCosts } from '../../src/cost/kernel-costs.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { crossing } from '../../src/guest/crossover.ts';
import { totalCycles } from '../../src/guest/cycle-account.ts';
import { ProcessTree } from '../../src/guest/process-tree.ts';
import { runTree, type TreeFigures } from '../../src/guest/run-tree.ts';
import { CHANGES, PATTERNS, runWorkload, type WorkloadOptions } from '../../src/guest/workload.ts';

const kernelCosts = costsOf(presets.skylake).kernel; // the default processor's
const COMPILE = fileURLToPath(new URL('../fixtures/compile/', import.meta.url));

describe('the cycles of a compilation', () => {
  let tree: ProcessTree, native: TreeFigures, xen: TreeFigures;
  beforeAll(async () => {
    tree = await ProcessTree.load(COMPILE);
    [native, xen] = [await runTree({ tree, contents: false }), await runTree({ tree, contents: false, ops: 'xen' })];
  });

  it('of a hypervisor are those that the vCPU paid it', () => {
    const { hypervisorTrap, hypervisorValidate, hypervisorFlush } = xen.cycles;
    expect(hypervisorTrap + hypervisorValidate + hypervisorFlush).toBe(xen.cpu.cycles.hypervisor);
    expect([hypervisorTrap, hypervisorValidate, hypervisorFlush].every(cycles => cycles > 0)).toBe(true);
  });

  it('of a kernel are its counts by their prices', () => {
    const { kernel, cycles, native: counts } = native, price = (name: keyof KernelCosts) => figure(kernelCosts[name]);
    expect(cycles.exceptions).toBe(Object.values(kernel.faults).reduce((sum, many) => sum + many) * price('exception'));
    expect(cycles.systemCalls).toBe(Object.values(kernel.systemCalls).reduce((sum, many) => sum + many) * price('systemCall'));
    expect([cycles.rootLoads, cycles.invlpgs]).toEqual([counts!.rootLoads * price('rootLoad'), counts!.invlpgs * price('invlpg')]);
    expect([cycles.hypervisorTrap, cycles.hypervisorValidate, cycles.hypervisorFlush]).toEqual([0, 0, 0]);
    expect([xen.cycles.exceptions, xen.cycles.systemCalls, xen.cycles.rootLoads, xen.cycles.invlpgs]).toEqual([0, 0, 0, 0]);
  });

  it('follow a price that is changed, and nothing else does', async () => {
    const dear = await runTree({ tree, contents: false, kernelCosts: { ...kernelCosts, exception: figure(kernelCosts.exception) + 1000 } });
    expect(totalCycles(dear.cycles) - totalCycles(native.cycles)).toBe(1000 * native.cpu.faults);
    expect({ ...dear.cycles, exceptions: 0 }).toEqual({ ...native.cycles, exceptions: 0 });
  });

  it('are none in functional mode', async () => {
    expect(totalCycles((await runTree({ tree, contents: false, mode: 'functional' })).cycles)).toBe(0);
  });

  it.each([[{ ...kernelCosts, exception: -1 }, 'kernelCosts.exception'], [{ ...kernelCosts, walk: 1 }, 'kernelCosts.walk'], [{}, 'kernelCosts.exception']])('refuse the costs %#', async (costs, field) => {
    await expect(runTree({ tree, contents: false, kernelCosts: costs as KernelCosts })).rejects.toThrow(field);
  });
});

describe('a workload', () => {
  const small = { accesses: 30_000, workingSet: 256 };

  it.each(PATTERNS.flatMap(pattern => CHANGES.map(change => [pattern, change] as const)))('of %s with changes by %s changes the same entries by any way, and leaves nothing', (pattern, change) => {
    const options: WorkloadOptions = { ...small, pattern, change, interval: 1000 };
    const [native, xen] = [runWorkload(options), runWorkload({ ...options, ops: 'xen' })];
    expect(xen.updatesPerAccess).toBe(native.updatesPerAccess);
    expect(native.updatesPerAccess).toBeGreaterThan(0);
    expect(xen.kernel.faults).toEqual(native.kernel.faults);
    expect([native.frames.leaked, xen.frames.leaked, xen.complaints]).toEqual([0, 0, []]);
    expect(xen.cyclesPerAccess).toBeGreaterThan(native.cyclesPerAccess);
    expect(runWorkload(options)).toEqual(native);
  });

  it('without changes costs nearly the same by either way: entries are used where they are', () => {
    const [native, xen] = [runWorkload({ ...small, interval: 0 }), runWorkload({ ...small, interval: 0, ops: 'xen' })];
    expect(native.updatesPerAccess).toBe(0);
    expect(Math.abs(xen.cyclesPerAccess / native.cyclesPerAccess - 1)).toBeLessThan(0.05);
  });

  it('costs less a page in larger batches', () => {
    const cost = (batch: number) => runWorkload({ ...small, ops: 'xen', change: 'map', interval: 60 * batch, batch }).cyclesPerAccess;
    const [one, eight, thirty] = [1, 8, 32].map(cost);
    expect([one > eight, eight > thirty]).toEqual([true, true]);
  });

  it.each([
    [{ pattern: 'walk' }, 'pattern'], [{ change: 'exec' }, 'change'], [{ accesses: 0 }, 'accesses'], [{ workingSet: 1.5 }, 'workingSet'], [{ interval: -1 }, 'interval'], [{ batch: 0 }, 'batch'],
    [{ workingSet: 100_000 }, 'memory'],
  ])('is refused with %j', (options, field) => {
    expect(() => runWorkload(options as WorkloadOptions)).toThrow(field);
  });
});

describe('a crossing', () => {
  const line = (base: number, slope: number, ...rates: number[]) => rates.map(rate => ({ updatesPerAccess: rate, cyclesPerAccess: base + slope * rate }));

  it('is where the lines meet, between points too', () => {
    expect(crossing(line(10, 100, 0, 1), line(20, 50, 0, 1))).toBeCloseTo(0.2, 12);
    expect(crossing(line(10, 100, 0, 0.3, 1), line(20, 50, 0, 0.5, 1))).toBeCloseTo(0.2, 12);
    expect(crossing(line(20, 50, 0, 1), line(10, 100, 0, 1))).toBeCloseTo(0.2, 12);
  });

  it('is at a point where both cost the same there', () => {
    expect(crossing(line(10, 10, 0, 1, 2), line(0, 20, 0, 1, 2))).toBe(1);
  });

  it('is nowhere if one way is always dearer, or they have no rates in common', () => {
    expect(crossing(line(10, 10, 0, 1), line(20, 10, 0, 1))).toBeUndefined();
    expect(crossing(line(10, 10, 0, 1), line(0, 90, 2, 3))).toBeUndefined();
    expect(crossing([], line(0, 1, 0, 1))).toBeUndefined();
  });
});
