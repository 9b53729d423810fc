import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCommand } from '../../fuzz/command.ts';
import { readRecorded, writeInput } from '../../fuzz/corpus.ts';
import { foundBy, type Found } from '../../fuzz/finding.ts';
import { Findings } from '../../fuzz/findings.ts';
import { Fuzzer } from '../../fuzz/fuzzer.ts';
import { Heart } from '../../fuzz/heart.ts';
import { fitted, hashOf, parseInput, printInput, type Input } from '../../fuzz/input.ts';
import { Mutator } from '../../fuzz/mutator.ts';
import { OperationTable } from '../../fuzz/operation.ts';
import { shrink } from '../../fuzz/shrink.ts';
import { Tape } from '../../fuzz/tape.ts';
import { Finding, Notes, type Target } from '../../fuzz/target.ts';
import { ConfigError, InputError } from '../../src/errors.ts';

/** A counter of 0 to 255 that forgets to stop at 200 when it was doubled before. */
const COUNTER = new OperationTable<{ value: number; doubled: boolean }>([
  { name: 'add', share: 4, fields: { by: 16 }, run: (w, [by]) => (w.value += by!) },
  { name: 'double', fields: {}, run: w => { w.doubled = true; return (w.value *= 2); } },
  { name: 'clear', fields: { what: [3, 5] }, run: w => (w.value = 0) },
]);

const counter: Target = {
  name: 'grants', about: 'a counter', headBytes: 2, recordBytes: COUNTER.recordBytes, most: 40, explain: record => COUNTER.explain(record), parse: words => COUNTER.parse(words),
  run({ records }, notes) {
    const world = { value: 0, doubled: false };
    for (const record of records) {
      const [operation] = COUNTER.run(world, record);
      notes.note(operation, world.value >> 4);
      if (world.value > 200 && world.doubled) throw new Finding(`the counter is ${world.value}`);
      world.value = Math.min(world.value, 200);
    }
    return records.length;
  },
};

const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list);
let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'pagewalk-driver-')); });
afterAll(() => rmSync(folder, { recursive: true }));

describe('a planted mistake', () => {
  const find = async (seed: number): Promise<Fuzzer> => {
    const fuzzer = new Fuzzer(counter, { seed, corpus: [], coverage: false, shrinkMs: 60_000 });
    await fuzzer.run(({ inputs }) => inputs >= 400);
    return fuzzer;
  };

  it('is found, once, and made small', async () => {
    const { findings: [found, ...others], progress } = await find(1);
    expect(others).toEqual([]);
    expect(found!.key).toBe('Finding: the counter is #');
    expect(progress.operations).toBeGreaterThan(1000);
    const names = found!.input.records.map(record => COUNTER.explain(record).split(' ')[0]);
    expect(names.filter(name => name === 'double').length).toBeGreaterThan(0);
    expect(names).not.toContain('clear');
    expect(names.length).toBeLessThan(12);
    for (let k = 0; k < names.length; k++) { // none can be left out
      const records = found!.input.records.filter((_, n) => n !== k);
      expect(() => counter.run({ head: found!.input.head, records }, new Notes(), true)).not.toThrow();
    }
    expect([...found!.input.head]).toEqual([0, 0]);
  });

  it('is the same for the same seed', async () => {
    const [a, b] = [await find(7), await find(7)];
    expect(a.findings[0]!.input).toEqual(b.findings[0]!.input);
    expect(a.progress.operations).toBe(b.progress.operations);
  });

  it('stays what it is while it is made small', async () => {
    const two: Target = { ...counter, recordBytes: 1, run({ records }) {
      if (records.some(([byte]) => byte === 9)) throw new Finding('nine');
      if (records.length > 2) throw new Finding('three or more');
      return 1;
    } };
    const found = foundBy(new Finding('three or more'), { head: bytes(), records: Array.from({ length: 50 }, (_, k) => bytes(k % 9)) });
    expect((await shrink(two, found)).input.records).toEqual([bytes(0), bytes(0), bytes(0)]);
  });

  it('has a file that replays it', async () => {
    const { findings: [found] } = await find(3), file = writeInput(folder, counter, found!.message, found!.input);
    expect(readRecorded.bind(undefined, file)).toThrow('an operation of the target'); // the real target of that name does not know its operations
    const again = parseInput(printInput({ target: 'counter', about: found!.message, input: found!.input }, counter.explain), 'x', (_, words) => counter.parse!(words));
    expect([again.target, again.about, again.input.head]).toEqual(['counter', found!.message, found!.input.head]);
    expect(again.input.records.map(record => COUNTER.explain(record))).toEqual(found!.input.records.map(record => COUNTER.explain(record)));
    expect(() => counter.run(again.input, new Notes(), true)).toThrow('the counter is');
  });
});

