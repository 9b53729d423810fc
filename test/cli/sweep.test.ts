/** Sweeps as a user runs them: whole, in threads, in parts, killed, continued, merged. */
import { spawn } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { lineText } from '../../src/sweep/line.ts';
import type { ReplayResult } from '../../src/trace/replay-result.ts';
import { fixture, pagewalk, project } from './pagewalk.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-sweep-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const file = (name: string, content: string | object): string => {
  writeFileSync(at(name), typeof content === 'string' ? content : JSON.stringify(content));
  return at(name);
};
const read = (name: string): string => readFileSync(at(name), 'utf8');
const lines = (name: string) => read(name).trimEnd().split('\n').map(line => JSON.parse(line));

const walk = (pages: number, laps: number): string => Array.from({ length: pages * laps }, (_, k) => ` L ${((k % pages) * 0x5000 + 0x10000).toString(16)},8\n`).join('');
file('few.lackey', walk(20, 100));
file('many.lackey', walk(2500, 4));
copyFileSync(fixture('compile/gcc.pwt.gz'), at('gcc.pwt.gz'));
file('mine.json', { ...skylake, name: 'mine' });
const PLAN = { traces: ['few.lackey', { file: 'many.lackey', name: 'many' }], cpus: ['zen3', 'mine.json'], pages: ['4k', 'thp'], data: [false, true] };
const plan = file('plan.json', PLAN);

/** Results of the whole plan, by one thread in one process. */
const whole = pagewalk(['sweep', plan, '--out', at('whole.jsonl')]);

function swept(args: readonly string[]): string {
  const { status, out, err } = pagewalk(['sweep', ...args]);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return out;
}

