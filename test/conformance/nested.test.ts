import { gunzipSync, gzipSync } from 'node:zlib';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { replayNested } from '../../src/conformance/nested.ts';
import { findRecordings, readRecording, type Row } from '../../src/conformance/recording.ts';
import { InputError } from '../../src/errors.ts';

const SUBSET = 'test/conformance/nested';
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Cases in each copied file; a file that lost some fails here. */
const COPIED = { 'npt-agreed': 117, 'npt-explained': 118 };

/** The copied file with one of its cases changed. */
function spoiled(change: (row: Record<string, unknown>) => void): string {
  const lines = gunzipSync(readFileSync(`${SUBSET}/npt-agreed.jsonl.gz`)).toString().trimEnd().split('\n');
  const row = JSON.parse(lines[2]!) as Record<string, unknown>;
  change(row);
  lines[2] = JSON.stringify(row);
  const file = join(folder, 'npt-agreed.jsonl.gz');
  writeFileSync(file, gzipSync(lines.join('\n')));
  return file;
}

describe('recordings of nested paging', () => {
  it('are all there, with every kind of result', () => {
    const recordings = findRecordings(SUBSET).map(readRecording), results = recordings.flatMap(r => r.rows.map(({ row }) => row['result'] as Row));
    expect(Object.fromEntries(recordings.map(r => [r.name, r.rows.length]))).toEqual(COPIED);
    for (const kind of ['pa', 'pf', 'npf']) expect(results.filter(r => kind in r).length, kind).toBeGreaterThan(30);
  });

  it.each(findRecordings(SUBSET).flatMap(file => (['ts', 'wasm'] as const).map(engine => [file, engine] as const)))('%s replays without a difference on %s', (file, engine) => {
    expect(replayNested(readRecording(file), engine)).toEqual([]);
  });

  it('differ, in both modes, where the recording is changed: in the result, and in an entry afterwards', () => {
    for (const change of [(row: Record<string, unknown>) => { row['result'] = { pa: '0x1' }; }, (row: Record<string, unknown>) => {
      ((row['after'] as { nested: string[] }).nested)[0] = '0x1';
    }]) expect(replayNested(readRecording(spoiled(change))).map(d => d.line)).toEqual([3, 3]);
  });

  it.each(['cr3', 'ncr3', 'guest', 'nested', 'result', 'after', 'gva'])('without %s are refused with the line', field => {
    const file = spoiled(row => { delete row[field]; });
    expect(() => replayNested(readRecording(file))).toThrow(InputError);
    expect(() => replayNested(readRecording(file))).toThrow(/line 3/);
  });
});
