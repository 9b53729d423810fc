import { describe, expect, it } from 'vitest';
import { cheapest, crossingOf, ends, lineTasks, SWEEP_DEFAULTS, updateCost } from '../../src/compare/sweep.ts';
import { runLine } from '../../src/compare/sweep-line.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { line } from '../report/sample-comparison.ts';

describe('two lines', () => {
  it('cross where the dearer one becomes the cheaper one, in whichever order they are named', () => {
    const [direct, nested] = [line('direct', 10, 1000), line('nested', 20, 500)];
    for (const pair of [crossingOf(direct, nested), crossingOf(nested, direct)]) {
      expect([pair.cheaper, pair.other]).toEqual([direct, nested]);
      expect(pair.at).toBeCloseTo(0.02, 12);
    }
  });

  it('that cost the same at first are told apart by what comes then', () => {
    const [a, b] = [line('direct', 10, 0), line('nested', 10, 0)], raise = (from: number, by: number) => ({
      ...b, points: b.points.map((point, k) => (k >= from ? { ...point, cyclesPerAccess: point.cyclesPerAccess + by } : point)),
    });
    expect(crossingOf(a, raise(3, 5))).toMatchObject({ cheaper: { way: 'direct' }, at: undefined });
    expect(crossingOf(a, raise(3, -5))).toMatchObject({ cheaper: { way: 'nested' }, at: undefined });
    expect(crossingOf(a, b).at).toBe(ends(a)[0].updatesPerAccess);
  });
});

it('the cheapest of lines is the cheapest at every rate', () => {
  let seed = 5;
  const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  let crossings = 0;
  for (let round = 0; round < 300; round++) {
    const lines = (['direct', 'shadow', 'nested'] as const).map(way => line(way, 1 + 30 * random(), 10 + 10 ** (4 * random())));
    const stretches = cheapest(lines), cost = (at: number, k: number) => lines[k].points[0].cycles.walkLoads + ((lines[k].points.at(-1)!.cyclesPerAccess - lines[k].points[0].cycles.walkLoads) / lines[k].points.at(-1)!.updatesPerAccess) * at;
    crossings += stretches.length - 1;
    for (let step = 0; step < 20; step++) {
      const rate = 10 ** (-4 * random()), found = stretches.find(({ upTo }) => upTo === undefined || rate < upTo)!;
      const least = Math.min(...lines.map((_, k) => cost(rate, k)));
      expect(cost(rate, lines.indexOf(found.line))).toBeCloseTo(least, 6);
    }
  }
  expect(crossings).toBeGreaterThan(50);
});

it('an update costs the slope of its line, by cause', () => {
  const cost = updateCost(line('direct', 10, 1234));
  expect(cost.hypervisorTrap).toBeCloseTo(1234, 8);
  expect({ ...cost, hypervisorTrap: 0 }).toEqual(Object.fromEntries(Object.keys(cost).map(cause => [cause, 0])));
});

describe('lines that are run', () => {
  const workload = { ...SWEEP_DEFAULTS, workingSet: 64, accesses: 2000, rates: [0.01, 0.1, 1] };
  const tasks = lineTasks({ ways: ['native', 'direct', 'shadow', 'nested'], cpu: presets.zen3, pages: '4k', workload, engine: 'ts', memory: '16M' });
  const lines = tasks.map(task => runLine(task, () => undefined));

  it('are one a way, and of direct paging one a batching', () => {
    expect(lines.map(({ name }) => name)).toEqual(['native', 'direct', 'direct array', 'direct unbatched', 'direct ptwr', 'shadow', 'nested']);
  });

  it('have the rates that were aimed at, the same of all, and their cycles by cause', () => {
    for (const { points } of lines) {
      expect(points.map(({ updatesPerAccess }) => updatesPerAccess)).toEqual(lines[0].points.map(({ updatesPerAccess }) => updatesPerAccess));
      points.forEach(({ updatesPerAccess, cyclesPerAccess, cycles }, k) => {
        expect(updatesPerAccess / workload.rates[k]).toBeCloseTo(1, 1);
        expect(Object.values(cycles).reduce((a, b) => a + b, 0)).toBeCloseTo(cyclesPerAccess, 6);
      });
    }
  });

  it('cost more with more updates; stores that are emulated most', () => {
    for (const { points } of lines) expect(points[2].cyclesPerAccess).toBeGreaterThan(points[0].cyclesPerAccess);
    const last = (name: string) => lines.find(found => found.name === name)!.points[2].cyclesPerAccess;
    expect([last('direct ptwr') > last('direct unbatched'), last('direct unbatched') > last('direct'), last('direct') > last('direct array')]).toEqual([true, true, true]);
  });

  it('refuse a rate whose changes come too seldom, and say which does not', () => {
    const native = tasks[0], at = (rate: number, batch = 16) => runLine({ ...native, workload: { ...workload, accesses: 1, batch, rates: [rate, 1] } }, () => undefined);
    const message = (act: () => unknown): string => { try { act(); } catch (error) { return (error as Error).message; } return ''; };
    const said = /^rates: expected (\S+) or more, where a change has (\d+) updates: it comes every 33554432 accesses at most, got 1e-7$/.exec(message(() => at(1e-7)))!;
    const least = Number(said[1]), updates = Number(said[2]);
    expect(updates).toBeGreaterThanOrEqual(16);
    expect(least / (updates / 2 ** 25)).toBeCloseTo(1, 1);
    expect(least).toBeGreaterThanOrEqual(updates / 2 ** 25);
    expect(message(() => at(least / 2))).toMatch(/^rates: /);
    expect(message(() => at(least, 64))).toMatch(/^rates: /); // larger changes are more seldom at the same rate
  });

  it.each([['protect', 'chase', 1], ['protect', 'stream', 1], ['fork', 'chase', 100]] as const)('have nothing at their first point of what the first change leaves to do once: %s, %s', (change, pattern, times) => {
    const near = { ...workload, change, pattern, workingSet: 1024, rates: [0.002, 0.00202, 0.1].map(rate => rate * times) }; // two large pages, that the first change splits
    for (const task of lineTasks({ ways: ['native', 'direct', 'shadow', 'nested'], cpu: presets.zen3, pages: '2m', workload: near, engine: 'auto', memory: '32M' })) {
      const [first, second] = runLine(task, () => undefined).points;
      expect(first.cyclesPerAccess / second.cyclesPerAccess, task.way).toBeCloseTo(1, 1);
    }
  });

  it('tell their progress', () => {
    const shares: number[] = [];
    runLine(tasks[0], share => shares.push(share));
    expect(shares).toEqual([1 / 3, 2 / 3, 1]);
  });
});
