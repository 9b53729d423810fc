/** Opens a trace of any known format, gzipped or not. */
import type { Readable } from 'node:stream';

import { ConfigError, InputError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { TraceReader } from './batch.ts';
import { ByteSource } from './byte-source.ts';
import { ChampsimDecoder } from './champsim-decoder.ts';
import { DETECT_BYTES, detectFormat } from './detect.ts';
import { DinDecoder } from './din-decoder.ts';
import { LackeyDecoder } from './lackey-decoder.ts';
import { MemtraceDecoder } from './memtrace-decoder.ts';
import { PwtDecoder } from './pwt-decoder.ts';
import { StreamReader } from './stream-reader.ts';
import type { TraceDecoder } from './trace-decoder.ts';
import { TRACE_FORMATS } from './trace-format.ts';
import type { TraceFormat } from './trace-format.ts';

/** How to open a trace; all optional. */
export interface OpenOptions {
  /** What messages call the input; its path, or `stream`, by default. */
  readonly name?: string;
  /** Format, where the first bytes do not tell. */
  readonly format?: TraceFormat;
  /** Pass over malformed records and count them (`skipped`) instead of failing. */
  readonly skipBad?: boolean;
  /** What decodes where there is a choice; it changes the time, not the accesses. Default `auto`. */
  readonly engine?: EngineChoice | undefined;
}

const DECODERS: Readonly<Record<TraceFormat, new (file: string, skipBad: boolean, engine?: EngineChoice) => TraceDecoder>> = {
  lackey: LackeyDecoder,
  champsim: ChampsimDecoder,
  memtrace: MemtraceDecoder,
  din: DinDecoder,
  pwt: PwtDecoder,
};

/**
 * Opens a trace. Gzip is recognized and undone; memory stays constant however long the trace.
 *
 * The reader's `next()` fails with an `InputError` at the first malformed record, naming file, line (record, byte) and
 * what was expected, and at the end of a trace without accesses.
 *
 * @param source - path of a file, or a stream of bytes
 * @throws InputError - the file cannot be read, or is of no known format
 * @throws ConfigError - no such format
 */
export async function openTrace(source: string | Readable, options: OpenOptions = {}): Promise<TraceReader> {
  const { format, skipBad = false } = options;
  if (format !== undefined && !TRACE_FORMATS.includes(format)) {
    throw new ConfigError('format', TRACE_FORMATS.join(', '), format);
  }
  const name = options.name ?? (typeof source === 'string' ? source : 'stream');
  const bytes = await ByteSource.open(source, name);
  try {
    const head = new Uint8Array(DETECT_BYTES);
    let length = 0;
    let whole = false;
    while (length < head.length && !whole) {
      const filled = await bytes.fill(head, length);
      length += filled;
      whole = filled === 0;
    }
    if (length === 0) throw new InputError(name, 'end', 'at least one access', 'an empty file');
    const start = head.subarray(0, length);
    const decoder = new DECODERS[format ?? detectFormat(start, whole, name)](name, skipBad, options.engine);
    return new StreamReader(bytes, decoder, name, start);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}
