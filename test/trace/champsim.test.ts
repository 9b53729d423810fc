import { describe, expect, test } from 'vitest';

import { ChampsimDecoder } from '../../src/trace/champsim-decoder.ts';
import { recordBytes, recordChunks } from './recording.ts';

/** A record of struct input_instr, written the long way. */
function instruction(ip: bigint, loads: bigint[] = [], stores: bigint[] = [], branch = 0, taken = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setBigUint64(0, ip, true);
  view.setUint8(8, branch);
  view.setUint8(9, taken);
  for (let register = 10; register < 16; register++) view.setUint8(register, 200 + register);
  stores.forEach((address, i) => view.setBigUint64(16 + 8 * i, address, true));
  loads.forEach((address, i) => view.setBigUint64(32 + 8 * i, address, true));
  return new Uint8Array(view.buffer);
}

const RECORDS = [
  instruction(0x401000n, [], [], 1, 1),
  instruction(0x401ffen, [0x7ffc_0000_1000n, 0n, 0n, 0x10n], [0n, 0x2ffdn]),
  instruction(0xffff_ffff_8000_0000n, [1n, 2n, 3n, 4n], [5n, 6n]),
];
const EXPECTED = {
  accesses: [
    '2 4 000401000',
    '2 2 000401ffe', '0 8 7ffc00001000', '0 8 000000010', '1 3 000002ffd',
    '2 4 ffffffff80000000', '0 8 000000001', '0 8 000000002', '0 8 000000003', '0 8 000000004', '1 8 000000005',
    '1 8 000000006',
  ],
  events: [],
};

describe('ChampSim records', () => {
  test('fetch, loads, stores; unused addresses are none; sizes end with the page', async () => {
    expect(await recordBytes(Buffer.concat(RECORDS))).toEqual(EXPECTED);
  });

  test('records split between chunks at every byte', async () => {
    const bytes = Buffer.concat(RECORDS);
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = [bytes.subarray(0, at), bytes.subarray(at)];
      expect(await recordChunks(chunks, new ChampsimDecoder('test', false)), `split at ${at}`).toEqual(EXPECTED);
    }
  });

  test('more accesses than a batch holds', async () => {
    const { accesses } = await recordBytes(Buffer.concat(Array.from({ length: 10_000 }, () => RECORDS).flat()));
    expect(accesses).toHaveLength(120_000);
    expect(accesses.slice(-12)).toEqual(EXPECTED.accesses);
  });

  test('a cut record names itself and its length', async () => {
    const bytes = Buffer.concat(RECORDS).subarray(0, 150);
    const reading = recordBytes(bytes, { format: 'champsim' });
    await expect(reading).rejects.toThrow('test: record 3: expected a record of 64 bytes, got 22 bytes');
  });

  test.each([
    ['flag 2', instruction(0x401000n, [], [], 2)],
    ['taken 7', instruction(0x401000n, [], [], 0, 7)],
    ['no address', instruction(0n)],
  ])('%s is malformed', async (_, record) => {
    const bytes = Buffer.concat([RECORDS[0], record, RECORDS[1]]);
    const reading = recordBytes(bytes, { format: 'champsim' });
    await expect(reading).rejects.toThrow('test: record 2: expected an instruction at an address');
    const { accesses } = await recordBytes(bytes, { format: 'champsim', skipBad: true });
    expect(accesses).toEqual(EXPECTED.accesses.slice(0, 5));
  });
});
