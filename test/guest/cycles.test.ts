/** Where the cycles go: all of them have a cause, and workloads cost what they are made of. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { figure } from '../../src/cost/cpu-model.ts';
import type { KernelCosts } from '../../src/cost/kernel-costs.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { crossing } from '../../src/guest/crossover.ts';
import { totalCycles } from '../../src/guest/cycle-account.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { ProcessTree } from '../../src/guest/process-tree.ts';
import { runTree, type TreeFigures } from '../../src/guest/run-tree.ts';
import { CHANGES, PATTERNS, runWorkload, Workload, type WorkloadOptions } from '../../src/guest/workload.ts';

const { kernel: kernelCosts, shadow: shadowCosts } = costsOf(presets.skylake); // the default processor's
const COMPILE = fileURLToPath(new URL('../fixtures/compile/', import.meta.url));

describe('the cycles of a compilation', () => {
  let tree: ProcessTree, native: TreeFigures, xen: TreeFigures, shadow: TreeFigures;
  beforeAll(async () => {
    tree = await ProcessTree.load(COMPILE);
    [native, xen] = [await runTree({ tree, contents: false }), await runTree({ tree, contents: false, ops: 'xen' })];
    shadow = await runTree({ tree, contents: false, shadow: {} });
  });

  it('of a hypervisor are those that the vCPU paid it', () => {
    const { hypervisorTrap, hypervisorValidate, hypervisorFlush } = xen.cycles;
    expect(hypervisorTrap + hypervisorValidate + hypervisorFlush).toBe(xen.cpu.cycles.hypervisor);
    expect([hypervisorTrap, hypervisorValidate, hypervisorFlush].every(cycles => cycles > 0)).toBe(true);
  });

  it('of shadows are those that the vCPU paid for them, each by its cause', () => {
    const { hypervisorTrap, hypervisorEmulate, hypervisorShadow, hypervisorSync, hypervisorFlush, hypervisorValidate } = shadow.cycles, causes = [hypervisorTrap, hypervisorEmulate, hypervisorShadow, hypervisorSync, hypervisorFlush];
    expect(causes.reduce((sum, cycles) => sum + cycles)).toBe(shadow.cpu.cycles.hypervisor);
    expect([causes.every(cycles => cycles > 0), hypervisorValidate]).toEqual([true, 0]);
    const counts = shadow.shadow!, { kernel: { faults } } = shadow, guestFaults = Object.values(faults).reduce((sum, many) => sum + many);
    expect(counts.fastNotPresent + counts.guestFault).toBe(guestFaults);
    expect(counts.exitPageFault).toBe(guestFaults + counts.shadowFill + counts.emulatedWrite);
    expect([counts.exitCr3, counts.exitInvlpg]).toEqual([native.native!.rootLoads + 1, native.native!.invlpgs]); // and the kernel's own root
    expect([shadow.cycles.rootLoads, shadow.cycles.invlpgs, shadow.cycles.exceptions]).toEqual([0, 0, native.cycles.exceptions]);
  });

  it('of shadows follow a price that is changed, and nothing else does', async () => {
    const dear = await runTree({ tree, contents: false, shadow: {}, shadowCosts: { ...shadowCosts, unsync: figure(shadowCosts.unsync) + 1000 } });
    expect({ ...dear.cycles, hypervisorSync: 0 }).toEqual({ ...shadow.cycles, hypervisorSync: 0 });
    expect(dear.cycles.hypervisorSync - shadow.cycles.hypervisorSync).toBe(1000 * dear.shadow!.unsync);
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
    expect(totalCycles((await runTree({ tree, contents: false, mode: 'functional', shadow: {} })).cycles)).toBe(0);
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
    const [native, xen, shadow] = [runWorkload(options), runWorkload({ ...options, ops: 'xen' }), runWorkload({ ...options, shadow: {} })];
    expect([xen.updatesPerAccess, shadow.updatesPerAccess]).toEqual([native.updatesPerAccess, native.updatesPerAccess]);
    expect(native.updatesPerAccess).toBeGreaterThan(0);
    expect([xen.kernel.faults, shadow.kernel.faults]).toEqual([native.kernel.faults, native.kernel.faults]);
    expect([native.frames.leaked, xen.frames.leaked, xen.complaints, shadow.frames.leaked, shadow.complaints]).toEqual([0, 0, [], 0, []]);
    expect([xen.cyclesPerAccess > native.cyclesPerAccess, shadow.cyclesPerAccess > native.cyclesPerAccess]).toEqual([true, true]);
    expect(totalCycles(shadow.measured) / small.accesses).toBe(shadow.cyclesPerAccess);
    expect(runWorkload(options)).toEqual(native);
  });

  it.each([256, 100])('that chases goes over all %i pages, again and again in one order that has no stride', pages => {
    const workload = new Workload({ pattern: 'chase', workingSet: pages, interval: 0, memory: '16M' }), { columns: { va } } = workload as unknown as { columns: AccessColumns };
    const lap = () => {
      workload.stretch(pages, 0);
      return Array.from({ length: pages }, (_, k) => va[2 * k] >>> 12);
    };
    const order = lap(), strides = order.map((page, k) => order[(k + 1) % pages] - page);
    expect(new Set(order).size).toBe(pages);
    expect(new Set(strides).size).toBeGreaterThan(pages / 3);
    expect(lap()).toEqual(order);
  });

  it('that streams stores to one word after another', () => {
    const workload = new Workload({ pattern: 'stream', workingSet: 2, interval: 0, memory: '16M' }), { columns: { va, kind } } = workload as unknown as { columns: AccessColumns };
    workload.stretch(1025, 0);
    expect(Array.from({ length: 1025 }, (_, k) => va[2 * k] - va[0])).toEqual(Array.from({ length: 1025 }, (_, k) => (k % 1024) * 8));
    expect(new Set(kind.subarray(0, 1025))).toEqual(new Set([1]));
  });

  it('guards without a fault, and has one for each page that it takes the right to store from', () => {
    const faults = (change: 'guard' | 'protect', interval: number) => Object.values(runWorkload({ ...small, change, interval }).kernel.faults).reduce((a, b) => a + b);
    const none = faults('guard', 0), changes = Math.ceil(small.accesses / 1000) - 1;
    expect([faults('guard', 1000), faults('protect', 1000)]).toEqual([none, none + 16 * changes]);
  });

  it('without changes costs nearly the same by any way without a second stage: entries are used where they are', () => {
    const native = runWorkload({ ...small, interval: 0 });
    expect(native.updatesPerAccess).toBe(0);
    for (const way of [{ ops: 'xen' }, { shadow: {} }] as const) expect(Math.abs(runWorkload({ ...small, interval: 0, ...way }).cyclesPerAccess / native.cyclesPerAccess - 1)).toBeLessThan(0.05);
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
