/** The report in a real browser, where there is one: the script runs, keys move, nothing scrolls sideways. */

import { execFile } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { reportHtml } from '../../src/report/html.ts';
import { compareHtml } from '../../src/report/compare-page.ts';
import { comparison, usualGroup } from './sample-comparison.ts';
import { sampleResult } from './sample-result.ts';

const chromium = findChromium();

/** What the page inside says about itself, at one width. */
interface Finding {
  readonly width: number;
  readonly scrollWidth: number;
  /** Texts of the first chart of lines: at first, then after each key. */
  readonly readouts: readonly string[];
  readonly cursors: number;
  readonly stages: number;
  readonly focusable: number;
  readonly smallestText: number;
  readonly title: string;
  /** Texts of drawings that stick out of them. */
  readonly outside: readonly string[];
}

const WIDTHS = [360, 390, 700, 1200];

describe.skipIf(chromium === undefined)('report in chromium (skipped where none is installed)', () => {
  it.each([
    ['four runs', sampleResult({ data: true })],
    ['sixteen runs, 10^10 accesses', sampleResult({
      cpus: ['skylake', 'zen3', 'a-processor-with-a-very-long-name-indeed', 'd'], pages: ['4k', 'thp', '2m', '1g'],
      accesses: 1e10, regions: 60,
    })],
    ['a hostile name and no misses', sampleResult({
      name: `</title><script>parent.document.title='pwned'</script>${'x'.repeat(300)}`, missing: 0, points: 1,
    })],
  ])('%s', { timeout: 120_000 }, async (_, result) => {
    const { findings, log, dom } = await visit(reportHtml(result), 'misses-l1');
    expect(dom).not.toContain('pwned</title>');
    looksRight(findings, log);
    for (const found of findings) {
      const { l1Misses, at } = result.runs[0]!.series[0]!;
      if (result.runs[0]!.series.length === 1) {
        expect(found.readouts[0])
          .toBe(`${result.runs[0]!.cpu} 4k, accesses 1 to ${at.toLocaleString('en')}: ${l1Misses}`);
      } else {
        const [start, right, down] = found.readouts;
        expect(start).toMatch(/^skylake 4k, accesses 1 to [\d,]+: [\d.,]+$/);
        expect(right).toMatch(/^skylake 4k, accesses [\d,]+1 to [\d,]+: [\d.,]+$/);
        expect(down).toMatch(/^skylake (2m|thp), accesses [\d,]+1 to [\d,]+: [\d.,]+$/);
      }
    }
  });
});

it.skipIf(chromium === undefined)('comparisons in chromium', { timeout: 120_000 }, async () => {
  const usual = usualGroup();
  const page = compareHtml(comparison([usual, { ...usual, pages: '2m', cpu: 'a-processor-with-a-very-long-name-indeed' }]));
  const { findings, log } = await visit(page, 'cost-0-0');
  looksRight(findings, log);
  for (const { readouts } of findings) {
    expect(readouts).toEqual(['native, updates per access 0.00010: 20.040', 'native, updates per access 0.00032: 20.128', 'direct, updates per access 0.00032: 20.480']);
  }
});

function looksRight(findings: readonly Finding[], log: readonly string[]): void {
  expect(log.filter((line) => /CONSOLE/.test(line))).toEqual([]);
  expect(findings.map(({ width }) => width)).toEqual(WIDTHS);
  for (const found of findings) {
    expect(found.scrollWidth, `scrolls sideways at ${found.width}`).toBeLessThanOrEqual(found.width);
    expect(found.focusable).toBe(found.stages);
    expect(found.stages).toBeGreaterThanOrEqual(5);
    expect(found.cursors).toBe(2); // a ring and its halo
    expect(found.smallestText).toBeGreaterThanOrEqual(8);
    expect(found.outside).toEqual([]);
    expect(found.title).toContain('pagewalk report');
  }
}

/** Opens the page in frames of all widths at once and asks each. @param chart - of lines, whose numbers are read */
async function visit(page: string, chart: string): Promise<{ findings: readonly Finding[]; log: readonly string[]; dom: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'pagewalk-report-'));
  try {
    const file = join(folder, 'frames.html');
    writeFileSync(file, frames(page, chart));
    const { stdout, stderr } = await promisify(execFile)(chromium!, [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
      '--disable-background-networking', '--disable-component-update', `--user-data-dir=${join(folder, 'profile')}`,
      '--enable-logging=stderr', '--window-size=1400,900', '--dump-dom', `file://${file}`,
    ], { timeout: 90_000, maxBuffer: 1 << 28 });
    const json = /<pre id="found">([^<]*)<\/pre>/.exec(stdout)?.[1] ?? '';
    const plain = json.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
    const findings = JSON.parse(plain) as Finding[];
    return { findings, log: stderr.split('\n'), dom: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function frames(page: string, chart: string): string {
  const escaped = page.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return `<!DOCTYPE html><title>frames</title><body>
${WIDTHS.map((width) => `<iframe style="border:0;width:${width}px;height:50em" srcdoc="${escaped}"></iframe>`).join('')}
<pre id="found"></pre><script>
const ask = (frame) => {
  const { contentDocument: page, contentWindow: window } = frame;
  const stage = page.querySelector('#${chart} .stage');
  const readout = page.querySelector('#${chart} .readout');
  const press = (key) => {
    stage.dispatchEvent(new window.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    return readout.textContent;
  };
  const texts = [...page.querySelectorAll('.stage svg text')].filter((text) => text.getClientRects().length > 0);
  return {
    width: frame.clientWidth, scrollWidth: page.documentElement.scrollWidth,
    readouts: [press('Home'), press('ArrowRight'), press('ArrowDown')],
    cursors: stage.querySelectorAll('.halo,.cursor').length,
    stages: page.querySelectorAll('.stage').length, focusable: page.querySelectorAll('.stage[tabindex="0"]').length,
    smallestText: Math.min(...texts.map((text) => parseFloat(window.getComputedStyle(text).fontSize)
      * text.getScreenCTM().a)),
    outside: texts.filter((text) => {
      const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
      return inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    }).map((text) => text.textContent),
    title: page.title,
  };
};
onload = () => {
  document.getElementById('found').textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(ask));
};
</script></body>`;
}

/** A binary in PATH, or what CHROMIUM names. */
function findChromium(): string | undefined {
  const named = process.env['CHROMIUM'];
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const places = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [...(named === undefined ? [] : [named]), ...places].find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
