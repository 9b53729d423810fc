import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { lineText, parseLines, type SweepLine } from '../../src/sweep/line.ts';
import { mergeResults } from '../../src/sweep/merge.ts';
import { sampleResult } from '../report/sample-result.ts';

const { trace: { map: _map, ...trace }, runs: [{ series: _series, ...run }] } = sampleResult({ name: 'a "b",\u2028 ü' });
const lineOf = (cell: number, more: Partial<SweepLine> = {}): SweepLine => ({
  pagewalk: '1.0.0', plan: 'p', cell, of: 6, key: `key ${cell}`, trace: { ...trace, sha256: 'x' }, options: { data: false, nodes: 1, numa: 'first-touch' }, run, ...more,
});
const text = (...cells: number[]): string => cells.map(cell => lineText(lineOf(cell))).join('');
const merge = (...texts: string[]) => mergeResults(texts.map((of, k) => ({ name: `${k + 1}.jsonl`, text: of })), '1.0.0');

describe('lines', () => {
  it('read back as they were written, each on a line of its own', () => {
    const { lines, torn } = parseLines(text(3, 1), 'r.jsonl', '1.0.0');
    expect(torn).toBe(false);
    expect(lines.map(l => l.line)).toEqual([lineOf(3), lineOf(1)].map(line => expect.objectContaining(line)));
    expect(lines.map(l => [l.file, l.number, l.text])).toEqual([['r.jsonl', 1, text(3)], ['r.jsonl', 2, text(1)]]);
    expect(JSON.parse(text(3))).toMatchObject(lineOf(3));
  });

  it('a last line that was cut anywhere is passed over', () => {
    const whole = text(1), next = text(2);
    for (let cut = 1; cut < next.length; cut += cut < 40 || cut > next.length - 30 ? 1 : 37) {
      const { lines, torn } = parseLines(whole + next.slice(0, cut), 'r.jsonl', '1.0.0');
      expect([lines.length, torn]).toEqual([1, true]);
    }
  });

  it.each<[string, string, RegExp]>([
    ['other JSON', `${text(1)}{"a":1}\n`, /^r\.jsonl: line 2: expected a whole line of a sweep, got "{\\"a\\":1}"$/],
    ['text', 'hello\n', /line 1: expected a whole line of a sweep, got "hello"/],
    ['text without an end, which is nothing that was cut', `${text(1)}hello`, /line 2: expected a line of a sweep, got "hello"/],
    ['an empty line', `${text(1)}\n${text(2)}`, /line 2: expected a whole line of a sweep, got ""/],
    ['a line cut in the middle of the file', text(1) + text(2).slice(0, 300) + text(3), /line 2: expected a whole line/],
    ['a changed digit', text(1) + text(2).replace('"walks":', '"walks":1'), /line 2: expected a whole line/],
    ['another version', text(1) + lineText(lineOf(2, { pagewalk: '0.9.0' })), /line 2: expected a result of pagewalk 1\.0\.0, got one of 0\.9\.0/],
  ])('%s is refused with file and line', (_, content, message) => {
    expect(() => parseLines(content, 'r.jsonl', '1.0.0')).toThrow(InputError);
    expect(() => parseLines(content, 'r.jsonl', '1.0.0')).toThrow(message);
  });
});

describe('merge', () => {
  it('brings the lines of all files into the order of the plan, the same bytes', () => {
    const { lines, of, missing } = merge(text(5, 2), '', text(6, 1), text(4, 3));
    expect(lines.map(l => l.text).join('')).toBe(text(1, 2, 3, 4, 5, 6));
    expect({ of, missing }).toEqual({ of: 6, missing: [] });
  });

  it('takes the same result twice, and names what is missing', () => {
    const { lines, missing } = merge(text(5, 2), text(2, 3), text(4).slice(0, -1));
    expect(lines.map(l => l.line.cell)).toEqual([2, 3, 5]);
    expect(missing).toEqual([1, 4, 6]);
  });

  it.each<[string, string, string]>([
    ['two results for one cell', lineText(lineOf(2, { run: { ...run, walks: run.walks + 1 } })), '2.jsonl: line 2: expected what 1.jsonl line 2 has for cell 2, got another result'],
    ['another plan', lineText(lineOf(4, { plan: 'q' })), '2.jsonl: line 2: expected a cell of the plan of 1.jsonl line 1, got one of another plan'],
    ['a trace with other content', lineText(lineOf(4, { trace: { ...trace, sha256: 'y' } })), ' as in 1.jsonl line 1, got other content'],
    ['another version', lineText(lineOf(4, { pagewalk: '2.0.0' })), '2.jsonl: line 2: expected a result of pagewalk 1.0.0, got one of 2.0.0'],
  ])('refuses %s', (_, line, message) => {
    expect(() => merge(text(1, 2), text(3) + line)).toThrow(InputError);
    expect(() => merge(text(1, 2), text(3) + line)).toThrow(message);
  });

  it('refuses files without any', () => {
    expect(() => merge('', text(1).slice(0, 50))).toThrow('1.jsonl, 2.jsonl: end: expected at least one finished cell, got none');
  });
});
