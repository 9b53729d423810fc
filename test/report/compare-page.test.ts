import { describe, expect, it } from 'vitest';
import { SWEEP_DEFAULTS } from '../../src/compare/sweep.ts';
import { compareHtml, crossoverHtml } from '../../src/report/compare-page.ts';
import { readPage, within, type PageElement } from './page-check.ts';
import { keepsRules } from './page-rules.ts';
import { cell, comparison, group, line, sweep, usualGroup } from './sample-comparison.ts';

const HOSTILE = '"><script>alert(1)</script>&amp;\'\u202e';
const alone = [line('native', 20, 400), line('direct', 20, 1500), line('nested', 40, 420)];

describe.each<[string, () => string]>([
  ['a comparison', () => compareHtml(comparison([usualGroup()]))],
  ['two processors and page sizes', () => compareHtml(comparison([usualGroup(), { ...usualGroup(), pages: '2m' }, { ...usualGroup(), cpu: 'skylake' }]))],
  ['one way and no sweep', () => compareHtml(comparison([group([cell('nested', { walkLoads: 5 })])]))],
  ['no cycles, no misses, no faults', () => compareHtml(comparison([group([cell('native', {}, { misses: 0, references: { guest: 0, host: 0 }, faults: { ...cell('native', {}).faults, zeroPage: 0 } }), cell('direct', {}, { misses: 0, references: { guest: 0, host: 0 } })])]))],
  ['a hostile name', () => compareHtml(comparison([group([cell('native', { tlb: 1 }, { processes: [{ ...cell('native', {}).processes[0], name: HOSTILE }] })])], HOSTILE))],
  ['outcomes that differ', () => compareHtml(comparison([group([cell('native', { tlb: 1 }), cell('direct', { tlb: 3 }, { complaints: [HOSTILE] })])]))],
  ['sweeps', () => crossoverHtml([sweep(alone), sweep(alone, { workload: { ...SWEEP_DEFAULTS, change: 'map' } })])],
  ['sweeps of which some or all cost nothing', () => crossoverHtml([sweep([line('native', 0, 0), line('direct', 0, 1500), line('nested', 40, 420)]), sweep([line('native', 0, 0)])])],
  ['a sweep of two rates and one line', () => crossoverHtml([sweep([line('direct', 1, 9, undefined, [0.5, 1])])])],
])('the page of %s', (_, make) => keepsRules(make));

/** The numbers of a chart. */
interface Numbers {
  readonly xs: readonly string[];
  readonly rows: readonly { readonly name: string; readonly say: readonly string[] }[];
}

function numbersOf(elements: readonly PageElement[], id: string): Numbers {
  const figure = elements.find(({ tag, attributes }) => tag === 'figure' && attributes['id'] === id);
  expect(figure, id).toBeDefined();
  return JSON.parse(elements.find((element) => element.tag === 'script' && within(element, (outer) => outer === figure))!.text) as Numbers;
}

