import { expect, it } from 'vitest';
import { CAUSE_GROUPS, groupCycles, moreBy, share } from '../../src/compare/cause.ts';
import { runWorkload } from '../../src/guest/index.ts';
import { PAINTS } from '../../src/report/chart-ways.ts';
import { account } from '../report/sample-comparison.ts';

it('every cause of cycles is in one group, and every group has a look of its own', () => {
  const { cycles } = runWorkload({ accesses: 1000, workingSet: 16, memory: '16M' });
  expect(CAUSE_GROUPS.flatMap(({ causes }) => causes).sort()).toEqual(Object.keys(cycles).sort());
  expect(PAINTS.length).toBeGreaterThanOrEqual(CAUSE_GROUPS.length);
  expect(new Set(PAINTS.map(({ paint }) => paint)).size).toBe(PAINTS.length);
});

it('groups add up, and shares are parts', () => {
  const cycles = account(Object.fromEntries(Object.keys(account({})).map((cause, k) => [cause, 2 ** k])));
  expect(groupCycles(cycles).reduce((a, b) => a + b, 0)).toBe(2 ** Object.keys(cycles).length - 1);
  expect(share(cycles, 4).tlb).toBe(cycles.tlb / 4);
});

it('differences come largest first, of either sign, and none that is nothing', () => {
  const more = moreBy(account({ walkLoads: 10, hypervisorTrap: 500, pages: 7 }), account({ exceptions: 90, pages: 7 }));
  expect(more.map(({ name, cycles }) => [name, cycles])).toEqual([['world switches', 500], ['exceptions and system calls', -90], ['loads of walks', 10]]);
});
