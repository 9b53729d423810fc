/** Every run's cycles are the sum of named causes, by every way and on every processor: reckoned twice, and the same. */
import { describe, expect, it } from 'vitest';
import { costsOf } from '../../src/cost/costs.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { buildKernel, type BuildOptions } from '../../src/guest/built-kernel.ts';
import { cycleAccount, subtract, totalCycles, type CycleAccount } from '../../src/guest/cycle-account.ts';
import { exec, exit, fork } from '../../src/guest/fork.ts';
import { map, protect, unmap } from '../../src/guest/mapping-calls.ts';
import type { Mm } from '../../src/guest/mm.ts';
import { hiOf, loOf, PAGE_BYTES } from '../../src/guest/platform.ts';
import { UserMode } from '../../src/guest/user-mode.ts';
import { PROT_READ, PROT_WRITE } from '../../src/guest/vma.ts';
import type { WorkCounts } from '../../src/xen/work.ts';
import { area } from './kernels.ts';
import { Meter } from './meter.ts';

const WAYS: Readonly<Record<string, BuildOptions>> = {
  'native': {},
  'native, PCID': { pcid: true },
  'direct': { ops: 'xen' },
  'direct, array': { ops: 'xen', policy: { batching: 'array' } },
  'direct, unbatched': { ops: 'xen', policy: { batching: 'unbatched' } },
  'direct, ptwr': { ops: 'xen', policy: { batching: 'ptwr' } },
  'direct, early pin': { ops: 'xen', policy: { pinning: 'early' } },
  'nested, EPT': { stage: { format: 'ept' } },
  'nested, EPT, populated when touched': { stage: { format: 'ept', populate: 'lazy' } },
  'nested, NPT, 2m': { stage: { format: 'npt', hostPages: '2m' } },
  'shadow': { shadow: {} },
  'shadow, every store to a table emulated, PCID': { shadow: { hostPages: '2m', policy: { outOfSync: 0 } }, pcid: true },
  'nested, NPT, 2m, populated when touched': { stage: { format: 'npt', hostPages: '2m', populate: 'lazy' } },
};
const NAMES: readonly (keyof CycleAccount)[] = [
  'tlb', 'walkStart', 'walkLoads', 'data', 'exceptions', 'systemCalls', 'rootLoads', 'invlpgs', 'pages', 'hypervisorTrap', 'hypervisorValidate', 'hypervisorFlush',
  'hypervisorPopulate', 'hypervisorEmulate', 'hypervisorShadow', 'hypervisorSync',
];
const HEAP = 0x40000, RING = 0x60000, IMAGE = { areas: [area(HEAP, HEAP + 2048)], stackTop: HEAP };
const RW = PROT_READ | PROT_WRITE;

/** A program that is told what to do, and what its run is to cost. */
class Program {
  mm: Mm;
  readonly meter: Meter;
  private readonly built;
  private readonly user: UserMode;
  private readonly before: CycleAccount;
  private readonly started: WorkCounts | undefined;
  private readonly booted: number; // hypercalls until then

  constructor(options: BuildOptions) {
    this.built = buildKernel({ memory: '16M', ...options });
    this.before = cycleAccount(this.built);
    this.started = this.built.xen?.domain.xen.counters().work;
    this.booted = this.built.xen?.domain.batches.get(1) ?? 0;
    this.meter = new Meter(this.built, costsOf(options.cpu!));
    this.user = new UserMode(this.built.kernel);
    this.mm = exec(this.built.kernel, undefined, IMAGE, 1);
  }

  /** Work of a hypervisor since the start, its hypercalls outside lists, and stores of the kernel that it emulated. */
  get work(): WorkCounts {
    const now = this.built.xen!.domain.xen.counters().work;
    return Object.fromEntries(Object.entries(now).map(([kind, times]) => [kind, times - this.started![kind as keyof WorkCounts]])) as WorkCounts;
  }

  /** One that is preempted is entered again, in its list or alone. */
  get hypercalls(): number {
    const { domain } = this.built.xen!, again = Object.entries(domain.xen.counters().hypercalls).filter(([name]) => name !== 'multicall').reduce((sum, [, { calls, entries }]) => sum + entries - calls, 0);
    return again + [...domain.batches.values()].reduce((sum, many) => sum + many, 0) - this.booted;
  }


  get emulated(): number { return this.built.xen!.ops.emulated; }

  get k() { return this.built.kernel; }

  touch(pages: readonly number[], kind: number): void {
    const columns = this.k.p.machine.columns(pages.length);
    pages.forEach((page, i) => {
      columns.va[2 * i] = loOf(page * PAGE_BYTES + (page % 64) * 8);
      columns.va[2 * i + 1] = hiOf(page * PAGE_BYTES);
      columns.kind[i] = kind;
      columns.size[i] = 8;
    });
    this.user.run(this.mm, columns, 0, pages.length, undefined, () => undefined);
  }

  call(name: string, work: () => void): void {
    this.user.call();
    this.k.figures.countCall(name);
    work();
  }

