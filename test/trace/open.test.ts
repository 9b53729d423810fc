import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ConfigError, InputError } from '../../src/errors.ts';
import { openTrace } from '../../src/trace/open.ts';
import { record, recordBytes, seeded } from './recording.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pagewalk-open-'));
});
afterAll(async () => rm(folder, { recursive: true }));

const LACKEY = 'I  0401ab70,3\n S 1fff000648,8\n';
const ACCESSES = ['2 3 00401ab70', '1 8 1fff000648'];

function lackeyLines(count: number): string {
  return Array.from({ length: count }, (_, i) => `I  ${(0x401000 + i * 4).toString(16).padStart(8, '0')},4\n`).join('');
}

describe('format', () => {
  test.each([
    ['lackey', LACKEY], ['lackey', `==1== Lackey, an example Valgrind tool\n${LACKEY}`], ['lackey', `hello\n${LACKEY}`],
    ['din', '2 401000\n'], ['din', '0 0x7fff\r\n'],
    ['memtrace', 'Output format:\n'], ['memtrace', '  1  1:  77 ifetch  3 byte(s) @ 0x10 x\n'],
  ])('%s from %j', async (format, text) => {
    const reader = await openTrace(Readable.from([Buffer.from(text)]));
    expect(reader.format).toBe(format);
    await reader.close();
  });

  test('given format wins', async () => {
    await expect(recordBytes(LACKEY, { format: 'din' })).rejects.toThrow('line 1: expected "LABEL ADDRESS"');
  });

  test('an unknown format is the caller\'s mistake', async () => {
    await expect(recordBytes(LACKEY, { format: 'elf' as 'din' })).rejects.toThrow(ConfigError);
  });

  test('lines of two formats ask for one', async () => {
    const expected = 'test: start: expected lines of one format; name the format, got lines of lackey and din';
    await expect(recordBytes(`${LACKEY}2 401000\n`)).rejects.toThrow(expected);
  });

  test.each([
    ['text', 'Dear diary,\nnothing\n', 'line 1: expected a lackey, .* trace; name the format.*, got "Dear diary,"'],
    ['xz', Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), 'byte 0: expected .*, got xz data'],
    ['zip', Uint8Array.of(0x50, 0x4b, 3, 4), 'got a zip archive'],
    ['ELF', Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1), 'got an ELF executable'],
    ['zeros', new Uint8Array(640), 'byte 0: expected .*, got binary data'],
    ['nothing', new Uint8Array(0), 'end: expected at least one access, got an empty file'],
    ['gzipped nothing', gzipSync(''), 'end: expected at least one access, got an empty file'],
  ])('%s is none', async (_, bytes, message) => {
    await expect(recordBytes(bytes)).rejects.toThrow(InputError);
    await expect(recordBytes(bytes)).rejects.toThrow(new RegExp(`^test: .*${message}`));
  });

  test('random bytes are none, plain or gzipped', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seeded(seed * 7919);
      const junk = Uint8Array.from({ length: 1 + random(5000) }, () => random(256));
      await expect(recordBytes(junk)).rejects.toThrow(InputError);
      await expect(recordBytes(gzipSync(junk))).rejects.toThrow(InputError);
    }
  });

  test('random bytes never do anything but fail or read, whatever format they are said to have', async () => {
    for (const format of ['lackey', 'champsim', 'memtrace', 'din', 'pwt'] as const) {
      for (const skipBad of [false, true]) {
        const random = seeded(format.length);
        const junk = Uint8Array.from({ length: 3000 }, () => [10, 32, 48 + random(10), random(256)][random(4)]);
        const reading = recordBytes(junk, { format, skipBad });
        await reading.catch((error: unknown) => expect(error).toBeInstanceOf(InputError));
      }
    }
  });
});

describe('gzip', () => {
  test('is recognized, in several members and chunks of one byte', async () => {
    const bytes = Buffer.concat([gzipSync(LACKEY), gzipSync(LACKEY)]);
    const reader = await openTrace(Readable.from([...bytes].map((byte) => Uint8Array.of(byte))));
    expect((await record(reader)).accesses).toEqual([...ACCESSES, ...ACCESSES]);
    expect(reader.bytesRead).toBe(bytes.length);
  });

  test('truncated at every byte is an error that says so', async () => {
    const bytes = gzipSync(LACKEY);
    for (let length = 2; length < bytes.length; length++) {
      const reading = recordBytes(bytes.subarray(0, length));
      const expected = `test: byte ${length}: expected the rest of the gzip stream, got the end of the file`;
      await expect(reading, `length ${length}`).rejects.toThrow(expected);
    }
  });

  test('corrupt is an error', async () => {
    const bytes = gzipSync(lackeyLines(10_000));
    for (let at = 10; at < bytes.length; at += 97) {
      const corrupt = Uint8Array.from(bytes);
      corrupt[at] ^= 0x10;
      await expect(recordBytes(corrupt), `byte ${at}`).rejects.toThrow(InputError);
    }
  });
});

describe('input', () => {
  test('a file has a size, and bytes read up to it', async () => {
    const path = join(folder, 'a.lackey.gz');
    const bytes = gzipSync(lackeyLines(100_000));
    await writeFile(path, bytes);
    const reader = await openTrace(path);
    expect(reader.bytesTotal).toBe(bytes.length);
    expect((await record(reader)).accesses).toHaveLength(100_000);
    expect(reader.bytesRead).toBe(bytes.length);
    expect(await reader.next()).toBeUndefined();
  });

  test('a stream has none, and may give strings', async () => {
    const reader = await openTrace(Readable.from([LACKEY.slice(0, 9), LACKEY.slice(9)]));
    expect(reader.bytesTotal).toBeUndefined();
    expect((await record(reader)).accesses).toEqual(ACCESSES);
  });

  test('missing file, directory, failing stream', async () => {
    const missing = join(folder, 'missing');
    await expect(openTrace(missing)).rejects.toThrow(`${missing}: open: expected a file, got no such file`);
    await expect(openTrace(folder)).rejects.toThrow('expected a file, got a directory');
    const failing = new Readable({ read() { this.destroy(new Error('cable cut')); } });
    const expected = 'test: open: expected readable input, got cable cut';
    await expect(openTrace(failing, { name: 'test' })).rejects.toThrow(expected);
  });

  test('an error in the middle closes the stream and ends the trace', async () => {
    const source = Readable.from(['I  0401ab70,3\n', 'x\n'.repeat(100_000)]);
    const reader = await openTrace(source);
    await expect(reader.next()).rejects.toThrow('stream: line 2: expected');
    expect(source.destroyed).toBe(true);
    expect(await reader.next()).toBeUndefined();
  });

  test('close releases the stream early and may be repeated', async () => {
    const source = Readable.from(Array.from({ length: 1000 }, () => Buffer.from(lackeyLines(1000))));
    const reader = await openTrace(source);
    await reader.next();
    await reader.close();
    await reader.close();
    expect(source.destroyed).toBe(true);
    expect(await reader.next()).toBeUndefined();
  });

  test.each([false, true])('no more than a few chunks are taken ahead (gzip: %s)', async (gzip) => {
    const part = lackeyLines(20_000);
    let given = 0;
    function* parts(): Generator<Uint8Array> {
      for (; given < 60; given++) yield gzip ? gzipSync(part, { level: 0 }) : Buffer.from(part);
    }
    const reader = await openTrace(Readable.from(parts(), { highWaterMark: 1 }));
    await reader.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(given).toBeLessThan(20);
    expect((await record(reader)).accesses).toHaveLength(60 * 20_000 - 65_536);
  });
});
