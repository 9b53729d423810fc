/** Several traces, several threads: the same results, the same errors. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ReplayResult } from '../../src/trace/replay-result.ts';
import { fixture, pagewalk, project } from './pagewalk.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-jobs-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const walk = (pages: number, laps: number): string => Array.from({ length: pages * laps }, (_, k) => ` L ${((k % pages) * 0x5000 + 0x10000).toString(16)},8\n`).join('');
const few = file('few.lackey', walk(20, 400)), many = file('many.lackey', walk(3000, 20)), one = file('one.lackey', walk(1, 1));
const gcc = fixture('compile/gcc.pwt.gz');

/** What is printed, without what the clock decides. */
function timeless(args: readonly string[], input?: string): string {
  const { status, out, err } = pagewalk(['replay', ...args], input);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return out.replace(/^ *"(seconds|rate)": .*$/gm, '').replace(/ in [\d.]+ s: .*$/m, '');
}

describe('pagewalk replay --jobs', () => {
  it.each<[string, readonly string[]]>([
    ['three traces, the longest last', [one, few, many, '--json']],
    ['three traces as tables', [few, many, one]],
    ['three traces as CSV', [many, one, few, '--csv', '--pages', '4k,thp']],
    ['the runs of one trace', [gcc, '--json', '--pages', '4k,2m,thp', '--limit', '60000']],
    ['runs of two traces, unequally many', [few, gcc, '--json', '--cpu', 'zen3,skylake,nehalem-e5520', '--limit', '50000', '--data', '--nodes', '2', '--numa', 'interleave']],
    ['a single run', [many, '--json', '--cpu', 'zen2']],
  ])('%s: byte for byte what one thread gives, in the same order', (_, args) => {
    const alone = timeless(args);
    for (const jobs of ['2', '5']) expect(timeless([...args, '--jobs', jobs])).toBe(alone);
    expect(alone.length).toBeGreaterThan(500);
  });

  it('gives each trace what it gets alone', () => {
    const strip = ({ trace, runs }: ReplayResult) => ({ trace, runs });
    const results: ReplayResult[] = JSON.parse(pagewalk(['replay', few, many, '--json', '--jobs', '2']).out);
    expect(results.map(r => r.trace.name)).toEqual(['few.lackey', 'many.lackey']);
    [few, many].forEach((path, k) => {
      const alone: ReplayResult = JSON.parse(pagewalk(['replay', path, '--json']).out);
      expect(strip(results[k])).toEqual(strip(alone));
    });
  });

  it('reports progress over all traces and runs together', async () => {
    const { replayAll } = await import(`${project}dist/trace/replay-all.js`) as typeof import('../../src/trace/replay-all.ts');
    const { presets } = await import(`${project}dist/index.js`) as typeof import('../../src/index.ts');
    const tasks = [few, gcc].map(path => ({ file: path, open: {}, replay: { name: 'x', cpus: [presets.zen3, presets.skylake], pages: ['4k' as const] } }));
    const total = [few, gcc].reduce((sum, path) => sum + statSync(path).size, 0);
    for (const threads of [1, 4]) {
      const seen: { accesses: number; bytesRead: number; bytesTotal: number | undefined }[] = [];
      await replayAll(tasks, { threads, onProgress: p => { seen.push(p); } });
      expect(seen.length).toBeGreaterThan(2);
      expect(seen.every(p => p.bytesTotal === total)).toBe(true);
      expect(seen.every((p, k) => k === 0 || (p.bytesRead >= seen[k - 1].bytesRead && p.accesses >= seen[k - 1].accesses))).toBe(true);
      expect(seen.at(-1)!.bytesRead).toBeLessThanOrEqual(total);
      expect(seen.at(-1)!.accesses).toBeGreaterThanOrEqual(65_536);
      if (threads === 1) expect(seen.at(-1)).toMatchObject({ accesses: 8000 + 1_229_606, bytesRead: total });
    }
  });

  it('reads standard input and pipes, which cannot be read twice', () => {
    const text = walk(100, 30);
    const alone = timeless(['-', few, '--json'], text);
    expect(timeless(['-', few, '--json', '--jobs', '3'], text)).toBe(alone);
    expect(timeless(['-', '--json', '--pages', '4k,2m', '--jobs', '2'], text)).toBe(timeless(['-', '--json', '--pages', '4k,2m'], text));
    const piped = execFileSync('bash', ['-c', `node "${project}dist/cli/main.js" replay <(cat "${few}") --cpu zen3,zen2 --jobs 2 --csv`]).toString();
    const numbers = (csv: string) => csv.split('\r\n').map(row => row.split(',').slice(1));
    expect(numbers(piped.trim())).toEqual(numbers(timeless([few, '--cpu', 'zen3,zen2', '--csv']).trim()));
  });
});

const bad = file('bad.lackey', `${walk(50, 2000)} X 12,3\n`), worse = file('worse.lackey', `${walk(1, 1)}?\n`), wild = file('wild.lackey', ' L 8000000000000000,8\n');

describe('what goes wrong in a thread is told as by one', () => {
  it.each<[string, readonly string[], RegExp]>([
    ['a malformed line', [few, bad, many], /bad\.lackey: line 100001: expected/],
    ['the first of two bad traces, though the other fails sooner', [bad, worse], /bad\.lackey: line 100001: expected/],
    ['an address that is not canonical', [few, wild], /access 1: expected a canonical address/],
    ['pages that a processor does not have', [few, many, '--cpu', 'zen3,nehalem-e5520', '--pages', '4k,1g'], /pages: expected sizes that nehalem-e5520 has/],
    ['a missing file, before anything is replayed', [bad, join(folder, 'none')], /none: open: expected a file, got no such file/],
  ])('%s', (_, args, message) => {
    const alone = pagewalk(['replay', ...args]);
    expect(alone).toEqual({ status: 2, out: '', err: expect.stringMatching(message) });
    expect(alone.err.trim().split('\n')).toHaveLength(1);
    expect(pagewalk(['replay', ...args, '--jobs', '2'])).toEqual(alone);
  });

  it.each([['0'], ['-1'], ['two'], ['1.5'], ['1000000'], ['']])('refuses --jobs=%s', jobs => {
    const { status, err } = pagewalk(['replay', few, `--jobs=${jobs}`]);
    expect({ status, err }).toEqual({ status: 2, err: expect.stringMatching(/--jobs: expected a whole number from 1 to/) });
  });

  it('refuses standard input twice, and a report of several traces', () => {
    expect(pagewalk(['replay', '-', '-'])).toMatchObject({ status: 2, err: expect.stringMatching(/FILE: expected standard input once/) });
    expect(pagewalk(['replay', few, many, '--html', join(folder, 'x.html')])).toMatchObject({ status: 2, err: expect.stringMatching(/--html: expected one trace/) });
  });

  it('says which trace a thread died of, with a status of its own', () => {
    const far = file('far.lackey', Array.from({ length: 500_000 }, (_, k) => ` L ${(BigInt(k) * 0x1000n).toString(16)},8\n`).join(''));
    const args = [`${project}dist/cli/main.js`, 'replay', far, few, '--jobs', '2', '--cpu', 'zen3'];
    try {
      execFileSync(process.execPath, ['--max-old-space-size=24', ...args], { stdio: 'pipe' });
      expect.fail('there was memory enough');
    } catch (error) {
      expect(error).toMatchObject({ status: 3 });
      expect(String((error as { stderr: Buffer }).stderr)).toMatch(/^pagewalk: .*(far|few)\.lackey: a worker thread ended before its task did: .*memory/m);
    }
  });
});
