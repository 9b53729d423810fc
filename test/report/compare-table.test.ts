import { describe, expect, it } from 'vitest';
import { comparisonCsv, sweepsCsv } from '../../src/report/compare-csv.ts';
import { compareTables, crossoverTables, outcomeText } from '../../src/report/compare-table.ts';
import { cell, comparison, group, line, sweep, usualGroup } from './sample-comparison.ts';

describe('tables of a comparison', () => {
  const text = compareTables(comparison([usualGroup()])), rows = text.split('\n').map((row) => row.trim().split(/ {2,}/));

  it('have a column for each way: cycles by cause, and the ratio to native', () => {
    expect(rows).toContainEqual(['zen3, 4k pages: cycles', 'native', 'direct', 'shadow', 'nested']);
    expect(rows).toContainEqual(['world switches', '0', '12,000', '20,000', '0']);
    expect(rows).toContainEqual(['times native', '1.000', '5.000', '8.375', '1.350']);
    expect(rows).toContainEqual(['all cycles', '4,000', '20,000', '33,500', '5,400']);
    expect(rows).toContainEqual(['cycles per access', '0.004', '0.020', '0.034', '0.005']);
    expect(rows).toContainEqual(['TLB misses', '1,000', '1,000', '1,000', '1,000']);
    expect(rows).toContainEqual(['faults of the guest', '360', '360', '360', '360']);
    expect(rows).toContainEqual(['references per miss', '2.00', '2.00', '2.00', '3.50']);
    expect(rows).toContainEqual(['exits to the hypervisor', '0', '311', '5', '0']);
    expect(rows.some(([name]) => name === 'CR3 and INVLPG')).toBe(false);
  });

  it('have the hypercalls by kind and batch, the sweeps, the findings and the outcome', () => {
    expect(rows).toContainEqual(['mmu_update', '300', '4,000']);
    expect(text).toContain('By the number of calls in them: 200 of 1, 30 of 7, 4 of 32.');
    expect(rows).toContainEqual(['1.0', '420.0', '1,520.0', '1,500.0', '1,620.0', '3,620.0', '3,520.5', '460.0']);
    expect(rows).toContainEqual(['crosses nested at', '0.0185', '0.0189', '0.0169', '0.00629']);
    for (const title of ['What it costs', 'Why', 'Where the ways cross']) expect(text).toContain(`\n${title}\n- `);
    expect(text.trimEnd().endsWith('Outcome   the same in all 4 cells: accesses, faults and memory of 1 process')).toBe(true);
  });

  it('have the standing of the prices behind each group of causes, and sweeps alone too', () => {
    const prices = 'Prices: loads of walks: vendor, measured; world switches: estimate in part, estimate.';
    expect(text).toContain(prices);
    expect(crossoverTables([sweep([line('native', 20, 400)])])).toContain(prices);
  });

  it('are no wider than a terminal, but for tables', () => {
    for (const row of text.split('\n').filter((one) => /^(- | {2}\S)/.test(one))) expect(row.length).toBeLessThanOrEqual(110);
  });
});

it('outcomes that differ are listed', () => {
  const cells = [cell('native', { tlb: 1 }), cell('direct', { tlb: 1 }, { complaints: ['a frame\u001b[2J too many'] })];
  expect(outcomeText(comparison([group(cells)]).outcome)).toBe('What processes saw differs:\ndirect on zen3, 4k: a frame\ufffd[2J too many\n');
});

it('sweeps alone have a table and sentences', () => {
  const text = crossoverTables([sweep([line('native', 20, 400), line('direct', 20, 1500), line('nested', 40, 420)])]);
  expect(text).toContain('crosses nested at');
  expect(text).toContain('one update in 54');
  expect(crossoverTables([sweep([line('nested', 40, 420)])])).not.toContain('crosses');
});

it('CSV has a row for each cell, and for each point, all with the same columns', () => {
  const cells = comparisonCsv(comparison([usualGroup()])).trim().split('\r\n').map((row) => row.split(','));
  expect(cells).toHaveLength(5);
  expect(new Set(cells.map((row) => row.length)).size).toBe(1);
  expect(Object.fromEntries(cells[0]!.map((name, k) => [name, cells[2]![k]]))).toMatchObject({ way: 'direct', cycles_hypervisor_trap: '12000', cycles_total: '20000', references_guest: '2000', faults_zero_page: '10', exits: '311' });
  expect(Object.fromEntries(cells[0]!.map((name, k) => [name, cells[4]![k]]))).toMatchObject({
    program: 'compile', cpu: 'zen3', pages: '4k', way: 'nested', accesses: '1000000', tlb_misses: '1000', references_guest: '2000', references_host: '1500', entries_changed: '500', exits: '0',
  });
  const points = sweepsCsv([sweep([line('native', 20, 400), line('direct', 20, 1500, 'array')])]).trim().split('\r\n');
  expect(points).toHaveLength(1 + 2 * 9);
  expect(points.at(-1)).toMatch(/^zen3,4k,chase,protect,8192,16,direct array,1,1520,/);
});
