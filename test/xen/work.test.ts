import { describe, expect, it } from 'vitest';
import { figure } from '../../src/cost/cpu-model.ts';
import { checkHypervisorCosts, hypervisorCosts, type HypervisorCosts } from '../../src/cost/hypervisor-costs.ts';
import { HYPERVISOR_multicall, HYPERVISOR_update_va_mapping } from '../../src/xen/numbers.ts';
import { ARGS, DATA, entryOf, Guest, READ, TABLE } from './guest.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;
const cost = (name: keyof HypervisorCosts): number => figure(hypervisorCosts[name]);
const sum = (cycles: object): number => Object.values(cycles).reduce((a: number, b: number) => a + b, 0);

describe.each(widths)('the hypervisor’s work for a %s guest in timed mode', (_, wide) => {
  const timed = (options = {}) => new Guest({ wide, mode: 'timed', ...options }), trap = wide ? cost('trap') : cost('compatTrap');

  it('costs by what was looked at: a pin of a level-1 table 512 entries, an update one', () => {
    const g = timed(), mfn = g.table(g.free(0)), before = g.xen.counters();
    expect(g.pin(1, mfn)).toBe(0);
    expect(g.update([mfn, 0, entryOf(g.free(1), READ)], [mfn, 1, 0n])).toBe(0);
    const { hypercalls: { mmuext_op: pin, mmu_update: update }, work } = g.xen.counters();
    expect(work.entries - before.work.entries).toBe(512 + 2);
    expect(pin!.cycles).toMatchObject({ trap, validate: cost('request') + 512 * cost('entry') });
    expect(update!.cycles).toMatchObject({ trap, validate: 2 * (cost('request') + cost('entry')) });
    expect(update!.cycles.copy).toBe(0); // the arguments were just written
    g.cpu.flush();
    g.xen.hypercall(g.cpu, HYPERVISOR_multicall, g.va(ARGS), 1n);
    expect(g.xen.counters().hypercalls['multicall']!.cycles.copy).toBeGreaterThan(0);
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

it('costs are checked, and each has a source', () => {
  for (const [name, c] of Object.entries(hypervisorCosts)) expect((c as { source: string }).source.length, name).toBeGreaterThan(20);
  expect(checkHypervisorCosts(hypervisorCosts)).toBe(hypervisorCosts);
  for (const wrong of [-1, 1.5, NaN, 2_000_000, '5', undefined]) expect(() => checkHypervisorCosts({ ...hypervisorCosts, entry: wrong as number })).toThrow(/costs\.entry/);
  expect(() => checkHypervisorCosts({ ...hypervisorCosts, entries: 1 } as unknown as HypervisorCosts)).toThrow(/costs\.entries/);
});
