import { describe, expect, it } from 'vitest';
import type { CellResult } from '../../src/compare/cell.ts';
import type { SweepLine } from '../../src/compare/sweep-line.ts';
import { SWEEP_DEFAULTS } from '../../src/compare/sweep.ts';
import { findingsOf } from '../../src/report/findings.ts';
import { cell, group, line, sweep, usualGroup } from './sample-comparison.ts';

const said = (title: string, cells: readonly CellResult[], lines?: readonly SweepLine[]): string =>
  findingsOf(group(cells, lines === undefined ? [] : [sweep(lines)])).find((finding) => finding.title === title)?.points.join(' ') ?? '';
const costs = (...cells: readonly CellResult[]) => said('What it costs', cells);
const why = (...cells: readonly CellResult[]) => said('Why', cells);
const native = cell('native', { walkLoads: 600, exceptions: 400 });
const cross = (...lines: readonly SweepLine[]) => said('Where the ways cross', [native], lines);

it('three findings of a comparison with sweeps, two of one without', () => {
  const usual = usualGroup();
  expect(findingsOf(usual).map(({ title }) => title)).toEqual(['What it costs', 'Why', 'Where the ways cross']);
  expect(findingsOf({ ...usual, sweeps: [] }).map(({ title }) => title)).toEqual(['What it costs', 'Why']);
  expect(findingsOf(usual).every(({ points }) => points.length > 0 && points.every((point) => /^[A-Z].*\.$/.test(point) && !/NaN|undefined|Infinity/.test(point)))).toBe(true);
});

describe('what it costs', () => {
  const [direct, nested] = [(trap: number) => cell('direct', { walkLoads: 1000, hypervisorTrap: trap }), cell('nested', { walkLoads: 1500, exceptions: 500 })];

  it('names the cheapest way, whichever that is', () => {
    expect(costs(native, direct(2000), nested)).toContain('On zen3 with 4k pages the cheapest way to virtualize memory is nested paging: 2 times the cycles of native (0.001 cycles an access, 1 k in all). Direct paging takes 3 times.');
    expect(costs(native, direct(500), nested)).toContain('the cheapest way to virtualize memory is direct paging: 1.50 times the cycles of native');
    expect(costs(nested, native, direct(-500))).toContain('direct paging: 0.500 times');
  });

  it('compares with the cheapest where native was not run', () => {
    expect(costs(direct(3000), nested)).toContain('nested paging is the cheapest of the ways that were run');
    expect(costs(direct(500), nested)).toContain('direct paging is the cheapest of the ways that were run');
    expect(costs(direct(3000), nested)).toContain('Direct paging takes 2 times.');
  });

  it('has one way alone', () => {
    expect(costs(native)).toContain('On zen3 with 4k pages native costs 0.001 cycles an access, 1 k in all.');
    expect(costs(native, nested)).toContain('On zen3 with 4k pages nested paging takes 2 times the cycles of native (0.001 cycles an access, 1 k in all).');
  });
});

describe('how far it depends on estimates', () => {
  const [direct, nested] = [(trap: number) => cell('direct', { walkLoads: 1000, hypervisorTrap: trap }), cell('nested', { walkLoads: 1500, exceptions: 500 })];

  it('the order of the ways stays, or what it is then', () => {
    expect(costs(native, direct(6000), nested)).toContain('Of these cycles 0 % under native, 86 % under direct paging and 0 % under nested paging are counts times estimated prices of kernel and hypervisor. '
      + 'With all estimated prices of kernel and hypervisor at half and at double the order of the ways stays: direct paging takes 4 to 13 times the cycles of native and nested paging 2 to 2.');
    expect(costs(native, direct(1500), nested)).toContain('The order of the ways depends on them: with all estimated prices of kernel and hypervisor at half it is, cheapest first, native, direct paging and nested paging; at double it is, cheapest first, native, nested paging and direct paging.');
    expect(costs(direct(1000))).toContain('Of these cycles 50 % under direct paging are counts times estimated prices of kernel and hypervisor.');
  });

  it('so does the largest cause of a difference, or not', () => {
    const walks = (loads: number) => cell('direct', { walkLoads: loads, exceptions: 400, hypervisorTrap: 1000 });
    expect(why(native, walks(900))).toContain('With all estimated prices of kernel and hypervisor at half and at double the largest cause of each difference stays the same.');
    expect(why(native, walks(2200))).toContain('Which cause makes the largest difference depends on estimates: under direct paging loads of walks with all estimated prices of kernel and hypervisor at half, world switches with all estimated prices of kernel and hypervisor at double.');
    expect(why(native)).not.toContain('estimate');
  });

  it('and so do crossings, in a range', () => {
    const half = 'With all estimated prices of kernel and hypervisor at half and at double';
    expect(cross(line('direct', 10, 1000), line('nested', 20, 100))).toContain(`${half} that stays, and they cross at one update in 40 to 190 accesses.`);
    expect(cross(line('direct', 10, 1000), line('nested', 20, 990))).toContain('That depends on estimates: with all estimated prices of kernel and hypervisor at half direct paging is cheaper throughout, at double direct paging is cheaper up to one update in 101 accesses.');
    expect(cross(line('direct', 20, 3000), line('nested', 10, 500))).toContain(`${half} that stays.`);
    expect(cross(line('shadow', 10, 1000), line('nested', 20, 500))).toContain(`and dearer beyond. ${half} that stays, and they cross at one update in 50 accesses.`);
  });

  it('and those of each batching', () => {
    const [direct, nested] = [line('direct', 10, 1000), line('nested', 20, 100)];
    expect(cross(direct, line('direct', 10, 60, 'array'), nested))
      .toContain('they cross at one update in 40 to 190 accesses with multicalls and at half nowhere and at double at one update in 2 accesses with arrays of mmu_update.');
    expect(cross(line('direct', 30, 1000), line('direct', 30, 700, 'array'), nested)).toMatch(/No batching makes direct paging cross nested paging: it is dearer throughout\. With all estimated prices of kernel and hypervisor at half and at double that stays\./);
  });
});

