/**
 * Bytes of a file or a stream, gunzipped if they start with the gzip magic (RFC 1952, "Member header and trailer"),
 * with at most a few chunks in memory however slow the consumer.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { InputError } from '../errors.ts';

const CHUNK = 1 << 18;
const GZIP_MAGIC = [0x1f, 0x8b];

/** A file or stream, read once from start to end. */
export class ByteSource {
  /** Bytes taken from the file or stream, before gunzip. */
  bytesRead = 0;
  /** Bytes of the file, `undefined` for a stream. */
  readonly bytesTotal: number | undefined;
  private readonly name: string;
  private readonly raw: Readable;
  private readonly chunks: AsyncGenerator<Uint8Array, void>;
  private chunk: Uint8Array = new Uint8Array(0);
  private closed = false;

  private constructor(name: string, raw: Readable, bytesTotal: number | undefined) {
    this.name = name;
    this.raw = raw;
    this.bytesTotal = bytesTotal;
    this.chunks = this.decompressed();
  }

  /**
   * @param source - path of a file, or a stream of bytes
   * @param name - what messages call it
   * @throws InputError - no such file, or not a file that can be read
   */
  static async open(source: string | Readable, name: string): Promise<ByteSource> {
    if (typeof source !== 'string') return new ByteSource(name, source, undefined);
    const info = await stat(source).catch((error: unknown) => {
      throw failure(name, 0, error);
    });
    if (info.isDirectory()) throw new InputError(name, 'open', 'a file', 'a directory');
    const stream = createReadStream(source, { highWaterMark: CHUNK });
    return new ByteSource(name, stream, info.isFile() ? info.size : undefined);
  }

  /**
   * Copies the next bytes to `target` from `at` on, as many as are there and fit.
   * @returns bytes copied, 0 at the end of the input
   * @throws InputError - the input cannot be read, or is not the gzip stream it starts as
   */
  async fill(target: Uint8Array, at: number): Promise<number> {
    while (this.chunk.length === 0) {
      if (this.closed) return 0;
      const next = await this.chunks.next();
      if (next.done === true) return 0;
      this.chunk = next.value;
    }
    const taken = Math.min(this.chunk.length, target.length - at);
    target.set(this.chunk.subarray(0, taken), at);
    this.chunk = this.chunk.subarray(taken);
    return taken;
  }

  /** Releases the input. Safe to call twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.raw.destroy();
    this.chunk = new Uint8Array(0);
    await this.chunks.return();
  }

  private async *decompressed(): AsyncGenerator<Uint8Array, void> {
    const stored = this.stored();
    try {
      const head: Uint8Array[] = [];
      let length = 0;
      while (length < GZIP_MAGIC.length) {
        const next = await stored.next();
        if (next.done === true) break;
        head.push(next.value);
        length += next.value.length;
      }
      const start = Buffer.concat(head);
      if (GZIP_MAGIC.every((byte, i) => start[i] === byte)) yield* this.gunzipped(start, stored);
      else {
        yield start;
        yield* stored;
      }
    } catch (error) {
      throw failure(this.name, this.bytesRead, error);
    } finally {
      await stored.return();
    }
  }

  private async *gunzipped(start: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    async function* all(): AsyncGenerator<Uint8Array, void> {
      yield start;
      yield* rest;
    }
    const gunzip = createGunzip({ chunkSize: CHUNK });
    // Errors of either end come out of the iteration below.
    pipeline(Readable.from(all(), { highWaterMark: 1 }), gunzip, () => undefined);
    yield* gunzip as AsyncIterable<Uint8Array>;
  }

  private async *stored(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of this.raw as AsyncIterable<Uint8Array | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      this.bytesRead += bytes.length;
      yield bytes;
    }
  }
}

function failure(name: string, bytesRead: number, error: unknown): unknown {
  if (error instanceof InputError || !(error instanceof Error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const where = `byte ${bytesRead}`;
  if (code === 'Z_BUF_ERROR') return new InputError(name, where, 'the rest of the gzip stream', 'the end of the file');
  if (code.startsWith('Z_')) return new InputError(name, where, 'a valid gzip stream', error.message);
  if (code === 'ENOENT') return new InputError(name, 'open', 'a file', 'no such file');
  return new InputError(name, bytesRead === 0 ? 'open' : where, 'readable input', error.message);
}
