/**
 * Readers of traces: whatever the bytes are and however they come in pieces, a reader gives the same accesses or the same error, which names the
 * file and the place; and what a writer has written is read again as it was.
 */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ConfigError, InputError } from '../../src/errors.ts';
import { DinWriter } from '../../src/trace/din-writer.ts';
import { LackeyWriter } from '../../src/trace/lackey-writer.ts';
import { openTrace, type OpenOptions } from '../../src/trace/open.ts';
import { PwtWriter } from '../../src/trace/pwt-writer.ts';
import { TRACE_FORMATS, type TraceFormat } from '../../src/trace/trace-format.ts';
import { access, difference, record as recordTrace, written, type Recording } from '../../test/trace/recording.ts';
import { Finding, type Target } from '../target.ts';
import { Tape } from '../tape.ts';

const RECORD = 16, NAME = 'trace', CHAMPSIM_BYTES = 64;
const LINES = [
  '==1== Lackey, an example Valgrind tool', '==1==', 'SYSCALL[1,1](9) sys_mmap ( 0x0, 4096, 3, 34, -1, 0 ) --> [pre-success] Success(0x4000000)', 'SYSCALL[1,1](231) sys_exit_group ( 0 )',
  'Output format:', '<--record#-> <--instr#->: <---tid--->  <record details>', '------------------------------------------------------------', '', 'hello', '2', '0 zz', ' S 1fff000648', 'I  ,', '#eof',
];
const WRITERS = { pwt: PwtWriter, lackey: LackeyWriter, din: DinWriter } as const;
const tape = new Tape();

const hex = (): string => (tape.below(4) === 0 ? (tape.word() >>> 0).toString(16) : (0x401000 + tape.below(0x10000)).toString(16));
const digits = (): string => String(tape.below(5) === 0 ? tape.word() : 1 + tape.below(16));

/** A line of a format, mostly as it ought to be. */
function line(format: TraceFormat): string {
  switch (format) {
    case 'lackey': return `${['I ', ' S', ' L', ' M', 'X ', '  '][tape.below(6)]} ${hex().padStart(tape.below(3) * 4, '0')},${digits()}`;
    case 'din': return `${tape.below(4)} ${tape.below(3) === 0 ? '0x' : ''}${hex()}`;
    case 'memtrace': return `${String(tape.below(99)).padStart(12)} ${String(tape.below(99)).padStart(12)}: ${tape.below(9)} ${['ifetch', 'read', 'write', 'marker', '<marker: tid 1'][tape.below(5)]} ${digits().padStart(7)} byte(s) @ 0x${hex().padStart(16, '0')} by PC 0x${hex()}`;
    default: return LINES[tape.below(LINES.length)]!;
  }
}

/** The bytes that records stand for. */
function bytesOf(records: readonly Uint8Array[], format: TraceFormat): Buffer {
  const parts: Uint8Array[] = [];
  for (const record of records) {
    tape.load(record);
    const what = tape.below(16);
    if (what === 0) parts.push(record.subarray(1, 1 + tape.below(RECORD)));
    else if (what === 1) parts.push(Buffer.from(LINES[tape.below(LINES.length)]! + ['\n', '\r\n', ''][tape.below(3)]!));
    else if (what === 2) parts.push(new Uint8Array(tape.below(600)).fill(tape.byte()));
    else if (format === 'champsim' || format === 'pwt') parts.push(Uint8Array.from({ length: CHAMPSIM_BYTES }, (_, k) => (k % 8 < 4 || tape.below(8) === 0 ? tape.byte() : 0)));
    else parts.push(Buffer.from(`${line(format)}${tape.below(40) === 0 ? '\r\n' : '\n'}`));
  }
  return Buffer.concat(parts);
}

