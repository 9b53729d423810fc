import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { conformance } from '../../src/cli/conformance.ts';
import { replayPaging } from '../../src/conformance/paging.ts';
import { findRecordings, readRecording, type Row } from '../../src/conformance/recording.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';

const SUBSET = 'test/conformance/paging';
const WHOLE = '../shared/conformance/paging';
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Cases in each copied file; a file that lost some fails here. */
const COPIED = {
  '4level-agreed': 642, '4level-explained': 254, '5level-agreed': 382, '5level-explained': 193, 'pae-agreed': 220, 'pae-explained': 79,
};

/** Cases in each whole file, as its README says. */
const RECORDED = {
  '4level-agreed': 15940, '4level-explained': 6238, '5level-agreed': 9498, '5level-explained': 4658, 'pae-agreed': 5394, 'pae-explained': 1619,
};

describe('the copied cases', () => {
  it('are all there', () => {
    expect(Object.fromEntries(findRecordings(SUBSET).map(readRecording).map(r => [r.name, r.rows.length]))).toEqual(COPIED);
  });

  it('have every kind of result', () => {
    const kinds = new Set<string>();
    const suites = new Set<string>();
    for (const { row } of findRecordings(SUBSET).flatMap(f => readRecording(f).rows)) {
      const result = row['result'] as Row;
      kinds.add(typeof result['pf'] === 'string' ? result['pf'] : result['gp'] ? `gp ${String(result['at'])}` : 'pa');
      suites.add(String(row['suite']));
    }
    expect([...kinds].sort()).toEqual(['pa', 'gp access', 'gp cr3',
      ...[0, 1, 2, 3, 4, 5, 6, 7, 9, 0xb, 0xd, 0xf, 0x10, 0x11, 0x14, 0x15, 0x19, 0x1d, 0x21, 0x23, 0x25, 0x27].map(n => `0x${n.toString(16)}`)].sort());
    expect([...suites].sort()).toEqual(['ad-nonleafD', 'ad-np', 'ad-ok', 'ad-ro', 'ctl', 'edge', 'ign', 'noncanon', 'np', 'nx', 'pdpte', 'perm', 'pk',
      'rand', 'rsvd', 'rsvd-nx']);
  });

  it.each(findRecordings(SUBSET).flatMap(file => (['ts', 'wasm'] as const).map(engine => [file, engine] as const)))('%s replays without a difference on %s', (file, engine) => {
    expect(replayPaging(readRecording(file), engine)).toEqual([]);
  });
});

describe('the copied cases that translate', () => {
  const access = { r: ACCESS_READ, w: ACCESS_WRITE, x: ACCESS_FETCH };
  it.each(findRecordings(SUBSET).filter(file => file.includes('agreed')))('%s: do so again from the TLB, at no cost in memory', file => {
    let cases = 0;
    const recording = readRecording(file), hex = (x: unknown) => BigInt(x as string);
    const machine = Machine.create({ memory: '64M', physicalAddressBits: 40, paging: 'none', features: { la57: true } }), cpu = machine.vcpus[0]!;
    for (const { row, line } of recording.rows) {
      if (typeof (row['result'] as Row)['pa'] !== 'string') continue;
      const tables = row['table_pa'] as string[], kind = access[row['access'] as 'r' | 'w' | 'x'] | (row['cpl'] === 3 ? ACCESS_USER : 0);
      tables.forEach((pa, k) => writeEntry(machine.views, Number(pa), hex((row['entries'] as string[])[k])));
      cpu.reset();
      cpu.writeCr4(hex(row['cr4']));
      cpu.writeEfer(hex(row['efer']));
      cpu.writeCr3(hex(row['cr3']));
      cpu.writeCr0(hex(row['cr0']));
      cpu.writePkru(Number(row['pkru']));
      cpu.setAc(row['ac'] === 1);
      const once = cpu.translate(hex(row['va']), kind), warm = cpu.translate(hex(row['va']), kind);
      expect(warm, `line ${line}`).toMatchObject({ ok: true, paddr: hex((row['result'] as Row)['pa']), path: 'tlb1+' });
      expect(once).toMatchObject({ ok: true, paddr: warm.ok ? warm.paddr : -1n });
      expect(tables.map(pa => readEntry(machine.views, Number(pa)))).toEqual((row['after'] as string[]).map(hex));
      for (const pa of tables) writeEntry(machine.views, Number(pa), 0n);
      cases++;
    }
    expect(cases).toBeGreaterThan(90);
  });
});

