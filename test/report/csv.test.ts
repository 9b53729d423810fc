import { describe, expect, it } from 'vitest';
import { csvText, replayCsv } from '../../src/report/csv.ts';
import { sampleResult } from './sample-result.ts';

/** Reads RFC 4180 the long way, a character at a time. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let [record, cell, quoted]: [string[], string, boolean] = [[], '', false];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === ',') { record.push(cell); cell = ''; }
    else if (c === '\r' && text[i + 1] === '\n') {
      records.push([...record, cell]);
      [record, cell] = [[], ''];
      i++;
    } else cell += c;
  }
  expect([quoted, cell, record]).toEqual([false, '', []]);
  return records;
}

describe('csv', () => {
  it('quotes what RFC 4180 wants quoted, and reads back', () => {
    const records = [['plain', 'a,b', 'say "hi"', 'two\r\nlines', '', '"'], ['1', '2', '3', '4', '5', '6']];
    expect(parseCsv(csvText(records))).toEqual(records);
    expect(csvText([['a', 1.5, NaN]])).toBe('a,1.5,\r\n');
  });

  it('has one flat row a run, equal columns, and numbers in full', () => {
    const result = sampleResult({ name: 'a "b", c.pwt', data: true });
    const [header, ...rows] = parseCsv(replayCsv([result]));
    expect(rows).toHaveLength(4);
    expect(new Set(header).size).toBe(header!.length);
    rows.forEach((row, i) => {
      expect(row).toHaveLength(header!.length);
      const at = (name: string) => row[header!.indexOf(name)];
      const run = result.runs[i]!;
      expect(at('trace')).toBe('a "b", c.pwt');
      expect(at('pages')).toBe(run.pages);
      expect(Number(at('walks'))).toBe(run.walks);
      expect(Number(at('l2_fetch_misses'))).toBe(run.tlb[1]!.fetchMisses);
      expect(Number(at('walks_of_2'))).toBe(run.walkDepth[2]);
      expect(Number(at('cycles_total'))).toBe(run.cycles.total);
      const { cycles: { tlb, walkStart, walkLoads, data, total } } = run, { accesses } = result.trace;
      expect(data).toBeGreaterThan(0);
      expect(['cycles_tlb', 'cycles_walk_start', 'cycles_walk_loads', 'cycles_data'].map((name) => Number(at(name)))).toEqual([tlb, walkStart, walkLoads, data]);
      expect(Number(at('translation_cycles_per_access'))).toBeCloseTo((tlb + walkStart + walkLoads) / accesses, 12);
      expect(Number(at('total_cycles_per_access'))).toBeCloseTo(total / accesses, 12);
      expect(['mapped_4k', 'mapped_2m', 'mapped_1g', 'table_bytes'].map((name) => Number(at(name)))).toEqual([...run.mapped, run.tableBytes]);
      expect(at('references_in_L3') === '').toBe(run.cpu === 'zen3');
    });
  });

  it('writes a header even without runs', () => {
    expect(parseCsv(replayCsv([{ ...sampleResult(), runs: [] }]))).toHaveLength(1);
  });
});
