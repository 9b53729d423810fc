import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';

import { InputError } from '../../src/errors.ts';
import { LackeyDecoder } from '../../src/trace/lackey-decoder.ts';
import { LackeyWriter } from '../../src/trace/lackey-writer.ts';
import { openTrace } from '../../src/trace/open.ts';
import { difference, randomTrace, record, recordBytes, recordChunks, written } from './recording.ts';

const SAMPLE = `==3389== Lackey, an example Valgrind tool
==3389== Command: ./a

I  0401ab70,3
 S 1fff000648,8
 L FFFFFFFFFFFFFFFF,1
 M 0,65535
SYSCALL[3389,1](9) sys_mmap ( 0x0, 8192, 3, 34, 4294967295, 0 ) --> [pre-success] Success(0x4835000)\x20
SYSCALL[3389,1](11) sys_munmap ( 0x3, 5 )[sync] --> Failure(0x16)\x20
SYSCALL[3389,1](257) sys_openat ( 4294967196, 0x40290b1(/etc/a, b(c)), 524288 ) --> [async] ...\x20
SYSCALL[3389,1](257) ... [async] --> Success(0x3)\x20
SYSCALL[3389,1](334) unimplemented (by the kernel) syscall: 334! (ni_syscall)
 --> [pre-fail] Failure(0x26)\x20
I  0401ab73,5
SYSCALL[3389,1](56) sys_clone ( 1200011, 0x0, 0x0, 0x4a27a10, 0x0 )   clone(fork): process 3389 created child 3393
 --> [pre-success] Success(0xd41)\x20
SYSCALL[3389,1](58) sys_fork ( )   fork: process 3389 created child 3394
SYSCALL[3389,1](61) sys_wait4 ( 4294967295, 0x0, 0, 0x0 ) --> [async] ...\x20
--3389-- a warning
**3389** a message
SYSCALL[3389,1](231) exit_group( 0 ) --> [pre-success] Success(0x0)\x20
==3389== Exit code:       0
`;

const event = (at: number, nr: number, name: string, args: bigint[], result?: bigint, child?: number): object =>
  ({ at, pid: 3389, nr, name, args, result, child });

const EXPECTED = {
  accesses: ['2 3 00401ab70', '1 8 1fff000648', '0 1 ffffffffffffffff', '3 65535 000000000', '2 5 00401ab73'],
  events: [
    event(4, 9, 'mmap', [0n, 8192n, 3n, 34n, 4294967295n, 0n], 0x4835000n),
    event(4, 11, 'munmap', [3n, 5n], -0x16n),
    event(4, 257, 'openat', [4294967196n, 0x40290b1n, 524288n]),
    event(5, 56, 'clone', [0x1200011n, 0n, 0n, 0x4a27a10n, 0n], 3393n, 3393),
    event(5, 58, 'fork', [], 3394n, 3394),
    event(5, 61, 'wait4', [4294967295n, 0n, 0n, 0n]),
    event(5, 231, 'exit_group', [0n]),
  ],
};

describe('lackey text', () => {
  test('accesses of every kind, system calls of every form, commentary passed over', async () => {
    expect(await recordBytes(SAMPLE)).toEqual(EXPECTED);
  });

  test('CRLF line endings change nothing', async () => {
    expect(await recordBytes(SAMPLE.replaceAll('\n', '\r\n'))).toEqual(EXPECTED);
  });

  test('a last line without newline counts', async () => {
    const { accesses } = await recordBytes('I  0401ab70,3\nI  0401ab73,5');
    expect(accesses).toEqual(['2 3 00401ab70', '2 5 00401ab73']);
  });

  test('lines split between chunks at every byte', async () => {
    const bytes = Buffer.from(SAMPLE);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await recordChunks(chunks, new LackeyDecoder('test', false)), `split at ${at}`).toEqual(EXPECTED);
    }
  });

  test('one byte a chunk', async () => {
    const chunks = [...Buffer.from(SAMPLE)].map((byte) => Uint8Array.of(byte));
    expect(await recordChunks(chunks, new LackeyDecoder('test', false))).toEqual(EXPECTED);
  });

  test('what LackeyWriter writes reads back the same', async () => {
    const trace = randomTrace(1, 200_000);
    expect(difference(await recordBytes(await written(trace, LackeyWriter)), trace)).toBeUndefined();
  });
});

