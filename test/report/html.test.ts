import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { reportHtml } from '../../src/report/html.ts';
import { PAGE_SCRIPT, PAGE_SCRIPT_SHA256 } from '../../src/report/page-script.ts';
import { DARK, LIGHT, PAGE_STYLE, RAMP } from '../../src/report/page-style.ts';
import { headline } from '../../src/report/summary.ts';
import type { ReplayResult } from '../../src/trace/replay-result.ts';
import { readPage, within } from './page-check.ts';
import { keepsRules } from './page-rules.ts';
import { sampleResult } from './sample-result.ts';

const plain = sampleResult();
const CASES: readonly (readonly [string, ReplayResult])[] = [
  ['four runs', plain],
  ['one run', sampleResult({ cpus: ['zen3'], pages: ['4k'] })],
  ['sixteen runs of 10^10 accesses', sampleResult({
    cpus: ['a', 'b', 'c', 'd'], pages: ['4k', 'thp', '2m', '1g'], accesses: 1e10, data: true, regions: 60,
  })],
  ['one point', sampleResult({ points: 1 })],
  ['no series', { ...plain, runs: plain.runs.map((run) => ({ ...run, series: [] })) }],
  ['no misses, no walks', sampleResult({ missing: 0 })],
  ['no map, no working set', { ...plain, trace: { ...plain.trace, map: [], workingSet: [] } }],
  ['no runs', { ...plain, runs: [] }],
  ['an empty trace', {
    ...sampleResult({ missing: 0, points: 0 }),
    trace: { ...plain.trace, accesses: 0, loads: 0, stores: 0, fetches: 0, pages4k: 0, map: [], workingSet: [] },
  }],
  ['a hostile name', sampleResult({
    name: '"><script>alert(1)</script>&amp;\'\u202e', cpus: ['</script><svg onload=x>', '${x}`\\u003c'],
  })],
];

describe.each(CASES)('report of %s', (_, result) => {
  keepsRules(() => reportHtml(structuredClone(result)));
});

describe('page', () => {
  it('shows a hostile name as text', () => {
    const page = reportHtml(CASES.at(-1)![1]);
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#39;\ufffd');
    expect(page).not.toContain('<script>alert');
    expect(page).not.toContain('<svg onload');
  });

  it('has the figures of each run in its table, time by the clock of its processor', () => {
    const { runs, trace } = sampleResult({ data: true }), elements = readPage(reportHtml(sampleResult({ data: true })));
    const table = elements.find(({ tag, attributes }) => tag === 'div' && attributes['aria-label'] === 'Table: Runs')!;
    const cells = elements.filter((element) => element.tag === 'td' && within(element, (outer) => outer === table)).map(({ text }) => text);
    expect([runs.length, cells.length]).toEqual([4, 32]);
    runs.forEach(({ cycles, walks, references, clockGHz }, k) => {
      const cost = (cycles.tlb + cycles.walkStart + cycles.walkLoads) / trace.accesses, [count, ...rest] = cells.slice(8 * k + 3, 8 * k + 8);
      expect(Number(count!.replaceAll(',', ''))).toBe(walks);
      expect(rest).toEqual([(references / walks).toFixed(2), cost.toFixed(3), (cost / clockGHz).toFixed(3), (cycles.total / trace.accesses).toFixed(3)]);
    });
  });

  it('names the hash of its script in the content policy', () => {
    expect(PAGE_SCRIPT_SHA256).toBe(createHash('sha256').update(PAGE_SCRIPT).digest('base64'));
    expect(reportHtml(plain)).toContain(`script-src 'sha256-${PAGE_SCRIPT_SHA256}'`);
  });

  it('has balanced braces in its style and a language', () => {
    expect(PAGE_STYLE.split('{').length).toBe(PAGE_STYLE.split('}').length);
    expect(reportHtml(plain)).toContain('<html lang="en">');
  });

  it.each([
    [plain, 'skylake 2m spends 0.035 cycles per access on translation, the fewest; '
      + 'zen3 4k spends 0.410, 11.7 times as many.'],
    [sampleResult({ missing: 0 }), 'All 4 runs spend 0 cycles per access on translation.'],
    [sampleResult({ cpus: ['zen3'], pages: ['4k'] }),
      'zen3 4k spends 0.341 cycles per access on translation; 3.00 % of its translations miss the first TLB level.'],
    [{ ...plain, runs: [] }, 'Nothing was replayed.'],
  ])('says in words what the data says', (result, sentence) => {
    expect(headline(result)).toBe(sentence);
  });
});

describe.each([['light', LIGHT], ['dark', DARK]] as const)('%s colours', (_, theme) => {
  const paper = theme['paper']!;

  it.each(Object.keys(theme).filter((name) => /^(ink|soft|accent|focus|s\d|cause-\d|kind-\d|block)$/.test(name)))(
    '%s has the contrast of text', (name) => {
      expect(contrast(theme[name]!, paper)).toBeGreaterThanOrEqual(4.5);
    },
  );

  it('keeps axes and outlines at 3:1, and headings of tables readable', () => {
    expect(contrast(theme['strong']!, paper)).toBeGreaterThanOrEqual(3);
    expect(contrast(theme['soft']!, theme['card']!)).toBeGreaterThanOrEqual(4.5);
  });
});

it('text on the ramp is readable', () => {
  for (const [fill, text] of RAMP) expect(contrast(fill, text)).toBeGreaterThanOrEqual(4.5);
});

/** WCAG 2.2, "contrast ratio". */
function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