it('a finding keeps the smallest of its inputs, whoever tells of another', () => {
  const said: string[] = [], at = join(folder, 'kept'), findings = new Findings(counter, 'grants', at, text => said.push(text));
  const found = (key: string, ...records: number[]): Found => ({ key, message: `${key} ${records.length}`, stack: '', input: { head: bytes(0, 0), records: records.map(byte => bytes(0, byte)) } });
  for (const one of [found('a', 1, 2, 3), found('a', 1, 2), found('a', 1, 2, 3, 4), found('b', 5), found('a', 1, 3), found('a', 1, 0), found('a', 1, 2)]) findings.add(one);
  expect(said.map(text => text.split('\n')[0])).toEqual(['found 3 operations: a 3', '  smaller, 2 operations: a 2', 'found 1 operations: b 1', '  smaller, 2 operations: a 2']);
  expect([findings.size, readdirSync(at).sort()]).toEqual([2, [found('a', 1, 0), found('b', 5)].map(({ input }) => `grants-${hashOf(input)}.fuzz`).sort()]);
});

describe('an input', () => {
  const parse = (text: string): unknown => parseInput(text, 'a.fuzz', (_, words) => COUNTER.parse(words));
  it.each([
    ['', 'a.fuzz: line 1: expected "pagewalk fuzz 1"'], ['pagewalk fuzz 1\nhead 00\n', 'a.fuzz: line 2: expected target'], ['pagewalk fuzz 1\ntarget x\nop 0g', 'a.fuzz: line 3: expected bytes in hexadecimal'],
    ['pagewalk fuzz 1\ntarget x\nop 00', 'a.fuzz: line 3: expected the end of the line'], ['pagewalk fuzz 1\ntarget x\n\nwhat', 'a.fuzz: line 4: expected target, head, op, do'], ['pagewalk fuzz 1\ntarget x\ndo jump', 'a.fuzz: line 3: expected an operation of the target (operation: expected one of add, double, clear, got "jump")'],
    ['pagewalk fuzz 1\ntarget x\ndo add by=16', 'add.by: expected less than 16, got 16'], ['pagewalk fuzz 1\ntarget x\ndo add to=1', 'add.to: expected one of by'], ['pagewalk fuzz 1\ntarget x\ndo clear what=4', 'clear.what: expected one of 3, 5'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parse(text)).toThrow(InputError);
    expect(() => parse(text)).toThrow(message);
  });

  it('has the widths of its target', () => expect(fitted({ head: bytes(1, 2, 3), records: [bytes(4)] }, 1, 2)).toEqual({ head: bytes(1), records: [bytes(4, 0)] }));

  it('changes little', () => {
    const input: Input = { head: bytes(1), records: Array.from({ length: 30 }, (_, k) => bytes(k, k, k)) }, mutator = new Mutator({ headBytes: 1, recordBytes: 3, most: 40 }, 5);
    const kept = Array.from({ length: 200 }, () => mutator.next([input]).records.filter(record => input.records.includes(record)).length);
    expect(Math.max(...kept)).toBeGreaterThan(29);
    expect(kept.reduce((sum, n) => sum + n, 0) / kept.length).toBeGreaterThan(18);
    for (let k = 0; k < 200; k++) expect(mutator.next([input]).records.length).toBeLessThanOrEqual(40);
  });

  it('is seen by who watches', () => {
    const input: Input = { head: bytes(9, 8), records: [bytes(1, 2, 3), bytes(4, 5, 6)] }, heart = new Heart();
    new Heart(heart.buffer).beat(input);
    expect([heart.beats, heart.input]).toEqual([1, input]);
  });

  it('decides by its bytes, then by its seed', () => {
    const tape = new Tape(), numbers = (record: Uint8Array): number[] => {
      tape.load(record);
      return [tape.below(10), tape.below(1000), tape.below(10), tape.below(10), tape.below(100_000)];
    };
    const a = numbers(bytes(128, 0, 128, 0, 0, 0, 1)), b = numbers(bytes(128, 0, 128, 0, 0, 0, 2)), c = numbers(bytes(0, 0, 128, 0, 0, 0, 1));
    expect(a.slice(0, 2)).toEqual([5, 500]);
    expect(b.slice(0, 2)).toEqual(a.slice(0, 2));
    expect(b.slice(2)).not.toEqual(a.slice(2));
    expect(c).toEqual([0, ...a.slice(1)]);
  });
});

