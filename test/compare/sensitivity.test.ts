import { describe, expect, it } from 'vitest';
import { cellAt, crossingRange, estimatedShare, lineAt } from '../../src/compare/sensitivity.ts';
import { totalCycles } from '../../src/guest/index.ts';
import { cell, line } from '../report/sample-comparison.ts';

describe('a cell at other estimated prices', () => {
  const direct = cell('direct', { walkLoads: 1000, hypervisorTrap: 3000 }); // world switches are estimates

  it('has its estimated cycles times the factor, and the others', () => {
    const [half, dear] = [0.5, 2].map(factor => cellAt(direct, factor));
    expect([half.cycles.walkLoads, half.cycles.hypervisorTrap, half.total]).toEqual([1000, 1500, 2500]);
    expect([dear.cycles.walkLoads, dear.cycles.hypervisorTrap, dear.total, totalCycles(dear.estimated)]).toEqual([1000, 6000, 7000, 6000]);
    expect(cellAt(cellAt(direct, 0.5), 2)).toEqual(direct);
  });

  it('of a cause that is made of both scales the part that is an estimate', () => {
    const mixed = { ...direct, estimated: { ...direct.estimated, hypervisorTrap: 1000 } };
    expect([cellAt(mixed, 2).cycles.hypervisorTrap, cellAt(mixed, 0.5).total]).toEqual([4000, 3500]);
  });

  it('and a share of all its cycles that rests on estimates', () => {
    expect([estimatedShare(direct), estimatedShare(cell('native', { walkLoads: 5 })), estimatedShare(cell('native', {}))]).toEqual([0.75, 0, 0]);
  });
});

describe('the crossing of two lines', () => {
  it('is reckoned again of the lines at each price', () => {
    // 10 + 1000 f r = 20 + 100 r: r = 10 / (1000 f - 100)
    const { at, same, cheaper } = crossingRange(line('direct', 10, 1000), line('nested', 20, 100));
    expect(same).toBe(true);
    expect(cheaper).toEqual(['direct', 'direct', 'direct']);
    [10 / 900, 10 / 400, 10 / 1900].forEach((rate, k) => { expect(at[k]).toBeCloseTo(rate, 12); });
  });

  it('may be there at some prices only', () => {
    const { at, same } = crossingRange(line('direct', 10, 1000), line('nested', 20, 995));
    expect([same, at[0], at[1]]).toEqual([false, undefined, undefined]);
    expect(at[2]).toBeCloseTo(10 / 1005, 12);
  });

  it('may begin with another line', () => {
    const flat = (k: number) => { // an update costs nothing: an estimate is in each access
      const direct = line('direct', 10, 0);
      return { ...direct, points: direct.points.map(point => ({ ...point, cyclesPerAccess: 10 + k, cycles: { ...point.cycles, hypervisorTrap: k }, estimated: { ...point.estimated, hypervisorTrap: k } })) };
    };
    expect(crossingRange(flat(8), line('nested', 20, 0))).toEqual({ same: false, at: [undefined, undefined, undefined], cheaper: ['direct', 'direct', 'nested'] });
    expect(crossingRange(flat(4), line('nested', 20, 0)).same).toBe(true);
  });

  it('changes nothing of a line at its own prices', () => {
    const direct = line('direct', 10, 1000);
    expect(lineAt(direct, 1)).toEqual(direct);
  });
});