  switchTo(mm: Mm): void {
    this.mm = mm;
    this.k.switchTo(mm);
  }

  end(): CycleAccount {
    this.call('exit_group', () => exit(this.k, this.mm));
    this.k.cache.dropAll();
    return subtract(cycleAccount(this.built), this.before);
  }
}

const pages = (start: number, many: number): number[] => Array.from({ length: many }, (_, i) => start + ((i * 37) % many));

const WORKLOADS: Readonly<Record<string, { readonly limitPages?: number; readonly run: (p: Program) => void }>> = {
  'faults and changes of rights': { run: p => {
    p.touch(pages(HEAP, 90), 0);
    p.touch(pages(HEAP, 150), 1);
    for (let turn = 0; turn < 2; turn++) {
      p.call('mprotect', () => protect(p.k, p.mm, HEAP, HEAP + 40, turn === 1 ? 0 : PROT_READ));
      p.touch([HEAP + 3], 1); // refused
      p.call('mprotect', () => protect(p.k, p.mm, HEAP, HEAP + 40, RW)); // no access in between: returned from, and called again
      p.touch(pages(HEAP, 200), 1);
    }
    p.touch(pages(HEAP + 512, 700), 1);
    p.call('mmap', () => map(p.k, p.mm, { ...area(RING, RING + 30), shared: true, file: p.k.cache.file('ring') }));
    p.touch(pages(RING, 30), 1);
    p.call('munmap', () => unmap(p.k, p.mm, RING, RING + 30));
  } },
  'forks under memory pressure': { limitPages: 120, run: p => {
    p.touch(pages(HEAP, 200), 1);
    for (let turn = 0; turn < 2; turn++) {
      const parent = p.mm;
      let child: Mm | undefined;
      p.call('fork', () => { child = fork(p.k, parent); });
      p.touch(pages(HEAP + 20, 20), 1);
      p.call('wait4', () => p.switchTo(child!));
      p.touch(pages(HEAP, 60), 1);
      p.call('execve', () => { p.mm = exec(p.k, p.mm, IMAGE, 2); });
      p.touch(pages(HEAP, 20), 1);
      p.call('exit_group', () => exit(p.k, p.mm));
      p.switchTo(parent);
      p.touch(pages(HEAP, 200), 0);
    }
  } },
};

describe.each(Object.keys(presets))('on %s', cpu => {
  describe.each(Object.entries(WAYS))('%s', (_, way) => {
    it.each(Object.entries(WORKLOADS))('%s: the causes are named, none is negative, and their sum is what was spent', (_workload, { limitPages, run }) => {
      const p = new Program({ ...way, cpu: presets[cpu], promoteAt: 100, ...(limitPages === undefined ? {} : { limitPages }) });
      run(p);
      const account = p.end(), { meter } = p, { faults, systemCalls } = p.k.figures, sum = (counts: object): number => Object.values(counts).reduce((a: number, b: number) => a + b, 0);
      expect(Object.keys(account)).toEqual(NAMES);
      expect(Object.values(account).filter(cycles => !Number.isInteger(cycles) || cycles < 0)).toEqual([]);
      expect(totalCycles(account)).toBe(meter.total(way.stage?.hostPages === '2m' ? 512 : 1));
      expect([meter.exceptions, meter.systemCalls]).toEqual([sum(faults), sum(systemCalls)]);
      expect(account.walkLoads + account.pages).toBeGreaterThan(0);
      // Each time into the kernel is followed by one return; besides them only hypercalls enter the hypervisor, and stores that it emulates.
      if (way.ops === 'xen') {
        const { traps, bounces, modeSwitches, faults: taken } = p.work, entries = meter.exceptions + meter.systemCalls;
        expect([bounces, modeSwitches, taken, traps]).toEqual([entries, 2 * entries, meter.exceptions + p.emulated, p.hypercalls + meter.systemCalls + entries]);
      }
      // What a way has, and what it does not have.
      const isDirect = way.ops === 'xen', isShadow = way.shadow !== undefined, isLazy = way.stage?.populate === 'lazy' && (limitPages === undefined || way.stage.hostPages !== '2m'); // few pages are in one of 2m
      expect([account.exceptions, account.systemCalls, account.rootLoads, account.invlpgs].map(cycles => cycles > 0)).toEqual([!isDirect, !isDirect, !isDirect && !isShadow, !isDirect && !isShadow]);
      expect([account.hypervisorTrap, account.hypervisorPopulate].map(cycles => cycles > 0)).toEqual([isDirect || isLazy || isShadow, isLazy]);
      expect([account.hypervisorValidate, account.hypervisorFlush].map(cycles => cycles > 0)).toEqual([isDirect, isDirect || isShadow]);
      expect([account.hypervisorEmulate, account.hypervisorShadow, account.hypervisorSync].map(cycles => cycles > 0)).toEqual([isShadow, isShadow, isShadow && way.shadow.policy === undefined]);
    });
  });
});