/** Replayed as built: the test runner's module wrapper makes the engine ten times as slow. */
describe.skipIf(!existsSync(WHOLE))('the whole recordings in ../shared', () => {
  it.each(['ts', 'wasm'])('replay without a difference on %s', { timeout: 60_000 }, engine => {
    const out = join(folder, 'dist');
    execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.json', '--outDir', out, '--incremental', 'false']);
    cpSync('wasm/pagewalk.wasm', join(folder, 'wasm/pagewalk.wasm'));
    save('package.json', '{ "type": "module" }');
    const run = 'const { conformance } = await import(process.argv[1]); process.exitCode = conformance(process.argv.slice(2), console.log);';
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', run, pathToFileURL(join(out, 'cli/conformance.js')).href, WHOLE, '--engine', engine]);
    expect(printed.toString().trim().split('\n')).toEqual(Object.entries(RECORDED).map(([name, cases]) => `${name}: ${cases} cases, 0 differences`));
  });
});

/** Lines of a copied file, to be spoiled. */
const linesOf = (name: string) => gunzipSync(readFileSync(`${SUBSET}/${name}.jsonl.gz`)).toString().trimEnd().split('\n');

function save(name: string, bytes: string | Uint8Array): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

/** A file of the header of `pae-agreed` and its first three cases, changed. */
function spoiled(change: (row: Record<string, unknown>, line: number) => void): string {
  const rows = linesOf('pae-agreed').slice(0, 4).map(line => JSON.parse(line) as Record<string, unknown>);
  rows[0]!['cases'] = 3;
  rows.forEach((row, k) => change(row, k + 1));
  return save('spoiled.jsonl', rows.map(row => JSON.stringify(row)).join('\n'));
}

function report(file: string, ...options: string[]): { status: number; lines: string[] } {
  const lines: string[] = [];
  return { status: conformance([file, ...options], line => lines.push(line)), lines };
}