describe('why', () => {
  it('names the causes of what is added, and of what is saved', () => {
    expect(why(native, cell('direct', { walkLoads: 600, hypervisorTrap: 3000, hypervisorValidate: 1000 })))
      .toContain('Direct paging adds 4 k cycles to native\'s: world switches (75 %) and validation and emulation (25 %); it saves 400 of native\'s: exceptions and system calls (100 %). Its hypervisor was entered 311 times: hypercall (234) and page fault (77).');
    expect(why(native, cell('nested', { walkLoads: 900, exceptions: 400 }))).toContain('Nested paging adds 300 cycles to native\'s: loads of walks (100 %). It missed the TLB 1,000 times and read 3.50 entries for each; native 1,000 times, 2.00 entries.');
  });

  it('says so where a way costs less, or the same', () => {
    expect(why(native, cell('shadow', { walkLoads: 500, exceptions: 400 }))).toContain('Shadow paging saves 100 of native\'s: loads of walks (100 %)');
    expect(why(native, cell('shadow', { walkLoads: 600, exceptions: 400 }))).toContain('Shadow paging costs what native does, to the cycle');
  });

  it('says that direct paging has no large pages only where others have', () => {
    const of2m = (way: 'native' | 'direct' | 'nested', promotions: number) => cell(way, { walkLoads: 900 }, { pages: '2m', promotions });
    expect(why(native, cell('direct', { walkLoads: 9000 }))).not.toContain('large page');
    expect(why(of2m('native', 3), of2m('direct', 0))).toContain('Its guest has no large pages: Xen lets it map none.');
    expect(why(of2m('native', 3), of2m('nested', 3))).not.toContain('large page');
    expect(why(of2m('native', 0), of2m('direct', 0), of2m('nested', 0))).toContain('No guest had a large page: no region of 2M had enough pages in use for one.');
    expect(why(of2m('native', 0), of2m('direct', 0))).not.toContain('Xen');
  });
});