/** A trace of accesses, as its writer writes it. */
async function writtenTrace(records: readonly Uint8Array[], format: keyof typeof WRITERS): Promise<{ readonly bytes: Uint8Array; readonly trace: Recording }> {
  const accesses: string[] = [];
  let address = 0x401000n;
  for (const record of records) {
    tape.load(record);
    const step = [0n, 1n, 4n, 8n, 64n, -64n, 4096n, BigInt(tape.word())][tape.below(8)]!, times = 1 + (tape.below(4) === 0 ? tape.below(200) : 0), kind = tape.below(4), size = 1 + (tape.below(8) === 0 ? tape.below(65535) : tape.below(16));
    for (let k = 0; k < times; k++) {
      address = BigInt.asUintN(64, address + step);
      accesses.push(access(format === 'din' ? kind % 3 : kind, format === 'din' ? 1 : size, address));
    }
  }
  const trace: Recording = { accesses, events: [] };
  return { trace, bytes: await written(trace, WRITERS[format]) };
}

/** What a reader comes to: its accesses, or its error. @throws what is neither */
async function outcome(pieces: readonly Uint8Array[], options: OpenOptions): Promise<Recording | string> {
  try {
    const reader = await openTrace(Readable.from(pieces), { name: NAME, ...options });
    try {
      return await recordTrace(reader);
    } finally {
      await reader.close();
    }
  } catch (error) {
    if (!(error instanceof InputError || error instanceof ConfigError)) throw error;
    if (error instanceof InputError && !error.message.startsWith(`${NAME}: `)) throw new Finding(`an error that does not name the file: ${error.message}`);
    return error.message;
  }
}

/** The same bytes in pieces of lengths that the head chooses. */
function pieces(bytes: Uint8Array, head: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [], lengths = [1 + (head[4]! & 7), 1 + head[5]!, 1 + head[6]! * 17];
  for (let at = 0, k = 0; at < bytes.length; k++) {
    const length = lengths[k % 3]!;
    out.push(bytes.subarray(at, at + length));
    at += length;
  }
  return out;
}

function same(a: Recording | string, b: Recording | string, what: string): void {
  const apart = typeof a === 'string' || typeof b === 'string' ? (a === b ? undefined : { whole: typeof a === 'string' ? a : 'read', other: typeof b === 'string' ? b : 'read' }) : difference(a, b);
  if (apart) throw new Finding(`${what}: ${JSON.stringify(apart, (_, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v)).slice(0, 300)}`);
}

export const traces: Target = {
  name: 'traces', about: 'readers of every trace format: the same in any pieces and engine, errors that name the place, written traces read again', headBytes: 8, recordBytes: RECORD, most: 128,
  async run({ head, records }, notes) {
    const format = TRACE_FORMATS[head[0]! % TRACE_FORMATS.length]!, skipBad = (head[1]! & 1) !== 0, told = (head[1]! & 2) === 0, options: OpenOptions = { skipBad, ...(told ? { format } : {}) };
    let bytes: Uint8Array, expected: Recording | undefined;
    if ((head[2]! & 3) === 0 && format in WRITERS && records.length > 0) {
      const { bytes: whole, trace } = await writtenTrace(records, format as keyof typeof WRITERS);
      bytes = Uint8Array.from(whole);
      if (head[3]! === 0) expected = trace;
      else bytes[(head[3]! * 131 + head[7]! * 7) % bytes.length]! ^= head[3]!; // one byte is wrong
    } else bytes = bytesOf(records, format);
    const gzip = (head[2]! & 12) === 12, input = gzip ? gzipSync(bytes) : bytes, first = await outcome([input], options);
    if (expected) same(first, expected, `${format} is not read as it was written`);
    same(first, await outcome(pieces(input, head), options), `${format} in pieces`);
    same(first, await outcome([input], { ...options, engine: 'ts' }), `${format} by the TypeScript engine`);
    notes.note(head[0]! % TRACE_FORMATS.length, typeof first === 'string' ? [...first.replace(/[^a-zA-Z]+/g, '')].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 0) : first.accesses.length > 0 ? 1 : 2);
    return records.length;
  },
};