describe('a corrupted expectation', () => {
  it('passes while it is not corrupted', () => {
    const file = spoiled(() => undefined);
    expect(report(file)).toEqual({ status: 0, lines: ['spoiled: 3 cases, 0 differences'] });
  });

  it('in the result is reported with file, line, expected and got', () => {
    const file = spoiled((row, line) => { if (line === 3) row['result'] = { pa: '0x123456' }; });
    const { status, lines } = report(file);
    expect(status).toBe(1);
    expect(lines[0]).toBe('spoiled: 3 cases, 1 differences');
    expect(lines[1]).toContain(`${file}: line 3\n`);
    expect(lines[1]).toMatch(/expected pa 0x123456 0x.*\n\s+got      (pa|#PF) 0x.*\(functional\)$/);
    expect(lines[2]).toMatch(/\(timed\)$/);
  });

  it('is all that is told with --stop', () => {
    const file = spoiled((row, line) => { if (line > 1) row['result'] = { pa: '0x123456' }; });
    expect(report(file).lines[0]).toBe('spoiled: 3 cases, 3 differences');
    const { status, lines } = report(file, '--stop');
    expect([status, lines[0], lines.slice(1).every(line => line.includes('line 2\n'))]).toEqual([1, 'spoiled: 3 cases, 1 differences', true]);
  });

  it('in an entry afterwards is a difference too', () => {
    const file = spoiled((row, line) => { if (line === 4) row['after'] = ['0x0', '0x0', '0x0']; });
    const found = replayPaging(readRecording(file));
    expect(found.map(d => d.line)).toEqual([4, 4]);
    expect(found[0]!.expected).toMatch(/ 0x0 0x0 0x0$/);
  });

  it('shows the first few of many', () => {
    const rows = linesOf('pae-agreed').map(line => JSON.parse(line) as Record<string, unknown>);
    for (const row of rows.slice(1)) row['result'] = { gp: true, at: 'access' };
    const { status, lines } = report(save('many.jsonl', rows.map(row => JSON.stringify(row)).join('\n')));
    expect(status).toBe(1);
    expect(lines[0]).toBe('many: 220 cases, 220 differences');
    expect(lines).toHaveLength(6);
  });
});

describe('a bad file', () => {
  const whole = readFileSync(`${SUBSET}/pae-agreed.jsonl.gz`);
  it.each<[string, () => string, string, RegExp]>([
    ['cut short', () => save('cut.jsonl.gz', whole.subarray(0, 5000)), 'byte 5000', /a whole gzip file/],
    ['with broken compression', () => save('broken.jsonl.gz', Uint8Array.from(whole, (b, k) => (k > 100 && k < 120 ? 0 : b))), 'byte 11210', /a whole gzip file/],
    ['that is not JSON', () => save('text.jsonl', `${linesOf('pae-agreed')[0]}\nhello`), 'line 2', /a JSON object, got hello/],
    ['with a list for a line', () => save('list.jsonl', '[1]'), 'line 1', /a JSON object/],
    ['with an empty line', () => save('gap.jsonl.gz', gzipSync(`${linesOf('pae-agreed')[0]}\n\n`)), 'line 2', /a JSON object/],
    ['that is empty', () => save('empty.jsonl', ''), 'line 1', /a header with a format/],
    ['without a format', () => spoiled((row, line) => { if (line === 1) delete row['format']; }), 'line 1', /a header with a format/],
    ['with cases missing', () => spoiled((row, line) => { if (line === 1) row['cases'] = 5; }), 'line 4', /5 cases as the header says, got 3/],
    ['without a memory size', () => spoiled((row, line) => { if (line === 1) delete row['memory']; }), 'line 1', /memory and maxphyaddr/],
  ])('%s is an InputError that says where', (_, make, where, what) => {
    const file = make();
    const caught = errorOf(() => report(file));
    expect(caught).toBeInstanceOf(InputError);
    expect((caught as InputError).file).toBe(file);
    expect((caught as InputError).where).toBe(where);
    expect((caught as Error).message).toMatch(what);
  });

  it.each(['cr0', 'cr3', 'cr4', 'efer', 'pkru', 'ac', 'cpl', 'va', 'access', 'entries', 'table_pa', 'result', 'after'])('without %s in line 3 is named with it', field => {
    for (const bad of [undefined, 'zzz', {}, [true], 9]) {
      const file = spoiled((row, line) => { if (line === 3) row[field] = bad; });
      const caught = errorOf(() => report(file));
      expect(caught, JSON.stringify(bad)).toBeInstanceOf(InputError);
      expect((caught as InputError).where).toBe('line 3');
      expect((caught as Error).message).toContain(`"${field}"`);
    }
  });

  it('with a result that no processor has is refused', () => {
    for (const result of [{ pf: '0x4' }, { pf: 4, cr2: '0x0' }, { gp: true }, { gp: true, at: 'lunch' }, { gp: 1, at: 'cr3' }, { pa: 'xyz' }]) {
      const file = spoiled((row, line) => { if (line === 2) row['result'] = result; });
      expect(() => report(file), JSON.stringify(result)).toThrow(/line 2.*"result"/);
    }
  });

  it('of an unknown format is a ConfigError that lists the known ones', () => {
    for (const format of ['paging-conformance-9', 'toString', '__proto__']) {
      const file = spoiled((row, line) => { if (line === 1) row['format'] = format; });
      const caught = errorOf(() => report(file));
      expect(caught).toBeInstanceOf(ConfigError);
      expect((caught as Error).message).toMatch(/spoiled\.jsonl: format: expected one of paging-conformance-1/);
    }
  });

  it('or folder that is not there, or has no recordings, is a ConfigError', () => {
    expect(() => report(join(folder, 'nowhere'))).toThrow(ConfigError);
    expect(() => report('src/arch')).toThrow(/a folder with recordings/);
    expect(() => conformance([], () => undefined)).toThrow(ConfigError);
  });

  it.each([['--audit', ''], ['--audit', '0x10'], ['--preempt', '1.5'], ['--preempt', ' ']])('with %s %j is refused', (option, value) => {
    expect(() => report(spoiled(() => undefined), option, value)).toThrow(`${option}: expected a whole number`);
  });
});

function errorOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
