import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../../src/compare/outcome.ts';
import type { CellResult } from '../../src/compare/cell.ts';
import { cell } from '../report/sample-comparison.ts';

const [process] = cell('native', {}).processes;
const seen = (what: Partial<typeof process>): Partial<CellResult> => ({ processes: [{ ...process, ...what }] });

describe('processes that see', () => {
  it('the same have no differences', () => {
    expect(outcomeOf([cell('native', {}), cell('direct', { hypervisorTrap: 5 }), cell('nested', {}, { pages: '2m', cpu: 'skylake' })])).toEqual({ processes: 1, cells: 3, differences: [] });
  });

  it.each([[{ memory: 'x' }, 'memory of process sh (1): x; m native on zen3, 4k'], [{ faults: 'x' }, 'faults'], [{ refused: 3 }, 'refused'], [{ accesses: 9 }, 'accesses']])('%j otherwise are told of', (what, words) => {
    const { differences } = outcomeOf([cell('native', {}), cell('direct', {}), cell('nested', {}, seen(what))]);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatch(/^nested on zen3, 4k: /);
    expect(differences[0]).toContain(words);
  });

  it('other faults may do so where their pages are of another size, but not another memory', () => {
    const large = (way: 'native' | 'nested' | 'direct', what: Partial<typeof process>) => cell(way, {}, { pages: '2m', ...seen(what) });
    expect(outcomeOf([cell('native', {}), large('native', { faults: 'few' }), large('nested', { faults: 'few' }), large('direct', {})]).differences).toEqual([]);
    expect(outcomeOf([cell('native', {}), large('native', { faults: 'few' }), large('nested', {})]).differences).toHaveLength(1);
    expect(outcomeOf([cell('native', {}), large('direct', { faults: 'few' })]).differences).toHaveLength(1);
    expect(outcomeOf([cell('native', {}), large('native', { faults: 'few', memory: 'x' })]).differences).toHaveLength(1);
  });

  it('another number of processes, and complaints, are differences', () => {
    expect(outcomeOf([cell('native', {}), cell('nested', {}, { processes: [] })]).differences).toEqual(['nested on zen3, 4k: 0 processes, 1 native on zen3, 4k']);
    expect(outcomeOf([cell('native', {}), cell('direct', {}, { complaints: ['FT3 does not hold'] })]).differences).toEqual(['direct on zen3, 4k: FT3 does not hold']);
  });
});