describe('pagewalk sweep', () => {
  it('does every combination, a line of JSON each, as replay does them', () => {
    expect(whole).toMatchObject({ status: 0, err: '', out: expect.stringMatching(/whole\.jsonl: 16 cells: 0 done before, 16 now in [\d.]+ s\n$/) });
    const found = lines('whole.jsonl');
    expect(found.map(l => [l.cell, l.of, l.trace.name, l.options.data, l.run.cpu, l.run.pages].join(' '))).toEqual(
      ['few.lackey', 'many'].flatMap(t => [false, true].flatMap(d => ['zen3', 'mine'].flatMap(c => ['4k', 'thp'].map(p => [t, d, c, p])))).map(([t, d, c, p], k) => `${k + 1} 16 ${t} ${d} ${c} ${p}`));
    const replayed: ReplayResult = JSON.parse(pagewalk(['replay', at('many.lackey'), '--cpu', `zen3,${at('mine.json')}`, '--pages', '4k,thp', '--data', '--json']).out);
    const same = found.slice(12).map(l => l.run);
    expect(same).toEqual(replayed.runs.map(({ series: _, ...run }) => run));
    expect(found[12].trace).toMatchObject({ accesses: 10_000, pages4k: 2500, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it('puts the results beside the plan unless told otherwise', () => {
    const small = file('small.json', { ...PLAN, traces: ['few.lackey'], data: false });
    swept([small]);
    expect(lines('small.jsonl')).toHaveLength(4);
    expect(swept([small, '--shard', '2/2'])).toContain('small.2of2.jsonl: part 2 of 2, 2 of 4 cells: 0 done before, 2 now');
    expect(lines('small.2of2.jsonl').map(l => l.cell)).toEqual([3, 4]);
  });

  it.each(['2', '5'])('gives the same file with --jobs %s', jobs => {
    swept([plan, '--out', at(`jobs${jobs}.jsonl`), '--jobs', jobs]);
    expect(read(`jobs${jobs}.jsonl`)).toBe(read('whole.jsonl'));
  });

  it.each(['ts', 'wasm'])('gives the same file with --engine %s', engine => {
    swept([plan, '--out', at(`${engine}.jsonl`), '--engine', engine, '--jobs', '2']);
    expect(read(`${engine}.jsonl`)).toBe(read('whole.jsonl'));
  });

  it('parts together are the whole, and the same parts each time, whatever is finished', () => {
    for (const parts of [3, 18]) {
      const names = Array.from({ length: parts }, (_, k) => at(`of${parts}.${k + 1}.jsonl`));
      if (parts === 3) writeFileSync(names[1], read('whole.jsonl').split('\n').slice(0, 9).map(l => `${l}\n`).join('')); // cells of others too
      names.forEach((out, k) => swept([plan, '--out', out, '--shard', `${k + 1}/${parts}`, ...(k === 0 ? ['--jobs', '2'] : [])]));
      expect(pagewalk(['merge', ...names.reverse(), '--out', at(`of${parts}.jsonl`)])).toEqual({ status: 0, err: '', out: `${at(`of${parts}.jsonl`)}: 16 of 16 cells\n` });
      expect(read(`of${parts}.jsonl`)).toBe(read('whole.jsonl'));
    }
  });

  it('--list tells the cells of a part, and does none', () => {
    const cells = (args: readonly string[]) => swept([plan, '--list', ...args]).trimEnd().split('\n').slice(2).map(row => row.split(/ +/));
    const all = cells([]);
    expect(all).toHaveLength(16);
    expect(all[5]).toEqual(['6', 'few.lackey', 'zen3', 'thp', 'true', '1', 'first-touch']);
    expect(['1/3', '2/3', '3/3'].flatMap(shard => cells(['--shard', shard]))).toEqual(all);
    expect(existsSync(at('plan.jsonl'))).toBe(false);
  });
});

describe('a sweep run again', () => {
  it('does nothing if everything is there, and only what is missing otherwise', () => {
    copyFileSync(at('whole.jsonl'), at('again.jsonl'));
    const before = statSync(at('again.jsonl'));
    expect(swept([plan, '--out', at('again.jsonl')])).toContain('16 done before, 0 now');
    expect(statSync(at('again.jsonl'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    writeFileSync(at('again.jsonl'), read('whole.jsonl').split(/(?<=\n)/).filter((_, k) => k % 3 !== 1).join(''));
    expect(swept([plan, '--out', at('again.jsonl')])).toContain('11 done before, 5 now');
    expect(read('again.jsonl')).toBe(read('whole.jsonl'));
  });

  it('does a torn last line again', () => {
    const text = read('whole.jsonl');
    for (const cut of [1, 2, 400]) {
      writeFileSync(at('torn.jsonl'), text.slice(0, -cut));
      expect(swept([plan, '--out', at('torn.jsonl')])).toContain('15 done before, 1 now');
      expect(read('torn.jsonl')).toBe(text);
    }
  });

  it('continues after SIGKILL, and ends with the same file', async () => {
    const long = file('long.json', { traces: ['few.lackey', 'gcc.pwt.gz', { file: 'gcc.pwt.gz', name: 'again' }, { file: 'gcc.pwt.gz', name: 'and again' }], cpus: ['zen3', 'skylake'], pages: ['4k', '2m', 'thp'] });
    const out = at('killed.jsonl'), count = (): number => (existsSync(out) ? read('killed.jsonl').split('\n').length - 1 : 0);
    const child = spawn(process.execPath, [`${project}dist/cli/main.js`, 'sweep', long, '--out', out, '--jobs', '2'], { stdio: 'ignore' });
    const ended = new Promise<string | null>(done => child.on('close', (_, signal) => done(signal)));
    while (count() === 0 && child.exitCode === null) await new Promise(go => setTimeout(go, 2));
    child.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
    const done = count();
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(24);
    expect(swept([long, '--out', out])).toContain(`24 cells: ${done} done before, ${24 - done} now`);
    swept([long, '--out', at('unkilled.jsonl'), '--jobs', '2']);
    expect(read('killed.jsonl')).toBe(read('unkilled.jsonl'));
  });

  it('keeps what a smaller plan left', () => {
    const grown = file('grown.json', { ...PLAN, cpus: ['skylake', ...PLAN.cpus], pages: ['2m', ...PLAN.pages] });
    copyFileSync(at('whole.jsonl'), at('grown.jsonl'));
    expect(swept([grown])).toContain('36 cells: 16 done before, 20 now');
    swept([grown, '--out', at('new.jsonl')]);
    expect(read('grown.jsonl')).toBe(read('new.jsonl'));
  });
});

describe('results of something else are refused, and stay as they are', () => {
  const first = (text: string): string => `${text.split('\n')[0]}\n`;
  it.each<[string, () => { plan?: string; text: string }, RegExp]>([
    ['a cell that the plan has no longer', () => ({ plan: file('less.json', { ...PLAN, cpus: ['zen3'] }), text: read('whole.jsonl') }), /: line 3: expected a cell of this plan, got mine, 4k on few\.lackey of another plan/],
    ['a trace that has changed', () => ({
      plan: file('changed.json', { ...PLAN, traces: [{ file: 'changed.lackey', name: 'few.lackey' }, PLAN.traces[1]] }),
      text: read('whole.jsonl'),
    }), /: line 1: expected a cell of this plan, got zen3, 4k on few\.lackey of another plan, or of what has changed since/],
    ['a processor that has changed', () => {
      file('other.json', { ...skylake, name: 'mine', clockGHz: 9 });
      return { plan: file('cpu.json', { ...PLAN, cpus: ['zen3', 'other.json'] }), text: read('whole.jsonl') };
    }, /: line 3: expected a cell of this plan, got mine, 4k/],
    ['another version', () => {
      const { crc32: _crc, ...line } = lines('whole.jsonl')[1];
      return { text: first(read('whole.jsonl')) + lineText({ ...line, pagewalk: '0.0.1' }) };
    }, /: line 2: expected a result of pagewalk \d+\.\d+\.\d+, got one of 0\.0\.1/],
    ['a file that is no result', () => ({ text: JSON.stringify(PLAN) }), /: line 1: expected a line of a sweep, got/],
    ['notes', () => ({ text: `${first(read('whole.jsonl'))}to do\n` }), /: line 2: expected a whole line of a sweep, got "to do"/],
  ])('%s', (_, make, message) => {
    file('changed.lackey', walk(20, 101));
    const { plan: other = plan, text } = make();
    const out = file('refused.jsonl', text);
    expect(pagewalk(['sweep', other, '--out', out])).toEqual({ status: 2, out: '', err: expect.stringMatching(message) });
    expect(readFileSync(out, 'utf8')).toBe(text);
  });

  it('merge refuses what contradicts, and tells what is missing', () => {
    const text = read('whole.jsonl').split('\n');
    const a = file('a.jsonl', `${text.slice(0, 6).join('\n')}\n`), b = file('b.jsonl', `${text.slice(9, 16).join('\n')}\n`), old = file('old.jsonl', 'old');
    expect(pagewalk(['merge', b, a, '--out', at('some.jsonl')])).toEqual({
      status: 1, out: `${at('some.jsonl')}: 13 of 16 cells\n`, err: 'pagewalk: 3 of 16 cells are missing: 7-9\n',
    });
    expect(swept([plan, '--out', at('some.jsonl')])).toContain('13 done before, 3 now');
    expect(read('some.jsonl')).toBe(read('whole.jsonl'));
    appendFileSync(b, 'x\n');
    expect(pagewalk(['merge', a, b, '--out', old])).toEqual({ status: 2, out: '', err: expect.stringMatching(/b\.jsonl: line 8: expected a whole line/) });
    expect(read('old.jsonl')).toBe('old');
  });
});

describe('merged results as tables and CSV', () => {
  it('have a row for each cell', () => {
    const csv = pagewalk(['merge', at('whole.jsonl'), '--csv']).out.trimEnd().split('\r\n').map(row => row.replaceAll(/"[^"]*"/g, '').split(','));
    expect(csv).toHaveLength(17);
    const column = (name: string) => csv.slice(1).map(row => row[csv[0].indexOf(name)]);
    expect(column('walks').map(Number)).toEqual(lines('whole.jsonl').map(l => l.run.walks));
    expect(column('data')).toEqual(lines('whole.jsonl').map(l => String(l.options.data)));
    const { out } = pagewalk(['merge', at('whole.jsonl'), '--table']);
    expect(out.match(/^Trace .*$/gm)).toEqual(['few.lackey', 'few.lackey', 'many', 'many'].map(name => `Trace     ${name} (lackey)`));
    expect(out.match(/^(zen3|mine) /gm)).toHaveLength(2 * 16);
    expect(pagewalk(['merge', at('whole.jsonl'), '--out', '-']).out).toBe(read('whole.jsonl'));
  });
});

it('one cell is called so, and merge says which of its forms were asked for', () => {
  const out = at('one.jsonl');
  expect(swept([file('one.json', { ...PLAN, traces: ['few.lackey'], cpus: ['zen3'], pages: ['4k'], data: [false] })])).toMatch(/one\.jsonl: 1 cell: 0 done before, 1 now/);
  expect(pagewalk(['merge', out, '--out', at('same.jsonl')]).out).toBe(`${at('same.jsonl')}: 1 of 1 cell\n`);
  for (const [forms, got] of [[['--table', '--csv'], '"--table and --csv"'], [['--out', at('no.jsonl'), '--csv'], '"--out and --csv"']] as const) {
    expect(pagewalk(['merge', out, ...forms])).toMatchObject({ status: 2, err: `pagewalk: options: expected one of --out FILE, --table and --csv, got ${got}\n` });
  }
});

describe('cells that cannot be done', () => {
  it('do not keep the others from being done, and are told with status 2', () => {
    file('bad.lackey', `${walk(20, 100)}what\n`);
    const partly = file('partly.json', { traces: ['bad.lackey', 'few.lackey'], cpus: ['zen3', 'zen2', 'skylake'] });
    for (const jobs of ['1', '2']) {
      const { status, out, err } = pagewalk(['sweep', partly, '--out', at(`partly${jobs}.jsonl`), '--jobs', jobs]);
      expect(status).toBe(2);
      expect(out).toMatch(/6 cells: 0 done before, 3 now in .* 3 missing/);
      expect(err).toMatch(/^pagewalk: 3 cells from 1: .*bad\.lackey: line 2001: expected .*\n$/);
      expect(lines(`partly${jobs}.jsonl`).map(l => l.cell)).toEqual([4, 5, 6]);
    }
    file('bad.lackey', walk(20, 100));
    expect(swept([partly, '--out', at('partly1.jsonl')])).toContain('3 done before, 3 now');
  });
});

describe('one reading for several cells', () => {
  it('when some of them ask too much, the others are done alone', () => {
    // 9000 pages of 1 GByte are more than the simulated memory holds; 4-KByte pages at the same places are not.
    file('far.lackey', Array.from({ length: 9000 }, (_, k) => ` L ${(k * 2 ** 30).toString(16)},8\n`).join(''));
    const { status, err } = pagewalk(['sweep', file('huge.json', { traces: ['far.lackey'], cpus: ['zen3', 'zen2'], pages: ['4k', '1g', 'thp'] })]);
    expect({ status, err }).toEqual({ status: 2, err: expect.stringMatching(/^pagewalk: 2 cells from 2: memory: expected room .*\n$/) });
    expect(lines('huge.jsonl').map(l => l.cell)).toEqual([1, 3, 4, 6]);
  });
});

describe('bad plans and options end with status 2 and one line', () => {
  it.each<[string, () => readonly string[], RegExp]>([
    ['no plan', () => ['sweep'], /PLAN: expected one JSON file/],
    ['two plans', () => ['sweep', plan, plan], /PLAN: expected one JSON file/],
    ['a plan that is not there', () => ['sweep', at('none.json')], /none\.json: file: expected a readable JSON file with a plan, got ENOENT/],
    ['a plan that is not JSON', () => ['sweep', file('syntax.json', '{\n  "traces": [],\n  "cpus": [,]\n}')], /syntax\.json: line 3: expected JSON/],
    ['a plan that ends early', () => ['sweep', file('early.json', '{\n  "traces": [')], /early\.json: line 2: expected JSON/],
    ['a field that cannot be', () => ['sweep', file('field.json', { ...PLAN, pages: ['5k'] })], /field\.json\.pages\[0\]: expected one of 4k, 2m, 1g, thp, got "5k"/],
    ['a processor with a hole', () => ['sweep', file('holed.json', { ...PLAN, cpus: ['broken.json'] })], /broken\.json\.title: expected/],
    ['part 0', () => ['sweep', plan, '--shard', '0/4'], /--shard: expected I\/N with I from 1 to N, as 2\/4, got "0\/4"/],
    ['part 5 of 4', () => ['sweep', plan, '--shard', '5/4'], /--shard: expected I\/N/],
    ['half a part', () => ['sweep', plan, '--shard', '1.5/4'], /--shard: expected I\/N/],
    ['a part of nothing', () => ['sweep', plan, '--shard', '1'], /--shard: expected I\/N/],
    ['no jobs', () => ['sweep', plan, '--jobs', '0'], /--jobs: expected a whole number from 1 to/],
    ['an engine that there is not', () => ['sweep', plan, '--engine', 'c'], /--engine: expected one of auto, wasm, ts/],
    ['standard output', () => ['sweep', plan, '--out', '-'], /--out: expected a file, which can be read again/],
    ['a device', () => ['sweep', plan, '--out', '/dev/null'], /out: expected a plain file, which can be read again/],
    ['a folder that is not there', () => ['sweep', plan, '--out', at('no/where.jsonl')], /out: expected a file that can be read and written, got ".*where\.jsonl \(ENOENT\)"/],
    ['merge without files', () => ['merge', '--csv'], /FILE: expected one file of results or more/],
    ['merge to nowhere', () => ['merge', at('whole.jsonl')], /options: expected one of --out FILE, --table and --csv, got nothing/],
    ['merge of what is not there', () => ['merge', at('none.jsonl'), '--csv'], /none\.jsonl: open: expected a file of results, got ENOENT/],
  ])('%s', (_, args, message) => {
    file('broken.json', { name: 'broken' });
    const command = args(), before = readdirSync(folder);
    const { status, out, err } = pagewalk(command);
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(readdirSync(folder)).toEqual(before);
  });
});
