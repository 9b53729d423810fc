/** Parts of a sweep in processes that GNU parallel starts, as `apt-get install parallel` has it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture, pagewalk, project } from './pagewalk.ts';

const PARTS = 5;
const installed = String(spawnSync('parallel', ['--version']).stdout ?? '').startsWith('GNU parallel');

describe.skipIf(!installed)('pagewalk sweep under GNU parallel (skipped where it is not installed)', () => {
  let folder = '';
  const at = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pagewalk-parallel-'));
    copyFileSync(fixture('compile/gcc.pwt.gz'), at('gcc.pwt.gz'));
    writeFileSync(at('few.lackey'), Array.from({ length: 3000 }, (_, k) => ` S ${((k % 70) * 0x3000).toString(16)},8\n`).join(''));
    writeFileSync(at('plan.json'), JSON.stringify({ traces: ['few.lackey', 'gcc.pwt.gz'], cpus: ['zen3', 'haswell', 'zen4'], pages: ['4k', '2m'], limit: 100_000 }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const parts = (): string[] => readdirSync(folder).filter(name => /^plan\.\dof5\.jsonl$/.test(name)).map(at);
  const merge = (): ReturnType<typeof pagewalk> => pagewalk(['merge', ...parts(), '--out', at('merged.jsonl')]);
  const same = (): boolean => readFileSync(at('merged.jsonl'), 'utf8') === readFileSync(at('whole.jsonl'), 'utf8');
  /** All parts, two at a time. @returns the exit status of each, as GNU parallel logged it */
  function run(): number[] {
    const numbers = Array.from({ length: PARTS }, (_, k) => String(k + 1));
    execFileSync('parallel', [
      '--will-cite', '--quote', '--jobs', '2', '--joblog', at('log'), process.execPath, `${project}dist/cli/main.js`, 'sweep', 'plan.json', '--shard', `{}/${PARTS}`, ':::', ...numbers,
    ], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    return readFileSync(at('log'), 'utf8').trim().split('\n').slice(1).map(row => Number(row.split('\t')[6]));
  }

  it('merges to the bytes of one process; run again after a kill, it does what is missing', () => {
    expect(pagewalk(['sweep', at('plan.json'), '--out', at('whole.jsonl')]).status).toBe(0);
    expect(run()).toEqual([0, 0, 0, 0, 0]);
    expect(parts()).toHaveLength(PARTS);
    expect(merge()).toMatchObject({ status: 0, err: '' });
    expect(same()).toBe(true);

    const [, second, , fourth] = parts();
    rmSync(second);
    truncateSync(fourth, 700);
    expect(merge()).toMatchObject({ status: 1, err: expect.stringMatching(/cells are missing: \d/) });
    expect(same()).toBe(false);
    expect(run()).toEqual([0, 0, 0, 0, 0]);
    expect(merge()).toMatchObject({ status: 0, err: '' });
    expect(same()).toBe(true);
  });
});
