/** Feeds a decoder from a byte source through one window of fixed size, and hands out its batches. */
import { InputError, invariant } from '../errors.ts';
import type { AccessBatch, DecodingRoom, TraceReader } from './batch.ts';
import type { ByteSource } from './byte-source.ts';
import type { TraceDecoder } from './trace-decoder.ts';

const FILL = 1 << 18;

/** Reads a trace: the one implementation of `TraceReader`, whatever the format. */
export class StreamReader implements TraceReader {
  readonly format: string;
  private readonly source: ByteSource;
  private readonly decoder: TraceDecoder;
  private readonly file: string;
  private batch: AccessBatch | undefined;
  /** Bytes not yet taken are `window[start, end)`; one byte behind `end` is always free for the decoder. */
  private readonly window: Uint8Array;
  private start = 0;
  private end: number;
  private final = false;
  private done = false;
  private accesses = 0;

  /** @param head - first bytes of the trace, already taken from the source */
  constructor(source: ByteSource, decoder: TraceDecoder, file: string, head: Uint8Array) {
    this.format = decoder.format;
    this.source = source;
    this.decoder = decoder;
    this.file = file;
    this.window = new Uint8Array(Math.max(decoder.longest, head.length) + FILL + 1);
    this.window.set(head);
    this.end = head.length;
  }

  get skipped(): number {
    return this.decoder.skipped;
  }

  get bytesRead(): number {
    return this.source.bytesRead;
  }

  get bytesTotal(): number | undefined {
    return this.source.bytesTotal;
  }

  touchesIn(room: DecodingRoom): void {
    this.batch ??= this.decoder.makeBatch(room);
  }

  async next(): Promise<AccessBatch | undefined> {
    if (this.done) return undefined;
    try {
      const batch = await this.read();
      if (batch !== undefined) return batch;
    } catch (error) {
      await this.close();
      throw error;
    }
    await this.close();
    if (this.accesses > 0) return undefined;
    const got = this.skipped > 0 ? `none, ${this.skipped} malformed` : 'none';
    throw new InputError(this.file, 'end', 'at least one access', got);
  }

  async close(): Promise<void> {
    this.done = true;
    await this.source.close();
  }

  private async read(): Promise<AccessBatch | undefined> {
    const { decoder } = this, batch = this.batch ??= decoder.makeBatch();
    batch.count = 0;
    batch.events = [];
    for (;;) {
      this.start = decoder.decode(this.window, this.start, this.end, this.final, batch);
      const empty = batch.count === 0 && batch.events.length === 0;
      if (decoder.full && !empty) break;
      if (decoder.full) continue;
      if (this.final && empty) return undefined;
      if (this.final) break;
      await this.refill();
    }
    this.accesses += batch.count;
    return batch;
  }

  private async refill(): Promise<void> {
    this.window.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    const free = this.window.subarray(0, this.window.length - 1);
    invariant(this.end < free.length, 'a decoder leaves no more than its longest record');
    const filled = await this.source.fill(free, this.end);
    this.end += filled;
    this.final = filled === 0;
  }
}
