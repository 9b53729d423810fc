import { expect, it, vi } from 'vitest';
import { attach, type Accelerator } from '../../src/accel/engine.ts';
import { replayPaging } from '../../src/conformance/paging.ts';
import { findRecordings, readRecording } from '../../src/conformance/recording.ts';
import type { Views } from '../../src/memory/views.ts';

const engines = new Map<Views, Accelerator>();
let calls = 0;

vi.mock('../../src/machine/span.ts', async original => ({
  ...await original<object>(),
  access: (s: Views, v: number, hi: number, lo: number, kind: number) => {
    let engine = engines.get(s);
    if (engine === undefined) engines.set(s, engine = attach(s)!);
    calls++;
    return engine.access(v * 4, hi, lo, kind);
  },
}));

it.each(findRecordings('test/conformance/paging'))('the wasm engine gives the recorded outcomes of %s', file => {
  const recording = readRecording(file);
  calls = 0;
  expect(replayPaging(recording)).toEqual([]);
  expect(calls).toBeGreaterThan(recording.rows.length);
});
