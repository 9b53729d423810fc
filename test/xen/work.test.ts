import { describe, expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import { checkHypervisorCosts, hypervisorCosts, type HypervisorCosts } from '../../src/cost/hypervisor-costs.ts';
import { HYPERVISOR_multicall, HYPERVISOR_update_va_mapping } from '../../src/xen/numbers.ts';
import { ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { priced } from '../guest/meter.ts';
import { ARGS, DATA, entryOf, Guest, READ, TABLE } from './guest.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;
const cost = (name: keyof HypervisorCosts): number => figure(hypervisorCosts[name]);
const sum = (cycles: object): number => Object.values(cycles).reduce((a: number, b: number) => a + b, 0);

describe.each(widths)('the hypervisor’s work for a %s guest in timed mode', (_, wide) => {
  const timed = (options = {}) => new Guest({ wide, mode: 'timed', ...options }), trap = wide ? cost('trap') : cost('compatTrap');

  it('costs by what was looked at: a pin of a level-1 table 512 entries, of which few are present, an update one', () => {
    const g = timed(), mfn = g.table(g.free(0), [5, 9, 511].map((slot, k) => [slot, entryOf(g.free(k + 2), READ)])), before = g.xen.counters();
    expect(g.pin(1, mfn)).toBe(0);
    expect(g.update([mfn, 0, entryOf(g.free(1), READ)], [mfn, 1, 0n])).toBe(0);
    const { hypercalls: { mmuext_op: pin, mmu_update: update }, work } = g.xen.counters();
    expect([work.entries - before.work.entries, work.absentEntries - before.work.absentEntries]).toEqual([3 + 2, 509]);
    expect(pin!.cycles).toMatchObject({ trap, validate: cost('request') + 3 * cost('entry') + 509 * cost('absentEntry') });
    expect(update!.cycles).toMatchObject({ trap, validate: 2 * (cost('request') + cost('entry')) });
    expect(update!.cycles.copy).toBe(0); // the arguments were just written
    g.unpin(mfn);
    expect([g.xen.counters().work.entries - work.entries, g.xen.counters().work.absentEntries - work.absentEntries]).toEqual([4, 508]);
    g.cpu.flush();
    g.xen.hypercall(g.cpu, HYPERVISOR_multicall, g.va(ARGS), 1n);
    expect(g.xen.counters().hypercalls['multicall']!.cycles.copy).toBeGreaterThan(0);
  });

  it('counts entries before one that is refused twice: they are put again', () => {
    const g = timed(), mfn = g.table(g.free(0), [[5, entryOf(g.free(2), READ)], [9, entryOf(0xfffff, READ)]]), { work: before } = g.xen.counters();
    expect(g.pin(1, mfn)).toBeLessThan(0);
    const { work } = g.xen.counters();
    expect([work.entries - before.entries, work.absentEntries - before.absentEntries]).toEqual([3, 16]);
  });

  it('is paid by the vCPU, and adds up from the calls and faults', () => {
    const g = timed();
    g.cpu.resetCounters();
    const start = g.xen.counters(), mfn = g.table(g.free(0), [[3, entryOf(g.free(1), READ)]]);
    g.pin(1, mfn);
    g.update([mfn, 0, entryOf(0x350, READ)]);
    g.ext(6);
    g.unpin(mfn);
    g.xen.write(g.cpu, g.va(g.level1[0]!) + 1600n, new Uint8Array(8));
    g.xen.write(g.cpu, 0x1000n, new Uint8Array(8));
    g.xen.hypercall(g.cpu, 63);
    const { hypercalls, cycles } = g.xen.counters();
    const all = [...Object.entries(hypercalls).map(([name, now]) => ({ now: now.cycles, then: start.hypercalls[name]?.cycles })), ...Object.values(cycles).map(now => ({ now, then: undefined }))];
    const paid = all.reduce((total, { now, then }) => total + sum({ ...now, copy: 0 }) - sum({ ...then, copy: 0 }), 0);
    expect(g.cpu.counters().cycles.hypervisor).toBe(paid);
    expect(cycles.pageFaults).toMatchObject({ trap: 2 * cost('fault') + cost('bounce'), validate: cost('emulation') + cost('entry') });
    expect(cycles.unknownCalls.trap).toBe(trap);
    expect(hypercalls['mmuext_op']!.cycles.flush).toBe(2 * cost('flush')); // one for the frame that becomes a table
  });

  /** Source: create_bounce_frame, lstar_enter, compat_int80_direct_trap, do_iret(): see src/xen/guest-mode.ts. */
  it('of a guest that goes to its kernel and back: each event once', () => {
    const g = timed(), toUser = () => g.xen.setMode(g.cpu, 'user'), toKernel = () => g.xen.setMode(g.cpu, 'kernel');
    if (wide) expect(g.ext(15, BigInt(g.table(g.free(0), [[511, entryOf(g.tables[1]!, TABLE)]])))).toBe(0);
    const worked = (what: () => unknown) => {
      const before = g.xen.counters().work;
      what();
      const after = g.xen.counters().work;
      return Object.fromEntries(Object.entries(after).map(([kind, times]) => [kind, times - before[kind as keyof typeof before]]).filter(([, times]) => times !== 0));
    };
    const call = { [wide ? 'traps' : 'compatTraps']: 1 }, switched = wide ? { modeSwitches: 1 } : {};
    expect(worked(toUser)).toEqual({ ...call, ...switched });
    expect(worked(toKernel)).toEqual({ ...call, bounces: 1, ...switched }); // a system call
    toUser();
    const fault = () => g.xen.pageFault(g.cpu, g.cpu.write(0x1000n, Uint8Array.of(1), ACCESS_USER | ACCESS_WRITE), 0x1000n);
    expect(worked(() => expect(fault()).toBe((14 << 16) | 6))).toEqual({ faults: 1, bounces: 1, ...switched });
    expect(g.xen.guestOf(g.cpu).kernelMode).toBe(true);
    expect(g.cpu.registers.cr3 >> 12n).toBe(BigInt(g.xen.guestOf(g.cpu).root)); // the kernel's tables, to serve it
    expect(worked(toKernel)).toEqual({}); // it is there
    expect(worked(() => fault() & 0xffff)).toEqual({ faults: 1, bounces: 1 }); // of the kernel's own
    expect(g.xen.audit()).toEqual([]);
    const { cycles: { modeSwitches, pageFaults } } = g.xen.counters(), mode = wide ? cost('modeSwitch') : 0;
    expect(modeSwitches).toEqual({ trap: 3 * (trap + mode) + cost('bounce'), validate: 0, flush: 0, copy: 0 });
    expect(pageFaults.trap).toBe(2 * (cost('fault') + cost('bounce')) + mode);
  });

  it('is a price for each thing done, and all of it is on an account: interrupts of other processors too', () => {
    const g = timed({ vcpus: 2 }), mfn = g.table(g.free(0), [[3, entryOf(g.free(1), READ)]]), start = g.xen.counters();
    g.machine.vcpus.forEach(cpu => cpu.resetCounters());
    g.pin(1, mfn);
    g.ext(10); // MMUEXT_TLB_FLUSH_ALL
    g.ext(11, g.va(g.free(1))); // MMUEXT_INVLPG_ALL
    expect(g.map(g.va(g.free(2)), entryOf(g.free(2), READ), 1n | 4n)).toBe(0); // and everything, everywhere
    g.unpin(mfn);
    g.xen.write(g.cpu, 0x1000n, new Uint8Array(8));
    const now = g.xen.counters(), { work } = now;
    expect(work.ipis - start.work.ipis).toBeGreaterThanOrEqual(3);
    const totals = (values: typeof now) => {
      const sums = { trap: 0, validate: 0, flush: 0 };
      for (const cycles of [...Object.values(values.hypercalls).map(one => one.cycles), ...Object.values(values.cycles)]) for (const cause of ['trap', 'validate', 'flush'] as const) sums[cause] += cycles[cause];
      return sums;
    };
    const [before, after] = [totals(start), totals(now)];
    expect(sum(after) - sum(before)).toBe(priced(work, hypervisorCosts) - priced(start.work, hypervisorCosts));
    expect(after.flush - before.flush).toBe((['flush', 'invlpg', 'ipi'] as const).reduce((cycles, name) => cycles + cost(name) * (work[`${name === 'flush' ? 'flushe' : name}s`] - start.work[`${name === 'flush' ? 'flushe' : name}s`]), 0));
    expect(g.machine.vcpus.map(cpu => cpu.counters().cycles.hypervisor)).toEqual([sum(after) - sum(before), 0]); // who asks pays
  });

  it('of a multicall: one world switch, a little for each call', () => {
    const g = timed(), mfn = g.free(0), words = wide ? [g.va(mfn), entryOf(mfn, READ), 2n, 0n, 0n, 0n] : [g.va(mfn), entryOf(mfn, READ), 0n, 2n, 0n, 0n];
    const entry = [BigInt(HYPERVISOR_update_va_mapping), 0n, ...words];
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_multicall, g.words(wide ? 8 : 4, ...entry, ...entry, ...entry), 3n))).toBe(0);
    const { hypercalls } = g.xen.counters();
    expect(hypercalls['multicall']!.cycles).toMatchObject({ trap: trap + 3 * cost('subcall'), validate: 0, flush: 0 });
    expect(hypercalls['update_va_mapping']!.cycles).toMatchObject({ trap: 0, validate: 3 * (cost('request') + cost('entry')), flush: 3 * cost('invlpg') });
  });

  it('is the same in both engines, and in functional mode has no price', () => {
    const history = (options: object) => {
      const g = new Guest({ wide, ...options });
      const l1 = g.table(g.free(0), Array.from({ length: 300 }, (_x, k) => [k, entryOf(g.free(k & 15 ? 20 + k : 400), k & 1 ? READ : DATA)])), l2 = g.table(g.free(2), [[5, entryOf(l1, TABLE)]]);
      g.pin(2, l2);
      g.update([l1, 7, entryOf(0x350, READ)]);
      g.map(g.va(g.free(30)), entryOf(g.free(30), READ));
      g.unpin(l2);
      return g.xen.counters();
    };
    const ts = history({ mode: 'timed', engine: 'ts' });
    expect(history({ mode: 'timed', engine: 'wasm' })).toEqual(ts);
    const functional = history({ mode: 'functional' });
    expect(functional.work).toEqual(ts.work);
    expect(functional.hypercalls['mmuext_op']!.cycles).toEqual({ trap: 0, validate: 0, flush: 0, copy: 0 });
  });

  it('has the prices that it is given', () => {
    const g = timed({ costs: { ...hypervisorCosts, trap: 7, compatTrap: 7 } });
    g.xen.hypercall(g.cpu, 63);
    expect(g.xen.counters().cycles.unknownCalls.trap).toBe(7);
  });
});

/** Their sources: test/cost/costs.test.ts. */
it('costs are checked', () => {
  expect(checkHypervisorCosts(hypervisorCosts)).toBe(hypervisorCosts);
  for (const wrong of [-1, 1.5, NaN, 2_000_000, '5', undefined]) expect(() => checkHypervisorCosts({ ...hypervisorCosts, entry: wrong as number })).toThrow(/costs\.entry/);
  expect(() => checkHypervisorCosts({ ...hypervisorCosts, entries: 1 } as unknown as HypervisorCosts)).toThrow(/costs\.entries/);
});
