import { describe, expect, test } from 'vitest';

import { DinDecoder } from '../../src/trace/din-decoder.ts';
import { DinWriter } from '../../src/trace/din-writer.ts';
import { difference, randomTrace, recordBytes, recordChunks, written } from './recording.ts';

const SAMPLE = '2 0\n0 1000 and a comment\n\n 1\t0x7fffdeadbeef 8\n3 5\n4 0\n2 FFFFffffFFFFffff\n';
const EXPECTED = {
  accesses: ['2 4 000000000', '0 4 000001000', '1 4 7fffdeadbeef', '2 4 ffffffffffffffff'],
  events: [],
};

describe('din text', () => {
  test('reads, writes and fetches of 4 bytes; escape records and comments passed over', async () => {
    expect(await recordBytes(SAMPLE)).toEqual(EXPECTED);
  });

  test('CRLF line endings, and lines split between chunks at every byte', async () => {
    const bytes = Buffer.from(SAMPLE.replaceAll('\n', '\r\n'));
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await recordChunks(chunks, new DinDecoder('test', false)), `split at ${at}`).toEqual(EXPECTED);
    }
  });

  test.each([
    '5 1000', '0', '0 ', '0 10g0', '01000', '0 12345678901234567', '-1 0', 'x 0', '0 0x', '22 1000', '0,1000',
  ])('%j is malformed', async (line) => {
    await expect(recordBytes(`2 0\n${line}\n`)).rejects.toThrow('test: line 2: expected "LABEL ADDRESS"');
    expect((await recordBytes(`2 0\n${line}\n0 8\n`, { skipBad: true })).accesses).toHaveLength(2);
  });

  test('only escape records: an error', async () => {
    await expect(recordBytes('4 0\n')).rejects.toThrow('expected at least one access');
  });

  test('what DinWriter writes comes back without sizes and calls, a modify as a read and a write', async () => {
    const trace = randomTrace(2, 70_000);
    const accesses = trace.accesses.flatMap((access) => {
      const [kind, , address] = access.split(' ');
      return kind === '3' ? [`0 4 ${address}`, `1 4 ${address}`] : [`${kind} 4 ${address}`];
    });
    const read = await recordBytes(await written(trace, DinWriter));
    expect(difference(read, { accesses, events: [] })).toBeUndefined();
  });
});
