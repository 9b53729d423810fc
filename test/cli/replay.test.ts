import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { skylake } from '../../src/cost/presets/skylake.ts';
import type { ReplayResult } from '../../src/trace/replay-result.ts';
import { fixture, pagewalk, project } from './pagewalk.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, data: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
};
const LACKEY = 'I  0401ab70,3\n S 1fff000728,8\n L 1fff000728,8\n M 1fff000ffc,8\nI  0401ab73,5\n';
const json = (args: readonly string[], input?: string): ReplayResult => JSON.parse(pagewalk(['replay', ...args, '--json'], input).out);

describe('pagewalk replay', () => {
  it('replays the bundled trace on several processors and page sizes, as tables', () => {
    const { status, out, err } = pagewalk(['replay', fixture('compile/gcc.pwt.gz'), '--cpu', 'zen3,skylake', '--pages', '4k,2m']);
    expect(status).toBe(0);
    expect(err).toBe(''); // no progress bar where there is no terminal
    expect(out.match(/^(zen3|skylake) +(4k|2m)/gm)?.slice(0, 4).map(row => row.replace(/ +/, ' '))).toEqual(['zen3 4k', 'zen3 2m', 'skylake 4k', 'skylake 2m']);
    expect(out).toMatch(/million accesses a second/);
  });

  it('reads standard input, counts every translation, and explains itself in JSON', () => {
    const { trace, runs: [run] } = json(['-', '--cpu', 'zen3'], LACKEY);
    expect(trace).toMatchObject({ name: '-', format: 'lackey', accesses: 5, loads: 1, stores: 1, fetches: 2, modifies: 1, pages4k: 3 });
    expect(run.translations).toBe(8); // 5 accesses; the modify stores too, and crosses a page both times
    expect(run.walks).toBe(3 + 1); // three pages, one of them stored to before it is loaded from: D is set at once; the modify loads first, then stores
    expect(run.references).toBe(run.referenceHits.reduce((sum, r) => sum + r.count, 0));
    expect(run.cycles.total).toBe(run.cycles.tlb + run.cycles.walkStart + run.cycles.walkLoads + run.cycles.data);
  });

  it('prints CSV with a row a run, and writes a report', () => {
    const report = join(folder, 'report.html');
    const { status, out } = pagewalk(['replay', fixture('compile/gcc.pwt.gz'), '--pages', '4k,thp', '--csv', '--html', report, '--limit', '100000']);
    expect(status).toBe(0);
    expect(out.trim().split('\r\n')).toHaveLength(5);
    expect(readFileSync(report, 'utf8')).toMatch(/^<!doctype html>[^]*<svg[^]*<\/html>\s*$/i);
  });

  it('takes a processor from a file', () => {
    const path = file('mine.json', JSON.stringify({ ...skylake, name: 'mine' }));
    expect(json(['-', '--cpu', path], LACKEY).runs[0].cpu).toBe('mine');
  });

  it('prices the accesses only when asked', () => {
    expect(json(['-', '--cpu', 'zen3'], LACKEY).runs[0].cycles.data).toBe(0);
    expect(json(['-', '--cpu', 'zen3', '--data'], LACKEY).runs[0].cycles.data).toBeGreaterThan(0);
  });

  it('gives the same result on either engine', () => {
    const result = (engine: string) => {
      const { seconds: _, rate: __, ...same } = json([fixture('compile/gcc.pwt.gz'), '--cpu', 'zen3,skylake', '--pages', '4k,thp', '--data', '--nodes', '2', '--numa', 'interleave', '--engine', engine]);
      return same;
    };
    expect(result('wasm').trace.accesses).toBeGreaterThan(500_000);
    expect(result('wasm')).toEqual(result('ts'));
  });

  it('prices remote memory when pages are interleaved over nodes', () => {
    const cycles = (numa: string) => json([fixture('compile/gcc.pwt.gz'), '--cpu', 'zen3', '--data', '--nodes', '2', '--numa', numa, '--limit', '50000']).runs[0].cycles.data;
    expect(cycles('interleave')).toBeGreaterThan(cycles('first-touch'));
  });
});

const whole = gzipSync(LACKEY);
const hole = { ...skylake, name: 'holed', tlb: [{ ...skylake.tlb[0], structures: [{ ...skylake.tlb[0].structures[0], ways: undefined }] }] };