describe('charts of a comparison', () => {
  const elements = readPage(compareHtml(comparison([usualGroup()])));
  const rows = (id: string) => Object.fromEntries(numbersOf(elements, id).rows.map(({ name, say }) => [name, say]));

  it('have the cycles by cause', () => {
    expect(numbersOf(elements, 'causes-0').xs).toEqual(['loads of walks', 'exceptions and system calls', 'world switches', 'validation and emulation', 'shadow tables', 'all cycles']);
    expect(rows('causes-0')).toMatchObject({ native: ['3,000 (75.00 %)', '1,000 (25.00 %)', '0 (0 %)', '0 (0 %)', '0 (0 %)', '4,000'], shadow: [expect.anything(), expect.anything(), '20,000 (59.70 %)', '0 (0 %)', '9,000 (26.87 %)', '33,500'] });
  });

  it('have the references per TLB miss, of guest and host', () => {
    expect(rows('references-0')).toEqual({ native: ['2.000', '0', '2.000', '1,000'], direct: ['2.000', '0', '2.000', '1,000'], shadow: ['2.000', '0', '2.000', '1,000'], nested: ['2.000', '1.500', '3.500', '1,000'] });
  });

  it('have the faults by reason, the exits, the hypercalls by kind and by batch', () => {
    expect(numbersOf(elements, 'faults-0').xs).toHaveLength(9); // one reason of nine never happened; and all
    expect(rows('faults-0')['direct']!.at(-1)).toBe('360');
    expect(rows('exits-0')).toEqual({ 'direct: hypercall': ['234'], 'direct: page fault': ['77'], 'shadow: load of CR3': ['5'] });
    expect(rows('calls-direct-0')).toEqual({ mmu_update: ['300'], mmuext_op: ['20'] });
    expect(rows('call-cycles-direct-0')).toEqual({ mmuext_op: ['9,000'], mmu_update: ['4,000'] });
    expect(rows('batches-direct-0')).toEqual({ 1: ['200'], 2: ['0'], '3 to 4': ['0'], '5 to 8': ['30'], '9 to 16': ['0'], '17 to 32': ['4'] });
  });

  it('have the crossover: cost, cost beside native, and direct paging by how it batches', () => {
    const cost = numbersOf(elements, 'cost-0-0');
    expect([cost.xs[0], cost.xs.at(-1)]).toEqual(['0.00010', '1.0']);
    expect(rows('cost-0-0')).toMatchObject({ native: expect.arrayContaining(['420.000']), direct: expect.arrayContaining(['1,520.000']) });
    expect(rows('ratio-0-0')['direct']!.at(-1)).toBe('3.619');
    expect(Object.keys(rows('batching-0-1'))).toEqual(['direct ptwr', 'direct unbatched', 'direct multicall', 'direct array', 'shadow', 'nested']);
  });

  it('draw a line in the same colour in all charts', () => {
    const colours = new Map<string, Set<string>>();
    for (const { tag, attributes, parent } of elements) {
      if (tag !== 'polyline') continue;
      const figure = ((element: PageElement) => { let outer = element; while (outer.tag !== 'figure') outer = outer.parent!; return outer; })(parent!);
      const name = numbersOf(elements, figure.attributes['id']!).rows[Number(attributes['data-row'])]!.name.replace(' multicall', '');
      colours.set(name, (colours.get(name) ?? new Set()).add(parent!.attributes['class']!));
    }
    expect(colours.size).toBe(7);
    for (const [name, classes] of colours) expect(classes.size, name).toBe(1);
    expect(new Set([...colours.values()].map((classes) => [...classes][0])).size).toBe(7);
  });
});

it('the page says what the findings say, and where lines cross', () => {
  const page = compareHtml(comparison([usualGroup()]));
  expect(page).toContain('the cheapest way to virtualize memory is nested paging: 1.35 times');
  expect(page).toContain('direct paging up to one update in 54 accesses, nested paging beyond');
  expect(readPage(page).filter(({ tag }) => tag === 'td').map(({ text }) => text)).toContain('0.0185');
});

it('the page has the same table as the terminal', () => {
  const elements = readPage(compareHtml(comparison([usualGroup()]))), table = elements.find(({ tag, attributes }) => tag === 'div' && attributes['aria-label'] === 'Table: Cycles by cause')!;
  const cells = elements.filter((element) => element.tag === 'td' && within(element, (outer) => outer === table)).map(({ text }) => text);
  const rows = Array.from({ length: cells.length / 4 }, (_, k) => cells.slice(4 * k, 4 * k + 4));
  expect(rows.slice(-5)).toEqual([
    ['4,000', '20,000', '33,500', '5,400'], ['1.00', '5.00', '8.38', '1.35'], ['0.004', '0.020', '0.034', '0.005'], ['1,000', '1,000', '1,000', '1,000'], ['2.00', '2.00', '2.00', '3.50'],
  ]);
});

it.each([['a comparison', () => compareHtml(comparison([usualGroup()]))], ['sweeps', () => crossoverHtml([sweep(alone)])]])('the page of %s has the prices behind each group of causes by their standing', (_, make) => {
  const elements = readPage(make()), table = elements.find(({ tag, attributes }) => tag === 'div' && attributes['aria-label'] === 'Table: Prices behind the causes, by their standing')!;
  const texts = (what: string) => elements.filter((element) => element.tag === what && within(element, (outer) => outer === table)).map(({ text }) => text);
  expect(texts('span')).toEqual(['Vendor', 'Measured', 'Estimate in part', 'Estimate', 'L1', 'L2, memory', '–', '–', '–', '–', 'fault', 'trap, bounce']);
});
