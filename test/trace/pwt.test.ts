import { describe, expect, test } from 'vitest';

import { ConfigError, InputError } from '../../src/errors.ts';
import { crc32ByTable } from '../../src/memory/crc32.ts';
import { crc32 } from '../../src/trace/crc32.ts';
import { PwtDecoder } from '../../src/trace/pwt-decoder.ts';
import { PwtWriter } from '../../src/trace/pwt-writer.ts';
import { access, difference, drain, randomTrace, recordBytes, recordChunks, seeded, written } from './recording.ts';
import type { Recording } from './recording.ts';

/** Bytes of a frame. */
const FRAME = 36;

/** A fetch and loads that walk on, `period` accesses in all, again and again. */
function loop(count: number, period: number): string[] {
  const one = (i: number): string => (i % period === 0 ? access(2, 4, 0x401000n) : access(0, 8, BigInt(8 * i)));
  return Array.from({ length: count }, (_, i) => one(i));
}

/** Two blocks, the second with one access and events: few bytes, with something in every section. */
function smallTrace(): Recording {
  const accesses = loop(1 << 16, 3);
  const far = ['3 65535 ffffffffffffffff', '1 1 000000000', '2 15 7fffffffffff', '0 16 8000000000000000'];
  accesses.splice(100, 4, ...far);
  const pid = 77;
  const events = [
    { at: 0, pid, nr: 12, name: 'brk', args: [0n], result: 0x4035000n, child: undefined },
    { at: 1 << 16, pid, nr: 58, name: 'fork', args: [], result: 78n, child: 78 },
    { at: (1 << 16) + 1, pid, nr: 11, name: 'munmap', args: [(1n << 64n) - 1n, -1n], result: -22n, child: undefined },
    { at: (1 << 16) + 1, pid, nr: 61, name: 'wait4', args: [1n, 2n, 3n], result: undefined, child: undefined },
  ];
  return { accesses: [...accesses, '1 2 000000002'], events };
}

function sectionBytes(view: DataView, frame: number): number {
  return [12, 16, 20, 24, 28].reduce((sum, at) => sum + view.getUint32(frame + at, true), 0);
}

/** The file with every checksum made right again, as far as frames can be followed. */
function resealed(bytes: Uint8Array): Uint8Array {
  const sealed = Uint8Array.from(bytes);
  const view = new DataView(sealed.buffer);
  for (let at = 8; at + FRAME <= sealed.length; ) {
    const end = view.getUint32(at, true) === 0x45545750;
    const sections = end ? 0 : sectionBytes(view, at);
    if (at + FRAME + sections > sealed.length) break;
    const body = sealed.subarray(at + FRAME, at + FRAME + sections);
    view.setUint32(at + 32, crc32(body, crc32(sealed.subarray(at, at + 32))), true);
    at += FRAME + sections;
  }
  return sealed;
}