describe('bad input ends with status 2, one line that says why, and nothing half-written', () => {
  it.each<[string, readonly string[], RegExp]>([
    ['no file', ['replay'], /FILE: expected one trace or more/],
    ['an engine that there is not', ['replay', '-', '--engine', 'c'], /--engine: expected one of auto, wasm, ts, got "c"/],
    ['an engine that there is not', ['conformance', 'test/conformance/paging', '--engine', 'c'], /--engine: expected one of auto, wasm, ts, got "c"/],
    ['a missing file', ['replay', join(folder, 'none')], /none: open: expected a file/],
    ['a folder', ['replay', folder], /expected a file/],
    ['an empty file', ['replay', file('empty', '')], /at least one access/],
    ['a trace of 0 lines', ['replay', file('none.lackey', '==1== Lackey\n'), '--format', 'lackey'], /at least one access/],
    ['truncated gzip', ['replay', file('cut.gz', whole.subarray(0, whole.length - 9))], /cut\.gz: .*expected/],
    ['binary junk', ['replay', file('junk', Uint8Array.from({ length: 4096 }, (_, k) => (k * 167 + (k >> 3)) & 255))], /junk: .*expected/],
    ['a malformed line', ['replay', file('bad.lackey', `${LACKEY} X 12,3\n`)], /bad\.lackey: line 6: expected .* got/],
    ['an address that is not canonical', ['replay', file('wild.lackey', ' L 8000000000000000,8\n')], /access 1: expected a canonical address/],
    ['an unknown option', ['replay', '-', '--wat'], /--wat/],
    ['an unknown processor', ['replay', '-', '--cpu', 'i386'], /expected one of nehalem-e5520/],
    ['a processor twice', ['replay', '-', '--cpu', 'zen3,zen3'], /--cpu: expected each processor once/],
    ['an unknown page size', ['replay', '-', '--pages', '4k,8k'], /--pages: .* got "8k"/],
    ['nodes out of range', ['replay', '-', '--nodes', '9'], /--nodes: expected a whole number from 1 to 8, got "9"/],
    ['a limit of nothing', ['replay', '-', '--limit', '0'], /--limit/],
    ['a limit of words', ['replay', '-', '--limit', '1e3'], /--limit/],
    ['an unknown format', ['replay', '-', '--format', 'vcd'], /--format: expected one of lackey/],
    ['the wrong format', ['replay', fixture('compile/gcc.pwt.gz'), '--format', 'din'], /expected/],
    ['JSON and CSV at once', ['replay', '-', '--json', '--csv'], /--csv/],
    ['a preset with a hole', ['replay', '-', '--cpu', file('holed.json', JSON.stringify(hole))], /holed\.json\.tlb\[0\]\.structures\[0\]\.ways: expected/],
    ['a preset that is not JSON', ['replay', '-', '--cpu', file('text.json', '{\n  "name": x }')], /text\.json: line 2: expected JSON/],
    ['a preset that is not there', ['replay', '-', '--cpu', 'none.json'], /none\.json: file: expected a readable JSON file/],
    ['an unknown command', ['relpay'], /command: expected one of compare, crossover, replay/],
    ['conformance without a path', ['conformance'], /path: expected/],
    ['conversion to an unknown format', ['convert', fixture('compile/gcc.pwt.gz'), join(folder, 'x.vcd')], /target: expected a name ending in/],
  ])('%s', (_, args, message) => {
    const before = readdirSync(folder);
    const { status, out, err } = pagewalk(args, LACKEY);
    expect(err).toMatch(message);
    expect(err.trim().split('\n').length).toBe(1);
    expect(err).not.toMatch(/\n\s+at /);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(readdirSync(folder)).toEqual(before);
  });

  it('a report is not written when the trace is bad, and an older one stays', () => {
    const report = file('old.html', 'old');
    expect(pagewalk(['replay', file('late.lackey', `${LACKEY.repeat(50)}?\n`), '--html', report]).status).toBe(2);
    expect(readFileSync(report, 'utf8')).toBe('old');
    expect(pagewalk(['replay', '-', '--html', join(folder, 'no', 'where.html')], LACKEY)).toMatchObject({ status: 2, out: '' });
    expect(existsSync(join(folder, 'no'))).toBe(false);
  });

  it('--skip-bad counts malformed lines and goes on', () => {
    const { trace } = json(['-', '--skip-bad', '--cpu', 'zen3'], `${LACKEY}what\n${LACKEY}\u0007\u00ff\n`);
    expect(trace).toMatchObject({ accesses: 10, skipped: 2 });
  });
});

describe('pagewalk convert', () => {
  it('keeps every access: the result is the same', () => {
    const there = join(folder, 'there.lackey.gz');
    expect(pagewalk(['convert', fixture('compile/gcc.pwt.gz'), there, '--limit', '20000']).status).toBe(0);
    const a = json([there, '--cpu', 'zen3']), b = json([fixture('compile/gcc.pwt.gz'), '--cpu', 'zen3', '--limit', '20000']);
    expect(a.runs).toEqual(b.runs);
  });
});

describe('files that are no plain files', () => {
  it('writes through a link and a device, and to standard output', () => {
    const real = file('real.lackey', 'old'), link = join(folder, 'link.lackey');
    symlinkSync(real, link);
    expect(pagewalk(['convert', '-', link], LACKEY).status).toBe(0);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, 'utf8')).toBe(LACKEY);
    const { status, out } = pagewalk(['convert', '-', '-', '--to', 'lackey'], LACKEY);
    expect({ status, out }).toEqual({ status: 0, out: LACKEY });
    expect(pagewalk(['convert', '-', '/dev/null', '--to', 'din'], LACKEY).status).toBe(0);
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('an interrupted conversion leaves nothing behind', async () => {
    const target = join(folder, 'interrupted.pwt.gz');
    const child = spawn(process.execPath, [`${project}dist/cli/main.js`, 'convert', '-', target], { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.on('error', () => {});
    const ended = new Promise<number | null>(done => child.on('close', done));
    child.stdin.write(LACKEY.repeat(1000));
    while (!readdirSync(folder).some(name => name.startsWith('interrupted'))) await new Promise(go => setTimeout(go, 20));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(readdirSync(folder).filter(name => name.startsWith('interrupted'))).toEqual([]);
  });

  it('refuses pages that a processor does not have', () => {
    expect(pagewalk(['replay', '-', '--cpu', 'nehalem-e5520', '--pages', '1g'], LACKEY)).toMatchObject({ status: 2, err: expect.stringMatching(/pages: expected sizes that nehalem-e5520 has/) });
  });

  it('finds room for the tables of pages far apart', () => {
    const far = Array.from({ length: 9000 }, (_, k) => ` L ${(BigInt(k) * 0x3_9abc_d000n).toString(16)},8\n`).join('');
    const { runs: [run] } = json(['-', '--cpu', 'zen3'], far);
    expect(run.tableBytes).toBeGreaterThan(64 << 20);
  });
});