describe('the command', () => {
  it.each([
    [[], 'arguments: expected TARGET SECONDS'], [['grants'], 'arguments: expected TARGET SECONDS'], [['what', '1'], 'TARGET: expected all, or of engines,'], [['grants', 'soon'], 'SECONDS: expected a number'],
    [['grants', '1', '--jobs', '0'], '--jobs: expected a whole number from 1'], [['grants', '1', '--jobs', '1.5'], '--jobs'], [['grants', '1', '--seed=-1'], '--seed'], [['grants', '1', '2'], 'arguments'],
  ])('%j is refused', (argv, message) => {
    expect(() => readCommand(argv, 0)).toThrow(ConfigError);
    expect(() => readCommand(argv, 0)).toThrow(message);
  });

  it('takes all targets, or some', () => {
    expect(readCommand(['all', '600', '--jobs', '2'], 5)).toMatchObject({ seconds: 600, jobs: 2, seed: 5, crashes: 'build/crashes', coverage: true });
    expect(readCommand(['grants,events', '1'], 5).targets).toEqual(['grants', 'events']);
    expect(readCommand(['all', '1'], 5).targets.length).toBeGreaterThan(15);
  });
});

describe('the built command', () => {
  beforeAll(() => { execFileSync('npm', ['run', '--silent', 'prefuzz']); });
  const fuzz = (...argv: string[]) => spawnSync(process.execPath, ['build/fuzz/fuzz/main.js', ...argv], { encoding: 'utf8' });

  it('tells what is wrong in a line', () => {
    expect(fuzz('what', '1')).toMatchObject({ status: 2, stderr: expect.stringMatching(/^fuzz: TARGET: expected all.*\n$/) as string });
    expect(fuzz('replay', 'missing.fuzz')).toMatchObject({ status: 2, stderr: 'fuzz: missing.fuzz: the file: expected one that can be read, got ENOENT\n' });
  });

  it('finds a mistake and one that hangs, with a file for each', () => {
    const module = join(folder, 'target.mjs'), crashes = join(folder, 'crashes');
    writeFileSync(module, `export const target = { name: 'planted', about: '', headBytes: 1, recordBytes: 1, most: 8, hangMs: 1000, run({ records }) {
      if (records.length > 3 && records[3][0] > 250) throw new RangeError('too much');
      if (records.length > 2 && records[2][0] === 77) for (;;);
      return records.length;
    } };`);
    const { status, stdout } = fuzz(module, '5', '--seed', '2', '--crashes', crashes);
    expect(status).toBe(1);
    expect(stdout).toMatch(/found \d operations: RangeError: too much/);
    expect(stdout).toContain('no end in 1000 ms');
    expect(stdout).toMatch(/\| planted +\| .* 2 \|/);
    const files = readdirSync(crashes).map(name => join(crashes, name)), again = fuzz('replay', module, ...files);
    expect(files).toHaveLength(2);
    expect(stdout).toContain(`npm run fuzz -- replay ${module} ${files[0]!}`);
    expect(again.status).toBe(1);
    expect(again.stdout.match(/: (RangeError: too much|no end in 4000 ms)$/gm)?.sort()).toEqual([': RangeError: too much', ': no end in 4000 ms']);
  });

  it('takes a thread that ends for a finding, and ends with the first one if it is to', () => {
    const module = join(folder, 'ends.mjs'), crashes = join(folder, 'ended');
    writeFileSync(module, `export const target = { name: 'ends', about: '', headBytes: 1, recordBytes: 1, most: 8, run({ records }) {
      if (records.length > 3 && records[3][0] > 200) process.exit(7);
      return records.length;
    } };`);
    const { status, stdout } = fuzz(module, '30', '--seed', '2', '--crashes', crashes, '--first', '--jobs', '2'), files = readdirSync(crashes).map(name => join(crashes, name));
    expect([status, files.length]).toEqual([1, 1]);
    expect(stdout).toMatch(/found \d operations: the thread ended with status 7/);
    expect(fuzz('replay', module, ...files)).toMatchObject({ status: 1, stdout: `${files[0]!}: the thread ended with status 7\n\n` });
  });

  it.each([
    ['TARGET: expected a module that can be loaded', ['none.mjs', '1']], ['TARGET: expected a module that exports a target', ['fuzz-nothing.mjs', '1']],
    ['--corpus: expected a folder that can be written', ['grants', '1', '--corpus', 'package.json']], ['--crashes: expected a folder that can be written', ['grants', '1', '--crashes', 'package.json/x']],
  ])('tells before it begins: %s', (message, argv) => {
    writeFileSync(join(folder, 'fuzz-nothing.mjs'), 'export const target = { name: 3 };');
    const { status, stderr } = fuzz(...argv.map(word => (word === 'fuzz-nothing.mjs' ? join(folder, word) : word)));
    expect([status, stderr]).toEqual([2, expect.stringMatching(new RegExp(`^fuzz: ${message}.*\n$`)) as string]);
  });
});