describe('malformed lackey lines', () => {
  const bad = [
    'I  ,3', 'I  0401ab70', 'I  0401ab70,', 'I  0401ab70,0', 'I  0401ab70,65536', 'I  0401ab70,3 ', 'I  0401ag70,3',
    'I  0x401ab70,3', 'I  00000000000000001,3', 'I 0401ab70,3', ' L  0401ab70,3', ' X 0401ab70,3', 'hello', 'I',
    'I  0401ab70,-3', 'I  0401ab70,99999999999999999999', 'I  0401ab70,3\rI', ' L', '\0', '=3= no',
    'SYSCALL[1,1](9) sys_mmap ( oops ) --> Success(0x0)', 'SYSCALL[1](9) sys_brk ( 0x0 )',
    'SYSCALL[1,1](11) sys_munmap ( 0x1000 ) --> Success(0x0)',
    'SYSCALL[1,1](12) sys_brk ( 0x123456789012345678 ) --> Success(0x0)',
  ];

  test.each(bad)('%j is an error that names the line and shows it', async (line) => {
    const reading = recordBytes(`I  0401ab70,3\n\n${line}\nI  0401ab73,5\n`, { format: 'lackey' });
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(/^test: line 3: expected "I {2}ADDR,SIZE".*, got ".*"$/);
  });

  test.each(bad)('%j is passed over and counted with skipBad', async (line) => {
    const bytes = Buffer.from(`I  0401ab70,3\n${line}\nI  0401ab73,5\n`);
    const reader = await openTrace(Readable.from([bytes]), { format: 'lackey', skipBad: true });
    expect((await record(reader)).accesses).toEqual(['2 3 00401ab70', '2 5 00401ab73']);
    expect(reader.skipped).toBe(1);
  });

  test('a cut last line is malformed', async () => {
    await expect(recordBytes('I  0401ab70,3\nI  0401a')).rejects.toThrow('test: line 2: expected');
  });

  test('without any access: an error at the end', async () => {
    const text = 'SYSCALL[1,1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4035000) \n';
    await expect(recordBytes(text)).rejects.toThrow('test: end: expected at least one access, got none');
    const skipping = recordBytes('x\ny\n', { format: 'lackey', skipBad: true });
    await expect(skipping).rejects.toThrow('expected at least one access, got none, 2 malformed');
  });
});

describe('lines too long', () => {
  const MEGABYTES = 10;
  function* endless(): Generator<Uint8Array> {
    yield Buffer.from('I  0401ab70,3\n');
    for (let i = 0; i < MEGABYTES * 16; i++) yield new Uint8Array(1 << 16).fill(0x61);
    yield Buffer.from('\nI  0401ab73,5\n');
  }

  test('are an error long before their end', async () => {
    const reader = await openTrace(Readable.from(endless()), { name: 'test', format: 'lackey' });
    await expect(record(reader)).rejects.toThrow('test: line 2: expected a line of at most 65536 bytes, got "aaa');
    expect(reader.bytesRead).toBeLessThan(2 << 20);
  });

  test('are passed over with skipBad', async () => {
    const reader = await openTrace(Readable.from(endless()), { format: 'lackey', skipBad: true });
    expect((await record(reader)).accesses).toEqual(['2 3 00401ab70', '2 5 00401ab73']);
    expect(reader.skipped).toBe(1);
  });

  test('hostile system call lines are turned down quickly', async () => {
    for (const part of [')', '(', '0x1(', '--> Success(0x1', ' ', ', ', '--> ']) {
      const line = `SYSCALL[1,1](9) sys_mmap ( ${part.repeat(60_000 / part.length)}x`;
      await expect(recordBytes(`${line}\n`.repeat(4), { format: 'lackey' })).rejects.toThrow('test: line 1: expected');
    }
  });
});

test('countless system calls with nothing between come in bounded batches', async () => {
  const line = 'SYSCALL[1,1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4035000) \n';
  const reader = await openTrace(Readable.from([Buffer.from(`${line.repeat(5000)}I  0401ab70,3\n`)]));
  let most = 0;
  let all = 0;
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    most = Math.max(most, batch.events.length);
    all += batch.events.length;
  }
  expect(all).toBe(5000);
  expect(most).toBeLessThanOrEqual(1024);
});
