import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findRecordings, readRecording } from '../../src/conformance/recording.ts';
import { replayXen } from '../../src/conformance/xen.ts';

const HEADS = 'test/conformance/xen';
const WHOLE = '../shared/conformance/xen';
/** One of each family that replays whole; `npm run conformance` replays all. */
const FILES = ['pv64-mmu-7', 'pv32-mmu-6', 'pv64-memory-9', 'pv32-memory-2'];
/** ... and those where preemption shows: in the arguments of a multicall's list, in tables of which only one of three is refused. */
const PREEMPTED = ['pv32-mmu-5', 'pv64-cross-10'];
const OPERATIONS = 899;

describe.each(findRecordings(HEADS))('the beginning of %s', file => {
  const recording = readRecording(file);

  it('is as it was copied', () => expect(recording.rows.length).toBe(OPERATIONS));

  it.each(['ts', 'wasm'] as const)('replays without difference in the %s engine, audited after every operation', engine => {
    expect(replayXen(recording, { engine, audit: 1 })).toEqual([]);
  }, 60_000);

  it('replays when every call is preempted after each entry', () => {
    expect(replayXen(recording, { engine: 'ts', preempt: 1, audit: 25 })).toEqual([]);
  }, 60_000);

  it('tells of a result that is not the recorded one', () => {
    const k = recording.rows.findIndex(({ row }) => row['op'] === 'hypercall' && row['nr'] === 26);
    const rows = recording.rows.map((r, n) => (n === k ? { ...r, row: { ...r.row, ret: -1 } } : r));
    const differences = replayXen({ ...recording, rows }, { engine: 'ts' });
    expect(differences.map(d => [d.line, d.expected])).toEqual([[recording.rows[k].line, '-1']]);
  });
});

describe.runIf(existsSync(WHOLE))('whole recordings', () => {
  it.each(FILES)('%s replays without difference', name => {
    const file = `${WHOLE}/${name}.jsonl.gz`;
    expect(replayXen(readRecording(file), { engine: 'auto', audit: 500 })).toEqual([]);
  }, 60_000);

  it.each(PREEMPTED)('%s replays without difference, preempted', name => {
    expect(replayXen(readRecording(`${WHOLE}/${name}.jsonl.gz`), { engine: 'auto', preempt: 1, audit: 500 })).toEqual([]);
  }, 60_000);

  it('of a preempted list arguments are forgiven, nothing else', () => {
    const recording = readRecording(`${WHOLE}/${PREEMPTED[0]}.jsonl.gz`);
    const k = recording.rows.findIndex(({ row }, n) => row['op'] === 'read' && recording.rows[n - 1]?.row['nr'] === 13), { line, row } = recording.rows[k]!;
    const changed = { line, row: { ...row, bytes: `ff${(row['bytes'] as string).slice(2)}` } };
    expect(replayXen({ ...recording, rows: [...recording.rows.slice(0, k), changed] }, { engine: 'auto', preempt: 1 })).toHaveLength(1);
  }, 60_000);
});
