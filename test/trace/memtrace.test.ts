import { describe, expect, test } from 'vitest';

import { MemtraceDecoder } from '../../src/trace/memtrace-decoder.ts';
import { recordBytes, recordChunks } from './recording.ts';

const RULE = '-'.repeat(60);
const SAMPLE = `Output format:
<--record#-> <--instr#->: <---tid---> <record details>
${RULE}
           1           0:      342625 <marker: version 6>
           2           0:      342625 <marker: tid 342625 on core 5>
           3           1:      342625 ifetch       3 byte(s) @ 0x00007f9a3c2d1090 48 89 e7             mov    %rsp, %rdi
           4           2:      342625 ifetch      10 byte(s) @ 0x00007f9a3c2d1093 48 b8 88 77 66 55 44 mov    $0x1, %rax
           4           2:      342625                                            33 22 11
           5           2:      342625 write        8 byte(s) @ 0x00007ffc3d9b8a18 by PC 0x00007f9a3c2d1093
           6           3:      342625 ifetch       2 byte(s) @ 0x00007f9a3c2d10a0 non-branch
           7           3:      342625 read       640 byte(s) @ 0xffffffffffffffff by PC 0x00007f9a3c2d10a0
           8           3:      342625 pref-r-L1    1 byte(s) @ 0x00007f9a3c2d10a0 by PC 0x00007f9a3c2d10a0
           9           3:      342625 dflush       1 byte(s) @ 0x00007f9a3c2d10a0 by PC 0x00007f9a3c2d10a0
${RULE}
          10           3:      342626 ifetch       2 byte(s) @ 0x00007f9a3c2d10a0 non-fetched instruction
          11           3:      342626 read         1 byte(s) @ 0x0000000000000000 by PC 0x00007f9a3c2d10a0
          12           3:      342626 <thread 342626 exited>
          13           3:      342626 <entry type 46>
View tool results:
              3 : total instructions
`;
const EXPECTED = {
  accesses: [
    '2 3 7f9a3c2d1090', '2 10 7f9a3c2d1093', '1 8 7ffc3d9b8a18', '2 2 7f9a3c2d10a0', '0 640 ffffffffffffffff',
    '0 1 000000000',
  ],
  events: [],
};

describe('drmemtrace view text', () => {
  test('fetches, reads and writes; everything else the tool prints is passed over', async () => {
    expect(await recordBytes(SAMPLE)).toEqual(EXPECTED);
  });

  test('the older form with one number and a T before the thread', async () => {
    const header = 'Output format:\n<record#>: T<tid> <record details>\n';
    const old = '      1: T342625 ifetch       3 byte(s) @ 0x00007f9a3c2d1090 non-branch\n';
    expect((await recordBytes(header + old)).accesses).toEqual(['2 3 7f9a3c2d1090']);
  });

  test('CRLF line endings, and lines split between chunks at every byte', async () => {
    const bytes = Buffer.from(SAMPLE.replaceAll('\n', '\r\n'));
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await recordChunks(chunks, new MemtraceDecoder('test', false)), `split at ${at}`).toEqual(EXPECTED);
    }
  });

  test.each([
    '3 1: 342625 ifetch  byte(s) @ 0x10', '3 1: 342625 ifetch 3 byte(s) @ 10', '3 1: 342625 ifetch 3 byte(s) @ 0xg',
    '3 1: 342625 ifetch 0 byte(s) @ 0x10', '3 1: 342625 ifetch 65536 byte(s) @ 0x10',
    '3 1: 342625 fetch 3 byte(s) @ 0x10',
    '3 1: 342625 ifetch 3 byte(s) @ 0x12345678901234567', '3 1 342625 ifetch 3 byte(s) @ 0x10', 'Hello, world!',
    '3 1: 342625 ifetch', '3 1: 342625 ifetch 3 byte(s) @ 0x10, 3', '3 1:',
  ])('%j is malformed', async (line) => {
    const text = `${SAMPLE.split('\n').slice(0, 6).join('\n')}\n${line}\n`;
    const reading = recordBytes(text, { format: 'memtrace' });
    await expect(reading).rejects.toThrow('test: line 7: expected a line of the drmemtrace view');
    expect((await recordBytes(text, { format: 'memtrace', skipBad: true })).accesses).toHaveLength(1);
  });

  test('markers only: an error', async () => {
    const text = SAMPLE.split('\n').slice(0, 5).join('\n');
    await expect(recordBytes(text)).rejects.toThrow('expected at least one access');
  });
});
