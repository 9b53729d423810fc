import { describe, expect, it } from 'vitest';
import { replayTables, textTable } from '../../src/report/table.ts';
import { sampleResult } from './sample-result.ts';

describe('textTable', () => {
  it('aligns words left and numbers right, headings on the rule', () => {
    const text = textTable(
      [{ heading: 'cpu', align: 'left' }, { heading: 'misses\n%', align: 'right' }],
      [['zen3', '1.00'], ['skylake', '12.34']],
    );
    expect(text).toBe([
      '         misses',
      'cpu           %',
      '-------  ------',
      'zen3       1.00',
      'skylake   12.34',
      '',
    ].join('\n'));
  });

  it('leaves missing cells blank and no spaces at line ends', () => {
    const text = textTable([{ heading: 'a', align: 'left' }, { heading: 'b', align: 'left' }], [['x']]);
    expect(text).toBe('a  b\n-  -\nx\n');
  });
});

describe('replayTables', () => {
  it('gives every run a row, and every number its place under its heading', () => {
    const text = replayTables(sampleResult());
    const lines = text.split('\n');
    const first = lines.findIndex((line) => line.startsWith('skylake  4k'));
    expect(lines.slice(first, first + 4).map((line) => line.split(/ +/).slice(0, 2).join(' ')))
      .toEqual(['skylake 4k', 'skylake 2m', 'zen3 4k', 'zen3 2m']);
    const rule = lines[first - 1]!;
    const ends = [...rule.matchAll(/-+/g)].map((match) => match.index + match[0].length);
    for (const line of lines.slice(first, first + 4)) {
      for (const end of ends.slice(2)) expect(line.slice(end - 1, end + 2).trimEnd()).toMatch(/^[\d–]$/);
    }
    expect(text).toContain('10,000,000: 3,100,000 loads');
    expect(text).toContain('21,934 of 4 KiB touched, 85.7 MiB');
  });

  it('has the figures of each run', () => {
    const { runs, trace } = sampleResult({ data: true }), lines = replayTables({ runs, trace }).split('\n');
    const first = lines.findIndex((line) => line.startsWith('skylake  4k'));
    expect(runs.length).toBe(4);
    runs.forEach(({ cycles, tlb, translations, walks, references }, k) => {
      const cells = lines[first + k]!.split(/ +/), misses = tlb.map((one) => ((100 * (one.loadMisses + one.storeMisses + one.fetchMisses)) / translations).toFixed(2));
      expect(cells.slice(2, 4)).toEqual(misses);
      expect(Number(cells[4]!.replaceAll(',', ''))).toBe(walks);
      expect(cells[5]).toBe((references / walks).toFixed(2));
      expect(cells.slice(-2)).toEqual([cycles.tlb + cycles.walkStart + cycles.walkLoads, cycles.total].map((sum) => (sum / trace.accesses).toFixed(3)));
    });
  });

  it('fits 120 columns with large numbers, and only what the run has is printed', () => {
    const text = replayTables(sampleResult({ accesses: 1e10, pages: ['4k', 'thp', '2m', '1g'], data: true }));
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(text).toMatch(/zen3 +4k .*–/);
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('survives no walks, no misses, no runs', () => {
    const none = replayTables(sampleResult({ missing: 0, points: 1 }));
    expect(none).not.toMatch(/NaN|undefined|Infinity/);
    expect(none).toMatch(/skylake +4k +0 +0 +0 +– +– /);
    const trace = { ...sampleResult().trace, accesses: 0, workingSet: [] };
    expect(replayTables({ trace, runs: [] }))
      .toContain('Accesses  0');
  });

  it('sends no terminal escape of a hostile name on', () => {
    const text = replayTables(sampleResult({ name: 'a\u001b]0;x\u0007\nb', cpus: ['c\u001b[2J'] }));
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    expect(text.split('\n')[0]).toBe('Trace     a\ufffd]0;x\ufffd\ufffdb (pwt)');
  });
});
