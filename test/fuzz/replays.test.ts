/** What fuzzing begins with, and all that it ever found: each holds, hypercalls in both engines, checked after every operation. */
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readRecorded, recordedFiles } from '../../fuzz/corpus.ts';
import { fitted } from '../../fuzz/input.ts';
import { Notes } from '../../fuzz/target.ts';
import { TARGETS, targetOf } from '../../fuzz/targets/all.ts';

const files = [...recordedFiles('fuzz/corpus'), ...recordedFiles('fuzz/regressions')];

it.each(files)('%s', async file => {
  const { target: name, input } = readRecorded(file), target = targetOf(name);
  await target.run(fitted(input, target.headBytes, target.recordBytes), new Notes(), true);
});

it('has a history for each advisory that is re-enacted', () => {
  const advisories = readdirSync('test/xsa').flatMap(name => /^(xsa-\d+)\.test\.ts$/.exec(name)?.[1] ?? []);
  expect(files.map(file => /xsa-\d+(?=\.fuzz$)/.exec(file)?.[0]).filter(name => name !== undefined).sort()).toEqual(advisories.sort());
});

it.each(TARGETS.map(target => [target.name, target] as const))('%s comes to the same twice', async (_, target) => {
  let x = target.name.length * 7919 + 1;
  const byte = (): number => ((x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 16) & 0xff;
  const input = { head: Uint8Array.from({ length: target.headBytes }, byte), records: Array.from({ length: 12 }, () => Uint8Array.from({ length: target.recordBytes }, byte)) };
  const made = async (): Promise<readonly [number, readonly number[]]> => {
    const notes = new Notes();
    return [await target.run(input, notes, false), [...notes.take()]];
  };
  expect(await made()).toEqual(await made());
  target.end?.();
});
