/** `pagewalk compare` and `pagewalk crossover`, the way a user runs them. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Comparison } from '../../src/compare/comparison.ts';
import type { Sweep } from '../../src/compare/sweep.ts';
import { fixture, pagewalk } from './pagewalk.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-compare-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder with the given files. */
function files(name: string, contents: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(folder, `${name}-`));
  for (const [file, text] of Object.entries(contents)) writeFileSync(join(dir, file), text);
  return dir;
}

const store = (page: number): string => ` S ${(page * 4096).toString(16).padStart(8, '0')},8\n`;
const heap = Array.from({ length: 40 }, (_, k) => store(0x4032 + k)).join('');
const parent = `${store(0x1fff000)}${store(0x4031)}SYSCALL[1,1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4032000) \nSYSCALL[1,1](12) sys_brk ( 0x405a000 ) --> [pre-success] Success(0x405a000) \n${heap}\
SYSCALL[1,1](58) sys_fork ( )   fork: process 1 created child 2\n --> [pre-success] Success(0x2) \n${heap}SYSCALL[1,1](61) sys_wait4 ( 2, 0x0, 0, 0x0 ) --> [async] ... \n${heap}`;
const child = `${store(0x1fff000)}${store(0x4031)}SYSCALL[2,1](231) exit_group( 0 ) --> [pre-success] Success(0x0) \n`;
const tree = files('tree', { 'a.lackey': parent, 'b.lackey': child });
const lone = join(tree, 'a.lackey');

const json = (args: readonly string[]): Comparison & { findings: { findings: { title: string; points: string[] }[] }[] } => {
  const { status, out, err } = pagewalk(['compare', ...args, '--json']);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out);
};
const FAST = ['--memory', '16M', '--no-sweep'];
const SHORT = ['--memory', '16M', '--working-set', '64', '--accesses', '500', '--rates', '0.01,0.1,1'];

describe('pagewalk compare', () => {
  it('runs every way, processor and page size, and processes see the same in all', () => {
    const { groups, outcome, processes, accesses } = json([tree, ...FAST, '--cpu', 'nehalem-e5520,zen3', '--pages', '4k,2m']);
    expect(groups.map(({ cpu, pages }) => `${cpu} ${pages}`)).toEqual(['nehalem-e5520 4k', 'nehalem-e5520 2m', 'zen3 4k', 'zen3 2m']);
    for (const { cells } of groups) expect(cells.map(({ way }) => way)).toEqual(['native', 'direct', 'shadow', 'nested']);
    expect([outcome, processes, accesses]).toEqual([{ processes: 2, cells: 16, differences: [] }, ['b', 'a'], 124]);
    const [native, direct, shadow, nested] = groups[0].cells;
    expect([native.hypervisor, nested.hypervisor!.exits.map(({ count }) => count)]).toEqual([undefined, [0, 0, 0]]);
    expect(direct.hypervisor!.exits.map(({ count }) => count).every(count => count > 0)).toBe(true);
    expect(direct.hypervisor!.exits.find(({ name }) => name === 'page fault')!.count).toBe(Object.values(direct.faults).reduce((a, b) => a + b));
    expect(shadow.hypervisor!.exits.find(({ name }) => name === 'guest\'s page fault')!.count).toBe(Object.values(shadow.faults).reduce((a, b) => a + b));
    expect(nested.references.host).toBeGreaterThan(0);
    expect(native.references.host).toBe(0);
    for (const { cells } of groups) for (const { cycles, total } of cells) expect(Object.values(cycles).reduce((a, b) => a + b)).toBe(total);
  });

  it('prints tables and findings, and nothing on standard error where there is no terminal', () => {
    const { status, out, err } = pagewalk(['compare', tree, ...FAST]);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^zen3, 4k pages: cycles +native +direct +shadow +nested$/m);
    expect(out).toMatch(/^times native +1\.000 /m);
    expect(out).toContain('What it costs\n- On zen3 with 4k pages the cheapest way to virtualize memory is ');
    expect(out).toContain('Outcome   the same in all 4 cells: accesses, faults and memory of 2 processes');
  });

  it('gives the same by either engine and any number of threads', () => {
    const one = json([tree, ...FAST, '--pages', '4k,2m']);
    for (const more of [['--engine', 'ts'], ['--jobs', '3']]) expect(json([tree, ...FAST, '--pages', '4k,2m', ...more])).toEqual(one);
  });

  it('takes one trace as one process, whose children are not run', () => {
    const { processes, accesses, groups: [{ cells }] } = json([lone, ...FAST, '--ways', 'native,direct']);
    expect([processes, accesses, cells.length]).toEqual([['a'], 122, 2]);
    expect(cells[0].faults.copy + cells[0].faults.reuse).toBe(40); // the fork has shared the heap
  });

  it('has CSV, and a report with sweeps', () => {
    const html = join(folder, 'r.html');
    const { status, out } = pagewalk(['compare', tree, '--memory', '64M', '--ways', 'native,nested', '--csv', '--html', html]);
    expect([status, out.trim().split('\r\n').length]).toEqual([0, 3]);
    expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>[^]*Where the ways cross[^]*<\/html>\s*$/i);
  });

  it('without a path compares the compilation that comes with it, as the folder', { timeout: 120_000 }, () => {
    const bundled = json(['--no-sweep', '--ways', 'native,nested']);
    expect(bundled.processes).toEqual(['cc1', 'as', 'gcc', 'sh']);
    expect(bundled).toEqual(json([fixture('compile'), '--no-sweep', '--ways', 'native,nested']));
  });
});