describe('where the ways cross', () => {
  it('is where the lines do, as theory expects', () => {
    const text = cross(line('native', 10, 400), line('direct', 10, 1000), line('nested', 20, 500));
    expect(text).toContain('The cheapest way to virtualize its memory is direct paging up to one update in 50 accesses, nested paging beyond.');
    expect(text).toContain('Direct paging is cheaper than nested paging up to one update in 50 accesses, and dearer beyond, as theory expects');
    expect(text).toMatch(/With the fewest updates an access costs 9\.9\d cycles more under nested paging: 10\.\d+ more for loads of walks \(100 %\), 0\.100 less for world switches \(100 %\)\. An update costs 1,000 cycles under direct paging, 500 under nested paging: it costs 500 cycles more under direct paging: 1,000 more for world switches \(100 %\), 500 less for exceptions and system calls \(100 %\)\./);
  });

  it('shares are of what they add up to, and sums of the difference', () => {
    const [direct, nested] = [line('direct', 10, 1000), line('nested', 20, 500)];
    const [, net, more, less] = /it costs ([\d,.]+) cycles more under direct paging: ([\d,.]+) more for .*?, ([\d,.]+) less for/.exec(cross(direct, nested))!.map((text) => Number(text.replaceAll(',', '')));
    expect(more! - less!).toBe(net);
    expect(cross(line('direct', 10, 1000), { ...nested, points: line('direct', 20, 500).points })).toContain('it costs 500 cycles more under direct paging, for world switches (100 %).');
  });

  it('or the other way round', () => {
    const text = cross(line('direct', 20, 500), line('nested', 10, 1000));
    expect(text).toContain('Nested paging is cheaper than direct paging up to one update in 50 accesses, and dearer beyond, although theory expects');
    expect(text).toContain('it costs 500 cycles more under nested paging: 1,000 more for exceptions and system calls (100 %), 500 less for world switches (100 %).');
    expect(text).toContain('memory is nested paging up to one update in 50 accesses, direct paging beyond.');
  });

  it('or nowhere, on either side', () => {
    expect(cross(line('direct', 20, 1000), line('nested', 10, 500))).toContain('Nested paging is cheaper than direct paging throughout, up to 1 update an access, although theory expects');
    expect(cross(line('direct', 10, 500), line('nested', 20, 1000))).toContain('Direct paging is cheaper than nested paging throughout, up to 1 update an access, although theory expects');
    expect(cross(line('direct', 10, 500), line('nested', 20, 1000))).toContain('Direct paging is the cheapest way to virtualize its memory at every rate from one update in 10,000 accesses to 1 update an access.');
  });

  it('has nothing to cross with one way, and does without causes between two that are not direct', () => {
    expect(cross(line('native', 10, 400), line('nested', 20, 500))).toContain('there is nothing to cross');
    expect(cross(line('shadow', 10, 1000), line('nested', 20, 500))).toContain('Shadow paging is cheaper than nested paging up to one update in 50 accesses, and dearer beyond.');
  });

  it('tells how batching moves it', () => {
    const [direct, nested] = [line('direct', 10, 1000), line('nested', 20, 500)];
    expect(cross(direct, line('direct', 10, 750, 'array'), line('direct', 10, 2500, 'ptwr'), nested))
      .toContain('Batching moves the crossing of direct paging with nested paging by a factor of 8: one update in 200 accesses with stores that are emulated (ptwr), one update in 50 accesses with multicalls and one update in 25 accesses with arrays of mmu_update.');
    expect(cross(direct, line('direct', 10, 400, 'array'), nested)).toContain('one update in 50 accesses with multicalls and cheaper throughout with arrays of mmu_update.');
    expect(cross(line('direct', 30, 1000), line('direct', 30, 700, 'array'), nested)).toContain('No batching makes direct paging cross nested paging: it is dearer throughout.');
    expect(cross(direct, nested)).not.toContain('atching');
  });

  it('works out what the program would need, where both ways cost it more than native', () => {
    const lines = [line('direct', 10, 1000), line('nested', 20, 500)];
    const text = (directTrap: number, walks: number) => findingsOf(group([
      native, cell('direct', { walkLoads: 600, exceptions: 400, hypervisorTrap: directTrap }), cell('nested', { walkLoads: 600 + walks, exceptions: 400 }),
    ], [sweep(lines)]))[2]!.points.at(-1);
    expect(text(500_000, 100_000)).toBe('The program that was run changed an entry in 2,000 accesses and missed the TLB once in 1,000. For each entry direct paging adds 1,000 cycles to native\'s, nested paging 0.100 for each access: the two would cost it the same at one update in 10,000 accesses; with all estimated prices of kernel and hypervisor at half and at double at one update in 5,000 to 20,000 accesses.');
    expect(text(500_000, -100)).toBe('The program that was run changed an entry in 2,000 accesses and missed the TLB once in 1,000.');
    expect(text(-300, 100)).toMatch(/once in 1,000\.$/);
  });

  it('names no more pages of a change than the working set has', () => {
    const first = (change: 'protect' | 'map') => findingsOf(group([native], [sweep([line('direct', 1, 1), line('nested', 2, 1)], { workload: { ...SWEEP_DEFAULTS, change, batch: 100, workingSet: 8 } })]))[2]!.points[0]!;
    expect(first('protect')).toContain('takes the right to store from 8 pages');
    expect(first('map')).toContain('maps 100 pages');
  });

  it.each([
    ['guard', 16, 'takes all rights from 16 pages and gives them back'], ['map', 1, 'maps a page, stores to it and unmaps it'], ['fork', 3, 'forks a child'],
  ] as const)('describes changes by %s of %i', (change, batch, words) => {
    const workload = { ...SWEEP_DEFAULTS, change, batch, pattern: 'stream' } as const;
    const text = findingsOf(group([native], [sweep([line('direct', 1, 1), line('nested', 2, 1)], { workload })]))[2]!.points[0]!;
    expect(text).toContain(`stores to 8,192 pages one after another and now and then ${words}`);
  });
});
