/** Writes a trace to a file in another format, whole or not at all. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { PassThrough } from 'node:stream';
import { createGzip } from 'node:zlib';

import { ConfigError } from '../errors.ts';
import type { TraceReader } from './batch.ts';
import { DinWriter } from './din-writer.ts';
import { LackeyWriter } from './lackey-writer.ts';
import { PwtWriter } from './pwt-writer.ts';
import { targetFile, type TargetFile } from './target-file.ts';
import type { ByteSink, TraceWriter } from './trace-writer.ts';

/** Formats that can be written. `din` loses sizes and system calls. */
export type WritableFormat = 'pwt' | 'lackey' | 'din';

/** All of `WritableFormat`. */
export const WRITABLE_FORMATS: readonly WritableFormat[] = ['pwt', 'lackey', 'din'];

const WRITERS: Readonly<Record<WritableFormat, new (sink: ByteSink) => TraceWriter>> = {
  pwt: PwtWriter,
  lackey: LackeyWriter,
  din: DinWriter,
};

interface Failure {
  readonly error: unknown;
}

/** How to convert a trace; all optional. */
export interface ConvertOptions {
  /** Format to write; by the target's extension (before `.gz`) by default. */
  readonly format?: WritableFormat;
  /** Stop after this many accesses. */
  readonly limit?: number;
}

/** What was written. */
export interface ConvertResult {
  readonly format: WritableFormat;
  readonly accesses: number;
  readonly events: number;
  /** Bytes written, before gzip. */
  readonly bytes: number;
}

/**
 * Writes all that the reader still has to the file `target` (`-`: standard output), gzipped if its name ends in `.gz`, and closes the reader.
 * The file appears under its name only when it is whole; see `targetFile()`.
 *
 * @throws ConfigError - no format given and none in the target's name, a format or file that cannot be written
 * @throws InputError - from the reader
 */
export async function convertTrace(
  reader: TraceReader, target: string, options: ConvertOptions = {},
): Promise<ConvertResult> {
  try {
    const format = options.format ?? formatOfName(target);
    if (!WRITABLE_FORMATS.includes(format)) throw new ConfigError('format', WRITABLE_FORMATS.join(', '), format);
    const { limit = Infinity } = options;
    if (!(limit > 0)) throw new ConfigError('limit', 'at least one access', limit);
    const file = await targetFile(target).catch((error: unknown) => { throw unwritable(target, error); });
    try {
      const result = await copy(reader, format, file, target.endsWith('.gz'), limit);
      await file.commit();
      return result;
    } catch (error) {
      await file.discard();
      throw unwritable(target, error);
    }
  } finally {
    await reader.close();
  }
}

function unwritable(target: string, error: unknown): unknown {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  return new ConfigError('target', `a file that can be written (${error.message})`, target);
}

/** The format that a file name stands for: `trace.pwt.gz` is `pwt`. @throws ConfigError - none */
export function formatOfName(name: string): WritableFormat {
  const extension = /\.([a-z]+)(?:\.gz)?$/.exec(name)?.[1];
  for (const format of WRITABLE_FORMATS) if (format === extension) return format;
  throw new ConfigError('target', `a name ending in .${WRITABLE_FORMATS.join(', .')}, or with .gz after it`, name);
}

async function copy(
  reader: TraceReader, format: WritableFormat, file: TargetFile, gzip: boolean, limit: number,
): Promise<ConvertResult> {
  const front = gzip ? createGzip({ level: 9 }) : new PassThrough();
  // Attached before anything is written, so that no error goes unheard.
  const written = pipeline(front, createWriteStream(file.path, file.open));
  const failed = written.then(() => undefined, (error: unknown) => ({ error }));
  let accesses = 0;
  let events = 0;
  let bytes = 0;
  const writer = new WRITERS[format](async (part) => {
    bytes += part.length;
    await put(front, part, failed);
  });
  try {
    while (accesses < limit) {
      const batch = await reader.next();
      if (batch === undefined) break;
      if (accesses + batch.count > limit) {
        const kept = limit - accesses;
        batch.count = kept;
        batch.events = batch.events.filter((event) => event.at <= kept);
      }
      accesses += batch.count;
      events += batch.events.length;
      await writer.write(batch);
    }
    await writer.end();
    front.end();
    await written;
  } catch (error) {
    front.destroy();
    await failed;
    throw error;
  }
  return { format, accesses, events, bytes };
}

/** Writes a copy of the bytes and waits for room. @param failed - why the stream was destroyed, if it was */
async function put(stream: Writable, bytes: Uint8Array, failed: Promise<Failure | undefined>): Promise<void> {
  if (!stream.destroyed) {
    if (!stream.write(Buffer.from(bytes))) await once(stream, 'drain');
    return;
  }
  const failure = await failed;
  if (failure !== undefined) throw failure.error;
}
