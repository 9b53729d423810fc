/** Opens a trace of any known format, gzipped or not. */
import type { Readable } from 'node:stream';

import { ConfigError, InputError } from '../errors.ts';
import type { TraceReader } from './batch.ts';
import { ByteSource } from './byte-source.ts';
import { LackeyDecoder } from './lackey-decoder.ts';
import { StreamReader } from './stream-reader.ts';
import type { TraceDecoder } from './trace-decoder.ts';
import { TRACE_FORMATS } from './trace-format.ts';
import type { TraceFormat } from './trace-format.ts';

export interface OpenOptions {
  /** What messages call the input; the path by default. */
  readonly name?: string;
  /** Format, where the first bytes do not tell. */
  readonly format?: TraceFormat;
  /** Pass over malformed records and count them instead of failing. */
  readonly skipBad?: boolean;
}

export async function openTrace(source: string | Readable, options: OpenOptions = {}): Promise<TraceReader> {
  const name = options.name ?? (typeof source === 'string' ? source : 'stream');
  const bytes = await ByteSource.open(source, name);
  return new StreamReader(bytes, new LackeyDecoder(name, options.skipBad ?? false), name, new Uint8Array(0));
}