describe('pagewalk crossover', () => {
  it('prints the lines of each change, and says where they cross', () => {
    const { status, out, err } = pagewalk(['crossover', ...SHORT, '--change', 'protect,map', '--cpu', 'skylake']);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out.match(/^skylake, 4k, (protect|map):/gm)).toHaveLength(2);
    expect(out.match(/^- A process loads from 64 pages/gm)).toHaveLength(2);
  });

  it('gives the same as JSON by any number of threads, and as CSV', () => {
    const [one, three] = ['1', '3'].map(jobs => pagewalk(['crossover', ...SHORT, '--json', '--jobs', jobs]).out), sweeps = JSON.parse(one) as (Sweep & { findings: string[] })[];
    expect(three).toBe(one);
    expect(sweeps[0].lines.map(({ points }) => points.length)).toEqual([3, 3, 3, 3, 3, 3, 3]);
    expect(sweeps[0].findings[0]).toMatch(/cheapest way to virtualize its memory/);
    expect(pagewalk(['crossover', ...SHORT, '--csv']).out.trim().split('\r\n')).toHaveLength(1 + 7 * 3);
  });

  it('writes a report', () => {
    const html = join(folder, 'c.html');
    expect(pagewalk(['crossover', ...SHORT, '--html', html]).out).toContain(`Report: ${html}`);
    expect(readFileSync(html, 'utf8')).toContain('Where the ways cross');
  });
});