describe('round trip', () => {
  test('two blocks, extreme values, events at both ends', async () => {
    const trace = smallTrace();
    expect(difference(await recordBytes(await written(trace, PwtWriter)), trace)).toBeUndefined();
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('random trace %i, in batches of any size', async (seed) => {
    const random = seeded(seed);
    const trace = randomTrace(seed, 1 + random(100_000));
    const bytes = await written(trace, PwtWriter, 1 + random(70_000));
    expect(difference(await recordBytes(bytes), trace)).toBeUndefined();
  });

  test('noise: nothing can be foreseen, sections stay within their limits', async () => {
    const random = seeded(99);
    const accesses = Array.from({ length: 140_000 }, () => {
      const address = (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
      return access(random(4), 1 + random(65535), address);
    });
    const trace = { accesses, events: [] };
    expect(difference(await recordBytes(await written(trace, PwtWriter)), trace)).toBeUndefined();
  });

  test('more events than a block holds', async () => {
    const event = { pid: 1, nr: 12, name: 'brk', args: [0n], result: 1n, child: undefined };
    const events = Array.from({ length: 3000 }, (_, i) => ({ ...event, at: i < 2500 ? 0 : 1 }));
    const trace = { accesses: ['2 4 000401000'], events };
    expect(difference(await recordBytes(await written(trace, PwtWriter)), trace)).toBeUndefined();
  });

  test('the same trace makes the same bytes, whatever its batches', async () => {
    const trace = randomTrace(11, 5000);
    expect(await written(trace, PwtWriter, 7)).toEqual(await written(trace, PwtWriter, 5000));
  });

  test('a loop takes next to nothing', async () => {
    expect((await written({ accesses: loop(600_000, 2), events: [] }, PwtWriter)).length).toBeLessThan(1000);
  });

  test('chunks split at every byte', async () => {
    const bytes = await written(randomTrace(12, 60), PwtWriter);
    const expected = randomTrace(12, 60);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await recordChunks(chunks, new PwtDecoder('test', false)), `split at ${at}`).toEqual(expected);
    }
  });
});

describe('what is written must be sound', () => {
  const event = { at: 0, pid: 1, nr: 12, name: 'brk', args: [0n], result: 1n, child: undefined };
  test.each([
    ['size 0', { accesses: ['2 0 000401000'], events: [] }],
    ['argument of 65 bits', { accesses: [], events: [{ ...event, args: [1n << 64n] }] }],
    ['negative pid', { accesses: [], events: [{ ...event, pid: -1 }] }],
    ['fractional child', { accesses: [], events: [{ ...event, child: 1.5 }] }],
    ['endless name', { accesses: [], events: [{ ...event, name: 'x'.repeat(256) }] }],
    ['16 arguments', { accesses: [], events: [{ ...event, args: Array.from({ length: 16 }, () => 0n) }] }],
  ])('%s is refused', async (_, trace) => {
    await expect(written(trace as Recording, PwtWriter)).rejects.toThrow(ConfigError);
  });

  test('a trace without accesses is written, but not read', async () => {
    const bytes = await written({ accesses: [], events: [event] }, PwtWriter);
    await expect(recordBytes(bytes)).rejects.toThrow('test: end: expected at least one access, got none');
  });
});

describe('damage', () => {
  test('truncated at any length', async () => {
    const bytes = await written(smallTrace(), PwtWriter);
    expect(bytes.length).toBeLessThan(1000);
    for (let length = 0; length < bytes.length; length++) {
      const reading = drain(bytes.subarray(0, length), { format: 'pwt' });
      await expect(reading, `length ${length}`).rejects.toThrow(InputError);
    }
  }, 60_000);

  test('any byte flipped', async () => {
    const bytes = await written(smallTrace(), PwtWriter);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] ^= 1 << (at % 8);
      const reading = drain(flipped, { format: 'pwt', skipBad: at % 2 === 0, engine: at % 4 < 2 ? 'ts' : 'wasm' });
      await expect(reading, `byte ${at}`).rejects.toThrow(InputError);
    }
  }, 60_000);

  test('blocks lost, repeated or out of order', async () => {
    const bytes = await written(randomTrace(13, 3 * 65536), PwtWriter);
    const starts = [8];
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let block = 0; block < 3; block++) {
      const at = starts[block];
      starts.push(at + FRAME + sectionBytes(view, at));
    }
    const parts = [bytes.subarray(0, 8), ...starts.map((at, i) => bytes.subarray(at, starts[i + 1] ?? bytes.length))];
    for (const order of [[0, 1, 2, 4], [0, 1, 2, 2, 3, 4], [0, 2, 1, 3, 4, 4], [0, 1, 2, 3], [1, 2, 3, 4]]) {
      const reading = recordBytes(Buffer.concat(order.map((i) => parts[i])), { format: 'pwt' });
      await expect(reading, order.join()).rejects.toThrow(InputError);
    }
    const whole = await recordBytes(Buffer.concat(parts));
    expect(difference(whole, randomTrace(13, 3 * 65536))).toBeUndefined();
  }, 60_000);

  test('a block lost from a trace without events', async () => {
    const bytes = await written({ accesses: loop(1 << 17, 3), events: [] }, PwtWriter);
    const second = 8 + FRAME + sectionBytes(new DataView(bytes.buffer, bytes.byteOffset), 8);
    const reading = drain(Buffer.concat([bytes.subarray(0, second), bytes.subarray(-FRAME)]), { format: 'pwt' });
    const expected = 'expected 131072 accesses and 0 events before the end marker, got 65536 and 0';
    await expect(reading).rejects.toThrow(`test: byte ${second}: ${expected}`);
  });

  test('messages say where and what', async () => {
    const bytes = await written(smallTrace(), PwtWriter);
    const changed = (at: number, value: number): Uint8Array => Object.assign(Uint8Array.from(bytes), { [at]: value });
    const message = (data: Uint8Array): Promise<string> => recordBytes(data, { format: 'pwt' }).then(
      () => 'none', (error: Error) => error.message,
    );
    expect(await message(changed(7, 1))).toBe('test: byte 0: expected pwt version 2, got version 1');
    expect(await message(changed(1, 0x51))).toMatch(/^test: byte 0: expected the magic number of a pwt file, got "/);
    expect(await message(changed(48, 255))).toBe('test: byte 8: expected bytes that match their checksum, got others');
    const cut = /^test: byte 8: expected a block or the end marker, got the end of the file after 12 bytes$/;
    expect(await message(bytes.subarray(0, 20))).toMatch(cut);
    expect(await message(Buffer.concat([bytes, bytes]))).toMatch(/expected the end of the file after the end marker/);
  });

  test('hostile bytes under right checksums fail or read, and end', async () => {
    const bytes = await written(randomTrace(14, 300), PwtWriter);
    const random = seeded(15);
    let failed = 0;
    for (let round = 0; round < 600; round++) {
      const hostile = Uint8Array.from(bytes);
      for (let i = 1 + random(4); i > 0; i--) hostile[8 + random(hostile.length - 8)] = random(256);
      await drain(resealed(hostile), { format: 'pwt', engine: round % 2 === 0 ? 'ts' : 'wasm' }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(InputError);
        failed++;
      });
    }
    expect(failed).toBeGreaterThan(100);
  }, 60_000);

  test('empty blocks do not end a trace', async () => {
    const bytes = await written({ accesses: ['2 4 000401000'], events: [] }, PwtWriter);
    const empty = new Uint8Array(FRAME);
    new DataView(empty.buffer).setUint32(0, 0x42545750, true);
    const many = Array.from({ length: 1000 }, () => empty);
    const file = resealed(Buffer.concat([bytes.subarray(0, 8), ...many, bytes.subarray(8)]));
    expect((await recordBytes(file)).accesses).toEqual(['2 4 000401000']);
  });
});

test.each([['', crc32], [' by table', crc32ByTable]])('crc32%s is that of gzip', (_, sum) => {
  expect(sum(Buffer.from('123456789'))).toBe(0xcbf43926);
  expect(sum(Buffer.from('6789'), sum(Buffer.from('12345')))).toBe(0xcbf43926);
});
