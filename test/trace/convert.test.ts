import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ConfigError, InputError } from '../../src/errors.ts';
import { convertTrace } from '../../src/trace/convert.ts';
import type { WritableFormat } from '../../src/trace/convert.ts';
import { LackeyWriter } from '../../src/trace/lackey-writer.ts';
import { openTrace } from '../../src/trace/open.ts';
import { difference, randomTrace, record, stream, written } from './recording.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pagewalk-convert-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const TRACE = randomTrace(21, 150_000);

describe('conversion', () => {
  test.each(['a.pwt', 'a.pwt.gz', 'a.lackey', 'a.lackey.gz'])('to %s keeps everything', async (name) => {
    const target = join(folder, name);
    const result = await convertTrace(await openTrace(stream(await written(TRACE, LackeyWriter))), target);
    expect(difference(await record(await openTrace(target)), TRACE)).toBeUndefined();
    const file = await readFile(target);
    const bytes = name.endsWith('.gz') ? gunzipSync(file).length : file.length;
    const format = name.split('.')[1];
    expect(result).toEqual({ format, accesses: 150_000, events: TRACE.events.length, bytes });
    expect(await readdir(folder)).toEqual([name]);
  });

  test('format given, name without one', async () => {
    const target = join(folder, 'trace');
    await convertTrace(await openTrace(stream('2 401000\n')), target, { format: 'din' });
    expect(await readFile(target, 'latin1')).toBe('2 401000\n');
  });

  test('a limit cuts after that many accesses, with the events before the cut', async () => {
    const target = join(folder, 'a.pwt');
    await convertTrace(await openTrace(stream(await written(TRACE, LackeyWriter))), target, { limit: 70_001 });
    const events = TRACE.events.filter(({ at }) => at <= 70_001);
    const expected = { accesses: TRACE.accesses.slice(0, 70_001), events };
    expect(difference(await record(await openTrace(target)), expected)).toBeUndefined();
  });
});

describe('failure leaves nothing behind', () => {
  test('bad input: the target stays as it was', async () => {
    const target = join(folder, 'a.pwt');
    await writeFile(target, 'old');
    const text = `${'I  00401000,4\n'.repeat(100_000)}bad\n`;
    await expect(convertTrace(await openTrace(stream(text)), target)).rejects.toThrow(InputError);
    expect(await readFile(target, 'latin1')).toBe('old');
    expect(await readdir(folder)).toEqual(['a.pwt']);
  });

  test('a place that cannot be written', async () => {
    const target = join(folder, 'missing', 'a.pwt');
    const source = stream('I  00401000,4\n'.repeat(100_000));
    const converting = convertTrace(await openTrace(source), target);
    await expect(converting).rejects.toThrow(ConfigError);
    await expect(converting).rejects.toThrow('target: expected a file that can be written (ENOENT');
    expect(source.destroyed).toBe(true);
    expect(await readdir(folder)).toEqual([]);
  });

  test('a folder, before anything is read', async () => {
    const source = stream('nothing that is a trace\n'.repeat(100_000)), reader = await openTrace(source, { format: 'lackey' });
    await expect(convertTrace(reader, folder, { format: 'pwt' })).rejects.toThrow('target: expected a file that can be written (EISDIR');
    expect(source.destroyed).toBe(true);
  });

  test.each([
    ['a.txt', undefined, 'target: expected a name ending in .pwt, .lackey, .din'],
    ['pwt', undefined, 'target: expected a name'],
    ['a.pwt', 'champsim', 'format: expected pwt, lackey, din, got "champsim"'],
  ])('%s as %s cannot be written', async (name, format, message) => {
    const source = stream('I  00401000,4\n');
    const options = format === undefined ? {} : { format: format as WritableFormat };
    const converting = convertTrace(await openTrace(source), join(folder, name), options);
    await expect(converting).rejects.toThrow(ConfigError);
    await expect(converting).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual([]);
  });
});