describe('bad input ends with status 2, one line that says why, and nothing half-written', () => {
  const missing = files('missing', { 'sh.lackey': parent }), cut = files('cut', {});
  copyFileSync(fixture('compile/as.pwt.gz'), join(cut, 'as.pwt.gz'));
  writeFileSync(join(cut, 'as.pwt.gz'), readFileSync(join(cut, 'as.pwt.gz')).subarray(0, 200_000));

  it.each<[string, readonly string[], RegExp]>([
    ['a folder that is not there', ['compare', join(folder, 'none')], /none: open: expected a file/],
    ['a folder without traces', ['compare', files('empty', { 'x.txt': '' })], /dir: expected a folder with traces/],
    ['a missing child', ['compare', missing], /sh\.lackey: line 45: expected a trace of process 2, which is forked here, got none in its folder/],
    ['a trace cut short', ['compare', cut], /as\.pwt\.gz: .*expected/],
    ['a malformed line', ['compare', files('bad', { 'a.lackey': `${parent} X 1,2\n`, 'b.lackey': child })], /a\.lackey: line \d+: expected/],
    ['two folders', ['compare', tree, missing], /DIR\|FILE: expected one folder or trace/],
    ['a way that there is not', ['compare', tree, '--ways', 'native,hvm'], /--ways: expected one or more of native, direct, shadow, nested, got "hvm"/],
    ['a page size that there is not', ['compare', tree, '--pages', '1g'], /--pages: expected one or more of 4k, 2m, got "1g"/],
    ['an unknown processor', ['compare', tree, '--cpu', 'i386'], /expected one of nehalem-e5520/],
    ['memory of words', ['compare', tree, '--memory', 'much'], /--memory: expected a size, as 256M, got "much"/],
    ['too little memory', ['compare', tree, '--memory', '1M'], /memory: expected/],
    ['memory that a program does not fit in', ['compare', fixture('compile'), '--memory', '8M', '--ways', 'native'], /memory: expected/],
    ['no threads', ['compare', tree, '--jobs', '0'], /--jobs/],
    ['an engine that there is not', ['compare', tree, '--engine', 'c'], /--engine/],
    ['JSON and CSV at once', ['compare', tree, '--json', '--csv'], /--csv/],
    ['an unknown option', ['compare', tree, '--way', 'native'], /--way/],
    ['a report in no folder', ['compare', tree, ...FAST, '--html', join(folder, 'no', 'r.html')], /--html: expected a file that can be written/],
    ['a report in no folder and no traces', ['compare', join(folder, 'none'), '--html', join(folder, 'no', 'r.html')], /--html: expected a file that can be written, got ".*ENOENT/],
    ['a report that is a folder, of a program too large', ['compare', fixture('compile'), '--memory', '8M', '--html', tree], /--html: expected a file that can be written, got ".*EISDIR/],
    ['a report in no folder, of a working set too large', ['crossover', '--working-set', '100000', '--ways', 'native', '--html', join(folder, 'no', 'c.html')], /--html: expected a file that can be written/],
    ['a report that is a trace\'s folder', ['crossover', '--working-set', '100000', '--ways', 'native', '--html', join(lone, 'c.html')], /--html: expected a file that can be written, got ".*ENOTDIR/],
    ['a report in no folder, of a bad trace', ['replay', join(cut, 'as.pwt.gz'), '--html', join(folder, 'no', 'r.html')], /--html: expected a file that can be written/],
    ['a file for crossover', ['crossover', tree], /positional|argument/i],
    ['a change that there is not', ['crossover', '--change', 'swap'], /--change: expected one or more of protect, guard, map, fork, got "swap"/],
    ['a pattern that there is not', ['crossover', '--pattern', 'walk'], /--pattern/],
    ['rates that fall', ['crossover', '--rates', '1,0.1'], /--rates: expected two or more rising numbers/],
    ['a rate that would take hours', ['crossover', '--rates', '1e-7,1', '--jobs', '2'], /rates: expected \S+ or more, where a change has \d+ updates/],
    ['one rate', ['crossover', '--rates', '1'], /--rates/],
    ['no working set', ['crossover', '--working-set', '0'], /--working-set/],
    ['a working set larger than memory', ['crossover', '--working-set', '100000', '--ways', 'native'], /memory: expected/],
    ['a batch of words', ['crossover', '--batch', 'all'], /--batch/],
  ])('%s', (_, args, message) => {
    const before = readdirSync(folder, { recursive: true });
    const { status, out, err } = pagewalk(args);
    expect(err).toMatch(message);
    expect(err.trim().split('\n').length).toBe(1);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });

  it('a report is not written when a trace is bad, and an older one stays', () => {
    const html = join(folder, 'old.html');
    writeFileSync(html, 'old');
    const before = readdirSync(folder);
    expect(pagewalk(['compare', missing, '--html', html]).status).toBe(2);
    expect(readFileSync(html, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(before); // nor is the file that was tried
  });
});

it.skipIf(!existsSync('/dev/full'))('results are printed though there is no room for their report in the end', () => {
  for (const [args, printed] of [[['compare', tree, ...FAST, '--html', '/dev/full'], /^Outcome/m], [['crossover', ...SHORT, '--html', '/dev/full'], /^Cycles per access/m]] as const) {
    const { status, out, err } = pagewalk(args);
    expect([status, err]).toEqual([2, expect.stringMatching(/--html: expected a file that can be written, got "\/dev\/full \(ENOSPC\)"/)]);
    expect(out).toMatch(printed);
  }
});
