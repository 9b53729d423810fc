import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { chase } from '../../src/cli/chase.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { parseChaseCsv } from '../../src/trace/chase-csv.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-chase-'));
afterAll(() => rmSync(folder, { recursive: true }));

function run(...argv: string[]): string {
  const lines: string[] = [];
  expect(chase(argv, line => lines.push(line))).toBe(0);
  return lines.join('\n');
}

const HEADER = 'page_size,pages,ns_median,ns_min,cycles_est';

describe('parseChaseCsv', () => {
  it('reads rows in order, columns in any order, with a byte order mark and CRLF', () => {
    expect(parseChaseCsv(`${HEADER}\n4K,8,1.316,1.252,4.3\n\n2M,12,2,1,7\n`, 'a.csv')).toEqual([
      { kind: '4K', pages: 8, nsMedian: 1.316, nsMin: 1.252, cycles: 4.3 },
      { kind: '2M', pages: 12, nsMedian: 2, nsMin: 1, cycles: 7 },
    ]);
    expect(parseChaseCsv('\ufeffpages,page_size,cycles_est,ns_min,ns_median\r\n8,4K,4.3,1.2,1.3\r\n', 'a.csv')).toEqual([
      { kind: '4K', pages: 8, nsMedian: 1.3, nsMin: 1.2, cycles: 4.3 },
    ]);
  });

  it.each([
    ['', 'line 1', 'columns'],
    ['page_size,pages\n4K,8', 'line 1', 'columns'],
    [HEADER, 'line 2', 'at least one row'],
    [`${HEADER}\n4K,8,1,1`, 'line 2', '5 values'],
    [`${HEADER}\n4K,8,1,1,4\n\n8K,8,1,1,4`, 'line 4', 'page_size'],
    [`${HEADER}\n4K,8.5,1,1,4`, 'line 2', 'pages as an integer'],
    [`${HEADER}\n4K,1048577,1,1,4`, 'line 2', 'pages as an integer'],
    [`${HEADER}\n4K,8,1,1,-4`, 'line 2', 'cycles_est'],
    [`${HEADER}\n4K,8,NaN,1,4`, 'line 2', 'ns_median'],
    [`${HEADER}\n4K,8,1,1e3,4`, 'line 2', 'ns_min'],
    [`${HEADER}\n4K,8,1,1,0`, 'line 2', 'cycles_est'],
  ])('refuses %j at %s', (text, where, expected) => {
    const parse = () => parseChaseCsv(text, 'bad.csv');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(`bad.csv: ${where}: expected`);
    expect(parse).toThrow(expected);
  });
});

describe('pagewalk chase', () => {
  it('prints measured beside modelled, the error, the knees and what was fitted', () => {
    const text = run('--kinds', '4K-stride-in-2M', '--pages', '91,100,2335');
    expect(text).toContain('zen3-chase.csv');
    expect(text).toMatch(/^4K-stride-in-2M +91 +11\.4 +11\.0 +-3\.5 % +1\.000 +0\.000$/m);
    expect(text).toMatch(/^4K-stride-in-2M +100 +- +11\.0 +- /m);
    expect(text).toMatch(/^4K-stride-in-2M +3 +\d\.\d % +65 pages +2049 pages$/m);
    expect(text).toMatch(/^ {2}zen3\.caches\.memoryCycles = 470: fitted to /m);
    expect(text).toMatch(/^ {2}host\.lastCachePercent = 9: fitted to /m);
    expect(Math.max(...text.split('\n').slice(4, -5).map(line => line.length))).toBeLessThanOrEqual(120);
  });

  it('prints other presets bare, without measured columns', () => {
    const text = run('--cpu', 'skylake', '--kinds', '4K', '--pages', '8,1537');
    expect(text).toContain('without a hypervisor');
    expect(text).not.toContain('measured');
    expect(text).toMatch(/^4K +8 +4\.0 +0\.000 +0\.000$/m);
    expect(text).toMatch(/^4K +2 +65 pages +1537 pages$/m);
    expect(text).toContain('fitted numbers: none');
  });

  it('compares with another recording, bare if asked', () => {
    const file = join(folder, 'mine.csv');
    writeFileSync(file, `${HEADER}\n2M,8,1,1,5\n`);
    const text = run('--csv', file, '--bare');
    expect(text).toContain(`measured: ${file}`);
    expect(text).toContain('without a hypervisor');
    expect(text).toMatch(/^2M +8 +5\.0 +4\.0 +-20\.0 %/m);
    expect(text).toMatch(/^2M +1 +20\.0 % +65 pages +2049 pages$/m);
  });

  it('takes a kind, or a number of pages, that is named twice once', () => {
    const { sizes, kinds } = JSON.parse(run('--json', '--kinds', '4K,4K', '--pages', '8,9,8'));
    expect(sizes.map(({ pages }: { pages: number }) => pages)).toEqual([8, 9]);
    expect(kinds).toMatchObject([{ kind: '4K', sizes: 2 }]);
  });

  it('prints one JSON object', () => {
    const out = JSON.parse(run('--json', '--kinds', '64B-dense', '--pages', '692'));
    expect(out).toMatchObject({
      cpu: 'zen3',
      sizes: [{ kind: '64B-dense', pages: 692, measured: 12.6, modelled: { cyclesPerAccess: 13 } }],
      kinds: [{ kind: '64B-dense', sizes: 1, firstMiss: [] }],
    });
    expect(out.fitted.map((f: { field: string }) => f.field)).toContain('host.entryCycles');
  });

  it.each([
    [['--cpu', 'z80'], 'cpu'],
    [['--kinds', '4K,8K'], '--kinds'],
    [['--pages', '8,'], '--pages'],
    [['--pages', '0'], '--pages'],
    [['--csv', '/nonexistent/a.csv'], '--csv'],
  ])('refuses %j', (argv, field) => {
    expect(() => run(...argv)).toThrow(ConfigError);
    expect(() => run(...argv)).toThrow(`${field}: expected`);
  });

  it('names file and line of a bad recording', () => {
    const file = join(folder, 'bad.csv');
    writeFileSync(file, `${HEADER}\n4K,8,1,1,4\n4K,x,1,1,4\n`);
    expect(() => run('--csv', file)).toThrow(InputError);
    expect(() => run('--csv', file)).toThrow(`${file}: line 3: expected`);
  });
});
